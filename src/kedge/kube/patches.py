"""The three ways to change parts of an object: JSON patch, merge patch, strategic merge patch.

All are pure: they take an object and return a new one that shares what did not change. `apply` chooses by the patch's type.
"""

from collections.abc import Mapping
from typing import Any, Literal

from kedge import errors
from kedge.kube import json_patch, strategic
from kedge.kube.go_values import json_type

PatchType = Literal["json", "merge", "strategic"]
CONTENT_TYPES: dict[str, PatchType] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
}


def apply(obj: Any, patch: Any, type: PatchType, merge_keys: Mapping[str, str] | None = None) -> Any:  # noqa: A002  # the API's own word
    """Change an object as a patch says.

    Args:
        obj: The object; not changed.
        patch: A list for ``json``, an object otherwise.
        type: Which language the patch is written in.
        merge_keys: `Kind.merge_keys`, for ``strategic``.

    Raises:
        BadRequest: The patch cannot be read.
        Invalid: It cannot be applied to this object.

    Examples:
        >>> apply({"a": 1, "b": 2}, {"b": None}, "merge")
        {'a': 1}
    """
    if type == "json":
        return json_patch.apply(obj, patch)
    if not isinstance(patch, dict):
        told = f"json: cannot unmarshal {json_type(patch)} into Go value of type map[string]interface {{}}"
        raise errors.BadRequest(f"error decoding patch: {told}" if type == "merge" else told)
    if type == "strategic":  # keys that are looked up when they are asked for are empty until then
        return strategic.apply(obj, patch, {} if merge_keys is None else merge_keys)
    return merge(obj, patch)


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: objects are merged, ``null`` removes, anything else replaces.

    Examples:
        >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"b": None}})
        {'a': {'c': 2}}
    """
    if not isinstance(patch, dict):
        return patch
    result: dict[str, Any] = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def diff(before: Any, after: Any) -> Any:
    """The smallest merge patch that turns one object into another; lists are replaced whole.

    Examples:
        >>> diff({"a": 1, "b": {"c": 2}}, {"b": {"c": 3}})
        {'a': None, 'b': {'c': 3}}
    """
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    changes: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        if key not in before:
            changes[key] = value
        elif before[key] != value or type(before[key]) is not type(value):
            changes[key] = diff(before[key], value)
    return changes
