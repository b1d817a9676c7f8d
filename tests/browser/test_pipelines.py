"""Pipelines, their versions, and the form that starts runs, in a browser."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import axe
import pytest
from measuring import weighed
from playwright.sync_api import Dialog, Page, expect
from visiting import Visitor
from watching import Watch

from kedge.kube.yaml import write
from kedge.testing import pipelines
from kedge.testing.host import RunningHost

MOST_BYTES = 300_000  # of a page with all that it loads, without Plotly
INPUTS = {
    "epochs": {"parameterType": "NUMBER_INTEGER", "description": "How many."},
    "rate": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5},
    "size": {"parameterType": "STRING", "literals": ["small", "large"], "defaultValue": "small"},
    "fast": {"parameterType": "BOOLEAN", "isOptional": True},
    "numbers": {"parameterType": "LIST", "defaultValue": [1, 2]},
    "options": {"parameterType": "STRUCT", "isOptional": True},
    "note": {"parameterType": "STRING", "isOptional": True},
}


def spec(name: str) -> dict[str, Any]:
    """A pipeline of no steps with an input of each kind."""
    found = pipelines.pipeline({}, {}, name=name)
    found["root"]["inputDefinitions"] = {"parameters": INPUTS}
    return found


def file(folder: Path, name: str) -> Path:
    """The same as a file."""
    path = folder / "pipeline.yaml"
    path.write_text(write(spec(name)))
    return path


@pytest.fixture(scope="module")
def typed(host: RunningHost) -> str:
    """The id of such a pipeline, stored."""
    return host.client.upload(spec("typed"))["pipeline_id"]


def test_the_page_of_a_long_pipeline_is_light_and_leads_to_all_of_it(signed_in: Page, host: RunningHost) -> None:
    long = spec("long")
    text = {"parameterType": "STRING", "defaultValue": "word " * 100_000}
    long["root"]["inputDefinitions"]["parameters"] = {**INPUTS, "text": text}
    signed_in.goto(f"/pipelines/{host.client.upload(long)['pipeline_id']}")
    version = signed_in.locator('a[href*="/versions/"]').first.get_attribute("href")
    assert version
    run = host.client.run(long, parameters={"epochs": 1})["run_id"]
    host.client.wait(run)
    places = {
        version: "The version as YAML",
        f"/runs/{run}?view=spec": "The pipeline as YAML",
    }
    for path, label in places.items():
        with weighed(signed_in) as weight:
            signed_in.goto(path)
        assert 0 < weight.total <= MOST_BYTES, weight
        expect(signed_in.get_by_label(label)).to_contain_text("pipelineInfo")
        with signed_in.expect_download() as found:
            signed_in.get_by_role("link", name="download all of it").click()
        assert found.value.path().read_text() == write(long)


@pytest.mark.usefixtures("typed")
def test_a_file_becomes_a_pipeline_and_then_a_version_of_it_whose_texts_are_changed(
    visitor: Visitor, signed_in: Page, watch: Watch, tmp_path: Path
) -> None:
    signed_in.goto("/pipelines")
    signed_in.get_by_text("Upload a pipeline").click()
    signed_in.get_by_label("File").set_input_files(file(tmp_path, "uploaded"))
    signed_in.get_by_label("Tags").fill("team=vision")
    signed_in.get_by_role("button", name="Upload").click()
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("uploaded")
    expect(signed_in.get_by_text("team=vision")).to_be_visible()
    signed_in.goto("/pipelines")
    signed_in.get_by_text("Upload a pipeline").click()
    signed_in.get_by_label("File").set_input_files(file(tmp_path, "uploaded"))
    signed_in.get_by_label("As", exact=True).select_option(label="a new version of uploaded")
    signed_in.get_by_role("textbox", name="Name").first.fill("second")
    signed_in.get_by_role("button", name="Upload").click()
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("second")
    signed_in.get_by_text("Change name, description and tags").click()
    signed_in.get_by_label("Description").fill("Better than the first.")
    signed_in.get_by_label("Tags").fill("stage")
    watch.expect_answer(urlsplit(signed_in.url).path + "/edit", 400)
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_role("alert")).to_contain_text("'stage' is no tag")
    expect(signed_in.get_by_label("Description")).to_have_value("Better than the first.")
    signed_in.get_by_label("Tags").fill("stage=test")
    signed_in.get_by_label("Name", exact=True).fill("2nd")
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("2nd")
    expect(signed_in.get_by_text("stage=test", exact=True)).to_be_visible()
    expect(signed_in.get_by_text("This pipeline has no steps.")).to_be_visible()
    expect(signed_in.locator(".graph")).to_have_count(0)
    expect(signed_in.get_by_role("button", name="Copy the source")).to_have_attribute("data-copy", re.compile("pipelineInfo"))
    visitor.photograph(signed_in, "version")


def test_what_is_wrong_with_an_upload_is_said_at_its_field_and_nothing_is_lost(
    signed_in: Page, typed: str, watch: Watch, tmp_path: Path
) -> None:
    signed_in.goto("/pipelines")
    signed_in.get_by_text("Upload a pipeline").click()
    signed_in.get_by_label("File").set_input_files(file(tmp_path, "again"))
    signed_in.get_by_role("textbox", name="Name").first.fill("typed")
    signed_in.get_by_label("Description").fill("kept")
    watch.expect_answer("/pipelines/upload", 409)
    signed_in.get_by_role("button", name="Upload").click()
    expect(signed_in.get_by_role("textbox", name="Name").first).to_have_attribute("aria-invalid", "true")
    expect(signed_in.get_by_label("Description")).to_have_value("kept")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("nothing: here")
    signed_in.get_by_label("File").set_input_files(wrong)
    signed_in.get_by_role("textbox", name="Name").first.fill("wrong")
    watch.expect_answer("/pipelines/upload", 400)
    signed_in.get_by_role("button", name="Upload").click()
    expect(signed_in.get_by_role("alert")).to_contain_text("wrong.yaml")
    for text, said in (
        ("pipelineInfo:\n  name: [x\nroot: {}\n", "wrong.yaml, line 3"),
        (write(spec("typo")).replace("NUMBER_DOUBLE", "NUMBR"), "wrong.yaml, line "),
    ):
        wrong.write_text(text)
        signed_in.get_by_label("File").set_input_files(wrong)
        watch.expect_answer("/pipelines/upload", 400)
        signed_in.get_by_role("button", name="Upload").click()
        expect(signed_in.get_by_role("alert")).to_contain_text(said)


@pytest.mark.usefixtures("typed")
def test_a_file_can_be_dropped(signed_in: Page, tmp_path: Path) -> None:
    signed_in.goto("/pipelines")
    signed_in.evaluate(
        """(text) => {
            const dropped = new DataTransfer();
            dropped.items.add(new File([text], "dropped.yaml"));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
        }""",
        file(tmp_path, "dropped").read_text(),
    )
    signed_in.get_by_role("button", name="Upload").click()
    expect(signed_in.get_by_role("heading", level=1)).to_have_text("dropped")


@pytest.mark.usefixtures("checker")
def test_a_run_is_started_with_typed_inputs(visitor: Visitor, host: RunningHost, typed: str) -> None:
    page = visitor.page()
    page.goto("/pipelines?name=typed")
    page.get_by_role("link", name="Run typed").click()
    expect(page.get_by_label("numbers", exact=False).first).to_have_value("[1, 2]")
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "new-run")
    page.get_by_role("textbox", name="epochs").fill("9007199254740993")
    page.get_by_role("combobox", name="size").select_option("large")
    page.get_by_role("textbox", name="options").fill('{"a": [1]}')
    page.get_by_role("textbox", name="Name", exact=True).fill("by hand")
    page.get_by_label("or another by its name").fill("by people")
    page.get_by_role("textbox", name="Tags").fill("team=vision, stage=test")
    page.get_by_role("button", name="Start the run").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("by hand")
    run = host.client.wait(page.url.rpartition("/")[2])
    given = run["runtime_config"]["parameters"]
    assert (given["epochs"], given["size"], given["rate"]) == ("9007199254740993", "large", "0.5")
    assert set(given) == {"epochs", "rate", "size", "numbers", "options"}
    assert run["tags"] == {"team": "vision", "stage": "test"}
    page.get_by_role("link", name="Clone").click()
    expect(page.get_by_role("textbox", name="Tags")).to_have_value(re.compile("team=vision"))
    expect(page.get_by_role("textbox", name="epochs")).to_have_value("9007199254740993")
    expect(page.get_by_role("combobox", name="size")).to_have_value("large")
    expect(page.get_by_role("combobox", name="Experiment")).to_have_value(run["experiment_id"])


@pytest.mark.usefixtures("checker")
def test_all_faults_are_shown_at_their_fields_before_anything_runs(
    visitor: Visitor, host: RunningHost, typed: str, watch: Watch
) -> None:
    page = visitor.page(javascript=False)
    page.goto(f"/runs/new?pipeline_id={typed}")
    page.get_by_role("textbox", name="rate").fill("fast")
    page.get_by_role("textbox", name="numbers").fill("[1,\n 2")
    page.get_by_role("textbox", name="note").fill("kept")
    page.get_by_text("More options").click()
    page.get_by_role("textbox", name="Where its artifacts go").fill("nowhere://x")
    watch.expect_answer("/runs/new", 400)
    page.get_by_role("button", name="Start the run").click()
    for name in ("epochs", "rate", "numbers", "Where its artifacts go"):
        expect(page.get_by_role("textbox", name=name)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("textbox", name="epochs")).to_have_accessible_description("is missing. Give it a value")
    expect(page.get_by_text("line 2, column 3")).to_be_visible()
    expect(page.get_by_role("textbox", name="note")).to_have_value("kept")
    visitor.photograph(page, "refused")


def test_json_is_checked_while_it_is_typed_and_a_default_comes_back(signed_in: Page, typed: str) -> None:
    signed_in.goto(f"/runs/new?pipeline_id={typed}")
    numbers = signed_in.get_by_role("textbox", name="numbers")
    numbers.fill('{"no": "list"}')
    expect(signed_in.get_by_text("expected a list")).to_be_visible()
    expect(numbers).to_have_attribute("aria-invalid", "true")
    signed_in.get_by_role("button", name="Restore the default of numbers").click()
    expect(numbers).to_have_value("[1, 2]")
    expect(numbers).not_to_have_attribute("aria-invalid", "true")
    numbers.fill("[1,\n 2")
    expect(signed_in.get_by_text("line 2, column 3")).to_be_visible()
    numbers.fill('[9007199254740993,{}, {"a": "[1, 2]"}]')
    signed_in.get_by_role("button", name="Format numbers").click()
    expect(numbers).to_have_value('[\n  9007199254740993,\n  {},\n  {\n    "a": "[1, 2]"\n  }\n]')


@pytest.mark.usefixtures("checker")
def test_what_the_api_would_refuse_stands_at_a_field_that_was_left_before_anything_is_sent(visitor: Visitor, typed: str) -> None:
    page = visitor.page()
    page.goto(f"/runs/new?pipeline_id={typed}")
    page.get_by_text("More options").click()
    page.get_by_role("textbox", name="Where its artifacts go").fill("nowhere://x")
    tags = page.get_by_role("textbox", name="Tags")
    tags.fill("team=a/b")
    tags.blur()
    expect(page.locator("#tags-wrong")).to_contain_text("value")
    expect(page.locator("#pipeline_root-wrong")).to_contain_text("artifacts cannot be written there")
    expect(page.get_by_role("textbox", name="epochs")).not_to_have_attribute("aria-invalid", "true")
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "told-before")
    tags.fill("team=a")
    tags.blur()
    expect(tags).not_to_have_attribute("aria-invalid", "true")


@pytest.mark.usefixtures("checker")
def test_a_pipeline_is_changed_and_deleted_after_a_question(visitor: Visitor, host: RunningHost) -> None:
    place = f"/pipelines/{host.client.upload(spec('doomed'))['pipeline_id']}"
    page = visitor.page()
    page.goto(place)
    assert axe.grave_faults(page) == []
    page.get_by_text("Change name, description and tags").click()
    page.get_by_label("Description").fill("Better.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    expect(page.locator("p", has_text="Better.")).to_be_visible()
    page.wait_for_load_state()  # scripts ask
    asked: list[str] = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.once("dialog", refuse)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("doomed")
    assert "Its runs stay" in asked[0]
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pipelines")
    expect(page.get_by_role("link", name="doomed")).to_have_count(0)
