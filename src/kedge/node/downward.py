"""The downward API: what a container is told of its Pod and of its resources, as variables and as files."""

import math
from collections.abc import Mapping

from kedge.kube import quantities
from kedge.kube.downward import AS_FILES, AS_VARIABLES, ENTRY
from kedge.kube.kinds import Obj
from kedge.node.objects import Objects
from kedge.node.refusals import Refusal

_ADDRESS = "127.0.0.1"
# As Go's %q writes them, in which Kubernetes has labels and annotations of a file.
_SHORT = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"'}
_ASCII, _BASIC = 0x7F, 0xFFFF


async def text_of(pod: Obj, source: Obj, objects: Objects, own: Obj | None = None) -> str:
    """The value of a ``fieldRef`` or a ``resourceFieldRef``.

    Args:
        pod: The Pod.
        source: What holds one of the two.
        objects: Reads the node, for limits that nobody has set.
        own: Whose resources are meant where no container is named.

    Raises:
        Refusal: The field is not one that the downward API has, or no container has that name.
    """
    if field := source.get("fieldRef"):
        return field_of(pod, field["fieldPath"])
    reference = source["resourceFieldRef"]
    name = reference.get("containerName")
    containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    owner = next((each for each in containers if each["name"] == name), None) if name else own
    if owner is None:
        raise Refusal(
            "UnsupportedField", f"resourceFieldRef.containerName: the Pod has no container {name!r}. Name one of its own."
        )
    return resource_of(owner, reference, await objects.allocatable(pod) if reference["resource"].startswith("limits.") else {})


def changes(source: Obj) -> bool:
    """Whether what a ``fieldRef`` or a ``resourceFieldRef`` tells of a Pod may change while it runs."""
    return ((source.get("fieldRef") or {}).get("fieldPath") or "").startswith(("metadata.labels", "metadata.annotations"))


def field_of(pod: Obj, path: str) -> str:
    """The value of a ``fieldRef``.

    Raises:
        Refusal: The field is not one that the downward API has.

    Examples:
        >>> field_of({"metadata": {"name": "x", "labels": {"a": "b"}}}, "metadata.labels['a']")
        'b'
    """
    meta, spec = pod["metadata"], pod.get("spec") or {}
    if match := ENTRY.fullmatch(path):
        return (meta.get(match.group(1)) or {}).get(match.group(2), "")
    if path in {"metadata.labels", "metadata.annotations"}:
        entries = meta.get(path.partition(".")[2]) or {}
        return "\n".join(f"{key}={quoted(value)}" for key, value in sorted(entries.items()))
    if path in {"status.podIP", "status.podIPs"}:
        return (pod.get("status") or {}).get("podIP") or _ADDRESS
    if path.startswith("status.") and path in AS_VARIABLES:
        return _ADDRESS
    simple = {
        **{f"metadata.{name}": meta.get(name) for name in ("name", "namespace", "uid")},
        "spec.nodeName": spec.get("nodeName"),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
    }
    if path not in simple:
        known = ", ".join(sorted({*AS_VARIABLES, *AS_FILES}))
        raise Refusal("UnsupportedField", f"fieldPath {path!r} is not one of the downward API: {known}.")
    return simple[path] or ""


def quoted(text: str) -> str:
    """A text in quotes, as Go's ``%q`` has it.

    Examples:
        >>> print(quoted("it is"))
        "it is"
    """
    return '"' + "".join(letter if letter == " " or letter.isalnum() else _escaped(letter) for letter in text) + '"'


def _escaped(letter: str) -> str:
    if letter in _SHORT:
        return _SHORT[letter]
    if letter.isprintable():
        return letter
    number = ord(letter)
    form = "\\x{:02x}" if number <= _ASCII else "\\u{:04x}" if number <= _BASIC else "\\U{:08x}"
    return form.format(number)


def resource_of(container: Obj, reference: Obj, allocatable: Mapping[str, str]) -> str:
    """The value of a ``resourceFieldRef``, divided by its divisor and rounded up.

    Args:
        container: Whose resource.
        reference: Which one.
        allocatable: What the node has, which is the limit of who has none; a request that nobody states is 0.

    Examples:
        >>> resource_of({"resources": {"limits": {"cpu": "1500m"}}}, {"resource": "limits.cpu"}, {"cpu": "4"})
        '2'
        >>> resource_of({}, {"resource": "limits.memory", "divisor": "1Mi"}, {"memory": "1Gi"})
        '1024'
    """
    section, _, resource = reference["resource"].partition(".")
    stated = ((container.get("resources") or {}).get(section) or {}).get(resource)
    if stated is None and section == "limits":
        stated = allocatable.get(resource)
    divisor = quantities.parse(reference.get("divisor") or 1) or 1
    return str(math.ceil(quantities.parse(stated or 0) / divisor))
