"""Plots are drawn under the pages' own policy, by a file that comes with Kedge, in the colours of the theme."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from visiting import Visitor

LINES: list[dict[str, Any]] = [
    {"type": "scatter", "mode": "lines+markers", "name": "loss", "x": [0, 1, 2, 3], "y": [1, 0.6, 0.4, 0.3]},
    {"type": "scatter", "mode": "lines", "name": "accuracy", "x": [0, 1, 2, 3], "y": [0.4, 0.6, 0.8, 0.9]},
]
KINDS: dict[str, list[dict[str, Any]]] = {
    "lines": LINES,
    "bars": [{"type": "bar", "x": ["a", "b"], "y": [1, 2]}],
    "histogram": [{"type": "histogram", "x": [1, 2, 2, 3]}],
    "heatmap": [{"type": "heatmap", "x": ["a", "b"], "y": ["a", "b"], "z": [[5, 1], [2, 7]], "texttemplate": "%{z}"}],
}
MARKS = {
    "lines": ".cartesianlayer path.js-line",
    "bars": ".cartesianlayer .bars path",
    "histogram": ".cartesianlayer .bars path",
    "heatmap": "image",
}
PUT = """async ({plot, label}) => {
    const place = document.querySelector('.plot') ?? Object.assign(document.createElement('div'), {className: 'plot'});
    Object.assign(place.dataset, {plot, label, own: ''});
    if (!place.isConnected) {
        place.innerHTML = '<table><tr><td>1</td></tr></table>';
        document.querySelector('main').replaceChildren(place);
    }
    const {begin} = await import(document.querySelector('script[src$="app.js"]').src.replace('app.js', 'plots.js'));
    begin();
}"""


def put(page: Page, data: list[dict[str, Any]]) -> None:
    """Have the page show a plot, as the macro of templates does, or the plot that is there something else."""
    plot = json.dumps({"data": data, "layout": {"xaxis": {"title": {"text": "epoch"}}}})
    page.evaluate(PUT, {"plot": plot, "label": "A plot"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_plot_is_drawn_without_anything_that_the_policy_forbids(visitor: Visitor, signed_in: Page, kind: str) -> None:
    signed_in.goto("/")
    put(signed_in, KINDS[kind])
    drawn = signed_in.get_by_role("img", name="A plot")
    expect(drawn.locator(MARKS[kind]).first).to_be_visible()
    expect(drawn.get_by_text("epoch")).to_be_visible()
    expect(drawn.locator("table")).to_have_count(0)
    if kind in {"lines", "heatmap"}:
        visitor.photograph(signed_in, kind)


def test_a_plot_has_the_colours_of_the_theme_and_follows_it(signed_in: Page) -> None:
    signed_in.goto("/")
    put(signed_in, LINES)
    label = signed_in.get_by_text("epoch")
    expect(label).to_have_css("fill", "rgb(28, 33, 39)")
    signed_in.emulate_media(color_scheme="dark")
    expect(label).to_have_css("fill", "rgb(230, 234, 238)")


def test_a_plot_shows_what_has_changed(signed_in: Page) -> None:
    signed_in.goto("/")
    put(signed_in, LINES)
    expect(signed_in.locator(MARKS["lines"])).to_have_count(2)
    put(signed_in, KINDS["bars"])
    expect(signed_in.locator(MARKS["bars"])).to_have_count(2)
    expect(signed_in.locator(MARKS["lines"])).to_have_count(0)


def test_without_its_file_a_page_says_what_is_missing_and_how_to_get_it(visitor: Visitor, signed_in: Page) -> None:
    def missing(route: Route) -> None:
        visitor.watch.expect_answer(route.request.url.removeprefix(visitor.host), 404)
        route.fulfill(status=404)

    signed_in.route("**/plotly.min.js", missing)
    signed_in.goto("/")
    put(signed_in, LINES)
    expect(signed_in.get_by_role("alert")).to_contain_text("this installation of Kedge has no plotly.min.js")
    expect(signed_in.get_by_role("alert")).to_contain_text("make setup")
