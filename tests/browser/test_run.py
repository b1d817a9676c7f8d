"""The page of a run: what it says, what may be done there, and that it stays true while the run goes on."""

from exhibits import Exhibits, ended, start
from playwright.sync_api import Page, expect
from visiting import Visitor

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
    signed_in.goto(f"/runs/{exhibits.failing}")
    fault = signed_in.locator("p.fault")
    expect(fault).to_have_text("ZeroDivisionError: division by zero exit-handler-1.divide")
    expect(fault.get_by_role("link")).to_have_attribute("href", f"/runs/{exhibits.failing}/tasks/exit-handler-1.divide")


def test_a_run_that_is_cancelled_says_so_without_a_reload(signed_in: Page, host: RunningHost) -> None:
    run = start(host, "waiting", {"flag": "/nowhere"}, called="to be cancelled")
    signed_in.goto(f"/runs/{run}?view=tasks")
    expect(signed_in.get_by_role("row", name="linger")).to_contain_text("running")
    signed_in.on("dialog", lambda dialog: dialog.accept())
    signed_in.get_by_role("button", name="Cancel").click()
    expect(signed_in.get_by_role("status")).to_contain_text("Cancelling")
    expect(signed_in.locator("#run-head .state")).to_have_text("canceled")
    ended(host, run, "CANCELED")
    expect(signed_in.get_by_role("row", name="linger")).to_contain_text("canceled")
    signed_in.get_by_role("button", name="Archive").click()
    expect(signed_in.locator("#run-head")).to_contain_text("archived")
    signed_in.locator("#run-delete > summary").click()
    signed_in.get_by_role("button", name="Delete the run").click()
    expect(signed_in).to_have_url(f"{host.host.http}/runs")
    expect(signed_in.get_by_role("status")).to_contain_text("Deleted")


def test_a_run_is_had_as_a_file(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/runs/{exhibits.failing}")
    with signed_in.expect_download() as found:
        signed_in.get_by_role("link", name="Export").click()
    assert found.value.path().read_bytes().startswith(b"\x1f\x8b")
