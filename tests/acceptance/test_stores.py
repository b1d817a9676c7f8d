"""Artifacts in an object store: a whole host with ``KEDGE_ARTIFACTS=s3://…`` against a real S3 server in a process of its own.

Steps hold no credential of the store, and neither they nor the hub hold an artifact in memory.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hosts import StartHost
from objects import forget, namespace_of
from s3 import S3, running_s3

from kedge.errors import KedgeError
from kedge.kube.core import POD
from kedge.pipelines.compiler import compile_file
from kedge.pipelines.documents import Document
from kedge.testing.host import RunningHost, running_host

pytestmark = pytest.mark.timeout(300)
PATIENCE = 200.0
AWAY = 60.0  # seconds: longer than any library's own retries

PIPELINE = """
from kedge import dsl
from kedge.dsl import Dataset, Input, Metrics, Model, Output

@dsl.component
def write(text: str, one: Output[Dataset], many: Output[Dataset]):
    import os
    assert not [name for name in os.environ if name.startswith("AWS_")], "a step has credentials of the store"
    print("writing", text)
    with open(one.path, "w") as file:
        file.write(text)
    os.makedirs(many.path + "/train/deep")
    for number in range(120):
        with open(many.path + f"/train/{number} ü.csv", "w") as file:
            file.write(text * number)
    with open(many.path + "/train/deep/last", "w") as file:
        file.write("end")

@dsl.component
def read(one: Input[Dataset], many: Input[Dataset]) -> str:
    import os
    found = sum(len(names) for _, _, names in os.walk(many.path))
    last = open(many.path + "/train/deep/last").read()
    return f"{open(one.path).read()} {found} {last} {open(many.path + '/train/3 ü.csv').read()} {one.uri} {many.uri}"

@dsl.pipeline
def small(text: str = "abc") -> str:
    made = write(text=text)
    return read(one=made.outputs["one"], many=made.outputs["many"]).output

@dsl.component
def write_big(mebibytes: int, big: Output[Model]):
    import os, resource
    block = os.urandom(1 << 20)
    with open(big.path, "wb") as file:
        for _ in range(mebibytes):
            file.write(block)
    # From here on the launcher sends it: with so little room that it could not hold a tenth of it.
    # (What it writes to counts, its threads' stacks of 8 MiB among it; addresses that the allocator only reserves do not.)
    used = int(open("/proc/self/statm").read().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (used + (96 << 20), used + (96 << 20)))

@dsl.component
def read_big(big: Input[Model]) -> dict:
    import os, resource
    return {"size": os.path.getsize(big.path), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}

@dsl.pipeline
def large(mebibytes: int) -> dict:
    return read_big(big=write_big(mebibytes=mebibytes).outputs["big"]).output

@dsl.component
def hold(folder: str, one: Output[Dataset]):
    import os, time
    with open(one.path, "w") as file:
        file.write("kept")
    open(folder + "/written", "w").close()
    while not os.path.exists(folder + "/go"):
        time.sleep(0.01)

@dsl.component
def length(one: Input[Dataset]) -> int:
    return len(open(one.path).read())

@dsl.pipeline
def held(folder: str) -> int:
    return length(one=hold(folder=folder).outputs["one"]).output

@dsl.component
def pause(folder: str):
    import os, time
    while not os.path.exists(folder + "/changed"):
        time.sleep(0.01)

@dsl.pipeline
def damaged(folder: str) -> int:
    made = hold(folder=folder)
    return length(one=made.outputs["one"]).after(pause(folder=folder).after(made)).output

@dsl.pipeline
def foreign(uri: str) -> int:
    return length(one=dsl.importer(artifact_uri=uri, artifact_class=Dataset).output).output

@dsl.component
def count(many: Input[Dataset]) -> str:
    import os
    paths = [os.path.join(base, name) for base, _, names in os.walk(many.path) for name in names]
    found = sorted(os.path.relpath(path, many.path) for path in paths)
    return " ".join(found + [open(os.path.join(many.path, "deep", "b ü.csv")).read()])

@dsl.pipeline
def counted(uri: str) -> str:
    return count(many=dsl.importer(artifact_uri=uri, artifact_class=Dataset).output).output

@dsl.pipeline(pipeline_root="ROOT")
def both(uri: str, text: str = "abc") -> int:
    write(text=text)
    return length(one=dsl.importer(artifact_uri=uri, artifact_class=Dataset).output).output

@dsl.container_component
def shout(one: Input[Dataset], loud: Output[Dataset]):
    script = 'mkdir -p "$1/deep" && tr a-z A-Z < "$0" > "$1/deep/file"'
    return dsl.ContainerSpec(image="alpine", command=["sh", "-c", script], args=[one.path, loud.path])

@dsl.component
def move(model: Output[Model], table: Output[Dataset], numbers: Output[Metrics]) -> Dataset:
    import os
    made = Dataset(uri=dsl.get_uri("made.csv"))
    model.path = model.path + ".pickle"
    table.uri = table.uri + "/part.csv"
    os.makedirs(os.path.dirname(table.path))
    for one in (model, table, made):
        with open(one.path, "w") as file:
            file.write(os.path.basename(one.uri))
    numbers.log_metric("accuracy", 0.5)
    return made

@dsl.component
def hand_on(table: Input[Dataset], same: Output[Dataset]):
    same.uri = table.uri

@dsl.component
def find(model: Input[Model], table: Input[Dataset], made: Input[Dataset], same: Input[Dataset], numbers: Input[Metrics]) -> str:
    return " ".join([open(one.path).read() for one in (model, table, made, same)] + [str(numbers.metadata["accuracy"])])

@dsl.pipeline
def moved() -> str:
    made = move().outputs
    same = hand_on(table=made["table"]).outputs["same"]
    return find(model=made["model"], table=made["table"], made=made["Output"], same=same, numbers=made["numbers"]).output

@dsl.component
def listen(loud: Input[Dataset]) -> str:
    return open(loud.path + "/deep/file").read()

@dsl.pipeline
def shouted(text: str) -> str:
    return listen(loud=shout(one=write(text=text).outputs["one"]).outputs["loud"]).output
"""


@pytest.fixture(scope="module")
def store(steps_reach: str) -> Iterator[S3]:
    with running_s3(steps_reach) as server:
        yield server


@pytest.fixture(scope="module")
def host(start_host: StartHost, store: S3) -> Iterator[RunningHost]:
    with start_host({**store.environ, "KEDGE_ARTIFACTS": "s3://bucket/kedge"}) as kedge:
        yield kedge


def place(kedge: RunningHost) -> str:
    """Below which address's path its artifacts lie: on a cluster each namespace has its own."""
    return f"kedge/{namespace_of(kedge)}" if kedge.options else "kedge"


def submit(kedge: RunningHost, pipeline: str, **parameters: Any) -> str:
    source = kedge.home / "pipeline.py"
    source.write_text(PIPELINE)
    return kedge.client.run(compile_file(source, pipeline_name=pipeline), parameters=parameters, cache=False)["run_id"]


def rooted(kedge: RunningHost, root: str) -> Document:
    """A pipeline with a root of its own."""
    source = kedge.home / "pipeline.py"
    source.write_text(PIPELINE.replace("@dsl.pipeline\ndef small", f"@dsl.pipeline(pipeline_root={root!r})\ndef small"))
    return compile_file(source, pipeline_name="small")


def until(seen: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.02)


def ended(kedge: RunningHost, run: str) -> dict[str, Any]:
    """The run, once it is over."""
    until(lambda: kedge.client.get(run).get("finished_at"), f"run {run} has not ended")
    return kedge.client.get(run)


def why(kedge: RunningHost, run: str) -> str:
    """What a failed assertion shows."""
    failed = [task["task_id"] for task in kedge.client.tasks(run) if task["state"] == "FAILED" and task["type"] == "RUNTIME"]
    logs = [f"{task}: {line}" for task in failed for line in kedge.client.logs(run, task)]
    return "\n".join([*logs, (kedge.home / "hub.log").read_text()[-2000:]])


def result(kedge: RunningHost, run: str, task: str) -> Any:
    found = ended(kedge, run)
    assert found["state"] == "SUCCEEDED", why(kedge, run)
    return kedge.client.task(run, task)["outputs"]["parameters"]["Output"]


def memory(kedge: RunningHost) -> int:
    """The most that the hub ever held, in MiB."""
    status = Path(f"/proc/{kedge.host.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) >> 10


def test_a_file_and_a_folder_go_through_the_store_and_come_back_as_they_were(host: RunningHost, store: S3) -> None:
    run = submit(host, "small", text="abc")
    one, found, last, third, *addresses = result(host, run, "read").split()
    assert (one, found, last, third) == ("abc", "121", "end", "abcabcabc")
    assert addresses == [f"s3://bucket/{place(host)}/small/{run}/write/0/{name}" for name in ("one", "many")]
    kept = store.folder / place(host) / "small" / run / "write" / "0"
    assert (kept / "one").read_text() == "abc"
    manifest = json.loads((kept / "many.manifest.json").read_text())
    assert len(manifest["files"]) == 121
    assert all((kept / "many" / member["path"]).stat().st_size == member["size"] for member in manifest["files"])
    assert not (host.home / "artifacts").exists()
    made = {each["name"]: each["artifact_id"] for each in host.client.artifacts(run)}
    end = host.client._http.get(f"/apis/v2beta1/artifacts/{made['one']}/content", headers={"Range": "bytes=-2"})
    assert (end.status_code, end.content, end.headers["content-range"]) == (206, b"bc", "bytes 1-2/3")


@pytest.mark.parametrize("runtime", ["", "installed"])
def test_what_a_step_renames_or_never_writes_is_found_by_the_next(
    host: RunningHost, store: S3, tmp_path: Path, runtime: str
) -> None:
    source = tmp_path / "pipeline.py"
    setting = "made = move().set_env_variable('KEDGE_KFP_RUNTIME', 'installed').outputs" if runtime else "made = move().outputs"
    source.write_text(PIPELINE.replace("made = move().outputs", setting))
    run = host.client.run(compile_file(source, pipeline_name="moved"), cache=False)["run_id"]
    assert result(host, run, "find") == "model.pickle part.csv made.csv part.csv 0.5"
    assert (store.folder / place(host) / "moved" / run / "move" / "0" / "table" / "part.csv").read_text() == "part.csv"


def test_a_pipelines_own_root_comes_before_the_hosts(host: RunningHost, store: S3) -> None:
    run = host.client.run(rooted(host, "s3://bucket/team-a"), cache=False)["run_id"]
    result(host, run, "read")
    assert (store.folder / "team-a" / "small" / run / "write" / "0" / "one").read_text() == "abc"


@pytest.mark.soak_on_a_cluster
def test_a_gibibyte_is_sent_in_parts_and_nobody_holds_it(host: RunningHost, store: S3) -> None:
    before = memory(host)
    run = submit(host, "large", mebibytes=1024)
    read = result(host, run, "read-big")
    assert read["size"] == 1 << 30
    assert read["peak"] < 160, "the step that fetched it held too much of it"
    assert memory(host) - before < 100, "the hub held too much of it"
    kept = store.folder / place(host) / "large" / run / "write-big" / "0" / "big"
    assert kept.stat().st_size == 1 << 30
    kept.unlink()


def test_what_was_changed_in_the_store_is_not_taken_for_what_was_committed(host: RunningHost, store: S3, shared: Path) -> None:
    marks = shared
    (marks / "go").touch()
    run = submit(host, "damaged", folder=str(marks))
    until(lambda: host.client.task(run, "hold")["state"] == "SUCCEEDED", "the step did not end")
    (store.folder / place(host) / "damaged" / run / "hold" / "0" / "one").write_text("lies")
    (marks / "changed").touch()
    assert ended(host, run)["state"] == "FAILED"
    assert "is not what was committed: its SHA-256 is" in str(host.client.task(run, "length"))


@pytest.mark.soak_on_a_cluster
def test_runs_wait_for_a_store_that_is_away_and_go_on(start_host: StartHost, store: S3, shared: Path) -> None:
    marks = shared
    with start_host({**store.environ, "KEDGE_ARTIFACTS": "s3://bucket/away"}) as kedge:
        first = submit(kedge, "held", folder=str(marks))
        until((marks / "written").exists, "the step did not write")
        store.kill()
        (marks / "go").touch()
        second = submit(kedge, "small")
        threading.Event().wait(AWAY)
        assert kedge.client.get(first)["state"] == kedge.client.get(second)["state"] == "RUNNING"
        store.start()
        assert result(kedge, first, "length") == 4
        assert result(kedge, second, "read").startswith("abc 121 end")
        for run in (first, second):
            assert all(len(task.get("attempts", [])) <= 1 for task in kedge.client.tasks(run)), "a step was run again"


@pytest.mark.soak_on_a_cluster
def test_an_upload_goes_on_where_it_was_interrupted(host: RunningHost, store: S3) -> None:
    run = submit(host, "large", mebibytes=256)
    until(lambda: list(store.folder.parent.rglob("*.sgwtmp*/multipart/*/*/[0-9]*")), "no part was stored")
    store.kill()
    store.start()
    assert result(host, run, "read-big")["size"] == 256 << 20
    assert len(host.client.task(run, "write-big")["attempts"]) == 1, "the step was run again"


def test_a_log_is_read_from_the_store_when_its_pod_is_gone(host: RunningHost, store: S3) -> None:
    run = submit(host, "small", text="told")
    result(host, run, "read")
    kept = store.folder / place(host) / "small" / run / "write" / "0" / "executor-logs"
    until(kept.exists, "the log was not copied")
    assert kept.read_text().endswith("Z writing told\n")  # with the time
    forget(host, POD)
    assert "".join(host.client.logs(run, "write")) == "writing told"
    assert host.cli("logs", run, "write", check=True).stdout.endswith("writing told\n")


def test_commands_of_any_image_find_and_leave_their_files_too(host: RunningHost, store: S3) -> None:
    run = submit(host, "shouted", text="hear")
    assert result(host, run, "listen") == "HEAR"
    kept = store.folder / place(host) / "shouted" / run / "shout" / "0"
    assert (kept / "loud" / "deep" / "file").read_text() == "HEAR"
    assert (kept / "loud.manifest.json").exists()


def test_a_manifest_that_names_a_file_outside_of_its_folder_is_refused(host: RunningHost, store: S3) -> None:
    member = {"path": "../../../outside", "size": 1, "sha256": "00"}
    (store.folder / "evil.manifest.json").write_text(json.dumps({"version": 1, "files": [member]}))
    run = submit(host, "foreign", uri="s3://bucket/evil")
    assert ended(host, run)["state"] == "FAILED"
    assert "names '../../../outside', which leaves it" in str(host.client.task(run, "length"))


def test_a_folder_that_kedge_did_not_write_is_imported_from_a_bucket_and_from_a_disk(
    host: RunningHost, store: S3, shared: Path, tmp_path: Path
) -> None:
    for folder in (store.folder / "theirs", shared / "theirs"):
        (folder / "deep").mkdir(parents=True)
        (folder / "a.csv").write_text("a")
        (folder / "deep" / "b ü.csv").write_text("b")
    for uri in ("s3://bucket/theirs", (shared / "theirs").as_uri()):
        run = submit(host, "counted", uri=uri)
        assert result(host, run, "count") == "a.csv deep/b ü.csv b"
        links = host.client.artifact_tasks(run_id=run, task_id="count")
        artifact = next(link["artifact_id"] for link in links if link["type"] == "TASK_OUTPUT_INPUT")
        target = tmp_path / uri.partition(":")[0]
        host.cli("artifacts", "get", artifact, str(target), check=True)
        assert (target / "deep" / "b ü.csv").read_text() == "b"
    (shared / "theirs" / "link").symlink_to(tmp_path)
    refused = host.cli("artifacts", "get", artifact, str(tmp_path / "again"))
    assert "is a link that leads out of the folder" in refused.stderr


def test_an_address_that_holds_two_dots_is_refused(host: RunningHost, tmp_path: Path) -> None:
    for uri in ("s3://bucket/theirs/../kedge", f"file://{tmp_path}/a/../b"):
        run = submit(host, "foreign", uri=uri)
        assert ended(host, run)["state"] == "FAILED"
        assert "'..'" in str(host.client.tasks(run))


def test_a_runs_root_comes_before_its_pipelines_and_that_before_the_hosts_in_any_stores(
    host: RunningHost, store: S3, shared: Path
) -> None:
    source = shared / "pipeline.py"
    source.write_text(PIPELINE.replace('"ROOT"', repr(str(shared / "pipeline"))))
    (store.folder / "given").write_text("given")
    document = compile_file(source, pipeline_name="both")

    def one(uri: str, root: str | None) -> str:
        config = {"parameters": {"uri": uri, "text": "12345678"}, "pipeline_root": root}
        body = {"pipeline_spec": document.pipeline, "runtime_config": {name: value for name, value in config.items() if value}}
        headers = {"Authorization": f"Bearer {host.host.token}"}
        started = httpx.post(f"{host.host.http}/apis/v2beta1/runs?cache=false", json=body, headers=headers, timeout=60)
        assert started.is_success, started.text
        run = started.json()["run_id"]
        assert result(host, run, "length") > 4
        written = host.client.artifact_tasks(run_id=run, task_id="write")
        return str(host.client.artifact(written[0]["artifact_id"])["uri"]).rpartition("/")[0] + "/one"

    in_folder = one("s3://bucket/given", None)
    assert in_folder.removeprefix("file://").startswith(str(shared / "pipeline"))
    in_bucket = one(in_folder, "s3://bucket/of-the-run")
    assert in_bucket.startswith("s3://bucket/of-the-run/")
    assert one(in_bucket, str(shared / "run")).removeprefix("file://").startswith(str(shared / "run"))


def test_a_store_that_refuses_is_told_when_a_run_is_submitted(host: RunningHost) -> None:
    with pytest.raises(KedgeError, match="s3://no-such-bucket/x: the store cannot be used"):
        host.client.run(rooted(host, "s3://no-such-bucket/x"), cache=False)


def test_a_hosts_root_may_lie_below_tmp_though_steps_have_their_own(tmp_path: Path) -> None:
    with running_host({"KEDGE_ARTIFACTS": str(tmp_path / "root")}) as kedge:
        run = submit(kedge, "small")
        one, *_ = result(kedge, run, "read").split()
        assert one == "abc"
        assert (tmp_path / "root" / "small" / run / "write" / "0" / "one").read_text() == "abc"


@pytest.mark.skipif(sys.platform != "linux", reason="steps share /tmp elsewhere")
def test_what_is_imported_from_the_machines_tmp_is_refused_in_words_since_steps_do_not_see_it(
    host: RunningHost, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("a")
    run = host.client.wait(submit(host, "counted", uri=tmp_path.as_uri()))
    assert run["state"] == "FAILED"
    assert f"input '{tmp_path.as_uri()}': steps have a /tmp of their own and do not see the machine's." in run["error"]["message"]
