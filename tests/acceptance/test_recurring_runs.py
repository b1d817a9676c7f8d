"""A recurring run on a real host that is killed: every moment has its one run."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import pytest

from kedge.testing import pipelines
from kedge.testing.host import RunningHost

EVERY_SECOND = {"cron_schedule": {"cron": "* * * * * *"}}
PATIENCE = 60.0


def moments(kedge: RunningHost) -> list[datetime]:
    """For which moments there are runs, the first one first."""
    found = kedge.client.list(page_size=200, sort_by="created_at asc")
    return sorted(datetime.fromisoformat(run["scheduled_at"]) for run in found)


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"after {PATIENCE:g} s: {what}")


def test_a_killed_host_fires_each_moment_once(own_either_host: RunningHost) -> None:
    def call(method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {own_either_host.host.token}"}
        url = f"{own_either_host.host.http}/apis/v2beta1{path}"
        return httpx.request(method, url, json=body, headers=headers, trust_env=False, timeout=60).raise_for_status().json()

    chain = pipelines.pipeline({}, {}, name="nothing")
    body = {"display_name": "often", "pipeline_spec": chain, "trigger": EVERY_SECOND, "max_concurrency": 10}
    recurring = call("POST", "/recurringruns", body)["recurring_run_id"]
    until(lambda: len(moments(own_either_host)) >= 2, "it has not fired twice")
    before = moments(own_either_host)
    own_either_host.kill()
    own_either_host.start()
    until(lambda: len(moments(own_either_host)) >= len(before) + 3, "it has not gone on")
    call("POST", f"/recurringruns/{recurring}:disable")
    fired = moments(own_either_host)
    seconds = [round(moment.timestamp()) for moment in fired]
    assert seconds == list(range(seconds[0], seconds[0] + len(seconds))), "one is missing, or there twice"
    ids = [run["run_id"] for run in own_either_host.client.list(page_size=200)]
    assert {run["state"] for run in map(own_either_host.client.wait, ids)} == {"SUCCEEDED"}
