"""What a process node cannot do for a Pod, each with the field's name and what to do instead.

A Pod that asks for it fails at once, rather than running without it.
"""

from collections.abc import Iterator

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


_UNSUPPORTED = "UnsupportedField"
_INSTEAD = "Remove it, or run the Pod on a Kubernetes cluster."
_CONTAINER_FIELDS = {
    "livenessProbe": "probes are not carried out on this host yet",
    "readinessProbe": "probes are not carried out on this host yet",
    "startupProbe": "probes are not carried out on this host yet",
    "lifecycle": "lifecycle hooks are not carried out on this host yet",
    "volumeDevices": "block devices cannot be handed to a process here",
}
_VOLUMES = frozenset({"name", "emptyDir", "configMap", "secret", "projected", "downwardAPI"})
_PROJECTIONS = frozenset({"serviceAccountToken", "configMap", "secret", "downwardAPI"})


def check(spec: Obj, user: int) -> None:
    """Look for what cannot be done.

    Args:
        spec: The Pod's spec.
        user: Id of the user that processes run as.

    Raises:
        Refusal: The first thing found.
    """
    fault = next(_faults(spec, user), None)
    if fault is not None:
        raise Refusal(_UNSUPPORTED, f"{fault[0]}: {fault[1]}. {_INSTEAD}")


def _faults(spec: Obj, user: int) -> Iterator[tuple[str, str]]:
    if spec.get("runtimeClassName"):
        yield "spec.runtimeClassName", "this host has no container runtime"
    for index, volume in enumerate(spec.get("volumes") or ()):
        yield from _volume(volume, f"spec.volumes[{index}]")
    yield from _security(spec.get("securityContext") or {}, "spec.securityContext", user)
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            path = f"spec.{field}[{index}]"
            for name, why in _CONTAINER_FIELDS.items():
                if container.get(name):
                    yield f"{path}.{name}", why
            yield from _security(container.get("securityContext") or {}, f"{path}.securityContext", user)


def _volume(volume: Obj, path: str) -> Iterator[tuple[str, str]]:
    for kind in sorted(set(volume) - _VOLUMES):
        allowed = ", ".join(sorted(_VOLUMES - {"name"}))
        yield f"{path}.{kind}", f"this host has no volumes of that kind, only {allowed}"
    for number, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
        for kind in sorted(set(source) - _PROJECTIONS):
            yield f"{path}.projected.sources[{number}].{kind}", "this host cannot project that"


def _security(context: Obj, path: str, user: int) -> Iterator[tuple[str, str]]:
    wanted = context.get("runAsUser")
    if wanted is not None and wanted != user:
        yield f"{path}.runAsUser", f"processes run as the user who started Kedge ({user}), not as {wanted}"
    if context.get("runAsNonRoot") and user == 0:
        yield f"{path}.runAsNonRoot", "Kedge was started by root, and processes run as root"
    if context.get("privileged"):
        yield f"{path}.privileged", "processes get no more rights than the user who started Kedge has"
