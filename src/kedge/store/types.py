"""The object log's contract: `Store`, and the records it keeps.

A store is one ordered log of revisions. Each write appends one `Record` and gives it the next number, which is the object's
``resourceVersion``; an object is the newest record of its key; a watch is "the records after N". It knows bytes and keys, nothing
of Kubernetes.

Rules that every implementation keeps (`kedge.testing.stores.StoreConformance` holds each as a test):
- Revisions only grow, by one a write, and a number is never used twice, not even across a restart.
- ``update`` and ``delete`` name the revision that they replace: of two writers that read the same one, the second is refused.
- A write that was answered is in the log; one that raised is not.
- Subscribers hear of each write once, in order, before the write returns; they must be quick and must not raise.
- All methods are called from one thread. None blocks on anything but the disk.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """One revision of one object.

    Attributes:
        key: ``/registry/<resource>/<namespace>/<name>``.
        revision: Its number in the log.
        value: The object after the change; for a deletion, as it last was.
        create_revision: The revision that made the object.
        deleted: Whether this revision deleted the object.
        previous: The object before the change, or ``None``; only `Store.after` and subscribers are told.
    """

    key: str
    revision: int
    value: bytes
    create_revision: int
    deleted: bool = False
    previous: bytes | None = None

    @property
    def created(self) -> bool:
        """Whether this revision made the object."""
        return self.create_revision == self.revision


@dataclass(frozen=True, slots=True)
class Listing:
    """What `Store.list` found.

    Attributes:
        revision: The moment at which all records were current; a watch from here misses nothing.
        records: In the order of their keys.
        more: Whether there are keys after the last record.
    """

    revision: int
    records: list[Record]
    more: bool


Callback = Callable[[Record], None]
Unsubscribe = Callable[[], None]


class Store(Protocol):
    """The log; see the module's rules. Everything but `close` may raise `errors.StateError` when the log cannot be read."""

    def get(self, key: str) -> Record | None:
        """The newest record of a key, or ``None`` when there is no such object."""
        ...

    def list(self, prefix: str, *, revision: int = 0, limit: int = 0, start: str | None = None) -> Listing:
        """The objects whose keys begin with a prefix.

        Args:
            prefix: Such as ``/registry/pods/``.
            revision: As they were at that moment; 0 for now.
            limit: At most so many; 0 for all.
            start: Only keys after this one.

        Raises:
            Gone: The revision was compacted.
        """
        ...

    def count(self, prefix: str, *, revision: int = 0, start: str | None = None) -> int:
        """How many objects `list` would find; with the same arguments, and as it raises."""
        ...

    def create(self, key: str, value: bytes) -> Record:
        """Write an object that is not there; raises `errors.AlreadyExists`, or `errors.Unavailable` on a full disk."""
        ...

    def update(self, key: str, value: bytes, revision: int) -> Record:
        """Replace an object whose newest revision is the one named.

        Raises:
            NotFound: There is no such object.
            Conflict: Its newest revision is another.
            Unavailable: The disk is full.
        """
        ...

    def delete(self, key: str, revision: int) -> Record:
        """Delete an object whose newest revision is the one named; raises as `update` does."""
        ...

    def after(self, revision: int, prefix: str = "", limit: int = 0) -> Sequence[Record]:
        """The changes after a revision, oldest first.

        Raises:
            Gone: Some of them were compacted, or the log has not come so far.
        """
        ...

    def subscribe(self, prefix: str, callback: Callback) -> Unsubscribe:
        """Hear of each write whose key begins with a prefix, from now on."""
        ...

    def compact(self, revision: int) -> None:
        """Forget what was replaced or deleted up to a revision. Objects that exist stay."""
        ...

    def raise_revision(self, revision: int) -> None:
        """Count on from at least this number, and forget all history.

        A restored backup needs this, because clients have seen later revisions: their watches then get `errors.Gone`.
        """
        ...

    def current(self) -> int:
        """The newest revision; 0 in an empty log."""
        ...

    def compacted(self) -> int:
        """The revision up to which history was forgotten."""
        ...

    def close(self) -> None:
        """Let go of files. Nothing else may be called afterwards, but this again."""
        ...
