"""Artifacts are found by the entries of their metadata, in either database."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kedge.db.database import Database
from kedge.errors import BadRequest
from kedge.pipelines.engine.types import Artifact
from kedge.pipelines.history import History
from kedge.pipelines.pages import Query
from kedge.pipelines.records import ArtifactRecord, Changes, RunRecord, Spec

NOW = datetime(2026, 11, 28, tzinfo=UTC)
METADATA: dict[str, dict[str, Any]] = {
    "a": {"framework": "sklearn", "rate": 0.5, "good": True, 'odd "key".[0]': "x"},
    "b": {"framework": "torch", "rate": 2, "good": False, "nested": {"framework": "sklearn"}},
    "c": {"framework": None},
    "d": {},
}


@pytest.fixture
def history(either_database: Callable[[Path], Database], tmp_path: Path) -> Iterator[History]:
    database = either_database(tmp_path)
    found = History(database)
    spec = Spec.of({"pipelineInfo": {"name": "p"}, "root": {}}, {})
    run = RunRecord(
        id="r",
        namespace="default",
        name="run",
        display_name="run",
        pipeline_name="p",
        spec_digest=spec.digest,
        parameters={},
        pipeline_root="",
        created_at=NOW,
    )
    found.adopt(run, spec)
    made = [
        ArtifactRecord(
            id=key, namespace="default", artifact=Artifact(key, "", metadata=each, id=key), run="r", task="t", created_at=NOW
        )
        for key, each in METADATA.items()
    ]
    found.write(run, Changes(artifacts=made))
    yield found
    database.close()


def asked(key: str, operation: str, **value: Any) -> Query:
    return Query(filter=json.dumps({"predicates": [{"key": f"metadata.{key}", "operation": operation, **value}]}))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (asked("framework", "EQUALS", string_value="sklearn"), "a"),
        (asked("framework", "NOT_EQUALS", string_value="sklearn"), "bcd"),
        (asked("framework", "IN", string_values={"values": ["sklearn", "torch"]}), "ab"),
        (asked("framework", "IS_SUBSTRING", string_value="TOR"), "b"),
        (asked("rate", "EQUALS", string_value="0.5"), "a"),
        (asked("rate", "EQUALS", string_value="2"), "b"),
        (asked("good", "EQUALS", string_value="true"), "a"),
        (asked("good", "EQUALS", string_value="false"), "b"),
        (asked('odd "key".[0]', "EQUALS", string_value="x"), "a"),
        (asked("nothing", "EQUALS", string_value="x"), ""),
    ],
)
def test_artifacts_are_found_by_an_entry_of_their_metadata(history: History, query: Query, expected: str) -> None:
    page = history.list_artifacts(query, namespace="default")
    assert sorted(each.id for each in page.items) == list(expected)
    assert page.total == len(expected)


def test_what_cannot_be_asked_of_an_entry_is_refused(history: History) -> None:
    with pytest.raises(BadRequest, match="entries of metadata are compared as texts"):
        history.list_artifacts(asked("rate", "GREATER_THAN", string_value="1"))
    with pytest.raises(BadRequest, match="Give it a string_value"):
        history.list_artifacts(asked("rate", "EQUALS", int_value=1))
    with pytest.raises(BadRequest, match=r"metadata\.<key>"):
        history.list_artifacts(Query(filter=json.dumps({"predicates": [{"key": "colour", "string_value": "x"}]})))
