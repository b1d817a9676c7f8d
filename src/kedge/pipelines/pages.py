"""Lists: one page at a time, in a stable order, filtered as KFP's REST API wants it.

The page token holds the place after which the next page begins, not a number of rows to skip: a page costs the same wherever it
is, and rows that are added meanwhile are neither repeated nor lost.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Column, Select, Table, and_, func, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from kedge.errors import BadRequest
from kedge.kube.clock import parse_timestamp
from kedge.pipelines.rows import Row, micros

DEFAULT_SIZE = 20
MAX_SIZE = 200

T = TypeVar("T")
_OPERATIONS = {
    1: "EQUALS",
    2: "NOT_EQUALS",
    3: "GREATER_THAN",
    4: "GREATER_THAN_EQUALS",
    5: "LESS_THAN",
    6: "LESS_THAN_EQUALS",
    7: "IN",
    8: "IN",
    9: "IS_SUBSTRING",
}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "EQUALS": lambda column, value: column == value,
    "NOT_EQUALS": lambda column, value: column != value,
    "GREATER_THAN": lambda column, value: column > value,
    "GREATER_THAN_EQUALS": lambda column, value: column >= value,
    "LESS_THAN": lambda column, value: column < value,
    "LESS_THAN_EQUALS": lambda column, value: column <= value,
    "IN": lambda column, value: column.in_(value if isinstance(value, list) else [value]),
    "IS_SUBSTRING": lambda column, value: func.instr(column, value) > 0,
}


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: At most as many as were asked for.
        total: How many match in all.
        next_token: Of the page after this; ``""`` at the end.
    """

    items: list[T]
    total: int
    next_token: str = ""


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """What can be listed, and how.

    Attributes:
        table: The table.
        id: Its key, which makes the order unique.
        read: Turns a row into a record.
        columns: Names a client may sort and filter by, and their columns.
    """

    table: Table
    id: Column[Any]
    read: Callable[[Row], T]
    columns: Mapping[str, Column[Any]]


@dataclass(frozen=True, slots=True)
class Query:
    """What a client asked for; each as the REST API names and writes it.

    Attributes:
        page_size: 0 for the default of 20; at most 200.
        page_token: Of the page before.
        sort_by: ``created_at desc``; empty for newest first.
        filter: JSON of predicates.
    """

    page_size: int = 0
    page_token: str = ""
    sort_by: str = ""
    filter: str = ""


def page(connection: Connection, listing: Listing[T], query: Query, *where: ColumnElement[bool]) -> Page[T]:
    """Read one page.

    Args:
        connection: Where to read.
        listing: What to list.
        query: What the client asked for.
        where: Conditions that the client cannot change, such as the namespace.

    Raises:
        BadRequest: A part of the query cannot be used; the message says which values can.
    """
    size = _size(query.page_size)
    column, descending = _order(query.sort_by, listing)
    conditions = [*where, *_filter(query.filter, listing)]
    statement: Select[Any] = select(listing.table).where(*conditions)
    if query.page_token:
        value, key = _place(query.page_token)
        beyond = (column < value, listing.id < key) if descending else (column > value, listing.id > key)
        statement = statement.where(or_(beyond[0], and_(column == value, beyond[1])))
    order = (column.desc(), listing.id.desc()) if descending else (column.asc(), listing.id.asc())
    if column is listing.id:
        order = order[:1]
    rows = connection.execute(statement.order_by(*order).limit(size + 1)).mappings().all()
    total = connection.execute(select(func.count()).select_from(listing.table).where(*conditions)).scalar_one()
    token = ""
    if len(rows) > size:
        last = rows[size - 1]
        token = base64.urlsafe_b64encode(msgspec.json.encode((last[column.name], last[listing.id.name]))).decode()
    return Page([listing.read(row) for row in rows[:size]], total, token)


def _size(size: int) -> int:
    if size < 0:
        raise BadRequest(f"page_size: must not be negative, got {size}. Leave it out for {DEFAULT_SIZE}.")
    return min(size or DEFAULT_SIZE, MAX_SIZE)


def _order(sort_by: str, listing: Listing[T]) -> tuple[Column[Any], bool]:
    if not sort_by:
        return listing.columns["created_at"], True
    name, _, direction = sort_by.strip().partition(" ")
    if name not in listing.columns or direction.strip() not in {"", "asc", "desc"}:
        known = ", ".join(sorted(listing.columns))
        raise BadRequest(f"sort_by: {sort_by!r} is no field with asc or desc after it. Fields here: {known}.")
    return listing.columns[name], direction.strip() == "desc"


def _place(token: str) -> tuple[Any, str]:
    try:
        value, key = msgspec.json.decode(base64.urlsafe_b64decode(token))
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise BadRequest(f"page_token: {token!r:.80} is none that this server made. Start again without it.") from error
    return value, str(key)


def _filter(text: str, listing: Listing[T]) -> Sequence[ColumnElement[bool]]:
    if not text:
        return ()
    try:
        predicates = msgspec.json.decode(text, type=_Filter).predicates
    except msgspec.DecodeError as error:
        raise BadRequest(f'filter: {error}. It is JSON such as {{"predicates": [{{"operation": "EQUALS", ...}}]}}.') from error
    return [_condition(predicate, listing) for predicate in predicates]


class _Predicate(msgspec.Struct, forbid_unknown_fields=True):
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


class _Filter(msgspec.Struct, forbid_unknown_fields=True):
    predicates: list[_Predicate] = []


def _condition(predicate: _Predicate, listing: Listing[T]) -> ColumnElement[bool]:
    column = listing.columns.get(predicate.key)
    if column is None:
        raise BadRequest(
            f"filter: {predicate.key!r} is no field that can be filtered. Fields here: {', '.join(sorted(listing.columns))}."
        )
    operation = predicate.operation
    name = _OPERATIONS.get(operation) if isinstance(operation, int) else operation
    if name not in _COMPARE:
        raise BadRequest(f"filter: operation {operation!r} of {predicate.key!r} is not known. There are {', '.join(_COMPARE)}.")
    return _COMPARE[name](column, _value(predicate))


def _value(predicate: _Predicate) -> Any:
    p = predicate
    if (moment := p.timestamp_value or p.timestampValue) is not None:
        return _moment(moment)
    for text in (p.string_value, p.stringValue):
        if text is not None:
            return text
    for number in (p.int_value, p.intValue, p.long_value, p.longValue):
        if number is not None:
            return _number(number, p.key)
    for values in (p.string_values, p.stringValues, p.int_values, p.intValues, p.long_values, p.longValues):
        if isinstance(values, Mapping):
            return list(values.get("values") or ())
        if isinstance(values, list):
            return values
    raise BadRequest(f"filter: the predicate on {p.key!r} has no value. Give it a string_value, int_value or timestamp_value.")


def _number(value: int | str, key: str) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise BadRequest(f"filter: {value!r} of {key!r} is no whole number.") from error


def _moment(text: str) -> int | None:
    try:
        found: datetime = parse_timestamp(text)
    except ValueError as error:
        raise BadRequest(f"filter: {text!r} is no RFC 3339 time, such as 2026-11-23T09:05:07Z.") from error
    return micros(found)
