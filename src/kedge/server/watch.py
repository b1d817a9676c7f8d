"""The verb ``watch``: changes after a revision, in order, each once, seen through a selector."""

from collections.abc import Callable, Iterator

from kedge.client.types import WatchEvent
from kedge.kube.kinds import Kind
from kedge.kube.selectors import Predicate
from kedge.server.core import Core, Target, prefix, require_verb
from kedge.server.list import Query, only, predicate
from kedge.store.types import Record, Store

_PORTION = 256  # changes that are read from the log at once
Subscriber = Callable[[WatchEvent], None]


def subscribe(core: Core, target: Target, query: Query, callback: Subscriber) -> Callable[[], None]:
    """Tell of every change after ``query.revision``; those already made are told before this returns.

    Args:
        core: The server.
        target: Kind and namespace.
        query: Selectors, and the revision.
        callback: Quick, does not raise; what it is given is shared.

    Returns:
        Ends the subscription.

    Raises:
        BadRequest: A selector cannot be read.
        Gone: The revision is too old.
    """
    require_verb(target.kind, "watch")
    matches = predicate(target.kind, query.labels, query.fields)
    root = only(target, query.fields) or prefix(target)

    told = query.revision
    view = id(target.kind), query.labels, query.fields

    def tell(record: Record) -> None:
        nonlocal told
        if record.revision <= told:
            return  # read from the log already: it was written by whoever is just being told of an earlier change
        told = record.revision
        views = core.views(record)
        try:
            event = views[view]
        except KeyError:
            event = views[view] = seen(core, target.kind, record, matches)
        if event is not None:
            callback(event)

    for record in _since(core.store, query.revision, root):
        tell(record)
    return core.store.subscribe(root, tell)


def _since(store: Store, revision: int, root: str) -> Iterator[Record]:
    """The changes after a revision, a portion at a time: all that the log keeps may be half a gibibyte."""
    while True:
        portion = store.after(revision, root, limit=_PORTION)
        yield from portion
        if len(portion) < _PORTION:
            return
        revision = portion[-1].revision


def seen(core: Core, kind: Kind, record: Record, matches: Predicate | None) -> WatchEvent | None:
    """What a watcher with a selector sees of one change: an object that begins to match is ADDED, one that ceases is DELETED."""
    obj = core.load(record, kind)
    if matches is None:
        return WatchEvent("DELETED" if record.deleted else "ADDED" if record.created else "MODIFIED", obj)
    before = None if record.created else core.previous(record, kind)
    was = before is not None and matches(before)
    now = not record.deleted and matches(obj)
    if now:
        return WatchEvent("MODIFIED" if was else "ADDED", obj)
    if not was:
        return None
    if record.deleted or before is None:
        return WatchEvent("DELETED", obj)
    # The object as the watcher knew it, with the revision of the change.
    version = obj["metadata"]["resourceVersion"]
    return WatchEvent("DELETED", {**before, "metadata": {**before["metadata"], "resourceVersion": version}})
