"""A CustomResourceDefinition's kinds, as the table of kinds has them: one for each version that is served."""

from collections.abc import Mapping
from typing import Any

from kedge.errors import Cause
from kedge.kube.faults import invalid, shown
from kedge.kube.kinds import VERBS, Column, Kind, Obj, Scale
from kedge.kube.structural import paths, rules, shaping, values
from kedge.kube.structural.values import Schema
from kedge.kube.versions import version_order

_NIL = Cause(
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to "
    "complete validation",
)
_BLOCKING = frozenset(
    {"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"}
)
# What is left of a kind whose definition is being deleted.
_LEAVING = tuple(verb for verb in VERBS if verb != "create")


def condition(definition: Obj, name: str) -> bool:
    """Whether a condition of a definition is True."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == name and each.get("status") == "True" for each in conditions)


def kinds_of(definition: Obj) -> tuple[Kind, ...]:
    """The kinds that a definition adds, its storage version first; none before its names are accepted."""
    if not condition(definition, "Established"):
        return ()
    versions = [each for each in definition["spec"]["versions"] if each.get("served")]
    return tuple(_kind(definition, each) for each in sorted(versions, key=lambda each: not each.get("storage")))


def _kind(definition: Obj, version: Obj) -> Kind:
    spec: Obj = definition["spec"]
    own: Obj = spec["names"] | (definition.get("status") or {}).get("acceptedNames", {})
    schema: Schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    subresources: Obj = version.get("subresources") or {}
    columns = version.get("additionalPrinterColumns")
    found = subresources.get("scale")
    scale = None
    if found is not None:
        selector = found.get("labelSelectorPath") or ""
        scale = Scale(paths.fields(found["specReplicasPath"]), paths.fields(found["statusReplicasPath"]), paths.fields(selector))
    meant = Rules(schema, scale)
    return Kind(
        own["kind"],
        own["plural"],
        group=spec["group"],
        version=version["name"],
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(own.get("shortNames") or ()),
        categories=tuple(own.get("categories") or ()),
        singular=own.get("singular") or "",
        subresources=tuple(name for name in ("status", "scale") if subresources.get(name) is not None),
        verbs=_LEAVING if condition(definition, "Terminating") else VERBS,
        schema=_told(schema),
        field_selectors=tuple(each["jsonPath"].removeprefix(".") for each in version.get("selectableFields") or ()),
        default=meant.complete,
        validate=meant.faults,
        prune=meant.prune,
        columns=tuple(_column(each) for each in columns or ()),
        aged=columns is None or columns == [],
        scale=scale,
        structural=True,
        storage=next(each["name"] for each in spec["versions"] if each.get("storage")),
        deprecated=_deprecation(definition, version),
    )


def _deprecation(definition: Obj, version: Obj) -> str:
    """What clients of a version are warned with: the definition's own words, else which newer version there is."""
    if not version.get("deprecated"):
        return ""
    spec, mine = definition["spec"], version["name"]
    group, kind = spec["group"], spec["names"]["kind"]
    others = (each["name"] for each in spec["versions"] if each.get("served") and not each.get("deprecated"))
    newer = sorted((name for name in others if version_order(name) < version_order(mine)), key=version_order)
    told = f"{group}/{mine} {kind} is deprecated" + (f"; use {group}/{newer[0]} {kind}" if newer else "")
    return version.get("deprecationWarning") or told


def _told(schema: Schema) -> Schema:
    """The schema as clients are told it: what validation alone reads is said by the server."""
    return {**schema, "properties": {key: each for key, each in (schema.get("properties") or {}).items() if key not in _EVERY}}


_MAX_INT32 = (1 << 31) - 1
_EVERY = frozenset({"apiVersion", "kind", "metadata"})


class Rules:
    """What a version's schema means for an object.

    Args:
        schema: Structural.
        scale: Of the version.
    """

    def __init__(self, schema: Schema, scale: Scale | None) -> None:
        self._schema, self._scale = schema, scale
        self._ruled = _has_rules(schema)

    def prune(self, obj: Obj) -> list[str]:
        """Take out, in place, what the schema does not know."""
        return shaping.prune(self._schema, obj, root=True)

    def complete(self, obj: Obj) -> None:
        """Fill in defaults, in place."""
        parts = {key: each for key, each in (self._schema.get("properties") or {}).items() if key not in _EVERY}
        shaping.complete({**self._schema, "properties": parts}, obj)

    def faults(self, new: Obj, old: Obj | None) -> list[Cause]:
        """What is wrong with an object."""
        before: Any = values.NOTHING if old is None else old
        found = values.faults(self._schema, _bare(new), "", before if old is None else _bare(old))
        found += self._numbers(new)
        found += values.list_faults(self._schema, new, "") if not found else ()
        if not self._ruled:
            return found
        if any(each.reason in _BLOCKING for each in found):
            return [*found, _NIL]
        return [*found, *rules.broken(self._schema, new, before)]

    def _numbers(self, obj: Obj) -> list[Cause]:
        """What keeps the scale subresource from being read: the number that is asked for must be one."""
        if self._scale is None:
            return []
        place, value, wanted = "." + ".".join(self._scale.wanted), obj, "int64"
        for key in self._scale.wanted:
            if not isinstance(value, dict):
                wanted = "map[string]interface{}"
                break
            if key not in value:
                return []
            value = value[key]
        if isinstance(value, bool) or not isinstance(value, int):
            why = f"{place} accessor error: {_go(value)} is of the type {_go_type(value)}, expected {wanted}"
            return [invalid(place, 0, why)]
        why = "should be a non-negative integer" if value < 0 else f"should be less than or equal to {_MAX_INT32}"
        return [] if 0 <= value <= _MAX_INT32 else [invalid(place, value, why)]


def _bare(obj: Obj) -> Obj:
    """An object without what is checked elsewhere."""
    return {key: value for key, value in obj.items() if key != "metadata"} | {"metadata": {}}


def _go(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "[" + " ".join(map(_go, value)) + "]" if isinstance(value, list) else str(value)


def _go_type(value: Any) -> str:
    names = ((bool, "bool"), (int, "int64"), (float, "float64"), (str, "string"), (list, "[]interface {}"))
    return next((name for kind, name in names if isinstance(value, kind)), "map[string]interface {}")


def _has_rules(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return False
    inner = [*(schema.get("properties") or {}).values(), schema.get("additionalProperties"), schema.get("items")]
    return bool(schema.get(rules.RULES)) or any(map(_has_rules, inner))


def _column(column: Obj) -> Column:
    kind, where = column.get("type", "string"), column["jsonPath"]
    try:
        path = paths.parse(where)
    except paths.PathError:
        path = None

    def cell(obj: Obj) -> Any:
        found = path.find(obj) if path is not None else []
        return _cell(kind, found[0]) if found else None

    told = column.get("description") or f"Custom resource definition column (in JSONPath format): {where}"
    return Column(column["name"], cell, kind, int(column.get("priority") or 0), told, where)


def _cell(kind: str, value: Any) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "integer":
        return int(value) if is_number else None
    if kind == "number":
        return value if is_number else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind == "date":
        return value if isinstance(value, str) else None
    if value is None or isinstance(value, str):
        return value
    return shown(value)
