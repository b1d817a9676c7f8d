"""A log that lives in memory: for tests, and for hosts that shall forget."""

from bisect import bisect_right
from collections.abc import Sequence

from kedge import errors
from kedge.store.subscribers import Subscribers
from kedge.store.types import Callback, Listing, Record, Unsubscribe


class MemoryLog:
    """`Store` without a disk."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._heads: dict[str, Record] = {}
        self._revision = 0
        self._compacted = 0
        self._subscribers = Subscribers()

    def get(self, key: str) -> Record | None:
        """The newest record of a key, or ``None``."""
        head = self._heads.get(key)
        return None if head is None or head.deleted else _plain(head)

    def list(self, prefix: str, *, revision: int = 0, limit: int = 0, start: str | None = None) -> Listing:
        """The objects whose keys begin with a prefix."""
        at = revision or self._revision
        if at < self._compacted or at > self._revision:
            raise expired(at, self._compacted, self._revision)
        then = at < self._revision
        heads = {record.key: record for record in self._records if record.revision <= at} if then else self._heads
        keys = sorted(key for key, head in heads.items() if key.startswith(prefix) and not head.deleted)
        if start is not None:
            keys = keys[bisect_right(keys, start) :]
        taken = keys[:limit] if limit else keys
        return Listing(at, [_plain(heads[key]) for key in taken], more=len(taken) < len(keys))

    def count(self, prefix: str, *, revision: int = 0, start: str | None = None) -> int:
        """How many objects `list` would find."""
        return len(self.list(prefix, revision=revision, start=start).records)

    def create(self, key: str, value: bytes) -> Record:
        """Write an object that is not there."""
        head = self._heads.get(key)
        if head is not None and not head.deleted:
            raise exists(key)
        return self._append(Record(key, self._revision + 1, value, self._revision + 1))

    def update(self, key: str, value: bytes, revision: int) -> Record:
        """Replace an object whose newest revision is the one named."""
        head = check_head(self.get(key), key, revision)
        return self._append(Record(key, self._revision + 1, value, head.create_revision, previous=head.value))

    def delete(self, key: str, revision: int) -> Record:
        """Delete an object whose newest revision is the one named."""
        head = check_head(self.get(key), key, revision)
        gone = Record(key, self._revision + 1, head.value, head.create_revision, deleted=True, previous=head.value)
        return self._append(gone)

    def after(self, revision: int, prefix: str = "", limit: int = 0) -> Sequence[Record]:
        """The changes after a revision, oldest first."""
        if revision < self._compacted or revision > self._revision:
            raise expired(revision, self._compacted, self._revision)
        first = bisect_right(self._records, revision, key=lambda record: record.revision)
        found = [record for record in self._records[first:] if record.key.startswith(prefix)]
        return found[:limit] if limit else found

    def subscribe(self, prefix: str, callback: Callback) -> Unsubscribe:
        """Hear of each write whose key begins with a prefix."""
        return self._subscribers.add(prefix, callback)

    def compact(self, revision: int) -> None:
        """Forget what was replaced or deleted up to a revision."""
        revision = min(revision, self._revision)
        if revision <= self._compacted:
            return
        newest = {record.key: record.revision for record in self._records if record.revision <= revision}
        self._records = [
            record
            for record in self._records
            if record.revision > revision or (record.revision == newest[record.key] and not record.deleted)
        ]
        self._heads = {key: head for key, head in self._heads.items() if not head.deleted or head.revision > revision}
        self._compacted = revision

    def raise_revision(self, revision: int) -> None:
        """Count on from at least this number, and forget all history."""
        self._revision = max(self._revision, revision)
        self.compact(self._revision)

    def current(self) -> int:
        """The newest revision."""
        return self._revision

    def compacted(self) -> int:
        """The revision up to which history was forgotten."""
        return self._compacted

    def close(self) -> None:
        """Nothing to let go of."""

    def _append(self, record: Record) -> Record:
        self._revision = record.revision
        self._records.append(record)
        self._heads[record.key] = record
        self._subscribers.publish(record)
        return record


def _plain(record: Record) -> Record:
    return record if record.previous is None else Record(record.key, record.revision, record.value, record.create_revision)


def exists(key: str) -> errors.AlreadyExists:
    """The error of creating what is there."""
    return errors.AlreadyExists(f"{key}: already exists. Update it, or choose another name.")


def check_head(head: Record | None, key: str, revision: int) -> Record:
    """The record that a write may replace.

    Raises:
        NotFound: There is no such object.
        Conflict: Somebody else wrote first.
    """
    if head is None:
        raise errors.NotFound(f"{key}: not found. It was deleted, or never created.")
    if head.revision != revision:
        raise errors.Conflict(
            f"{key}: the object has been modified: its revision is {head.revision}, the change was made to {revision}. "
            "Read it again and apply the change to that."
        )
    return head


def expired(revision: int, compacted: int, current: int) -> errors.Gone:
    """The error of asking for what the log does not hold."""
    if revision > current:
        return errors.Gone(f"too large resource version: {revision}, current: {current}. List again and watch from there.")
    return errors.Gone(f"too old resource version: {revision} ({compacted}). List again and watch from there.")
