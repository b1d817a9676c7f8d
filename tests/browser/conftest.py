"""Fixtures of the tests that look at the dashboard with a real browser: a host, runs to look at, pages that are watched.

    def test_it(signed_in: Page, exhibits: Exhibits) -> None:
        signed_in.goto(f"/runs/{exhibits.flowers}")
        expect(signed_in.get_by_role("heading", level=1)).to_have_text("flowers")

Any fault of any page fails its test (`watching`). What is on the pages of a test at its end is kept as a picture, in
KEDGE_SCREENSHOTS or build/screenshots. A file that wants another host has a fixture `host` of its own. No coroutines here: see
`chromium.launched`.
"""

import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import axe
import chromium
import exhibits as exhibited
import pytest
from go_programs import cache_folder
from playwright.sync_api import Browser, Page, StorageState, expect
from visiting import WAIT, Visitor
from watching import Watch

from kedge.config import Settings
from kedge.testing.host import RunningHost, running_host

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def host() -> Iterator[RunningHost]:
    """A running host that the tests of a session share. What a test changes in it is its own."""
    with running_host() as kedge:
        yield kedge


@pytest.fixture(scope="session")
def exhibits(host: RunningHost) -> Iterator[exhibited.Exhibits]:
    """Runs that are over, of each kind."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        yield exhibited.made(host, Path(folder))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. One for each file: coroutines of other files could not be tested beside it."""
    _want(chromium.missing())
    expect.set_options(timeout=WAIT)
    with chromium.launched() as found:
        yield found


@pytest.fixture(scope="module")
def session(browser: Browser, host: RunningHost) -> StorageState:
    """What a browser keeps that has signed in by the link that `kedge open` prints."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(host.cli("open", "--print", check=True).stdout.strip())
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    kept = context.storage_state()
    context.close()
    return kept


@pytest.fixture
def watch(host: RunningHost) -> Watch:
    """Keeps the faults of the test's pages; told which are wanted."""
    return Watch(host.host.http)


@pytest.fixture
def visitor(
    browser: Browser, session: StorageState, host: RunningHost, watch: Watch, request: pytest.FixtureRequest
) -> Generator[Visitor]:
    """Opens pages, and at the end of the test takes their pictures and fails it for what was wrong with them."""
    kept = Settings.from_environment().environ.get("KEDGE_SCREENSHOTS") or str(ROOT / "build" / "screenshots")
    node: Any = request.node
    pictures = Path(kept, node.path.stem.removeprefix("test_"))
    found = Visitor(browser, host.host.http, watch, session, pictures)
    yield found
    found.leave(node.name)
    assert not watch.faults()


@pytest.fixture
def signed_in(visitor: Visitor) -> Page:
    """An empty page of a browser that is signed in; addresses without a host are the host's."""
    return visitor.page()


@pytest.fixture(scope="session")
def checker() -> None:
    """Skips the test where axe-core cannot be had, which `axe.grave_faults` needs."""
    _want(axe.missing())


def _want(why: str) -> None:
    if why and Settings.from_environment().environ.get("CI", "") not in {"", "0", "false"}:
        pytest.fail(why)
    if why:
        pytest.skip(why)
