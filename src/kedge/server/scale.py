"""The ``scale`` subresource: one number of an object, read and written as an ``autoscaling/v1`` Scale."""

from typing import Any

from kedge.errors import NotFound
from kedge.kube.faults import not_negative
from kedge.kube.kinds import Kind, Obj, Scale
from kedge.kube.schemas import CoreSchema
from kedge.kube.selectors import selector_text
from kedge.server import metadata
from kedge.server.accepting import accept
from kedge.server.core import Target, WriteOptions, require_name

SCALE = Kind("Scale", "scales", group="autoscaling", schema=CoreSchema("Scale"))
API_VERSION, KIND = SCALE.api_version, SCALE.kind


def scale_of(kind: Kind, obj: Obj) -> Obj:
    """What an object's scale is.

    Raises:
        NotFound: It has none, for it does not say how many there shall be.
    """
    paths = _paths(kind)
    wanted, found, selector = (_at(obj, path) for path in (paths.wanted, paths.found, paths.selector))
    selector = {"matchLabels": selector} if paths.by_labels else selector
    if wanted is None and kind.structural:
        raise NotFound(f"the spec replicas field {'.' + '.'.join(paths.wanted)!r} does not exist")
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    meta = {name: obj["metadata"][name] for name in kept if name in obj["metadata"]}
    spec: Obj = {"replicas": wanted} if wanted else {}  # no number is none, and the other way round
    status: Obj = {"replicas": found or 0}
    if text := selector if isinstance(selector, str) else selector_text(selector):
        status["selector"] = text
    return {"kind": KIND, "apiVersion": API_VERSION, "metadata": meta, "spec": spec, "status": status}


def wanted_of(kind: Kind, obj: Obj) -> int:
    """How many there shall be by an object, 0 where it does not say."""
    return _at(obj, _paths(kind).wanted) or 0


def scaled(target: Target, obj: Obj, scale: Any) -> Obj:
    """An object with the number that a Scale asks for.

    Args:
        target: What the request is about.
        obj: The object, the caller's own; changed.
        scale: As it came.

    Raises:
        BadRequest: It is not a Scale, or another object's.
        Invalid: The number is none.
    """
    given = accept(Target(SCALE, target.namespace, target.name), scale, WriteOptions(validation="Ignore"))
    require_name(target, given["metadata"].get("name"))
    spec: Obj = given.get("spec", {})
    if not target.kind.structural and (faults := list(not_negative(spec, "spec", "replicas"))):
        raise metadata.invalid(SCALE, target.name, faults)  # a user's own kind has its rules
    _put(obj, _paths(target.kind).wanted, spec.get("replicas", 0))
    obj["metadata"] |= {name: value for name, value in given["metadata"].items() if name in {"uid", "resourceVersion"} and value}
    return obj


def applied_part(kind: Kind, live: Obj, config: Obj) -> tuple[Obj, Obj]:
    """An object as it is, and what of it a Scale that is applied names.

    Args:
        kind: The object's.
        live: The object, the caller's own; changed: as a Scale has no number for none at all, whoever names that changes it.
        config: The Scale.
    """
    path = _paths(kind).wanted
    if not _at(live, path):
        *parents, last = path
        (_at(live, tuple(parents)) or {}).pop(last, None)
    part: Obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}}
    if (wanted := _at(config, ("spec", "replicas"))) is not None:
        _put(part, path, wanted)
    return live, part


def _put(obj: Obj, path: tuple[str, ...], value: int) -> None:
    *parents, last = path
    for name in parents:
        obj = obj.setdefault(name, {})
    obj[last] = value


def _paths(kind: Kind) -> Scale:
    if kind.scale is None:
        raise NotFound(f"{kind.plural}/scale: nothing of {kind.resource} is scaled.")
    return kind.scale


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj if path else None
