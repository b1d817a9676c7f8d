"""The page and the panel of a task, and its log, as people see them."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import axe
import exhibits as exhibited
import pytest
from exhibits import Exhibits
from go_programs import cache_folder
from playwright.sync_api import Page, Route, expect
from visiting import Visitor

from kedge.pipelines.compiler import compile_file
from kedge.testing.host import RunningHost

PANEL = {"X-Part": "panel"}
# Asks for the page until it says what the attempt used, for a minute.
TOLD = """async () => {
    for (let count = 0; count < 120; count++) {
        if ((await (await fetch(location.href)).text()).includes('Peak memory')) return true;
        await new Promise((done) => setTimeout(done, 500));
    }
    return false;
}"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where steps see what a test does: they have a /tmp of their own."""
    with tempfile.TemporaryDirectory(dir=cache_folder()) as made:
        yield Path(made)


def test_a_task_that_failed_says_why_first(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.failing}/tasks/exit-handler-1.divide")
    expect(signed_in.get_by_role("heading", level=1)).to_contain_text("divide failed")
    error = signed_in.get_by_role("group", name="Error")
    expect(error.locator("strong")).to_have_text("ZeroDivisionError: division by zero")
    expect(error).to_contain_text("the step's own doing · StepRaised · exit code 1")
    error.get_by_text("All of it").click()
    expect(error.locator("pre")).to_contain_text("in divide")
    expect(signed_in.get_by_role("region", name="Inputs").get_by_role("row", name="number 7 load")).to_be_visible()
    expect(signed_in.get_by_role("region", name="Log", exact=True)).to_contain_text("about to divide")


@pytest.mark.usefixtures("checker")
def test_a_step_shows_what_went_in_what_came_out_and_where_it_ran(visitor: Visitor, exhibits: Exhibits) -> None:
    page = visitor.page()
    page.goto(f"/runs/{exhibits.flowers}/tasks/train")
    inputs, outputs = page.get_by_role("region", name="Inputs"), page.get_by_role("region", name="Outputs")
    expect(inputs.get_by_role("row", name="rate 0.3")).to_be_visible()
    expect(inputs.get_by_role("link", name="table")).to_have_attribute("href", re.compile("^/artifacts/[0-9a-f-]{36}$"))
    expect(outputs.get_by_role("row", name="model")).to_contain_text("Model")
    attempts = page.get_by_role("region", name="Attempts").get_by_role("row")
    expect(attempts.nth(1)).to_contain_text("succeeded")
    expect(page.get_by_role("region", name="Environment")).to_contain_text("memory=512Mi")
    expect(page.get_by_role("region", name="Code")).to_contain_text("shown.py")
    expect(page.locator(".log-text")).to_contain_text("epoch 19")
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "task")


def test_the_panel_is_the_same_without_the_page_around_it(signed_in: Page, exhibits: Exhibits) -> None:
    address = f"/runs/{exhibits.flowers}/tasks/train"
    panel, page = signed_in.request.get(address, headers=PANEL).text(), signed_in.request.get(address).text()
    assert "<html" not in panel
    assert "<h1" not in panel
    assert "<html" in page
    assert all(
        f'id="task-{part}"' in panel for part in ("inputs", "outputs", "log", "attempts", "events", "cache", "environment")
    )


def test_what_came_from_the_cache_leads_to_the_step_that_ran(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.cached}/tasks/train")
    signed_in.get_by_role("link", name="The step that ran, with its log").click()
    expect(signed_in).to_have_url(f"/runs/{exhibits.flowers}/tasks/train")
    expect(signed_in.locator(".log-text")).to_contain_text("epoch 19")


@pytest.mark.usefixtures("exhibits")
def test_a_step_that_the_cache_did_not_know_says_what_differs(signed_in: Page, host: RunningHost) -> None:
    run = exhibited.ended(host, exhibited.start(host, "flowers", {"rows": 37}), "SUCCEEDED")
    signed_in.goto(f"/runs/{run}/tasks/measure")
    cache = signed_in.get_by_role("region", name="Cache")
    expect(cache).to_contain_text("miss The newest result of this component was made with another input rows.")
    expect(cache.get_by_role("row", name=re.compile(r"^input rows \d+ 37$"))).to_be_visible()
    cache.get_by_role("link", name="measure of run").click()
    expect(signed_in).not_to_have_url(re.compile(run))
    expect(signed_in.get_by_role("heading", level=1)).to_contain_text("Measure flowers")


def test_a_step_of_a_loop_and_the_loop_have_pages(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.flowers}/tasks/cross-validation.for-loop-1")
    expect(signed_in.get_by_text("loop, 3 iterations")).to_be_visible()
    signed_in.get_by_role("link", name="1", exact=True).click()
    signed_in.get_by_role("link", name="fold", exact=True).click()
    expect(signed_in.locator(".log-text")).to_contain_text("fold 2")


def test_a_log_is_text_whatever_it_says(visitor: Visitor, signed_in: Page, exhibits: Exhibits) -> None:
    visitor.watch.let_frames_try()  # what the step made is drawn in its own frame
    signed_in.goto(f"/runs/{exhibits.hostile}/tasks/attack")
    text = signed_in.locator(".log-text")
    expect(text).to_contain_text("<script>document.title = 'taken'")
    expect(text).to_contain_text("red javascript:document.title")
    expect(text.locator(".log-red")).to_have_text("red")
    assert text.locator("script, img, a").count() == 0
    expect(signed_in.get_by_role("heading", level=1)).to_contain_text("<b onmouseover=")
    assert "taken" not in signed_in.title().replace("document.title='taken'", "")


def test_the_end_of_a_log_can_be_read_without_javascript(visitor: Visitor, exhibits: Exhibits) -> None:
    page = visitor.page(javascript=False)
    page.goto(f"/runs/{exhibits.flowers}/tasks/train")
    expect(page.locator("pre.log-text")).to_contain_text("epoch 19")
    page.get_by_label("Times").check()
    page.get_by_role("button", name="Show").click()
    expect(page.locator("pre.log-text")).to_contain_text("Z epoch 19")


def test_a_log_is_searched_line_by_line(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.flowers}/tasks/train")
    expect(signed_in.locator(".log-text")).to_contain_text("epoch 19")
    find, count = signed_in.get_by_label("Find in the log"), signed_in.locator(".log-count")
    find.fill("EPOCH")
    expect(count).to_have_text("20 lines")
    find.press("Enter")
    expect(count).to_have_text("1 of 20")
    find.press("Shift+Enter")
    expect(count).to_have_text("20 of 20")
    expect(signed_in.locator(".log-now")).to_contain_text("epoch 19")
    find.fill("no such words")
    expect(count).to_have_text("not found")
    signed_in.get_by_label("Numbers").check()
    signed_in.get_by_label("Times").check()
    expect(signed_in.locator(".log-line").first).to_contain_text("Z epoch  0")


def test_what_is_looked_for_before_the_log_has_come_is_found_when_it_comes(signed_in: Page, exhibits: Exhibits) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    signed_in.route(re.compile(r"/log\?.*follow=yes"), hold)
    signed_in.goto(f"/runs/{exhibits.flowers}/tasks/train")
    while not held:
        signed_in.wait_for_timeout(20)
    find, count = signed_in.get_by_label("Find in the log"), signed_in.locator(".log-count")
    find.fill("EPOCH")
    find.press("Enter")
    expect(count).to_have_text("looking…")
    held.pop().continue_()
    expect(count).to_have_text("20 lines")


def test_of_a_long_log_the_end_is_shown_and_what_is_earlier_on_request(signed_in: Page, host: RunningHost) -> None:
    document = compile_file(exhibited.PIPELINES / "talkative.py")
    run = exhibited.ended(host, host.client.run(document, name="talkative")["run_id"], "SUCCEEDED")
    signed_in.goto(f"/runs/{run}/tasks/talk")
    lines, earlier = signed_in.locator(".log-line"), signed_in.get_by_role("button", name="Earlier lines")
    expect(lines).to_have_count(2000)
    expect(lines.first).to_have_text("line 501")
    expect(lines.last).to_have_text("100 %")
    assert signed_in.locator(".log-text").evaluate("(each) => each.scrollHeight - each.scrollTop - each.clientHeight") < 30
    earlier.click()
    expect(lines).to_have_count(2501)
    expect(lines.first).to_have_text("line 0")
    expect(earlier).to_be_hidden()


def test_a_log_is_downloaded_whole_as_a_file(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.flowers}/tasks/train")
    with signed_in.expect_download() as begun:
        signed_in.get_by_role("link", name="Download").click()
    assert begun.value.suggested_filename == f"{exhibits.flowers[:8]}-train.log"
    assert begun.value.path().read_text().count("epoch") == 20
    answer = signed_in.request.get(f"/runs/{exhibits.flowers}/tasks/train/log")
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_each_attempt_has_its_log(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.retrying}/tasks/stumble")
    signed_in.get_by_role("link", name="Log of attempt 0").click()
    expect(signed_in.locator(".log-text")).to_contain_text("not the first time")
    expect(signed_in.get_by_role("combobox", name="Attempt")).to_have_value("0")


def test_what_an_attempt_used_is_shown_some_seconds_after_its_end(visitor: Visitor, exhibits: Exhibits) -> None:
    page = visitor.page(policy=False)  # the test asks again by a script of its own
    page.goto(f"/runs/{exhibits.flowers}/tasks/train")
    assert page.evaluate(TOLD)
    page.reload()
    attempt = page.get_by_role("region", name="Attempts").get_by_role("row").nth(1)
    expect(attempt).to_contain_text(re.compile(r"\d m?s[\d.]+ MB"))


def test_a_running_step_is_followed_to_its_end(signed_in: Page, host: RunningHost, folder: Path) -> None:
    run = exhibited.start(host, "waiting", {"flag": str(folder / "go")})
    signed_in.goto(f"/runs/{run}/tasks/linger")
    text = signed_in.locator(".log-text")
    expect(text).to_have_text("waiting")
    expect(signed_in.locator("h1")).to_contain_text("running")
    (folder / "go").touch()
    expect(text).to_contain_text("going on")
    expect(signed_in.locator("h1")).to_contain_text("succeeded")
    exhibited.ended(host, run, "SUCCEEDED")


def test_the_panel_stays_true_while_the_run_goes_on(signed_in: Page, host: RunningHost, folder: Path) -> None:
    run = exhibited.start(host, "waiting", {"flag": str(folder / "panel")})
    signed_in.goto(f"/runs/{run}?task=linger")
    panel = signed_in.get_by_role("complementary", name="Task")
    expect(panel.get_by_role("heading", level=2)).to_contain_text("running")
    expect(panel.locator(".log-text")).to_have_text("waiting")
    panel.get_by_label("Find in the log").fill("going")
    (folder / "panel").touch()
    expect(panel.get_by_role("heading", level=2)).to_contain_text("succeeded")
    expect(panel.locator(".log-text")).to_contain_text("going on")
    expect(panel.get_by_label("Find in the log")).to_have_value("going")  # what the log's module draws is left alone
    exhibited.ended(host, run, "SUCCEEDED")


def test_a_task_runs_again_with_what_follows_it(signed_in: Page, host: RunningHost, folder: Path) -> None:
    flag = folder / "at-once"
    flag.touch()
    run = exhibited.ended(host, exhibited.start(host, "waiting", {"flag": str(flag)}), "SUCCEEDED")
    signed_in.goto(f"/runs/{run}/tasks/linger")
    signed_in.on("dialog", lambda dialog: dialog.accept())
    signed_in.get_by_role("button", name="Retry from here").click()
    expect(signed_in.get_by_role("status").first).to_contain_text("linger runs again")
    exhibited.ended(host, run, "SUCCEEDED")
    assert host.client.task(run, "linger")["attempt"] == 1
