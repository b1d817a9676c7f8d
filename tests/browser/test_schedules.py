"""Schedules: the list, one with its history, and the form with its preview, in a browser."""

import re
import time
from typing import Any

import axe
import pytest
from playwright.sync_api import Dialog, expect
from visiting import Visitor
from watching import Watch

from kedge.testing import pipelines
from kedge.testing.host import RunningHost

PATIENCE = 60.0  # seconds: the machine may be busy
NEVER = {"cron_schedule": {"cron": "0 0 0 1 1 *"}}


def spec(name: str) -> dict[str, Any]:
    """A pipeline of no steps with one input."""
    found = pipelines.pipeline({}, {}, name=name)
    found["root"]["inputDefinitions"] = {"parameters": {"epochs": {"parameterType": "NUMBER_INTEGER"}}}
    return found


@pytest.fixture(scope="module")
def stored(host: RunningHost) -> str:
    """The id of such a pipeline."""
    return host.client.upload(spec("recurring"))["pipeline_id"]


def made(host: RunningHost, name: str) -> str:
    """The id of a schedule that is not due before the next year."""
    settings = {"display_name": name, "trigger": NEVER, "max_concurrency": "1"}
    return host.client.create_recurring_run(spec("recurring"), settings, parameters={"epochs": 1})["recurring_run_id"]


@pytest.mark.usefixtures("checker")
def test_a_schedule_is_made_with_a_preview_of_its_next_five_times(
    visitor: Visitor, host: RunningHost, stored: str, watch: Watch
) -> None:
    page = visitor.page()
    page.goto(f"/schedules/new?pipeline_id={stored}")
    expect(page.locator(".moments li")).to_have_count(5)
    assert axe.grave_faults(page) == []
    page.get_by_label("Cron expression").fill("30 9 * * 1")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    expect(page.get_by_text("At 09:30 on Monday, Europe/Berlin")).to_be_visible()
    page.get_by_label("Cron expression").fill("30 9")
    expect(page.locator("#preview")).to_contain_text("has 2 fields")
    watch.expect_answer("/schedules/new", 400)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Cron expression")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("textbox", name="epochs")).to_have_attribute("aria-invalid", "true")
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "refused")
    page.get_by_label("Cron expression").fill("30 9 * * 1")
    page.get_by_role("textbox", name="epochs").fill("3")
    page.get_by_role("textbox", name="Name", exact=True).fill("weekly")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("weekly")
    expect(page.locator(".moments li")).to_have_count(5)
    found = host.client.recurring_run(page.url.rpartition("/")[2])
    assert found["trigger"]["cron_schedule"]["cron"] == "TZ=Europe/Berlin 30 9 * * 1"
    assert found["pipeline_version_reference"] == {"pipeline_id": stored}
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "schedule")


def test_without_scripts_a_button_shows_the_next_times(visitor: Visitor, stored: str) -> None:
    page = visitor.page(javascript=False)
    page.goto(f"/schedules/new?pipeline_id={stored}")
    page.get_by_label("at an interval").check()
    page.get_by_role("textbox", name="Every").fill("90")
    page.get_by_label("Unit").select_option(label="minutes")
    page.get_by_role("button", name="Show the next times").click()
    expect(page.get_by_text("Every 1 hour 30 minutes")).to_be_visible()
    expect(page.locator(".moments li")).to_have_count(5)
    expect(page.get_by_role("textbox", name="Every")).to_have_value("90")


@pytest.mark.usefixtures("checker")
def test_times_are_those_of_the_time_zone_also_where_its_clocks_change_and_what_is_wrong_stands_at_its_field(
    visitor: Visitor, stored: str
) -> None:
    page = visitor.page()
    page.goto(f"/schedules/new?pipeline_id={stored}")
    cron, zone = page.get_by_role("textbox", name="Cron expression"), page.get_by_label("Time zone")
    cron.fill("30 9 * * *")
    zone.fill("Europe/Berlin")
    page.get_by_role("textbox", name="Not before").fill("2099-03-28 00:00")
    times = page.locator(".moments")
    expect(times).to_contain_text("Sat 2099-03-28 09:30 +01:00")
    expect(times).to_contain_text("Sun 2099-03-29 09:30 +02:00")
    expect(times).to_contain_text("2099-03-29 07:30:00 UTC")
    expect(times).to_contain_text("the clocks of Europe/Berlin go forward by 1 h")
    visitor.photograph(page, "clocks")
    page.get_by_role("textbox", name="Not before").fill("2099-10-24 00:00")
    expect(times).to_contain_text("the clocks of Europe/Berlin go back by 1 h")
    cron.fill("30 24 * * *")
    expect(page.locator("#cron-wrong")).to_contain_text("bad hour field '24' (it is 0 to 23)")
    expect(cron).to_have_attribute("aria-invalid", "true")
    cron.fill("30 9 * * *")
    expect(cron).not_to_have_attribute("aria-invalid", "true")
    zone.fill("Europe/Nowhere")
    expect(page.locator("#zone-wrong")).to_contain_text("no time zone that this machine knows")
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "no-such-zone")


@pytest.mark.usefixtures("checker")
def test_a_schedule_is_disabled_enabled_changed_and_run_by_hand(visitor: Visitor, host: RunningHost) -> None:
    schedule = made(host, "yearly")
    host.client.update_recurring_run(schedule, {"tags": {"team": "a"}})
    page = visitor.page()
    page.goto("/schedules?name=yearly")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="yearly", exact=True))
    expect(row).to_contain_text("At 00:00 on January 1, UTC")
    assert axe.grave_faults(page) == []
    row.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("status")).to_contain_text("Disabled")
    assert host.client.recurring_run(schedule)["mode"] == "DISABLE"
    page.get_by_role("button", name="Enable").click()
    expect(page.get_by_role("status")).to_have_text("Enabled.")
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Cron expression")).to_have_value("0 0 0 1 1 *")
    page.get_by_role("textbox", name="epochs").fill("2")
    page.get_by_label("Runs at once").fill("4")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("up to 4 of its runs")).to_be_visible()
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("yearly, by hand")
    run = host.client.wait(page.url.rpartition("/")[2])
    assert run["runtime_config"]["parameters"] == {"epochs": "2"}
    assert run["tags"] == {"team": "a"}


def test_upstreams_address_leads_to_a_schedule_and_deleting_asks_first(visitor: Visitor, host: RunningHost) -> None:
    schedule = made(host, "doomed")
    page = visitor.page()
    page.goto(f"/#/recurringrun/details/{schedule}")
    expect(page).to_have_url(re.compile(f"/schedules/{schedule}$"))
    page.wait_for_load_state()  # scripts ask
    asked: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.once("dialog", agree)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_have_text("Deleted. Its runs stay.")
    assert asked == ["Delete this schedule? Its runs stay."]


def test_the_history_of_a_schedule_are_its_runs(visitor: Visitor, host: RunningHost) -> None:
    every = {"periodic_schedule": {"interval_second": "1"}}
    settings = {
        "display_name": "often",
        "trigger": every,
        "max_concurrency": "1",
        "runtime_config": {"parameters": {"epochs": 1}},
    }
    schedule = host.client.create_recurring_run(spec("recurring"), settings, parameters={"epochs": 1})["recurring_run_id"]
    deadline = time.monotonic() + PATIENCE
    while not (fired := [run for run in host.client.list() if run.get("recurring_run_id") == schedule]):
        assert time.monotonic() < deadline, "it has not fired"
    host.client.enable_recurring_run(schedule, enabled=False)
    page = visitor.page()
    page.goto(f"/schedules/{schedule}")
    history = page.get_by_role("table").get_by_role("row")
    expect(history.filter(has=page.locator(f"a[href='/runs/{fired[0]['run_id']}']"))).to_have_count(1)
    expect(page.get_by_role("heading", name="Next, were it enabled")).to_be_visible()
    history.nth(1).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("often")
    expect(page.get_by_role("link", name="often", exact=True)).to_have_attribute("href", f"/schedules/{schedule}")
