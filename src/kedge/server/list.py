"""The verb ``list``: every page of one list shows the same moment."""

import base64
import binascii
from dataclasses import dataclass

import msgspec

from kedge.client.types import Page
from kedge.errors import BadRequest, Gone
from kedge.kube import selectors
from kedge.kube.kinds import Kind, Obj
from kedge.kube.selectors import Predicate
from kedge.server.core import Core, Target, prefix, require_verb


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
    return selectors.predicate(labels, fields, allowed_fields=kind.field_selectors)


def listing(core: Core, target: Target, query: Query) -> Page:
    """Read objects.

    Raises:
        BadRequest: A selector or token cannot be read.
        Gone: The moment that was asked for is no longer kept.
    """
    require_verb(target.kind, "list")
    matches = predicate(target.kind, query.labels, query.fields)
    revision, start = query.revision, None
    if query.continue_:
        revision, start = _read_token(query.continue_)
    root = prefix(target)
    items: list[Obj] = []
    while True:
        wanted = query.limit - len(items) if query.limit else 0
        try:
            found = core.store.list(root, revision=revision, limit=wanted, start=start)
        except Gone as error:
            if not query.continue_:
                raise
            raise Gone(
                "the continue token is too old: what this list began with is no longer kept. List again without it."
            ) from error
        revision = found.revision
        items += (core.glance(each) for each in found.records if matches is None or matches(core.part(each, target.kind)))
        if not found.more:
            return Page(items, str(revision))
        start = found.records[-1].key
        if len(items) >= query.limit:
            return Page(items, str(revision), _token(revision, start))


def _token(revision: int, start: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([revision, start])).decode()


def _read_token(token: str) -> tuple[int, str]:
    try:
        revision, start = msgspec.json.decode(base64.urlsafe_b64decode(token), type=tuple[int, str])
    except (ValueError, binascii.Error) as error:
        raise BadRequest("the continue token cannot be read. Send it as the page before gave it, or list without it.") from error
    return revision, start
