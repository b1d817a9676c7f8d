"""Values between JSON and a function's annotations, in both directions."""

from __future__ import annotations

import json
import math
from typing import Any, Dict, Tuple

from .errors import StepError
from .shapes import type_name, without_none

_JSON_TYPES: Dict[Any, Tuple[type, ...]] = {
    int: (int,),
    float: (float, int),
    str: (str,),
    bool: (bool,),
    list: (list,),
    dict: (dict,),
}


def argument(name: str, value: Any, annotation: Any) -> Any:
    """Make what the function is called with from a JSON value.

    The hub has checked the value against the declaration; what is left is what JSON cannot say (3.0 for an int) and values
    that were text on their way.

    Raises:
        StepError: The value cannot be made into the annotated type.
    """
    inner, _ = without_none(annotation)
    if value is None:
        return None
    if type(inner).__name__ in ("_UnionGenericAlias", "UnionType", "Union"):
        return value
    if hasattr(inner, "model_validate") or hasattr(inner, "parse_obj"):
        return _model(name, value, inner)
    base = _base(inner)
    try:
        return _CONVERT[base](value) if base in _CONVERT else value
    except (ValueError, TypeError, OverflowError) as error:
        raise StepError(
            f"input {name!r}: {value!r} ({type(value).__name__}) is not {_a(annotation)}, as the function's annotation "
            "says. Give another value, or change the annotation.",
            "InputInvalid",
        ) from error


def result(name: str, value: Any, annotation: Any) -> Any:
    """Check a returned value against its annotation and make it JSON.

    Raises:
        StepError: It is of another type; names the output and both types.
    """
    inner, optional = without_none(annotation)
    if value is None and (optional or annotation is None):
        return None
    base = _base(inner)
    plain = _plain(value, base)
    allowed = _JSON_TYPES.get(base)
    if allowed and (not isinstance(plain, allowed) or (isinstance(plain, bool) and base is not bool)):
        raise StepError(
            f"output {name!r}: the function returned {_brief(value)} of type {type(value).__name__}, but it is declared as "
            f"{type_name(annotation)}. Return {_a(inner)}, or change the annotation.",
            "OutputInvalid",
        )
    if base is float and isinstance(plain, int):
        plain = float(plain)
    return check_json(name, plain)


def from_text(name: str, text: str, annotation: Any) -> Any:
    """Read what a function wrote to the file of an output parameter.

    Args:
        name: The output's.
        text: The file's content.
        annotation: The type inside ``OutputPath(…)``: a class, its name, or None for text.

    Raises:
        StepError: The text is no value of that type.
    """
    base = _NAMES.get(annotation, _base(annotation)) if isinstance(annotation, str) else _base(annotation)
    if base not in (int, float, bool, list, dict):
        return text
    try:
        return check_json(name, _CONVERT[base](text.strip()))
    except (ValueError, TypeError, OverflowError) as error:
        raise StepError(
            f"output {name!r}: its file holds {_brief(text)}, which is not {_a(base)}, as it is declared. "
            f"Write {_a(base)}, or change the type in OutputPath(…).",
            "OutputInvalid",
        ) from error


def check_json(name: str, value: Any) -> Any:
    """Return `value` when JSON can say it.

    Raises:
        StepError: It cannot; says why.
    """
    kind = type(value)
    if kind is int or kind is str or kind is bool or value is None or (kind is float and math.isfinite(value)):
        return value
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StepError(
            f"output {name!r}: {_brief(value)} cannot be recorded as a parameter: {error}. "
            "Parameters are JSON: text, finite numbers, booleans, lists and dicts of them. Write anything else to an artifact.",
            "OutputInvalid",
        ) from error
    return value


def _plain(value: Any, base: Any) -> Any:
    """Scalars of numpy and its kin are meant as the number that they are, models of pydantic as their fields."""
    if isinstance(value, (int, float, str, bool, list, dict)) or value is None:
        return value
    if hasattr(type(value), "model_validate"):
        return value.model_dump(mode="json")
    if hasattr(type(value), "parse_obj"):
        return json.loads(value.json())
    if base in (int, float, bool, None) and callable(getattr(value, "item", None)) and getattr(value, "ndim", 0) == 0:
        return value.item()
    return value


def _model(name: str, value: Any, cls: Any) -> Any:
    """A model of pydantic, of either of its versions, from its fields."""
    try:
        return cls.model_validate(value) if hasattr(cls, "model_validate") else cls.parse_obj(value)
    except ValueError as error:
        raise StepError(f"input {name!r} is no {cls.__name__}: {error}", "InputInvalid") from error


def _to_int(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("has a fraction")
    return value if isinstance(value, int) else int(value)


def _to_float(value: Any) -> float:
    return float(value)


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text not in ("true", "false", "1", "0", "1.0", "0.0"):
        raise ValueError("is neither true nor false")
    return text in ("true", "1", "1.0")


def _to_str(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _to_list(value: Any) -> Any:
    return _structure(value, list)


def _to_dict(value: Any) -> Any:
    return _structure(value, dict)


def _structure(value: Any, kind: type) -> Any:
    made = json.loads(value) if isinstance(value, str) else value
    if not isinstance(made, kind):
        raise TypeError(f"is not a {kind.__name__}")
    return made


_CONVERT = {int: _to_int, float: _to_float, bool: _to_bool, str: _to_str, list: _to_list, dict: _to_dict}
_NAMES = {
    "Integer": int, "int": int, "Float": float, "Double": float, "float": float, "Bool": bool, "Boolean": bool, "bool": bool,
    "List": list, "JsonArray": list, "list": list, "Dict": dict, "JsonObject": dict, "dict": dict, "String": str, "str": str,
}  # fmt: skip


def _base(annotation: Any) -> Any:
    """``list`` of ``List[int]``, and so on; other annotations stay."""
    origin = getattr(annotation, "__origin__", None)
    found = origin if origin in (list, dict) else annotation
    return found if isinstance(found, type) else None


def _a(annotation: Any) -> str:
    name = type_name(annotation)
    return f"an {name}" if name[:1] in "aeiouAEIOU" else f"a {name}"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
