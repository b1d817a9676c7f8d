"""Pages that are open for long: what a tab keeps in memory does not grow with what it has seen."""

from pathlib import Path

import measuring
import pytest
from exhibits import PIPELINES
from playwright.sync_api import expect
from visiting import Visitor

from kedge.pipelines.compiler import compile_file
from kedge.testing.host import RunningHost

MINUTES = 30
FIRST_MINUTES = 2  # until then a page loads, and what it folds together grows to its size
ALLOWED = 20 << 20
STEP_SECONDS = 2


@pytest.mark.soak
@pytest.mark.timeout((MINUTES + 10) * 60)
def test_a_page_that_watches_a_run_for_half_an_hour_stays_small(visitor: Visitor, host: RunningHost) -> None:
    count = MINUTES * 60 * 2 // STEP_SECONDS + 200
    run = host.client.run(compile_file(Path(PIPELINES, "lasting.py")), parameters={"count": count}, cache=False)["run_id"]
    page = visitor.page()
    page.goto(f"/runs/{run}")
    expect(page.get_by_text("running").first).to_be_visible()
    page.wait_for_timeout(FIRST_MINUTES * 60_000)
    before = measuring.heap(page)
    page.wait_for_timeout((MINUTES - FIRST_MINUTES) * 60_000)
    expect(page.get_by_text("running").first).to_be_visible()
    grown = measuring.heap(page) - before
    host.client.cancel(run)
    assert grown <= ALLOWED, f"{grown / (1 << 20):.1f} MiB more after {MINUTES} minutes"
