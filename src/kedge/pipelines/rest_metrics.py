"""REST: the metrics of a run: numbers that its steps recorded, and series that they log while they run."""

import asyncio
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace
from starlette.responses import Response

from kedge.errors import BadRequest
from kedge.kube.clock import timestamp
from kedge.pipelines import answers, rows
from kedge.pipelines.controller import RunController
from kedge.pipelines.history import History
from kedge.pipelines.operations import Call
from kedge.pipelines.rest_runs import known_run
from kedge.pipelines.series import Point, Recorded, Series, SeriesKey, Summary, in_json, newest

DEFAULT_POINTS = 1_000
MOST_POINTS = 100_000
_WORDS = ("NaN", "Infinity", "-Infinity")  # no set: a list or an object cannot be looked for in one


class MetricEndpoints:
    """The endpoint of metrics.

    Args:
        controller: Knows what runs.
        history: Knows them all.
        series: Keeps the series.
    """

    def __init__(self, controller: RunController, history: History, series: Series) -> None:
        self._controller = controller
        self._history = history
        self._series = series

    async def metrics(self, call: Call) -> Response:
        """``GET /runs/{run_id}/metrics``: each metric in short; with ``name`` or ``max_points`` their points too."""
        record = known_run(self._controller, self._history, call.path["run_id"])
        most = call.number("max_points")
        if most is not None and not 2 <= most <= MOST_POINTS:
            raise BadRequest(f"max_points: must be from 2 to {MOST_POINTS}, got {most}.")
        if most is None and call.text("name"):
            most = DEFAULT_POINTS
        recorded = self._series.recorded(record.id)
        found = [*self._series.summaries(record.id, call.text("task_id")), *self._of_others(record.id, recorded)]
        attempt = call.number("attempt")
        chosen = newest(found) if attempt is None else [one for one in found if one.key.attempt == attempt]
        shown = [
            _metric(one) | ({} if most is None else {"points": await self._points(one, most)})
            for one in chosen
            if _wanted(call, one.key)
        ]
        if attempt is None:
            series = {(one.key.task, one.key.artifact, one.key.position, one.key.name) for one in found}
            shown += [body for body, key in _plain(recorded, series) if _wanted(call, key)]
        order = ("task_id", "artifact", "index", "name", "attempt")
        shown.sort(key=lambda body: [str(body.get(field, "")) for field in order])
        return answers.answer({"metrics": shown})

    async def _points(self, one: Summary, most: int) -> list[dict[str, Any]]:
        found = await self._series.points(one, most)
        if len(found) > DEFAULT_POINTS:  # long enough for others to notice
            return await asyncio.to_thread(lambda: list(map(_point, found)))
        return list(map(_point, found))

    def _of_others(self, run_id: str, recorded: Iterable[Recorded]) -> list[Summary]:
        """The series of steps that came from the cache: those of who made their artifacts."""
        found: list[Summary] = []
        for one in recorded:
            made = one.record
            if made.run in (None, run_id) or made.task is None:
                continue
            found += [
                replace(each, key=replace(each.key, task=one.task, attempt=0))
                for each in newest(self._series.summaries(made.run, made.task))
                if (each.key.artifact, each.key.position) == (one.output, one.position)
            ]
        return found


def _wanted(call: Call, key: SeriesKey) -> bool:
    return call.text("name") in ("", key.name) and call.text("task_id") in ("", key.task)


def _plain(recorded: Iterable[Recorded], series: set[tuple[str, str, int, str]]) -> Iterable[tuple[dict[str, Any], SeriesKey]]:
    """Numbers that were recorded with artifacts and are no last point of a series."""
    for one in recorded:
        for name, value in one.record.artifact.metadata.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if (number or value in _WORDS) and (one.task, one.output, one.position, name) not in series:
                body = {"name": name, "task_id": one.task, "artifact": one.output, "index": one.position, "value": value}
                yield body, SeriesKey(one.task, name)


def _metric(one: Summary) -> dict[str, Any]:
    key = one.key
    return {
        "name": key.name,
        "task_id": key.task,
        "attempt": key.attempt,
        "artifact": key.artifact,
        "index": key.position,
        "value": in_json(one.last.value),
        "count": one.count,
        "first_step": one.first,
        "last_step": one.last.step,
        "updated_at": timestamp(rows.moment(one.last.at)),
    } | {name: in_json(value) for name, value in (("min", one.minimum), ("max", one.maximum)) if value is not None}


def _point(point: Point) -> dict[str, Any]:
    return {"step": point.step, "time": timestamp(rows.moment(point.at)), "value": in_json(point.value)}
