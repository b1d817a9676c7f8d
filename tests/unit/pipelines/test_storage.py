"""What runs have stored is added up by namespace, in pieces, whatever there is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from kedge.db.database import Database, open_sqlite
from kedge.db.tables import artifacts
from kedge.pipelines.storage import Held, Storage
from kedge.testing.clock import FakeClock


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = open_sqlite(tmp_path / "history.db")
    yield found
    found.close()


def hold(database: Database, namespace: str, *sizes: int | None) -> None:
    shared = {"namespace": namespace, "name": "model", "type": "system.Model", "uri": "s3://b/model", "created_at": 1}
    rows = [{**shared, "artifact_id": f"{namespace}-{number}", "size": size} for number, size in enumerate(sizes)]
    with database.writing() as connection:
        connection.execute(insert(artifacts), rows)


async def test_sizes_are_added_up_by_namespace_and_what_was_imported_does_not_count(database: Database) -> None:
    hold(database, "team-a", *([2] * 2500), None)
    hold(database, "team-b", 7)
    storage = Storage(database, FakeClock())
    found = {namespace: await storage.held(namespace) for namespace in ("team-a", "team-b", "team-c", None)}
    assert {name: counted.value for name, counted in found.items() if counted is not None} == {
        "team-a": Held(2500, 5000),
        "team-b": Held(1, 7),
        "team-c": Held(),
        None: Held(2501, 5007),
    }
    await storage.stop()


async def test_an_empty_history_holds_nothing(database: Database) -> None:
    storage = Storage(database, FakeClock())
    found = await storage.held(None)
    assert found is not None
    assert found.value == Held()
    await storage.stop()
