"""The history: what is written comes back, and every statement finds its rows through an index."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kedge.db.database import Database
from kedge.errors import AlreadyExists, BadRequest, Conflict, NotFound
from kedge.pipelines.catalog import Catalog
from kedge.pipelines.engine.types import Artifact, Failure, Kind, Outputs, State, Task, Waiting
from kedge.pipelines.history import History
from kedge.pipelines.pages import Query
from kedge.pipelines.records import (
    ArtifactRecord,
    Attempt,
    Changes,
    Edge,
    PipelineRecord,
    RunRecord,
    Spec,
    VersionRecord,
)
from kedge.testing.clock import FakeClock, FakeIds

NOW = datetime(2026, 11, 23, 9, 5, 7, 123456, tzinfo=UTC)
SPEC = Spec.of({"pipelineInfo": {"name": "p"}, "root": {}}, {"kedge": {"config": {"project": {"digest": "d"}}}})


@pytest.fixture
def database(either_database: Callable[[Path], Database], tmp_path: Path) -> Iterator[Database]:
    found = either_database(tmp_path)
    yield found
    found.close()


@pytest.fixture
def history(database: Database) -> History:
    return History(database)


@pytest.fixture
def catalog(database: Database) -> Catalog:
    return Catalog(database, FakeClock(), FakeIds())


def run(number: int = 0, **more: Any) -> RunRecord:
    fields = {
        "id": f"run-{number:03d}",
        "namespace": "default",
        "name": f"p-{number}",
        "display_name": f"Run {number}",
        "pipeline_name": "p",
        "spec_digest": SPEC.digest,
        "parameters": {"x": 1.5, "y": [None, "é"]},
        "pipeline_root": "file:///a",
        "created_at": NOW + timedelta(seconds=number),
        **more,
    }
    return RunRecord(**fields)


def task(name: str, **more: Any) -> Task:
    return Task(id=name, name=name, parent="", kind=Kind.STEP, created_at=NOW, **more)


FULL = task(
    "train",
    component="comp-train",
    executor="exec-train",
    state=State.PENDING,
    waiting=Waiting.RETRY,
    iteration=3,
    iterations=9,
    attempt=2,
    infra_failures=1,
    inputs=Outputs({"n": 1}, {"data": [Artifact("data", "s3://b/d", "system.Dataset", metadata={"rows": 3}, id="a0")]}),
    outputs=Outputs({"score": 0.25}),
    failure=Failure("infra", "Evicted", "moved", 137, "train"),
    retry_at=NOW + timedelta(microseconds=1),
    cache_key="k",
    cached_from="r/t",
    started_at=NOW,
    finished_at=NOW,
)


def test_a_run_comes_back_as_it_was_written(history: History) -> None:
    written = run(
        experiment_id=None,
        description="d",
        service_account="sa",
        cache=False,
        cancel_reason="enough",
        failure=Failure("user", "ExitCode", "3", 3, "train"),
        outputs=Outputs({"a": 1}),
        started_at=NOW,
        finished_at=NOW,
    ).moved("FAILED", NOW)
    assert history.adopt(written, SPEC) == written
    assert history.run(written.id) == written
    assert history.spec(SPEC.digest) == SPEC


def test_a_run_that_is_known_stays_as_it_is(history: History) -> None:
    first = history.adopt(run(display_name="first"), SPEC)
    assert history.adopt(run(display_name="second"), SPEC) == first


def test_every_field_of_tasks_attempts_and_artifacts_comes_back(history: History) -> None:
    record = history.adopt(run(), SPEC)
    attempt = Attempt(
        run=record.id,
        task="train",
        number=2,
        pod_name="p-train-2",
        pod_uid="u",
        state=State.FAILED,
        failure=Failure("infra", "Evicted", "moved", 137),
        staged=Outputs({"a": 1}),
        created_at=NOW,
        started_at=NOW,
        finished_at=NOW,
    )
    artifact = ArtifactRecord(
        id="a1",
        namespace="default",
        artifact=Artifact("model", "file:///m", "system.Model", metadata={"f": 1}, digest="sha256:00", size=3, id="a1"),
        run=record.id,
        task="train",
        created_at=NOW,
    )
    edge = Edge(record.id, "train", "output", "model", 0, "a1")
    changes = Changes(tasks={"train": FULL}, attempts={("train", 2): attempt}, artifacts=[artifact], edges=[edge])
    history.write(record, changes)
    history.write(record, changes)  # twice is once
    assert history.tasks(record.id) == [FULL]
    assert history.task(record.id, "train") == FULL
    assert history.attempts(record.id) == history.attempts(record.id, "train") == [attempt]
    assert history.attempt_of_pod("u") == attempt
    assert history.artifact("a1") == artifact
    assert history.artifacts_at("file:///m") == [artifact]
    assert history.edges(record.id) == [edge]
    assert history.counts(record.id) == {"PENDING": 1}
    assert history.ended_pods(0, 10) == [(attempt, "default")]
    history.forget_pods([(record.id, "train", 2)])
    history.write(record, changes)
    assert history.ended_pods(0, 10) == [], "writing the attempt again does not bring its Pod back"


def test_times_before_1970_and_microseconds_survive(history: History) -> None:
    early = datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert history.adopt(run(created_at=early), SPEC).created_at == early


def test_the_cache_knows_the_newest_success_of_the_same_pipeline_and_namespace(history: History) -> None:
    def done(number: int, value: int, **more: Any) -> None:
        record = history.adopt(run(number, **more), SPEC)
        row = task(
            "t", state=State.SUCCEEDED, cache_key="k", outputs=Outputs({"v": value}), finished_at=NOW + timedelta(seconds=number)
        )
        history.write(record, Changes(tasks={"t": row}))

    done(1, 1)
    done(3, 3)
    done(2, 2)
    done(4, 4, namespace="other")
    done(5, 5, pipeline_name="another")
    failed = history.adopt(run(6), SPEC)
    history.write(
        failed, Changes(tasks={"t": task("t", state=State.FAILED, cache_key="k", finished_at=NOW + timedelta(seconds=9))})
    )
    assert history.cached("k", "default", "p") == (Outputs({"v": 3}), "run-003/t")
    assert history.cached("other", "default", "p") is None
    assert history.cached("", "default", "p") is None


def test_pages_neither_repeat_nor_lose_what_is_added_meanwhile(history: History) -> None:
    for number in range(7):
        history.adopt(run(number), SPEC)
    first = history.list_runs(Query(page_size=3))
    assert ([r.id for r in first.items], first.total) == (["run-006", "run-005", "run-004"], 7)
    history.adopt(run(9), SPEC)
    second = history.list_runs(Query(page_size=3, page_token=first.next_token))
    third = history.list_runs(Query(page_size=3, page_token=second.next_token))
    assert [r.id for r in (*second.items, *third.items)] == ["run-003", "run-002", "run-001", "run-000"]
    assert third.next_token == ""


@pytest.mark.parametrize(
    ("sort_by", "expected"),
    [
        ("", [2, 1, 0]),
        ("created_at", [0, 1, 2]),
        ("created_at desc", [2, 1, 0]),
        ("display_name asc", [0, 1, 2]),
        ("run_id desc", [2, 1, 0]),
    ],
)
def test_runs_are_sorted_as_asked_over_pages(history: History, sort_by: str, expected: list[int]) -> None:
    for number in range(3):
        history.adopt(run(number), SPEC)
    found: list[str] = []
    token = ""
    for _ in range(3):
        page = history.list_runs(Query(page_size=1, sort_by=sort_by, page_token=token))
        found += [record.id for record in page.items]
        token = page.next_token
    assert found == [f"run-{number:03d}" for number in expected]


def test_a_page_token_belongs_to_its_order_and_filter(history: History) -> None:
    for number in range(3):
        history.adopt(run(number), SPEC)
    asked = Query(page_size=1, sort_by="display_name asc", filter=predicate("name", 9, string_value="Run"))
    token = history.list_runs(asked).next_token
    assert [found.id for found in history.list_runs(Query(page_size=1, page_token=token)).items] == ["run-001"]
    with pytest.raises(BadRequest, match="belongs to a list with sort_by 'display_name asc', not 'created_at desc'"):
        history.list_runs(Query(page_token=token, sort_by="created_at desc"))
    with pytest.raises(BadRequest, match="belongs to a list with filter"):
        history.list_runs(Query(page_token=token, filter=predicate("name", 9, string_value="x")))


@pytest.mark.parametrize(("sort_by", "expected"), [("finished_at asc", [0, 2, 4, 3, 1]), ("finished_at desc", [1, 3, 4, 2, 0])])
def test_what_has_no_value_yet_is_sorted_before_what_has(history: History, sort_by: str, expected: list[int]) -> None:
    for number in range(5):
        ended = NOW - timedelta(seconds=number) if number % 2 else None
        history.adopt(run(number, finished_at=ended), SPEC)
    found: list[str] = []
    token = ""
    for _ in range(5):
        page = history.list_runs(Query(page_size=1, sort_by=sort_by, page_token=token))
        found += [record.id for record in page.items]
        token = page.next_token
    assert found == [f"run-{number:03d}" for number in expected]
    assert token == ""


def predicate(key: str, operation: Any, **value: Any) -> str:
    return msgspec.json.encode({"predicates": [{"key": key, "operation": operation, **value}]}).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (predicate("display_name", "EQUALS", string_value="Run 1"), [1]),
        (predicate("display_name", 1, stringValue="Run 1"), [1]),
        (predicate("name", "IS_SUBSTRING", string_value="un 2"), [2]),
        (predicate("display_name", "NOT_EQUALS", string_value="Run 1"), [2, 0]),
        (predicate("run_id", "IN", string_values={"values": ["run-000", "run-002"]}), [2, 0]),
        (predicate("run_id", 8, stringValues={"values": ["run-000"]}), [0]),
        (predicate("display_name", 9, stringValue="RUN 2"), [2]),
        (predicate("display_name", 9, stringValue="%"), []),
        (predicate("display_name", 9, stringValue="_"), []),
        (predicate("created_at", 3, timestampValue="2026-11-23T09:05:08.123456Z"), [2]),
        (predicate("created_at", 5, timestampValue="2026-11-23T09:05:08.123456Z"), [2, 1]),
        (predicate("created_at", 6, timestampValue="2026-11-23T09:05:08.123456Z"), [0]),
        (predicate("created_at", 7, timestampValue="2026-11-23T09:05:08.123456Z"), [1, 0]),
        (predicate("created_at", "LESS_THAN", string_value="2026-11-23T10:05:08.123456+01:00"), [0]),
        ("%7B%22predicates%22%3A%5B%7B%22key%22%3A%22name%22%2C%22stringValue%22%3A%22Run+1%22%7D%5D%7D", [1]),
        (predicate("created_at", "GREATER_THAN", timestamp_value="2026-11-23T09:05:08Z"), [2, 1]),
        (predicate("state", "EQUALS", string_value="FAILED"), []),
    ],
)
def test_runs_are_filtered_as_kfp_asks(history: History, text: str, expected: list[int]) -> None:
    for number in range(3):
        history.adopt(run(number), SPEC)
    page = history.list_runs(Query(filter=text))
    assert [record.id for record in page.items] == [f"run-{number:03d}" for number in expected]
    assert page.total == len(expected)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Query(page_size=-1), "page_size: must not be negative, got -1"),
        (Query(sort_by="colour"), r"sort_by: 'colour' is no field .* Fields here: created_at, display_name"),
        (Query(sort_by="name up"), "sort_by: 'name up'"),
        (Query(page_token="!"), "page_token: '!' is none that this server made"),
        (Query(page_token="MTI="), "page_token"),
        (Query(filter="{"), "filter: "),
        (Query(filter=predicate("colour", 1, string_value="x")), "filter: 'colour' is no field"),
        (Query(filter=predicate("name", 77, string_value="x")), "operation 77 of 'name' is not known"),
        (Query(filter=predicate("name", 1)), "the predicate on 'name' has no value"),
        (Query(filter=predicate("created_at", 1, timestamp_value="yesterday")), "'yesterday' is no RFC 3339 time"),
        (Query(filter=predicate("name", 1, int_value="x")), "'x' of 'name' is no whole number"),
        (Query(filter='{"predicates": [{"nonsense": 1}]}'), "unknown field `nonsense`"),
        (Query(filter=predicate("name", 4, string_value="x")), "operation 4 of 'name' is not known"),
        (Query(filter=predicate("name", 1, int_value=7)), "'name' is a text. Give it a string_value, not 7"),
        (Query(filter=predicate("name", 1, long_value=str(2**64))), "more than 64 bits"),
        (Query(filter=predicate("created_at", 1, int_value=7)), "'created_at' is a time. Give it a timestamp_value"),
        (Query(filter=predicate("created_at", 9, string_value="2026-11-23T09:05:08Z")), "IS_SUBSTRING is for texts"),
        (Query(filter=predicate("run_id", 8, string_values={"values": ["a"] * 1001})), "at most 1000 are read"),
        (Query(filter=predicate("metadata.team", 1, string_value="a")), "'metadata.team' is no field"),
    ],
)
def test_a_query_that_cannot_be_answered_says_what_can(history: History, query: Query, message: str) -> None:
    history.adopt(run(), SPEC)
    with pytest.raises(BadRequest, match=message):
        history.list_runs(query)


def version(name: str, pipeline: str = "pl") -> VersionRecord:
    return VersionRecord(
        id=f"v-{name}", pipeline_id=pipeline, name=name, display_name=name, spec_digest=SPEC.digest, created_at=NOW
    )


def test_pipelines_and_versions(catalog: Catalog) -> None:
    record = PipelineRecord(id="pl", namespace="default", name="p", display_name="P", tags={"a": "b"}, created_at=NOW)
    catalog.add_pipeline(record, version("one"), SPEC)
    assert catalog.pipeline("pl") == record == catalog.pipeline_named("p", "default")
    with pytest.raises(AlreadyExists, match=r"pipeline 'p' already exists in namespace 'default'\. Upload a version"):
        catalog.add_pipeline(msgspec.structs.replace(record, id="other"), version("x", "other"), SPEC)
    two = msgspec.structs.replace(version("two"), created_at=NOW + timedelta(seconds=1))
    catalog.add_version(two, SPEC)
    with pytest.raises(AlreadyExists, match="already has a version 'two'"):
        catalog.add_version(msgspec.structs.replace(two, id="v3"), SPEC)
    assert catalog.version("pl") == two
    assert catalog.version("pl", "v-one").name == "one"
    assert [found.name for found in catalog.list_versions("pl", Query()).items] == ["two", "one"]
    with pytest.raises(Conflict, match="still has versions"):
        catalog.delete_pipeline("pl")
    catalog.delete_version("pl", "v-one")
    catalog.delete_pipeline("pl", cascade=True)
    with pytest.raises(NotFound, match="pipeline 'pl' not found"):
        catalog.pipeline("pl")


TAGGED = {"a": {"team": "red", "env": "prod"}, "b": {"team": "blue"}, "c": {}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (predicate("tags.team", 1, stringValue="red"), ["a"]),
        (predicate("tags.team", "NOT_EQUALS", string_value="red"), ["b", "c"]),
        (predicate("tags.team", 8, string_values={"values": ["red", "blue"]}), ["a", "b"]),
        (predicate("tags.team", 9, string_value="bl"), ["b"]),
        (predicate("tags.nobody", 1, string_value="has it"), []),
    ],
)
def test_pipelines_are_found_by_their_tags(catalog: Catalog, text: str, expected: list[str]) -> None:
    for name, tags in TAGGED.items():
        catalog.add_pipeline(PipelineRecord(id=name, namespace="n", name=name, display_name=name, tags=tags, created_at=NOW))
    assert [found.id for found in catalog.list_pipelines(Query(filter=text, sort_by="name")).items] == expected


def test_tags_are_replaced_with_what_they_find(catalog: Catalog) -> None:
    catalog.add_pipeline(PipelineRecord(id="a", namespace="n", name="a", display_name="a", tags={"x": "1"}, created_at=NOW))
    assert catalog.update_pipeline("a", tags={"x": "2"}, description="new").description == "new"
    assert catalog.pipeline("a").tags == {"x": "2"}
    assert catalog.list_pipelines(Query(filter=predicate("tags.x", 1, string_value="1"))).total == 0
    assert catalog.list_pipelines(Query(filter=predicate("tags.x", 1, string_value="2"))).total == 1
    catalog.delete_pipeline("a")
    assert catalog.list_pipelines(Query(filter=predicate("tags.x", 1, string_value="2"))).total == 0


def test_experiments(catalog: Catalog, history: History) -> None:
    default = catalog.default_experiment("default")
    assert catalog.default_experiment("default") == default
    made = catalog.add_experiment("default", "mine")
    with pytest.raises(AlreadyExists, match="experiment 'mine' already exists"):
        catalog.add_experiment("default", "mine")
    history.adopt(run(experiment_id=made.id), SPEC)
    assert catalog.experiment(made.id).last_run_created_at == run().created_at
    assert [record.id for record in history.list_runs(Query(), experiment_id=made.id).items] == ["run-000"]
    catalog.archive_experiment(made.id)
    assert catalog.experiment(made.id).storage_state == "ARCHIVED"
    assert [found.storage_state for found in history.list_runs(Query(), experiment_id=made.id).items] == ["ARCHIVED"]
    catalog.unarchive_experiment(made.id)
    assert catalog.experiment(made.id).storage_state == "AVAILABLE"
    assert [found.storage_state for found in history.list_runs(Query(), experiment_id=made.id).items] == ["ARCHIVED"]
    catalog.delete_experiment(made.id)
    with pytest.raises(NotFound):
        catalog.experiment(made.id)
    found = history.run("run-000")
    assert found is not None
    assert found.experiment_id is None
