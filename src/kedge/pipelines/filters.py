"""Filters of lists, as KFP's REST API writes them: JSON of predicates, all of which must hold.

An operation is given by its number or its name, a value in snake_case or camelCase; `kfp.Client` mixes them. A predicate on
``tags.<name>`` asks for a tag, one on ``metadata.<key>`` for an entry of metadata. Whatever cannot be answered is refused with
what can: a filter that is passed over shows too much.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

import msgspec
from sqlalchemy import BigInteger, Column, Table, and_, or_, select
from sqlalchemy.sql.elements import ColumnElement

from kedge.db.entries import entry
from kedge.errors import BadRequest
from kedge.kube.clock import parse_timestamp
from kedge.pipelines.rows import micros

# The numbers are upstream's; there is no 4.
_NUMBERS = {
    1: "EQUALS",
    2: "NOT_EQUALS",
    3: "GREATER_THAN",
    5: "GREATER_THAN_EQUALS",
    6: "LESS_THAN",
    7: "LESS_THAN_EQUALS",
    8: "IN",
    9: "IS_SUBSTRING",
}
_ESCAPED = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "EQUALS": lambda column, value: column == value,
    "NOT_EQUALS": lambda column, value: column != value,
    "GREATER_THAN": lambda column, value: column > value,
    "GREATER_THAN_EQUALS": lambda column, value: column >= value,
    "LESS_THAN": lambda column, value: column < value,
    "LESS_THAN_EQUALS": lambda column, value: column <= value,
    "IN": lambda column, value: column.in_(value),
    # Upstream finds "Train" by "train", and so do people; of letters beyond ASCII neither database sees that they are the same.
    "IS_SUBSTRING": lambda column, value: column.ilike(f"%{value.translate(_ESCAPED)}%", escape="\\"),
}
_TAG, _METADATA = "tags.", "metadata."
_TAG_OPERATIONS = ("EQUALS", "NOT_EQUALS", "IN", "IS_SUBSTRING")
_SQL_MAX = 2**63 - 1
_MOST_PREDICATES, _MOST_VALUES = 100, 1000  # of SQLite's 32,766 parameters, and its depth of 1,000


@dataclass(frozen=True, slots=True)
class Filterable:
    """What a filter may ask of a list.

    Attributes:
        columns: By the names that clients use.
        tags: The table of its tags, if it has any.
        metadata: The column of its metadata, a JSON object, if it has any.
    """

    columns: Mapping[str, Column[Any]]
    tags: Table | None = None
    metadata: Column[Any] | None = None

    @property
    def names(self) -> str:
        """What can be filtered by, for messages."""
        open_ones = [f"{_TAG}<name>"] * (self.tags is not None) + [f"{_METADATA}<key>"] * (self.metadata is not None)
        return ", ".join([*sorted(self.columns), *open_ones])


class Predicate(msgspec.Struct, forbid_unknown_fields=True):
    """One condition; at most one of its values may be set."""

    key: str = ""
    operation: int | str = "EQUALS"
    string_value: str | None = None
    stringValue: str | None = None  # noqa: N815  # kfp.Client writes this one, the API's own documents the other
    int_value: int | str | None = None
    intValue: int | str | None = None  # noqa: N815
    long_value: int | str | None = None
    longValue: int | str | None = None  # noqa: N815
    timestamp_value: str | None = None
    timestampValue: str | None = None  # noqa: N815
    string_values: Any = None
    stringValues: Any = None  # noqa: N815
    int_values: Any = None
    intValues: Any = None  # noqa: N815
    long_values: Any = None
    longValues: Any = None  # noqa: N815


class Filter(msgspec.Struct, forbid_unknown_fields=True):
    """All of them must hold."""

    predicates: list[Predicate] = []


def conditions(text: str, listed: Filterable) -> Sequence[ColumnElement[bool]]:
    """The SQL of a filter.

    Args:
        text: JSON; encoded as a part of a URL once more than it needs, as KFP's documentation asks for, is understood too.
        listed: What may be asked.

    Raises:
        BadRequest: It cannot be answered; says what can.
    """
    if not text:
        return ()
    if text[:3].lower() == "%7b":
        text = unquote_plus(text)
    try:
        predicates = msgspec.json.decode(text, type=Filter).predicates
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise BadRequest(f'filter: {error}. It is JSON such as {{"predicates": [{{"operation": "EQUALS", ...}}]}}.') from error
    if len(predicates) > _MOST_PREDICATES:
        raise BadRequest(f"filter: has {len(predicates)} predicates; at most {_MOST_PREDICATES} are read. IN asks for several.")
    return [_condition(predicate, listed) for predicate in predicates]


def _condition(predicate: Predicate, listed: Filterable) -> ColumnElement[bool]:
    key, operation = predicate.key, predicate.operation
    name = _NUMBERS.get(operation) if isinstance(operation, int) else operation
    if name not in _COMPARE:
        raise BadRequest(f"filter: operation {operation!r} of {key!r} is not known. There are {', '.join(_COMPARE)}.")
    if listed.tags is not None and key.startswith(_TAG):
        return _tag_condition(predicate, name, listed.tags)
    if listed.metadata is not None and key.startswith(_METADATA):
        return _entry_condition(predicate, name, listed.metadata)
    column = listed.columns.get(key)
    if column is None:
        raise BadRequest(f"filter: {key!r} is no field that can be filtered. Fields here: {listed.names}.")
    is_time = isinstance(column.type, BigInteger)
    if name == "IN":
        return _COMPARE[name](column, [_fitting(value, key, is_time=is_time) for value in _values(predicate)])
    value = _fitting(_value(predicate), key, is_time=is_time)
    if name == "IS_SUBSTRING" and is_time:
        raise BadRequest(f"filter: {key!r} is a time: IS_SUBSTRING is for texts. Ask with GREATER_THAN or LESS_THAN.")
    return _COMPARE[name](column, value)


def _tag_condition(predicate: Predicate, name: str, tags: Table) -> ColumnElement[bool]:
    """What has the tag with a value that fits; NOT_EQUALS: all that EQUALS does not find, those without the tag too."""
    key, found = predicate.key, _texts(predicate, name, "tags")
    positive = "EQUALS" if name == "NOT_EQUALS" else name
    owner = next(iter(tags.primary_key.columns))
    within = select(owner).where(tags.c.key == key.removeprefix(_TAG), _COMPARE[positive](tags.c.value, found))
    owned = next(iter(owner.foreign_keys)).column
    return owned.not_in(within) if name == "NOT_EQUALS" else owned.in_(within)


def _entry_condition(predicate: Predicate, name: str, metadata: Column[Any]) -> ColumnElement[bool]:
    """What has the entry with a value that fits; NOT_EQUALS: all that EQUALS does not find, those without the entry too."""
    key = predicate.key.removeprefix(_METADATA)
    found, value = _texts(predicate, name, "entries of metadata"), entry(metadata, key)
    condition = _COMPARE[name](value, found)
    return or_(value.is_(None), condition) if name == "NOT_EQUALS" else and_(value.is_not(None), condition)


def _texts(predicate: Predicate, name: str, what: str) -> Any:
    """What a tag or an entry is compared with: a text, or several for IN."""
    key = predicate.key
    if name not in _TAG_OPERATIONS:
        raise BadRequest(
            f"filter: {name} is no operation on {key!r}: {what} are compared as texts. There are {', '.join(_TAG_OPERATIONS)}."
        )
    wanted = _values(predicate) if name == "IN" else [_value(predicate)]
    texts = [_fitting(value, key, is_time=False) for value in wanted]
    return texts if name == "IN" else texts[0]


def _value(predicate: Predicate) -> Any:
    p = predicate
    if (moment := p.timestamp_value or p.timestampValue) is not None:
        return _moment(moment)
    for text in (p.string_value, p.stringValue):
        if text is not None:
            return text
    for number in (p.int_value, p.intValue, p.long_value, p.longValue):
        if number is not None:
            return _number(number, p.key)
    raise BadRequest(f"filter: the predicate on {p.key!r} has no value. Give it a string_value, int_value or timestamp_value.")


def _values(predicate: Predicate) -> list[Any]:
    p = predicate
    for given in (p.string_values, p.stringValues, p.int_values, p.intValues, p.long_values, p.longValues):
        listed = given.get("values") or [] if isinstance(given, Mapping) else given
        if isinstance(listed, list):
            if len(listed) > _MOST_VALUES:
                raise BadRequest(f"filter: {p.key!r} is compared with {len(listed)} values; at most {_MOST_VALUES} are read.")
            return listed
    return [_value(predicate)]


def _fitting(value: Any, key: str, *, is_time: bool) -> Any:
    """The value as its column holds it."""
    if is_time:
        if isinstance(value, str):
            return _moment(value)
        if isinstance(value, _Moment):
            return int(value)
        raise BadRequest(f"filter: {key!r} is a time. Give it a timestamp_value such as 2026-11-23T09:05:07Z, not {value!r:.60}.")
    if not isinstance(value, str):
        raise BadRequest(f"filter: {key!r} is a text. Give it a string_value, not {value!r:.60}.")
    return value


class _Moment(int):
    """Microseconds since 1970 that were written as a time."""


def _number(value: int | str, key: str) -> int:
    try:
        number = int(value)
    except ValueError as error:
        raise BadRequest(f"filter: {value!r:.80} of {key!r} is no whole number.") from error
    if abs(number) > _SQL_MAX:
        raise BadRequest(f"filter: {value!r:.80} of {key!r} has more than 64 bits.")
    return number


def _moment(text: str) -> int:
    try:
        found = micros(parse_timestamp(text))
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"filter: {text!r:.80} is no RFC 3339 time, such as 2026-11-23T09:05:07Z.") from error
    return _Moment(found or 0)
