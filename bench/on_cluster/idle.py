"""A hub with ten thousand runs that are over, when nothing happens: its processor time, and what it asks of the API server."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

from place import Bare, Place

from kedge.config import Settings
from kedge.db.database import Database
from kedge.errors import AlreadyExists
from kedge.kube.clock import SystemClock
from kedge.kube.crds import CRD, crd, is_established
from kedge.kube.kinds import Obj
from kedge.pipelines.feature import open_history
from kedge.pipelines.history import History
from kedge.pipelines.kinds import RUN
from kedge.pipelines.records import Changes, RunRecord, Spec

RUNS = 10_000
AT_ONCE = 32
SECONDS = 40
SETTLED_SECONDS = 10
_PIPELINE = {"pipelineInfo": {"name": "done"}, "root": {"dag": {"tasks": {}}}, "schemaVersion": "2.1.0"}


def run(place: Place) -> list[dict[str, Any]]:
    """Measure; one row a figure."""

    def prepare(settings: Settings, namespace: str) -> None:
        asyncio.run(_fill(place, settings, namespace))

    with place.hub(prepare=prepare) as hub:
        assert hub.client.page(page_size=1)["total_size"] == RUNS
        time.sleep(SETTLED_SECONDS)  # noqa: TID251  # let the start settle
        log, before = place.audit_log.stat().st_size, hub.seconds()
        time.sleep(SECONDS)  # noqa: TID251  # this is what is measured
        share = (hub.seconds() - before) / SECONDS * 100
        asked = sum(event["verb"] != "watch" for event in place.asked(log))  # one that is renewed is none
        memory = hub.process.memory_info().rss / 1e6
    return [
        {"name": f"idle, {RUNS:,} runs are over: processor", "value": share, "unit": "%", "limit": 0.5, "floor": 0.0},
        {"name": f"... requests but watches in {SECONDS} s", "value": asked, "unit": "", "limit": 0, "floor": None},
        {"name": "... memory", "value": memory, "unit": "MB", "limit": 300, "floor": None},
    ]


async def _fill(place: Place, settings: Settings, namespace: str) -> None:
    """Make runs that are over: their objects, and their history."""
    async with place.bare(namespace) as bare:
        await _defined(bare)
        left = iter(range(RUNS))
        made = await asyncio.gather(*(_objects(bare, left) for _ in range(AT_ONCE)))
    settings.home.mkdir(parents=True, exist_ok=True)
    database = open_history(settings, settings.home / "history.db")
    try:
        _write(database, [obj for some in made for obj in some])
    finally:
        database.close()


async def _defined(bare: Bare) -> None:
    with contextlib.suppress(AlreadyExists):
        await bare.client.create(CRD, crd(RUN))
    for _ in range(100):
        if is_established(await bare.client.get(CRD, crd(RUN)["metadata"]["name"])):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the API server does not serve Runs")


async def _objects(bare: Bare, left: Iterator[int]) -> list[Obj]:
    made: list[Obj] = []
    for number in left:
        metadata = {"name": f"done-{number}", "namespace": bare.namespace}
        obj = await bare.client.create(RUN, {"metadata": metadata, "spec": {"pipelineSpec": _PIPELINE}})
        ended = obj["metadata"]["creationTimestamp"]
        status = {"state": "SUCCEEDED", "pipeline": "done", "startTime": ended, "completionTime": ended}
        await bare.client.patch(RUN, metadata["name"], bare.namespace, {"status": status}, subresource="status")
        made.append(obj)
    return made


def _write(database: Database, made: list[Obj]) -> None:
    history, spec, now = History(database), Spec.of(_PIPELINE, {}), SystemClock().now()
    history.keep_spec(spec, now)
    for obj in made:
        metadata = obj["metadata"]
        record = RunRecord(
            id=metadata["uid"],
            namespace=metadata["namespace"],
            name=metadata["name"],
            display_name=metadata["name"],
            pipeline_name="done",
            spec_digest=spec.digest,
            parameters={},
            pipeline_root="",
            created_at=now,
            started_at=now,
        ).moved("SUCCEEDED", now, finished_at=now)
        history.write(record, Changes(run=record))
