"""The first page: what runs, what failed and why, how the node is; and on an empty host how to begin."""

import re
from collections.abc import Iterator
from pathlib import Path

import axe
import pytest
from exhibits import ended, start
from playwright.sync_api import Browser, Page, expect
from visiting import Visitor

from kedge.testing.host import RunningHost, running_host

PACKAGES = 600_000.0
"""Milliseconds: the demo's packages may have to be fetched and installed first."""


@pytest.fixture(scope="module")
def host() -> Iterator[RunningHost]:
    """A host on which nothing has run, and whose owner wants more room than any disk has."""
    with running_host({"KEDGE_LEAST_DISK": str(1 << 62)}) as kedge:
        yield kedge


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("checker")
def test_an_empty_host_says_how_to_begin_and_its_button_runs_the_demo(signed_in: Page, host: RunningHost) -> None:
    signed_in.goto("/")
    expect(signed_in.get_by_role("heading", name="Run a first pipeline")).to_be_visible()
    expect(signed_in.get_by_role("row", name="this-machine ready")).to_be_visible()
    assert not axe.grave_faults(signed_in)
    signed_in.get_by_role("button", name="Run the demo").click()
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("penguins")
    expect(signed_in.locator("[data-task=clean]")).to_be_visible()
    run = signed_in.url.rpartition("/")[2]
    assert host.client.get(run)["pipeline_name"].startswith("penguin")
    expect(signed_in.locator(".run-line > .state")).to_have_text("succeeded", timeout=PACKAGES)
    signed_in.goto("/")
    expect(signed_in.get_by_role("row", name="penguins succeeded")).to_be_visible()
    expect(signed_in.get_by_role("heading", name="Run a first pipeline")).to_have_count(0)


def test_a_demo_whose_packages_cannot_be_fetched_says_so_where_it_was_begun(browser: Browser, tmp_path: Path) -> None:
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0", "KEDGE_INFRA_RETRIES": "0"}
    places = {"KEDGE_CACHE": str(tmp_path / "cache"), "UV_CACHE_DIR": str(tmp_path / "uv")}
    with running_host({**nowhere, **places}) as lonely:
        context = browser.new_context(base_url=lonely.host.http)
        try:
            page = context.new_page()
            page.goto(lonely.cli("open", "--print", check=True).stdout.strip())
            page.get_by_role("button", name="Run the demo").click()
            told = page.locator("p.fault")
            expect(told).to_contain_text("no package index answers. Is there a network?")
            page.goto("/")
            expect(page.get_by_label("Why it failed")).to_contain_text("pandas")
            expect(page.get_by_role("button", name="Run the demo again")).to_be_visible()
        finally:
            context.close()


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


@pytest.mark.usefixtures("checker")
def test_the_host_its_node_and_what_is_stored_are_shown_and_a_disk_that_runs_short_is_told(
    visitor: Visitor, host: RunningHost
) -> None:
    ended(host, start(host, "hostile"), "SUCCEEDED")
    page = visitor.page()
    page.goto("/")
    facts = page.locator(".host-facts")
    for said in (f"process {host.host.pid}", str(host.home), host.host.http, host.host.https, "Supervisor"):
        expect(facts).to_contain_text(said)
    assert host.client.status()["hub"]["pid"] == host.host.pid
    node = page.get_by_role("row", name="this-machine ready")
    expect(node).to_contain_text(re.compile(r"0 of \d"))
    expect(page.get_by_role("alert")).to_contain_text("The disk runs short")
    artifacts = page.get_by_role("row", name="Artifacts of runs")
    expect(artifacts).to_contain_text(re.compile(r"\d+(\.\d+)? (B|kB|MB)"))
    expect(artifacts).to_contain_text("artifacts")
    expect(page.get_by_role("row", name="Database: history")).to_contain_text("history.db")
    expect(page.get_by_role("row", name="Folders of Pods")).to_contain_text(re.compile(r"\d B|kB|MB"))
    assert not axe.grave_faults(page)
    visitor.photograph(page, "home")
