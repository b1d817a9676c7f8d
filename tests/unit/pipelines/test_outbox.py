"""The sender of lineage events outlives what nobody foresaw."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from kedge.db.database import Database
from kedge.db.tables import lineage_events
from kedge.pipelines.history import History
from kedge.pipelines.outbox import Outbox
from kedge.testing.clock import FakeClock


@pytest.fixture
def database(either_database: Callable[[Path], Database], tmp_path: Path) -> Iterator[Database]:
    found = either_database(tmp_path)
    yield found
    found.close()


def keep(database: Database, *events: str, after: int = 0) -> None:
    with database.transaction() as connection:
        for number, event in enumerate(events, after):
            row = {"run_id": "r", "task_id": f"t{number}", "generation": 0, "kind": "start", "event": event}
            connection.execute(insert(lineage_events), [{**row, "spec_digest": "", "component": "", "executor": "", "sent": 0}])


async def sender(database: Database, url: str, clock: FakeClock) -> Outbox:
    outbox = Outbox(database, History(database), clock, url=url, api_key="", version="1")
    await outbox.start()
    return outbox


async def test_a_defect_is_told_with_its_traceback_and_the_events_are_tried_again(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    keep(database, '{"a": 1}')
    clock = FakeClock()
    outbox = await sender(database, "http://a host/\0", clock)  # httpx refuses it with an error that is none of HTTP's
    with caplog.at_level(logging.ERROR):
        await clock.advance(60.0)
        told = len(caplog.records)
        await clock.advance(60.0)
    await outbox.stop()
    assert told >= 1
    assert len(caplog.records) > told, "the sender ended"
    assert "InvalidURL" in caplog.text
    assert "Traceback" in caplog.text


async def test_an_event_that_cannot_be_read_delays_no_other(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep(database, "not JSON", '{"b": 2}')
    outbox = await sender(database, (tmp_path / "deep" / "events.jsonl").as_uri(), FakeClock())
    target = tmp_path / "deep" / "events.jsonl"
    clock = FakeClock()
    while not (target.exists() and target.read_text().endswith("\n")):
        await clock.advance(0)
    await outbox.stop()
    assert [json.loads(line) for line in target.read_text().splitlines()] == [{"b": 2}]
    assert "a lineage event is left out: what was kept of it cannot be read" in caplog.text


async def test_each_time_that_the_receiver_is_away_is_told(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, clock = tmp_path / "place", FakeClock()
    outbox = await sender(database, (place / "events.jsonl").as_uri(), clock)
    for number, event in enumerate(('{"a": 1}', '{"b": 2}')):
        place.touch()  # a file where the folder should be
        keep(database, event, after=number)
        outbox._wake.set()
        while [one.message for one in caplog.records].count("lineage events wait") == number:
            await clock.advance(0.0)
        place.unlink()
        while not (place / "events.jsonl").exists():
            await clock.advance(1.0)
        (place / "events.jsonl").unlink()
        place.rmdir()
    await outbox.stop()
    assert [one.levelname for one in caplog.records if one.message == "lineage events wait"] == ["WARNING", "WARNING"]
