"""What only the SQLite log does: bad files, full disks, growth, and queries that use their index."""

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge import errors
from kedge.store.log import STATEMENTS, ObjectLog
from kedge.store.memory import MemoryLog
from kedge.store.types import Store


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ObjectLog]:
    log = ObjectLog(tmp_path / "objects.db", keep=100)
    yield log
    log.close()


def test_file_is_private(log: ObjectLog, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "objects.db").stat().st_mode) == 0o600


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "objects.db"
    path.write_text("not a database at all, but long enough to be taken for one at first\n" * 20)
    with pytest.raises(
        errors.StateError, match=r"objects\.db: the object store is damaged .*Restore it from a backup, or move it away"
    ):
        ObjectLog(path)


def test_damage_found_later_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "objects.db"
    log = ObjectLog(path)
    for number in range(200):
        log.create(f"/p/{number}", b"x" * 500)
    log.close()
    content = bytearray(path.read_bytes())
    content[-65536:] = b"\xff" * 65536
    path.write_bytes(content)
    log = ObjectLog(path)
    with pytest.raises(errors.StateError, match="the object store is damaged"):
        log.list("/p/")
    log.close()


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "objects.db"
    ObjectLog(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(errors.StateError, match=r"written by a newer version of Kedge \(format 99, this one reads 1\)"):
        ObjectLog(path)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.StateError, match="cannot be opened: No such file or directory"):
        ObjectLog(tmp_path / "missing" / "objects.db")


def test_a_full_disk_is_unavailable_and_loses_nothing(log: ObjectLog) -> None:
    log.create("/p/a", b"1")
    (pages,) = log._db.execute("PRAGMA page_count").fetchone()
    log._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(errors.Unavailable, match=r"the disk is full\. Free some space"):
        log.create("/p/b", b"x" * 100_000)
    log._db.execute("PRAGMA max_page_count = 100000")
    assert log.create("/p/b", b"2").revision == 2
    assert len(log.list("/p/").records) == 2


def test_history_is_compacted_by_itself(log: ObjectLog) -> None:
    revision = log.create("/p/a", b"0").revision
    for number in range(2000):
        revision = log.update("/p/a", str(number).encode(), revision).revision
    (rows,) = log._db.execute("SELECT count(*) FROM revisions").fetchone()
    assert rows <= 100 + 512 + 1
    assert log.get("/p/a") is not None
    assert log.compacted() > 1000


def test_full_durability_is_a_setting(tmp_path: Path) -> None:
    log = ObjectLog(tmp_path / "objects.db", synchronous="FULL")
    assert log._db.execute("PRAGMA synchronous").fetchone() == (2,)
    log.close()


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_no_statement_scans_a_table(log: ObjectLog, name: str) -> None:
    parameters = {"start": "", "stop": "x", "at": 1, "limit": 1, "revision": 1, "prefix": "", "from": 1, "to": 1}
    positional = ("k", 0, 0, 0, b"")[: STATEMENTS[name].count("?")]
    rows = log._db.execute(f"EXPLAIN QUERY PLAN {STATEMENTS[name]}", positional or parameters).fetchall()
    assert not [detail for *_, detail in rows if detail.startswith("SCAN") and "SUBQUERY" not in detail]


_WRITES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "delete", "compact"]), st.integers(0, 30)), max_size=40
)


def _carry_out(store: Store, writes: list[tuple[str, str, int]]) -> list[object]:
    seen = list[object]()
    store.subscribe("", seen.append)
    for name, operation, number in writes:
        key = f"/p/{name}"
        head = store.get(key)
        if operation == "compact":
            store.compact(number)
        elif operation == "put" and head is None:
            store.create(key, str(number).encode())
        elif operation == "put" and head is not None:
            store.update(key, str(number).encode(), head.revision)
        elif head is not None:
            store.delete(key, head.revision)
        for moment in range(store.compacted(), store.current() + 1):
            seen.append(store.list("/p/", revision=moment, limit=2))
        seen.append(store.after(store.compacted()))
    return seen


@settings(max_examples=50, deadline=None)
@given(_WRITES)
def test_both_logs_agree_on_everything(writes: list[tuple[str, str, int]]) -> None:
    """Whatever is written and compacted, the file tells at every moment what memory tells."""
    file = ObjectLog(":memory:")
    try:
        assert _carry_out(file, writes) == _carry_out(MemoryLog(), writes)
    finally:
        file.close()
