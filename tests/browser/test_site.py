"""The documentation's site in a browser: whole, searchable, silent towards other machines; from a server and from the disk."""

import functools
import http.server
import subprocess
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import axe
import pytest
from blocks import ROOT
from playwright.sync_api import Browser, Page, expect
from visiting import NARROW, WAIT, WIDE, Theme, Visitor
from watching import Watch

pytestmark = pytest.mark.timeout(600)  # the first one builds the site, where its programs may have to be installed first

# One page of each kind: prose, code, tables, references.
KINDS = [
    "index",
    "pipelines",
    "compatibility",
    "troubleshooting",
    "reference/cli",
    "reference/dsl",
    "reference/rest",
    "decisions/index",
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and writes nothing about it."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name in the standard library
        del format, args


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        ["bash", "scripts/docs", str(folder)], cwd=ROOT, check=False, capture_output=True, text=True, timeout=550
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where it is served."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def reader(browser: Browser, address: str, request: pytest.FixtureRequest) -> Generator[Visitor]:
    """Somebody who reads it. What is wrong with a page fails the test."""
    found = Visitor(browser, address, Watch(address), {}, ROOT / "build" / "screenshots" / "site")
    yield found
    found.leave(request.node.name)
    assert not found.watch.faults()


def searched(page: Page, words: str) -> None:
    """Type words into the search, as a person would."""
    field = page.get_by_role("textbox", name="Search")
    field.click()
    expect(page.locator(".md-search-result__meta")).to_have_text("Type to start searching")
    field.press_sequentially(words)


def test_a_search_finds_the_page(reader: Visitor) -> None:
    page = reader.page(signed_in=False)
    page.goto("/index.html")
    searched(page, "OOMKilled")
    found = page.locator(".md-search-result__link[href*='troubleshooting.html']")
    expect(found.first).to_be_visible()
    found.first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Troubleshooting")


def test_a_search_finds_the_page_where_the_site_is_a_folder_on_the_disk(browser: Browser, site: Path) -> None:
    context = browser.new_context()
    context.set_default_timeout(WAIT)
    watch = Watch(site.as_uri())
    watch.follow(context)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    searched(page, "OOMKilled")
    found = page.locator(".md-search-result__link[href*='troubleshooting.html']")
    expect(found.first).to_be_visible()
    context.close()
    assert not watch.faults()


def test_what_is_copied_of_a_console_can_be_typed(reader: Visitor) -> None:
    page = reader.page(signed_in=False)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/observability.html")
    page.locator(".highlight", has_text="kedge run train.py").get_by_role("button", name="Copy to clipboard").click()
    page.wait_for_function("() => navigator.clipboard.readText().then((text) => text.includes('kedge run train.py'))")
    copied: str = page.evaluate("() => navigator.clipboard.readText()")
    typed = [line for line in copied.splitlines() if line]
    assert typed[:2] == ["kedge run train.py --name my-training", "kedge runs metrics my-training"]
    assert all(line.startswith("kedge ") for line in typed)


def test_every_page_loads_without_a_fault_and_fits_into_a_narrow_window(reader: Visitor, site: Path) -> None:
    page = reader.page(signed_in=False, width=NARROW)
    for file in sorted(site.rglob("*.html")):
        page.goto(f"/{file.relative_to(site).as_posix()}")
        expect(page.get_by_role("heading", level=1).first).to_be_visible()
        expect(page.locator("html"), file.name).to_have_js_property("scrollWidth", NARROW, timeout=WAIT)


@pytest.mark.usefixtures("checker")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_site_follows_the_readers_theme_and_is_in_nobodys_way(reader: Visitor, theme: Theme) -> None:
    page = reader.page(signed_in=False, theme=theme, width=WIDE)
    wrong: list[str] = []
    for kind in KINDS:
        page.goto(f"/{kind}.html")
        expect(page.locator("body")).to_have_attribute("data-md-color-scheme", "slate" if theme == "dark" else "default")
        wrong += [f"{kind}: {fault}" for fault in axe.grave_faults(page)]
    assert wrong == []
