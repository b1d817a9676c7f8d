"""Artifacts as people see them, and what steps wrote: shown, and never run within these pages."""

import csv
import io
import re
import tarfile
from pathlib import Path

import axe
import pytest
from exhibits import Exhibits
from playwright.sync_api import Page, expect
from visiting import Visitor

from kedge.pipelines.compiler import compile_file
from kedge.testing.host import RunningHost

HOSTILE = Path(__file__).parent / "pipelines" / "framed.py"


@pytest.fixture(scope="module")
def flowers(host: RunningHost, exhibits: Exhibits) -> dict[str, str]:
    """Ids of what the run `flowers` made, by name."""
    return {each["name"]: each["artifact_id"] for each in host.client.artifacts(exhibits.flowers)}


@pytest.fixture(scope="module")
def hostile(host: RunningHost) -> dict[str, str]:
    """Ids of what tries to do more than it may, by name."""
    run = host.client.run(compile_file(HOSTILE, pipeline_name="framed"))["run_id"]
    assert host.client.wait(run)["state"] == "SUCCEEDED"
    return {each["name"]: each["artifact_id"] for each in host.client.artifacts(run)}


@pytest.mark.usefixtures("flowers")
def test_artifacts_are_found_by_name_type_run_and_metadata(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto("/artifacts")
    rows = signed_in.get_by_role("row")
    signed_in.get_by_label("Run").fill(exhibits.flowers)
    signed_in.get_by_role("button", name="Filter").click()
    expect(signed_in.get_by_text("9 in all")).to_be_visible()
    signed_in.get_by_label("Type").fill("Model")
    signed_in.get_by_role("button", name="Filter").click()
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("model Model")
    signed_in.get_by_role("link", name="All").click()
    signed_in.get_by_label("Metadata").fill("framework=none")
    signed_in.get_by_label("Name").fill("MOD")
    signed_in.get_by_role("button", name="Filter").click()
    expect(rows.nth(1)).to_contain_text("model Model")
    signed_in.get_by_label("Metadata").fill("framework=other")
    signed_in.get_by_role("button", name="Filter").click()
    expect(signed_in.get_by_text("No artifact is so.")).to_be_visible()
    signed_in.get_by_label("Metadata").fill("framework")
    signed_in.get_by_role("button", name="Filter").click()
    expect(signed_in.get_by_role("alert")).to_contain_text("key=value")


@pytest.mark.usefixtures("flowers")
def test_a_long_list_is_read_page_by_page(signed_in: Page, exhibits: Exhibits) -> None:
    signed_in.goto(f"/artifacts?page_size=5&run_id={exhibits.flowers}")
    expect(signed_in.get_by_role("row")).to_have_count(6)
    signed_in.get_by_role("link", name="Next").click()
    expect(signed_in.get_by_role("row")).to_have_count(5)
    signed_in.get_by_role("link", name="First").click()
    expect(signed_in.get_by_role("link", name="Next")).to_be_visible()


@pytest.mark.usefixtures("checker")
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("facts", "columns"),
        ("curve", "20 values"),
        ("classes", "95.3 % right"),
        ("table", "petal_length"),
        ("model", "layers/1.bin"),
        ("image", ""),
        ("card", "versicolor"),
        ("page", "A page that a step wrote"),
    ],
)
def test_every_kind_of_artifact_shows_what_it_is(visitor: Visitor, flowers: dict[str, str], name: str, shown: str) -> None:
    page = visitor.page()
    page.goto(f"/artifacts/{flowers[name]}")
    expect(page.get_by_role("region", name="Preview")).to_contain_text(shown)
    expect(page.get_by_role("region", name="Lineage", exact=True).get_by_role("link", name=f"artifact {name}")).to_be_visible()
    if name in {"curve", "classes"}:
        expect(page.locator(".plot .js-line").first).to_be_visible()
    assert axe.grave_faults(page) == []
    visitor.photograph(page, f"artifact-{name}")


def test_a_picture_and_a_page_are_drawn(signed_in: Page, flowers: dict[str, str]) -> None:
    signed_in.goto(f"/artifacts/{flowers['image']}")
    expect(signed_in.get_by_role("img", name="image")).to_have_js_property("naturalWidth", 64)
    signed_in.goto(f"/artifacts/{flowers['page']}")
    expect(signed_in.frame_locator("iframe").get_by_role("heading", name="Flowers")).to_be_visible()


def test_a_table_is_read_and_a_matrix_is_one_without_scripts(visitor: Visitor, flowers: dict[str, str]) -> None:
    page = visitor.page(javascript=False)
    page.goto(f"/artifacts/{flowers['table']}")
    table = page.get_by_role("region", name="First rows of table")
    expect(table.get_by_role("row")).to_have_count(51)
    expect(table.get_by_role("row", name="setosa 1.4 0.2 a, b")).to_be_visible()
    expect(page.get_by_text("The first rows of it.")).to_be_visible()
    page.goto(f"/artifacts/{flowers['classes']}")
    matrix = page.get_by_role("region", name="Confusion matrix")
    expect(matrix.get_by_role("row", name="virginica 0 4 46")).to_be_visible()
    expect(page.locator(".plot").get_by_role("row", name="0.05 0.7 0.8")).to_be_visible()


def test_lineage_leads_both_ways_over_tasks_and_artifacts(signed_in: Page, exhibits: Exhibits, flowers: dict[str, str]) -> None:
    signed_in.goto(f"/artifacts/{flowers['model']}")
    graph = signed_in.get_by_role("region", name="Graph of the lineage")
    expect(graph.get_by_role("link", name="artifact model, Model")).to_have_attribute("aria-current", "page")
    tasks, artifacts = ("train", "measure", "evaluate"), ("table, Dataset", "quality, Metrics")
    for name in (*(f"task {each}, flowers" for each in tasks), *(f"artifact {each}" for each in artifacts)):
        expect(graph.get_by_role("link", name=name).first).to_be_visible()
    graph.get_by_role("link", name="artifact table, Dataset").click()
    expect(signed_in.get_by_role("heading", level=1)).to_contain_text("table Dataset")
    signed_in.get_by_text("As a list").click()
    used = signed_in.locator(".lineage-list")
    expect(used.locator(f"a[href='/runs/{exhibits.flowers}/tasks/measure']")).to_have_text("measure")
    expect(used.get_by_role("link", name="model", exact=True).first).to_be_visible()


def test_bytes_are_downloaded_and_a_folder_as_one_file(signed_in: Page, flowers: dict[str, str]) -> None:
    signed_in.goto(f"/artifacts/{flowers['table']}")
    with signed_in.expect_download() as started:
        signed_in.get_by_role("link", name="Download").click()
    rows = list(csv.reader(io.StringIO(started.value.path().read_text())))
    assert rows[0] == ["species", "petal_length", "petal_width", "note"]
    assert len(rows) == 91
    signed_in.goto(f"/artifacts/{flowers['model']}")
    with signed_in.expect_download() as started:
        signed_in.get_by_role("link", name="Download all as tar").click()
    assert started.value.suggested_filename == "model.tar"
    with tarfile.open(started.value.path()) as tar:
        assert {each.name: each.size for each in tar} == {"config.json": 2, "layers/0.bin": 2000, "layers/1.bin": 4000}
    signed_in.get_by_role("link", name="config.json", exact=True).click()
    expect(signed_in.get_by_role("region", name="Text of config.json")).to_have_text("{}")


def test_a_page_of_a_step_runs_by_itself_and_reaches_nothing(visitor: Visitor, hostile: dict[str, str]) -> None:
    page = visitor.page()
    visitor.watch.expect_message("Content Security Policy")
    visitor.watch.expect_message("sandbox")
    page.goto(f"/artifacts/{hostile['page']}")
    told = page.frame_locator("iframe").locator("#told")
    expect(told).to_have_text("cookie: no, fetch: no, parent: no, top: no, storage: no, end")
    assert "/artifacts/" in page.url
    assert "Kedge" in page.title()


@pytest.mark.parametrize("name", ["card", "table", "image", "odd"])
def test_what_steps_wrote_is_shown_as_text_and_never_run(visitor: Visitor, hostile: dict[str, str], name: str) -> None:
    page = visitor.page()
    page.goto(f"/artifacts/{hostile[name]}")
    preview = page.get_by_role("region", name="Preview")
    if name == "image":
        expect(preview.get_by_role("img")).to_have_js_property("naturalWidth", 30)
    else:
        expect(preview).to_contain_text("onerror=")
    assert page.evaluate("() => document.cookie.includes('taken') || window.taken || document.title.includes('taken')") is False
    assert page.locator("#content script, #content [onerror], #content [onload], #content a[href^='javascript']").count() == 0


def test_a_file_of_a_step_opened_by_itself_is_in_nobodys_origin(visitor: Visitor, hostile: dict[str, str]) -> None:
    page = visitor.page()
    for name in ("image", "page"):
        answer = page.request.get(f"/artifacts/{hostile[name]}/view")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("sandbox allow-scripts; default-src 'none'")
        assert "allow-same-origin" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    for name in ("table", "card"):
        assert page.request.get(f"/artifacts/{hostile[name]}/view").status == 404


def test_a_file_of_a_step_that_may_hold_scripts_is_no_page_of_its_own(visitor: Visitor, hostile: dict[str, str]) -> None:
    """As one it could lead itself to another machine, with what it knows; in a frame the policy of our page holds it."""
    page = visitor.page()
    page.goto(f"/artifacts/{hostile['image']}/view")
    expect(page).to_have_url(re.compile(f"/artifacts/{hostile['image']}$"))
    expect(page.get_by_role("region", name="Preview")).to_be_visible()
    for name in ("image", "page"):
        headers = {"Sec-Fetch-Dest": "document"}
        answer = page.request.get(f"/artifacts/{hostile[name]}/view", headers=headers, max_redirects=0)
        assert (answer.status, answer.headers["location"]) == (303, f"/artifacts/{hostile[name]}")
