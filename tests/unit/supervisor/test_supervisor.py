"""The supervisor's promises, with real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.supervisor.conftest import PATIENCE, Client, wait_until

from kedge.node import sockets
from kedge.supervisor import identity
from kedge.supervisor.records import Records

linux = pytest.mark.skipif(sys.platform != "linux", reason="mount namespaces and /proc are Linux'")

# One that does not look for itself whether it has anything to do, as it does once after its start.
_PATIENT = (
    "import sys; from kedge.supervisor import server, __main__; server._FIRST_CONNECTION_SECONDS = 3600; "
    "sys.exit(__main__.main(sys.argv[1:]))"
)


def test_a_container_runs_and_its_exit_is_told(supervisor: Client) -> None:
    """Start, output, exit code: the whole way."""
    ended = supervisor.run("u/main/0", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (ended["code"], ended["signal"], ended["reason"], ended["how"]) == (3, 0, "Error", "exec")
    assert sorted(supervisor.log("u/main/0")) == ["stderr F err", "stdout F out"]


def test_what_a_container_and_its_children_used_is_told_with_its_end(supervisor: Client) -> None:
    burn = "import time\ntaken = b'x' * (80 << 20)\nwhile time.process_time() < 0.2: pass"
    ended = supervisor.run(
        "u/main/0", sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    )
    assert ended["cpuSeconds"] >= 0.2
    assert ended["peakMemory"] >= 80 << 20


def test_the_exit_is_on_disk_before_it_is_told(supervisor: Client) -> None:
    """A hub that dies on hearing it finds it there."""
    supervisor.run("u/main/0", "true")
    [*_, record] = [json.loads(line) for line in (supervisor.directory / "containers.jsonl").read_text().splitlines()]
    assert (record["state"], record["code"], record["reason"]) == ("exited", 0, "Completed")


def test_an_exit_is_kept_until_it_is_forgotten(supervisor: Client) -> None:
    supervisor.run("u/main/0", "true")
    assert [record["id"] for record in supervisor.ask("list", op="list")["containers"]] == ["u/main/0"]
    supervisor.send(op="forget", id="u/main/0")
    assert supervisor.ask("list", op="list")["containers"] == []
    assert Records(str(supervisor.directory / "containers.jsonl")).all() == []


def test_a_second_start_of_one_id_starts_nothing(supervisor: Client) -> None:
    """An agent that asks again after a restart gets the answer that there is."""
    supervisor.run("u/main/0", "sh", "-c", "echo once")
    supervisor.run("u/main/0", "sh", "-c", "echo twice")
    assert supervisor.output("u/main/0") == "once\n"


def test_a_killed_container_says_which_signal(supervisor: Client) -> None:
    ended = supervisor.run("u/main/0", "sh", "-c", "kill -9 $$")
    assert (ended["code"], ended["signal"]) == (137, 9)


@pytest.mark.parametrize(
    ("argv", "spec", "message"),
    [
        pytest.param(["no-such-program"], {}, "no-such-program: no such program in PATH=", id="no program"),
        pytest.param(["/etc/passwd"], {}, "/etc/passwd: Permission denied", id="not executable"),
        pytest.param(["echo", "a\0b"], {}, "echo: embedded null byte", id="a zero byte among the arguments"),
        pytest.param(
            ["true"], {"env": {"PATH": os.defpath, "A": "\0"}}, "true: embedded null byte", id="a zero byte in a variable"
        ),
        pytest.param(["true"], {"cwd": "/no/such/place"}, "workingDir /no/such/place: No such file", id="no working directory"),
    ],
)
def test_what_cannot_start_says_why(supervisor: Client, argv: list[str], spec: dict[str, Any], message: str) -> None:
    ended = supervisor.run("u/main/0", *argv, **spec)
    assert (ended["code"], ended["reason"]) == (128, "StartError")
    assert message in ended["message"]


def test_stopping_asks_first_and_kills_after_the_grace_period(supervisor: Client) -> None:
    """SIGTERM, or what the container names, to its first process; SIGKILL to those that do not listen."""
    supervisor.start("u/polite/0", "sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done")
    supervisor.start("u/deaf/0", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done")
    wait_until(lambda: "ready" in supervisor.output("u/polite/0") + " " and "ready" in supervisor.output("u/deaf/0"))
    supervisor.send(op="stop", id="u/polite/0", grace=60)
    assert supervisor.hear("exited", "u/polite/0")["code"] == 7
    number = int(signal.SIGUSR1)
    supervisor.start("u/own/0", "sh", "-c", "trap 'exit 9' USR1; echo ready; while :; do sleep 0.01; done", stop=number)
    wait_until(lambda: "ready" in supervisor.output("u/own/0"))
    supervisor.send(op="stop", id="u/own/0", grace=60)
    assert supervisor.hear("exited", "u/own/0")["code"] == 9
    supervisor.send(op="stop", id="u/deaf/0", grace=0.1)
    assert supervisor.hear("exited", "u/deaf/0")["signal"] == signal.SIGKILL


@linux
def test_nothing_of_a_container_is_left_after_its_end(supervisor: Client) -> None:
    """Neither its process group nor what has left it with setsid."""
    script = "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; sleep 0.2"
    supervisor.run("u/main/0", "sh", "-c", script)
    pids = [int(line) for line in supervisor.output("u/main/0").split()]
    assert len(pids) == 2
    wait_until(lambda: not any(identity.start_time(pid) for pid in pids))


@linux
def test_what_is_hidden_is_not_seen_but_for_what_stays(supervisor: Client, tmp_path: Path) -> None:
    """Whatever it is called: a link to it leads to the same."""
    if supervisor.hello["view"]:
        pytest.skip(supervisor.hello["view"])
    top = supervisor.directory.parent / "data"
    for name in ("kept/deep", "other", "mounted"):
        (top / name).mkdir(parents=True)
        (top / name / "file").write_text(f"{name}\n")
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "file").write_text("volume\n")
    (top.parent / "link").symlink_to(top)
    supervisor.run(
        "u/main/0",
        "sh",
        "-c",
        f"cd {top}; find . -type f; cat {top.parent}/link/mounted/file; touch x; touch kept/x && echo made",
        hidden=[{"path": str(top.parent / "link"), "but": [str(top / "kept"), str(top / "kept" / "deep"), str(top / "none")]}],
        mounts=[{"source": str(tmp_path / "volume"), "target": str(top / "mounted"), "readonly": False}],
        keep=[str(supervisor.directory.parent), str(tmp_path), sys.prefix],
    )
    said = [line for line in supervisor.output("u/main/0").splitlines() if not line.startswith("touch")]
    assert sorted(said) == ["./kept/deep/file", "./mounted/file", "made", "volume"]
    assert ((top / "x").exists(), (top / "kept" / "x").exists()) == (False, True)


@linux
def test_a_daemon_of_a_container_that_runs_is_left_alone(supervisor: Client) -> None:
    """Only the end of its own container ends it."""
    supervisor.start("u/keeper/0", "sh", "-c", "(setsid sleep 1000 & echo $!); sleep 1000")
    wait_until(lambda: supervisor.output("u/keeper/0").strip())
    daemon = int(supervisor.output("u/keeper/0"))
    supervisor.run("u/other/0", "sh", "-c", "setsid sleep 1000 & sleep 0.1")
    assert identity.start_time(daemon)
    supervisor.send(op="stop", id="u/keeper/0", grace=0)
    supervisor.hear("exited", "u/keeper/0")
    wait_until(lambda: not identity.start_time(daemon))


def test_fifty_megabytes_of_output_do_not_hurt(supervisor: Client) -> None:
    """All of it is read, kept within the limit, and the end is kept."""
    line = "x" * 99
    # A shell's, because an interpreter below /tmp would be hidden by the container's own.
    program = f"yes {line} | head -c 50000000; echo; echo the end"
    ended = supervisor.run("u/main/0", "sh", "-c", program)
    assert ended["code"] == 0
    place = supervisor.place("u/main/0")
    assert sum(path.stat().st_size for path in place.glob("log*")) <= 1 << 20
    assert supervisor.log("u/main/0")[-1] == "stdout F the end"


@linux
class TestItsOwnView:
    """What a container sees of the file system."""

    def test_tmp_is_its_own(self, supervisor: Client) -> None:
        supervisor.run("a/main/0", "sh", "-c", "echo a > /tmp/file; ls /tmp/file")
        supervisor.run("b/main/0", "sh", "-c", "ls /tmp/file")
        assert "No such file" in supervisor.output("b/main/0")
        assert (supervisor.place("a/main/0") / "tmp" / "file").read_text() == "a\n"

    @pytest.mark.parametrize(
        "target",
        ["/kedge/code", "/data", "/var/run/secrets/kedge.dev", "/usr/share/kedge-test/deep/er", "/tmp/inside"],  # noqa: S108
    )
    def test_a_mount_path_need_not_exist_on_the_machine(self, supervisor: Client, tmp_path: Path, target: str) -> None:
        """And making it leaves no trace on the machine."""
        source = tmp_path / "source"
        source.mkdir()
        (source / "file").write_text("seen")
        mounts = [{"source": str(source), "target": target, "readonly": True}]
        ended = supervisor.run("u/main/0", "sh", "-c", f"cat {target}/file; echo; echo x > {target}/other", mounts=mounts)
        assert "stdout F seen" in supervisor.log("u/main/0")
        assert "Read-only file system" in supervisor.output("u/main/0")
        assert ended["code"] != 0
        assert not Path(target).exists()

    def test_what_one_container_is_given_leaves_no_trace_in_others(self, supervisor: Client, tmp_path: Path) -> None:
        """Clients take the directory for a sign that they are in a Pod that may ask the API."""
        targets = ["/var/run/secrets/kedge.dev", "/var/run/secrets/kubernetes.io/serviceaccount"]
        mounts: list[dict[str, object]] = []
        for target in targets:
            source = tmp_path / target.rpartition("/")[2]
            source.mkdir()
            (source / "file").write_text("seen")
            mounts.append({"source": str(source), "target": target, "readonly": True})
        script = f"cat {targets[0]}/file {targets[1]}/file; echo; ls -d /var/run/secrets/k*"
        supervisor.run("u/main/0", "sh", "-c", script, mounts=mounts)
        assert "stdout F seenseen" in supervisor.log("u/main/0")
        supervisor.run("v/main/0", "sh", "-c", "ls -d /var/run/secrets/kubernetes.io", mounts=mounts[:1])
        assert "No such file" in supervisor.output("v/main/0")

    def test_a_file_can_be_mounted(self, supervisor: Client, tmp_path: Path) -> None:
        """The termination message, where the machine has no such file."""
        message = tmp_path / "message"
        message.touch()
        mounts = [{"source": str(message), "target": "/dev/termination-log"}]
        supervisor.run("u/main/0", "sh", "-c", "echo done > /dev/termination-log; echo x > /dev/null", mounts=mounts)
        assert message.read_text() == "done\n"

    def test_the_rest_of_usr_is_still_there_beside_a_new_mount(self, supervisor: Client, tmp_path: Path) -> None:
        (tmp_path / "source").mkdir()
        mounts = [{"source": str(tmp_path / "source"), "target": "/usr/kedge-test"}]
        supervisor.run("u/main/0", "sh", "-c", "ls /usr/kedge-test /usr/bin/env", mounts=mounts)
        assert "/usr/bin/env" in supervisor.output("u/main/0")

    def test_a_readonly_root_cannot_be_written_but_tmp_can(self, supervisor: Client) -> None:
        script = "for p in / /etc /usr /var/tmp; do touch $p/kedge-test 2>/dev/null && echo $p; done; touch /tmp/x && echo tmp"
        supervisor.run("u/main/0", "sh", "-c", script, readonly=True)
        assert supervisor.output("u/main/0") == "tmp\n"

    def test_a_mount_that_cannot_be_made_says_which(self, supervisor: Client) -> None:
        ended = supervisor.run("u/main/0", "true", mounts=[{"source": "/no/such/source", "target": "/x"}])
        assert (ended["reason"], ended["message"]) == (
            "StartError",
            "mountPath /x: mount /no/such/source on /x: No such file or directory",
        )


def test_a_secret_is_masked(supervisor: Client) -> None:
    """Also where it is printed in two pieces."""
    log = {"path": str(supervisor.place("u/main/0") / "log"), "limit": 1 << 20, "masks": ["hunter2-hunter2"]}
    supervisor.run("u/main/0", "sh", "-c", "printf 'a hunter2'; sleep 0.05; echo '-hunter2 b'; echo done", log=log)
    assert supervisor.output("u/main/0") == "a *** b\ndone\n"


class TestItOutlivesOthers:
    """The hub may die, and so may the supervisor."""

    def test_the_end_of_the_hub_ends_no_container(self, supervisor: Client) -> None:
        started = supervisor.start("u/main/0", "sh", "-c", "sleep 1000")
        supervisor.close()
        supervisor.connect()
        [record] = supervisor.hello["containers"]
        assert (record["id"], record["pid"], record["start"]) == ("u/main/0", started["pid"], started["start"])
        assert identity.is_running(record["pid"], record["start"])

    def test_an_exit_while_nobody_listens_is_told_later(self, supervisor: Client) -> None:
        started = supervisor.start("u/main/0", "sh", "-c", "sleep 0.1; exit 5")
        supervisor.close()
        wait_until(lambda: not identity.start_time(started["pid"]))
        supervisor.connect()
        [record] = supervisor.hello["containers"]
        assert (record["state"], record["code"]) == ("exited", 5)

    def test_it_ends_by_itself_when_it_has_nothing_to_do(self, supervisor: Client) -> None:
        supervisor.close()
        wait_until(lambda: not identity.start_time(supervisor.pid))
        assert not (supervisor.directory / "supervisor.sock").exists()
        supervisor.connect()

    def test_a_second_supervisor_of_one_directory_does_not_start(self, supervisor: Client) -> None:
        first = supervisor.pid
        other = Client(supervisor.directory)
        assert other.pid == first
        other.close()

    def test_one_that_was_just_started_waits_for_who_started_it_whoever_looks_in_before(self, tmp_path: Path) -> None:
        """A second starter looks whether somebody listens, and leaves without a word."""
        subprocess.run([sys.executable, "-m", "kedge.supervisor", "--dir", str(tmp_path)], check=True)
        with socket.socket(socket.AF_UNIX) as looks:
            looks.settimeout(PATIENCE)
            sockets.connect(looks, tmp_path, "supervisor.sock")
            looks.shutdown(socket.SHUT_WR)
            assert looks.recv(1) == b""  # it has noticed
        with socket.socket(socket.AF_UNIX) as starter:
            starter.settimeout(PATIENCE)
            sockets.connect(starter, tmp_path, "supervisor.sock")
            starter.sendall(b'{"op": "hello"}\n')
            assert b'"hello"' in starter.recv(1 << 16)

    @linux
    def test_without_a_hub_it_ends_with_the_last_container_that_it_has_found(self, supervisor: Client) -> None:
        started = supervisor.start("u/main/0", "sh", "-c", "sleep 1000")
        supervisor.kill_supervisor()
        subprocess.run([sys.executable, "-c", _PATIENT, "--dir", str(supervisor.directory)], check=True)
        supervisor.connect()
        supervisor.close()
        os.kill(started["pid"], signal.SIGKILL)
        wait_until(lambda: not identity.start_time(supervisor.pid))

    @linux
    def test_killed_and_started_anew_it_finds_its_containers(self, supervisor: Client) -> None:
        """The container goes on, its output too; how it ends cannot be known, and that is said."""
        started = supervisor.start(
            "u/main/0", "sh", "-c", "echo one; while [ ! -e /tmp/go ]; do sleep 0.01; done; echo two; exit 4"
        )
        wait_until(lambda: supervisor.log("u/main/0"))
        supervisor.kill_supervisor()
        assert identity.is_running(started["pid"], started["start"])
        supervisor.connect()
        [record] = supervisor.hello["containers"]
        assert (record["state"], record["pid"]) == ("running", started["pid"])
        (supervisor.place("u/main/0") / "tmp" / "go").touch()
        ended = supervisor.hear("exited", "u/main/0")
        assert (ended["code"], ended["reason"]) == (None, "Lost")
        assert supervisor.output("u/main/0") == "one\ntwo\n"

    @linux
    def test_containers_that_ended_meanwhile_are_lost(self, supervisor: Client) -> None:
        started = supervisor.start("u/main/0", "sh", "-c", "sleep 1000")
        supervisor.kill_supervisor()
        os.kill(started["pid"], signal.SIGKILL)
        wait_until(lambda: not identity.start_time(started["pid"]))
        supervisor.connect()
        [record] = supervisor.hello["containers"]
        assert (record["state"], record["reason"]) == ("exited", "Lost")

    @linux
    def test_a_found_container_can_be_stopped(self, supervisor: Client) -> None:
        started = supervisor.start("u/main/0", "sh", "-c", "sleep 1000")
        supervisor.kill_supervisor()
        supervisor.connect()
        supervisor.send(op="stop", id="u/main/0", grace=0)
        supervisor.hear("exited", "u/main/0")
        wait_until(lambda: not identity.start_time(started["pid"]))

    def test_another_process_of_the_same_number_is_not_taken_for_a_container(self, supervisor: Client) -> None:
        """The record names when the process started, and in which life of the machine."""
        supervisor.close()
        wait_until(lambda: not identity.start_time(supervisor.pid))
        record = {
            "id": "u/main/0",
            "state": "running",
            "pid": os.getpid(),
            "start": "1",
            "boot": identity.boot_id(),
            "how": "exec",
        }
        record |= {"startedAt": 0.0, "log": {"path": str(supervisor.pods / "log"), "limit": 1000, "masks": []}}
        (supervisor.directory / "containers.jsonl").write_text(json.dumps(record) + "\n")
        supervisor.connect()
        [found] = supervisor.hello["containers"]
        assert (found["state"], found["reason"]) == ("exited", "Lost")


def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    """A socket's address has room for 108 bytes; a data directory may be deeper."""
    client = Client(tmp_path / ("d" * 100) / ("e" * 100))
    assert client.run("u/main/0", "true")["code"] == 0
    client.end()


def test_its_directory_is_its_owners_alone(supervisor: Client) -> None:
    assert supervisor.directory.stat().st_mode & 0o777 == 0o700
    assert (supervisor.directory / "supervisor.sock").stat().st_mode & 0o777 == 0o600


def test_a_request_that_is_not_understood_is_refused_and_the_rest_goes_on(supervisor: Client) -> None:
    supervisor.send(op="dance")
    supervisor.send(op="stop", id="u/main/0")
    assert "dance" in supervisor.hear("refused")["message"]
    assert "grace" in supervisor.hear("refused")["message"]
    assert supervisor.run("u/main/0", "true")["code"] == 0


def test_a_container_that_cannot_even_be_prepared_is_told_to_have_ended(supervisor: Client) -> None:
    """Who waits for it must not wait for ever, and the others go on."""
    supervisor.send(op="start", id="u/odd/0", spec={"argv": ["true"], "env": {}})
    supervisor.send(op="start", id="u/main/0", spec=supervisor.spec("u/main/0", "true"))
    odd = supervisor.hear("exited", "u/odd/0")
    assert (odd["code"], odd["reason"]) == (128, "RunContainerError")
    assert "KeyError('log')" in odd["message"]
    assert supervisor.hear("exited", "u/main/0")["code"] == 0


def test_what_is_not_even_a_message_ends_only_its_own_connection(supervisor: Client) -> None:
    other = Client(supervisor.directory)
    other.socket.sendall(b"dance\n")
    assert "not a request" in other.hear("refused")["message"]
    assert other.file.read() == b""
    other.close()
    assert supervisor.run("u/main/0", "true")["code"] == 0


@linux
def test_a_container_ignores_no_signal_that_its_supervisor_ignores(supervisor: Client) -> None:
    supervisor.run("u/main/0", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    blocked, ignored = (int(line.split()[1], 16) for line in supervisor.output("u/main/0").splitlines())
    # 32 and 33 are the C library's own: nobody may change them, and some builds of Python come with them ignored.
    assert (blocked, ignored & ~(3 << 31)) == (0, 0)


@linux
def test_a_container_can_be_stopped_before_its_program_has_begun(supervisor: Client) -> None:
    """The process is forked, but still the supervisor's own code: its way with signals must not swallow this one."""
    for number in range(20):
        container = f"u/c{number}/0"
        supervisor.send(op="start", id=container, spec=supervisor.spec(container, "sleep", "1000"))
        supervisor.send(op="stop", id=container, grace=60)
    ends = [supervisor.hear("exited") for _ in range(20)]
    assert {end["id"]: end["signal"] for end in ends} == {f"u/c{number}/0": signal.SIGTERM for number in range(20)}


def test_many_containers_at_once_each_end_as_they_do(supervisor: Client) -> None:
    """Numbers of descriptors and of processes are given away again all the time; nothing may be mixed up."""
    count = 150
    for number in range(count):
        container = f"u/c{number}/0"
        supervisor.send(op="start", id=container, spec=supervisor.spec(container, "sh", "-c", f"echo {number}; exit {number}"))
    codes: dict[str, int] = {}
    while len(codes) < count:
        ended = supervisor.hear("exited")
        codes[ended["id"]] = ended["code"]
    assert codes == {f"u/c{number}/0": number for number in range(count)}
    assert all(supervisor.output(f"u/c{number}/0") == f"{number}\n" for number in range(count))
    assert (supervisor.directory / "supervisor.log").read_text() == ""
