"""Logs of steps on a real host: followed over retries, over a host that goes and comes back, of all steps at once, and kept."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kedge.pipelines.client import Client
from kedge.pipelines.compiler import compile_file
from kedge.pipelines.step_log import lines
from kedge.testing.host import RunningHost

pytestmark = pytest.mark.timeout(180)

PIPELINE = """
from kedge import dsl

@dsl.component
def shaky(folder: str):
    import os, pathlib, time
    tries = pathlib.Path(folder, "tries")
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    number = len(tries.read_text())
    print(f"try {number}", flush=True)
    while not os.path.exists(f"{folder}/go {number}"):
        time.sleep(0.01)
    print(f"end {number}", flush=True)
    if number == 1:
        os._exit(1)

@dsl.component
def count(folder: str):
    import os, time
    for number in range(400):
        print(f"line {number}", flush=True)
        while number == 200 and not os.path.exists(f"{folder}/go 1"):
            time.sleep(0.01)
        time.sleep(0.002)

@dsl.component
def bar(folder: str):
    import os, sys
    sys.stdout.buffer.write(b" 10%|# | 1/10 [00:01<00:09]\\r 20%|## | 2/10 [00:02<00:08]\\r\\n")
    sys.stdout.buffer.write(bytes(set(range(256)) - {10}) + b"\\n")
    sys.stdout.buffer.write(b"x" * (10 << 20) + b"\\nlast\\n")

@dsl.component
def say(item: int):
    print(f"item {item}")

@dsl.pipeline
def retried(folder: str):
    shaky(folder=folder).set_retry(1, backoff_duration="0s")

@dsl.pipeline
def counted(folder: str):
    count(folder=folder)

@dsl.pipeline
def odd(folder: str):
    bar(folder=folder)

@dsl.pipeline
def looped(folder: str):
    first = shaky(folder=folder).set_retry(1, backoff_duration="0s")
    with dsl.ParallelFor([1, 2, 3]) as item:
        say(item=item).after(first)
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pipeline") / "pipeline.py"
    path.write_text(PIPELINE)
    return path


def submit(client: Client, file: Path, pipeline: str, folder: Path) -> str:
    document = compile_file(file, pipeline_name=pipeline)
    return str(client.run(document, parameters={"folder": str(folder)}, cache=False)["run_id"])


class Followed:
    """Lines as they come, in a thread."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self.lines: list[bytes] = []
        self._seen = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(lines,), daemon=True)
        self._thread.start()

    def _read(self, lines: Iterator[bytes]) -> None:
        for line in lines:
            with self._seen:
                self.lines.append(line)
                self._seen.notify_all()

    def until(self, line: bytes) -> None:
        with self._seen:
            assert self._seen.wait_for(lambda: line in self.lines, 60), self.lines[-20:]

    def end(self) -> list[bytes]:
        self._thread.join(60)
        assert not self._thread.is_alive(), self.lines[-20:]
        return self.lines


def test_a_followed_log_goes_on_into_the_retry(either_host: RunningHost, file: Path, shared: Path) -> None:
    run = submit(either_host.client, file, "retried", shared)
    address = f"{either_host.host.http}/apis/v2beta1/runs/{run}/tasks/shaky/logs"
    headers = {"Authorization": f"Bearer {either_host.host.token}"}

    def ask() -> Iterator[bytes]:
        with httpx.stream("GET", address, params={"follow": "true"}, headers=headers, timeout=120) as response:
            yield from lines(response)

    plain = Followed(ask())
    followed = Followed(either_host.client.log_lines(run, "shaky", follow=True))
    followed.until(b"try 1")
    plain.until(b"try 1")
    (shared / "go 1").touch()
    followed.until(b"try 2")
    (shared / "go 2").touch()
    shown = followed.end()
    assert [line for line in shown if line.startswith((b"try", b"end"))] == [b"try 1", b"end 1", b"try 2", b"end 2"]
    assert plain.end() == shown
    done = either_host.cli("logs", run, "shaky", "-f", "--attempt", "1", check=True)
    assert (b"end 2" in done.stdout.encode(), "end 1\n" in done.stdout) == (False, True)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_followed_log_goes_on_where_it_was_when_the_host_is_back(
    own_either_host: RunningHost, file: Path, shared: Path, end: str
) -> None:
    run = submit(own_either_host.client, file, "counted", shared)
    followed = Followed(own_either_host.client.log_lines(run, "count", follow=True))
    followed.until(b"line 100")
    getattr(own_either_host, end)()
    (shared / "go 1").touch()
    own_either_host.start()
    shown = [line for line in followed.end() if line.startswith(b"line ")]
    assert shown == [f"line {number}".encode() for number in range(400)]


def test_all_steps_of_a_run_are_followed_as_they_start(either_host: RunningHost, file: Path, shared: Path) -> None:
    run = submit(either_host.client, file, "looped", shared)
    command = [sys.executable, "-P", "-m", "kedge.cli.main", "logs", "-f", run]
    environ, pipe = either_host.environ, subprocess.PIPE
    with subprocess.Popen(command, env=environ, stdout=pipe, stderr=pipe, text=True) as following:
        assert following.stdout is not None
        assert following.stderr is not None
        try:
            begun = following.stdout.readline()
            (shared / "go 1").touch()
            (shared / "go 2").touch()
            shown, said = following.communicate(timeout=60)
        finally:
            following.kill()
    assert begun == "shaky | try 1\n"
    printed = shown.splitlines()
    assert [line for line in printed if line.startswith("shaky | ")][-2:] == ["shaky | try 2", "shaky | end 2"]
    assert sorted(line.partition(" | ")[2] for line in printed if "say" in line) == ["item 1", "item 2", "item 3"]
    assert said == "--- shaky: attempt 2 ---\n"
    assert following.returncode == 0


def test_odd_output_is_the_same_live_and_kept(either_host: RunningHost, file: Path, shared: Path) -> None:
    run = submit(either_host.client, file, "odd", shared)
    live = list(either_host.client.log_lines(run, "bar", follow=True))
    assert live[-1] == b"last"
    assert live[-2] == b"x" * (10 << 20)
    assert live[-3] == bytes(set(range(256)) - {10})
    bars = live[-4].removesuffix(b"\r")  # one before a line's end is taken away by containerd
    assert bars == b" 10%|# | 1/10 [00:01<00:09]\r 20%|## | 2/10 [00:02<00:08]"
    assert either_host.cli("logs", run, "bar", "--tail", "1", check=True).stdout == "last\n"
    assert " last\n" in either_host.cli("logs", run, "bar", "--tail", "1", "--timestamps", check=True).stdout
    assert either_host.cli("logs", run, "bar", "--since", "1h", "--tail", "1", check=True).stdout == "last\n"
    assert "--since" in either_host.cli("logs", run, "bar", "--since", "soon").stderr
