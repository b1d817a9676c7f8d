"""How long the hub stands still for one transition of a step, on SQLite and on a PostgreSQL server.

    python bench/database.py [postgresql://…]

See docs/decisions/0022-postgresql.md.

A transition is what one `History.write` writes when a step has ended and the next one begins: two tasks, two attempts, an
artifact and two links. The last column says what it would be if each statement went the way to the server and back alone.
"""

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from kedge.db.database import Database, open_postgres, open_sqlite
from kedge.pipelines.engine.types import Artifact, Kind, Outputs, State, Task
from kedge.pipelines.history import History
from kedge.pipelines.records import ArtifactRecord, Attempt, Changes, Edge, RunRecord, Spec

TIMES, UNMEASURED = 300, 30
NOW = datetime(2026, 11, 28, tzinfo=UTC)
SPEC = Spec.of({"pipelineInfo": {"name": "bench"}, "root": {}}, {})


def changes(run: RunRecord, number: int) -> Changes:
    """A step has ended, another one begins."""
    found = Changes()
    artifact = Artifact(
        name="model", uri=f"s3://b/{run.id}/{number}", type="system.Model", id=f"{run.id}-{number}", digest="sha256:0"
    )
    for position, state in ((number, State.SUCCEEDED), (number + 1, State.PENDING)):
        task = f"step-{position}"
        found.tasks[task] = Task(
            id=task, name=task, parent="", kind=Kind.STEP, component="c", executor="e", state=state, created_at=NOW,
            outputs=Outputs({"x": 1}),
        )  # fmt: skip
        attempt = Attempt(run=run.id, task=task, number=0, pod_name=f"{run.name}-{task}", state=state, created_at=NOW)
        found.attempts[task, 0] = attempt
    record = ArtifactRecord(
        id=artifact.id, namespace="default", artifact=artifact, run=run.id, task=f"step-{number}", created_at=NOW
    )
    found.artifacts.append(record)
    found.edges.append(Edge(run.id, f"step-{number}", "output", "model", 0, record.id))
    found.edges.append(Edge(run.id, f"step-{number + 1}", "input", "model", 0, record.id))
    return found


def median(database: Database) -> float:
    """Milliseconds."""
    history = History(database)
    name = f"run-{time.time_ns()}"
    run = RunRecord(
        id=name, namespace="default", name=name, display_name=name, pipeline_name="bench", spec_digest=SPEC.digest,
        parameters={}, pipeline_root="s3://b", created_at=NOW,
    )  # fmt: skip
    history.adopt(run, SPEC)
    took: list[float] = []
    for number in range(TIMES):
        found = changes(run, number)
        start = time.perf_counter()
        history.write(run, found)
        took.append(time.perf_counter() - start)
    return statistics.median(took[UNMEASURED:]) * 1000


def measure(name: str, opened: Callable[[], Database]) -> None:
    """Print a line."""
    with contextlib.closing(opened()) as database:
        at_once = median(database)
        database.writing = database.transaction  # type: ignore[method-assign]  # as if there were no other way
        print(f"{name:40} {at_once:7.2f} ms {median(database):7.2f} ms")


def main() -> None:
    """Measure SQLite, and the servers that are named."""
    print(f"{'median of a transition':40} {'at once':>10} {'one by one':>10}")
    with tempfile.TemporaryDirectory() as folder:
        measure("SQLite", lambda: open_sqlite(Path(folder, "history.db")))
    for url in sys.argv[1:]:
        measure(url.rpartition("@")[2], lambda url=url: open_postgres(url))


if __name__ == "__main__":
    main()
