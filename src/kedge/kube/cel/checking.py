"""Finds what an expression can never mean: names and fields that are not there, functions that take other types."""

from collections.abc import Mapping, Sequence
from typing import Any

from kedge.kube.cel.signatures import OVERLOADS, Overload
from kedge.kube.cel.syntax import CelError, Node, Uint
from kedge.kube.cel.types import DYN, Kind, list_of, map_of, named, optional_of

_CONSTANTS: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (Uint, "uint"),
    (int, "int"),
    (float, "double"),
    (str, "string"),
    (bytes, "bytes"),
    (type(None), "null"),
)
_TYPE_NAMES = frozenset(["int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type", "optional_type"])
_NUMBERS = frozenset({"int", "uint", "double"})


def check(node: Node, names: Mapping[str, Kind]) -> Kind:
    """The type of an expression.

    Args:
        node: It.
        names: Types by name.

    Raises:
        CelError: It can have no value.
    """
    return _CHECKS[node.kind](node, names)


def _const(node: Node, names: Mapping[str, Kind]) -> Kind:
    del names
    return named(next(name for kind, name in _CONSTANTS if isinstance(node.value, kind)))


def _name(node: Node, names: Mapping[str, Kind]) -> Kind:
    if node.value in names:
        return names[node.value]
    if node.value in _TYPE_NAMES:
        return named("type")
    raise CelError(node.at, f"undeclared reference to '{node.value}' (in container '')")


def _field(kind: Kind, node: Node) -> Kind:
    if kind.name == "optional_type":
        return optional_of(_field(kind.parts[0], node))
    if kind.name == "map":
        return kind.parts[1]
    if kind.name == "dyn":
        return DYN
    if kind.fields is None:
        raise CelError(node.at, f"type '{kind}' does not support field selection")
    if node.value not in kind.fields:
        raise CelError(node.at, f"undefined field '{node.value}'")
    return kind.fields[node.value]


def _select(node: Node, names: Mapping[str, Kind]) -> Kind:
    found = _field(check(node.parts[0], names), node)
    return optional_of(found) if node.flags and node.flags[0] and found.name != "optional_type" else found


def _has(node: Node, names: Mapping[str, Kind]) -> Kind:
    _field(check(node.parts[0], names), node)
    return named("bool")


def _index(node: Node, names: Mapping[str, Kind]) -> Kind:
    target, key = (check(each, names) for each in node.parts)
    inner = target.parts[0] if target.name == "optional_type" else target
    if inner.name == "list" and key.name in {"int", "uint", "double", "dyn"}:
        found = inner.parts[0]
    elif inner.name == "map" and _fits(inner.parts[0], key, {}):
        found = inner.parts[1]
    elif inner.name == "dyn":
        found = DYN
    else:
        raise _no_overload(node.at, "_[_]", [target, key], member=False)
    return optional_of(found) if (node.flags and node.flags[0]) or target.name == "optional_type" else found


def _joined(kinds: Sequence[Kind]) -> Kind:
    """The type of what may be any of these."""
    if not kinds:
        return DYN
    return kinds[0] if all(each == kinds[0] for each in kinds) else DYN


def _list(node: Node, names: Mapping[str, Kind]) -> Kind:
    found = [check(each, names) for each in node.parts]
    inner = [
        each.parts[0] if optional and each.name == "optional_type" else each
        for each, optional in zip(found, node.flags, strict=True)
    ]
    return list_of(_joined(inner))


def _map(node: Node, names: Mapping[str, Kind]) -> Kind:
    keys = [check(each, names) for each in node.parts[::2]]
    values = [check(each, names) for each in node.parts[1::2]]
    inner = [
        each.parts[0] if optional and each.name == "optional_type" else each
        for each, optional in zip(values, node.flags, strict=True)
    ]
    return map_of(_joined(keys), _joined(inner))


def inside(node: Node, over: Kind, names: Mapping[str, Kind]) -> dict[str, Kind]:
    """The names that parts of a loop know: those around it, and its variables.

    Args:
        node: The loop.
        over: The type of what it runs over.
        names: Those around it.
    """
    if node.value in {"optMap", "optFlatMap"}:
        return {**names, node.flags[0]: over.parts[0] if over.name == "optional_type" else DYN}
    if over.name not in {"list", "map", "dyn"}:
        raise CelError(node.at, f"expression of type '{over}' cannot be range of a comprehension (must be list, map, or dynamic)")
    key, value = (named("int"), over.parts[0]) if over.name == "list" else over.parts if over.name == "map" else (DYN, DYN)
    if len(node.flags) == 2:
        return {**names, node.flags[0]: key, node.flags[1]: value}
    return {**names, node.flags[0]: value if over.name == "list" else key}


def _loop(node: Node, names: Mapping[str, Kind]) -> Kind:
    over, name = check(node.parts[0], names), str(node.value)
    inner = inside(node, over, names)
    if name in {"optMap", "optFlatMap"}:
        found = check(node.parts[1], inner)
        return optional_of(found) if name == "optMap" else found
    key = over.parts[0] if over.name == "map" else named("int") if over.name == "list" else DYN
    tests, last = node.parts[1:-1], node.parts[-1]
    if name in {"all", "exists", "exists_one", "existsOne", "filter"}:
        tests = [*tests, last]
    for each in tests:
        if (found := check(each, inner)).name not in {"bool", "dyn"}:
            raise _no_overload(each.at, "_?_:_" if name in {"map", "filter"} else "_&&_", [found], member=False)
    if name == "filter":
        return over if over.name == "list" else list_of(key)
    if name in {"map", "transformList"}:
        return list_of(check(last, inner))
    if name == "transformMap":
        return map_of(key, check(last, inner))
    return check(last, inner) if name == "transformMapEntry" else named("bool")


def _call(node: Node, names: Mapping[str, Kind]) -> Kind:
    name, parts = str(node.value), node.parts
    member = "member" in node.flags
    if member and parts[0].kind == "name" and parts[0].value not in names and f"{parts[0].value}.{name}" in OVERLOADS:
        name, parts, member = f"{parts[0].value}.{name}", parts[1:], False
    kinds = [check(each, names) for each in parts]
    if name == "_?_:_":
        if kinds[0].name not in {"bool", "dyn"} or not (_fits(kinds[1], kinds[2], {}) or _fits(kinds[2], kinds[1], {})):
            raise _no_overload(node.at, name, kinds, member=False)
        return _joined(kinds[1:])
    overloads = OVERLOADS.get(name)
    if overloads is None:
        raise CelError(node.at, f"undeclared reference to '{name}' (in container '')")
    for overload in overloads:
        if overload.member is not member:
            continue
        found = _result(overload, kinds)
        if found is not None:
            return found
    raise _no_overload(node.at, name, kinds, member=member)


def _result(overload: Overload, kinds: list[Kind]) -> Kind | None:
    if len(overload.parameters) != len(kinds):
        return None
    bound: dict[str, Kind] = {}
    if not all(_fits(wanted, given, bound) for wanted, given in zip(overload.parameters, kinds, strict=True)):
        return None
    return _filled(overload.result, bound)


def _fits(wanted: Kind, given: Kind, bound: dict[str, Kind]) -> bool:
    if wanted.name == "dyn" or given.name == "dyn":
        return True
    if len(wanted.name) == 1:  # a type that the call decides
        before = bound.setdefault(wanted.name, given)
        if before.name == "dyn":
            bound[wanted.name] = given
        return _fits(before, given, {}) if before is not given else True
    if "null" in {wanted.name, given.name} and wanted.name != given.name:
        return _nullable(wanted if given.name == "null" else given)
    if wanted.name != given.name or len(wanted.parts) != len(given.parts):
        return False
    return all(_fits(a, b, bound) for a, b in zip(wanted.parts, given.parts, strict=True))


def _nullable(kind: Kind) -> bool:
    return kind.fields is not None or kind.name in {"google.protobuf.Timestamp", "google.protobuf.Duration", "optional_type"}


def _filled(kind: Kind, bound: dict[str, Kind]) -> Kind:
    if len(kind.name) == 1:
        return bound.get(kind.name, DYN)
    return Kind(kind.name, tuple(_filled(each, bound) for each in kind.parts), kind.fields) if kind.parts else kind


def _no_overload(at: int, name: str, kinds: Sequence[Kind], *, member: bool) -> CelError:
    target, arguments = (str(kinds[0]) + ".", kinds[1:]) if member else ("", kinds)
    told = f"{target}({', '.join(map(str, arguments))})"
    return CelError(at, f"found no matching overload for '{name}' applied to '{told}'")


_CHECKS: dict[str, Any] = {
    "const": _const,
    "name": _name,
    "select": _select,
    "has": _has,
    "index": _index,
    "list": _list,
    "map": _map,
    "loop": _loop,
    "call": _call,
}
