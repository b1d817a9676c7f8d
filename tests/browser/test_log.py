"""The log of a step under the hand: what is long stays quick, what is looked for is found, and what is no text is shown."""

import re

import exhibits as exhibited
import pytest
from axe import grave_faults
from exhibits import Exhibits
from playwright.sync_api import Page, expect
from visiting import Visitor

from kedge.pipelines.compiler import compile_file
from kedge.testing.host import RunningHost

LINES = 200_000
pytestmark = pytest.mark.timeout(600)  # a busy machine may take a minute for each of several steps


@pytest.fixture(scope="module")
def long(host: RunningHost) -> str:
    """A run of a step that writes 200,000 lines, and then odd ones."""
    document = compile_file(exhibited.PIPELINES / "voluble.py")
    begun = host.client.run(document, parameters={"count": LINES}, name="voluble")
    return exhibited.ended(host, begun["run_id"], "SUCCEEDED")


def test_two_hundred_thousand_lines_are_read_searched_and_left_with_few_elements(signed_in: Page, long: str) -> None:
    signed_in.goto(f"/runs/{long}/tasks/talk-much")
    lines, earlier = signed_in.locator(".log-line"), signed_in.get_by_role("button", name="Earlier lines")
    find, count = signed_in.get_by_label("Find in the log"), signed_in.locator(".log-count")
    expect(lines.last).to_have_text("the end")
    for asked in (8_000, 32_000, 128_000, LINES):
        earlier.click()
        expect(signed_in.locator("kedge-log")).to_have_js_property("lines", asked)
        expect(lines.last).to_have_text("the end")
    expect(signed_in.locator(".log-text")).to_have_js_property("parentElement.shown", LINES)
    assert lines.count() < 4_000
    find.fill("line 1234")
    expect(count).to_have_text("111 lines")  # itself, and those with one or two figures more
    find.press("Enter")
    expect(signed_in.locator(".log-now")).to_have_text(re.compile("^line 1234"))
    expect(signed_in.locator(".log-now")).to_be_in_viewport()
    find.press("Enter")
    expect(count).to_have_text("2 of 111")
    signed_in.get_by_label("Regular expression").check()
    find.fill(r"^line \d0000$")
    expect(count).to_have_text("9 lines")
    find.press("Shift+Enter")
    expect(signed_in.locator(".log-now")).to_have_text("line 90000")
    find.fill("(")
    expect(count).to_have_text("no regular expression")


def test_a_regular_expression_that_takes_years_stops_nothing(signed_in: Page, long: str) -> None:
    signed_in.goto(f"/runs/{long}/tasks/talk-much")
    find, count = signed_in.get_by_label("Find in the log"), signed_in.locator(".log-count")
    expect(signed_in.locator(".log-line").last).to_have_text("the end")
    signed_in.get_by_label("Regular expression").check()
    find.fill(r"^(([a-z0-9 ])+.?)+Q$")
    expect(count).to_have_text("takes too long")
    find.fill("^the end$")
    expect(count).to_have_text("1 line")


@pytest.mark.usefixtures("checker")
def test_colours_long_lines_and_bytes_that_are_no_text_are_shown_as_well_as_can_be(visitor: Visitor, long: str) -> None:
    page = visitor.page()
    page.goto(f"/runs/{long}/tasks/talk-much")
    text = page.locator(".log-text")
    expect(text.locator(".log-line").last).to_have_text("the end")
    expect(text.locator(".log-green.log-bold")).to_have_text("bold and green")
    expect(text).to_contain_text("no text: ��")
    expect(text).to_contain_text("… and 10005 characters more: download it to read them")
    expect(text).to_contain_text("<img src=x onerror=alert(1)>")
    assert text.locator("img").count() == 0
    page.get_by_label("Wrap").check()
    expect(text).to_have_css("white-space", "pre-wrap")
    page.get_by_label("Wrap").uncheck()
    page.get_by_label("Times").check()
    expect(text.locator(".log-line").last).to_have_text(re.compile(r"Z the end\s*$"))
    assert grave_faults(page) == []


def test_a_step_that_did_not_run_says_why(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.flowers}")
    signed_in.get_by_role("link", name=re.compile("^regret")).click()
    panel = signed_in.locator("#panel")
    expect(panel.get_by_role("heading", name="regret")).to_contain_text("skipped")
    expect(panel).to_contain_text("It did not run: it is in condition-4, which was skipped")
    signed_in.goto(f"/runs/{exhibits.flowers}/tasks/condition-branches-3.condition-4.regret")
    expect(signed_in.get_by_role("heading", level=1)).to_contain_text("regret")
    signed_in.goto(f"/runs/{exhibits.cached}/tasks/train")
    expect(signed_in.get_by_role("region", name="Log", exact=True)).to_contain_text("its results are those of a step before")
