"""Values of expressions: JSON as its schema says it is meant, and what the libraries add; equality and order between them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from kedge.kube.cel.syntax import Uint

MAX_INT, MIN_INT, MAX_UINT = (1 << 63) - 1, -(1 << 63), (1 << 64) - 1


class EvaluationError(Exception):
    """An expression that has no value for this object; the text is cel-go's where rules can meet it."""


@dataclass(frozen=True, slots=True)
class Duration:
    """A span of time, in nanoseconds."""

    nanos: int


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A moment, in nanoseconds since 1970."""

    nanos: int

    @property
    def moment(self) -> datetime:
        """The same as a `datetime`, to microseconds."""
        return datetime.fromtimestamp(self.nanos // 10**9, UTC).replace(microsecond=self.nanos % 10**9 // 1000)


@dataclass(frozen=True, slots=True)
class Type:
    """A type as a value."""

    name: str


@dataclass(frozen=True, slots=True)
class Optional:
    """A value that may not be there."""

    held: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value of a library: its type's name, and what that library reads."""

    kind: str
    value: Any


class Set(list[Any]):
    """A list whose order has no meaning."""

    __slots__ = ()


class Keyed(list[Any]):
    """A list map: its items are known by their keys."""

    __slots__ = ("keys",)

    def __init__(self, items: Any, keys: tuple[str, ...]) -> None:
        super().__init__(items)
        self.keys = keys


class Struct(dict[str, Any]):
    """An object with fields that its schema names, as against a map."""

    __slots__ = ()


def type_of(value: Any) -> str:
    """The name of a value's type."""
    for kind, name in _NAMES:
        if isinstance(value, kind):
            return name
    return str(value.kind) if isinstance(value, Opaque) else "dyn"


_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (Uint, "uint"),
    (int, "int"),
    (float, "double"),
    (str, "string"),
    (bytes, "bytes"),
    (type(None), "null_type"),
    (list, "list"),
    (dict, "map"),
    (Duration, "google.protobuf.Duration"),
    (Timestamp, "google.protobuf.Timestamp"),
    (Type, "type"),
    (Optional, "optional_type"),
)


def is_number(value: Any) -> bool:
    """Whether it is an int, uint or double."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def equal(a: Any, b: Any) -> bool:
    """Whether two values are equal; numbers of different types are compared, other types are never equal."""
    if is_number(a) and is_number(b):
        return bool(a == b)
    if isinstance(a, list) and isinstance(b, list):
        return _equal_lists(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return len(a) == len(b) and all(key in b and equal(value, b[key]) for key, value in a.items())
    if isinstance(a, Optional) and isinstance(b, Optional):
        return len(a.held) == len(b.held) and all(map(equal, a.held, b.held))
    return type_of(a) == type_of(b) and bool(a == b)


def _equal_lists(a: list[Any], b: list[Any]) -> bool:
    if len(a) != len(b):
        return False
    if isinstance(a, Set):
        return all(any(equal(each, other) for other in b) for each in a)
    if isinstance(a, Keyed) and all(isinstance(each, dict) for each in b):
        known = {tuple(repr(each.get(key)) for key in a.keys): each for each in b}
        return all(equal(each, known.get(tuple(repr(each.get(key)) for key in a.keys))) for each in a)
    return all(map(equal, a, b))


def compare(a: Any, b: Any) -> int:
    """-1, 0 or 1.

    Raises:
        EvaluationError: The two have no order.
    """
    if (is_number(a) and is_number(b)) or (type_of(a) == type_of(b) and isinstance(a, (str, bytes, bool))):
        return (a > b) - (a < b)
    if isinstance(a, (Duration, Timestamp)) and type(a) is type(b):
        return (a.nanos > b.nanos) - (a.nanos < b.nanos)
    if isinstance(a, Opaque) and isinstance(b, Opaque) and isinstance(a.value, Fraction):
        return (a.value > b.value) - (a.value < b.value)
    raise EvaluationError("no such overload")


def whole(value: int, *, like: Any) -> Any:
    """A number within its type's bounds.

    Raises:
        EvaluationError: It is not.
    """
    if isinstance(like, Uint):
        if not 0 <= value <= MAX_UINT:
            raise EvaluationError("unsigned integer overflow")
        return Uint(value)
    if not MIN_INT <= value <= MAX_INT:
        raise EvaluationError("integer overflow")
    return value
