"""Whatever a list is filtered and sorted by, its page and its count are found through an index."""

import base64
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import BindParameter, Delete, Select, Update
from sqlalchemy.sql import visitors

from kedge.db.database import Database, open_sqlite
from kedge.db.tables import pipeline_versions, tasks
from kedge.errors import BadRequest
from kedge.kube.clock import SystemClock
from kedge.pipelines import cache_entries, catalog, deletions, history, outbox, pages, pod_events, recurring, series, storage
from kedge.testing.statements import scans

LISTS: dict[str, pages.Listing[Any]] = {
    "runs": history.RUN_LIST,
    "artifacts": history.ARTIFACT_LIST,
    "tasks": history.TASK_LIST,
    "pipelines": catalog._PIPELINES,
    "versions": catalog._VERSIONS,
    "experiments": catalog._EXPERIMENTS,
    "recurring runs": recurring._LIST,
}
OPERATIONS = (1, 2, 3, 5, 6, 7, 8, 9)
TIME = "2026-11-23T09:05:07Z"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    found = open_sqlite(tmp_path_factory.mktemp("statements") / "history.db")
    yield found
    found.close()


def ask(database: Database, listing: pages.Listing[Any], *, sort_by: str = "", text: str = "") -> None:
    """The first page, and then one from the middle, which always comes with a count."""
    within = {pipeline_versions.name: pipeline_versions.c.pipeline_id, tasks.name: tasks.c.run_id}.get(listing.table.name)
    where = [within == "x"] if within is not None else []
    column = listing.columns[sort_by.partition(" ")[0] or "created_at"]
    place = (5 if column.type.python_type is int else "x", "key", sort_by, text)
    token = base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()
    with database.reading() as connection:
        pages.page(connection, listing, pages.Query(sort_by=sort_by, filter=text), *where)
        pages.page(connection, listing, pages.Query(page_token=token), *where)


@pytest.mark.parametrize("name", LISTS)
def test_every_filter_of_a_list_uses_an_index(database: Database, name: str) -> None:
    listing = LISTS[name]
    keys = [*listing.columns, *(["tags.team"] if listing.tags is not None else [])]
    for key in keys:
        for operation in OPERATIONS:
            value = {"string_values": {"values": [TIME, TIME]}} if operation == 8 else {"string_value": TIME}
            predicate = {"key": key, "operation": operation, **value}
            try:
                ask(database, listing, text=msgspec.json.encode({"predicates": [predicate]}).decode())
            except BadRequest as refused:
                assert "IS_SUBSTRING is for texts" in str(refused) or "is no operation on 'tags.team'" in str(refused)  # noqa: PT017


@pytest.mark.parametrize("name", LISTS)
def test_every_order_of_a_list_uses_an_index(database: Database, name: str) -> None:
    for key in LISTS[name].sortable:
        for direction in ("asc", "desc"):
            ask(database, LISTS[name], sort_by=f"{key} {direction}")


@pytest.mark.parametrize(
    "module",
    [history, catalog, recurring, cache_entries, series, outbox, pod_events, deletions, storage],
    ids=lambda module: module.__name__,
)
def test_every_statement_that_is_written_down_uses_an_index(database: Database, module: Any) -> None:
    statements = [value for value in vars(module).values() if isinstance(value, Select | Update | Delete)]
    assert statements
    for statement in statements:
        lists = {each.key: ["x"] for each in visitors.iterate(statement) if isinstance(each, BindParameter) and each.expanding}
        compiled = statement.compile(database._engine)
        given = {name: value or 1 for name, value in compiled.params.items()} | lists
        asked = compiled.construct_expanded_state(given)
        with database.reading() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            assert scans(raw, asked.statement, asked.positional_parameters) == []  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("direction", [None, "input", "output"])
def test_whatever_links_of_artifacts_are_narrowed_to_an_index_is_used(database: Database, direction: Any) -> None:
    kept = history.History(database)
    first = kept.list_edges(pages.Query(1), direction=direction)
    assert first.items == []
    place, by_artifact = ["a", "b", "c", "d", 0], "artifact_id desc"
    tokens = [[place, "", ""], [["z", *place], by_artifact, ""]]
    wanted = json.dumps({"predicates": [{"key": "key", "string_value": "x"}]})
    queries = [pages.Query(2), pages.Query(2, sort_by=by_artifact), pages.Query(2, filter=wanted)]
    queries += [pages.Query(2, base64.urlsafe_b64encode(msgspec.json.encode(token)).decode()) for token in tokens]
    for names in itertools.product(((), ("x",), ("x", "y")), repeat=3):
        narrowed = dict(zip(("artifact_ids", "run_ids", "task_ids"), names, strict=True))
        for query in queries:
            kept.list_edges(query, direction=direction, **narrowed)


def test_whatever_the_cache_is_narrowed_to_an_index_is_used(database: Database) -> None:
    entries = cache_entries.CacheEntries(database, SystemClock(), 60.0)
    for words in itertools.product(("", "x"), repeat=4):
        narrowed = dict(zip(("namespace", "pipeline", "component", "task"), words, strict=True))
        for before in (None, datetime(2026, 11, 23, tzinfo=UTC)):
            chosen = cache_entries.Selection(**narrowed, before=before)
            assert entries.page(chosen, 2, "").items == []
            assert entries.clear(chosen) == []


def test_a_statement_that_reads_a_whole_table_is_found(database: Database) -> None:
    with database.reading() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        assert scans(raw, "SELECT * FROM tasks WHERE executor = ?", ("x",)) == ["SCAN tasks"]  # pyright: ignore[reportArgumentType]
