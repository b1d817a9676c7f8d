"""Turns a container of a Pod into what is asked of a container runtime, as far as all runtimes understand it."""

import os
import re
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from kedge.kube import quantities
from kedge.kube.kinds import Obj
from kedge.node import launchers, shared_network
from kedge.node.env import Environment, expand
from kedge.node.network import hostname_of
from kedge.node.oci import HOME_LABEL, POD_LABEL, Cli, Found
from kedge.node.refusals import Refusal
from kedge.node.specs import Machine, Prepared, Request, in_memory, interactive, message_path, names_of, stores
from kedge.node.volumes import mounts_of

_LEAST_MEMORY = 6 << 20  # runtimes take no less
# Variables that a command line would read itself: they are given in a file instead of its environment.
_ITS_OWN = re.compile(
    r"(PATH|HOME|USER|TMPDIR|TERM|LANG|NO_COLOR|(LD|LC|XDG|GO|SSL|DBUS|NOTIFY|LISTEN|STORAGE|REGISTRY|BUILDAH|NERDCTL|CNI|NETAVARK)_?.*"
    r"|_?CONTAINER.*|DOCKER.*|PODMAN.*|(HTTPS?|NO|ALL|FTP)_PROXY)",
    re.IGNORECASE,
)


def home_label(home: Path) -> str:
    """What containers of a data directory's host are labelled with."""
    return f"{zlib.crc32(os.fsencode(home.resolve())):08x}"


def container_name(uid: str, container: str, attempt: int) -> str:
    """What the container of an attempt is called by its runtime."""
    return f"kedge_{container}_{uid}_{attempt}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a container runs.

    Attributes:
        prepared: The Pod's volumes.
        machine: The machine.
        cli: The runtime.
    """

    prepared: Prepared
    machine: Machine
    cli: Cli


def request_of(pod: Obj, container: Obj, environment: Environment, place: Place, found: Found) -> Request:
    """Make the request that starts a container of a runtime.

    Args:
        pod: The Pod.
        container: One of its containers.
        environment: Its variables.
        place: Where it runs.
        found: The image.

    Raises:
        Refusal: It needs something that cannot be given to a container here.
    """
    prepared, machine, cli = place.prepared, place.machine, place.cli
    if prepared.gpus.get(container["name"]):
        text = f"container {container['name']}: GPUs are handed to processes alone here, not to containers of {cli.tool}"
        raise Refusal("UnsupportedField", f"{text}. Use a Python image, or run the Pod on a Kubernetes cluster.")
    if container.get("stdin") and not cli.passes_input:
        text = f"container {container['name']}: stdin is not passed on by {cli.tool}"
        raise Refusal("UnsupportedField", f"{text}. Remove it, or use podman or docker.")
    values = environment.values | shared_network.adapted(pod, container, environment.values, prepared.shared)
    mounts = mounts_of(container, prepared.volumes, values)
    in_memory(pod, container, mounts, None)
    if launchers.brings_one(pod):
        mounts += _stores(machine)
    network = "host"
    if prepared.network is not None:
        network = f"ns:{prepared.network.path}"
    mounts += names_of(prepared, {mount["target"] for mount in mounts})
    words = [
        *("--label", f"{HOME_LABEL}={home_label(machine.settings.home)}", "--label", f"{POD_LABEL}={pod['metadata']['uid']}"),
        *("--pull", "never", "--log-driver", "none", "--network", network, "--pids-limit", "-1"),
        *("--hostname", hostname_of(pod)),
        *(word for name in ("pid", "ipc") if pod["spec"].get(f"host{name.upper()}") for word in (f"--{name}", "host")),
        *_bounds(),
        *_mapping(pod, container, cli, found),
        *_resources(container, cli),
        *_security(pod["spec"].get("securityContext") or {}, container.get("securityContext") or {}, cli, found),
        *(("--workdir", container["workingDir"]) if container.get("workingDir") else ()),
        *(("--tty",) if container.get("tty") else ()),
        *(("--interactive",) if container.get("stdin") else ()),
    ]
    given, variables = _variables(values, prepared.directory / f"{container['name']}.env")
    command, arguments = ([expand(word, values) for word in container.get(field) or ()] for field in ("command", "args"))
    if command:
        words += ["--entrypoint", command[0]]
    spec: Obj = {
        "argv": [cli.program],
        "cwd": "/",
        "env": {**cli.environ, **given},
        "mounts": mounts,
        "private": False,
        "create": [*words, *variables, found.id if cli.tool != "nerdctl" else container["image"], *command[1:], *arguments],
        "oci": {"cli": [cli.program], "signal": (container.get("lifecycle") or {}).get("stopSignal") or found.stop_signal},
        **interactive(container),
    }
    return Request(spec, ("Container", f"{cli.tool} {cli.version}"))


def warnings(pod: Obj, contained: Collection[str], cli: Cli) -> Iterator[tuple[str, str]]:
    """Reason and text of what a Pod may miss, though it runs.

    Args:
        pod: The Pod.
        contained: Names of the containers that the runtime runs.
        cli: The runtime.
    """
    every: list[Obj] = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    for container in (each for each in every if each["name"] in contained):
        limits = (container.get("resources") or {}).get("limits") or {}
        if cli.unkept and any(name in limits and name not in cli.controllers for name in ("cpu", "memory")):
            yield "LimitsNotKept", f"container {container['name']}: {cli.unkept}"
        free = _first_free_port()
        low = [each["containerPort"] for each in container.get("ports") or () if each["containerPort"] < free]
        if low and cli.rootless:
            ports = ", ".join(map(str, low))
            text = (
                f"container {container['name']}: containers of an ordinary user's podman have this machine's network, whose port"
            )
            text = f"{text} {ports} is root's: have it listen on {free} or more, or as root run"
            yield "PortOfRoot", f"{text} sysctl net.ipv4.ip_unprivileged_port_start={min(low)}"


def _first_free_port() -> int:
    """The first port that everybody may listen on."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text(encoding="ascii"))
    except OSError:
        return 1024


def with_files(spec: Obj, pod: Obj, container: Obj, cli: Cli, *, directory: Path, attempt: int) -> Obj:
    """Add what is an attempt's own: its name, and the files that it leaves.

    Args:
        spec: Of `request_of`.
        pod: The Pod.
        container: The container.
        cli: The runtime.
        directory: The Pod's own.
        attempt: Number of the attempt.
    """
    name = container_name(pod["metadata"]["uid"], container["name"], attempt)
    message = message_path(directory, container["name"], attempt)
    message.chmod(0o666)  # whoever the image says that its processes are, they may leave one: the directory is closed to others
    base = f"{directory}/{container['name']}.{attempt}"
    about = {**spec["oci"], "name": name, "result": f"{base}.result"}
    create = ["--name", name, *spec["create"]]
    limits = (container.get("resources") or {}).get("limits") or {}
    if cli.tells_pids and limits.get("memory"):
        about["memory"] = int(quantities.parse(limits["memory"]))
        about["looked"] = "memory" not in cli.controllers
    if cli.tells_pids:
        about["pidfile"] = f"{base}.pid"
        create = ["--pidfile", about["pidfile"], *create]
    target = container.get("terminationMessagePath") or "/dev/termination-log"
    mounts = [*spec["mounts"], {"source": str(message), "target": target, "readonly": False}]
    return {**spec, "mounts": mounts, "create": create, "oci": about}


def _stores(machine: Machine) -> list[Obj]:
    """What a step's launcher finds by the paths that the host grants it: artifacts and the code of projects."""
    return [{"source": str(place), "target": str(place), "readonly": False} for place in stores(machine.settings)]


def _bounds() -> list[str]:
    """Limits of files and processes for a runtime of a root that may not raise its own, as in a container: it would try to."""
    import resource  # noqa: PLC0415

    if os.geteuid() != 0 or _may_raise():
        return []
    words: list[str] = []
    most = int(Path("/proc/sys/kernel/pid_max").read_text(encoding="ascii"))
    for name, number, cap in (("nofile", resource.RLIMIT_NOFILE, None), ("nproc", resource.RLIMIT_NPROC, most)):
        soft, hard = resource.getrlimit(number)
        if hard == resource.RLIM_INFINITY:
            continue
        soft, hard = (min(value, cap) if cap else value for value in (soft, hard))
        words += ["--ulimit", f"{name}={soft}:{hard}"]
    return words


def _may_raise() -> bool:
    """Whether this process has CAP_SYS_RESOURCE."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> 24 & 1)
    return False


def _resources(container: Obj, cli: Cli) -> list[str]:
    """Limits, as far as the runtime keeps them: one that cannot would not start the container."""
    resources = container.get("resources") or {}
    limits, requests, words = resources.get("limits") or {}, resources.get("requests") or {}, list[str]()
    if limits.get("memory") and "memory" in cli.controllers:
        size = max(int(quantities.parse(limits["memory"])), _LEAST_MEMORY)
        words += ["--memory", str(size), "--memory-swap", str(size)]
    if "cpu" not in cli.controllers:
        return words
    if limits.get("cpu"):
        words += ["--cpus", f"{float(quantities.parse(limits['cpu'])):.3f}"]
    if cpu := requests.get("cpu") or limits.get("cpu"):
        words += ["--cpu-shares", str(max(2, int(quantities.parse(cpu) * 1024)))]
    return words


def _mapping(pod: Obj, container: Obj, cli: Cli, found: Found) -> list[str]:
    """Have a container's user be who started Kedge, where that is no root: otherwise that is the container's root alone.

    What a Pod and its steps write in volumes and artifacts is theirs then, and can be read and removed.
    """
    if not cli.maps_users:
        return []
    said = _said(pod["spec"].get("securityContext") or {}, container.get("securityContext") or {})
    user, _, group = found.user.partition(":")
    user, group = (str(found if own is None else own) for own, found in ((said["runAsUser"], user), (said["runAsGroup"], group)))
    if user in {"", "0", "root"}:
        return []
    if user.isdecimal():
        return ["--userns", f"keep-id:uid={user}{f',gid={group}' if group.isdecimal() else ''}"]
    if launchers.recognise(pod, container) is None:
        return []
    text = f"container {container['name']}: its image is run by user {user!r}, whose number is not known before it runs, so that"
    raise Refusal(
        "UnsupportedField",
        f"{text} what the step writes would be nobody's here who may read it. State it as securityContext.runAsUser "
        "(kubernetes.set_security_context), or use another image.",
    )


def _said(pod: Obj, own: Obj) -> Obj:
    return {name: own.get(name, pod.get(name)) for name in ("runAsUser", "runAsGroup", "seccompProfile")}


def _security(pod: Obj, own: Obj, cli: Cli, found: Found) -> list[str]:
    """What ``securityContext`` says of a container; where it says nothing, the runtime's own defaults hold."""
    words: list[str] = []
    said = _said(pod, own)
    user = said["runAsUser"] if said["runAsUser"] is not None else found.user.partition(":")[0] or "0"
    if said["runAsGroup"] is not None:
        words += ["--user", f"{user}:{said['runAsGroup']}"]
    elif said["runAsUser"] is not None:
        words += ["--user", str(user)]
    for group in (*(pod.get("supplementalGroups") or ()), *((pod["fsGroup"],) if pod.get("fsGroup") is not None else ())):
        words += ["--group-add", str(group)]
    if own.get("privileged"):
        words.append("--privileged")
    if own.get("readOnlyRootFilesystem"):
        words += ["--read-only", *(("--read-only-tmpfs=false",) if cli.tool == "podman" else ())]
    capabilities = own.get("capabilities") or {}
    words += [word for name in ("add", "drop") for each in capabilities.get(name) or () for word in (f"--cap-{name}", each)]
    if own.get("allowPrivilegeEscalation") is False:
        words += ["--security-opt", "no-new-privileges"]
    if (said["seccompProfile"] or {}).get("type") == "Unconfined":
        words += ["--security-opt", "seccomp=unconfined"]
    return words


def _variables(values: dict[str, str], file: Path) -> tuple[dict[str, str], list[str]]:
    """A container's variables: those that its command line passes on from its environment, and the words that say all.

    None of them stands on a command line, which others on the machine can read.
    """
    kept = {name: value for name, value in values.items() if _ITS_OWN.fullmatch(name) or name.endswith("*")}
    passed = {name: value for name, value in values.items() if name not in kept}
    words = [word for name in passed for word in ("--env", name)]
    if kept:
        for name, value in kept.items():
            if "\n" in value:
                text = f"env {name}: a value of several lines cannot be given to a container by this name"
                raise Refusal("UnsupportedField", f"{text}. Give the variable another name.")
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        text = "".join(f"{name}={value}\n" for name, value in kept.items())
        with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape") as written:
            written.write(text)
        words += ["--env-file", str(file)]
    return passed, words
