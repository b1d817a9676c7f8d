"""What ``kubectl get`` prints: a ``Table``, or only the metadata of objects."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from kedge.kube.clock import parse_timestamp
from kedge.kube.kinds import Ago, Column, Kind, Obj

_META = "meta.k8s.io/v1"
_NAME = "Name must be unique within a namespace."


def age(since: str | None, now: datetime) -> str:
    """How long ago a timestamp was, as `kubectl` prints it.

    Examples:
        >>> from datetime import UTC
        >>> age("2026-11-23T09:00:00Z", datetime(2026, 11, 23, 9, 5, 7, tzinfo=UTC))
        '5m7s'
        >>> age(None, datetime(2026, 11, 23, tzinfo=UTC))
        '<unknown>'
    """
    if not since:
        return "<unknown>"
    try:
        seconds = int((now - parse_timestamp(since)).total_seconds())
    except ValueError:
        return "<unknown>"
    return _duration(max(0, seconds))


def _duration(seconds: int) -> str:
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        text = f"{seconds}s"
    elif minutes < 10:
        text = f"{minutes}m" + (f"{seconds % 60}s" if seconds % 60 else "")
    elif minutes < 180:
        text = f"{minutes}m"
    elif hours < 8:
        text = f"{hours}h" + (f"{minutes % 60}m" if minutes % 60 else "")
    elif hours < 48:
        text = f"{hours}h"
    elif days < 8:
        text = f"{days}d" + (f"{hours % 24}h" if hours % 24 else "")
    elif days < 730:
        text = f"{days}d"
    else:
        text = f"{days // 365}y"
    return text


def columns_of(kind: Kind) -> list[Obj]:
    """The headings of a kind."""
    return [_definition(column, kind) for column in _ordered(kind)]


def _ordered(kind: Kind) -> tuple[Column, ...]:
    """NAME, what is always shown, AGE, what is shown on demand; a kind may have those two itself."""
    own = {column.name for column in kind.columns}
    name = () if "Name" in own and not kind.structural else (Column("Name", _name, description=_NAME),)
    created = Column("Age", _created, type="date", description="When it was created.")
    if not kind.aged:
        return (*name, *kind.columns)
    always = tuple(column for column in kind.columns if not column.priority)
    aged = () if own & {"Age", "Created At"} else (created,)
    return (*name, *always, *aged, *(column for column in kind.columns if column.priority))


def _definition(column: Column, kind: Kind) -> Obj:
    return {
        "name": column.name,
        # Ages are made into text here, so the client must not take them for timestamps.
        "type": "string" if column.type == "date" and not kind.structural else column.type,
        "format": "name" if column.name == "Name" else "",
        "description": column.description,
        "priority": column.priority,
    }


def _name(obj: Obj) -> str:
    return obj["metadata"]["name"]


def _created(obj: Obj) -> str | None:
    return obj["metadata"].get("creationTimestamp")


def table(kind: Kind, objects: Iterable[Obj], meta: Obj, now: datetime, include: str = "Metadata") -> Obj:
    """Print objects as a ``Table``.

    Args:
        kind: Of the objects.
        objects: The rows.
        meta: The list's metadata.
        now: For ages.
        include: What each row carries: ``Object``, ``Metadata`` or ``None``.
    """
    columns = _ordered(kind)
    rows = [_row(columns, obj, now, include) for obj in objects]
    return {"kind": "Table", "apiVersion": _META, "metadata": meta, "columnDefinitions": columns_of(kind), "rows": rows}


def _row(columns: tuple[Column, ...], obj: Obj, now: datetime, include: str) -> Obj:
    cells: list[Any] = [_cell(column, obj, now) for column in columns]
    row: Obj = {"cells": cells}
    if include == "Object":
        row["object"] = obj
    elif include != "None":
        row["object"] = partial(obj)
    return row


def _cell(column: Column, obj: Obj, now: datetime) -> Any:
    try:
        value = column.value(obj)
    except (TypeError, AttributeError, KeyError, IndexError, ValueError):
        # An open schema lets anything stand there; one odd object must not hide the others.
        return "<invalid>"
    if isinstance(value, Ago):
        return f"{value.text} ({age(value.since, now)} ago)"
    if isinstance(value, timedelta):
        return _duration(int(value.total_seconds())) if value >= timedelta() else ""
    if column.type == "date" and value != "<none>" and (value is not None or not column.path):
        return age(value, now)
    return value


def partial(obj: Obj) -> Obj:
    """The metadata of an object alone."""
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": obj["metadata"]}


def partial_list(objects: Iterable[Obj], meta: Obj) -> Obj:
    """The metadata of objects alone."""
    items = [partial(obj) for obj in objects]
    return {"kind": "PartialObjectMetadataList", "apiVersion": _META, "metadata": meta, "items": items}
