"""The functions of expressions: those of the language, and of texts, lists, sets and optional values."""

import itertools
import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kedge.kube.cel.kubernetes import KUBERNETES
from kedge.kube.cel.syntax import Uint
from kedge.kube.cel.values import (
    MAX_INT,
    MIN_INT,
    Duration,
    EvaluationError,
    Opaque,
    Optional,
    Timestamp,
    Type,
    compare,
    equal,
    is_number,
    type_of,
    whole,
)
from kedge.kube.clock import parse_timestamp
from kedge.kube.structural.formats import go_duration
from kedge.kube.structural.regexes import PatternError, compiled

_SECOND = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017


def _want(value: Any, *kinds: type) -> Any:
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise EvaluationError("no such overload")
    return value


# --- conversions ------------------------------------------------------------------------------------------------------------


def _int(value: Any) -> int:
    if isinstance(value, Timestamp):
        return value.nanos // _SECOND
    if isinstance(value, Duration):
        return value.nanos // _SECOND
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?\d+", value, re.ASCII):
            raise EvaluationError(f'strconv.ParseInt: parsing "{value}": invalid syntax')
        return int(whole(int(value), like=0))
    if isinstance(value, Opaque):
        raise EvaluationError("no such overload")
    if isinstance(value, float):
        if not MIN_INT < value < MAX_INT:
            raise EvaluationError("integer overflow")
        return math.trunc(value)
    if not is_number(value):
        raise EvaluationError("no such overload")
    return int(whole(int(value), like=0))


def _uint(value: Any) -> Any:
    if isinstance(value, str):
        if not re.fullmatch(r"\+?\d+", value, re.ASCII):
            raise EvaluationError(f'strconv.ParseUint: parsing "{value}": invalid syntax')
        return whole(int(value), like=Uint(0))
    if not is_number(value):
        raise EvaluationError("no such overload")
    return whole(math.trunc(value), like=Uint(0))


def _double(value: Any) -> float:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError as error:
            raise EvaluationError(f'strconv.ParseFloat: parsing "{value}": invalid syntax') from error
    if not is_number(value):
        raise EvaluationError("no such overload")
    return float(value)


def _string(value: Any) -> str:
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value)
    raise EvaluationError("no such overload")


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from error


def _moment_text(value: Timestamp) -> str:
    text, rest = value.moment.strftime("%Y-%m-%dT%H:%M:%S"), value.nanos % _SECOND
    return f"{text}.{rest:09d}".rstrip("0") + "Z" if rest else f"{text}Z"


def _float_text(value: float) -> str:
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return re.sub(r"e([+-])(\d)$", r"e\g<1>0\2", repr(value))


_WRITERS: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (str, str),
    (bool, lambda value: str(value).lower()),
    (float, _float_text),
    (int, lambda value: str(int(value))),
    (bytes, _decoded),
    (Duration, lambda value: f"{_float_text(value.nanos / _SECOND)}s"),
    (Timestamp, _moment_text),
    (Opaque, lambda value: str(value.value)),
)


def _bool(value: Any) -> bool:
    words = {"1": True, "t": True, "T": True, "true": True, "True": True, "TRUE": True}
    words |= {"0": False, "f": False, "F": False, "false": False, "False": False, "FALSE": False}
    if isinstance(value, str) and value in words:
        return words[value]
    return bool(_want(value, bool))


def timestamp(text: Any) -> Timestamp:
    """A moment out of RFC 3339, or out of seconds.

    Raises:
        EvaluationError: It is none.
    """
    if isinstance(text, Timestamp):
        return text
    if isinstance(text, int) and not isinstance(text, bool):
        return Timestamp(text * _SECOND)
    given: str = _want(text, str)
    fraction = re.search(r"\.(\d{1,9})", given)
    try:
        moment = parse_timestamp(given.replace(fraction[0], "") if fraction else given)
    except ValueError as error:
        raise EvaluationError(f'parsing time "{text}": not RFC 3339') from error
    span = moment - _EPOCH
    return Timestamp((span.days * 86400 + span.seconds) * _SECOND + int((fraction[1] if fraction else "0").ljust(9, "0")))


def duration(text: Any) -> Duration:
    """A span out of Go's notation, or out of seconds.

    Raises:
        EvaluationError: It is none.
    """
    if isinstance(text, Duration):
        return text
    if isinstance(text, int) and not isinstance(text, bool):
        return Duration(text * _SECOND)
    try:
        return Duration(go_duration(_want(text, str)))
    except ValueError as error:
        raise EvaluationError(f'time: invalid duration "{text}"') from error


# --- times ------------------------------------------------------------------------------------------------------------------


def _zoned(value: Timestamp, zone: str) -> datetime:
    if found := re.fullmatch(r"([+-]?)(\d{2}):(\d{2})", zone):
        minutes = int(found[2]) * 60 + int(found[3])
        return value.moment.astimezone(timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes)))
    try:
        return value.moment.astimezone(ZoneInfo(zone or "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise EvaluationError(f"unknown time zone {zone}") from error


def _part(of_moment: Callable[[datetime], int], unit: int = 0) -> Callable[..., int]:
    def part(budget: Any, value: Any, zone: str = "UTC") -> int:
        del budget
        if isinstance(value, Duration) and unit:
            return int(value.nanos / unit)
        return of_moment(_zoned(_want(value, Timestamp), zone))

    return part


def _milliseconds(budget: Any, value: Any, zone: str = "UTC") -> int:
    del budget, zone
    return _want(value, Duration, Timestamp).nanos % _SECOND // 10**6


# --- texts ------------------------------------------------------------------------------------------------------------------


def _pattern(text: str) -> "re.Pattern[str]":
    try:
        return compiled(_want(text, str))
    except PatternError as error:
        raise EvaluationError(str(error)) from error


def _matches(budget: Any, text: str, pattern: str) -> bool:
    budget.take(len(_want(text, str)) // 10 * max(1, len(pattern) // 4))
    return _pattern(pattern).search(text) is not None


def _find_all(budget: Any, text: str, pattern: str, limit: int = -1) -> list[str]:
    budget.take(len(_want(text, str)))
    found = [each.group() for each in _pattern(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


def _find(budget: Any, text: str, pattern: str) -> str:
    budget.take(len(_want(text, str)))
    found = _pattern(pattern).search(text)
    return found.group() if found else ""


def _index_of(budget: Any, value: Any, wanted: Any, start: int = 0) -> int:
    if isinstance(value, list):
        budget.take(len(value))
        return next((index for index, each in enumerate(value) if equal(each, wanted)), -1)
    if not 0 <= start <= len(_want(value, str)):
        raise EvaluationError(f"index out of range: {start}")
    return value.find(_want(wanted, str), start)


def _last_index_of(budget: Any, value: Any, wanted: Any, start: int = -1) -> int:
    if isinstance(value, list):
        budget.take(len(value))
        return next((index for index in range(len(value) - 1, -1, -1) if equal(value[index], wanted)), -1)
    return _want(value, str).rfind(_want(wanted, str), 0, None if start < 0 else start + len(wanted))


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(_want(text, str)):
        raise EvaluationError(f"index out of range: {index}")
    return text[index : index + 1]


def _substring(text: str, start: int, end: int | None = None) -> str:
    size = len(_want(text, str))
    stop = size if end is None else end
    if not 0 <= start <= size or not 0 <= stop <= size or start > stop:
        raise EvaluationError(f"index out of range: {start if not 0 <= start <= size else stop}")
    return text[start:stop]


def _replace(budget: Any, text: str, old: str, new: str, count: int = -1) -> str:
    budget.take((len(_want(text, str)) + 1) * (1 + len(new)) // 10)
    return text.replace(_want(old, str), _want(new, str), count)


def _split(text: str, by: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    return (
        (list(text) if limit < 0 else [*text[: limit - 1], text[limit - 1 :]])
        if not by
        else text.split(by, limit - 1 if limit > 0 else -1)
    )


def _upper(text: str, *, up: bool) -> str:
    return "".join((each.upper() if up else each.lower()) if each.isascii() else each for each in _want(text, str))


def _quote(text: str) -> str:
    escapes = {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        "\\": "\\\\",
        '"': '\\"',
    }
    given: str = _want(text, str)
    return '"' + "".join(escapes.get(each, each) for each in given) + '"'


_CLAUSE = re.compile(r"%(?:\.(\d+))?([a-zA-Z%])")


def _format(budget: Any, template: str, values: list[Any]) -> str:
    budget.take(len(template))
    left = list(values)

    def fill(found: "re.Match[str]") -> str:
        if found[2] == "%":
            return "%"
        if not left:
            raise EvaluationError("index out of range: " + str(len(values)))
        return _clause(found[2], left.pop(0), int(found[1]) if found[1] else 6)

    return _CLAUSE.sub(fill, template)


def _clause(how: str, value: Any, precision: int) -> str:
    if how == "s":
        return _shown(value)
    if how in "fe" and is_number(value):
        return f"{float(value):.{precision}{how}}"
    if how in "dboxX" and isinstance(value, int):
        return f"{int(value):{'d' if isinstance(value, bool) else how}}"
    if how in "xX" and isinstance(value, (str, bytes)):
        text = (value.encode() if isinstance(value, str) else value).hex()
        return text.upper() if how == "X" else text
    raise EvaluationError(f"error during formatting: could not format {type_of(value)} with %{how}")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_shown(key)}: {_shown(value[key])}" for key in sorted(value, key=str)) + "}"
    return "null" if value is None else value.name if isinstance(value, Type) else _string(value)


# --- lists ------------------------------------------------------------------------------------------------------------------


def _sum(budget: Any, values: list[Any]) -> Any:
    budget.take(len(_want(values, list)))
    if not values:
        return 0
    if isinstance(values[0], Duration):
        return Duration(sum(each.nanos for each in values))
    if isinstance(values[0], float):
        return float(sum(values))
    return whole(sum(int(_want(each, int)) for each in values), like=values[0])


def _extreme(sign: int, name: str) -> Callable[..., Any]:
    def extreme(budget: Any, values: list[Any]) -> Any:
        budget.take(len(_want(values, list)))
        if not values:
            raise EvaluationError(f"{name} called on empty list")
        best = values[0]
        for each in values[1:]:
            best = each if compare(each, best) * sign > 0 else best
        return best

    return extreme


def _is_sorted(budget: Any, values: list[Any]) -> bool:
    budget.take(len(_want(values, list)))
    return all(compare(a, b) <= 0 for a, b in itertools.pairwise(values))


def _sort(budget: Any, values: list[Any]) -> list[Any]:
    budget.take(len(_want(values, list)) * 4)
    found = list[Any]()
    for each in values:  # by insertion, with the order of expressions; the budget bounds it
        at = len(found)
        while at and compare(found[at - 1], each) > 0:
            budget.take(1)
            at -= 1
        found.insert(at, each)
    return found


def _distinct(budget: Any, values: list[Any]) -> list[Any]:
    found = list[Any]()
    for each in _want(values, list):
        budget.take(1 + len(found))
        if not any(equal(each, other) for other in found):
            found.append(each)
    return found


def _flatten(budget: Any, values: list[Any], depth: int = 1) -> list[Any]:
    budget.take(len(_want(values, list)))
    found = list[Any]()
    for each in values:
        if isinstance(each, list):
            found += _flatten(budget, each, depth - 1) if depth > 1 else each
        else:
            found.append(each)
    return found


def _slice(values: list[Any], start: int, end: int) -> list[Any]:
    if not 0 <= start <= end <= len(_want(values, list)):
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(values)}")
    return values[start:end]


def _range(budget: Any, count: int) -> list[int]:
    budget.take(max(0, count))
    return list(range(count))


def _contains_all(budget: Any, values: list[Any], wanted: list[Any]) -> bool:
    budget.take(len(_want(values, list)) * len(_want(wanted, list)))
    return all(any(equal(each, other) for other in values) for each in wanted)


def _intersects(budget: Any, a: list[Any], b: list[Any]) -> bool:
    budget.take(len(_want(a, list)) * len(_want(b, list)))
    return any(equal(each, other) for each in a for other in b)


def _join(budget: Any, values: list[Any], by: str = "") -> str:
    budget.take(sum(len(_want(each, str)) + len(by) for each in _want(values, list)) // 10)
    return by.join(values)


def _value(value: Optional) -> Any:
    if not _want(value, Optional).held:
        raise EvaluationError("optional.none() dereference")
    return value.held[0]


def _non_zero(value: Any) -> Optional:
    return Optional() if not value or value in (Duration(0), Timestamp(0)) else Optional((value,))


def _free(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that costs nothing but its call."""

    def call(budget: Any, *arguments: Any) -> Any:
        budget.take(1)
        return function(*arguments)

    return call


_LIST_OR_TEXT = {
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "reverse": _free(lambda value: _want(value, str, list)[::-1]),
    "size": _free(lambda value: len(_want(value, str, bytes, list, dict))),
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **_LIST_OR_TEXT,
    "int": _free(_int),
    "uint": _free(_uint),
    "double": _free(_double),
    "string": _free(_string),
    "bool": _free(_bool),
    "bytes": _free(lambda value: value.encode() if isinstance(value, str) else _want(value, bytes)),
    "dyn": _free(lambda value: value),
    "type": _free(lambda value: Type(type_of(value))),
    "timestamp": _free(timestamp),
    "duration": _free(duration),
    "getFullYear": _part(lambda moment: moment.year),
    "getMonth": _part(lambda moment: moment.month - 1),
    "getDate": _part(lambda moment: moment.day),
    "getDayOfMonth": _part(lambda moment: moment.day - 1),
    "getDayOfWeek": _part(lambda moment: moment.isoweekday() % 7),
    "getDayOfYear": _part(lambda moment: moment.timetuple().tm_yday - 1),
    "getHours": _part(lambda moment: moment.hour, 3600 * _SECOND),
    "getMinutes": _part(lambda moment: moment.minute, 60 * _SECOND),
    "getSeconds": _part(lambda moment: moment.second, _SECOND),
    "getMilliseconds": _milliseconds,
    "startsWith": _free(lambda text, start: _want(text, str).startswith(_want(start, str))),
    "endsWith": _free(lambda text, end: _want(text, str).endswith(_want(end, str))),
    "contains": _free(lambda text, part: _want(part, str) in _want(text, str)),
    "matches": _matches,
    "find": _find,
    "findAll": _find_all,
    "charAt": _free(_char_at),
    "substring": _free(_substring),
    "replace": _replace,
    "split": _free(_split),
    "join": _join,
    "trim": _free(lambda text: _want(text, str).strip()),
    "lowerAscii": _free(lambda text: _upper(text, up=False)),
    "upperAscii": _free(lambda text: _upper(text, up=True)),
    "strings.quote": _free(_quote),
    "format": _format,
    "sum": _sum,
    "min": _extreme(-1, "min"),
    "max": _extreme(1, "max"),
    "isSorted": _is_sorted,
    "sort": _sort,
    "distinct": _distinct,
    "flatten": _flatten,
    "slice": _free(_slice),
    "lists.range": _range,
    "sets.contains": _contains_all,
    "sets.intersects": _intersects,
    "sets.equivalent": lambda budget, a, b: _contains_all(budget, a, b) and _contains_all(budget, b, a),
    "optional.of": _free(lambda value: Optional((value,))),
    "optional.none": _free(Optional),
    "optional.ofNonZeroValue": _free(_non_zero),
    "hasValue": _free(lambda value: bool(_want(value, Optional).held)),
    "value": _free(_value),
    **{name: _free(function) for name, function in KUBERNETES.items()},
}
