"""OpenLineage events of a whole host, to a real receiver that is away, comes back, and sees a host die in between."""

import json
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from environments import client_environment
from hosts import StartHost

from kedge.pipelines.compiler import compile_file

CLIENT = "openlineage-python==1.54.0"
KEY = "never-to-be-seen"
PATIENCE = 60.0

PIPELINE = """
from kedge import dsl
from kedge.dsl import Dataset, Input, Output

@dsl.component
def make(data: Output[Dataset]):
    import os
    assert not [name for name in os.environ if "OPENLINEAGE" in name], "a step sees the receiver's key"
    with open(data.path, "w") as file:
        file.write("data")

@dsl.component
def use(data: Input[Dataset], fail: bool):
    if fail:
        raise ValueError("it went wrong")

@dsl.pipeline
def told(fail: bool = False):
    made = make()
    with dsl.ParallelFor([1, 2]) as n:
        use(data=made.outputs["data"], fail=fail)
"""


class Receiver(ThreadingHTTPServer):
    """Takes events; away until `there` is set."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.there = True
        super().__init__(("127.0.0.1", 0), Taking)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def until(self, count: int, *, job: str = "", kind: str = "") -> list[dict[str, Any]]:
        """Wait for so many events, of a job and of a kind where these are named, and return those."""
        deadline = time.monotonic() + PATIENCE
        while len(found := [one for one in list(self.events) if _is(one, job, kind)]) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} events have come"
            threading.Event().wait(0.02)
        return found


def _is(event: dict[str, Any], job: str, kind: str) -> bool:
    return job in {"", event["job"]["name"]} and kind in {"", event["eventType"]}


class Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver = self.server
        assert isinstance(receiver, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.keys.add(self.headers.get("Authorization", ""))
        ok = receiver.there and self.path == "/api/v1/lineage"
        if ok:
            receiver.events.append(json.loads(body))
        self.send_response(201 if ok else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Say nothing."""


@contextmanager
def receiving() -> Generator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()


def kinds(events: list[dict[str, Any]], job: str) -> list[str]:
    return [event["eventType"] for event in events if event["job"]["name"] == job]


def test_runs_and_tasks_are_told_in_order_and_read_by_the_unmodified_client(start_host: StartHost, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.py"
    file.write_text(PIPELINE)
    with receiving() as receiver:
        environ = {"KEDGE_OPENLINEAGE_URL": receiver.url, "KEDGE_OPENLINEAGE_API_KEY": KEY}
        with start_host(environ) as kedge:
            run = json.loads(kedge.cli("run", str(file), "-o", "json", "--no-cache", check=True).stdout)
            events = receiver.until(8)
            assert (events[0]["eventType"], events[0]["job"]["name"]) == ("START", "told")
            assert (events[-1]["eventType"], events[-1]["job"]["name"]) == ("COMPLETE", "told")
            assert kinds(events, "told.make") == ["START", "COMPLETE"]
            assert sorted(kinds(events, "told.for-loop-1.use")) == ["COMPLETE", "COMPLETE", "START", "START"]
            made = next(event for event in events if event["job"]["name"] == "told.make" and event["eventType"] == "COMPLETE")
            (output,) = made["outputs"]
            where = "s3://bucket" if kedge.options else "file"
            assert (output["namespace"], output["outputFacets"]["outputStatistics"]["size"]) == (where, 4)
            assert "def make" in made["job"]["facets"]["sourceCode"]["sourceCode"]
            used = next(event for event in events if event["job"]["name"].endswith(".use"))
            assert used["inputs"][0]["name"] == output["name"]
            assert used["run"]["facets"]["parent"]["run"]["runId"] == run["run_id"]
            printed = kedge.cli("runs", "lineage", run["run_id"], "--output", "openlineage", check=True).stdout
            assert sorted(map(json.dumps, events)) == sorted(json.dumps(json.loads(line)) for line in printed.splitlines())

            failed = kedge.client.run(compile_file(file), parameters={"fail": True}, cache=False)
            kedge.client.wait(failed["run_id"])
            kedge.client.retry(failed["run_id"])
            kedge.client.wait(failed["run_id"])
            ended = receiver.until(2, job="told", kind="FAIL")
            assert len({event["run"]["runId"] for event in ended}) == 2
            assert "it went wrong" in str([event["run"]["facets"] for event in receiver.events])
            assert receiver.keys == {f"Bearer {KEY}"}
            assert KEY not in (kedge.home / "hub.log").read_text()
        python = client_environment("openlineage", [CLIENT])
        lines = "\n".join(map(json.dumps, receiver.events))
        script = Path(__file__).with_name("openlineage_reads.py")
        done = subprocess.run([python, str(script)], input=lines, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"events": len(receiver.events), "differences": []}


def test_a_receiver_that_is_away_delays_no_run_and_misses_nothing_even_when_the_host_is_killed(
    start_host: StartHost, tmp_path: Path
) -> None:
    file = tmp_path / "pipeline.py"
    file.write_text(PIPELINE)
    with receiving() as receiver:
        receiver.there = False
        with start_host({"KEDGE_OPENLINEAGE_URL": receiver.url}) as kedge:
            run = json.loads(kedge.cli("run", str(file), "-o", "json", "--no-cache", check=True).stdout)
            assert run["state"] == "SUCCEEDED"
            kedge.kill()
            kedge.start()
            receiver.there = True
            events = receiver.until(8)
        assert [events[0]["eventType"], events[-1]["eventType"]] == ["START", "COMPLETE"]
        assert len({(event["run"]["runId"], event["eventType"]) for event in events}) == 8


WAITING = """
from kedge import dsl

@dsl.component
def wait():
    import time
    while True:
        time.sleep(0.05)

@dsl.pipeline
def waiting():
    wait()
"""


def test_events_are_appended_to_a_file_and_a_canceled_run_is_told_as_aborted(start_host: StartHost, tmp_path: Path) -> None:
    file, target = tmp_path / "pipeline.py", tmp_path / "told" / "events.jsonl"
    file.write_text(WAITING)
    with start_host({"KEDGE_OPENLINEAGE_URL": target.as_uri()}) as kedge:
        run = kedge.client.run(compile_file(file), cache=False)["run_id"]

        def told() -> list[tuple[str, str]]:
            lines = target.read_text().splitlines() if target.exists() else []
            return [(event["job"]["name"], event["eventType"]) for event in map(json.loads, lines)]

        def until(count: int) -> list[tuple[str, str]]:
            deadline = time.monotonic() + PATIENCE
            while len(told()) < count:
                assert time.monotonic() < deadline, told()
                threading.Event().wait(0.02)
            return told()

        assert until(2) == [("waiting", "START"), ("waiting.wait", "START")]
        kedge.client.cancel(run)
        assert until(4)[2:] == [("waiting.wait", "ABORT"), ("waiting", "ABORT")]
