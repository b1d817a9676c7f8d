"""The history database: made, migrated, refused."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import func, select

from kedge.db import schema
from kedge.db.database import open_sqlite
from kedge.db.tables import metadata, pipeline_tags, pipelines, specs
from kedge.errors import StateError, Unavailable


def _shape(path: Path) -> dict[str, object]:
    """Everything the inspector knows of a database, in an order of its own."""
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    try:
        found = sqlalchemy.inspect(engine)
        return {
            table: (
                [
                    (c["name"], str(c["type"]), c["nullable"], c["default"], c.get("primary_key"))
                    for c in found.get_columns(table)
                ],
                found.get_pk_constraint(table)["constrained_columns"],
                sorted((str(k["constrained_columns"]), k["referred_table"]) for k in found.get_foreign_keys(table)),
                sorted((str(i["name"]), str(i["column_names"]), i["unique"]) for i in found.get_indexes(table)),
                sorted(str((i.get("dialect_options") or {}).get("sqlite_where")) for i in found.get_indexes(table)),
            )
            for table in found.get_table_names()
        }
    finally:
        engine.dispose()


def _migrated(path: Path, target: str) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        schema.migrate(connection, target)
    engine.dispose()


def test_migrations_end_at_the_tables_that_a_new_database_gets(tmp_path: Path) -> None:
    open_sqlite(tmp_path / "new.db").close()
    _migrated(tmp_path / "old.db", "head")
    assert _shape(tmp_path / "new.db") == _shape(tmp_path / "old.db")


def test_a_database_of_the_first_version_keeps_its_rows_and_finds_its_tags(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    _migrated(path, "0001")
    with sqlite3.connect(path) as raw:
        raw.execute("INSERT INTO pipelines VALUES ('p1', 'default', 'mine', 'Mine', '', '{\"team\": \"a\"}', 1)")
    raw.close()
    database = open_sqlite(path)
    with database.reading() as connection:
        assert connection.execute(select(pipeline_tags)).all() == [("p1", "team", "a")]
        assert connection.execute(select(pipelines.c.name)).scalars().all() == ["mine"]
    database.close()


def test_the_list_of_revisions_is_the_list_of_files() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    files = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(files)) == schema.REVISIONS


def test_every_table_can_be_made_on_postgresql() -> None:
    made: list[str] = []
    engine = sqlalchemy.create_mock_engine(
        "postgresql://", lambda sql, *_a, **_k: made.append(str(sql.compile(dialect=engine.dialect)))
    )
    metadata.create_all(engine, checkfirst=False)
    assert len([sql for sql in made if "CREATE TABLE" in sql]) == len(metadata.tables)


def test_opening_twice_keeps_what_is_there(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path / "history.db")
    with database.transaction() as connection:
        connection.execute(specs.insert().values(digest="sha256:a", pipeline=b"x", created_at=1))
    database.close()
    again = open_sqlite(tmp_path / "history.db")
    with again.reading() as connection:
        assert connection.execute(select(specs.c.digest)).scalars().all() == ["sha256:a"]
    again.close()


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    open_sqlite(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    with pytest.raises(StateError, match=r"schema 9999, which a newer version of Kedge wrote; .* Upgrade Kedge, or give"):
        open_sqlite(path)


@pytest.mark.parametrize("content", [b"this is no database, by any means" * 200, b"\0" * 8192], ids=["text", "zeros"])
def test_a_file_that_is_no_database_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(content)
    with pytest.raises(StateError, match=r"is damaged .* restore the file from a backup, or move"):
        open_sqlite(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("checked", [1 << 30, 0], ids=["opened", "read, where it is too large to be looked through"])
async def test_a_database_damaged_inside_says_so_when_it_is(
    checked: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kedge.soundness.SMALL", checked)
    path = tmp_path / "history.db"
    database = open_sqlite(path)
    with database.transaction() as connection:
        connection.execute(
            specs.insert(), [{"digest": f"sha256:{n}", "pipeline": b"x" * 1000, "created_at": 1} for n in range(400)]
        )
    database.close()
    pages = bytearray(path.read_bytes())
    pages[len(pages) // 2 :] = b"\xff" * (len(pages) - len(pages) // 2)
    path.write_bytes(pages)
    if checked:
        with pytest.raises(StateError, match="is damaged"):
            open_sqlite(path)
        return
    broken = open_sqlite(path)
    with pytest.raises(StateError, match="is damaged"), broken.reading() as connection:
        connection.execute(select(func.sum(func.length(specs.c.pipeline)))).scalar()
    found: list[StateError] = []
    broken.on_damage = found.append
    await broken.look_through()
    assert ["history.db: the history database is damaged" in str(each) for each in found] == [True]
    broken.close()


def test_a_full_disk_is_unavailable_and_writes_nothing(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path / "history.db")
    with database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    rows = [{"digest": f"sha256:{n}", "pipeline": b"x" * 4000, "created_at": 1} for n in range(20)]
    with pytest.raises(Unavailable, match=r"the disk is full. Free some space there"), database.transaction() as connection:
        connection.execute(specs.insert(), rows)
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(specs)).scalar() == 0
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    with database.transaction() as connection:
        connection.execute(specs.insert(), rows)
    database.close()


def test_a_file_held_by_another_program_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kedge.db.sqlite._BUSY_TIMEOUT", 0.01)
    database = open_sqlite(tmp_path / "history.db")
    other = sqlite3.connect(tmp_path / "history.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable, match="another program holds the database"), database.transaction():
        pass
    other.execute("COMMIT")
    other.close()
    with database.transaction() as connection:
        connection.execute(specs.insert().values(digest="sha256:a", pipeline=b"x", created_at=1))
    database.close()


def test_a_transaction_is_all_or_nothing_and_reads_inside_it_see_its_writes(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path / "history.db")
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:  # noqa: PT012  # what it wrote first is the point
        connection.execute(specs.insert().values(digest="sha256:a", pipeline=b"x", created_at=1))
        with database.reading() as inner:
            assert inner.execute(select(func.count()).select_from(specs)).scalar() == 1
        raise ZeroDivisionError
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(specs)).scalar() == 0
    database.close()


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
def test_the_durability_asked_for_is_the_one_in_use(tmp_path: Path, synchronous: str) -> None:
    database = open_sqlite(tmp_path / "history.db", synchronous=synchronous)
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == {"NORMAL": 1, "FULL": 2}[synchronous]
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    database.close()


def test_a_new_database_does_not_import_alembic(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kedge.db.database import open_sqlite; "
        f"open_sqlite(Path({str(tmp_path / 'h.db')!r})).close(); print('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
