"""What a process node cannot do for a Pod, each with the field's name and what to do instead.

A Pod that asks for it fails at once, rather than running without it. A field that stands in no table here is carried out, or
changes nothing that a process could notice, or asks for less than it gets: ``docs/pods.md`` says which.
"""

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kedge.errors import KedgeError
from kedge.kube.kinds import Obj


class Refusal(KedgeError):
    """A Pod that this node cannot run.

    Attributes:
        reason: One word for ``status.reason``.
        message: The field, why, and how to fix it.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Host:
    """What decides here and there what can be done.

    Attributes:
        user: Id of the user that processes run as.
        groups: Ids of its groups, the first one its own.
        name: The node's name.
        paths: Directories of it that Pods may have as volumes, and all in them.
        joined: Whether it has joined another machine's API, which has what Pods keep and find by the network.
    """

    user: int
    groups: tuple[int, ...]
    name: str = "localhost"
    paths: tuple[str, ...] = ()
    joined: bool = False


def this_host(paths: tuple[str, ...] = (), *, joined: bool = False) -> Host:
    """The host that this process runs on, of which Pods may have some directories."""
    return Host(os.geteuid(), (os.getegid(), *os.getgroups()), paths=paths, joined=joined)


# Why a value cannot be had; empty when it can.
_Rule = Callable[[Any, Host], str]
_Fault = tuple[str, str]

PROCESS, CONTAINER = "process", "container"
"""What a Pod's ``runtimeClassName`` may be."""
_UNSUPPORTED = "UnsupportedField"
_INSTEAD = "Remove it, or run the Pod on a Kubernetes cluster."
_VOLUMES = frozenset(
    {"name", "emptyDir", "configMap", "secret", "projected", "downwardAPI", "persistentVolumeClaim", "ephemeral", "hostPath"}
)
_PROJECTIONS = frozenset({"serviceAccountToken", "configMap", "secret", "downwardAPI"})
_LARGEST_ID = (1 << 31) - 1


def check(spec: Obj, host: Host, contained: Collection[str] = ()) -> None:
    """Look for what cannot be done.

    Args:
        spec: The Pod's spec.
        host: Where it would run.
        contained: Names of the containers that a container runtime runs, of which more may be asked.

    Raises:
        Refusal: The first thing found.
    """
    fault = next(_faults(spec, host, contained), None)
    if fault is not None:
        raise Refusal(_UNSUPPORTED, f"{fault[0]}: {fault[1]}. {_INSTEAD}")


def _always(why: str) -> _Rule:
    """For what cannot be had whatever its value; an empty one asks for nothing."""
    return lambda value, _: why if value else ""


def _system(value: Any, _: Host) -> str:
    wanted = value.get("name")
    return f"this host runs {sys.platform}, not {wanted}" if wanted and wanted != sys.platform else ""


def _user(value: Any, host: Host) -> str:
    if not 0 <= value <= _LARGEST_ID:
        return f"must be between 0 and {_LARGEST_ID}"
    if host.user in {0, value}:
        return ""
    return f"processes run as the user who started Kedge ({host.user}), not as {value}; only root could change that"


def _group(value: Any, host: Host) -> str:
    if not 0 <= value <= _LARGEST_ID:
        return f"must be between 0 and {_LARGEST_ID}"
    if host.user == 0 or value in host.groups:
        return ""
    return f"processes run with the groups of the user who started Kedge ({', '.join(map(str, host.groups))}), without {value}"


def _groups(value: Any, host: Host) -> str:
    return next((why for each in value if (why := _group(each, host))), "")


def _own_group(value: Any, host: Host) -> str:
    if host.user == 0 or value == host.groups[0]:
        return _group(value, host)
    return f"processes run as the group of who started Kedge ({host.groups[0]}), not as {value}; only root could change that"


def _not_root(pod: Obj, container: Obj, host: Host) -> str:
    """Which of the two demands that the container is not root's, though it would be; empty when all is well."""
    wanted, user = (
        next((each[name] for each in (container, pod) if each.get(name) is not None), default)
        for name, default in (("runAsNonRoot", False), ("runAsUser", host.user))
    )
    if not wanted or user != 0:
        return ""
    return "container" if container.get("runAsNonRoot") is not None else "pod"


def _capabilities(value: Any, host: Host) -> str:
    added = value.get("add")
    if not added or host.user == 0:
        return ""
    return f"add {', '.join(added)}: processes get no more rights than the user who started Kedge has, who is not root"


def _profile(value: Any, _: Host) -> str:
    return "this host has no profiles of its own to apply" if value.get("type") == "Localhost" else ""


def _class(value: Any, _: Host) -> str:
    return "" if value in {"", PROCESS, CONTAINER} else f"this host has no class {value!r}, but {PROCESS} and {CONTAINER}"


_SPEC: Mapping[str, _Rule] = {
    "runtimeClassName": _class,
    "ephemeralContainers": _always("containers cannot be added to a Pod here"),
    "os": _system,
    "schedulingGroup": _always("Pods are started one by one here"),
    "evictionResponders": _always("nobody is asked before a Pod is ended here"),
    "resourceClaims": _always("devices cannot be claimed here"),
    "resources": _always("resources are counted for each container here; state them there"),
}
_POD_SECURITY: Mapping[str, _Rule] = {
    "runAsUser": _user,
    "runAsGroup": _own_group,
    "fsGroup": _group,
    "supplementalGroups": _groups,
    "sysctls": _always("processes share this machine's kernel settings"),
    "seLinuxOptions": _always("labels cannot be given to processes here"),
    "windowsOptions": _always("this is no Windows node"),
    "seccompProfile": _profile,
    "appArmorProfile": _profile,
}
_SECURITY: Mapping[str, _Rule] = {
    **{name: rule for name, rule in _POD_SECURITY.items() if name not in {"fsGroup", "supplementalGroups", "sysctls"}},
    "privileged": _always("processes get no more rights than the user who started Kedge has"),
    "capabilities": _capabilities,
}
# What a container runtime does is not asked of it by these.
_DONE_BY_RUNTIMES = ("runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "privileged", "capabilities")
_POD_CONTAINED = {name: rule for name, rule in _POD_SECURITY.items() if name not in _DONE_BY_RUNTIMES}
_CONTAINED = {name: rule for name, rule in _SECURITY.items() if name not in _DONE_BY_RUNTIMES}
_CONTAINER: Mapping[str, _Rule] = {
    "volumeDevices": _always("block devices cannot be handed to a process here"),
    "restartPolicyRules": _always("exit codes do not change what is started again here"),
}


def _faults(spec: Obj, host: Host, contained: Collection[str]) -> Iterator[_Fault]:
    yield from _broken(_SPEC, spec, "spec", host)
    for index, volume in enumerate(spec.get("volumes") or ()):
        yield from _volume(volume, f"spec.volumes[{index}]", host)
    every = [each for field in ("initContainers", "containers") for each in spec.get(field) or ()]
    if spec.get("shareProcessNamespace") and contained:
        yield "spec.shareProcessNamespace", "containers of a runtime have their own processes here"
    if all(each["name"] in contained for each in every):
        yield from _broken(_POD_CONTAINED, spec.get("securityContext") or {}, "spec.securityContext", host)
    else:
        yield from _broken(_POD_SECURITY, spec.get("securityContext") or {}, "spec.securityContext", host)
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            path = f"spec.{field}[{index}]"
            yield from _broken(_CONTAINER, container, path, host)
            if container["name"] in contained:
                yield from _broken(_CONTAINED, container.get("securityContext") or {}, f"{path}.securityContext", host)
            else:
                yield from _security(spec, container, path, host)
            if (container.get("resources") or {}).get("claims"):
                yield f"{path}.resources.claims", "devices cannot be claimed here"
            yield from _places(container, path)


def _security(spec: Obj, container: Obj, path: str, host: Host) -> Iterator[_Fault]:
    pod, own = spec.get("securityContext") or {}, container.get("securityContext") or {}
    yield from _broken(_SECURITY, own, f"{path}.securityContext", host)
    if who := _not_root(pod, own, host):
        where = f"{path}.securityContext" if who == "container" else "spec.securityContext"
        why = f"container {container['name']} would be root's, who started Kedge; say with runAsUser whose it is"
        yield f"{where}.runAsNonRoot", why


def _broken(rules: Mapping[str, _Rule], owner: Obj, path: str, host: Host) -> Iterator[_Fault]:
    for name, value in owner.items():
        if (rule := rules.get(name)) is not None and value is not None and (why := rule(value, host)):
            yield f"{path}.{name}", why


def _volume(volume: Obj, path: str, host: Host) -> Iterator[_Fault]:
    for kind in sorted(set(volume) - _VOLUMES):
        allowed = ", ".join(sorted(_VOLUMES - {"name"}))
        yield f"{path}.{kind}", f"this host has no volumes of that kind, only {allowed}"
    if host.joined and (kind := next((each for each in ("persistentVolumeClaim", "ephemeral") if each in volume), "")):
        yield f"{path}.{kind}", "what claims keep lies elsewhere, and is not mounted on a machine that has joined"
    place = (volume.get("hostPath") or {}).get("path")
    if place and allowed_above(place, host.paths) is None:
        some = f"only {', '.join(host.paths)}" if host.paths else "nothing"
        yield (
            f"{path}.hostPath",
            f"Pods may see {some} of this machine's files, not {place}: start Kedge with KEDGE_HOST_PATHS={place} to allow it",
        )
    for number, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
        for kind in sorted(set(source) - _PROJECTIONS):
            yield f"{path}.projected.sources[{number}].{kind}", "this host cannot project that"


def allowed_above(place: str, allowed: Iterable[str]) -> str | None:
    """The allowed directory that a path is, or lies in; ``None`` where there is none.

    Examples:
        >>> allowed_above("/data/sets/../sets/a", ["/data"]), allowed_above("/database", ["/data"])
        ('/data', None)
    """
    whole = os.path.normpath(place)
    return next((top for top in allowed if whole == top or whole.startswith(top.rstrip("/") + "/")), None)


def _places(container: Obj, path: str) -> Iterator[_Fault]:
    """What a container asks for in mounts and ports: it shares this machine's network."""
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("mountPropagation") not in {None, "None"}:
            yield f"{path}.volumeMounts[{index}].mountPropagation", "mounts are not passed on between a Pod and this machine"
        if mount.get("recursiveReadOnly") == "Enabled":
            yield (
                f"{path}.volumeMounts[{index}].recursiveReadOnly",
                "what is mounted within a volume cannot be made read-only here",
            )
    for index, port in enumerate(container.get("ports") or ()):
        if port.get("hostPort") not in {None, 0, port.get("containerPort")}:
            yield (
                f"{path}.ports[{index}].hostPort",
                f"processes listen on this machine's own ports, so {port['containerPort']} is not led to {port['hostPort']}",
            )
        if port.get("hostIP") not in {None, "", "0.0.0.0", "::"}:  # noqa: S104  # what a Pod may say
            yield f"{path}.ports[{index}].hostIP", "processes choose themselves where they listen"
