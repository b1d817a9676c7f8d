"""What steps use on a cluster: samples of its metrics API, while steps run and no longer."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kedge.client.types import Page
from kedge.db.database import Database
from kedge.errors import ApiError, Forbidden, NotFound, Unavailable
from kedge.kube.kinds import Kind, Obj
from kedge.pipelines.history import History
from kedge.pipelines.records import Attempt, Changes, RunRecord, Spec
from kedge.pipelines.usage import AGAIN, PERIOD, Usage
from kedge.testing.clock import FakeClock

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SPEC = Spec.of({"pipelineInfo": {"name": "p"}, "root": {}}, {})


class Metrics:
    """A metrics API, or none; counts what it is asked."""

    def __init__(self) -> None:
        self.items: list[Obj] = []
        self.asked: list[str | None] = []
        self.fails: ApiError | None = None

    async def list(self, kind: Kind, namespace: str | None = None, *, labels: str = "") -> Page:
        assert (kind.api_version, kind.plural, labels) == ("metrics.k8s.io/v1beta1", "pods", "kedge.dev/run")
        self.asked.append(namespace)
        if self.fails is not None:
            raise self.fails
        return Page(self.items, "")

    def say(self, second: int, cpu: str, memory: str, window: str = "15s") -> None:
        """What the step's Pod used in the window that ended in a second of the first minute."""
        containers = [
            {"name": "kedge-stager", "usage": {"cpu": "9", "memory": "9Gi"}},
            {"name": "main", "usage": {"cpu": cpu, "memory": memory}},
        ]
        of = {"name": "p-train-0", "namespace": "a"}
        self.items = [{"metadata": of, "timestamp": f"2026-11-23T00:00:{second:02}Z", "window": window, "containers": containers}]


def pod(phase: str = "Running", name: str = "p-train-0", namespace: str = "a", **status: Any) -> Obj:
    return {"metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}"}, "status": {"phase": phase, **status}}


@pytest.fixture
def history(either_database: Callable[[Path], Database], tmp_path: Path) -> Iterator[History]:
    database = either_database(tmp_path)
    found = History(database)
    record = RunRecord(
        id="run", namespace="a", name="p", display_name="p", pipeline_name="p", spec_digest=SPEC.digest, parameters={},
        pipeline_root="s3://b", created_at=NOW,
    )  # fmt: skip
    found.adopt(record, SPEC)
    attempt = Attempt(run="run", task="train", number=0, pod_name="p-train-0", pod_uid="uid-p-train-0", created_at=NOW)
    found.write(record, Changes(attempts={("train", 0): attempt}))
    yield found
    database.close()


class Sampled:
    """A sampler that runs."""

    def __init__(self, history: History) -> None:
        self.metrics, self.clock, self.history = Metrics(), FakeClock(), history
        client: Any = self.metrics
        self.usage = Usage(client, history, self.clock)

    def used(self) -> tuple[float | None, int | None]:
        (attempt,) = self.history.attempts("run", "train")
        return attempt.cpu_seconds, attempt.peak_memory


@pytest.fixture
async def sampled(history: History) -> Any:
    found = Sampled(history)
    found.usage.start()
    yield found
    await found.usage.stop()


async def test_windows_are_added_up_and_the_most_memory_is_kept(sampled: Sampled) -> None:
    sampled.metrics.say(10, "500m", "100Mi", "10s")
    sampled.usage.pod_changed(None, pod())
    await sampled.clock.advance(0)
    assert sampled.used() == (5.0, 100 << 20)
    await sampled.clock.advance(PERIOD)  # the same window again
    assert sampled.used() == (5.0, 100 << 20)
    for second, cpu, memory in ((26, "1", "300Mi"), (40, "250000000n", "200Mi")):
        sampled.metrics.say(second, cpu, memory)
        await sampled.clock.advance(PERIOD)
    assert sampled.used() == (5.0 + 16.0 + 3.5, 300 << 20)


async def test_it_asks_once_for_each_namespace_in_which_a_step_runs_and_not_at_all_where_none_does(sampled: Sampled) -> None:
    sampled.usage.pod_changed(None, pod("Pending"))
    await sampled.clock.advance(10 * PERIOD)
    assert sampled.metrics.asked == []
    for name, namespace in (("one", "a"), ("two", "a"), ("three", "b")):
        sampled.usage.pod_changed(None, pod(name=name, namespace=namespace))
    await sampled.clock.advance(0)
    await sampled.clock.advance(PERIOD)
    assert sampled.metrics.asked == ["a", "b"] * 2
    ended = [{"name": "main", "state": {"terminated": {"exitCode": 0}}}]
    sampled.usage.pod_changed(pod(name="one"), pod(name="one", containerStatuses=ended))
    sampled.usage.pod_changed(pod(name="two"), pod("Succeeded", name="two"))
    sampled.usage.pod_changed(pod(name="three", namespace="b"), None)
    await sampled.clock.advance(100 * PERIOD)
    assert sampled.metrics.asked == ["a", "b"] * 2
    sampled.usage.pod_changed(None, pod())
    await sampled.clock.advance(0)
    assert sampled.metrics.asked[4:] == ["a"]


@pytest.mark.parametrize("fault", [NotFound("no such API"), Forbidden("not for you")], ids=["none", "not allowed"])
async def test_a_cluster_without_it_is_asked_again_after_a_long_while(sampled: Sampled, fault: ApiError) -> None:
    sampled.metrics.fails = fault
    sampled.usage.pod_changed(None, pod())
    await sampled.clock.advance(AGAIN - 1)
    assert sampled.metrics.asked == ["a"]
    sampled.metrics.fails = None
    sampled.metrics.say(15, "1", "1Mi")
    await sampled.clock.advance(1)
    assert sampled.used() == (15.0, 1 << 20)


async def test_one_that_is_away_is_asked_again_soon(sampled: Sampled) -> None:
    sampled.metrics.fails = Unavailable("away")
    sampled.usage.pod_changed(None, pod())
    await sampled.clock.advance(0)
    sampled.metrics.fails = None
    sampled.metrics.say(15, "1", "1Mi")
    await sampled.clock.advance(PERIOD)
    assert sampled.used() == (15.0, 1 << 20)
