"""Prints results in the form that the client asked for: objects, a table, or metadata alone."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from kedge.client.types import Page, WatchEvent
from kedge.kube.kinds import Kind, Obj
from kedge.server.requests import Form
from kedge.server.table import columns_of, partial, partial_list, table

INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}
_encode = msgspec.json.Encoder().encode


class Printer:
    """Prints for one request.

    Args:
        kind: Of the objects.
        form: What the client wants.
        include: For tables: what each row carries (``includeObject``).
        now: For ages in tables.
    """

    def __init__(self, kind: Kind, form: Form, include: str, now: Callable[[], datetime]) -> None:
        self._kind = kind
        self._shape = form.shape
        self._include = include or "Metadata"
        self._now = now

    def one(self, obj: Obj) -> Obj:
        """One object."""
        if self._shape == "Table":
            meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return table(self._kind, [obj], meta, self._now(), self._include)
        return partial(obj) if self._shape else obj

    def page(self, page: Page) -> Obj:
        """A list."""
        meta: Obj = {"resourceVersion": page.resource_version}
        if page.continue_:
            meta["continue"] = page.continue_
        if self._shape == "Table":
            return table(self._kind, page.items, meta, self._now(), self._include)
        if self._shape:
            return partial_list(page.items, meta)
        return {"kind": f"{self._kind.kind}List", "apiVersion": self._kind.api_version, "metadata": meta, "items": page.items}

    def event(self, event: WatchEvent) -> bytes:
        """One line of a watch."""
        return b'{"type":"%b","object":%b}\n' % (event.type.encode(), _encode(self.one(event.object)))

    def bookmark(self, revision: str, *, initial_events_end: bool = False) -> bytes:
        """A line of a watch that says how far it has come."""
        meta: Obj = {"resourceVersion": revision, "creationTimestamp": None}
        if initial_events_end:
            meta["annotations"] = INITIAL_EVENTS_END
        obj: Obj = {"kind": self._kind.kind, "apiVersion": self._kind.api_version, "metadata": meta}
        if self._shape == "Table":
            obj = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "rows": []}
            obj["columnDefinitions"] = columns_of(self._kind)
        elif self._shape:
            obj = partial(obj)
        return b'{"type":"BOOKMARK","object":%b}\n' % _encode(obj)


def error_line(status: Obj) -> bytes:
    """The line that ends a watch which failed."""
    return b'{"type":"ERROR","object":%b}\n' % _encode(status)
