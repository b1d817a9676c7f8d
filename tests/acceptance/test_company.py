"""A host in bad company: a backup that locks its databases, a full disk, a clock set back, a crowd, a second host beside it."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from hosts import StartHost

from kedge import dsl
from kedge import host as hosts
from kedge.pipelines.compiler import compile_pipeline
from kedge.testing.host import RunningHost, running_host

LOCKED_SECONDS = 6.0
CROWD = 50
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@dsl.component
def add(n: int) -> int:
    return n + 1


@dsl.component
def slow(n: int) -> int:
    import time  # noqa: PLC0415  # a step imports what it needs

    time.sleep(0.3)  # noqa: TID251  # the run is to be under way
    return n + 1


@dsl.pipeline(name="chain")
def chain(n: int = 0) -> int:
    last = slow(n=n)
    for _ in range(5):
        last = slow(n=last.output)
    return last.output


@dsl.pipeline(name="one")
def one(n: int) -> int:
    return add(n=n).output


def result(kedge: RunningHost, run_id: str) -> Any:
    """Wait for a run, and return what the pipeline returned."""
    assert kedge.client.wait(run_id)["state"] == "SUCCEEDED"
    return next(task for task in kedge.client.tasks(run_id) if not task["id"])["outputs"]["parameters"]["Output"]


@contextlib.contextmanager
def small_disk(mebibytes: int) -> Generator[RunningHost]:
    """A host whose data directory is a file system of its own, on which little room is no news."""
    with running_host({"KEDGE_LEAST_DISK": str(1 << 20)}, start=False) as kedge:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "none", str(kedge.home)], check=True)
        try:
            kedge.start()
            yield kedge
        finally:
            if left := hosts.find(kedge.settings):
                hosts.stop(left)
            hosts.stop_supervisor(kedge.home)
            subprocess.run(["umount", "--lazy", str(kedge.home)], check=True)


def api(kedge: RunningHost) -> httpx.Client:
    return httpx.Client(
        base_url=f"{kedge.host.http}/apis/v2beta1",
        headers={"Authorization": f"Bearer {kedge.host.token}"},
        timeout=60,
        trust_env=False,
    )


@contextlib.contextmanager
def held(path: Path, how: str) -> Generator[None]:
    """Another program holds a database as a backup tool does, for some seconds."""
    program = (
        "import sqlite3, sys, time\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)\n"
        "db.execute('BEGIN ' + sys.argv[2]); print('held', flush=True)\n"
        f"time.sleep({LOCKED_SECONDS}); db.execute('ROLLBACK')"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path), how], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
    assert process.returncode == 0


LOCKS = pytest.mark.parametrize("how", ["EXCLUSIVE", "IMMEDIATE"])


@LOCKS
@pytest.mark.once_on_a_cluster
def test_a_backup_that_locks_the_history_loses_nothing(own_either_host: RunningHost, how: str) -> None:
    loses_nothing(own_either_host, "history.db", how)


@LOCKS
def test_a_backup_that_locks_the_object_store_loses_nothing(own_host: RunningHost, how: str) -> None:
    loses_nothing(own_host, "objects.db", how)


def loses_nothing(kedge: RunningHost, name: str, how: str) -> None:
    """What cannot be written now says when to try again; runs wait, and end right."""
    document = compile_pipeline(chain)
    before = kedge.client.run(document, parameters={"n": 1}, cache=False)["run_id"]
    accepted: list[str] = []
    refused: list[httpx.Response] = []
    body = {"pipeline_spec": document.pipeline, "runtime_config": {"parameters": {"n": 7}}}
    with api(kedge) as client, held(kedge.home / name, how):
        end = time.monotonic() + LOCKED_SECONDS - 1
        while time.monotonic() < end:
            answer = client.post("/runs", json=body)
            (accepted if answer.is_success else refused).append(answer.json()["run_id"] if answer.is_success else answer)  # type: ignore[arg-type]
            assert client.get(f"/runs/{before}").status_code == 200
    assert all(answer.status_code in {429, 503} and int(answer.headers["Retry-After"]) > 0 for answer in refused), [
        (answer.status_code, answer.text) for answer in refused
    ]
    assert result(kedge, before) == 7
    with api(kedge) as client:
        accepted.append(client.post("/runs", json=body).raise_for_status().json()["run_id"])
        assert sorted(run["run_id"] for run in client.get("/runs").json()["runs"]) == sorted([before, *accepted])
    for run in accepted:
        assert result(kedge, run) == 13
    assert "Traceback" not in (kedge.home / "hub.log").read_text()


def test_a_crowd_of_runs_submitted_at_once_all_end_right(own_either_host: RunningHost) -> None:
    crowd = 10 if own_either_host.options else CROWD  # a kubelet starts every Pod at once
    document = compile_pipeline(one).pipeline
    barrier = threading.Barrier(crowd)

    def submit(n: int) -> str:
        with api(own_either_host) as client:
            barrier.wait()
            body = {"pipeline_spec": document, "runtime_config": {"parameters": {"n": n}}}
            return client.post("/runs", json=body).raise_for_status().json()["run_id"]

    with ThreadPoolExecutor(crowd) as pool:
        runs = list(pool.map(submit, range(crowd)))
    assert len(set(runs)) == crowd
    assert [result(own_either_host, run) for run in runs] == list(range(1, crowd + 1))


def test_of_two_hosts_started_at_once_on_one_directory_one_serves(start_host: StartHost) -> None:
    """Whoever asks gets the one host; the one that came too late says who was first."""
    with start_host(start=False) as kedge:
        with ThreadPoolExecutor(4) as pool:
            found = {host.pid for host in pool.map(lambda _: hosts.start(kedge.settings, options=kedge.options), range(4))}
        assert len(found) == 1
        kedge.host = hosts.start(kedge.settings, options=kedge.options)
        assert {kedge.host.pid} == found
        second = kedge.cli("up", *kedge.options)
        assert second.returncode == 1
        assert f"{kedge.home}: another host uses this data directory (process {kedge.host.pid})" in second.stderr
        run = kedge.client.run(compile_pipeline(one), parameters={"n": 1})
        assert result(kedge, run["run_id"]) == 2


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root gives a host a disk of its own")
def test_a_full_disk_is_told_and_a_run_goes_on_when_there_is_room() -> None:
    with small_disk(48) as kedge:
        run_id = kedge.client.run(compile_pipeline(chain))["run_id"]
        with contextlib.suppress(OSError), (kedge.home / "ballast").open("wb", buffering=0) as file:
            while file.write(bytes(1 << 16)):
                pass
        assert "disk             full: runs wait" in kedge.cli("status").stdout
        (kedge.home / "ballast").unlink()
        assert result(kedge, run_id) == 6
        assert "disk" not in kedge.cli("status").stdout


@pytest.mark.skipif(FAKETIME is None, reason="the clock is set back by libfaketime (Debian's package faketime)")
def test_a_clock_set_back_an_hour_ends_runs_as_ever(own_either_host: RunningHost) -> None:
    """The hub comes back an hour earlier: what runs goes on, what is new runs, and no duration is negative."""
    before = own_either_host.client.run(compile_pipeline(chain), parameters={"n": 1}, cache=False)["run_id"]
    own_either_host.kill()
    back = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": "-1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    environ = own_either_host.settings.environ
    object.__setattr__(own_either_host.settings, "environ", {**environ, **back})
    own_either_host.start()
    try:
        assert result(own_either_host, before) == 7
        after = own_either_host.client.run(compile_pipeline(chain), parameters={"n": 1}, cache=False)["run_id"]
        assert result(own_either_host, after) == 7
        with api(own_either_host) as client:
            listed = client.get("/runs").json()["runs"]
        assert {run["run_id"] for run in listed} == {before, after}
        assert all(run["finished_at"] >= run["created_at"] for run in listed if run["run_id"] == after)
    finally:
        object.__setattr__(own_either_host.settings, "environ", environ)
        own_either_host.stop()
        own_either_host.start()
    assert {own_either_host.client.get(run)["state"] for run in (before, after)} == {"SUCCEEDED"}
