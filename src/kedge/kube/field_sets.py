"""Sets of an object's fields, as ``metadata.managedFields`` holds them.

A set is its own JSON (``fieldsV1``): a tree of objects whose keys are steps of a path. ``f:name`` is a field, ``k:{"name":"a"}``
an item of a list by its keys, ``v:"a"`` one by its value. What an empty object stands behind is in the set; so is what holds the
mark ``.``, together with what stands beside that. A set that is handed out is shared: none is changed after it was made.

The format: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/ (FieldsV1).
"""

import json
from collections.abc import Iterator
from typing import Any

Set = dict[str, Any]
_HERE = "."
_encoder = json.JSONEncoder(separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def has(node: Set) -> bool:
    """Whether the path that led to this node is itself in the set."""
    return not node or _HERE in node


def node(children: Set, *, here: bool) -> Set | None:
    """A node of what stands below a path, and whether the path is in the set; ``None`` where neither is."""
    if not children:
        return {} if here else None
    return {_HERE: {}, **children} if here else children


def union(one: Set, other: Set) -> Set:
    """What is in one or the other.

    Examples:
        >>> union({"f:a": {"f:b": {}}}, {"f:a": {}})
        {'f:a': {'.': {}, 'f:b': {}}}
    """
    if not one or not other:
        return one or other
    result = dict(one)
    for step, there in other.items():
        mine = result.get(step)
        if mine is None:
            result[step] = there
        elif mine is not there and step != _HERE:
            found = node(union(_below(mine), _below(there)), here=has(mine) or has(there))
            result[step] = {} if found is None else found
    return result


def difference(one: Set, other: Set) -> Set:
    """What is in one and not in the other; a path says nothing of what stands below it.

    Examples:
        >>> difference({"f:a": {".": {}, "f:b": {}}}, {"f:a": {}})
        {'f:a': {'f:b': {}}}
    """
    if not other:
        return one
    result: Set = {}
    for step, mine in one.items():
        there = other.get(step)
        if there is None:
            result[step] = mine
        elif step != _HERE:
            found = node(difference(_below(mine), _below(there)), here=has(mine) and not has(there))
            if found is not None:
                result[step] = found
    return result


def intersection(one: Set, other: Set) -> Set:
    """What is in both.

    Examples:
        >>> intersection({"f:a": {}, "f:b": {}}, {"f:b": {}, "f:c": {}})
        {'f:b': {}}
    """
    result: Set = {}
    for step, mine in one.items():
        there = other.get(step)
        if there is None or step == _HERE:
            continue
        found = node(intersection(_below(mine), _below(there)), here=has(mine) and has(there))
        if found is not None:
            result[step] = found
    return result


def _below(node_: Set) -> Set:
    return {step: inner for step, inner in node_.items() if step != _HERE} if _HERE in node_ else node_


def ordered(one: Set) -> Set:
    """The same set with its steps in the order in which Kubernetes writes them."""
    return (
        {step: ordered(one[step]) if one[step] else {} for step in sorted(one)}
        if len(one) > 1
        else {step: ordered(inner) if inner else {} for step, inner in one.items()}
    )


def paths(one: Set, before: str = "") -> Iterator[str]:
    """Each path of a set, in words: ``.spec.containers[name="a"].image``.

    Examples:
        >>> list(paths({"f:l": {'k:{"name":"a"}': {".": {}, "f:v": {}}, 'v:1': {}}}))
        ['.l[=1]', '.l[name="a"]', '.l[name="a"].v']
    """
    steps = sorted(step for step in one if step != _HERE)
    told = {step: before + _spelt(step) for step in steps}
    for step in steps:
        if has(one[step]) and not _below(one[step]):
            yield told[step]
    for step in steps:
        if inner := _below(one[step]):
            if has(one[step]):
                yield told[step]
            yield from paths(inner, told[step])


def _spelt(step: str) -> str:
    kind, _, rest = step.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "k":
        return f"[{','.join(f'{name}={compact(value)}' for name, value in json.loads(rest).items())}]"
    return f"[={rest}]" if kind == "v" else f"[{rest}]"


def compact(value: Any) -> str:
    """JSON without spaces, keys in order: equal values are equal texts."""
    return _encoder.encode(value)
