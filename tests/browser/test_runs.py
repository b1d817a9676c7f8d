"""The list of runs: what is chosen and sorted, one page after another, several at once, and that it stays true."""

from pathlib import Path

import axe
import pytest
from exhibits import Exhibits, ended, start
from playwright.sync_api import Locator, Page, expect
from visiting import Visitor

from kedge.testing.host import RunningHost


def names(page: Page) -> Locator:
    """The names of the runs that are listed."""
    return page.locator("#runs-list tbody th > div > a")


def ids(page: Page) -> list[str]:
    """Of the two rows of a page of two."""
    rows = page.locator("#runs-list tbody tr")
    expect(rows).to_have_count(2)
    return [row.get_attribute("id") or "" for row in rows.all()]


def test_runs_are_chosen_and_sorted_by_addresses_without_javascript(
    visitor: Visitor, host: RunningHost, exhibits: Exhibits
) -> None:
    page = visitor.page(javascript=False)
    page.goto("/runs?name=flowers&sort=created_at+asc")
    assert names(page).all_inner_texts()[:2] == ["flowers", "flowers again"]
    expect(page.get_by_role("columnheader", name="Started")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("navigation", name="Runs by state").get_by_role("link", name="failed").click()
    expect(page.get_by_text("No run is like that")).to_be_visible()
    page.get_by_label("Name contains").fill("")
    page.get_by_label("Pipeline contains").fill("FAIL")
    page.get_by_role("button", name="Show").click()
    failing = page.locator(f"#run-{exhibits.failing}")
    expect(failing).to_contain_text("ZeroDivisionError: division by zero")
    assert "state=failed" in page.url
    page.get_by_role("link", name="Show all").click()
    page.get_by_role("columnheader", name="Run").get_by_role("link").click()
    expect(names(page)).to_have_text(sorted(run["display_name"] for run in host.client.list(page_size=200))[:50])


@pytest.mark.usefixtures("exhibits")
def test_pages_follow_one_another_and_lead_back(signed_in: Page, host: RunningHost) -> None:
    signed_in.goto("/runs?page_size=2&sort=created_at+asc")
    row = signed_in.locator("#runs-list tbody tr").first
    first = ids(signed_in)
    signed_in.get_by_role("link", name="After").click()
    expect(row).not_to_have_id(first[0])
    second = ids(signed_in)
    oldest = host.client.list(page_size=4, sort_by="created_at asc")
    assert first + second == [f"run-{run['run_id']}" for run in oldest]
    signed_in.get_by_role("link", name="After").click()
    expect(row).not_to_have_id(second[0])
    signed_in.get_by_role("link", name="Before").click()
    expect(row).to_have_id(second[0])
    signed_in.get_by_role("link", name="Before").click()
    expect(row).to_have_id(first[0])


def test_a_run_that_begins_and_ends_elsewhere_is_shown_without_loading_the_page(
    signed_in: Page, host: RunningHost, tmp_path: Path
) -> None:
    signed_in.goto("/runs?name=comes+by")
    expect(signed_in.get_by_text("No run is like that")).to_be_visible()
    flag = tmp_path / "flag"
    run = start(host, "waiting", {"flag": str(flag)}, called="comes by itself")
    row = signed_in.locator(f"#run-{run}")
    expect(row).to_contain_text("running")
    row.get_by_role("checkbox").check()
    host.client.cancel(run)
    ended(host, run, "CANCELED")
    expect(row).to_contain_text("canceled")
    expect(row.get_by_role("checkbox")).to_be_checked()
    expect(signed_in.locator("#runs-chosen")).to_have_text("1 chosen")


def test_several_runs_are_archived_restored_and_deleted_at_once(signed_in: Page, host: RunningHost) -> None:
    runs = [ended(host, start(host, "failing", called=f"several {number}"), "FAILED") for number in (1, 2)]
    signed_in.goto("/runs?name=several")
    signed_in.get_by_label("Choose all on this page").check()
    signed_in.get_by_role("button", name="Archive").click()
    expect(signed_in.get_by_role("status")).to_have_text("Archived: 2 runs.")
    expect(signed_in.get_by_text("No run is like that")).to_be_visible()
    signed_in.get_by_label("Archived").select_option("archived")
    signed_in.get_by_role("button", name="Show").click()
    signed_in.get_by_label("Choose several 1").check()
    signed_in.get_by_role("button", name="Restore").click()
    expect(signed_in.get_by_role("status")).to_have_text("Restored: 1 run.")
    signed_in.goto("/runs?name=several&storage=all")
    signed_in.get_by_label("Choose all on this page").check()
    signed_in.get_by_role("button", name="Delete…").click()
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("Delete 2 runs?")
    signed_in.get_by_role("button", name="Delete them").click()
    expect(signed_in.get_by_role("status")).to_have_text("Deleted: 2 runs.")
    for run in runs:
        expect(signed_in.locator(f"#run-{run}")).to_have_count(0)


def test_an_experiments_runs_say_what_it_is(signed_in: Page, host: RunningHost, exhibits: Exhibits) -> None:
    experiment = host.client.experiment(host.client.get(exhibits.flowers)["experiment_id"])
    signed_in.goto(f"/#/experiments/details/{experiment['experiment_id']}")
    expect(signed_in.get_by_role("heading", level=1)).to_have_text(experiment["display_name"])
    expect(signed_in.get_by_text(experiment["description"])).to_be_visible()
    expect(signed_in.get_by_label("Experiment")).to_have_value(experiment["display_name"])
    expect(signed_in.locator(f"#run-{exhibits.flowers}")).to_be_visible()


def test_what_there_may_be_thousands_of_is_chosen_by_its_name(visitor: Visitor, host: RunningHost, exhibits: Exhibits) -> None:
    experiment = host.client.experiment(host.client.get(exhibits.flowers)["experiment_id"])["display_name"]
    page = visitor.page()
    page.goto("/runs")
    page.get_by_label("Experiment").press_sequentially(experiment[:4])
    expect(page.locator(f'#f-experiment-list option[value="{experiment}"]')).to_have_count(1)
    page.get_by_label("Schedule").press_sequentially("each year")
    expect(page.locator('#f-schedule-list option[value="flowers each year"]')).to_have_count(1)
    page = visitor.page(javascript=False)
    page.goto(f"/runs?page_size=2&sort=created_at+asc&experiment={experiment[:4]}")
    expect(names(page), "the beginning of a name is enough").to_have_count(2)
    page.get_by_role("link", name="After").click()
    expect(page.get_by_role("link", name="Before")).to_be_visible()
    page.get_by_label("Schedule").fill("flowers each year")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No run is like that")).to_be_visible()
    page.goto("/runs/new?pipeline=flowers")
    expect(page.get_by_role("button", name="Start the run")).to_be_visible()
    assert exhibits.pipeline in page.url, "a name that is one pipeline's leads to its form"
    page.goto("/schedules/new?pipeline=no+such+name")
    expect(page.get_by_text("No pipeline has that in its name.")).to_be_visible()


@pytest.mark.usefixtures("checker", "exhibits")
def test_nothing_is_in_anybodys_way(signed_in: Page) -> None:
    signed_in.goto("/runs")
    assert not axe.grave_faults(signed_in)


def test_what_is_ticked_stays_so_while_the_list_changes(signed_in: Page, host: RunningHost, exhibits: Exhibits) -> None:
    signed_in.goto("/runs")
    box = signed_in.locator(f'input[name="run"][value="{exhibits.cached}"]')
    box.check()
    run = start(host, "failing", called="newcomer")
    expect(signed_in.locator(f"#run-{run}")).to_contain_text("failed")
    expect(box).to_be_checked()
    expect(signed_in.locator("#runs-chosen")).to_have_text("1 chosen")
