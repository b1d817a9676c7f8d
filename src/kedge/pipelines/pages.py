"""Lists: one page at a time, in a stable order, filtered as KFP's REST API wants it.

The page token holds the place after which the next page begins, not a number of rows to skip: a page costs the same wherever it
is, and rows that are added meanwhile are neither repeated nor lost. It also holds the order and the filter that it belongs to:
they need not be given again, and others are refused.
"""

import base64
import binascii
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import BigInteger, Column, Select, Table, and_, func, or_, select, tuple_
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from kedge.errors import BadRequest
from kedge.pipelines import filters
from kedge.pipelines.rows import Row

DEFAULT_SIZE = 20
MAX_SIZE = 200

T = TypeVar("T")


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
        columns: Names a client may filter by, and their columns.
        sortable: Those of the names that it may also sort by: an index has each of them.
        tags: The table of its tags, if it has any.
        metadata: The column of its metadata, if it has any; no index has its entries, so a filter by them looks at all rows.
    """

    table: Table
    id: Column[Any]
    read: Callable[[Row], T]
    columns: Mapping[str, Column[Any]]
    sortable: frozenset[str]
    tags: Table | None = None
    metadata: Column[Any] | None = None


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


class _Place(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a token says: the last row of the page before it, and which list it was."""

    value: int | str | None
    key: str
    sort_by: str
    filter: str


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
    place = _place(query)
    sort_by, text = (query.sort_by, query.filter) if place is None else (place.sort_by, place.filter)
    column, descending = _order(sort_by, listing)
    conditions = [*where, *filters.conditions(text, filters.Filterable(listing.columns, listing.tags, listing.metadata))]
    statement: Select[Any] = select(listing.table).where(*conditions)
    if place is not None:
        statement = statement.where(_beyond(place, (column, listing.id), query.page_token, descending=descending))
    in_order = [_ordered(key, descending=descending) for key in ((listing.id,) if column is listing.id else (column, listing.id))]
    rows = connection.execute(statement.order_by(*in_order).limit(size + 1)).mappings().all()
    if place is None and len(rows) <= size:
        total = len(rows)  # all there are: what was looked for once is not looked for again
    else:
        total = connection.execute(select(func.count()).select_from(listing.table).where(*conditions)).scalar_one()
    token = ""
    if len(rows) > size:
        last = rows[size - 1]
        following = _Place(last[column.name], last[listing.id.name], sort_by, text)
        token = base64.urlsafe_b64encode(msgspec.json.encode(following)).decode()
    return Page([listing.read(row) for row in rows[:size]], total, token)


@dataclass(frozen=True, slots=True)
class Keyed(Generic[T]):
    """What is listed in the order of a key of several columns, and in no other.

    Attributes:
        table: The table.
        key: Unique together.
        read: Turns a row into a record.
        newest_first: Whether the greatest key comes first.
        told: The ``sort_by`` and the ``filter`` that made it this list.
    """

    table: Table
    key: tuple[Column[Any], ...]
    read: Callable[[Row], T]
    newest_first: bool = False
    told: tuple[str, str] = ("", "")


def told(query: Query) -> tuple[str, str]:
    """The ``sort_by`` and the ``filter`` of a `Keyed` list: what the token says, where there is one.

    Raises:
        BadRequest: The token is none of ours, or belongs to another list.
    """
    if not query.page_token:
        return query.sort_by, query.filter
    known = _key_place(query.page_token)
    _same_list(query, known.sort_by, known.filter)
    return known.sort_by, known.filter


class _KeyPlace(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    values: tuple[int | str, ...]
    sort_by: str = ""
    filter: str = ""


def _key_place(token: str) -> _KeyPlace:
    try:
        return msgspec.json.decode(base64.b64decode(token, altchars=b"-_", validate=True), type=_KeyPlace)
    except (binascii.Error, msgspec.DecodeError, UnicodeError, ValueError) as error:
        raise _no_token(token) from error


def keyed(connection: Connection, listing: Keyed[T], asked: tuple[int, str], *where: ColumnElement[bool]) -> Page[T]:
    """Read one page in the order of a key.

    Args:
        connection: Where to read.
        listing: What to list.
        asked: The size of the page, 0 for the default, and the token of the page before.
        where: What is wanted.

    Raises:
        BadRequest: The size or the token cannot be used.
    """
    size, token = _size(asked[0]), asked[1]
    statement: Select[Any] = select(listing.table).where(*where)
    if token:
        place = _key_place(token).values
        if [type(value) for value in place] != [column.type.python_type for column in listing.key]:
            raise _no_token(token)
        if any(isinstance(value, int) and abs(value) >= 2**63 for value in place):
            raise _no_token(token)
        here, key = tuple_(*place), tuple_(*listing.key)
        statement = statement.where(key < here if listing.newest_first else key > here)
    in_order = [column.desc() for column in listing.key] if listing.newest_first else listing.key
    rows = connection.execute(statement.order_by(*in_order).limit(size + 1)).mappings().all()
    total = connection.execute(select(func.count()).select_from(listing.table).where(*where)).scalar_one()
    following = ""
    if len(rows) > size:
        last = _KeyPlace(tuple(rows[size - 1][column.name] for column in listing.key), *listing.told)
        following = base64.urlsafe_b64encode(msgspec.json.encode(last)).decode()
    return Page([listing.read(row) for row in rows[:size]], total, following)


def _size(size: int) -> int:
    if size < 0:
        raise BadRequest(f"page_size: must not be negative, got {size}. Leave it out for {DEFAULT_SIZE}.")
    return min(size or DEFAULT_SIZE, MAX_SIZE)


def _order(sort_by: str, listing: Listing[T]) -> tuple[Column[Any], bool]:
    if not sort_by:
        return listing.columns["created_at"], True
    name, descending = order(sort_by, listing.sortable)
    return listing.columns[name], descending


def order(sort_by: str, known: Collection[str]) -> tuple[str, bool]:
    """By which of the known fields a list is sorted, and whether the greatest comes first.

    Raises:
        BadRequest: It is none of them.
    """
    name, _, direction = sort_by.strip().partition(" ")
    if name not in known or direction.strip() not in {"", "asc", "desc"}:
        fields = ", ".join(sorted(known))
        raise BadRequest(f"sort_by: {sort_by!r:.80} is no field to sort by, with asc or desc after it. Fields here: {fields}.")
    return name, direction.strip() == "desc"


def _ordered(column: Column[Any], *, descending: bool) -> Any:
    """A column's place in the order; NULL is less than everything, which SQLite takes for granted and PostgreSQL does not."""
    ordered = column.desc() if descending else column.asc()
    if not column.nullable:
        return ordered
    return ordered.nulls_last() if descending else ordered.nulls_first()


def _beyond(place: _Place, keys: tuple[Column[Any], Column[Any]], token: str, *, descending: bool) -> ColumnElement[bool]:
    """What comes after a place."""
    column, key = keys
    is_number = isinstance(column.type, BigInteger)
    if isinstance(place.value, int) != is_number if place.value is not None else not column.nullable:
        raise _no_token(token)
    if place.value is None:
        same = and_(column.is_(None), key < place.key if descending else key > place.key)
        return same if descending else or_(column.is_not(None), same)
    if not column.nullable:  # one seek in the index, where OR would be two
        here = tuple_(place.value, place.key)
        return tuple_(column, key) < here if descending else tuple_(column, key) > here
    if descending:
        return or_(column < place.value, column.is_(None), and_(column == place.value, key < place.key))
    return or_(column > place.value, and_(column == place.value, key > place.key))


def _place(query: Query) -> _Place | None:
    """Where the page begins, if it is not the first.

    Raises:
        BadRequest: The token is none of ours, or belongs to another list.
    """
    token = query.page_token
    if not token:
        return None
    try:
        place = msgspec.json.decode(base64.b64decode(token, altchars=b"-_", validate=True), type=_Place)
    except (binascii.Error, msgspec.DecodeError, UnicodeError, ValueError) as error:
        raise _no_token(token) from error
    if isinstance(place.value, int) and abs(place.value) >= 2**63:
        raise _no_token(token)
    _same_list(query, place.sort_by, place.filter)
    return place


def _same_list(query: Query, sort_by: str, text: str) -> None:
    for name, asked, known in (("sort_by", query.sort_by, sort_by), ("filter", query.filter, text)):
        if asked and asked != known:
            raise BadRequest(
                f"page_token: it belongs to a list with {name} {known!r:.80}, not {asked!r:.80}. Leave {name} out, or start "
                f"again without the token."
            )


def _no_token(token: str) -> BadRequest:
    return BadRequest(f"page_token: {token!r:.80} is none that this server made. Start again without it.")
