"""What a Pod is: its merge keys, its defaults and its rules.

The rules are those that a real API server has for the fields that Kedge's node carries out, so that a Pod refused on a cluster is
refused here with the same field named. Fields nobody here reads pass through untouched: they are for other hosts.
"""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import downward, names, placement, quantities
from kedge.kube.claims import spec_faults
from kedge.kube.kinds import Obj

_CONTAINER_KEYS = {
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
}
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")

# Kubernetes' own strategic-merge keys; what is not here (tolerations, envFrom, projected sources, args…) is replaced whole.
POD_SPEC_KEYS: dict[str, str] = {
    "volumes": "name",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
    "schedulingGates": "name",
    **dict.fromkeys(CONTAINER_LISTS, "name"),
    **{f"{owner}.{path}": key for owner in CONTAINER_LISTS for path, key in _CONTAINER_KEYS.items()},
}
METADATA_KEYS: dict[str, str] = {"metadata.ownerReferences": "uid", "metadata.finalizers": ""}
POD_KEYS: dict[str, str] = {
    **METADATA_KEYS,
    **{f"spec.{path}": key for path, key in POD_SPEC_KEYS.items()},
    "status.conditions": "type",
    "status.podIPs": "ip",
}

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_REQUIRED = "FieldValueRequired"
_UNSUPPORTED = "FieldValueNotSupported"
_DUPLICATE = "FieldValueDuplicate"
_NOT_FOUND = "FieldValueNotFound"
_FORBIDDEN = "FieldValueForbidden"


_SPEC_DEFAULTS: tuple[tuple[str, Any], ...] = (
    ("restartPolicy", "Always"),
    ("terminationGracePeriodSeconds", 30),
    ("dnsPolicy", "ClusterFirst"),
    ("serviceAccountName", "default"),
    ("schedulerName", "default-scheduler"),
    ("enableServiceLinks", True),
)
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_DEFAULTS = (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3))


def default_pod(pod: Obj) -> None:
    """Fill in what a real API server fills in for the fields that matter here."""
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        return
    for key, value in _SPEC_DEFAULTS:
        if spec.get(key) in (None, ""):
            spec[key] = value
    spec.setdefault("securityContext", {})
    for name in CONTAINER_LISTS:
        for container in _dicts(spec.get(name)):
            _default_container(container)
    for volume in _dicts(spec.get("volumes")):
        _default_volume(volume)
    status = pod.get("status")
    if not isinstance(status, dict) or not status.get("phase"):
        pod["status"] = {**(status if isinstance(status, dict) else {}), "phase": "Pending"}


def _default_volume(volume: Obj) -> None:
    if set(volume) == {"name"}:
        volume["emptyDir"] = {}
    for source in ("configMap", "secret", "projected", "downwardAPI"):
        if isinstance(volume.get(source), dict):
            volume[source].setdefault("defaultMode", 0o644)
    template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate") or {}
    if isinstance(spec := template.get("spec"), dict):
        spec.setdefault("volumeMode", "Filesystem")
    if isinstance(host_path := volume.get("hostPath"), dict):
        host_path.setdefault("type", "")
    for holder in (volume, *_dicts((volume.get("projected") or {}).get("sources"))):
        if isinstance(token := holder.get("serviceAccountToken"), dict):
            token.setdefault("expirationSeconds", 3600)
        if isinstance(downward := holder.get("downwardAPI"), dict):
            for item in _dicts(downward.get("items")):
                _default_field(item)


def _default_field(holder: Obj) -> None:
    if isinstance(field := holder.get("fieldRef"), dict):
        field.setdefault("apiVersion", "v1")


def _default_container(container: Obj) -> None:
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    image = container.get("image")
    if isinstance(image, str) and "imagePullPolicy" not in container:
        last = image.rpartition("/")[2]
        container["imagePullPolicy"] = "Always" if ":" not in last or last.endswith(":latest") else "IfNotPresent"
    resources = container.setdefault("resources", {})
    limits = resources.get("limits") if isinstance(resources, dict) else None
    if isinstance(limits, dict):
        requests = resources.setdefault("requests", {})
        if isinstance(requests, dict):
            for name, value in limits.items():
                requests.setdefault(name, value)
    for port in _dicts(container.get("ports")):
        port.setdefault("protocol", "TCP")
    for variable in _dicts(container.get("env")):
        if isinstance(source := variable.get("valueFrom"), dict):
            _default_field(source)
    for name in _PROBES:
        if isinstance(probe := container.get(name), dict):
            _default_probe(probe)


def _default_probe(probe: Obj) -> None:
    for key, value in _PROBE_DEFAULTS:
        probe.setdefault(key, value)
    if isinstance(get := probe.get("httpGet"), dict):
        get.setdefault("path", "/")
        get.setdefault("scheme", "HTTP")


def is_sidecar(container: Obj) -> bool:
    """Whether an init container is a native sidecar."""
    return container.get("restartPolicy") == "Always"


def is_over(pod: Obj) -> bool:
    """Whether nothing of a Pod runs any more, nor will.

    Examples:
        >>> is_over({"status": {"phase": "Failed"}})
        True
    """
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def validate_pod(pod: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule; for a change, also each field that may not change."""
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        return [Cause("spec", "is required, and must be an object with a list of containers", _REQUIRED)]
    if old is not None and spec == old.get("spec"):
        return []  # what is stored was checked when it came: most writes of a Pod are of its status
    causes = list(_spec_faults(spec))
    if old is not None and not causes:
        causes = list(_change_faults(spec, old.get("spec", {})))
    return causes


def _spec_faults(spec: Obj) -> Iterator[Cause]:
    if not spec.get("containers"):
        yield Cause("spec.containers", "is required: a Pod has at least one container", _REQUIRED)
    yield from _one_of(spec, "spec", "restartPolicy", _RESTART_POLICIES)
    yield from _whole_number(spec, "spec", "terminationGracePeriodSeconds", minimum=0)
    yield from _whole_number(spec, "spec", "activeDeadlineSeconds", minimum=1)
    yield from placement.pod_faults(spec)
    volumes = set[str]()
    for path, volume in _listed(spec, "spec.volumes"):
        yield from _named(volume, path, volumes)
        yield from downward.volume_faults(volume, path)
        sources = [key for key in volume if key != "name"]
        if len(sources) > 1:
            yield Cause(path, f"may have one source only, got {', '.join(sorted(sources))}", _FORBIDDEN)
        yield from _claim_faults(volume, path)
    taken = set[str]()
    for name in CONTAINER_LISTS:
        for path, container in _listed(spec, f"spec.{name}"):
            yield from _named(container, path, taken)
            yield from _container_faults(container, path, volumes)
    for path, container in _listed(spec, "spec.containers"):
        if container.get("restartPolicy") is not None:
            yield Cause(f"{path}.restartPolicy", "may be set on init containers only", _FORBIDDEN)


def _claim_faults(volume: Obj, path: str) -> Iterator[Cause]:
    """What is wrong with the claim of a volume, or with what it shall be made of."""
    claim, ephemeral = volume.get("persistentVolumeClaim"), volume.get("ephemeral")
    if isinstance(claim, dict) and not claim.get("claimName"):
        yield Cause(f"{path}.persistentVolumeClaim.claimName", "is required", _REQUIRED)
    if isinstance(ephemeral, dict):
        spec, at = (ephemeral.get("volumeClaimTemplate") or {}).get("spec"), f"{path}.ephemeral.volumeClaimTemplate"
        if isinstance(spec, dict):
            yield from spec_faults(spec, f"{at}.spec")
        else:
            yield Cause(at, "is required, with the spec of the claim", _REQUIRED)


def _container_faults(container: Obj, path: str, volumes: set[str]) -> Iterator[Cause]:
    if not isinstance(container.get("image"), str) or not container["image"].strip():
        yield Cause(f"{path}.image", "is required", _REQUIRED)
    for key in ("command", "args"):
        value = container.get(key)
        if value is not None and not (isinstance(value, list) and all(isinstance(part, str) for part in value)):
            yield Cause(f"{path}.{key}", f"must be a list of strings, got {value!r}", "FieldValueTypeInvalid")
    yield from _one_of(container, path, "imagePullPolicy", _PULL_POLICIES)
    yield from _one_of(container, path, "terminationMessagePolicy", _MESSAGE_POLICIES)
    if path.startswith("spec.initContainers"):
        yield from _one_of(container, path, "restartPolicy", ("Always",))
    for at, variable in _listed(container, f"{path}.env", "env"):
        yield from _env_faults(variable, at)
    mounted = set[str]()
    for at, mount in _listed(container, f"{path}.volumeMounts", "volumeMounts"):
        yield from _mount_faults(mount, at, volumes, mounted)
    yield from _resource_faults(container.get("resources"), f"{path}.resources")


def _env_faults(variable: Obj, path: str) -> Iterator[Cause]:
    name = variable.get("name")
    if not isinstance(name, str) or not name:
        yield Cause(f"{path}.name", "is required", _REQUIRED)
    elif fault := names.env_name_fault(name):
        yield Cause(f"{path}.name", fault)
    value = variable.get("value")
    if value is not None and not isinstance(value, str):
        yield Cause(f"{path}.value", f"must be a string, got {value!r}: put it in quotes", "FieldValueTypeInvalid")
    if isinstance(source := variable.get("valueFrom"), dict):
        yield from downward.variable_faults(source, f"{path}.valueFrom")
    if value and variable.get("valueFrom"):
        yield Cause(f"{path}.valueFrom", "may not be set together with value", _FORBIDDEN)


def _mount_faults(mount: Obj, path: str, volumes: set[str], mounted: set[str]) -> Iterator[Cause]:
    name, target = mount.get("name"), mount.get("mountPath")
    if not name:
        yield Cause(f"{path}.name", "is required", _REQUIRED)
    elif name not in volumes:
        yield Cause(f"{path}.name", f"names no volume of spec.volumes: {name!r}", _NOT_FOUND)
    if not isinstance(target, str) or not target:
        yield Cause(f"{path}.mountPath", "is required", _REQUIRED)
    elif target in mounted:
        yield Cause(f"{path}.mountPath", f"must be unique, {target!r} is there twice", _DUPLICATE)
    else:
        mounted.add(target)
    inner = mount.get("subPath") or ""
    if isinstance(inner, str) and (inner.startswith("/") or ".." in inner.split("/")):
        yield Cause(f"{path}.subPath", f"must be a path inside the volume, got {inner!r}")


def _resource_faults(resources: Any, path: str) -> Iterator[Cause]:
    if not resources:
        return
    if not isinstance(resources, dict):
        yield Cause(path, f"must be an object with requests and limits, got {resources!r}", "FieldValueTypeInvalid")
        return
    for part in ("requests", "limits"):
        for name, value in (resources.get(part) or {}).items():
            if fault := quantities.fault(value):
                yield Cause(f"{path}.{part}[{name}]", fault)
    limits = resources.get("limits") or {}
    for name, value in (resources.get("requests") or {}).items():
        limit = limits.get(name)
        if limit is None or quantities.fault(value) or quantities.fault(limit):
            continue
        if quantities.parse(value) > quantities.parse(limit):
            yield Cause(f"{path}.requests[{name}]", f"must be at most the limit, {limit}, got {value}")


# What may change in the spec of a Pod that exists; everything else is fixed when it is created.
_MUTABLE = frozenset({"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName", "schedulingGates"})


def _change_faults(new: Obj, old: Obj) -> Iterator[Cause]:
    for key in sorted({*new, *old} - _MUTABLE):
        before, after = old.get(key), new.get(key)
        if key in CONTAINER_LISTS:
            before, after = _without_image(before), _without_image(after)
        if before != after:
            message = f"may not be changed: a Pod's {key} is fixed when it is created. Delete the Pod and create it anew"
            yield Cause(f"spec.{key}", message, _FORBIDDEN)
    if old.get("nodeName") and old.get("nodeName") != new.get("nodeName"):
        yield Cause("spec.nodeName", f"may not be changed: the Pod is bound to {old['nodeName']!r}", _FORBIDDEN)


def _without_image(containers: Any) -> list[Obj]:
    return [{key: value for key, value in container.items() if key != "image"} for container in _dicts(containers)]


def _named(item: Obj, path: str, taken: set[str]) -> Iterator[Cause]:
    name = item.get("name")
    if not isinstance(name, str) or not name:
        yield Cause(f"{path}.name", "is required", _REQUIRED)
    elif fault := names.label_fault(name):
        yield Cause(f"{path}.name", fault)
    elif name in taken:
        yield Cause(f"{path}.name", f"must be unique, {name!r} is there twice", _DUPLICATE)
    else:
        taken.add(name)


def _one_of(owner: Obj, path: str, key: str, allowed: tuple[str, ...]) -> Iterator[Cause]:
    value = owner.get(key)
    if value is not None and value not in allowed:
        yield Cause(f"{path}.{key}", f"must be {' or '.join(allowed)}, got {value!r}", _UNSUPPORTED)


def _whole_number(owner: Obj, path: str, key: str, *, minimum: int) -> Iterator[Cause]:
    value = owner.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < minimum):
        yield Cause(f"{path}.{key}", f"must be a whole number >= {minimum}, got {value!r}")


def _listed(owner: Obj, path: str, key: str | None = None) -> Iterator[tuple[str, Obj]]:
    items: Any = owner.get(key or path.rpartition(".")[2])
    found: list[Any] = items if isinstance(items, list) else []
    for index, item in enumerate(found):
        yield f"{path}[{index}]", item if isinstance(item, dict) else {}


def _dicts(items: Any) -> list[Obj]:
    found: list[Any] = items if isinstance(items, list) else []
    return [item for item in found if isinstance(item, dict)]
