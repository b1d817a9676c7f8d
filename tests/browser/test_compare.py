"""Runs beside each other: what differs, what is best, and what is drawn of them."""

from urllib.parse import urlencode

import axe
import pytest
from exhibits import Exhibits, ended, start
from playwright.sync_api import Page, expect
from visiting import Visitor

from kedge.testing.host import RunningHost


@pytest.fixture(scope="module")
def address(host: RunningHost, exhibits: Exhibits) -> str:
    """Compares three runs of one pipeline, of which the second learned fastest, and one that failed."""
    runs = [start(host, "flowers", {"rate": rate}, called=f"rate {rate}") for rate in (0.1, 0.8)]
    runs = [ended(host, run, "SUCCEEDED") for run in runs]
    return f"/compare?{urlencode({'run': [exhibits.flowers, *runs, exhibits.failing]}, doseq=True)}"


def test_what_differs_and_what_is_best_is_read_without_javascript(visitor: Visitor, address: str) -> None:
    page = visitor.page(javascript=False)
    page.goto(address)
    rate = page.get_by_role("row", name="rate", exact=False).filter(has=page.get_by_role("rowheader", name="rate", exact=True))
    expect(rate).to_have_class("differs")
    expect(rate.get_by_role("cell")).to_have_text(["0.3", "0.1", "0.8", "\u2013"])
    loss = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="loss train · curve"))
    expect(loss.get_by_role("cell").nth(2)).to_contain_text("lowest")
    expect(loss.locator(".best")).to_have_count(1)
    expect(page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="tell", exact=True)).first).to_contain_text(
        "succeeded"
    )
    matrix = page.get_by_role("table", name="rate 0.1")
    expect(matrix.get_by_role("row", name="versicolor 0 47 3")).to_be_visible()


def test_only_what_differs_is_shown_where_that_is_asked_for(signed_in: Page, host: RunningHost, exhibits: Exhibits) -> None:
    signed_in.goto(f"/compare?run={exhibits.flowers}&run={exhibits.cached}")
    table = signed_in.get_by_role("region", name="What the runs have in common")
    expect(table.get_by_role("rowheader", name="accuracy evaluate · quality")).to_be_visible()
    signed_in.get_by_role("link", name="Only what differs").click()
    expect(table.get_by_role("rowheader", name="from the cache")).to_be_visible()
    expect(table.get_by_role("rowheader", name="accuracy evaluate · quality")).to_have_count(0)
    signed_in.get_by_role("link", name="Show all").click()
    expect(table.get_by_role("rowheader", name="accuracy evaluate · quality")).to_be_visible()


def test_series_and_curves_of_all_runs_are_drawn_over_each_other(signed_in: Page, address: str) -> None:
    signed_in.goto(address)
    for name in ("train · loss of 3 runs", "ROC curves of evaluate · classes"):
        place = signed_in.locator(f'[data-label="{name}"]')
        place.scroll_into_view_if_needed()
        expect(place.get_by_role("img", name=name).locator(".scatterlayer path.js-line")).to_have_count(3)


def test_a_runs_line_stands_out_when_its_name_has_the_focus(signed_in: Page, address: str) -> None:
    signed_in.goto(address)
    lines = signed_in.locator("svg.parallel g.run")
    expect(lines).to_have_count(4)
    signed_in.get_by_role("list", name="Lines").get_by_role("link", name="rate 0.8").focus()
    expect(signed_in.locator("svg.parallel g.run.on")).to_have_attribute("data-run", "2")


def test_runs_are_chosen_for_comparing_in_their_list(signed_in: Page, address: str) -> None:
    assert address
    signed_in.goto("/runs?name=rate")
    signed_in.get_by_role("button", name="Compare").click()
    expect(signed_in.get_by_role("status")).to_have_text("No run was chosen. Tick some first.")
    signed_in.get_by_label("Choose rate 0.1").check()
    signed_in.get_by_label("Choose rate 0.8").check()
    signed_in.get_by_role("button", name="Compare").click()
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("Compare 2 runs")


@pytest.mark.usefixtures("checker")
def test_nothing_is_in_anybodys_way(signed_in: Page, address: str) -> None:
    signed_in.goto(address)
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("Compare 4 runs")
    assert not axe.grave_faults(signed_in)
