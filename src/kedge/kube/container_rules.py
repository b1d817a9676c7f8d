"""The rules of containers: their names, images, ports, variables, mounts and what each list of them may have."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kedge.errors import Cause
from kedge.kube import downward, faults, probes, security_rules
from kedge.kube.kinds import Obj
from kedge.kube.resource_rules import requirement_faults
from kedge.kube.volume_paths import key_faults

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_VARIABLE = re.compile("[ -<>-~]+")
_VARIABLE_RULE = "a valid environment variable name must consist only of printable ASCII characters other than '='"
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
_NOT_OF_EPHEMERAL = (
    "ports",
    "resources",
    "resizePolicy",
    "lifecycle",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "restartPolicy",
)
Volumes = Mapping[str, Obj]


def faults_of(spec: Obj, volumes: Volumes, path: str) -> Iterator[Cause]:
    """What is wrong with the containers of a Pod.

    Args:
        spec: The Pod's spec.
        volumes: Its volumes that are right, by name.
        path: Where the spec stands.
    """
    main = [each for _, each in faults.objects(spec.get("containers"))]
    if not main:
        yield faults.required(f"{path}.containers")
    yield from _main_faults(spec, main, volumes, f"{path}.containers")
    names = {each.get("name") for each in main}
    yield from _init_faults(spec, names, volumes, f"{path}.initContainers")
    names |= {each.get("name") for _, each in faults.objects(spec.get("initContainers"))}
    yield from _ephemeral_faults(spec, names, volumes, f"{path}.ephemeralContainers")
    if spec.get("hostNetwork"):
        yield from _host_network_faults(main, f"{path}.containers")


def _main_faults(spec: Obj, containers: list[Obj], volumes: Volumes, path: str) -> Iterator[Cause]:
    names = set[Any]()
    for index, container in enumerate(containers):
        at = f"{path}[{index}]"
        yield from _common_faults(spec, container, volumes, at)
        if (name := container.get("name")) in names:
            yield faults.duplicate(f"{at}.name", name)
        names.add(name)
        yield from probes.container_faults(container, at, lasting=True, grace=spec.get("terminationGracePeriodSeconds"))
        if container.get("restartPolicy") is not None:
            yield faults.forbidden(f"{at}.restartPolicy", "may not be set for non-init containers")
    yield from _host_port_faults(containers, path)


def _init_faults(spec: Obj, others: set[Any], volumes: Volumes, path: str) -> Iterator[Cause]:
    names = set(others)
    for index, container in faults.objects(spec.get("initContainers")):
        at = f"{path}[{index}]"
        yield from _common_faults(spec, container, volumes, at)
        yield from faults.one_of(container, "restartPolicy", at, ("Always",))
        if (name := container.get("name")) in names:
            yield faults.duplicate(f"{at}.name", name)
        elif name:
            names.add(name)
        yield from _host_port_faults([container], path)
        lasting = container.get("restartPolicy") == "Always"
        yield from probes.container_faults(container, at, lasting=lasting, grace=spec.get("terminationGracePeriodSeconds"))


def _ephemeral_faults(spec: Obj, others: set[Any], volumes: Volumes, path: str) -> Iterator[Cause]:
    names = set(others)
    for index, container in faults.objects(spec.get("ephemeralContainers")):
        at = f"{path}[{index}]"
        yield from _common_faults(spec, container, volumes, at)
        if (name := container.get("name")) in names:
            yield faults.duplicate(f"{at}.name", name)
        names.add(name)
        if (target := container.get("targetContainerName")) and target not in others:
            yield faults.not_found(f"{at}.targetContainerName", target)
        for key in _NOT_OF_EPHEMERAL:
            if container.get(key):
                yield faults.forbidden(f"{at}.{key}", "cannot be set for an Ephemeral Container")
        for place, mount in faults.objects(container.get("volumeMounts")):
            for key in ("subPath", "subPathExpr"):
                if mount.get(key):
                    yield faults.forbidden(f"{at}.volumeMounts[{place}].{key}", "cannot be set for an Ephemeral Container")


def _common_faults(spec: Obj, container: Obj, volumes: Volumes, at: str) -> Iterator[Cause]:
    if name := container.get("name"):
        yield from faults.label(f"{at}.name", name)
    else:
        yield faults.required(f"{at}.name")
    if not container.get("image"):
        yield faults.required(f"{at}.image")
    yield from faults.one_of(container, "terminationMessagePolicy", at, _MESSAGE_POLICIES)
    yield from _port_faults(container, f"{at}.ports")
    yield from _variable_faults(container, f"{at}.env")
    yield from _env_from_faults(container, f"{at}.envFrom")
    yield from _mount_faults(container, volumes, f"{at}.volumeMounts")
    yield from _device_faults(container, volumes, f"{at}.volumeDevices")
    yield from faults.one_of(container, "imagePullPolicy", at, _PULL_POLICIES)
    yield from requirement_faults(container.get("resources"), f"{at}.resources")
    own_users = spec.get("hostUsers") is False
    yield from security_rules.container_faults(container.get("securityContext"), f"{at}.securityContext", own_users=own_users)


# -- ports --------------------------------------------------------------------------------------------------------------


def _port_faults(container: Obj, path: str) -> Iterator[Cause]:
    names = set[str]()
    for index, port in faults.objects(container.get("ports")):
        at = f"{path}[{index}]"
        if name := port.get("name"):
            found = list(faults.port_name(f"{at}.name", name))
            yield from found
            if not found and name in names:
                yield faults.duplicate(f"{at}.name", name)
            names.add(name)
        if not port.get("containerPort"):
            yield faults.required(f"{at}.containerPort")
        else:
            yield from faults.port(f"{at}.containerPort", port["containerPort"])
        if port.get("hostPort"):
            yield from faults.port(f"{at}.hostPort", port["hostPort"])
        yield from faults.one_of(port, "protocol", at, faults.PROTOCOLS)


def _host_port_faults(containers: list[Obj], path: str) -> Iterator[Cause]:
    taken = set[str]()
    for place, container in enumerate(containers):
        for index, port in faults.objects(container.get("ports")):
            if not port.get("hostPort"):
                continue
            told = f"{port.get('protocol', 'TCP')}/{port.get('hostIP') or ''}/{port['hostPort']}"
            if told in taken:
                yield faults.duplicate(f"{path}[{place}].ports[{index}].hostPort", told)
            taken.add(told)


def _host_network_faults(containers: list[Obj], path: str) -> Iterator[Cause]:
    for place, container in enumerate(containers):
        for index, port in faults.objects(container.get("ports")):
            if (given := port.get("hostPort")) and given != port.get("containerPort"):
                why = "must match `containerPort` when `hostNetwork` is true"
                yield faults.invalid(f"{path}[{place}].ports[{index}].hostPort", given, why)


# -- variables ----------------------------------------------------------------------------------------------------------


def _variable_faults(container: Obj, path: str) -> Iterator[Cause]:
    for index, variable in faults.objects(container.get("env")):
        at = f"{path}[{index}]"
        if name := variable.get("name"):
            yield from _variable_name(f"{at}.name", name)
        else:
            yield faults.required(f"{at}.name")
        if (source := variable.get("valueFrom")) is not None:
            yield from _source_faults(variable, source, f"{at}.valueFrom")


def _variable_name(field: str, name: str) -> Iterator[Cause]:
    if not _VARIABLE.fullmatch(name):
        yield faults.invalid(field, name, _VARIABLE_RULE)


def _source_faults(variable: Obj, source: Obj, at: str) -> Iterator[Cause]:
    yield from downward.variable_faults(source, at)
    for key in ("configMapKeyRef", "secretKeyRef"):
        if (reference := source.get(key)) is not None:
            yield from faults.subdomain(f"{at}.{key}.name", reference.get("name") or "")
            if not (wanted := reference.get("key")):
                yield faults.required(f"{at}.{key}.key")
            else:
                yield from key_faults(f"{at}.{key}.key", wanted)
    given = sum(source.get(key) is not None for key in _SOURCES)
    if not given:
        why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield faults.invalid(at, "", why)
    elif variable.get("value"):
        yield faults.invalid(at, "", "may not be specified when `value` is not empty")
    elif given > 1:
        yield faults.invalid(at, "", "may not have more than one field specified at a time")


def _env_from_faults(container: Obj, path: str) -> Iterator[Cause]:
    for index, source in faults.objects(container.get("envFrom")):
        at = f"{path}[{index}]"
        if prefix := source.get("prefix"):
            yield from _variable_name(f"{at}.prefix", prefix)
        named = [key for key in ("configMapRef", "secretRef") if source.get(key) is not None]
        for key in named:
            if name := source[key].get("name"):
                yield from faults.subdomain(f"{at}.{key}.name", name)
            else:
                yield faults.required(f"{at}.{key}.name")
        if not named:
            yield faults.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(named) > 1:
            yield faults.invalid(path, "", "may not have more than one field specified at a time")


# -- mounts -------------------------------------------------------------------------------------------------------------


def _mount_faults(container: Obj, volumes: Volumes, path: str) -> Iterator[Cause]:
    mounted = set[str]()
    devices = {str(each.get("name")): each.get("devicePath") for _, each in faults.objects(container.get("volumeDevices"))}
    for index, mount in faults.objects(container.get("volumeMounts")):
        at = f"{path}[{index}]"
        name, target = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            yield faults.required(f"{at}.name")
        if name not in volumes:
            yield faults.not_found(f"{at}.name", name)
        if not target:
            yield faults.required(f"{at}.mountPath")
        if target in mounted:
            yield faults.invalid(f"{at}.mountPath", target, "must be unique")
        mounted.add(target)
        if name in devices:
            yield faults.invalid(f"{at}.name", name, "must not already exist in volumeDevices")
        if target in devices.values():
            yield faults.invalid(f"{at}.mountPath", target, "must not already exist as a path in volumeDevices")
        yield from _inner_faults(container, mount, volumes.get(name) or {}, path, at)


def _inner_faults(container: Obj, mount: Obj, volume: Obj, path: str, at: str) -> Iterator[Cause]:
    inner, expression = mount.get("subPath") or "", mount.get("subPathExpr") or ""
    if volume.get("image") is not None:
        for key, value in (("subPath", inner), ("subPathExpr", expression)):
            if value:
                yield faults.invalid(f"{at}.{key}", value, "not allowed in image volume sources")
    if inner:
        yield from faults.descending(f"{path}.subPath", inner)  # a real API server leaves the index out here
    if expression:
        if inner:
            yield faults.invalid(f"{at}.subPathExpr", expression, "subPathExpr and subPath are mutually exclusive")
        yield from faults.descending(f"{path}.subPathExpr", expression)
    propagation = mount.get("mountPropagation")
    if propagation is not None and propagation not in _PROPAGATIONS:
        yield faults.unsupported(f"{path}.mountPropagation", propagation, _PROPAGATIONS)
    elif propagation == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        why = "Bidirectional mount propagation is available only to privileged containers"
        yield faults.forbidden(f"{path}.mountPropagation", why)


def _device_faults(container: Obj, volumes: Volumes, path: str) -> Iterator[Cause]:
    names, places = set[str](), set[str]()
    for index, device in faults.objects(container.get("volumeDevices")):
        at = f"{path}[{index}]"
        name, place = device.get("name") or "", device.get("devicePath") or ""
        if not name:
            yield faults.required(f"{at}.name")
        if name in names:
            yield faults.invalid(f"{at}.name", name, "must be unique")
        names.add(name)
        if name not in volumes:
            yield faults.not_found(f"{at}.name", name)
        elif not {"persistentVolumeClaim", "ephemeral"} & set(volumes[name]):
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            yield faults.invalid(f"{at}.name", name, why)
        if not place:
            yield faults.required(f"{at}.devicePath")
        if place in places:
            yield faults.invalid(f"{at}.devicePath", place, "must be unique")
        places.add(place)
        if ".." in place.split("/"):
            yield faults.invalid(f"{at}.devicePath", place, "can not contain backsteps ('..')")
