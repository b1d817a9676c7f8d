"""What is PostgreSQL's own: how its database is made, reached and refused, and where it differs from SQLite unless it is told."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import postgresql
import psycopg
import pytest
from certificates import Authority
from ports import free_port
from sqlalchemy import BindParameter, Delete, Select, Update, event
from sqlalchemy.sql import visitors

from kedge.config import Settings
from kedge.db import schema
from kedge.db.database import Database, open_postgres, open_to_migrate
from kedge.db.tables import metadata
from kedge.errors import StateError, Unavailable
from kedge.pipelines import cache_entries, deletions, history, outbox, pod_events, recurring, series
from kedge.pipelines import catalog as catalog_of_pipelines
from kedge.pipelines.catalog import Catalog
from kedge.pipelines.feature import migrate_history, open_history
from kedge.pipelines.history import History
from kedge.pipelines.pages import Query
from kedge.testing.clock import FakeClock, FakeIds

Made = Callable[..., str]


def ask(url: str, statement: Any, *values: Any) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


def shape(url: str) -> list[Any]:
    """Every column, key and index."""
    columns = ask(
        url,
        "SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default FROM information_schema.columns "
        "WHERE table_schema = 'public' ORDER BY table_name, column_name",
    )
    keys = ask(
        url,
        "SELECT conrelid::regclass::text, contype, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2, 3",
    )
    return [*columns, *keys, *ask(url, "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")]


def migrated(url: str, target: str) -> None:
    found = open_bare(url)
    with found.begin() as connection:
        schema.migrate(connection, target)
    found.dispose()


def migrate(url: str) -> schema.Migration:
    database = open_to_migrate(url)
    database.close()
    return database.migration


def open_bare(url: str) -> Any:
    import sqlalchemy  # noqa: PLC0415  # here alone

    return sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))


# ---- tables


def test_migrations_end_at_the_tables_that_a_new_database_gets(new_postgres: Made) -> None:
    made, grown = new_postgres(), new_postgres()
    open_postgres(made).close()
    migrated(grown, "head")
    assert shape(made) == shape(grown)


def test_texts_are_ordered_by_their_bytes_and_whole_numbers_have_64_bits(postgres_url: str) -> None:
    open_postgres(postgres_url).close()
    found = ask(
        postgres_url,
        "SELECT DISTINCT data_type, collation_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1",
    )
    assert found == [("bigint", None), ("bytea", None), ("double precision", None), ("text", "C")]


def test_a_database_of_the_first_version_is_migrated_and_says_from_where_to_where(new_postgres: Made) -> None:
    url = new_postgres()
    migrated(url, "0001")
    ask(url, "INSERT INTO pipelines VALUES ('p1', 'default', 'mine', 'Mine', '', '{\"team\": \"a\"}', 1)")
    assert migrate(url) == schema.Migration("0001", schema.REVISIONS[-1])
    assert ask(url, "SELECT key, value FROM pipeline_tags") == [("team", "a")]
    assert migrate(url) == schema.Migration(schema.REVISIONS[-1], schema.REVISIONS[-1])


def test_a_database_without_tables_gets_them(new_postgres: Made) -> None:
    assert migrate(new_postgres()) == schema.Migration(None, schema.REVISIONS[-1])


def test_what_a_migration_did_is_said_in_words(new_postgres: Made, tmp_path: Path) -> None:
    url, path = new_postgres(), tmp_path / "history.db"
    newest = schema.REVISIONS[-1]
    for settings in (Settings(tmp_path, tmp_path, database=url), Settings(tmp_path, tmp_path)):
        assert migrate_history(settings, path).endswith(f": was empty, and has the tables of schema {newest} now.")
        assert migrate_history(settings, path).endswith(f": has schema {newest} already.")
    old = new_postgres()
    migrated(old, "0003")
    told = migrate_history(Settings(tmp_path, tmp_path, database=old), path)
    assert told.endswith(f": has gone from schema 0003 to {newest}.")
    assert told.startswith("postgresql://")


def test_tables_are_migrated_although_a_hub_uses_them(postgres_url: str) -> None:
    database = open_postgres(postgres_url)
    assert migrate(postgres_url).after == schema.REVISIONS[-1]
    assert History(database).live_runs() == []
    database.close()


def test_a_newer_database_is_refused_and_left_alone(new_postgres: Made) -> None:
    url = new_postgres()
    migrate(url)
    ask(url, "UPDATE alembic_version SET version_num = '9999'")
    for opened in (open_postgres, migrate):
        with pytest.raises(StateError, match=r"schema 9999, which a newer version of Kedge wrote; .* Upgrade Kedge, or give"):
            opened(url)
    assert ask(url, "SELECT version_num FROM alembic_version") == [("9999",)]


@pytest.mark.parametrize("begun", ["nothing", "0001"])
def test_several_that_migrate_at_once_do_it_once(new_postgres: Made, begun: str) -> None:
    url = new_postgres()
    if begun != "nothing":
        migrated(url, begun)
    code = f"from kedge.db.database import open_to_migrate; print(open_to_migrate({url!r}).migration.before)"
    several = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = sorted(each.communicate(timeout=60)[0].strip() for each in several)
    assert [each.returncode for each in several] == [0, 0, 0]
    assert told == sorted([str(None if begun == "nothing" else begun), schema.REVISIONS[-1], schema.REVISIONS[-1]])


# ---- what is written comes back


@pytest.fixture
def catalog(either_database: Callable[[Path], Database], tmp_path: Path) -> Any:
    database = either_database(tmp_path)
    yield Catalog(database, FakeClock(), FakeIds())
    database.close()


@pytest.mark.parametrize("text", ["a\0b", "\0", "\ufdd0", "\ufdd0\ufdd1\0", "é\0\ufdd1"], ids=ascii)
def test_every_character_of_a_text_is_kept_and_found(catalog: Catalog, text: str) -> None:
    made = catalog.add_experiment("default", f"name {text}", description=text)
    assert catalog.experiment(made.id).description == text
    assert catalog.experiment_named(f"name {text}", "default") == made


def test_names_are_in_the_order_of_their_characters(catalog: Catalog) -> None:
    names = ["Zebra", "apple", "Äpfel", "_x", "a b", "aB", "9", "zebra", "a-b"]
    for name in names:
        catalog.add_experiment("default", name)
    page = catalog.list_experiments(Query(sort_by="display_name asc"))
    assert [found.display_name for found in page.items] == sorted(names)
    names_of_two, token = [], ""
    while True:
        page = catalog.list_experiments(Query(2, token, "" if token else "display_name desc"))
        names_of_two += [found.display_name for found in page.items]
        if not (token := page.next_token):
            break
    assert names_of_two == sorted(names, reverse=True)


def test_names_are_in_the_order_of_their_characters_whatever_the_locale_of_the_database(new_postgres: Made) -> None:
    url = new_postgres("LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0")
    assert ask(url, "SELECT 'a' < 'B'") == [(True,)], "the database's own order is another one"
    database = open_postgres(url)
    catalog = Catalog(database, FakeClock(), FakeIds())
    for name in ("b", "B", "a", "_"):
        catalog.add_experiment("default", name)
    page = catalog.list_experiments(Query(sort_by="display_name"))
    assert [found.display_name for found in page.items] == ["B", "_", "a", "b"]
    found = catalog.list_experiments(Query(filter='{"predicates":[{"key":"display_name","operation":9,"stringValue":"A"}]}'))
    assert [each.display_name for each in found.items] == ["a"]
    database.close()


def test_a_long_description_is_kept(catalog: Catalog) -> None:
    text = "".join(f"{number:x}" for number in range(10_000))
    made = catalog.add_experiment("default", "long", description=text)
    assert catalog.experiment(made.id).description == text


# ---- who may, and where


def test_a_role_that_may_only_read_and_write_rows_is_enough_once_the_tables_are_there(new_postgres: Made) -> None:
    url = new_postgres()
    ask(url, "DROP ROLE IF EXISTS hub")
    ask(url, "CREATE ROLE hub LOGIN")
    theirs = url.replace(f"//{postgresql.USER}@", "//hub@")
    with pytest.raises(StateError, match=r"the role may not do that \(permission denied .* run kedge upgrade as their owner"):
        open_postgres(theirs)
    migrate(url)
    ask(url, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO hub")
    ask(url, "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO hub")
    database = open_postgres(theirs)
    catalog = Catalog(database, FakeClock(), FakeIds())
    made = catalog.add_experiment("default", "x")
    catalog.delete_experiment(made.id)
    database.close()
    ask(url, "DROP OWNED BY hub")
    ask(url, "DROP ROLE hub")


def test_one_hub_writes_to_a_database(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_postgres(postgres_url)
    refused = pytest.raises(Unavailable, match=r"another hub writes to this database\. Stop it, or give this one")
    with monkeypatch.context() as hurried, refused:
        hurried.setattr("kedge.db.postgres._CLAIM_SECONDS", 0.1)
        open_postgres(postgres_url)
    second = open_postgres(postgres_url, take_over=True)
    with pytest.raises(Unavailable, match="is away"), first.writing() as connection:
        connection.execute(metadata.tables["specs"].insert().values(digest="late", pipeline=b"", created_at=1))
    with second.reading() as connection:
        assert connection.execute(metadata.tables["specs"].select()).all() == []
    first.close()
    second.close()


def test_a_database_that_cannot_hold_every_text_is_refused(new_postgres: Made) -> None:
    url = new_postgres("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with pytest.raises(StateError, match=r"encoding is LATIN1\. Make one .*ENCODING 'UTF8'"):
        open_postgres(url)


# ---- what goes wrong says what to do, and never the password

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"mysql://me:{SECRET}@host/db", "must begin with postgresql://"),
        (f"postgresql://me:{SECRET}@host:{SECRET}/db", "cannot be read as"),
        (f"postgresql://me:{SECRET}%zz@host/db", r"cannot be read as .* write special characters as %40 for @"),
        (f"postgresql://me:{SECRET}@host/db?colour=blue", "cannot be read as"),
        (f"postgresql://me:{SECRET}@127.0.0.1:1/db", r"postgresql://me@127\.0\.0\.1:1/db: cannot be reached .*refused"),
        (f"postgresql://me:{SECRET}@/nowhere?host=/nowhere", "cannot be reached"),
    ],
)
def test_an_address_that_cannot_be_used_says_why(url: str, why: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises((StateError, Unavailable), match=why) as caught:
        open_history(Settings.from_environment({"KEDGE_HOME": "/nowhere", "KEDGE_DATABASE": url}), Path("/nowhere/history.db"))
    told = [caught.value, caught.value.__cause__, caplog.text]
    assert SECRET not in " ".join(map(str, told))


@pytest.fixture(scope="module")
def secured() -> Iterator[postgresql.Secured]:
    postgresql.skip_where_missing()
    with postgresql.secured("127.0.0.1", free_port()) as found:
        yield found


def test_a_server_is_known_by_the_authority_that_the_address_names(secured: postgresql.Secured) -> None:
    database = open_postgres(f"{secured.address}?sslmode=verify-full&sslrootcert={secured.ca}")
    assert History(database).live_runs() == []
    spoken = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'kedge'"
    assert ask(secured.server.url(), spoken) == [(True,)]
    database.close()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("sslmode=verify-full&sslrootcert={other}", "certificate verify failed"),
        ("sslmode=verify-full&sslrootcert=/nowhere/ca.crt", 'root certificate file "/nowhere/ca.crt" does not exist'),
        ("sslmode=verify-full&sslrootcert={ca}&host=db.example&hostaddr=127.0.0.1", 'does not match host name "db.example"'),
        ("sslmode=disable", "no encryption"),
    ],
    ids=["another authority", "no authority", "another server", "no encryption"],
)
def test_a_server_that_is_not_known_is_not_spoken_to(secured: postgresql.Secured, tmp_path: Path, options: str, why: str) -> None:
    other = tmp_path / "ca.crt"
    other.write_text(Authority.new("another authority").certificate)
    with pytest.raises(Unavailable, match=f"cannot be reached .*{why}.* Look at it, and at KEDGE_DATABASE"):
        open_postgres(f"{secured.address}?{options.format(ca=secured.ca, other=other)}")


def test_a_database_that_is_not_there_says_so(postgres_url: str) -> None:
    elsewhere = f"postgresql://{postgresql.USER}@/elsewhere?{postgres_url.partition('?')[2]}"
    with pytest.raises(
        Unavailable, match=r'/elsewhere: cannot be reached .*database "elsewhere" does not exist.* KEDGE_DATABASE'
    ):
        open_postgres(elsewhere)


def test_the_password_is_in_no_text_of_the_settings() -> None:
    settings = Settings.from_environment({"KEDGE_HOME": "/h", "KEDGE_DATABASE": f"postgresql://me:{SECRET}@host/db"})
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.environ), "what passes through to others is without it"
    assert settings.database.endswith("host/db")


def test_without_the_extra_it_is_said_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StateError, match=r"pip install 'kedge\[postgres\]'"):
        open_postgres("postgresql://host/db")


def test_a_host_with_a_file_does_not_load_the_driver(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kedge.db.database import open_sqlite; "
        f"open_sqlite(Path({str(tmp_path / 'h.db')!r})).close(); print('psycopg' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_a_defect_in_a_statement_tells_no_values(postgres_url: str) -> None:
    database = open_postgres(postgres_url)
    with pytest.raises(Exception, match="does not exist") as caught, database.reading() as connection:
        connection.exec_driver_sql("SELECT * FROM nothing WHERE x = %(x)s", {"x": SECRET})
    assert SECRET not in str(caught.value)
    assert History(database).live_runs() == [], "the connection is as good as before"
    database.close()


# ---- rows are found by an index here too


@pytest.mark.parametrize(
    "module",
    [history, catalog_of_pipelines, recurring, cache_entries, series, outbox, pod_events, deletions],
    ids=lambda module: module.__name__,
)
def test_every_statement_that_is_written_down_can_use_an_index(postgres_url: str, module: Any) -> None:
    database = open_postgres(postgres_url)
    read: list[str] = []

    def look(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            plan = cursor.connection.execute(f"EXPLAIN {statement}", parameters).fetchall()
            read.extend(f"{line[0].strip()}: {statement}" for line in plan if "Seq Scan" in line[0])

    # Tables of a test are so small that an index is not worth it: see what the planner does when it may not pass it by.
    with database.transaction() as connection:
        connection.exec_driver_sql("SET enable_seqscan = off")
    event.listen(database._engine, "before_cursor_execute", look)
    statements = [value for value in vars(module).values() if isinstance(value, Select | Update | Delete)]
    assert statements
    for statement in statements:
        with database.transaction() as connection:
            connection.execute(statement, {bind.key: given(bind) for bind in binds(statement) if bind.required})
    assert read == []
    database.close()


def binds(statement: Any) -> Iterator[BindParameter[Any]]:
    return (each for each in visitors.iterate(statement) if isinstance(each, BindParameter))


def given(bind: BindParameter[Any]) -> Any:
    value = "x" if bind.type.python_type is str else 1
    return [value] if bind.expanding else value
