"""What steps write, people name and addresses say is text: nothing of it runs in the dashboard's origin, wherever it is shown."""

from collections import deque
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import exhibits as exhibited
import pytest
from exhibits import Exhibits
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, StorageState, expect
from visiting import WAIT

from kedge.testing.host import RunningHost

CODE = "document.title='taken';document.cookie='taken=1';fetch('/taken')"
TEXTS = {
    "script": f"<script>{CODE}</script>",
    "image": f'"\'><img src=x onerror="{CODE}">',
    "svg": f"</textarea></title><svg onload={CODE}>",
    "template": "{{ 7*'kedge' }}{% raw %}",
    "link": f"javascript:{CODE}",
}
MOST = 60  # pages from one run on
OF_A_KIND = 4


class Evidence:
    """What a script of somebody else's would leave in a browser."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self.found: list[str] = []
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("dialog", self._dialog)

    def _request(self, request: Request) -> None:
        if "/taken" in urlsplit(request.url).path:
            self.found.append(f"a request: {request.url}")

    def _console(self, message: ConsoleMessage) -> None:
        # The policy held back what stood in one of our pages as a script or a style; a frame of a step's own may try.
        in_a_frame = urlsplit(message.location["url"]).path.endswith("/view")
        if "Content Security Policy" in message.text and "sandbox" not in message.text and not in_a_frame:
            self.found.append(f"{message.page.url if message.page else ''}: {message.text}")

    def _dialog(self, dialog: Dialog) -> None:
        self.found.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def look(self, page: Page) -> None:
        """Look for more on a page."""
        if "taken" in page.title() and "<" not in page.title() and "javascript" not in page.title():
            self.found.append(f"{page.url}: its title is {page.title()!r}")
        links: list[str] = page.eval_on_selector_all(
            "a[href], form[action], iframe[src], object[data]",
            "all => all.flatMap(each => ['href', 'action', 'src', 'data'].map(name => each.getAttribute(name) || ''))",
        )
        self.found += [
            f"{page.url}: leads to {link}" for link in links if link.strip().lower().startswith(("javascript:", "data:text"))
        ]
        inline = page.eval_on_selector_all(
            "*", "all => all.flatMap(e => [...e.attributes].map(a => a.name)).filter(n => /^on/.test(n))"
        )
        self.found += [f"{page.url}: an attribute {name}" for name in inline]
        if page.locator("script:not([src])").count():
            self.found.append(f"{page.url}: a script of its own")
        if "kedgekedge" in page.inner_text("body"):
            self.found.append(f"{page.url}: a template was filled in")

    def verdict(self) -> list[str]:
        """All of it."""
        cookies = [cookie.get("name", "") for cookie in self._context.cookies()]
        return [*self.found, *(["a cookie"] if "taken" in cookies else [])]


@pytest.fixture
def context(browser: Browser, session: StorageState, host: RunningHost) -> Iterator[BrowserContext]:
    """A browser that is signed in and not watched: that frames of steps are held back is said in its console."""
    found = browser.new_context(base_url=host.host.http, storage_state=session)
    found.set_default_timeout(WAIT)
    yield found
    found.close()


@pytest.fixture(scope="module")
def named(host: RunningHost, exhibits: Exhibits) -> list[str]:
    """Runs whose names and arguments would like to be scripts."""
    started = [exhibited.start(host, "hostile", {"text": text}, called=text) for text in TEXTS.values()]
    return [exhibits.hostile, *(exhibited.ended(host, run, "SUCCEEDED") for run in started)]


@pytest.mark.timeout(600)
def test_nothing_that_steps_make_or_people_name_runs_in_the_pages(context: BrowserContext, named: list[str]) -> None:
    evidence, page = Evidence(context), context.new_page()
    for path in crawl(page, ["/", "/runs", *(f"/runs/{run}" for run in named)], set(named)):
        evidence.look(page)
        assert evidence.verdict() == [], path


def crawl(page: Page, first: list[str], runs: set[str]) -> Iterator[str]:
    """Paths, each when `page` shows it: the first ones, and those to which they link that are about one of the runs."""
    due, seen, kinds = deque(first), set(first), dict[str, int]()
    while due and len(kinds) <= MOST:
        path = due.popleft()
        if "text/html" not in page.request.get(path).headers.get("content-type", ""):
            continue
        page.goto(path)
        expect(page.locator("h1")).not_to_have_count(0)
        yield path
        links: list[str] = page.eval_on_selector_all(
            "a[href]:not([download])", "all => all.filter(a => a.origin === location.origin).map(a => a.pathname + a.search)"
        )
        for each in links:
            kind = each.partition("?")[0]
            for run in runs:
                kind = kind.replace(run, "RUN")
            about = any(run in each for run in runs) or kind.startswith("/artifacts/")
            if each not in seen and about and kinds.get(kind, 0) < OF_A_KIND:
                kinds[kind] = kinds.get(kind, 0) + 1
                seen.add(each)
                due.append(each)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.usefixtures("exhibits")
def test_nothing_that_an_address_says_runs_in_the_pages(context: BrowserContext, text: str) -> None:
    evidence, page = Evidence(context), context.new_page()
    said = quote(text, safe="")
    for path in (
        f"/{said}",
        f"/runs/{said}",
        f"/runs?state={said}&filter={said}&sort_by={said}&q={said}&page_token={said}&namespace={said}",
        f"/namespace?back={said}",
        f"/cluster/objects/core/v1/{said}",
        f"/sign-in/{said}",
        f"/#/runs/details/{said}",
        f"/#{said}",
    ):
        page.goto(path)
        evidence.look(page)
        assert evidence.verdict() == [], path


@pytest.mark.usefixtures("exhibits")
def test_a_form_leads_to_no_script(context: BrowserContext, host: RunningHost) -> None:
    """The address to which a choice of namespace leads back comes out of an address."""
    evidence, page = Evidence(context), context.new_page()
    page.goto(f"/namespace?back={quote('javascript:' + CODE)}")
    page.get_by_role("button", name="default").click()
    expect(page).to_have_url(f"{host.host.http}/")
    assert evidence.verdict() == []
