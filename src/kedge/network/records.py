"""What a cluster's DNS answers, made from Services and their endpoints: plain data, no I/O.

The names are those of https://github.com/kubernetes/dns/blob/master/docs/specification.md: ``A`` for Services and for the
endpoints of headless ones, ``SRV`` for named ports, ``PTR`` for addresses.
"""

from collections.abc import Iterable
from typing import Any

ZONE = "cluster.local"
SCHEMA_VERSION = "1.1.0"
A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, ANY = 1, 2, 5, 6, 12, 16, 28, 33, 255
HEADLESS = "None"

Record = tuple[int, Any]
"""A type, and an address, a name, or ``(port, target)``."""
Names = dict[str, list[Record]]


def names_of(services: Iterable[dict[str, Any]]) -> Names:
    """All records of a cluster, by name in lower case.

    Args:
        services: Each with ``namespace``, ``name``, ``clusterIP`` (``None`` for a headless one), ``externalName``, ``ports``
            (``name``, ``port``, ``protocol``) and ``endpoints`` (``ip``, ``hostname``, ``ports`` by name).

    Examples:
        >>> service = {"namespace": "n", "name": "s", "clusterIP": "10.96.0.9", "ports": [], "endpoints": []}
        >>> names_of([service])["s.n.svc.cluster.local"]
        [(1, '10.96.0.9')]
    """
    names: Names = {f"dns-version.{ZONE}": [(TXT, SCHEMA_VERSION)]}
    for service in services:
        _add(names, service, f"{service['name']}.{service['namespace']}.svc.{ZONE}".lower())
    return names


def _add(names: Names, service: dict[str, Any], name: str) -> None:
    records = names.setdefault(name, [])
    address = service.get("clusterIP")
    if service.get("externalName"):
        records.append((CNAME, service["externalName"].rstrip(".").lower()))
    elif address and address != HEADLESS:
        records.append((A, address))
        names.setdefault(reverse(address), []).append((PTR, name))
        for port in service["ports"]:
            _add_port(names, name, port["name"], port["protocol"], (port["port"], name))
    else:
        for endpoint in service["endpoints"]:
            own = f"{endpoint.get('hostname') or endpoint['ip'].replace('.', '-')}.{name}".lower()
            records.append((A, endpoint["ip"]))
            names.setdefault(own, []).append((A, endpoint["ip"]))
            if endpoint.get("hostname"):
                names.setdefault(reverse(endpoint["ip"]), []).append((PTR, own))
            for port in service["ports"]:
                number = endpoint["ports"].get(port["name"], port["port"])
                _add_port(names, name, port["name"], port["protocol"], (number, own))


def _add_port(names: Names, name: str, port: str, protocol: str, target: tuple[int, str]) -> None:
    if port:
        names.setdefault(f"_{port}._{protocol}.{name}".lower(), []).append((SRV, target))


def reverse(address: str) -> str:
    """The name under which an address is looked up.

    Examples:
        >>> reverse("10.96.0.1")
        '1.0.96.10.in-addr.arpa'
    """
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


def find(names: Names, name: str) -> list[Record] | None:
    """The records of a name of the cluster; ``None`` when there is no such name.

    Examples:
        >>> find({}, "10-244-0-7.default.pod.cluster.local")
        [(1, '10.244.0.7')]
        >>> find({"a.b.cluster.local": []}, "b.cluster.local")
        []
    """
    found = names.get(name)
    if found is not None:
        return found
    labels = name.removesuffix("." + ZONE).split(".")
    if len(labels) == 3 and labels[2] == "pod":
        parts = labels[0].split("-")
        if len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts):
            return [(A, ".".join(parts))]
    return [] if name == ZONE or any(each.endswith("." + name) for each in names) else None


def is_ours(name: str, names: Names) -> bool:
    """Whether a name is the cluster's to answer, and nobody else's."""
    return name == ZONE or name.endswith("." + ZONE) or name in names
