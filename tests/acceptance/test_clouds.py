"""Artifacts at Azure and at Google: a whole host against a server process that speaks as each of them does."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clouds import Cloud, running_azurite, running_gcs
from hosts import StartHost
from objects import forget, namespace_of

from kedge.kube.core import POD
from kedge.testing.host import RunningHost

pytestmark = [pytest.mark.timeout(300), pytest.mark.once_on_a_cluster]
SERVERS = {"azure": running_azurite, "google": running_gcs}

PIPELINE = """
from kedge import dsl
from kedge.dsl import Dataset, Input, Output

@dsl.component
def write(text: str, mebibytes: int, one: Output[Dataset], many: Output[Dataset], big: Output[Dataset]):
    import os
    found = [name for name in os.environ if name.startswith(("AZURE_", "GOOGLE_"))]
    assert not found, "a step has credentials of the store"
    print("writing", text)
    open(one.path, "w").write(text)
    os.makedirs(many.path + "/train/deep")
    for number in range(12):
        open(many.path + f"/train/{number} ü.csv", "w").write(text * number)
    open(many.path + "/train/deep/last", "w").write("end")
    open(big.path, "wb").write(bytes(range(256)) * (mebibytes << 12))

@dsl.component
def read(one: Input[Dataset], many: Input[Dataset], big: Input[Dataset]) -> str:
    import hashlib, os
    found = sum(len(names) for _, _, names in os.walk(many.path))
    last = open(many.path + "/train/deep/last").read()
    third = open(many.path + "/train/3 ü.csv").read()
    return f"{open(one.path).read()} {found} {last} {third} {os.path.getsize(big.path)} {one.uri}"

@dsl.pipeline
def small(text: str = "abc", mebibytes: int = 40) -> str:
    made = write(text=text, mebibytes=mebibytes)
    return read(one=made.outputs["one"], many=made.outputs["many"], big=made.outputs["big"]).output

@dsl.component
def length(one: Input[Dataset]) -> int:
    return len(open(one.path).read())

@dsl.pipeline
def foreign(uri: str) -> int:
    return length(one=dsl.importer(artifact_uri=uri, artifact_class=Dataset).output).output
"""


@pytest.fixture(scope="module", params=sorted(SERVERS))
def cloud(request: pytest.FixtureRequest, steps_reach: str) -> Iterator[Cloud]:
    with SERVERS[request.param](steps_reach) as server:
        yield server


@pytest.fixture(scope="module")
def host(start_host: StartHost, cloud: Cloud) -> Iterator[RunningHost]:
    with start_host({**cloud.environ, "KEDGE_ARTIFACTS": f"{cloud.root}/kedge"}) as kedge:
        yield kedge


def place(kedge: RunningHost) -> str:
    """Below which address's path its artifacts lie: on a cluster each namespace has its own."""
    return f"kedge/{namespace_of(kedge)}" if kedge.options else "kedge"


def ran(kedge: RunningHost, pipeline: str, *options: str) -> dict[str, Any]:
    file = kedge.home / "pipeline.py"
    file.write_text(PIPELINE)
    done = kedge.cli("run", str(file), "--pipeline", pipeline, "-o", "json", *options)
    assert done.stdout, done.stderr
    run = json.loads(done.stdout)
    told = "\n".join([str(kedge.client.tasks(run["run_id"])), (kedge.home / "hub.log").read_text()[-3000:]])
    assert run["state"] == "SUCCEEDED", told
    return run


def until(seen: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.02)


def output(kedge: RunningHost, run: dict[str, Any], task: str) -> Any:
    return kedge.client.task(run["run_id"], task)["outputs"]["parameters"]["Output"]


def artifact(kedge: RunningHost, run: dict[str, Any], name: str) -> str:
    found = kedge.client.artifact_tasks(run_id=run["run_id"], task_id="write")
    return next(link["artifact_id"] for link in found if link["type"] == "OUTPUT" and link["key"] == name)


def test_files_folders_and_parts_go_through_the_store_and_are_used_again(host: RunningHost, cloud: Cloud, tmp_path: Path) -> None:
    run = ran(host, "small")
    *told, address = output(host, run, "read").split()
    assert told == ["abc", "13", "end", "abcabcabc", str(40 << 20)]
    assert address == f"{cloud.root}/{place(host)}/small/{run['run_id']}/write/0/one"
    again = ran(host, "small")
    assert {task["state"] for task in again["tasks"] if task["kind"] == "step"} == {"CACHED"}
    host.cli("artifacts", "get", artifact(host, run, "many"), str(tmp_path / "many"), check=True)
    assert (tmp_path / "many" / "train" / "3 ü.csv").read_text() == "abcabcabc"
    host.cli("artifacts", "get", artifact(host, run, "big"), str(tmp_path / "big"), check=True)
    assert (tmp_path / "big").stat().st_size == 40 << 20


def test_what_an_importer_names_is_fetched(host: RunningHost) -> None:
    made = ran(host, "small", "-p", "text=imported", "-p", "mebibytes=1")
    address = output(host, made, "read").split()[-1]
    assert output(host, ran(host, "foreign", "-p", f"uri={address}"), "length") == len("imported")


def test_the_log_of_an_ended_step_is_read_from_the_store(host: RunningHost, cloud: Cloud) -> None:
    run = ran(host, "small", "-p", "text=told", "-p", "mebibytes=1")
    folder = f"{place(host)}/small/{run['run_id']}/write/0"
    until(lambda: f"{folder}/executor-logs" in cloud.keys(folder), "the log was not copied")
    forget(host, POD)
    assert host.cli("logs", run["run_id"], "write", check=True).stdout.endswith("writing told\n")


def test_a_run_is_deleted_with_what_it_made(host: RunningHost, cloud: Cloud, tmp_path: Path) -> None:
    run = ran(host, "small", "-p", "text=gone", "-p", "mebibytes=1")
    address = output(host, run, "read").split()[-1]
    assert cloud.keys(f"{place(host)}/small/{run['run_id']}")
    host.cli("runs", "delete", run["run_id"], check=True)
    until(lambda: not cloud.keys(f"{place(host)}/small/{run['run_id']}"), "its artifacts are there still")
    file = tmp_path / "pipeline.py"
    file.write_text(PIPELINE)
    failed = json.loads(host.cli("run", str(file), "--pipeline", "foreign", "-o", "json", "-p", f"uri={address}").stdout)
    assert failed["state"] == "FAILED"
    assert "nothing lies at" in str(host.client.task(failed["run_id"], "length"))
