"""A backup is one moment of two databases that are written to, and a restore is all of it or nothing."""

import io
import json
import os
import shutil
import sqlite3
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import pytest

from kedge.backups.archive import MANIFEST
from kedge.backups.restoring import MARGIN, restore
from kedge.backups.taking import Origin, Wanted, take
from kedge.db.database import open_sqlite
from kedge.errors import Gone, StateError
from kedge.home import RESTORED, Home
from kedge.store.log import ObjectLog

ORIGIN = Origin("1", "2026-11-29T00:00:00Z")


def untold(what: str, done: int, total: int) -> None:
    del what, done, total


def back_up(home: Path, file: Path, **wanted: bool) -> Path:
    take(home, file, Wanted(**wanted), ORIGIN, untold)
    return file


def put_back(home: Path, file: Path, *, force: bool = False) -> None:
    restore(home, file, "1", force=force, told=untold, rests=lambda _: True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data directory with two objects, keys, an artifact and a claim."""
    home = tmp_path / "home"
    Home.acquire(home, "1").release()
    with closing(ObjectLog(home / "objects.db")) as log:
        log.create("/a", b"1")
        log.create("/b", b"2")
    open_sqlite(home / "history.db").close()
    (home / "pki").mkdir(mode=0o700)
    (home / "pki" / "owner.token").write_text("secret")
    (home / "artifacts" / "x").mkdir(parents=True)
    (home / "artifacts" / "x" / "model").write_bytes(b"weights")
    (home / "claims" / "c").mkdir(parents=True)
    (home / "claims" / "c" / "link").symlink_to("/etc/hostname")
    (home / "node").mkdir()
    (home / "node" / "record").write_text("{}")
    return home


def content(home: Path) -> dict[str, bytes]:
    with closing(ObjectLog(home / "objects.db")) as log:
        return {record.key: record.value for record in log.list("/").records}


def test_what_was_backed_up_comes_back(home: Path, tmp_path: Path) -> None:
    file = back_up(home, tmp_path / "all.backup", artifacts=True, claims=True)
    assert file.stat().st_mode & 0o777 == 0o600
    other = tmp_path / "other"
    put_back(other, file)
    assert content(other) == {"/a": b"1", "/b": b"2"}
    assert (other / "pki" / "owner.token").read_text() == "secret"
    assert (other / "pki").stat().st_mode & 0o777 == 0o700
    assert (other / "artifacts" / "x" / "model").read_bytes() == b"weights"
    assert os.readlink(other / "claims" / "c" / "link") == "/etc/hostname"  # noqa: PTH115  # as it was written
    assert not list((other / "node").iterdir())
    assert not (other / RESTORED).exists()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["all.backup", "home", "other"]


def test_a_restore_in_place_replaces_what_it_has_and_leaves_the_rest(home: Path, tmp_path: Path) -> None:
    file = back_up(home, tmp_path / "small.backup")
    with closing(ObjectLog(home / "objects.db")) as log:
        for number in range(50):
            log.create(f"/later/{number}", b"x")
        newest = log.current()
    with pytest.raises(StateError, match=r"is in use: objects\.db is there.*--force"):
        put_back(home, file)
    assert len(content(home)) == 52
    put_back(home, file, force=True)
    assert content(home) == {"/a": b"1", "/b": b"2"}
    assert (home / "artifacts" / "x" / "model").read_bytes() == b"weights"
    with closing(ObjectLog(home / "objects.db")) as log:
        assert log.current() == newest + MARGIN
        with pytest.raises(Gone):
            log.after(newest)
        assert log.create("/c", b"3").revision == newest + MARGIN + 1


def test_both_databases_are_of_one_moment_while_they_are_written_to(home: Path, tmp_path: Path) -> None:
    """The writer writes a number to both, always in the same order: the backup may have it in the first alone, by one at most."""
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        with (
            closing(sqlite3.connect(home / "objects.db", isolation_level=None)) as first,
            closing(sqlite3.connect(home / "history.db", isolation_level=None)) as second,
        ):
            for each in (first, second):
                each.execute("PRAGMA busy_timeout = 60000")
                each.execute("CREATE TABLE counted (number INTEGER, padding BLOB)")
            number = 0
            while not stop.is_set():
                number += 1
                for each in (first, second):
                    each.execute("INSERT INTO counted VALUES (?, zeroblob(4000))", (number,))
                if number == 200:
                    begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert begun.wait(60)
        files = [back_up(home, tmp_path / f"{number}.backup") for number in range(5)]
    finally:
        stop.set()
        writer.join()
    for file in files:
        folder = tmp_path / f"of-{file.name}"
        put_back(folder, file)
        numbers: list[int] = []
        for name in ("objects.db", "history.db"):
            with closing(sqlite3.connect(folder / name)) as database:
                last, count = database.execute("SELECT max(number), count(*) FROM counted").fetchone()
                assert last == count
                numbers.append(last)
        assert numbers[0] - numbers[1] in {0, 1}


def damaged(file: Path) -> None:
    held = bytearray(file.read_bytes())
    held[held.index(b"secret")] ^= 1
    file.write_bytes(held)


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20_480])


def no_archive(file: Path) -> None:
    file.write_text("hello")


def rewritten(file: Path, name: str, said: bytes) -> None:
    """Replace or add an entry."""
    with tarfile.open(file) as old:
        entries = [(each, old.extractfile(each).read() if each.isfile() else b"") for each in old]  # type: ignore[union-attr]
    with tarfile.open(file, "w") as new:
        for each, held in entries:
            if each.name != name:
                new.addfile(each, io.BytesIO(held))
        head = tarfile.TarInfo(name)
        head.size = len(said)
        new.addfile(head, io.BytesIO(said))


def newer_archive(file: Path) -> None:
    with tarfile.open(file) as old:
        manifest = json.load(old.extractfile(MANIFEST))  # type: ignore[arg-type]
    rewritten(file, MANIFEST, json.dumps({**manifest, "format": 99, "version": "77.0"}).encode())


def stranger(file: Path) -> None:
    with tarfile.open(file) as old:
        manifest = old.extractfile(MANIFEST).read()  # type: ignore[union-attr]
    rewritten(file, "pki/../../escaped", b"!")
    rewritten(file, MANIFEST, manifest)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (damaged, "is damaged: pki/owner.token is not what was backed up"),
        (cut_off, "is damaged|was cut off"),
        (no_archive, "is no backup of Kedge's, or is damaged"),
        (newer_archive, r"was made by Kedge 77\.0, which is newer than this one"),
        (stranger, r"holds 'pki/\.\./\.\./escaped', which no backup does"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_cannot_be_used_is_refused_and_changes_nothing(harm: object, words: str, home: Path, tmp_path: Path) -> None:
    file = back_up(home, tmp_path / "b")
    assert callable(harm)
    harm(file)
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.name not in {"lock", "version.json"}}
    with pytest.raises(StateError, match=words):
        put_back(home, file, force=True)
    after = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.name not in {"lock", "version.json"}}
    assert {name: after[name] for name in before if name.is_file()} == {name: at for name, at in before.items() if name.is_file()}
    assert before.keys() == after.keys()
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("name", ["objects.db", "history.db"])
def test_a_database_of_a_newer_version_is_refused(name: str, home: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(home / name, isolation_level=None)) as database:
        if name == "objects.db":
            database.execute("PRAGMA user_version = 99")
        else:
            database.execute("UPDATE alembic_version SET version_num = '9999'")
    file = back_up(home, tmp_path / "b")
    with pytest.raises(StateError, match=rf"nothing was restored: {name}: .*newer version"):
        put_back(tmp_path / "other", file)
    assert not (tmp_path / "other" / "objects.db").exists()


def test_a_damaged_database_is_not_backed_up(home: Path, tmp_path: Path) -> None:
    with closing(ObjectLog(home / "objects.db")) as log:
        for number in range(500):
            log.create(f"/many/{number}", b"x" * 100)
    with closing(sqlite3.connect(home / "objects.db")) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'revisions'").fetchone()
    with (home / "objects.db").open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xff" * 4096)
    with pytest.raises(StateError, match=r"objects\.db.*(damaged|cannot be read)"):
        back_up(home, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_nothing_is_overwritten_and_an_empty_directory_has_nothing(home: Path, tmp_path: Path) -> None:
    file = back_up(home, tmp_path / "b")
    with pytest.raises(StateError, match="is there already, and no backup is overwritten"):
        back_up(home, file)
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(StateError, match="there is nothing to back up"):
        back_up(empty, tmp_path / "c")


def test_a_running_host_and_steps_that_still_run_keep_a_restore_out(home: Path, tmp_path: Path) -> None:
    file = back_up(home, tmp_path / "b")
    held = Home.acquire(home, "1")
    with pytest.raises(StateError, match="another host uses this data directory"):
        put_back(home, file, force=True)
    held.release()
    with pytest.raises(StateError, match="steps of its last host still run"):
        restore(home, file, "1", force=True, told=untold, rests=lambda _: False)


@pytest.mark.parametrize("moved", [0, 2, 3, 5])
def test_a_restore_that_was_cut_off_is_finished_by_the_next_start(moved: int, home: Path, tmp_path: Path) -> None:
    """As if the process had died after so many of its files had been moved."""
    put_back(other := tmp_path / "other", back_up(home, tmp_path / "b"))
    stage = home / RESTORED
    names = ["history.db", "node", "objects.db", "pki", "version.json"]
    stage.mkdir()
    for name in names[moved:]:
        (shutil.copytree if (other / name).is_dir() else shutil.copy)(other / name, stage / name)
    for name in names[:moved]:
        path = home / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        (shutil.copytree if (other / name).is_dir() else shutil.copy)(other / name, path)
    (home / "objects.db-wal").write_bytes(b"of the database that is replaced") if moved < 3 else None
    Home.acquire(home, "1").release()
    assert not stage.exists()
    assert content(home) == {"/a": b"1", "/b": b"2"}
    assert (home / "pki" / "owner.token").read_text() == "secret"
    assert not list((home / "node").iterdir())
