"""Series of numbers that steps log while they run: `Metrics.log_metric(name, value, step=…)`.

A series belongs to one attempt: what a failed try has logged stays beside what the next one logs, and is told apart by its
number. It has one value for a step; the last one that was logged counts. What is kept of an attempt is bounded. A task whose
results came from the cache has the series of the task that made them, for as long as that one's run is there. A series is
deleted with its run.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, select, text
from sqlalchemy.engine import Connection

from kedge.db.database import Database
from kedge.db.tables import artifacts, metric_points, metric_series, task_artifacts
from kedge.errors import Invalid
from kedge.measures import Counter
from kedge.pipelines import rows
from kedge.pipelines.history import upsert
from kedge.pipelines.records import ArtifactRecord

PAGE = 5_000
"""How many points are read at once."""
MOST_POINTS, MOST_SERIES = 1_000_000, 1_000
"""What is kept of one attempt; a request that begins below is taken whole."""
# Of so many attempts it is known without asking how many points they have logged.
_COUNTED = 1_000
# Of each part of a series that is too long to be shown whole: the lowest, the highest, and one that is no number.
_KEPT_OF_A_PART = 3

Points = dict[int, tuple[int, float]]
"""Of one series: microseconds since 1970 and value, by step."""


class SeriesKey(msgspec.Struct, frozen=True):
    """Which series of a run.

    Attributes:
        task: Who logged it.
        name: The metric's.
        attempt: Which try, from 0.
        artifact: The output that it belongs to.
        position: Which artifact, of an output that is a list.
    """

    task: str
    name: str
    attempt: int = 0
    artifact: str = ""
    position: int = 0


class Point(msgspec.Struct, frozen=True):
    """One value; NaN where the step logged that."""

    step: int
    at: int
    value: float


class Summary(msgspec.Struct, frozen=True):
    """A series in short.

    Attributes:
        id: In this database.
        key: Which it is.
        count: How many points it has.
        first: Its first step.
        last: Its last point.
        minimum: The lowest value; ``None`` where all are NaN.
        maximum: The highest.
    """

    id: int
    key: SeriesKey
    count: int
    first: int
    last: Point
    minimum: float | None
    maximum: float | None


_key = {
    "run_id": bindparam("run"),
    "task_id": bindparam("task"),
    "name": bindparam("name"),
    "attempt": bindparam("attempt"),
    "artifact": bindparam("artifact"),
    "position": bindparam("position"),
}
_one_series = select(metric_series.c.series_id).where(*(metric_series.c[name] == value for name, value in _key.items()))
_last = metric_points.alias("last_points")
_last_value, _last_at = (
    select(column)
    .where(_last.c.series_id == metric_series.c.series_id)
    .order_by(_last.c.step.desc())
    .limit(1)
    .correlate(metric_series)
    .scalar_subquery()
    for column in (_last.c.value, _last.c.at)
)
_summaries = (
    select(
        metric_series,
        func.count().label("count"),
        func.min(metric_points.c.step).label("first"),
        func.max(metric_points.c.step).label("last"),
        func.min(metric_points.c.value).label("minimum"),
        func.max(metric_points.c.value).label("maximum"),
        _last_value.label("last_value"),
        _last_at.label("last_at"),
    )
    .join(metric_points, metric_points.c.series_id == metric_series.c.series_id)
    .where(metric_series.c.run_id == bindparam("run"))
    .group_by(metric_series.c.series_id)
)
_of_task = _summaries.where(metric_series.c.task_id == bindparam("task"))
_of_attempt = (
    metric_series.c.run_id == bindparam("run"),
    metric_series.c.task_id == bindparam("task"),
    metric_series.c.attempt == bindparam("attempt"),
)
_series_count = select(func.count()).select_from(metric_series).where(*_of_attempt)
_point_count = (
    select(func.count())
    .select_from(metric_series)
    .join(metric_points, metric_points.c.series_id == metric_series.c.series_id)
    .where(*_of_attempt)
)
_points = (
    select(metric_points.c.step, metric_points.c.at, metric_points.c.value)
    .where(metric_points.c.series_id == bindparam("series"), metric_points.c.step > bindparam("after"))
    .order_by(metric_points.c.step)
    .limit(PAGE)
)
# What a run's steps recorded as metrics; of a step that came from the cache, the artifact of the one that made it.
_recorded = (
    select(artifacts, task_artifacts.c.task_id.label("holder"), task_artifacts.c.key, task_artifacts.c.position)
    .join(artifacts, artifacts.c.artifact_id == task_artifacts.c.artifact_id)
    .where(
        task_artifacts.c.run_id == bindparam("run"),
        task_artifacts.c.direction == text("'output'"),
        artifacts.c.type == text("'system.Metrics'"),
    )
)


class Recorded(msgspec.Struct, frozen=True):
    """An artifact of metrics, and the output of the run that it is.

    Attributes:
        task: The step that has it as an output.
        output: The output's name.
        position: Within an output that is a list.
        record: The artifact, with who made it.
    """

    task: str
    output: str
    position: int
    record: ArtifactRecord


class Series:
    """Keeps the series of all runs.

    Args:
        database: The history's.

    Attributes:
        recorded_points: How many points steps have sent since the host started.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        dialect = database.dialect
        self._keep_series = upsert(metric_series, dialect, keep=True, by=tuple(_key))
        self.recorded_points = Counter()
        self._put_point = upsert(metric_points, dialect)
        self._counted: dict[tuple[str, str, int], int] = {}

    def check_room(self, run_id: str, task: str, attempt: int) -> None:
        """See that an attempt has not logged all that is kept of one.

        Raises:
            Invalid: It has.
        """
        asked = {"run": run_id, "task": task, "attempt": attempt}
        points = self._counted.get((run_id, task, attempt), MOST_POINTS)
        with self._database.reading() as connection:
            if points >= MOST_POINTS:  # not counted yet, or a step that was logged twice was counted twice
                points = connection.execute(_point_count, asked).scalar_one()
            series = connection.execute(_series_count, asked).scalar_one()
        if points >= MOST_POINTS or series >= MOST_SERIES:
            raise Invalid(
                f"attempt {attempt} of {task} has logged {points:,} points in {series:,} series; of an attempt at most "
                f"{MOST_POINTS:,} points in {MOST_SERIES:,} series are kept. Log every tenth step, or write them to an artifact."
            )
        self._counted.pop((run_id, task, attempt), None)
        self._counted[run_id, task, attempt] = points
        while len(self._counted) > _COUNTED:
            del self._counted[next(iter(self._counted))]

    def record(self, run_id: str, found: Mapping[SeriesKey, Points]) -> None:
        """Write points, all or none; for a step that has a value already, the new one counts.

        Args:
            run_id: Whose.
            found: Points by series.

        Raises:
            Unavailable: Nothing was written.
        """
        with self._database.transaction() as connection:
            self.write(connection, run_id, found)
        self.recorded_points.add(by=sum(map(len, found.values())))
        for key, points in found.items():
            attempt = (run_id, key.task, key.attempt)
            if attempt in self._counted:
                self._counted[attempt] += len(points)

    def write(self, connection: Connection, run_id: str, found: Mapping[SeriesKey, Points]) -> None:
        """As `record`, within a transaction."""
        for key, points in found.items():
            if points:
                self._record(connection, run_id, key, points)

    def _record(self, connection: Connection, run_id: str, key: SeriesKey, points: Points) -> None:
        values = {
            "run_id": run_id,
            "task_id": key.task,
            "name": key.name,
            "attempt": key.attempt,
            "artifact": key.artifact,
            "position": key.position,
        }
        asked = {_key[name].key: value for name, value in values.items()}
        series = connection.execute(_one_series, asked).scalar()
        if series is None:
            connection.execute(self._keep_series, values)
            series = connection.execute(_one_series, asked).scalar_one()
        connection.execute(
            self._put_point,
            [
                {"series_id": series, "step": step, "at": at, "value": None if math.isnan(value) else value}
                for step, (at, value) in points.items()
            ],
        )

    def summaries(self, run_id: str, task_id: str = "") -> list[Summary]:
        """The series of a run, or of one of its tasks, in order of their keys."""
        statement, values = (_of_task, {"task": task_id}) if task_id else (_summaries, {})
        with self._database.reading() as connection:
            found = [_summary(row) for row in connection.execute(statement, {"run": run_id, **values}).mappings()]
        return sorted(found, key=lambda one: msgspec.structs.astuple(one.key))

    def recorded(self, run_id: str) -> list[Recorded]:
        """The artifacts of metrics that a run's steps have as outputs, each once, with the step itself and not its DAGs."""
        with self._database.reading() as connection:
            found = connection.execute(_recorded, {"run": run_id}).mappings().all()
        made = [Recorded(row["holder"], row["key"], row["position"], rows.read_artifact(row)) for row in found]
        holders: dict[str, set[str]] = {}
        for one in made:
            holders.setdefault(one.record.id, set()).add(one.task)
        steps = [one for one in made if not _is_around(one.task, holders[one.record.id])]
        return sorted(steps, key=lambda one: (one.task, one.output, one.position))

    async def points(self, summary: Summary, most: int | None = None) -> list[Point]:
        """The points of a series by their steps.

        Args:
            summary: The series.
            most: Where it has more, so many at most: the first and the last, and of each of equal parts of its steps the lowest
                and the highest, and one that is NaN if there is one. All of them unless said.
        """
        if most is None or summary.count <= most:
            return [point async for page in self.pages(summary) for point in page]
        first, last = summary.first, summary.last.step
        parts = max(1, (most - 2) // _KEPT_OF_A_PART)
        kept: dict[int, dict[str, Point]] = {}
        ends: dict[int, Point] = {}
        async for page in self.pages(summary):
            for point in page:
                _keep(kept.setdefault((point.step - first) * parts // (last - first + 1), {}), point)
                if point.step in (first, last):
                    ends[point.step] = point
        chosen = {point.step: point for part in kept.values() for point in part.values()} | ends
        return [chosen[step] for step in sorted(chosen)]

    async def pages(self, summary: Summary) -> AsyncGenerator[list[Point]]:
        """All points of a series by their steps, `PAGE` at once."""
        after = -(1 << 63)
        statement: Any = _points_from
        while True:
            with self._database.reading() as connection:
                found: Sequence[Any] = connection.execute(statement, {"series": summary.id, "after": after}).all()
            if found:
                yield [Point(row[0], row[1], math.nan if row[2] is None else row[2]) for row in found]
            if len(found) < PAGE:
                return
            after, statement = found[-1][0], _points
            await asyncio.sleep(0)  # others want the loop too


_points_from = (
    select(metric_points.c.step, metric_points.c.at, metric_points.c.value)
    .where(metric_points.c.series_id == bindparam("series"), metric_points.c.step >= bindparam("after"))
    .order_by(metric_points.c.step)
    .limit(PAGE)
)


def _keep(part: dict[str, Point], point: Point) -> None:
    if math.isnan(point.value):
        part.setdefault("nan", point)
        return
    if "low" not in part or point.value < part["low"].value:
        part["low"] = point
    if "high" not in part or point.value > part["high"].value:
        part["high"] = point


def _is_around(task: str, others: Iterable[str]) -> bool:
    """Whether a task is a DAG that only hands on what one of the others made."""
    return any(other != task and (not task or other.startswith(task + ".")) for other in others)


def _summary(row: rows.Row) -> Summary:
    key = SeriesKey(row["task_id"], row["name"], row["attempt"], row["artifact"], row["position"])
    value = math.nan if row["last_value"] is None else row["last_value"]
    last = Point(row["last"], row["last_at"], value)
    return Summary(row["series_id"], key, row["count"], row["first"], last, row["minimum"], row["maximum"])


def in_json(value: float) -> float | str:
    """A value as JSON can say it: what is not finite as text, as protobuf's JSON does.

    Examples:
        >>> in_json(0.5), in_json(float("nan")), in_json(float("-inf"))
        (0.5, 'NaN', '-Infinity')
    """
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def newest(summaries: Iterable[Summary]) -> list[Summary]:
    """Of each series that several attempts logged, that of the last of them."""
    found: dict[tuple[str, str, str, int], Summary] = {}
    for one in sorted(summaries, key=lambda one: one.key.attempt):
        found[one.key.task, one.key.name, one.key.artifact, one.key.position] = one
    return list(found.values())
