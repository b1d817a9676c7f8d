"""The graph of a run under the hand: what is looked at stays in sight, the address says what is shown, fingers move it."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from axe import grave_faults
from exhibits import Exhibits
from playwright.sync_api import Locator, Page, expect
from visiting import Visitor

FOLD = "cross-validation.for-loop-1.1.fold"
pytestmark = pytest.mark.timeout(600)  # a busy machine may take a minute for each of several steps


def node(page: Page, path: str) -> Locator:
    return page.locator(f'[id="n-{path}"]')


def chosen(page: Page, path: str) -> None:
    """Hold that a task is marked, and is in the window of the graph as a whole."""
    expect(node(page, path)).to_have_class(re.compile("chosen"))
    expect(node(page, path)).to_be_in_viewport(ratio=0.99)


def test_a_task_that_is_opened_stays_in_sight_beside_its_panel(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.flowers}")
    signed_in.get_by_role("link", name=re.compile("^publish")).click()
    expect(signed_in.locator("#panel").get_by_role("heading", name="publish")).to_be_visible()
    chosen(signed_in, "condition-branches-3.condition-2.publish")
    close = signed_in.get_by_role("button", name="Close")
    lines = close.bounding_box(), signed_in.locator("#panel").get_by_role("heading", name="publish").bounding_box()
    assert lines[0] is not None
    assert lines[1] is not None
    assert abs(lines[0]["y"] - lines[1]["y"]) < lines[0]["height"], "a line of its own"
    close.click()
    expect(signed_in.locator("#panel")).to_be_hidden()
    expect(signed_in.locator(".chosen")).to_have_count(0)


def test_an_address_with_a_task_opens_what_it_is_in_and_shows_it(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.flowers}?task={FOLD}")
    expect(signed_in.locator("#panel").get_by_role("heading", name=re.compile("^fold"))).to_be_visible()
    chosen(signed_in, FOLD)
    node(signed_in, "cross-validation.for-loop-1").locator("a").first.focus()
    signed_in.keyboard.press("Space")
    expect(node(signed_in, FOLD)).to_have_count(0)
    expect(node(signed_in, "cross-validation.for-loop-1")).to_have_class(re.compile("chosen"))  # what it is in
    signed_in.reload()
    expect(node(signed_in, "cross-validation.for-loop-1")).to_have_class(re.compile("chosen"))  # somebody has folded it


def test_back_leads_to_what_was_shown_before(signed_in: Page, exhibits: Exhibits) -> None:
    panel = signed_in.locator("#panel")
    signed_in.goto(f"/runs/{exhibits.flowers}")
    signed_in.get_by_role("link", name=re.compile("^train .*: succeeded")).click()
    expect(panel.get_by_role("heading", name="train")).to_be_visible()
    signed_in.get_by_role("link", name=re.compile("^Measure flowers .*: succeeded")).click()
    expect(panel.get_by_role("heading", name="Measure flowers")).to_be_visible()
    signed_in.get_by_role("link", name="Fold always tell").click()
    expect(node(signed_in, "exit-handler-1.evaluate")).to_have_count(0)
    signed_in.go_back()
    expect(node(signed_in, "exit-handler-1.evaluate")).to_have_count(1)
    chosen(signed_in, "measure")
    signed_in.go_back()
    expect(panel.get_by_role("heading", name="train")).to_be_visible()
    chosen(signed_in, "train")
    signed_in.go_back()
    expect(panel).to_be_hidden()
    signed_in.go_forward()
    expect(panel.get_by_role("heading", name="train")).to_be_visible()


@pytest.mark.usefixtures("checker")
def test_an_edge_says_what_goes_along_it(visitor: Visitor, exhibits: Exhibits) -> None:
    page = visitor.page()
    page.goto(f"/runs/{exhibits.flowers}")
    said = page.locator(".graph-said")
    edge = page.get_by_role("img", name="Measure flowers → train: table (Dataset)")
    expect(page.locator(".graph-bar")).to_be_visible()
    edge.hover(force=True)
    expect(said).to_have_text("Measure flowers → train: table (Dataset)")
    expect(edge).to_have_class(re.compile("lit"))
    page.mouse.move(5, 5)
    expect(said).to_have_text("")
    node(page, "train").focus()
    expect(said).to_contain_text("train → always tell: Output (number), model (Model)")
    expect(page.locator(".wire.lit")).to_have_count(3)
    page.get_by_role("link", name=re.compile("^train .*: succeeded")).click()
    expect(page.locator("#panel").get_by_role("heading", name="train")).to_be_visible()
    chosen(page, "train")
    assert grave_faults(page) == []
    visitor.photograph(page, "graph-with-a-task")


def test_a_box_is_called_by_its_whole_name_where_less_of_it_is_seen(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.flowers}")
    drawing = signed_in.locator(".graph-drawing")
    expect(drawing.get_by_text(re.compile("^good.*…$"))).to_be_visible()
    expect(drawing.get_by_role("link", name=re.compile("^good enough, good.*… 1 succeeded$"))).to_have_count(1)


def test_an_input_in_the_panel_leads_to_the_task_that_made_it(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.flowers}?task=exit-handler-1.evaluate")
    inputs = signed_in.locator("#panel").get_by_role("region", name="Inputs")
    expect(inputs.get_by_role("row", name="train model")).to_be_visible()
    inputs.get_by_role("link", name="train").click()
    expect(signed_in.locator("#panel").get_by_role("heading", name="train")).to_be_visible()
    chosen(signed_in, "train")


def fingers(page: Page, *steps: Sequence[tuple[float, float]]) -> None:
    """Touch, move and leave: the places of all fingers, one step after another."""
    session = page.context.new_cdp_session(page)

    def send(kind: str, points: Sequence[tuple[float, float]]) -> None:
        touches: list[dict[str, Any]] = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    send("touchStart", steps[0])
    for step in steps[1:]:
        send("touchMove", step)
    send("touchEnd", [])
    session.detach()


def view(page: Page) -> list[float]:
    """Left, top, width and height of what is seen of the graph."""
    return [float(each) for each in (page.locator("svg.graph-drawing").get_attribute("viewBox") or "").split()]


def test_fingers_move_and_enlarge_the_graph_and_the_page_goes_on_at_its_edge(visitor: Visitor, exhibits: Exhibits) -> None:
    page = visitor.page(width=400)
    page.goto(f"/runs/{exhibits.flowers}")
    box = page.locator(".graph-window")
    expect(box).to_have_class(re.compile("moves"))
    box.scroll_into_view_if_needed()
    frame = box.bounding_box()
    assert frame is not None
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    left = view(page)[0]
    fingers(page, [(x, y)], [(x - 40, y)], [(x - 80, y)])
    while view(page)[0] <= left:  # it is drawn with the next frame; the test has its own time limit
        page.wait_for_timeout(20)
    width = view(page)[2]
    fingers(page, [(x - 20, y), (x + 20, y)], [(x - 60, y), (x + 60, y)], [(x - 100, y), (x + 100, y)])
    while view(page)[2] >= width / 2:
        page.wait_for_timeout(20)
    assert page.locator("#panel").is_hidden()
    page.evaluate("scrollTo(0, 0)")
    for _ in range(12):
        top = box.bounding_box()
        assert top is not None
        low = top["y"] + 300
        fingers(page, [(x, low)], [(x, low - 140)], [(x, low - 280)])
    expect(page.locator("html")).not_to_have_js_property("scrollTop", 0)  # the graph's lower edge was reached


def test_a_wheel_moves_the_page_where_the_graph_is_whole(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.retrying}")
    box = signed_in.locator(".graph-window")
    expect(box).to_have_class(re.compile("moves"))
    signed_in.set_viewport_size({"width": 1280, "height": 420})
    box.hover(position={"x": 20, "y": 20})
    signed_in.mouse.wheel(0, 150)
    expect(signed_in.locator("html")).not_to_have_js_property("scrollTop", 0)
