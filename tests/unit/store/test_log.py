"""What only the SQLite log does: bad files, full disks, growth, and queries that use their index."""

import random  # noqa: TID251  # writes that follow from a seed
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge import errors
from kedge.store.log import STATEMENTS, ObjectLog
from kedge.store.memory import MemoryLog
from kedge.store.types import Record, Store


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
        errors.StateError,
        match=r"objects\.db: the object store is damaged .*Put a backup back .*, or move it away",
    ):
        ObjectLog(path)


@pytest.fixture
def large_and_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectLog]:
    """A file that is too large to be looked through at the start, the end of which is damaged."""
    monkeypatch.setattr("kedge.soundness.SMALL", 0)
    path = tmp_path / "objects.db"
    with closing(ObjectLog(path)) as log:
        for number in range(200):
            log.create(f"/p/{number}", b"x" * 500)
    content = bytearray(path.read_bytes())
    content[-65536:] = b"\xff" * 65536
    path.write_bytes(content)
    with closing(ObjectLog(path)) as log:
        yield log


def test_damage_met_later_is_reported(large_and_damaged: ObjectLog) -> None:
    with pytest.raises(errors.StateError, match="the object store is damaged"):
        large_and_damaged.list("/p/")


async def test_damage_of_a_large_file_is_found_while_it_is_used(large_and_damaged: ObjectLog) -> None:
    found: list[errors.StateError] = []
    large_and_damaged.on_damage = found.append
    await large_and_damaged.look_through()
    assert len(found) == 1
    assert "the object store is damaged" in str(found[0])
    assert "kedge restore --force FILE" in str(found[0])


async def test_a_large_file_that_is_sound_is_looked_through_and_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedge.soundness.SMALL", 0)
    found: list[errors.StateError] = []
    with closing(ObjectLog(tmp_path / "objects.db")) as log:
        log.on_damage = found.append
        log.create("/a", b"1")
        await log.look_through()
        assert log.create("/b", b"2").revision == 2
    assert found == []


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


def test_the_file_gives_back_what_nobody_needs(tmp_path: Path) -> None:
    """Within twice of what the objects need, and 16 MiB, although 64 MiB are written over and over."""
    log = ObjectLog(path := tmp_path / "objects.db")
    heads = {f"/p/{number}": log.create(f"/p/{number}", b"x" * 65_536) for number in range(16)}
    for number in range(1, 1025):
        key = f"/p/{number % 16}"
        heads[key] = log.update(key, bytes([number % 256]) * 65_536, heads[key].revision)
    for number in range(2048):  # compactions go on, and give back some each time
        log.create(f"/small/{number}", b"x")
    live = 16 * 65_536 + 2048 * 200
    assert log.compacted() > 0
    assert [log.get(key).revision for key in heads] == [head.revision for head in heads.values()]  # type: ignore[union-attr]
    log.close()
    assert path.stat().st_size <= 2 * live + (16 << 20)


def taken_by_objects(path: Path) -> int:
    """Bytes of a file that has the objects of a log alone, written anew."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
        source.backup(copy)
        copy.execute("DELETE FROM revisions WHERE deleted = 1 OR id IN (SELECT prev_revision FROM revisions)")
        copy.execute("VACUUM")
        (size,) = copy.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()").fetchone()
    return size


SIZES: dict[str, Callable[[random.Random], int]] = {
    "some hundred bytes": lambda dice: dice.randrange(200, 1500),
    "half a page": lambda _: 2060,
    "some kibibytes": lambda dice: dice.randrange(2 << 10, 40 << 10),
    "up to a megabyte": lambda dice: int(300 * 10 ** (3.5 * dice.random())),
    "a megabyte": lambda dice: dice.randrange(200 << 10, 1400 << 10),
}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("amount", "writes"),
    [
        pytest.param(32 << 20, 12_000, id="32 MiB"),
        pytest.param(400 << 20, 150_000, marks=pytest.mark.soak, id="400 MiB"),
    ],
)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_churning_file_stays_within_twice_what_its_objects_take(
    size: Callable[[random.Random], int], amount: int, writes: int, tmp_path: Path
) -> None:
    """And 24 MiB, at any time; the write-ahead log has no more than another 32. In the end most objects are deleted."""
    dice, path = random.Random(1), tmp_path / "objects.db"  # noqa: S311
    with closing(ObjectLog(path)) as log:
        heads: list[Record] = []
        written = checked = made = 0

        def write(record: Record) -> Record:
            nonlocal written, checked
            written += len(record.value)
            if written - checked > amount // 2:
                checked = written
                assert path.stat().st_size <= 2 * taken_by_objects(path) + (24 << 20)
                assert path.with_name("objects.db-wal").stat().st_size <= 32 << 20
            return record

        def create() -> None:
            nonlocal made
            made += 1
            heads.append(write(log.create(f"/registry/things/{made % 7}/thing-{made}", dice.randbytes(size(dice)))))

        while written < amount and made < writes // 3:
            create()
        while written < 3 * amount and log.current() < writes:
            at = dice.randrange(len(heads))
            match dice.randrange(8):
                case 0:
                    create()
                case 1:
                    heads[at], heads[-1] = heads[-1], heads[at]
                    gone = heads.pop()
                    write(log.delete(gone.key, gone.revision))
                case _:
                    heads[at] = write(log.update(heads[at].key, dice.randbytes(size(dice)), heads[at].revision))
        dice.shuffle(heads)
        for gone in heads[len(heads) // 10 :]:
            write(log.delete(gone.key, gone.revision))
        assert path.stat().st_size <= 2 * taken_by_objects(path) + (24 << 20)


def test_a_file_of_before_learns_to_give_back(tmp_path: Path) -> None:
    path = tmp_path / "objects.db"
    log = ObjectLog(path)
    log.create("/a", b"1")
    log.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA auto_vacuum = NONE")
        database.execute("VACUUM")
        assert database.execute("PRAGMA auto_vacuum").fetchone() == (0,)
    log = ObjectLog(path)
    assert log._db.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    assert [record.key for record in log.list("/").records] == ["/a"]
    assert log.create("/b", b"2").revision == 2
    log.close()


def test_a_damaged_page_is_found_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "objects.db"
    log = ObjectLog(path)
    for number in range(500):
        log.create(f"/p/{number}", b"x" * 100)
    log.close()
    with closing(sqlite3.connect(path)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'revisions'").fetchone()
    with path.open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xff" * 4096)
    with pytest.raises(errors.StateError, match=r"the object store is damaged.*kedge restore --force FILE"):
        ObjectLog(path)
