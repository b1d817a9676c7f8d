"""Parameter values: whether one fits its declared type, and how it reads as text.

Whole numbers stay whole: upstream sends every number as a double and so hands ``11.0`` to a step that wants ``11``.
"""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from kedge.pipelines.spec import InputParameter, ParameterType

_NAMES = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
    type(None): "null",
}
_WANTED = {
    ParameterType.DOUBLE: "a number",
    ParameterType.INTEGER: "an integer",
    ParameterType.STRING: "text",
    ParameterType.BOOLEAN: "true or false",
    ParameterType.LIST: "a list",
    ParameterType.STRUCT: "a mapping",
    ParameterType.TASK_FINAL_STATUS: "a task's final status",
    ParameterType.TASK_CONFIG: "a task's configuration",
}
# Whole doubles beyond this have no exact integer; they are written as doubles.
_EXACT = 2**53
_TEXT_TYPES = frozenset(
    {ParameterType.DOUBLE, ParameterType.INTEGER, ParameterType.BOOLEAN, ParameterType.LIST, ParameterType.STRUCT}
)
_EXAMPLES = {
    ParameterType.INTEGER: "5",
    ParameterType.DOUBLE: "0.5",
    ParameterType.BOOLEAN: "true",
    ParameterType.LIST: "[1, 2]",
    ParameterType.STRUCT: '{"a": 1}',
}


# Nesting beyond this is no data that a step would pass on; it would exhaust the stack of whoever writes it as JSON.
MAX_DEPTH = 100


class MismatchError(Exception):
    """A value that does not fit; the message says what was wanted, what came, and what would fit. Callers say where."""


def as_text(value: Any) -> str:
    """Write a value as it appears in a command line or in text around it.

    Examples:
        >>> [as_text(v) for v in (11.0, 0.1, True, "a", [1, "b"], None)]
        ['11', '0.1', 'true', 'a', '[1,"b"]', 'null']
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return str(int(value))
    if type(value) is float or type(value) is int:
        return repr(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))  # the standard library's takes integers of any size


def shown(value: Any) -> str:
    """A value for a person: what it is, cut short."""
    text = as_text(value)
    text = text if len(text) <= 60 else text[:57] + "…"
    name = _NAMES.get(type(value), type(value).__name__)
    return name if value is None else f"{name} ({text})"


def conform(value: Any, kind: ParameterType, *, parse: bool = False) -> Any:
    """Make a value fit a type without losing anything.

    Args:
        value: A JSON value that is not null.
        kind: The declared type.
        parse: Also take text that spells a value of the type: an item of a list of unknown type arrives as text.

    Returns:
        The value; numbers as the type's own kind of number, anything as text where text is wanted.

    Raises:
        MismatchError: It does not fit.

    Examples:
        >>> conform(3.0, ParameterType.INTEGER), conform(3, ParameterType.DOUBLE), conform([1], ParameterType.STRING)
        (3, 3.0, '[1]')
    """
    if kind is ParameterType.STRING:
        return as_text(value)
    fits, result = _fit(value, kind)
    if fits:
        return result
    if parse and isinstance(value, str) and kind in _TEXT_TYPES:
        try:
            fits, result = _fit(msgspec.json.decode(value), kind)
        except (msgspec.DecodeError, RecursionError):
            fits = False
        if fits:
            return result
    hint = f" (such as {_EXAMPLES[kind]})" if kind in _EXAMPLES else ""
    raise MismatchError(f"expected {_WANTED[kind]}{hint}, got {shown(value)}")


def _fit(value: Any, kind: ParameterType) -> tuple[bool, Any]:  # noqa: PLR0911  # one line for each type
    if kind is ParameterType.BOOLEAN:
        return isinstance(value, bool), value
    if kind is ParameterType.LIST:
        return isinstance(value, list), value
    if kind is ParameterType.STRUCT or kind is ParameterType.TASK_FINAL_STATUS or kind is ParameterType.TASK_CONFIG:
        return isinstance(value, dict), value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False, value
    if kind is ParameterType.DOUBLE:
        return True, _as_float(value)
    if isinstance(value, int):
        return True, value
    return value.is_integer(), int(value) if value.is_integer() else value


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise MismatchError("expected a number, got an integer too large for one") from error


def conform_input(value: Any, definition: InputParameter) -> Any:
    """Make a value fit an input's declaration: its type, and its literals if it has any.

    Raises:
        MismatchError: It does not fit.
    """
    fitted = conform(value, definition.kind, parse=True)
    if definition.literals and not any(same(fitted, literal) for literal in definition.literals):
        allowed = ", ".join(as_text(literal) for literal in definition.literals)
        raise MismatchError(f"expected one of {allowed}, got {shown(value)}")
    return fitted


def is_shallow(value: Any) -> bool:
    """Whether a JSON value nests no deeper than `MAX_DEPTH`."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level if isinstance(outer, dict | list) for inner in _inside(outer)]
        if not level:
            return True
    return False


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: ``true`` is not ``1``, ``1`` is ``1.0``."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return left == right
