"""The cache as a user has it: what it holds is listed, shown, cleared and too old one day; what is gone is made again."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import StartHost
from objects import namespace_of
from s3 import BUCKET, running_s3

from kedge.pipelines.compiler import compile_file
from kedge.pipelines.documents import Document
from kedge.testing.host import RunningHost

pytestmark = pytest.mark.timeout(300)

PIPELINE = """
from kedge import dsl
from kedge.dsl import Dataset, Input, Output

@dsl.component
def make(text: str, data: Output[Dataset]):
    with open(data.path, "w") as file:
        file.write(text)

@dsl.component
def measure(data: Input[Dataset]) -> int:
    return len(open(data.path).read())

@dsl.pipeline
def {name}(text: str = "abc") -> int:
    return measure(data=make(text=text).outputs["data"]).output
"""


def document(folder: Path, name: str) -> Document:
    path = folder / f"{name}.py"
    path.write_text(PIPELINE.format(name=name))
    return compile_file(path)


def ran(host: RunningHost, pipeline: Document) -> dict[str, str]:
    """Run it; the states of its steps."""
    run = host.client.wait(host.client.run(pipeline)["run_id"])
    assert run["state"] == "SUCCEEDED", run
    return {task["id"]: task["state"] for task in host.client.tasks(run["run_id"]) if task["id"]}


def last(host: RunningHost, name: str) -> Any:
    """The newest artifact of that name."""
    return next(one for one in host.client.list_artifacts() if one["name"] == name)


@pytest.fixture(scope="module")
def host(start_host: StartHost) -> Iterator[RunningHost]:
    """One whose cache is this file's alone."""
    with start_host() as found:
        yield found


def test_entries_are_listed_shown_and_cleared(host: RunningHost, tmp_path: Path) -> None:
    first, second = document(tmp_path, "first"), document(tmp_path, "second")
    ran(host, first)
    ran(host, second)
    assert set(ran(host, first).values()) == {"CACHED"}

    listed = json.loads(host.cli("cache", "list", "--pipeline", "first", "-o", "json", check=True).stdout)
    assert [(one["task_id"], one["component"], one["pipeline_name"]) for one in listed] == [
        ("measure", "comp-measure", "first"),
        ("make", "comp-make", "first"),
    ]
    table = host.cli("cache", "list", check=True).stdout.splitlines()
    assert table[0].split() == ["ENTRY", "PIPELINE", "TASK", "COMPONENT", "RUN", "MADE"]
    assert len(table) == 5
    entry = listed[1]["cache_fingerprint"][:12]
    refused = host.cli("cache", "show", entry)
    here = namespace_of(host)
    assert f"is there for several pipelines: second in {here}, first in {here}. Say which one" in refused.stderr
    shown = host.cli("cache", "show", entry, "--pipeline", "first", check=True).stdout
    assert "Pipeline:   first" in shown
    assert f"Made by:    make of run {listed[1]['run_id']}" in shown
    assert "(3 B)" in shown

    cleared = host.cli("cache", "clear", "--pipeline", "first", "--component", "measure", check=True).stdout
    assert cleared.splitlines() == [
        "Removed 1 of measure in first.",
        "1 in all; those steps run again when they are asked for next.",
    ]
    assert ran(host, first) == {"make": "CACHED", "measure": "SUCCEEDED"}
    assert set(ran(host, second).values()) == {"CACHED"}
    assert "Nothing to remove" in host.cli("cache", "clear", "--older-than", "1d", check=True).stdout
    cleared = host.cli("cache", "clear", "--all", check=True).stdout
    assert "4 in all" in cleared
    assert set(ran(host, second).values()) == {"SUCCEEDED"}


def test_a_run_from_the_cache_lists_the_artifacts_that_it_took(host: RunningHost, tmp_path: Path) -> None:
    taken = document(tmp_path, "taken")
    made, again = (host.client.wait(host.client.run(taken)["run_id"])["run_id"] for _ in range(2))
    assert {task["state"] for task in host.client.tasks(again) if task["id"]} == {"CACHED"}
    ids = [[one["artifact_id"] for one in host.client.artifacts(run)] for run in (made, again)]
    assert ids[1] == ids[0] != []


def test_what_cannot_be_chosen_is_said(host: RunningHost) -> None:
    refused = host.cli("cache", "clear")
    assert refused.returncode == 2
    assert "Say which: with --pipeline, --component, --task or --older-than, or --all." in refused.stderr
    refused = host.cli("cache", "show", "0123456789")
    assert refused.returncode == 1
    assert refused.stderr == "kedge: the cache has no entry '0123456789'. kedge cache list shows those that it has.\n"


def test_a_hit_whose_artifact_is_gone_from_the_folder_runs_again(host: RunningHost, tmp_path: Path) -> None:
    lost = document(tmp_path, "lost")
    ran(host, lost)
    made = last(host, "data")
    path = Path(made["uri"].removeprefix("file://"))
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    entries = host.client.cache_entries({"pipeline_name": "lost", "task_name": "make"})["cache_entries"]
    shown = host.cli("cache", "show", entries[0]["cache_fingerprint"], "--pipeline", "lost", check=True).stdout
    assert "GONE: the step runs again" in shown
    # What was read of it has the same bytes again: what is left of the cache is used.
    assert ran(host, lost) == {"make": "SUCCEEDED", "measure": "CACHED"}
    assert set(ran(host, lost).values()) == {"CACHED"}


def test_a_hit_whose_artifact_is_gone_from_s3_runs_again(start_host: StartHost, reached_at: str, tmp_path: Path) -> None:
    lost = document(tmp_path, "lost")
    with running_s3(reached_at) as s3, start_host({**s3.environ, "KEDGE_ARTIFACTS": f"s3://{BUCKET}/kedge"}) as host:
        ran(host, lost)
        assert set(ran(host, lost).values()) == {"CACHED"}
        made = last(host, "data")
        (s3.folder / made["uri"].removeprefix(f"s3://{BUCKET}/")).unlink()
        assert ran(host, lost) == {"make": "SUCCEEDED", "measure": "CACHED"}
        assert set(ran(host, lost).values()) == {"CACHED"}


def test_a_host_that_uses_no_old_results_runs_every_step(start_host: StartHost, tmp_path: Path) -> None:
    again = document(tmp_path, "again")
    with start_host({"KEDGE_CACHE_TTL": "0"}) as host:
        ran(host, again)
        assert set(ran(host, again).values()) == {"SUCCEEDED"}
        assert host.client.cache_entries() == {}
