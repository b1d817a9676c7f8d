"""From an artifact to the code that made it: on the command line, for runs of a real host, from a real checkout."""

import json
import subprocess
from pathlib import Path
from typing import Any

from stored import put

from kedge.testing.host import RunningHost

PIPELINE = """
from kedge import dsl
from kedge.dsl import Dataset, Input, Output

@dsl.component
def make(n: int, data: Output[Dataset]):
    with open(data.path, "w") as file:
        file.write("x" * n)

@dsl.component
def grow(data: Input[Dataset], more: Output[Dataset]):
    with open(data.path) as file, open(more.path, "w") as target:
        target.write(file.read() * 2){bug}

@dsl.pipeline
def inner(n: int) -> Dataset:
    return grow(data=make(n=n).outputs["data"]).outputs["more"]

@dsl.pipeline
def traced(n: int = 3):
    inner(n=n)
"""


def git(folder: Path, *words: str) -> str:
    named = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    done = subprocess.run(["git", *named, "-C", str(folder), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def checkout(folder: Path) -> Path:
    """A pipeline's file in a checkout with a remote that has a password in its address."""
    folder.mkdir()
    file = folder / "pipeline.py"
    file.write_text(PIPELINE.format(bug=""))
    git(folder, "init", "-q", "-b", "main")
    git(folder, "remote", "add", "origin", "https://me:hidden@example.org/team/code.git")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return file


def ran(kedge: RunningHost, file: Path, *options: str) -> dict[str, Any]:
    return json.loads(kedge.cli("run", str(file), "-o", "json", *options).stdout)


def made(kedge: RunningHost, run: dict[str, Any], task: str) -> str:
    found = kedge.client.artifact_tasks(run_id=run["run_id"], task_id=task)
    return next(link["artifact_id"] for link in found if link["type"] == "OUTPUT")


def shown(kedge: RunningHost, artifact: str) -> dict[str, Any]:
    return json.loads(kedge.cli("artifacts", "show", artifact, "-o", "json", check=True).stdout)["origin"]


def test_an_artifact_leads_to_the_code_and_the_commit_that_made_it_through_the_cache_too(
    either_host: RunningHost, tmp_path: Path
) -> None:
    file = checkout(tmp_path / "code")
    run = ran(either_host, file)
    artifact = made(either_host, run, "inner.grow")
    origin = shown(either_host, artifact)
    assert (origin["run_id"], origin["task_id"], origin["attempt"]) == (run["run_id"], "inner.grow", 0)
    code = origin["code"]
    assert (code["kind"], code["function"], code["file"].rpartition("/")[2]) == ("python", "grow", "pipeline.py")
    assert "target.write(file.read() * 2)" in code["source"]
    commit = git(file.parent, "rev-parse", "HEAD")
    remote = "https://example.org/team/code.git"
    expected = {"commit": commit, "path": "pipeline.py", "branch": "main", "remote": remote, "dirty": False}
    assert code["checkout"] == expected

    (file.parent / "notes.txt").write_text("not committed")
    again = ran(either_host, file)
    assert {task["state"] for task in again["tasks"] if task["kind"] == "step"} == {"CACHED"}
    assert made(either_host, again, "inner.grow") == artifact
    cached = either_host.client.task_origin(again["run_id"], "inner.grow")
    assert cached["run_id"] == run["run_id"]
    assert cached["cached_for"] == {"run_id": again["run_id"], "task_id": "inner.grow"}
    assert either_host.client.get(again["run_id"])["pipeline_spec"]["platform_spec"]["platforms"]["kedge"]["config"]["checkout"][
        "dirty"
    ]

    drawn = either_host.cli("artifacts", "lineage", artifact, "--up", check=True).stdout
    assert f"commit {commit[:12]} of {remote}" in drawn
    assert "make at" in drawn
    assert "hidden" not in drawn + json.dumps(origin)


def test_each_attempt_of_a_resumed_run_keeps_the_code_that_it_ran_also_on_another_host(
    either_host: RunningHost, tmp_path: Path
) -> None:
    file, bundle = checkout(tmp_path / "code"), tmp_path / "run.kedge.tar.gz"
    first = git(file.parent, "rev-parse", "HEAD")
    file.write_text(PIPELINE.format(bug="\n        raise ValueError('wrong')"))
    git(file.parent, "commit", "-q", "-a", "-m", "wrong")
    failed = ran(either_host, file, "--no-cache")
    wrong = git(file.parent, "rev-parse", "HEAD")
    assert wrong != first
    file.write_text(PIPELINE.format(bug="\n        print('mended')"))
    git(file.parent, "commit", "-q", "-a", "-m", "mended")
    mended = git(file.parent, "rev-parse", "HEAD")
    either_host.cli("runs", "resume", failed["run_id"], "--pipeline", str(file), "--follow", check=True)

    def commits() -> dict[str, str]:
        found = {task: made(either_host, failed, task) for task in ("inner.make", "inner.grow")}
        return {task: shown(either_host, one)["code"]["checkout"]["commit"] for task, one in found.items()}

    assert commits() == {"inner.make": wrong, "inner.grow": mended}
    either_host.cli("runs", "export", failed["run_id"], "-o", str(bundle), check=True)
    either_host.cli("runs", "delete", failed["run_id"], check=True)
    either_host.cli("runs", "import", str(bundle), check=True)
    assert commits() == {"inner.make": wrong, "inner.grow": mended}


def test_an_artifact_leads_to_the_version_of_the_stored_pipeline(either_host: RunningHost, tmp_path: Path) -> None:
    file = checkout(tmp_path / "code")
    stored = json.loads(either_host.cli("pipelines", "upload", str(file), "--name", "stored", "-o", "json", check=True).stdout)
    started = either_host.client.run_stored(stored["pipeline_id"], parameters={"n": 11})
    run = either_host.client.wait(started["run_id"])
    pipeline = shown(either_host, made(either_host, run, "inner.make"))["pipeline"]
    reference = run["pipeline_version_reference"]
    assert {key: pipeline[key] for key in reference} == reference
    assert pipeline["version"]


SOURCES = """
from typing import List
from kedge import dsl
from kedge.dsl import Dataset, Input, Output

@dsl.component
def make(n: int, data: Output[Dataset]):
    with open(data.path, "w") as file:
        file.write("x" * n)

@dsl.component
def gather(data: Input[List[Dataset]], all: Output[Dataset]):
    with open(all.path, "w") as file:
        file.write("".join(open(one.path).read() for one in data))

@dsl.container_component
def shout(data: Input[Dataset], loud: Output[Dataset]):
    script = 'mkdir -p "$(dirname "$1")" && tr a-z A-Z < "$0" > "$1"'
    return dsl.ContainerSpec(image="alpine", command=["sh", "-c", script], args=[data.path, loud.path])

@dsl.pipeline
def sources(uri: str):
    brought = dsl.importer(artifact_uri=uri, artifact_class=Dataset)
    shout(data=brought.output)
    with dsl.ParallelFor([1, 2]) as n:
        made = make(n=n)
    gather(data=dsl.Collected(made.outputs["data"]))
"""


def test_importers_collected_loops_and_containers_have_their_place_in_it(either_host: RunningHost, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.py"
    file.write_text(SOURCES)
    run = ran(either_host, file, "-p", f"uri={put(either_host, 'given', b'given')}")
    assert run["state"] == "SUCCEEDED"
    loud = shown(either_host, made(either_host, run, "shout"))["code"]
    assert (loud["kind"], loud["image"]) == ("container", "alpine")
    assert shown(either_host, made(either_host, run, "importer"))["code"]["kind"] == "importer"
    drawn = either_host.cli("artifacts", "lineage", made(either_host, run, "shout"), "--up", check=True).stdout
    assert "importer" in drawn
    gathered = either_host.cli("artifacts", "lineage", made(either_host, run, "gather"), "--up", check=True).stdout
    assert gathered.count("for-loop-1.") >= 2
