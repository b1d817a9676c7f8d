"""Artifacts are drawn where they are met: in a task's panel, on its page, and on the page of a run."""

import base64
import io
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import axe
import exhibits as exhibited
import pytest
from arro3.core import Array, DataType, RecordBatch
from arro3.io import write_parquet
from exhibits import Exhibits
from go_programs import cache_folder
from measuring import weighed
from playwright.sync_api import Locator, Page, Route, expect
from plotly.graph_objects import Figure, Scatter
from visiting import WIDE, Visitor

from kedge.pipelines.compiler import compile_file
from kedge.testing.host import RunningHost

MOST_BYTES = 300_000  # of a page with all that it loads, without Plotly
PIPELINE = exhibited.PIPELINES / "drawn.py"
MADE = {
    "measure": ("facts", "table"),
    "train": ("curve", "model"),
    "exit-handler-1.evaluate": ("quality", "classes"),
    "exit-handler-1.picture": ("image",),
    "exit-handler-1.write": ("page", "card"),
}

ROWS = {
    "facts": "columns 4",
    "quality": "accuracy 0.96",
    "table": "setosa 1.4 0.2 a, b",
    "curve": "accuracy 0.97",
    "classes": "virginica 0 4 46",
}
CURVES = ("curve", "classes")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where steps see what a test does: they have a /tmp of their own."""
    with tempfile.TemporaryDirectory(dir=cache_folder()) as made:
        yield Path(made)


def parquet() -> str:
    """A Parquet file of a hundred rows, as it travels in a parameter."""
    numbers = Array(list(range(100)), DataType.int64())
    words = Array([f"<b>{number}</b>" for number in range(100)], DataType.utf8())
    file = io.BytesIO()
    write_parquet(RecordBatch.from_arrays([numbers, words], names=["number", "word"]), file, compression="zstd(3)")
    return base64.b64encode(file.getvalue()).decode()


def begun(host: RunningHost, flag: Path) -> str:
    """Start a run that goes on when there is a file."""
    arguments = {"flag": str(flag), "parquet": parquet()}
    return host.client.run(compile_file(PIPELINE, pipeline_name="drawn"), parameters=arguments, name="drawn")["run_id"]


@pytest.fixture(scope="module")
def drawn(host: RunningHost, folder: Path) -> str:
    """A run that is over, and one of whose artifacts has lost its bytes."""
    flag = folder / "at-once"
    flag.touch()
    run = host.client.run(
        compile_file(PIPELINE, pipeline_name="drawn"), parameters={"flag": str(flag), "parquet": parquet()}, name="drawn"
    )["run_id"]
    exhibited.ended(host, run, "SUCCEEDED")
    gone = next(each["uri"] for each in host.client.artifacts(run) if each["name"] == "gone")
    Path(urlsplit(gone).path).unlink()
    return run


def tall(page: Page) -> Page:
    """A page whose window is so high that all of it is in sight: what is not is not asked for."""
    page.set_viewport_size({"width": WIDE, "height": 6000})
    return page


def shown(within: Page | Locator, name: str) -> Locator:
    """The place of an artifact."""
    return within.locator(f"details.shown:has(> summary b:text-is('{name}'))").last  # outputs stand below inputs


def hold_drawn(within: Page | Locator, name: str) -> None:
    """Hold that an artifact of the run `flowers` shows what it is."""
    place = shown(within, name)
    place.scroll_into_view_if_needed()
    if name in ROWS:
        expect(place.get_by_role("row", name=ROWS[name])).to_be_visible()
    if name in CURVES:
        place.locator(".plot").first.scroll_into_view_if_needed()
        expect(place.locator(".plot").first.locator(".js-line").first).to_be_visible()
    if name == "image":
        expect(place.get_by_role("img", name="image")).to_have_js_property("naturalWidth", 64)
    if name == "card":
        expect(place.get_by_role("heading", name="Flowers")).to_be_visible()
    if name == "page":
        expect(place.frame_locator("iframe").get_by_role("heading", name="Flowers")).to_be_visible()
    if name == "model":
        expect(place.get_by_text("layers/1.bin")).to_be_hidden()
        place.locator("summary").first.press("Enter")
        expect(place.get_by_role("link", name="layers/1.bin", exact=True)).to_be_visible()


@pytest.mark.usefixtures("checker")
def test_every_kind_is_drawn_on_the_page_of_the_run_that_made_it(visitor: Visitor, exhibits: Exhibits) -> None:
    page = tall(visitor.page())
    with weighed(page) as weight:
        page.goto(f"/runs/{exhibits.flowers}")
        page.get_by_role("link", name="Artifacts", exact=True).last.click()
        for name in (name for names in MADE.values() for name in names):
            hold_drawn(page, name)
    assert 0 < weight.total <= 2 * MOST_BYTES, weight  # two pages, one after another
    expect(page.get_by_text("9 artifacts in all")).to_be_visible()
    expect(page.get_by_role("region", name="exit-handler-1.evaluate").locator("details.shown")).to_have_count(2)
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "in-place")


@pytest.mark.usefixtures("checker")
@pytest.mark.parametrize("task", MADE)
def test_every_kind_is_drawn_in_the_panel_of_the_task_that_made_it(visitor: Visitor, exhibits: Exhibits, task: str) -> None:
    page = tall(visitor.page())
    page.goto(f"/runs/{exhibits.flowers}?task={task}")
    outputs = page.get_by_role("complementary", name="Task").get_by_role("region", name="Outputs")
    for name in MADE[task]:
        hold_drawn(outputs, name)
    assert axe.grave_faults(page) == []


def test_what_is_folded_is_asked_for_when_it_is_unfolded(signed_in: Page, exhibits: Exhibits) -> None:
    asked: list[str] = []
    signed_in.on("request", lambda request: asked.append(request.url) if request.url.endswith("/preview") else None)
    signed_in.goto(f"/runs/{exhibits.flowers}/tasks/train")
    hold_drawn(signed_in.get_by_role("region", name="Outputs"), "curve")
    assert len(asked) == 1
    hold_drawn(signed_in.get_by_role("region", name="Outputs"), "model")
    assert len(asked) == 2
    given = shown(signed_in.get_by_role("region", name="Inputs"), "table")
    given.locator("summary").first.click()
    expect(given.get_by_role("row", name="setosa 1.4 0.2 a, b")).to_be_visible()


def test_without_scripts_links_lead_to_what_would_be_drawn(visitor: Visitor, exhibits: Exhibits) -> None:
    page = visitor.page(javascript=False)
    page.goto(f"/runs/{exhibits.flowers}?view=artifacts")
    page.get_by_role("link", name="See what table shows").click()
    expect(page.get_by_role("row", name="setosa 1.4 0.2 a, b")).to_be_visible()


@pytest.mark.usefixtures("checker")
def test_slices_are_drawn_one_below_another(visitor: Visitor, drawn: str) -> None:
    page = tall(visitor.page())
    page.goto(f"/runs/{drawn}?view=artifacts")
    place = shown(page, "classes")
    expect(place.get_by_role("heading")).to_have_text(["north", "south"])
    expect(place.get_by_role("row", name="cat 40 10")).to_be_visible()
    expect(place.get_by_role("row", name="cat 30 20")).to_be_visible()
    for plot in place.locator(".plot").all():
        plot.scroll_into_view_if_needed()
        expect(plot.locator(".js-line").first).to_be_visible()
    visitor.photograph(page, "slices")


def test_the_first_rows_of_a_parquet_file_have_the_types_of_their_columns(signed_in: Page, drawn: str) -> None:
    tall(signed_in).goto(f"/runs/{drawn}/tasks/judge")
    place = shown(signed_in, "rows")
    place.scroll_into_view_if_needed()
    expect(place.get_by_role("columnheader")).to_have_text(["numberint64", "wordstring"])
    expect(place.get_by_role("row", name="7 <b>7</b>")).to_be_visible()
    expect(place.get_by_role("row")).to_have_count(51)
    expect(place.get_by_text("The first rows of it.")).to_be_visible()


@pytest.fixture(scope="module")
def reports(host: RunningHost, folder: Path) -> str:
    """A run whose step wrote a page as Plotly makes them, with all that it needs."""
    figure = Figure(Scatter(x=[1, 2, 3], y=[3, 1, 2], name="measured", showlegend=True))
    figure.write_html(folder / "plotly.html", full_html=True, include_plotlyjs=True)
    run = host.client.run(compile_file(PIPELINE, pipeline_name="reports"), parameters={"folder": str(folder)}, name="reports")
    return exhibited.ended(host, run["run_id"], "SUCCEEDED")


def test_a_report_of_plotly_works_in_its_frame_in_nobodys_origin(signed_in: Page, reports: str) -> None:
    tall(signed_in).goto(f"/runs/{reports}/tasks/report")
    inner = shown(signed_in, "page").frame_locator("iframe")
    expect(inner.locator(".scatterlayer .js-line")).to_be_visible()
    inner.locator(".legendtoggle").click()
    expect(inner.locator(".legend .traces")).to_have_css("opacity", "0.5")
    assert inner.locator("body").evaluate("() => self.origin") == "null"
    expect(shown(signed_in, "page").get_by_text("It wants scripts")).to_have_count(0)


def test_what_cannot_be_shown_says_why_in_its_place(signed_in: Page, drawn: str) -> None:
    tall(signed_in).goto(f"/runs/{drawn}?view=artifacts")
    place = shown(signed_in, "gone")
    expect(place.locator(".fault")).to_contain_text("gone")
    expect(shown(signed_in, "facts").get_by_role("row", name="first 1")).to_be_visible()


def test_what_did_not_come_is_asked_for_again(visitor: Visitor, signed_in: Page, drawn: str) -> None:
    def refused(route: Route) -> None:
        visitor.watch.expect_answer(route.request.url.removeprefix(visitor.host), 503)
        route.fulfill(status=503, json={"message": "the database is locked. Try again in a moment."})

    signed_in.route("**/preview", refused)
    tall(signed_in).goto(f"/runs/{drawn}/tasks/judge")
    place = shown(signed_in, "facts")
    expect(place.get_by_role("alert")).to_contain_text("This cannot be shown: the database is locked.")
    expect(place.get_by_role("link", name="See what facts shows")).to_be_visible()
    signed_in.unroute("**/preview")
    place.get_by_role("button", name="Try again").press("Enter")
    expect(place.get_by_role("row", name="first 1")).to_be_visible()
    expect(place.get_by_role("alert")).to_have_count(0)


def test_what_is_drawn_and_folded_stays_so_while_the_run_goes_on(signed_in: Page, host: RunningHost, folder: Path) -> None:
    flag = folder / "go"
    run = host.client.run(
        compile_file(PIPELINE, pipeline_name="drawn"), parameters={"flag": str(flag), "parquet": parquet()}, name="drawn"
    )["run_id"]
    tall(signed_in).goto(f"/runs/{run}?view=artifacts")
    facts, classes = shown(signed_in, "facts"), shown(signed_in, "classes")
    expect(facts.get_by_role("row", name="first 1")).to_be_visible()
    facts.get_by_role("table").evaluate("(each) => { each.same = true; }")
    classes.locator("summary").first.click()
    flag.touch()
    expect(shown(signed_in, "card").get_by_role("heading", name="What came later")).to_be_visible()
    assert facts.get_by_role("table").evaluate("(each) => each.same") is True
    expect(classes).not_to_have_attribute("open", re.compile(".*"))
    exhibited.ended(host, run, "SUCCEEDED")


def test_addresses_digests_and_keys_are_copied_by_pointer_and_key(signed_in: Page, exhibits: Exhibits, host: RunningHost) -> None:
    signed_in.context.grant_permissions(["clipboard-read", "clipboard-write"])
    table = next(each for each in host.client.artifacts(exhibits.flowers) if each["name"] == "table")
    signed_in.goto(f"/artifacts/{table['artifact_id']}")
    told = signed_in.locator("#copy-told")  # the button itself says it for a moment only
    for what, text in (("address", table["uri"]), ("digest", table["digest"]), ("id", table["artifact_id"])):
        signed_in.get_by_role("button", name=f"Copy the {what}", exact=True).press("Enter")
        expect(told).to_have_text(f"Copied the {what}")
        assert signed_in.evaluate("() => navigator.clipboard.readText()") == text
    signed_in.goto(f"/runs/{exhibits.flowers}/tasks/train")
    signed_in.get_by_role("button", name="Copy the cache key").click()
    expect(told).to_have_text("Copied the cache key")
    key = host.client.task(exhibits.flowers, "train")["cache_fingerprint"]
    assert signed_in.evaluate("() => navigator.clipboard.readText()") == key


def test_it_is_copied_too_where_the_browser_keeps_the_clipboard_from_pages(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    signed_in.goto(f"/runs/{exhibits.flowers}")
    button = signed_in.get_by_role("button", name="Copy the run's id")
    button.click()
    expect(signed_in.locator("#copy-told")).to_have_text("Copied the run's id")
    expect(button).to_be_focused()
