"""The shell of the dashboard: signing in and out, protection of changes, errors, themes, keyboard, reading without scripts."""

import axe
import pytest
from exhibits import Exhibits
from measuring import weighed
from playwright.sync_api import Browser, Page, StorageState, expect
from visiting import WAIT, Theme, Visitor

from kedge.testing.host import RunningHost

MOST_BYTES = 300_000  # of a page with all that it loads, without Plotly


def link(host: RunningHost) -> str:
    return host.cli("open", "--print", check=True).stdout.strip()


def test_a_link_signs_one_browser_in_once(visitor: Visitor, host: RunningHost) -> None:
    mine, other = visitor.page(signed_in=False), visitor.page(signed_in=False)
    once = link(host)
    mine.goto(once)
    expect(mine.get_by_role("heading", level=1)).to_have_text("Home")
    expect(mine).to_have_url(f"{host.host.http}/")
    visitor.watch.expect_answer(once.removeprefix(host.host.http), 401)
    other.goto(once)
    expect(other.get_by_role("alert")).to_contain_text("This link has been used")
    mine.goto("/runs")
    expect(mine.get_by_role("heading", level=1)).to_have_text("Runs")


def test_a_used_link_leads_who_is_signed_in_home(visitor: Visitor, host: RunningHost) -> None:
    page = visitor.page(signed_in=False)
    once = link(host)
    page.goto(once)
    page.goto(once)
    expect(page.get_by_role("heading", level=1)).to_have_text("Home")


@pytest.mark.parametrize("path", ["/sign-in/wrong", "/", "/runs", "/nowhere"])
def test_who_is_not_signed_in_is_told_how_to(visitor: Visitor, path: str) -> None:
    page = visitor.page(signed_in=False)
    visitor.watch.expect_answer(path, 401)
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    expect(page.get_by_text("kedge open")).to_be_visible()
    expect(page.get_by_role("navigation")).to_have_count(0)


def test_no_script_and_no_other_site_gets_the_cookie(signed_in: Page) -> None:
    signed_in.goto("/")
    (cookie,) = signed_in.context.cookies()
    assert cookie.get("httpOnly")
    assert cookie.get("sameSite") == "Strict"
    assert cookie.get("path") == "/"
    assert signed_in.evaluate("() => document.cookie") == ""


def test_who_signs_out_is_out(visitor: Visitor, host: RunningHost) -> None:
    page = visitor.page(signed_in=False)
    page.goto(link(host))
    page.goto("/pipelines")  # a page that follows nothing: one that does might ask once more before it is left
    visitor.watch.expect_answer("/", 401)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert page.context.cookies() == []
    visitor.watch.expect_answer("/runs", 401)
    page.goto("/runs")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


@pytest.mark.parametrize("token", [None, "", "0" * 64], ids=["without", "empty", "wrong"])
def test_a_change_without_the_token_of_the_session_is_refused(signed_in: Page, token: str | None) -> None:
    """As a form of another site would send it, if a browser sent the cookie with it."""
    form: dict[str, str | float | bool] = {} if token is None else {"form_token": token}
    answer = signed_in.request.post("/sign-out", form=form, max_redirects=0)
    assert answer.status == 403
    assert "Load the page again" in answer.text()
    signed_in.goto("/")
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("Home")


def test_the_keyboard_reaches_everything_in_the_order_of_reading(signed_in: Page) -> None:
    signed_in.goto("/")
    sections = signed_in.get_by_role("navigation", name="Sections").get_by_role("link")
    buttons = [signed_in.get_by_role("button", name=name) for name in ("Dark", "Sign out")]
    content = signed_in.get_by_role("link", name="Skip to content"), signed_in.get_by_role("link", name="Kedge", exact=True)
    for control in [*content, *sections.all(), *buttons]:
        signed_in.keyboard.press("Tab")
        expect(control).to_be_focused()
        expect(control).to_be_in_viewport()
        expect(control).not_to_have_css("outline-style", "none")


def test_the_skip_link_leads_past_the_navigation(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto("/runs")
    signed_in.keyboard.press("Tab")
    signed_in.keyboard.press("Enter")
    expect(signed_in.get_by_role("main")).to_be_focused()
    signed_in.keyboard.press("Tab")
    expect(signed_in.get_by_role("main").locator(":focus")).to_have_count(1)


@pytest.mark.parametrize("javascript", [True, False], ids=["with scripts", "without"])
def test_the_theme_that_was_chosen_stays(visitor: Visitor, *, javascript: bool) -> None:
    page = visitor.page(javascript=javascript)
    page.goto("/runs")
    body = page.locator("body")
    expect(body).to_have_css("background-color", "rgb(246, 247, 248)")
    page.get_by_role("button", name="Dark").click()
    expect(body).to_have_css("background-color", "rgb(20, 23, 26)")
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
    page.goto("/")
    expect(body).to_have_css("background-color", "rgb(20, 23, 26)")
    page.get_by_role("button", name="Light").click()
    expect(body).to_have_css("background-color", "rgb(246, 247, 248)")


def test_pages_follow_the_theme_of_the_browser(visitor: Visitor) -> None:
    page = visitor.page(theme="dark")
    page.goto("/")
    expect(page.locator("body")).to_have_css("background-color", "rgb(20, 23, 26)")


def test_pages_are_read_without_scripts(visitor: Visitor, exhibits: Exhibits) -> None:
    page = visitor.page(javascript=False)
    page.goto("/")
    failed = page.get_by_role("region", name="Failed lately")
    expect(failed.locator(f"a[href='/runs/{exhibits.failing}']").first).to_be_visible()
    page.get_by_role("navigation", name="Sections").get_by_role("link", name="Runs").click()
    expect(page.locator(f"#run-{exhibits.flowers}").get_by_role("link", name="flowers", exact=True).first).to_be_visible()


def test_the_link_that_kfp_prints_leads_to_the_run(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/#/runs/details/{exhibits.flowers}")
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("flowers")
    assert signed_in.url.endswith(f"/runs/{exhibits.flowers}")


def test_what_is_not_there_is_said(visitor: Visitor, signed_in: Page) -> None:
    visitor.watch.expect_answer("/nowhere", 404)
    signed_in.goto("/nowhere")
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("Not found")
    expect(signed_in.get_by_role("alert")).to_contain_text("/nowhere")
    signed_in.get_by_role("link", name="To the beginning").click()
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("Home")


@pytest.mark.usefixtures("checker", "exhibits")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/runs", "/sign-in/wrong"], ids=["home", "runs", "sign in"])
def test_nothing_grave_is_in_the_way_of_anybody(visitor: Visitor, path: str, theme: Theme) -> None:
    page = visitor.page(theme=theme, signed_in=path != "/sign-in/wrong")
    if path == "/sign-in/wrong":
        visitor.watch.expect_answer(path, 401)
    page.goto(path)
    assert axe.grave_faults(page) == []


@pytest.mark.usefixtures("exhibits")
@pytest.mark.parametrize("path", ["/", "/runs"])
def test_a_page_is_light(visitor: Visitor, signed_in: Page, path: str) -> None:
    with weighed(signed_in) as weight:
        signed_in.goto(path, wait_until="load")
    assert 0 < weight.total <= MOST_BYTES, weight
    visitor.photograph(signed_in, path.strip("/") or "home")


def test_a_page_that_is_not_true_any_more_says_so(browser: Browser, session: StorageState, host: RunningHost) -> None:
    """Its host has gone, is started again, and what changed meanwhile is shown."""
    context = browser.new_context(base_url=host.host.http, storage_state=session)
    context.set_default_timeout(WAIT)
    try:
        page = context.new_page()
        page.route("**/runs/events", lambda route: route.abort("connectionrefused"))
        page.goto("/runs")
        away = page.get_by_text("The host does not answer")
        expect(away).to_be_visible()
        page.evaluate("document.getElementById('runs-list').replaceChildren()")
        page.unroute("**/runs/events")
        expect(away).to_have_count(0)
        expect(page.get_by_role("button", name="Compare")).to_be_visible()
    finally:
        context.close()


def test_a_page_of_a_session_that_is_over_leads_to_signing_in(browser: Browser, host: RunningHost) -> None:
    context = browser.new_context(base_url=host.host.http)
    context.set_default_timeout(WAIT)
    try:
        page = context.new_page()
        page.route("**/runs/events", lambda route: route.fulfill(status=401))
        page.goto(link(host))
        context.clear_cookies()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    finally:
        context.close()


def test_a_page_that_follows_something_leads_to_signing_in_when_its_session_signs_out_in_another_tab(
    browser: Browser, host: RunningHost
) -> None:
    context = browser.new_context(base_url=host.host.http)
    context.set_default_timeout(WAIT)
    try:
        follows, other = context.new_page(), context.new_page()
        other.goto(link(host))
        with follows.expect_response("**/runs/events"):
            follows.goto("/runs")
        other.get_by_role("button", name="Sign out").click()
        expect(follows.get_by_role("heading", level=1)).to_have_text("Sign in")
    finally:
        context.close()
