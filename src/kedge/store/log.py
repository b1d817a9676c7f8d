"""The object log in one SQLite file.

One table, one row a revision; the row's id is the revision. ``AUTOINCREMENT``, because SQLite otherwise gives the id of a deleted
last row away again and a watch would skip. ``prev_revision`` chains the rows of a key; the unique index on it is what makes two
writers of one revision impossible, and it finds the newest row of a key without a second table.

Compaction deletes a row when the row that replaced it is old enough, never the newest row of an object. The row before any that a
watch may still ask for is therefore always there, and needs no copy. The file gives the space back (``auto_vacuum``); where
history would be more than half of the objects, and both are more than 16 MiB, less of it is kept. All of that happens after so
many writes or so many replaced bytes, in portions: no write waits for more than some megabytes to be moved, and what is given
back keeps up with what is deleted.

Durability: with ``synchronous=NORMAL`` an answered write survives any crash of the process; a power cut may lose the last
moments, never the file. ``FULL`` waits for the disk at each write; `kedge.store.disk` does that for many writes at once.
"""

import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kedge import errors, soundness
from kedge.measures import Histogram
from kedge.store.memory import check_head, exists, expired
from kedge.store.subscribers import Subscribers
from kedge.store.types import Callback, Listing, Record, Unsubscribe

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FORMAT = 1  # PRAGMA user_version; raise it with a migration
_COMPACT_EVERY = 512  # writes between automatic compactions: a few milliseconds each
_WASTED = 2048  # bytes that a value takes beyond its own: half a page, or as much as itself where it is smaller
_PORTION = 8 << 20  # bytes that were replaced or deleted since the last one, after which there is another
_KEEP = 10_000  # revisions of history that a client may fall behind before it must list again
_SMALL = 16 << 20  # bytes; a smaller file may be mostly history
_SHRINK_PAGES = 4096  # given back at once, some ten milliseconds: twice a portion, so that it keeps up
_BUSY_TIMEOUT = 2000  # milliseconds that a write waits for another program, such as a backup; all else waits meanwhile
_HEADS = 512  # objects read or written last, kept in memory: what is written is mostly read again at once
_LAST_KEY = "\U0010ffff"  # sorts after every character that a key may have

_SCHEMA = """
CREATE TABLE IF NOT EXISTS revisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    create_revision INTEGER NOT NULL,  -- 0 in the row that created the object: its own id
    prev_revision INTEGER NOT NULL,    -- 0 when there is no earlier row of this key
    deleted INTEGER NOT NULL,
    value BLOB                         -- NULL in a row that deletes: the row before has it
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS revisions_by_key ON revisions (key, prev_revision);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO facts VALUES ('compacted', 0);
"""
_HEAD = """
SELECT id, create_revision, deleted, value FROM revisions WHERE key = ? ORDER BY prev_revision DESC LIMIT 1
"""
_APPEND = "INSERT INTO revisions (key, create_revision, prev_revision, deleted, value) VALUES (?, ?, ?, ?, ?)"
_LIST = """
SELECT r.key, r.id, r.value, r.create_revision FROM revisions AS r
WHERE r.key >= :start AND r.key < :stop AND r.id <= :at AND r.deleted = 0
AND NOT EXISTS (SELECT 1 FROM revisions AS n WHERE n.key = r.key AND n.prev_revision = r.id AND n.id <= :at)
ORDER BY r.key LIMIT :limit
"""
_COUNT = """
SELECT count(*) FROM revisions AS r
WHERE r.key >= :start AND r.key < :stop AND r.id <= :at AND r.deleted = 0
AND NOT EXISTS (SELECT 1 FROM revisions AS n WHERE n.key = r.key AND n.prev_revision = r.id AND n.id <= :at)
"""
_AFTER = """
SELECT r.key, r.id, r.value, r.create_revision, r.deleted, p.value FROM revisions AS r
LEFT JOIN revisions AS p ON p.id = r.prev_revision AND r.create_revision != 0
WHERE r.id > :revision AND +r.key >= :prefix AND +r.key < :stop
ORDER BY r.id LIMIT :limit
"""
_COMPACT = """
DELETE FROM revisions WHERE id IN (
    SELECT prev_revision FROM revisions WHERE id > :from AND id <= :to AND prev_revision != 0
    UNION ALL
    SELECT id FROM revisions WHERE id > :from AND id <= :to AND deleted = 1
)
"""
_REPLACED = """
SELECT n.id, length(p.value) FROM revisions AS n
JOIN revisions AS p ON p.id = n.prev_revision WHERE n.id > :from AND n.id <= :to ORDER BY n.id
"""
STATEMENTS = {
    "replaced": _REPLACED,
    "head": _HEAD,
    "append": _APPEND,
    "list": _LIST,
    "count": _COUNT,
    "after": _AFTER,
    "compact": _COMPACT,
}


class ObjectLog:
    """`Store` in a SQLite file.

    Args:
        path: The file; made with mode 0600 when it is not there. ``:memory:`` is for tests.
        synchronous: ``NORMAL`` or ``FULL``.
        keep: Revisions of history kept by the automatic compaction.

    Attributes:
        written: How long writes took.
        on_damage: Called when the file turns out to be damaged, before that is raised.

    Raises:
        StateError: The file is not such a log, is damaged, or was written by a newer version.
    """

    def __init__(self, path: Path | str, *, synchronous: str = "NORMAL", keep: int = _KEEP) -> None:
        self._path = str(path)
        self._keep = keep
        self._writes = self._replaced = 0
        self._history: int | None = None  # bytes of what was replaced, as far as it is kept; counted when first needed
        self._subscribers = Subscribers()
        self._heads: dict[str, Record] = {}
        self._open = False
        self.written = Histogram()
        self.on_damage: Callable[[errors.StateError], None] | None = None
        with self._translated():
            if self._path != ":memory:":
                Path(path).touch(mode=0o600)
            self._db = sqlite3.connect(self._path, isolation_level=None)
            try:
                self._prepare(synchronous)
            except BaseException:
                self._db.close()
                raise
        self._open = True

    def _prepare(self, synchronous: str) -> None:
        db = self._db
        (found,) = db.execute("PRAGMA user_version").fetchone()
        if found > _FORMAT:
            raise errors.StateError(
                f"{self._path}: written by a newer version of Kedge (format {found}, this one reads {_FORMAT}). "
                "Upgrade Kedge, or set KEDGE_HOME to another directory."
            )
        if not found:  # before there is anything in it
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {'FULL' if synchronous == 'FULL' else 'NORMAL'}")
        db.execute("PRAGMA journal_size_limit = 16777216")
        db.execute("PRAGMA secure_delete = FAST")  # some systems' SQLite otherwise writes over each page that it frees
        db.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT}")
        if found < _FORMAT:
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version = {_FORMAT}")
        self._is_large = self._pragma("page_count") * self._pragma("page_size") > soundness.SMALL
        if not self._is_large and (found := soundness.damage(db)):
            raise _damaged(self._path, found)
        if not self._pragma("auto_vacuum"):
            with suppress(sqlite3.OperationalError):  # no room for a copy: it is tried again at the next start
                db.execute("PRAGMA auto_vacuum = INCREMENTAL")
                db.execute("VACUUM")
        (self._compacted,) = db.execute("SELECT value FROM facts WHERE name = 'compacted'").fetchone()
        row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'revisions'").fetchone()
        self._revision: int = row[0] if row else 0

    def get(self, key: str) -> Record | None:
        """The newest record of a key, or ``None``."""
        if (known := self._heads.get(key)) is not None:
            return known
        with self._translated():
            row = self._db.execute(_HEAD, (key,)).fetchone()
        return None if row is None or row[2] else self._head(Record(key, row[0], row[3], row[1] or row[0]))

    def list(self, prefix: str, *, revision: int = 0, limit: int = 0, start: str | None = None) -> Listing:
        """The objects whose keys begin with a prefix."""
        at, bounds = self._bounds(prefix, revision, start)
        with self._translated():
            rows = self._db.execute(_LIST, {**bounds, "limit": limit + 1 if limit else -1}).fetchall()
        records = [Record(key, number, value, made or number) for key, number, value, made in rows]
        more = bool(limit) and len(records) > limit
        return Listing(at, records[:limit] if more else records, more)

    def count(self, prefix: str, *, revision: int = 0, start: str | None = None) -> int:
        """How many objects `list` would find."""
        _, bounds = self._bounds(prefix, revision, start)
        with self._translated():
            (found,) = self._db.execute(_COUNT, bounds).fetchone()
        return found

    def _bounds(self, prefix: str, revision: int, start: str | None) -> tuple[int, dict[str, Any]]:
        at = revision or self._revision
        if at < self._compacted or at > self._revision:
            raise expired(at, self._compacted, self._revision)
        first = prefix if start is None else max(prefix, f"{start}\0")  # the smallest key after it
        return at, {"start": first, "stop": prefix + _LAST_KEY, "at": at}

    def create(self, key: str, value: bytes) -> Record:
        """Write an object that is not there."""
        with self._translated():
            row = self._db.execute(_HEAD, (key,)).fetchone()
        if row is not None and not row[2]:
            raise exists(key)
        number = self._append(key, 0, row[0] if row else 0, value)
        return self._published(self._head(Record(key, number, value, number)))

    def update(self, key: str, value: bytes, revision: int) -> Record:
        """Replace an object whose newest revision is the one named."""
        head = check_head(self.get(key), key, revision)
        number = self._append(key, head.create_revision, head.revision, value)
        self._head(Record(key, number, value, head.create_revision))
        return self._published(Record(key, number, value, head.create_revision, previous=head.value))

    def delete(self, key: str, revision: int) -> Record:
        """Delete an object whose newest revision is the one named."""
        head = check_head(self.get(key), key, revision)
        number = self._append(key, head.create_revision, head.revision, None)
        self._heads.pop(key, None)
        return self._published(Record(key, number, head.value, head.create_revision, deleted=True, previous=head.value))

    def after(self, revision: int, prefix: str = "", limit: int = 0) -> Sequence[Record]:
        """The changes after a revision, oldest first."""
        if revision < self._compacted or revision > self._revision:
            raise expired(revision, self._compacted, self._revision)
        bounds = {"revision": revision, "prefix": prefix, "stop": prefix + _LAST_KEY, "limit": limit or -1}
        with self._translated():
            rows = self._db.execute(_AFTER, bounds).fetchall()
        return [_change(row) for row in rows]

    def subscribe(self, prefix: str, callback: Callback) -> Unsubscribe:
        """Hear of each write whose key begins with a prefix."""
        return self._subscribers.add(prefix, callback)

    def compact(self, revision: int) -> None:
        """Forget what was replaced or deleted up to a revision."""
        revision = min(revision, self._revision)
        if revision <= self._compacted:
            return
        forgotten = self._size_of_replaced(revision) if self._history is not None else 0
        with self._translated(), self._transaction():
            self._db.execute(_COMPACT, {"from": self._compacted, "to": revision})
            self._db.execute("UPDATE facts SET value = ? WHERE name = 'compacted'", (revision,))
        self._compacted = revision
        if self._history is not None:
            self._history -= forgotten

    def raise_revision(self, revision: int) -> None:
        """Count on from at least this number, and forget all history."""
        if revision > self._revision:
            with self._translated(), self._transaction():
                # The row is there once anything was ever written.
                self._db.execute("DELETE FROM sqlite_sequence WHERE name = 'revisions'")
                self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('revisions', ?)", (revision,))
            self._revision = revision
        self.compact(self._revision)

    def current(self) -> int:
        """The newest revision."""
        return self._revision

    def compacted(self) -> int:
        """The revision up to which history was forgotten."""
        return self._compacted

    async def look_through(self) -> None:
        """Find damage in a file that was too large for that at the start, while it is used; `on_damage` hears of it."""
        if self._is_large and (found := await soundness.damage_meanwhile(Path(self._path))) and self.on_damage is not None:
            self.on_damage(_damaged(self._path, found))

    def close(self) -> None:
        """Let go of the file."""
        if self._open:
            self._open = False
            self._db.close()

    def _head(self, record: Record) -> Record:
        """Remember the newest record of a key. This process is the file's only writer: the data directory's lock sees to it."""
        self._heads.pop(record.key, None)
        self._heads[record.key] = record
        if len(self._heads) > _HEADS:
            del self._heads[next(iter(self._heads))]
        return record

    def _append(self, key: str, create_revision: int, previous: int, value: bytes | None) -> int:
        deleted = 1 if value is None else 0
        start = time.perf_counter()
        with self._translated():
            cursor = self._db.execute(_APPEND, (key, create_revision, previous, deleted, value))
        self.written.observe(time.perf_counter() - start)
        number = cursor.lastrowid
        if number is None:  # pragma: no cover  # SQLite always says
            raise errors.ServerError(f"{key}: SQLite gave the new row no number. This is a bug; please report it.")
        self._revision = number
        return number

    def _published(self, record: Record) -> Record:
        self._subscribers.publish(record)
        size = _taken(None if record.previous is None else len(record.previous))
        self._writes += 1
        self._replaced += size
        if self._history is not None:
            self._history += size
        if self._writes >= _COMPACT_EVERY or self._replaced >= _PORTION:
            self._writes = self._replaced = 0
            with suppress(errors.Unavailable):  # the write itself has happened; the next compaction does this one's work too
                self._tidy()
        return record

    def _tidy(self) -> None:
        """Forget old history, more of it where it is more than half of what the objects take, and give back the space."""
        self.compact(self._revision - self._keep)
        with self._translated():
            used = (self._pragma("page_count") - self._pragma("freelist_count")) * self._pragma("page_size")
        if used > _SMALL:
            self._forget(used // 3)
        with self._translated():
            free, pages = self._pragma("freelist_count"), self._pragma("page_count")
            if free > pages // 8:
                # As a script: each step gives one page back, and `execute` takes a single one of what has no columns.
                self._db.executescript(f"PRAGMA incremental_vacuum({min(free, _SHRINK_PAGES)});")

    def _forget(self, kept: int) -> None:
        """Forget as much of the oldest history as is more than so many bytes."""
        if self._history is None:
            self._history = self._size_of_replaced(self._revision)
        excess, cut = self._history - kept, 0
        if excess <= 0:
            return
        with self._translated():
            for number, size in self._db.execute(_REPLACED, {"from": self._compacted, "to": self._revision}):
                cut, excess = number, excess - _taken(size)
                if excess <= 0:
                    break
        self.compact(cut)

    def _size_of_replaced(self, revision: int) -> int:
        """Bytes of what the revisions from the last compaction to this one replaced or deleted."""
        with self._translated():
            rows = self._db.execute(_REPLACED, {"from": self._compacted, "to": revision})
            return sum(_taken(size) for _, size in rows)

    def _pragma(self, name: str) -> int:
        (value,) = self._db.execute(f"PRAGMA {name}").fetchone()
        return value

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            meaning = _translate(error, self._path)
            if _primary(error) in _DAMAGE and self.on_damage is not None and isinstance(meaning, errors.StateError):
                self.on_damage(meaning)
            raise meaning from error
        except OSError as error:
            raise errors.StateError(f"{self._path}: cannot be opened: {error.strerror}. Make its directory writable.") from error


def _taken(size: int | None) -> int:
    """About how much of a file a value takes."""
    return size + min(size, _WASTED) if size else 0


def _change(row: tuple[str, int, bytes | None, int, int, bytes | None]) -> Record:
    key, number, value, made, deleted, previous = row
    return Record(key, number, (previous if value is None else value) or b"", made or number, bool(deleted), previous)


def _primary(error: sqlite3.DatabaseError) -> int | None:
    code: Any = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def _translate(error: sqlite3.DatabaseError, path: str) -> Exception:
    primary = _primary(error)
    if primary == sqlite3.SQLITE_FULL:
        return errors.Unavailable(f"{path}: the disk is full. Free some space there; nothing was lost, and it can go on at once.")
    if primary == sqlite3.SQLITE_IOERR:
        return errors.Unavailable(
            f"{path}: the disk refused ({error}). Check its free space and health (df, dmesg), then try again."
        )
    if primary in _DAMAGE:
        return _damaged(path, str(error))
    if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return errors.Unavailable(
            f"{path}: another program holds the object store ({error}). Wait for it to end, or stop it; nothing was lost."
        )
    if primary in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return errors.StateError(f"{path}: cannot be written ({error}). Make the file and its directory writable.")
    return error


def _damaged(path: str, why: str) -> errors.StateError:
    return errors.StateError(
        f"{path}: the object store is damaged ({why}). Put a backup back (`kedge restore --force FILE`), or move it away (with "
        "its -wal and -shm files) to begin with an empty one: the history of runs and all artifacts are kept elsewhere and stay."
    )
