"""A host that goes away while its pages are open, and comes back."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import exhibits as exhibited
import pytest
from go_programs import cache_folder
from playwright.sync_api import Page, expect
from watching import Watch

from kedge.testing.host import RunningHost, running_host

pytestmark = pytest.mark.timeout(600)  # a busy machine may take a minute for each of several steps


@pytest.fixture(scope="module")
def host() -> Iterator[RunningHost]:
    """One of its own, for it is killed."""
    with running_host() as kedge:
        yield kedge


@pytest.fixture
def flag() -> Iterator[Path]:
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        yield Path(folder, "flag")


def test_a_page_says_that_its_host_is_away_and_comes_back_by_itself(
    signed_in: Page, host: RunningHost, watch: Watch, flag: Path
) -> None:
    document = exhibited.pipeline("waiting")
    document.pipeline["root"]["dag"]["tasks"]["linger"]["taskInfo"]["name"] = "lingers for much longer than a box is wide"
    run = host.client.run(document, parameters={"flag": str(flag)}, name="interrupted")["run_id"]
    signed_in.goto(f"/runs/{run}?task=linger")
    lingers, away = signed_in.locator('[id="n-linger"]'), signed_in.get_by_text("The host does not answer. It is asked again")
    log = signed_in.locator("#panel .log-text")
    expect(lingers).to_have_class(re.compile("RUNNING"))
    expect(log).to_have_text("waiting")
    watch.let_host_go()
    host.kill()
    expect(away).to_be_visible()
    host.start()
    expect(away).to_be_hidden()
    expect(lingers).to_have_class(re.compile("RUNNING"))
    flag.touch()
    expect(lingers).to_have_class(re.compile("SUCCEEDED"))
    expect(
        signed_in.get_by_role(
            "link", name=re.compile("^lingers for much longer than a box is wide, lingers for much lon… .*: succeeded")
        )
    ).to_be_visible()
    expect(log).to_contain_text("going on")
    expect(signed_in.locator("#run-head .state")).to_have_text("succeeded")
    exhibited.ended(host, run, "SUCCEEDED")
