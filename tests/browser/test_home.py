"""The first page: what runs, what failed and why, how the node is; and on an empty host how to begin."""

from collections.abc import Iterator
from pathlib import Path

import axe
import pytest
from exhibits import ended, start
from playwright.sync_api import Page, expect

from kedge.testing.host import RunningHost, running_host


@pytest.fixture(scope="module")
def host() -> Iterator[RunningHost]:
    """A host on which nothing has run."""
    with running_host() as kedge:
        yield kedge


@pytest.mark.usefixtures("checker")
def test_an_empty_host_says_how_to_begin_and_its_button_runs_the_demo(signed_in: Page, host: RunningHost) -> None:
    signed_in.goto("/")
    expect(signed_in.get_by_role("heading", name="Run a first pipeline")).to_be_visible()
    expect(signed_in.get_by_role("row", name="this-machine ready")).to_be_visible()
    assert not axe.grave_faults(signed_in)
    signed_in.get_by_role("button", name="Run the demo").click()
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("penguins")
    run = signed_in.url.rpartition("/")[2]
    assert host.client.get(run)["pipeline_name"].startswith("penguin")
    host.client.cancel(run)
    host.client.wait(run)


@pytest.mark.usefixtures("checker")
def test_what_runs_and_what_failed_is_shown_with_the_reason_as_it_happens(
    signed_in: Page, host: RunningHost, tmp_path: Path
) -> None:
    signed_in.goto("/")
    run = start(host, "waiting", {"flag": str(tmp_path / "flag")}, called="it waits")
    expect(signed_in.locator(f"#running-{run}")).to_contain_text("it waits")
    failing = ended(host, start(host, "failing"), "FAILED")
    expect(signed_in.locator(f"#failed-{failing}")).to_contain_text("ZeroDivisionError: division by zero")
    host.client.cancel(run)
    expect(signed_in.locator(f"#running-{run}")).to_have_count(0)
    assert not axe.grave_faults(signed_in)
