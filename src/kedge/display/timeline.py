"""When the tasks of a run waited and when they ran, as bars on one axis."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from kedge.display.outline import Row, is_step
from kedge.display.tasks import LIVE, duration
from kedge.kube.clock import parse_timestamp

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_STEPS = (
    *(unit * each for unit in (0.001, 0.01, 0.1) for each in (1, 2, 5)),
    *(each for each in (1.0, 2.0, 5.0, 10.0, 15.0, 30.0)),
    *(_MINUTE * each for each in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * each for each in (1, 2, 3, 6, 12)),
    *(_DAY * each for each in (1, 2, 7, 28)),
)
_TICKS = 8
_LEAST = 0.15  # per cent of the axis: what is shorter would not be seen
Kind = Literal["waiting", "running", "group", "cached"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time.

    Attributes:
        kind: A try that waited for its Pod, or ran; the whole time of a group; or when a result came from the cache.
        state: Of what ran.
        start: Per cent of the axis.
        width: Likewise.
    """

    kind: Kind
    state: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One row.

    Attributes:
        row: Whose.
        bars: From left to right.
        waited: For Pods, all tries together, as people read it.
        ran: Likewise.
    """

    row: Row
    bars: Sequence[Bar]
    waited: str
    ran: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """All of it.

    Attributes:
        rows: From top to bottom.
        ticks: Moments that the axis names: per cent, and how long after its beginning.
        step: Per cent between two of them.
    """

    rows: Sequence[TimelineRow]
    ticks: Sequence[tuple[float, str]]
    step: float


@dataclass(frozen=True, slots=True)
class _Stretch:
    kind: Kind
    state: str
    start: datetime
    end: datetime


def timeline(rows: Iterable[Row], tasks: Iterable[Mapping[str, Any]], now: datetime, zoom: int = 1) -> Timeline:
    """Put the times of tasks on one axis.

    Args:
        rows: Those that are shown.
        tasks: All of the run: the axis is the same whatever is folded.
        now: Where what still runs ends.
        zoom: How many times wider than a page the axis is.
    """
    moments = [moment for task in tasks for each in _stretches(task, now) for moment in (each.start, each.end)]
    first = min(moments, default=now)
    span = max((max(moments, default=now) - first).total_seconds(), 0.001)
    shown: list[TimelineRow] = []
    for row in rows:
        stretches = list(_stretches(row.task, now))
        bars = [_bar(each, first, span, _LEAST / zoom) for each in stretches]
        shown.append(TimelineRow(row, bars, _total(stretches, "waiting"), _total(stretches, "running")))
    step = next((each for each in _STEPS if span / each <= _TICKS * zoom), _STEPS[-1])
    ticks = [
        (100 * step * number / span, "0" if not number else duration(step * number)) for number in range(int(span / step) + 1)
    ]
    return Timeline(shown, [each for each in ticks if each[0] <= 100 - 3 / zoom], 100 * step / span)


def _bar(each: _Stretch, first: datetime, span: float, least: float) -> Bar:
    start = min(100 * (each.start - first).total_seconds() / span, 100 - least)
    width = max(100 * (each.end - each.start).total_seconds() / span, least)
    return Bar(each.kind, each.state, round(start, 4), round(min(width, 100 - start), 4))


def _total(stretches: Iterable[_Stretch], kind: Kind) -> str:
    found = [(each.end - each.start).total_seconds() for each in stretches if each.kind == kind]
    return duration(sum(found)) if found else ""


def _stretches(task: Mapping[str, Any], now: datetime) -> Iterator[_Stretch]:
    state = str(task["state"])
    if state == "CACHED" and (end := _time(task, "end_time")):
        yield _Stretch("cached", state, end, end)
    elif not is_step(task):
        if start := _time(task, "start_time"):
            yield _Stretch("group", state, start, max(start, _time(task, "end_time") or now))
    elif not task.get("attempts") and (start := _time(task, "start_time")):
        yield _Stretch("running", state, start, max(start, _time(task, "end_time") or now))
    for attempt in task.get("attempts") or ():
        begun, end = _time(attempt, "start_time"), _time(attempt, "end_time")
        until = end or (now if attempt.get("state", state) in LIVE else None)
        if (made := _time(attempt, "create_time")) and (begun or until):
            yield _Stretch("waiting", "PENDING", made, max(made, begun or until or made))
        if begun and until:
            yield _Stretch("running", str(attempt.get("state", state)), begun, max(begun, until))


def _time(given: Mapping[str, Any], name: str) -> datetime | None:
    return parse_timestamp(given[name]) if given.get(name) else None
