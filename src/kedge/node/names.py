"""The files by which a Pod finds names: its ``/etc/hosts`` and ``/etc/resolv.conf``, as the kubelet writes them.

A Pod with a network of its own has both. One of the machine's network has the machine's, unless it adds something to them.
"""

from pathlib import Path

from kedge.kube.kinds import Obj
from kedge.network import protocol
from kedge.network.resolver import search
from kedge.node.refusals import Refusal

_ZONE = "cluster.local"
_HOSTS = """# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
fe00::\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
_OF_MACHINE = "# Kubernetes-managed hosts file (host network).\n"
_MOST_SERVERS, _MOST_DOMAINS = 3, 32  # what a resolver's library reads
# Where names may always be asked for over UDP: Services, Pods, the Pod itself.
_NEAR = ("10.96.", "10.244.", "127.")


def files(pod: Obj, address: str, no_udp: str = "") -> dict[str, str]:
    """What a Pod finds in ``/etc``, by the file's name; nothing where it finds what the machine has.

    Args:
        pod: The Pod.
        address: Its own; empty where it has the machine's network.
        no_udp: Why UDP does not leave the Pods' network; empty when it does.

    Raises:
        Refusal: Its names would be asked where nobody is reached.
    """
    if address:
        if no_udp:
            _check(pod["spec"], no_udp)
        return {"hosts": hosts_of(pod, address), "resolv.conf": resolver_of(pod)}
    spec, found = pod["spec"], dict[str, str]()
    if spec.get("hostAliases"):
        found["hosts"] = _OF_MACHINE + _read("/etc/hosts") + _aliases(spec)
    if spec.get("dnsConfig") or spec.get("dnsPolicy") == "None":
        servers, domains, options = ([], [], []) if spec.get("dnsPolicy") == "None" else _of_machine()
        found["resolv.conf"] = _configuration(spec, servers, domains, options)
    return found


def qualified(pod: Obj, name: str) -> str:
    """A Pod's name below its subdomain, in full."""
    return f"{name}.{pod['spec']['subdomain']}.{pod['metadata']['namespace']}.svc.{_ZONE}"


def hosts_of(pod: Obj, address: str) -> str:
    """``/etc/hosts`` of a Pod with an address of its own."""
    spec = pod["spec"]
    name = spec.get("hostname") or pod["metadata"]["name"]
    names = [qualified(pod, name), name] if spec.get("subdomain") else [name]
    return _HOSTS + "\t".join([address, *names]) + "\n" + _aliases(spec)


def resolver_of(pod: Obj) -> str:
    """``/etc/resolv.conf`` of a Pod with a network of its own: Kubernetes' search domains, and those of the machine."""
    spec = pod["spec"]
    if spec.get("dnsPolicy") == "None":
        return _configuration(spec, [], [], [])
    if spec.get("dnsPolicy") == "Default":
        return _configuration(spec, [protocol.RESOLVER], search(), [])
    namespace = pod["metadata"]["namespace"]
    domains = [f"{namespace}.svc.{_ZONE}", f"svc.{_ZONE}", _ZONE, *search()]
    return _configuration(spec, [protocol.RESOLVER], domains, ["ndots:5"])


def _aliases(spec: Obj) -> str:
    lines = ["\t".join([each["ip"], *(each.get("hostnames") or ())]) for each in spec.get("hostAliases") or ()]
    return "\n# Entries added by HostAliases.\n" + "".join(f"{line}\n" for line in lines) if lines else ""


def _configuration(spec: Obj, servers: list[str], domains: list[str], options: list[str]) -> str:
    """The file, with what ``dnsConfig`` adds: an option of a name that is there takes its place."""
    added: Obj = spec.get("dnsConfig") or {}
    servers = list(dict.fromkeys([*servers, *(added.get("nameservers") or ())]))[:_MOST_SERVERS]
    domains = list(dict.fromkeys([*domains, *(added.get("searches") or ())]))[:_MOST_DOMAINS]
    said = {option.partition(":")[0]: option for option in options}
    for option in added.get("options") or ():
        said[option["name"]] = option["name"] + (f":{option['value']}" if option.get("value") else "")
    lines = [f"search {' '.join(domains)}"] if domains else []
    lines += [f"nameserver {server}" for server in servers]
    lines += [f"options {' '.join(said.values())}"] if said else []
    return "".join(f"{line}\n" for line in lines)


def _of_machine() -> tuple[list[str], list[str], list[str]]:
    """The machine's own nameservers, search domains and options."""
    words = [line.partition("#")[0].split() for line in _read("/etc/resolv.conf").splitlines()]
    servers = [each[1] for each in words if len(each) > 1 and each[0] == "nameserver"]
    return servers, search(), [option for each in words if each and each[0] == "options" for option in each[1:]]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _check(spec: Obj, no_udp: str) -> None:
    """Refuse nameservers that a Pod alone names and that it does not reach: names are asked for over UDP."""
    if spec.get("dnsPolicy") != "None":
        return
    config: Obj = spec.get("dnsConfig") or {}
    if any(option.get("name") == "use-vc" for option in config.get("options") or ()):
        return
    for index, server in enumerate(config.get("nameservers") or ()):
        if not server.startswith(_NEAR):
            where = f"spec.dnsConfig.nameservers[{index}]"
            text = f"{where}: {server} is asked over UDP, which does not leave the Pods' network ({no_udp})"
            instead = "Add the option use-vc, which asks over TCP, or remove the field: the host's resolver asks the machine's."
            raise Refusal("UnsupportedField", f"{text}. {instead}")
