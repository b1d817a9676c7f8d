"""When a Pod that was meant to end, and did not, is no longer said to be."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kedge.control.apply import Update
from kedge.kube.clock import timestamp
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key
from kedge.workloads.stale_disruptions import StaleDisruptions

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def pod(phase: str = "Running", reason: str = "EvictionByEvictionAPI", status: str = "True", **meta: Any) -> Obj:
    meant = {"type": "DisruptionTarget", "status": status, "reason": reason, "lastTransitionTime": timestamp(NOW)}
    return {
        "metadata": {"name": "p", "namespace": "n", **meta},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}, meant]},
    }


class _Reader:
    def __init__(self, found: Obj) -> None:
        self._found = found

    async def get(self, *_: Any) -> Obj:
        return self._found


def observed(found: Obj) -> Any:
    reader: Any = _Reader(found)
    return asyncio.run(StaleDisruptions().observe(reader, Key("n", "p")))


def test_it_is_taken_back_after_two_minutes() -> None:
    seen = observed(pod())
    assert StaleDisruptions().desire(seen, NOW + timedelta(seconds=20)).requeue_after == 100
    later = NOW + timedelta(minutes=2)
    (change,) = StaleDisruptions().desire(seen, later).changes
    assert isinstance(change, Update)
    assert change.after["status"]["conditions"] == [
        {"type": "Ready", "status": "True"},
        {"type": "DisruptionTarget", "status": "False", "lastTransitionTime": timestamp(later)},
    ]
    assert observed(change.after) is None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(pod(deletionTimestamp=timestamp(NOW)), id="it ends"),
        pytest.param(pod("Succeeded"), id="it is over"),
        pytest.param(pod(reason="TerminationByKubelet"), id="its node ends it"),
        pytest.param(pod(status="False"), id="it is not meant to end"),
    ],
)
def test_nothing_is_taken_back(other: Obj) -> None:
    assert observed(other) is None
