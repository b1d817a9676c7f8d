"""The command line against a real host."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
from hosts import StartHost

from kedge import host as hosts
from kedge.testing.host import RunningHost, running_host

PIPELINE = """
from kedge import dsl

@dsl.component
def double(n: int) -> int:
    print(f"doubling {n}")
    return 2 * n

@dsl.component
def fail(text: str):
    print("about to fail")
    raise ValueError(text)

@dsl.component
def wait():
    import time
    time.sleep(600)

@dsl.pipeline
def good(n: int = 20, items: list = [1, 2, 3]) -> int:
    first = double(n=n)
    with dsl.ParallelFor(items) as item:
        double(n=item)
    return double(n=first.output).output

@dsl.pipeline
def bad(text: str = "on purpose"):
    fail(text=text)

@dsl.pipeline
def slow():
    wait()
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pipeline") / "pipeline.py"
    path.write_text(PIPELINE)
    return path


def test_status_gives_scripts_what_they_need(either_host: RunningHost) -> None:
    shown = json.loads(either_host.cli("status", "-o", "json", check=True).stdout)
    assert shown["running"] is True
    assert {"http", "https", "token", "kubeconfig", "dataDir", "pid", "version"} <= shown.keys()
    assert shown["dataDir"] == str(either_host.home)
    assert Path(shown["kubeconfig"]).stat().st_mode & 0o777 == 0o600


def test_status_says_what_becomes_of_limits(either_host: RunningHost) -> None:
    limits = json.loads(either_host.cli("status", "-o", "json", check=True).stdout)["limits"]
    assert limits == (either_host.home / "node" / "limits").read_text()
    assert f"limits of steps  {limits}" in either_host.cli("status", check=True).stdout


def test_up_says_that_a_host_runs_already(either_host: RunningHost) -> None:
    result = either_host.cli("up", "--detach", *either_host.options)
    assert result.returncode == 0
    assert f" already runs in {either_host.home}, process {either_host.host.pid}." in result.stdout


def test_a_second_host_in_the_directory_is_refused_by_name(either_host: RunningHost) -> None:
    result = either_host.cli("up", *either_host.options)
    assert result.returncode == 1
    assert f"kedge: {either_host.home}: another host uses this data directory (process {either_host.host.pid})" in result.stderr


def test_a_port_in_use_is_an_error_that_names_it(start_host: StartHost, reached_at: str) -> None:
    with socket.create_server((reached_at, 0)) as taken, start_host(start=False) as kedge:
        port = taken.getsockname()[1]
        result = kedge.cli("up", "--detach", "--http-port", str(port), *kedge.options)
    assert result.returncode == 1
    assert str(port) in result.stderr
    assert "--http-port" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_run_is_followed_in_lines_where_there_is_no_terminal(either_host: RunningHost, file: Path) -> None:
    result = either_host.cli("run", str(file), "--pipeline", "good", "--param", "n=4")
    assert result.returncode == 0, result.stderr
    told = {tuple(line.split()[1:3]) for line in result.stdout.splitlines() if re.match(r"\d\d:\d\d:\d\d  ", line)}
    assert ("SUCCEEDED", "double") in told
    assert ("SUCCEEDED", "for-loop-1.2.double-2") in told
    assert result.stdout.endswith("\nOutputs\n  Output  16\n")


def test_a_run_as_json_is_one_document_for_scripts(either_host: RunningHost, file: Path) -> None:
    result = either_host.cli("run", str(file), "--pipeline", "good", "--param", "n=5", "-o", "json")
    assert result.returncode == 0, result.stderr
    run = json.loads(result.stdout)
    assert run["state"] == "SUCCEEDED"
    assert next(task for task in run["tasks"] if task["id"] == "")["outputs"]["parameters"] == {"Output": 20}


def test_a_failed_run_exits_1_and_shows_the_steps_error_and_last_lines(either_host: RunningHost, file: Path) -> None:
    result = either_host.cli("run", str(file), "--pipeline", "bad", "--name", "failing")
    assert result.returncode == 1
    assert "fail failed" in result.stderr
    assert "ValueError: on purpose" in result.stderr
    assert "| about to fail" in result.stderr
    line = next(n for n, text in enumerate(PIPELINE.splitlines(), 1) if "raise ValueError" in text)
    assert result.stderr.count(f'File "pipeline.py", line {line}, in fail') == 1
    again = either_host.cli("runs", "show", "failing")
    assert "ValueError: on purpose" in again.stderr + again.stdout


def test_a_bad_parameter_is_refused_before_anything_starts(either_host: RunningHost, file: Path) -> None:
    result = either_host.cli("run", str(file), "--pipeline", "good", "--param", "m=4")
    message = "kedge: --param m: pipeline 'good' has no such parameter. It has: n, items.\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", message)


def test_runs_are_listed_cancelled_and_deleted(either_host: RunningHost, file: Path) -> None:
    run_id = either_host.cli("run", str(file), "--pipeline", "slow", "--name", "slow one", "--no-wait", check=True).stdout.strip()
    assert run_id in either_host.cli("runs", "list", check=True).stdout
    either_host.cli("cancel", run_id, check=True)
    shown = either_host.cli("runs", "show", run_id, "--follow", "-o", "json", check=True)
    assert json.loads(shown.stdout)["state"] == "CANCELED"
    assert either_host.cli("cancel", run_id, check=True).stdout == "slow one is over already: CANCELED.\n"
    either_host.cli("runs", "delete", run_id, check=True)
    assert run_id not in either_host.cli("runs", "list", check=True).stdout


def test_logs_are_printed_by_step_and_for_all(either_host: RunningHost, file: Path) -> None:
    either_host.cli("run", str(file), "--pipeline", "good", "--name", "logged", "--no-cache", check=True)
    assert either_host.cli("logs", "logged", "double", check=True).stdout == "doubling 20\n"
    assert "for-loop-1.0.double-2 | doubling 1\n" in either_host.cli("logs", "logged", check=True).stdout
    missing = either_host.cli("logs", "logged", "treble")
    assert missing.returncode == 1
    assert "has no task 'treble'. It has: double, " in missing.stderr


GATED = """
from kedge import dsl

@dsl.component
def gate(folder: str):
    import pathlib
    import time
    print("waiting", flush=True)
    while not pathlib.Path(folder, "go").exists():
        time.sleep(0.05)
    tried = pathlib.Path(folder, "tried")
    if not tried.exists():
        tried.touch()
        raise ValueError("once")
    print("second try")

@dsl.component
def behind():
    print("behind it")

@dsl.pipeline
def gated(folder: str):
    behind().after(gate(folder=folder).set_retry(1))
"""


@pytest.mark.parametrize("steps", ["gate", ""])
def test_logs_are_followed_over_tries_and_over_steps_that_start_later(
    either_host: RunningHost, steps: str, shared: Path, tmp_path: Path
) -> None:
    path = tmp_path / "gated.py"
    path.write_text(GATED)
    started = either_host.cli("run", str(path), "--param", f"folder={shared}", "--no-cache", "--no-wait", check=True)
    run_id = started.stdout.strip()
    process = following(either_host, "logs", "-f", run_id, *([steps] if steps else []))
    until(process, "waiting")
    (shared / "go").touch()
    out, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert "ValueError: once" in out
    assert "second try" in out
    assert ("behind | behind it" in out) is (not steps)
    asked = either_host.cli("logs", run_id, "gate", "--attempt", "3")
    assert asked.stderr == "kedge: gate has been tried 2 times: it has no attempt 3.\n"


def test_debug_runs_a_step_again_with_its_inputs(either_host: RunningHost, file: Path) -> None:
    either_host.cli("run", str(file), "--pipeline", "bad", "--name", "to debug", "--param", "text=look closer")
    result = either_host.cli("debug", "to debug", "fail", "--no-debugger")
    assert result.returncode == 1
    assert "about to fail" in result.stdout
    assert "ValueError: look closer" in result.stderr


def test_pipelines_are_stored_under_their_name(either_host: RunningHost, file: Path) -> None:
    either_host.cli("pipelines", "upload", str(file), "--pipeline", "good", check=True)
    either_host.cli("pipelines", "upload", str(file), "--pipeline", "good", check=True)
    assert len(json.loads(either_host.cli("pipelines", "show", "good", "-o", "json", check=True).stdout)["versions"]) == 2
    either_host.cli("pipelines", "delete", "good", check=True)
    left = json.loads(either_host.cli("pipelines", "list", "-o", "json", check=True).stdout)
    assert "good" not in [each["name"] for each in left]


def test_compile_writes_what_run_reads(either_host: RunningHost, file: Path, tmp_path: Path) -> None:
    target = tmp_path / "good.yaml"
    either_host.cli("compile", str(file), "--pipeline", "good", "-o", str(target), check=True)
    result = either_host.cli("run", str(target), "--param", "n=7", "-o", "json")
    assert json.loads(result.stdout)["state"] == "SUCCEEDED", result.stderr
    os.mkfifo(pipe := tmp_path / "pipe")
    Thread(target=pipe.write_bytes, args=(target.read_bytes(),), daemon=True).start()
    piped = either_host.cli("run", str(pipe), "--param", "n=8")
    assert piped.stdout.endswith("\nOutputs\n  Output  32\n"), piped.stderr


def test_run_starts_a_host_and_down_stops_it_with_its_steps(file: Path) -> None:
    with running_host(start=False) as kedge:
        result = kedge.cli("run", str(file), "--pipeline", "slow", "--no-wait")
        assert "Started a host in" in result.stderr
        status = json.loads(kedge.cli("status", "-o", "json", check=True).stdout)
        assert "has stopped, and its steps with it" in kedge.cli("down", check=True).stdout
        assert kedge.cli("status").returncode == 1
        listed = subprocess.run(["ps", "-eo", "pid,args"], check=True, capture_output=True, text=True).stdout
        assert str(kedge.home) not in listed
        assert hosts.wait_for_exit(status["pid"], 0)


def following(kedge: RunningHost, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "kedge.cli.main", *arguments],
        env=kedge.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(process: "subprocess.Popen[str]", text: str) -> None:
    """Read what a command prints until a line has the text; a command that ends before is a failure."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"it ended without {text!r}: {process.stderr.read() if process.stderr else ''}")


def test_ctrl_c_cancels_the_run_that_is_followed(either_host: RunningHost, file: Path) -> None:
    process = following(either_host, "run", str(file), "--pipeline", "slow", "--name", "interrupted")
    until(process, "RUNNING    wait")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Cancelling. Press Ctrl-C again to leave without waiting." in told
    assert told.rstrip().endswith("The run was cancelled.")


def test_ctrl_c_while_the_demo_starts_leaves_nothing_and_the_next_demo_starts() -> None:
    with running_host(start=False) as kedge:
        for awaited in ("hub.log", "host.json"):  # a host that is not ready yet, and one that is
            process = following(kedge, "demo")
            deadline = time.monotonic() + 60
            while not (kedge.home / "demo" / awaited).exists() and process.poll() is None:
                assert time.monotonic() < deadline, f"no {awaited} in time"
                select.select([], [], [], 0.005)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
            assert process.returncode in {130, 1}, told
            assert "Traceback" not in told
            assert "is not the data directory of an earlier demo" not in told
            assert str(kedge.home) not in subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout


def test_ctrl_c_leaves_a_run_alone_that_is_only_looked_at(either_host: RunningHost, file: Path) -> None:
    either_host.cli("run", str(file), "--pipeline", "slow", "--name", "watched", "--no-wait", check=True)
    process = following(either_host, "runs", "show", "watched", "--follow")
    until(process, "RUNNING    wait")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(either_host.cli("runs", "show", "watched", "-o", "json", check=True).stdout)["state"] == "RUNNING"
    either_host.cli("cancel", "watched", check=True)


def test_following_a_run_outlives_the_host(own_either_host: RunningHost, tmp_path: Path) -> None:
    path = tmp_path / "nap.py"
    path.write_text(PIPELINE.replace("time.sleep(600)", "time.sleep(4)"))
    process = following(own_either_host, "run", str(path), "--pipeline", "slow", "--no-cache")
    until(process, "RUNNING    wait")
    own_either_host.kill()
    own_either_host.start()
    out, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert "SUCCEEDED  wait" in out


def test_following_says_that_it_waits_for_a_host_that_was_taken_down(own_either_host: RunningHost, tmp_path: Path) -> None:
    path = tmp_path / "nap.py"
    path.write_text(PIPELINE.replace("time.sleep(600)", "time.sleep(2)"))
    process = following(own_either_host, "run", str(path), "--pipeline", "slow", "--no-cache")
    until(process, "RUNNING    wait")
    own_either_host.cli("down", check=True)
    assert process.stderr is not None
    told = process.stderr.readline()
    assert re.search(
        r"does not answer. Waiting up to 120 s until it is back: `kedge up( --context \S+)? --detach` starts it\.", told
    )
    own_either_host.start()
    out, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert "The host is back." in told
    assert "SUCCEEDED  wait" in out


def test_a_host_that_runs_other_code_is_named_in_place_of_a_traceback(own_either_host: RunningHost, file: Path) -> None:
    described = own_either_host.home / "host.json"
    known = json.loads(described.read_text())
    described.write_text(json.dumps({**known, "build": "of another day"}))
    own_either_host.cli("status", check=True)
    # A client of this code reads what a host of that day answered.
    changed = "from kedge.display.tasks import TaskView; from kedge.cli.main import main; import sys; TaskView.from_json = None; "
    done = subprocess.run(
        [sys.executable, "-c", changed + "sys.exit(main())", "run", str(file), "--pipeline", "good"],
        env=own_either_host.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "The host runs other code than this command" in done.stderr
    assert "`kedge down --keep-steps`, then `kedge up --detach`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_host_in_the_foreground_stops_cleanly(start_host: StartHost) -> None:
    with start_host(start=False) as kedge:
        process = following(kedge, "up", *kedge.options)
        assert process.stderr is not None
        assert any("ready" in line for line in process.stderr)
        assert kedge.cli("status").returncode == 0
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert not (kedge.home / "host.json").exists()


def test_kedge_run_in_a_script_needs_no_server(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import kedge\nfrom kedge import dsl\n\n"
        "@dsl.component\ndef add(a: int, b: int) -> int:\n    return a + b\n\n"
        "run = kedge.run(add, a=2, b=3)\n"
        "print('RESULT', run.state, run.outputs, sorted(run.tasks))\n"
        "assert run._repr_html_().count('<svg') == 1\n"
    )
    with running_host(start=False) as kedge:
        done = subprocess.run(
            [sys.executable, script], env=kedge.environ, check=False, capture_output=True, text=True, timeout=100
        )
    assert done.returncode == 0, done.stderr
    assert "RESULT SUCCEEDED {'Output': 5} ['', 'add']" in done.stdout
