"""Prints results in the form that the client asked for: objects, a table, or metadata alone."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from kedge.client.types import Page, WatchEvent
from kedge.kube.kinds import Kind, Obj
from kedge.server.requests import Form, NotAcceptable
from kedge.server.table import partial, partial_list, table

INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}
_KEPT = 64  # events
_encode = msgspec.json.Encoder().encode


class Lines:
    """Events as they were written to those who watch: of many watchers of one object only the first one's is encoded."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], tuple[Obj, bytes]] = {}

    def of(self, event: WatchEvent) -> bytes:
        """One line of a watch; the event's object is shared, and never changed."""
        place = id(event.object), event.type
        known = self._kept.get(place)
        if known is not None and known[0] is event.object:
            return known[1]
        made = line(event.type, event.object)
        if len(self._kept) >= _KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[place] = event.object, made
        return made


class Printer:
    """Prints for one request.

    Args:
        kind: Of the objects.
        form: What the client wants.
        include: For tables: what each row carries (``includeObject``).
        now: For ages in tables.
        lines: What other watchers were told.

    Attributes:
        lines: The same.
        is_plain: Whether objects are printed as they are.
    """

    def __init__(self, kind: Kind, form: Form, include: str, now: Callable[[], datetime], lines: Lines) -> None:
        self.lines = lines
        self._kind = kind
        self.is_plain = not form.shape
        self._shape = form.shape
        self._of_list = form.of_list
        self._include = include or "Metadata"
        self._now = now
        self._is_headed = False

    def one(self, obj: Obj) -> Obj:
        """One object.

        Raises:
            NotAcceptable: The client asked for the metadata of a list.
        """
        if self._of_list:
            raise NotAcceptable(
                f"you requested PartialObjectMetadataList, but the requested object is not a list ({self._kind.kind})."
            )
        if self._shape == "Table":
            meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return table(self._kind, [obj], meta, self._now(), self._include)
        return partial(obj) if self._shape else obj

    def page(self, page: Page) -> Obj:
        """A list.

        Raises:
            NotAcceptable: The client asked for the metadata of one object.
        """
        if self._shape == "PartialObjectMetadata" and not self._of_list:
            raise NotAcceptable(
                f"you requested PartialObjectMetadata, but the requested object is a list ({self._kind.kind}List)."
            )
        meta: Obj = {"resourceVersion": page.resource_version}
        if page.continue_:
            meta["continue"] = page.continue_
        if page.remaining is not None:
            meta["remainingItemCount"] = page.remaining
        if self._shape == "Table":
            return table(self._kind, page.items, meta, self._now(), self._include)
        if self._shape:
            return partial_list(page.items, meta)
        return {"kind": f"{self._kind.kind}List", "apiVersion": self._kind.api_version, "metadata": meta, "items": page.items}

    def event(self, event: WatchEvent) -> bytes:
        """One line of a watch."""
        if not self._shape:
            return self.lines.of(event)
        return line(event.type, self._headed(self.one(event.object)))

    def _headed(self, obj: Obj) -> Obj:
        """A watch of tables tells the columns once."""
        if self._shape == "Table":
            if self._is_headed:
                obj["columnDefinitions"] = None
            self._is_headed = True
        return obj

    def bookmark(self, revision: str, *, initial_events_end: bool = False) -> bytes:
        """A line of a watch that says how far it has come."""
        meta: Obj = {"resourceVersion": revision}
        if initial_events_end:
            meta["annotations"] = INITIAL_EVENTS_END
        obj: Obj = {"kind": self._kind.kind, "apiVersion": self._kind.api_version, "metadata": meta}
        if self._shape == "Table":
            about = {"resourceVersion": revision}
            obj = self._headed({**table(self._kind, [], about, self._now()), "rows": [{"cells": [], "object": partial(obj)}]})
        elif self._shape:
            obj = partial(obj)
        return line("BOOKMARK", obj)


def line(type_: str, obj: Obj) -> bytes:
    """One line of a watch; one of type ``ERROR`` ends it."""
    return b'{"type":"%b","object":%b}\n' % (type_.encode(), _encode(obj))
