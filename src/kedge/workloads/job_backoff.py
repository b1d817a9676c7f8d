"""How long a Job waits before it tries again: ten seconds, doubled with each failure in a row, ten minutes at most."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from kedge.kube.kinds import Obj
from kedge.workloads.job_look import End
from kedge.workloads.job_pods import ended_at, failures_of

_FIRST, _LAST = 10.0, 600.0


def _remaining(failures: int, since: datetime, now: datetime) -> float:
    delay = min(_FIRST * 2.0 ** min(failures - 1, 16), _LAST)
    return (since + timedelta(seconds=delay) - now).total_seconds()


def until_next(ends: Iterable[End], now: datetime) -> float:
    """Seconds to wait, from how the Pods ended; a success begins anew."""
    failures, last = 0, now
    for end in sorted(ends, key=lambda end: (end.at, end.failed)):
        failures, last = (failures + 1, end.at) if end.failed else (0, last)
    return _remaining(failures, last, now) if failures else 0.0


def until_next_of_index(failed: Obj | None, now: datetime) -> float:
    """Seconds to wait for one index, from the Pod of it that failed last."""
    return _remaining(sum(failures_of(failed)) + 1, ended_at(failed), now) if failed is not None else 0.0
