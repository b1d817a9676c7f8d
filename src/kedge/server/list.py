"""The verb ``list``: every page of one list shows the same moment."""

import base64
import binascii
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from kedge.client.types import Page
from kedge.errors import BadRequest, Gone
from kedge.kube import selectors
from kedge.kube.kinds import Kind
from kedge.kube.selectors import Predicate
from kedge.server.core import Core, Target, prefix, require_verb
from kedge.store.types import Record


@dataclass(frozen=True, slots=True)
class Query:
    """Which objects.

    Attributes:
        labels: A label selector.
        fields: A field selector.
        limit: Objects a page; 0 for all.
        continue_: The token of the page before.
        revision: As they were then; 0 for now.
    """

    labels: str = ""
    fields: str = ""
    limit: int = 0
    continue_: str | None = None
    revision: int = 0


def predicate(kind: Kind, labels: str, fields: str) -> Predicate | None:
    """Parse both selectors; a field that the kind cannot be selected by is refused.

    Raises:
        BadRequest: Says what cannot be read.
    """
    if not labels and not fields:
        return None
    return selectors.predicate(labels, fields, kind=kind)


def only(target: Target, fields: str) -> str | None:
    """Where the one object lies that a field selector leaves of a collection, or ``None`` where it may leave more."""
    asked = {each.key: each.values for each in selectors.parse_fields(fields) if not each.negated and each.values is not None}
    namespace, name = (asked.get(f"metadata.{part}", frozenset()) for part in ("namespace", "name"))
    if len(name) != 1:
        return None
    if not target.kind.namespaced or target.namespace is not None:
        return prefix(target) + next(iter(name))
    return f"{prefix(target)}{next(iter(namespace))}/{next(iter(name))}" if len(namespace) == 1 else None


def listing(core: Core, target: Target, query: Query, *, printed: bool = False) -> Page:
    """Read objects.

    Args:
        core: The server.
        target: Kind and namespace.
        query: Which.
        printed: Whether they are only encoded: they need not be read then.

    Raises:
        BadRequest: A selector or token cannot be read.
        Gone: The moment that was asked for is no longer kept.
    """
    require_verb(target.kind, "list")
    matches = predicate(target.kind, query.labels, query.fields)
    root = prefix(target)
    read: Callable[[Record, Kind], Any] = core.printed if printed else core.glance
    revision, start = query.revision, None
    if query.continue_:
        revision, start = _read_token(query.continue_, root)
    items: list[Any] = []
    if not revision and not query.continue_ and (place := only(target, query.fields)) is not None:
        found = core.store.get(place)
        if found is not None and (matches is None or matches(core.part(found, target.kind))):
            items.append(read(found, target.kind))
        return Page(items, str(core.store.current()))
    while True:
        wanted = query.limit - len(items) if query.limit else 0
        try:
            page = core.store.list(root, revision=revision, limit=wanted, start=start)
        except Gone as error:
            raise _forgotten(root, start, is_continued=bool(query.continue_)) from error
        revision = page.revision
        items += (read(each, target.kind) for each in page.records if matches is None or matches(core.part(each, target.kind)))
        if not page.more:
            return Page(items, str(revision))
        start = page.records[-1].key
        if len(items) >= query.limit:
            # With a selector nobody knows how many are left without looking at them.
            left = None if matches is not None else core.store.count(root, revision=revision, start=start)
            return Page(items, str(revision), _token(revision, root, start), left)


class _Token(msgspec.Struct):
    """As a real API server writes it, so that a list goes on from the key after the one before it."""

    rv: int
    start: str
    v: str = ""


_VERSION = "meta.k8s.io/v1"
_NOW = -1  # the rest of a list as it is now, and no longer as it was


def _token(revision: int, root: str, start: str) -> str:
    said = _Token(revision, f"/{start.removeprefix(root)}\0", _VERSION)
    return base64.urlsafe_b64encode(msgspec.json.encode(said)).decode().rstrip("=")


def _read_token(token: str, root: str) -> tuple[int, str]:
    said = None
    with contextlib.suppress(ValueError, binascii.Error):
        said = msgspec.json.decode(base64.urlsafe_b64decode(f"{token}==="), type=_Token)
    if said is None or said.v != _VERSION or said.rv < _NOW or not said.start.startswith("/"):
        raise BadRequest(
            "invalid continue token: continue key is not valid: the continue token cannot be read. Send it as the page before "
            "gave it, or list without it."
        )
    return max(0, said.rv), root + said.start[1:].removesuffix("\0")


def _forgotten(root: str, start: str | None, *, is_continued: bool) -> Gone:
    if not is_continued or start is None:
        return Gone("The resourceVersion for the provided list is too old. List again without it.")
    error = Gone(
        "The provided continue parameter is too old to display a consistent list result: what this list began with is not kept "
        "any more. List again without it, or go on with the token in this answer's metadata.continue: the rest is then "
        "as it is now, with what was created, changed or deleted since the first page."
    )
    error.continue_ = _token(_NOW, root, start)
    return error
