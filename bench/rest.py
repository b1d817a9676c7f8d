"""Lists of runs with 100,000 stored: a page of 20 with the count of all that match, over the REST API as it is served.

No socket: what is measured is the query, the records and the JSON. Each request asks for something else, so that no cache of ours
or of SQLite's statements has the answer.
"""

import asyncio
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert
from starlette.applications import Starlette

from kedge.db.database import Database
from kedge.db.tables import experiments, run_tags, runs
from kedge.pipelines import rows
from kedge.pipelines.history import History
from kedge.pipelines.records import RunRecord, Spec
from kedge.testing import pipelines
from kedge.testing.runs import World, hub

RUNS = 100_000
REQUESTS = 60
SPEC = Spec.of(pipelines.chain(3), {})
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
# 19 of 20 succeed; names share most of their text, as names do.
STATES = ["SUCCEEDED"] * 19 + ["FAILED"]
EXPERIMENTS = 25


def record(number: int) -> dict[str, Any]:
    """One stored run."""
    made = BEGIN + timedelta(seconds=number)
    run = RunRecord(
        id=f"{(number * 2654435761) % 2**32:08x}-0000-4000-8000-{number:012d}",
        namespace="default",
        name=f"train-{number}",
        display_name=f"train the model, nightly no. {number}",
        experiment_id=f"experiment-{number % EXPERIMENTS}",
        pipeline_name="train",
        spec_digest=SPEC.digest,
        parameters={"start": number, "learning_rate": 0.001, "data": "s3://bucket/data/2026"},
        pipeline_root="file:///home/me/.local/share/kedge/artifacts/train",
        created_at=made,
        started_at=made,
        finished_at=made + timedelta(seconds=30),
        tags={} if number % 2 else {"team": "a"},
    )
    for state in ("PENDING", "RUNNING", STATES[number % len(STATES)]):
        run = run.moved(state, made)
    return rows.run_row(run)


def fill(database: Database, count: int = RUNS) -> None:
    """Store the runs. Every other one has a tag."""
    History(database).keep_spec(SPEC, BEGIN)
    with database.transaction() as connection:
        named = [{"experiment_id": f"experiment-{n}", "namespace": "default", "display_name": str(n)} for n in range(EXPERIMENTS)]
        connection.execute(insert(experiments), [{**one, "created_at": 0} for one in named])
        for first in range(0, count, 5000):
            made = [record(number) for number in range(first, first + 5000)]
            connection.execute(insert(runs), made)
            tagged = [{"run_id": each["run_id"], "key": "team", "value": "a"} for each in made[::2]]
            connection.execute(insert(run_tags), tagged)


def equals(key: str, value: str, operation: str = "EQUALS") -> dict[str, str]:
    """A filter."""
    return {"filter": json.dumps({"predicates": [{"operation": operation, "key": key, "string_value": value}]})}


def cases() -> dict[str, tuple[float, Iterator[dict[str, str]]]]:
    """By name: the budget in milliseconds, and what is asked."""
    numbers = range(1, RUNS, RUNS // REQUESTS)
    shown = [{"operation": 2, "key": "storage_state", "string_value": "ARCHIVED"}]

    def substring(number: int) -> dict[str, str]:
        wanted = {"operation": 9, "key": "display_name", "string_value": f"no. {number}"}
        return {"namespace": "default", "filter": json.dumps({"predicates": [*shown, wanted]})}

    return {
        "by newest": (20, ({} for _ in numbers)),
        "by newest, of a namespace, not archived": (
            20,
            ({"namespace": "default", "filter": json.dumps({"predicates": shown})} for _ in numbers),
        ),
        "EQUALS a name": (20, (equals("display_name", f"train the model, nightly no. {n}") for n in numbers)),
        "EQUALS a state of most": (20, (equals("state", "SUCCEEDED") for _ in numbers)),
        "EQUALS a state of few": (20, (equals("state", "FAILED") for _ in numbers)),
        "EQUALS a tag of half of them": (400, (equals("tags.team", "a") for _ in numbers)),
        "of an experiment": (20, ({"experiment_id": f"experiment-{n % EXPERIMENTS}"} for n in numbers)),
        "by a rare substring": (50, (equals("display_name", f" {n}", "IS_SUBSTRING") for n in numbers)),
        "by a substring of all": (50, (equals("display_name", "nightly", "IS_SUBSTRING") for _ in numbers)),
        "by a substring, of a namespace, not archived": (50, (substring(n) for n in numbers)),
        "by a substring of none": (50, (equals("display_name", f"none {n}", "IS_SUBSTRING") for n in numbers)),
    }


async def measure(http: httpx.AsyncClient, queries: Iterator[dict[str, str]]) -> float:
    """Milliseconds that 95 of 100 requests stay below."""
    taken: list[float] = []
    for query in queries:
        before = time.perf_counter()
        answer = await http.get("/apis/v2beta1/runs", params=query)
        taken.append((time.perf_counter() - before) * 1000)
        assert answer.status_code == 200, answer.text
    return statistics.quantiles(taken, n=20)[-1]


async def whole() -> list[dict[str, Any]]:
    """Every case on one hub."""
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        async with hub(World.new(Path(folder) / "world"), node=False) as life:
            fill(life.feature.database)
            gc.collect()
            gc.freeze()
            app = Starlette(routes=life.feature.routes(None, "bench"))
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kedge") as http:
                for name, (limit, queries) in cases().items():
                    value = await measure(http, queries)
                    row = {"name": f"20 of {RUNS:,} runs {name}, p95", "value": value, "unit": "ms", "limit": limit}
                    found.append({**row, "floor": None})
    return found


def run() -> list[dict[str, Any]]:
    """Measure."""
    return asyncio.run(whole())
