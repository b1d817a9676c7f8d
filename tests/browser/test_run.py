"""The page of a run: what it says, what may be done there, and that it stays true while the run goes on."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import exhibits as exhibited
import pytest
from axe import grave_faults
from exhibits import Exhibits, start
from go_programs import cache_folder
from measuring import elements
from playwright.sync_api import Locator, Page, expect
from visiting import HEIGHT, NARROW, Visitor

from kedge.pipelines.compiler import compile_file
from kedge.testing.host import RunningHost


def test_a_run_is_read_without_javascript(visitor: Visitor, exhibits: Exhibits) -> None:
    page = visitor.page(javascript=False)
    page.goto(f"/runs/{exhibits.flowers}?view=tasks")
    expect(page.get_by_role("heading", level=1)).to_have_text("flowers")
    for name in ("Measure flowers", "[2] fold", "good enough if"):
        expect(page.get_by_role("row", name=name).first).to_be_visible()
    expect(page.get_by_text("0.92", exact=True)).to_be_visible()
    page.get_by_role("button", name="Fold folds").click()
    expect(page.get_by_role("row", name="[2] fold")).to_have_count(0)
    expect(page.get_by_role("row", name="folds loop")).to_contain_text("3 succeeded")
    page.get_by_role("link", name="Pipeline", exact=True).click()
    expect(page.get_by_label("The pipeline as YAML")).to_contain_text("componentRef")


def test_a_failed_run_says_why_in_one_line_and_leads_to_the_task(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.failing}?view=tasks")
    fault = signed_in.locator("p.fault")
    expect(fault).to_have_text("ZeroDivisionError: division by zero exit-handler-1.divide")
    expect(fault.get_by_role("link")).to_have_attribute("href", f"/runs/{exhibits.failing}/tasks/exit-handler-1.divide")


def test_a_run_is_had_as_a_file(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.failing}")
    with signed_in.expect_download() as found:
        signed_in.get_by_role("link", name="Export").click()
    assert found.value.path().read_bytes().startswith(b"\x1f\x8b")


def node(page: Page, path: str) -> Locator:
    return page.locator(f'[id="n-{path}"]')


def test_the_graph_shows_every_task_with_its_state_in_words(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.failing}")
    expect(signed_in.get_by_role("link", name="Graph")).to_have_attribute("aria-current", "page")
    failed = signed_in.get_by_role("link", name="divide failed")
    expect(failed).to_be_visible()
    expect(failed.locator("use")).to_have_attribute("href", "#s-FAILED")
    expect(signed_in.get_by_role("link", name=re.compile("^load .*succeeded"))).to_be_visible()


def test_a_loop_is_unfolded_and_folded_in_place(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.flowers}")
    signed_in.get_by_role("link", name="Unfold folds").click()
    expect(signed_in.get_by_role("link", name=re.compile("fold .*: succeeded"))).to_have_count(3)
    expect(signed_in).to_have_url(re.compile("open=cross-validation.for-loop-1"))
    signed_in.reload()
    expect(signed_in.get_by_role("link", name=re.compile("fold .*: succeeded"))).to_have_count(3)
    signed_in.get_by_role("link", name="Fold folds").click()
    expect(node(signed_in, "cross-validation.for-loop-1")).to_contain_text("3 succeeded")
    expect(signed_in.get_by_role("link", name=re.compile("fold .*: succeeded"))).to_have_count(0)


def test_folding_works_without_javascript(visitor: Visitor, exhibits: Exhibits) -> None:
    page = visitor.page(javascript=False)
    page.goto(f"/runs/{exhibits.flowers}")
    page.get_by_role("link", name="Unfold folds").click()
    expect(page.get_by_role("link", name=re.compile("fold .*: succeeded"))).to_have_count(3)
    page.get_by_role("link", name=re.compile("^train .*: succeeded")).click()
    expect(page).to_have_url(re.compile(f"/runs/{exhibits.flowers}/tasks/train$"))


def test_a_task_opens_beside_the_graph_and_escape_closes_it(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.flowers}")
    signed_in.get_by_role("link", name=re.compile("^train .*: succeeded")).click()
    panel = signed_in.locator("#panel")
    expect(panel.get_by_role("heading", name="train")).to_be_visible()
    expect(signed_in).to_have_url(re.compile("task=train"))
    signed_in.reload()
    expect(panel.get_by_role("heading", name="train")).to_be_visible()
    signed_in.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(signed_in).not_to_have_url(re.compile("task=train"))


def test_keys_lead_from_task_to_task_and_open_one(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.flowers}")
    node(signed_in, "measure").focus()
    signed_in.keyboard.press("ArrowDown")
    expect(node(signed_in, "train")).to_be_focused()
    before = signed_in.locator("svg.graph-drawing").get_attribute("viewBox") or ""
    signed_in.keyboard.press("+")
    expect(signed_in.locator("svg.graph-drawing")).not_to_have_attribute("viewBox", before)
    signed_in.keyboard.press("Enter")
    expect(signed_in.locator("#panel").get_by_role("heading", name="train")).to_be_visible()


@pytest.fixture
def flag() -> Iterator[Path]:
    """A file for which a step waits: not in /tmp, for steps have one of their own."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        yield Path(folder, "flag")


def test_the_graph_changes_while_the_run_goes_on_in_place(signed_in: Page, host: RunningHost, flag: Path) -> None:
    run = start(host, "waiting", {"flag": str(flag)}, called="to be watched")
    signed_in.goto(f"/runs/{run}")
    expect(signed_in.get_by_role("link", name=re.compile("^linger.*running"))).to_be_visible()
    flag.touch()
    expect(signed_in.get_by_role("link", name=re.compile("^finish .*: succeeded"))).to_be_visible()
    expect(node(signed_in, "linger")).to_have_class(re.compile("SUCCEEDED"))
    expect(signed_in.locator("#run-head .state")).to_have_text("succeeded")


def test_the_timeline_tells_waiting_and_running_apart(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.retrying}?view=timeline")
    row = signed_in.get_by_role("row", name="stumble")
    expect(row.locator("rect.running")).to_have_count(2)
    expect(row.locator("rect.waiting")).to_have_count(2)
    expect(row.locator("rect.running.FAILED")).to_have_count(1)
    signed_in.goto(f"/runs/{exhibits.cached}?view=timeline")
    expect(signed_in.get_by_role("row", name="train").locator("circle.cached")).to_have_count(1)


def test_the_time_of_a_timeline_is_made_wider_and_narrower(visitor: Visitor, exhibits: Exhibits) -> None:
    page, still = visitor.page(), visitor.page(javascript=False)
    page.goto(f"/runs/{exhibits.flowers}?view=timeline")
    table, wider = page.locator("table.gantt"), page.get_by_role("link", name="Wider")
    wider.click()
    expect(table).to_have_class(re.compile("zoom-2$"))
    wider.click()
    expect(table).to_have_class(re.compile("zoom-4$"))
    expect(page).to_have_url(re.compile("view=timeline&zoom=4$"))
    assert page.get_by_role("region", name="Timeline").evaluate("(each) => each.scrollLeft") > 0  # around the middle
    page.get_by_role("region", name="Timeline").press("-")
    expect(table).to_have_class(re.compile("zoom-2$"))
    page.get_by_role("button", name="Fold folds").click()
    expect(page.get_by_role("row", name="[2] fold")).to_have_count(0)
    expect(table).to_have_class(re.compile("zoom-2$"))
    still.goto(f"/runs/{exhibits.flowers}?view=timeline&zoom=32")
    still.get_by_role("link", name="Wider").click()
    expect(still.locator("table.gantt")).to_have_class(re.compile("zoom-64$"))
    page.goto(f"/runs/{exhibits.flowers}?view=timeline&zoom=32")
    wider.press("Enter")
    expect(table).to_have_class(re.compile("zoom-64$"))
    expect(wider).to_be_focused()  # at the end it is grey, and whoever uses keys goes on from there
    expect(wider).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("-")
    expect(table).to_have_class(re.compile("zoom-32$"))


def test_what_each_task_takes_is_read_in_the_list(visitor: Visitor, exhibits: Exhibits) -> None:
    page = visitor.page(javascript=False)
    page.goto(f"/runs/{exhibits.flowers}?view=tasks")
    expect(page.get_by_role("row", name="train").filter(has_text="table (Dataset) from measure")).to_be_visible()
    page.get_by_role("row", name="publish").get_by_role("link", name="train").click()
    expect(page).to_have_url(re.compile(f"/runs/{exhibits.flowers}/tasks/train$"))


MANY = """
from kedge import dsl

@dsl.component
def fails() -> int:
    raise SystemExit("nothing comes of it")

@dsl.component
def takes(number: int):
    print(number)

@dsl.pipeline
def many():
    number = fails()
    for _ in range(160):
        takes(number=number.output)
"""


def test_many_tasks_are_shown_with_less_than_three_thousand_elements(visitor: Visitor, host: RunningHost, tmp_path: Path) -> None:
    (tmp_path / "many.py").write_text(MANY)
    run = host.client.run(compile_file(tmp_path / "many.py"), name="many", cache=False)["run_id"]
    exhibited.ended(host, run, "FAILED")
    page = visitor.page()
    page.goto(f"/runs/{run}?view=tasks")
    expect(page.get_by_text("Page 1 of 2, 161 rows")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="from fails")).to_have_count(149)
    assert elements(page) < 3000
    page.set_viewport_size({"width": NARROW, "height": HEIGHT})
    notes = page.locator("td.said-of").evaluate_all("(found) => found.map((each) => each.getBoundingClientRect().width)")
    assert min(notes) > NARROW / 2, "a note is read in a few lines"


@pytest.mark.usefixtures("checker")
def test_the_page_of_a_run_has_no_grave_fault_and_fits_a_telephone(visitor: Visitor, exhibits: Exhibits) -> None:
    page = visitor.page()
    for view in ("graph", "timeline", "tasks", "spec"):
        page.goto(f"/runs/{exhibits.failing}?view={view}")
        assert grave_faults(page) == []
        visitor.photograph(page, f"run-{view}")
