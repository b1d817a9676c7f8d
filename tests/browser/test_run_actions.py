"""What may be done with a run from its page, what makes no sense there and why, and what a refusal says."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import exhibits as exhibited
import httpx
import pytest
from axe import grave_faults
from exhibits import Exhibits, ended, start
from go_programs import cache_folder
from playwright.sync_api import Page, expect
from visiting import Visitor
from watching import Watch

from kedge.pipelines.documents import write
from kedge.testing.host import RunningHost

pytestmark = pytest.mark.timeout(600)  # a busy machine may take a minute for each of several steps


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where a step remembers that it was here: steps have a /tmp of their own."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder()) as made:
        yield Path(made)


def asked(host: RunningHost, path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {host.host.token}"}
    answer = httpx.post(f"{host.host.http}/apis/v2beta1{path}", json=body, headers=headers, timeout=60)
    return answer.raise_for_status().json()


def test_a_run_is_cancelled_retried_resumed_archived_restored_and_deleted(
    signed_in: Page, host: RunningHost, folder: Path
) -> None:
    run, said = start(host, "waiting", {"flag": str(folder / "flag")}, called="to and fro"), signed_in.locator("p.said")
    head = signed_in.locator("#run-head")
    signed_in.goto(f"/runs/{run}?view=tasks")
    expect(signed_in.get_by_role("row", name="linger")).to_contain_text("running")
    signed_in.on("dialog", lambda dialog: dialog.accept())
    signed_in.get_by_role("button", name="Cancel").click()
    expect(said).to_contain_text("Cancelling")
    expect(signed_in).to_have_url(re.compile(r"view=tasks$"))
    expect(head.locator(".state")).to_have_text("canceled")
    ended(host, run, "CANCELED")

    signed_in.get_by_role("button", name="Retry").click()
    expect(said).to_contain_text("steps that succeeded are kept")
    expect(signed_in.get_by_role("row", name="linger")).to_contain_text("running")
    signed_in.get_by_role("button", name="Cancel").click()
    expect(said).to_contain_text("Cancelling")
    ended(host, run, "CANCELED")

    signed_in.goto(f"/runs/{run}/resume")
    text = signed_in.get_by_label("Or as it stands here")
    text.fill(text.input_value().replace("time.sleep(0.1)", "break"))
    signed_in.get_by_role("button", name="Go on with it").click()
    expect(said).to_contain_text("Going on with the changed pipeline: 0 tasks kept")
    ended(host, run, "SUCCEEDED")

    signed_in.goto(f"/runs/{run}")
    signed_in.get_by_role("button", name="Archive").click()
    expect(head.get_by_text("archived", exact=True)).to_be_visible()
    signed_in.get_by_role("button", name="Restore").click()
    expect(said).to_have_text("Restored.")
    expect(head.get_by_text("archived", exact=True)).to_have_count(0)
    signed_in.get_by_role("link", name="Delete…").click()
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("Delete to and fro?")
    signed_in.get_by_role("button", name="Delete the run").click()
    expect(signed_in).to_have_url(f"{host.host.http}/runs")
    expect(signed_in.get_by_role("status")).to_contain_text("Deleted")


@pytest.mark.usefixtures("checker")
def test_what_goes_with_a_run_is_said_before_it_is_deleted(visitor: Visitor, exhibits: Exhibits) -> None:
    page = visitor.page()
    page.goto(f"/runs/{exhibits.flowers}/delete")
    goes = page.locator("main ul").first
    expect(goes).to_contain_text(re.compile(r"its history: \d+ tasks"))
    expect(goes).to_contain_text(re.compile(r"what it made: \d+ artifacts, [\d.]+ kB"))
    page.get_by_text("The artifacts", exact=True).click()
    expect(page.get_by_role("link", name="model")).to_be_visible()
    expect(page.get_by_label("Keep what it made")).to_be_visible()
    assert grave_faults(page) == []
    page.get_by_role("link", name="Keep it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("flowers")


def test_what_makes_no_sense_can_be_reached_and_says_why(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.flowers}")
    again = signed_in.get_by_role("button", name="Retry")
    expect(again).to_have_attribute("aria-disabled", "true")
    expect(again).to_have_accessible_description("It succeeded: clone it to run it again.")
    again.focus()
    expect(signed_in.get_by_text("It succeeded: clone it to run it again.").first).to_be_visible()
    expect(signed_in.get_by_role("button", name="Resume…")).to_have_attribute("aria-disabled", "true")
    expect(signed_in.get_by_role("button", name="Cancel")).to_have_count(0)
    signed_in.goto(f"/runs/{exhibits.failing}")
    expect(signed_in.get_by_role("button", name="Retry")).not_to_have_attribute("aria-disabled", "true")
    signed_in.get_by_role("link", name="Clone").click()
    expect(signed_in).to_have_url(re.compile(f"/runs/new.*{exhibits.failing}"))


def test_a_task_of_a_run_that_goes_on_cannot_be_retried_and_a_refusal_is_said_beside_it(
    visitor: Visitor, host: RunningHost, folder: Path, watch: Watch
) -> None:
    flag = folder / "later"
    run = start(host, "waiting", {"flag": str(flag)}, called="goes on")
    page = visitor.page(javascript=False)
    page.goto(f"/runs/{run}/tasks/linger")
    again = page.get_by_role("button", name="Retry from here")
    expect(again).to_have_accessible_description("The run is not over yet.")
    flag.touch()
    ended(host, run, "SUCCEEDED")
    page.reload()
    flag.unlink()
    host.client.retry(run, task="linger")  # by somebody else meanwhile
    watch.expect_answer(f"/runs/{run}/tasks/linger/retry", 400)
    again.click()
    expect(page.get_by_role("alert")).to_contain_text("only a task of a run that is over can be run again")
    flag.touch()
    ended(host, run, "SUCCEEDED")


def test_a_refusal_is_said_on_the_page_and_in_the_view_that_it_was_asked_from(
    signed_in: Page, host: RunningHost, watch: Watch
) -> None:
    experiment = asked(host, "/experiments", {"display_name": "put away"})["experiment_id"]
    body = {"experiment_id": experiment, "pipeline_spec": exhibited.pipeline("failing").json()}
    run = ended(host, asked(host, "/runs", body)["run_id"], "FAILED")
    asked(host, f"/experiments/{experiment}:archive", {})
    signed_in.goto(f"/runs/{run}?view=tasks")
    watch.expect_answer(f"/runs/{run}/unarchive", 400)
    signed_in.get_by_role("button", name="Restore").click()
    expect(signed_in.get_by_role("alert")).to_contain_text("'put away' is archived. Unarchive that first.")
    expect(signed_in.get_by_role("row", name="divide")).to_contain_text("failed")
    expect(signed_in).to_have_url(f"{host.host.http}/runs/{run}?view=tasks")  # what a reload asks for


@pytest.mark.usefixtures("checker")
def test_a_pipeline_that_cannot_be_read_is_kept_to_be_mended(visitor: Visitor, exhibits: Exhibits, watch: Watch) -> None:
    page = visitor.page()
    page.goto(f"/runs/{exhibits.failing}/resume")
    text = page.get_by_label("Or as it stands here")
    expect(text).to_have_value(re.compile("componentRef"))
    visitor.photograph(page, "run-resume")
    watch.expect_answer(f"/runs/{exhibits.failing}/resume", 400)
    text.fill("components: [")
    page.get_by_role("button", name="Go on with it").click()
    expect(page.get_by_role("alert")).to_contain_text("not YAML")
    expect(text).to_have_value("components: [")
    assert grave_faults(page) == []
    page.get_by_label("A compiled pipeline from a file").set_input_files(
        {"name": "p.yaml", "mimeType": "text/yaml", "buffer": b"just text"}
    )
    page.get_by_role("button", name="Go on with it").click()
    expect(page.get_by_role("alert")).to_contain_text("must be a compiled pipeline")


def test_a_run_is_resumed_with_a_pipeline_from_a_file(signed_in: Page, host: RunningHost, folder: Path) -> None:
    run = ended(host, start(host, "retrying", {"folder": str(folder / "not-there")}, called="resumed"), "FAILED")
    signed_in.goto(f"/runs/{run}/resume")
    document = write(exhibited.pipeline("retrying"))
    changed = document.replace("not the first time", "not this time").replace("if not os.path.exists(path):", "if False:")
    assert changed != document
    signed_in.get_by_label("A compiled pipeline from a file").set_input_files(
        {"name": "p.yaml", "mimeType": "text/yaml", "buffer": changed.encode()}
    )
    signed_in.get_by_role("button", name="Go on with it").click()
    expect(signed_in.locator("p.said")).to_contain_text("Going on with the changed pipeline")
    ended(host, run, "SUCCEEDED")
