"""The rules of the fields that say where Pods may run: a node's taints, a Pod's selector, affinity and tolerations."""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import names
from kedge.kube.kinds import Obj

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_VALUED = frozenset({"In", "NotIn"})
_BARE = frozenset({"Exists", "DoesNotExist"})
_NUMERIC = frozenset({"Gt", "Lt"})
_MISSING = "FieldValueRequired"
_UNKNOWN = "FieldValueNotSupported"
_WRONG_TYPE = "FieldValueTypeInvalid"


def validate_node(node: Obj, old: Obj | None) -> list[Cause]:
    """Name each field of a Node that breaks a rule."""
    del old
    spec = node.setdefault("spec", {})
    if not isinstance(spec, dict):
        return [Cause("spec", "must be an object", _WRONG_TYPE)]
    causes: list[Cause] = []
    seen = set[tuple[Any, Any]]()
    for path, taint in _objects(spec, "taints", "spec", causes):
        causes += _key_faults(taint, path)
        causes += _value_faults(taint, path)
        if taint.get("effect") not in _EFFECTS:
            causes.append(Cause(f"{path}.effect", f"must be {' or '.join(_EFFECTS)}, got {taint.get('effect')!r}", _UNKNOWN))
        if (which := (taint.get("key"), taint.get("effect"))) in seen:
            causes.append(Cause(path, f"is there twice: {which[0]}:{which[1]}", "FieldValueDuplicate"))
        seen.add(which)
    return causes


def pod_faults(spec: Obj) -> Iterator[Cause]:
    """Name each of these fields of a Pod's spec that breaks a rule."""
    for key, value in _mapping(spec, "nodeSelector").items():
        if fault := names.qualified_fault(key) or ("" if isinstance(value, str) else f"must be a string, got {value!r}"):
            yield Cause(f"spec.nodeSelector[{key}]", fault)
    causes: list[Cause] = []
    for path, toleration in _objects(spec, "tolerations", "spec", causes):
        causes += _toleration_faults(toleration, path)
    affinity = _mapping(spec, "affinity")
    _check_nodes(_mapping(affinity, "nodeAffinity"), causes)
    for kind in ("podAffinity", "podAntiAffinity"):
        _check_pods(_mapping(affinity, kind), f"spec.affinity.{kind}", causes)
    yield from causes


def _check_nodes(affinity: Obj, causes: list[Cause]) -> None:
    where = f"spec.affinity.nodeAffinity.{REQUIRED}"
    for path, term in _objects(_mapping(affinity, REQUIRED), "nodeSelectorTerms", where, causes):
        for part in ("matchExpressions", "matchFields"):
            for at, expression in _objects(term, part, path, causes):
                causes += _expression_faults(expression, at, fields=part == "matchFields")


def _check_pods(affinity: Obj, where: str, causes: list[Cause]) -> None:
    for path, term in _objects(affinity, REQUIRED, where, causes):
        if not isinstance(term.get("topologyKey"), str) or not term["topologyKey"]:
            causes.append(Cause(f"{path}.topologyKey", "is required: the label of nodes that says what is near", _MISSING))
        for selector in ("labelSelector", "namespaceSelector"):
            for at, expression in _objects(_mapping(term, selector), "matchExpressions", f"{path}.{selector}", causes):
                causes += _expression_faults(expression, at, labels=True)


def _toleration_faults(toleration: Obj, path: str) -> Iterator[Cause]:
    operator, key = toleration.get("operator") or "Equal", toleration.get("key")
    if key:
        yield from _key_faults(toleration, path)
    elif operator != "Exists":
        yield Cause(f"{path}.operator", "must be Exists where no key is named: it tolerates every taint")
    if operator not in {"Exists", "Equal", *_NUMERIC}:
        yield Cause(f"{path}.operator", f"must be Equal or Exists, got {operator!r}", _UNKNOWN)
    if operator == "Exists" and toleration.get("value"):
        yield Cause(f"{path}.value", "must be empty where the operator is Exists")
    if (effect := toleration.get("effect")) and effect not in _EFFECTS:
        yield Cause(f"{path}.effect", f"must be {' or '.join(_EFFECTS)}, or empty for all, got {effect!r}", _UNKNOWN)
    seconds = toleration.get("tolerationSeconds")
    if seconds is not None and toleration.get("effect") != "NoExecute":
        yield Cause(f"{path}.effect", "must be NoExecute where tolerationSeconds is given")


def _expression_faults(expression: Obj, path: str, *, fields: bool = False, labels: bool = False) -> Iterator[Cause]:
    operator, values = expression.get("operator"), expression.get("values") or []
    known = _VALUED if fields else _VALUED | _BARE if labels else _VALUED | _BARE | _NUMERIC
    if fields and expression.get("key") != "metadata.name":
        yield Cause(f"{path}.key", f"must be metadata.name, got {expression.get('key')!r}", _UNKNOWN)
    elif not fields:
        yield from _key_faults(expression, path)
    if operator not in known:
        yield Cause(f"{path}.operator", f"must be {' or '.join(sorted(known))}, got {operator!r}", _UNKNOWN)
    elif fields and len(values) != 1:
        yield Cause(f"{path}.values", "must be the name of one node", _MISSING)
    elif operator in _VALUED and not values:
        yield Cause(f"{path}.values", f"must name something where the operator is {operator}", _MISSING)
    elif operator in _BARE and values:
        yield Cause(f"{path}.values", f"must be empty where the operator is {operator}", "FieldValueForbidden")
    elif operator in _NUMERIC and len(values) != 1:
        yield Cause(f"{path}.values", f"must be one whole number where the operator is {operator}", _MISSING)


def _key_faults(owner: Obj, path: str) -> Iterator[Cause]:
    key = owner.get("key")
    if not isinstance(key, str) or not key:
        yield Cause(f"{path}.key", "is required", _MISSING)
    elif fault := names.qualified_fault(key):
        yield Cause(f"{path}.key", fault)


def _value_faults(owner: Obj, path: str) -> Iterator[Cause]:
    if (value := owner.get("value")) and (fault := names.label_value_fault(value)):
        yield Cause(f"{path}.value", fault)


def _mapping(owner: Obj, key: str) -> Obj:
    found = owner.get(key)
    return found if isinstance(found, dict) else {}


def _objects(owner: Obj, key: str, path: str, causes: list[Cause]) -> Iterator[tuple[str, Obj]]:
    """The objects of a list with their paths; what is none is a cause."""
    items: Any = owner.get(key)
    for index, item in enumerate(items if isinstance(items, list) else []):
        at = f"{path}.{key}[{index}]"
        if isinstance(item, dict):
            yield at, item
        else:
            causes.append(Cause(at, f"must be an object, got {item!r}", _WRONG_TYPE))
