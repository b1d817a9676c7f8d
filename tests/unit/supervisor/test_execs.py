"""Programs beside a container's own, and containers that somebody is attached to, with real processes."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.supervisor.conftest import PATIENCE, Client, wait_until

from kedge.supervisor import identity

linux = pytest.mark.skipif(sys.platform != "linux", reason="mount namespaces and /proc are Linux'")


class Session:
    """One connection of its own, and the streams that came over it."""

    def __init__(self, supervisor: Client, **request: Any) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        fd = os.open(supervisor.directory, os.O_RDONLY)
        try:
            self.socket.connect(f"/proc/self/fd/{fd}/supervisor.sock")
        finally:
            os.close(fd)
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        self.rest = b""
        self.fds: list[int] = []
        self.first = self.hear()
        self.streams = dict(zip(self.first.get("names", []), self.fds, strict=True))

    def hear(self) -> dict[str, Any]:
        """The next message that is about this alone."""
        while True:
            while b"\n" not in self.rest:
                data, fds, _, _ = socket.recv_fds(self.socket, 65536, 3)
                assert data
                self.rest += data
                self.fds += fds
            line, _, self.rest = self.rest.partition(b"\n")
            message = json.loads(line)
            if "id" not in message:
                return message

    def read(self, name: str, until: bytes = b"") -> bytes:
        """What a stream has: to its end, or until a text comes."""
        os.set_blocking(self.streams[name], True)
        found = b""
        while not until or until not in found:
            try:
                data = os.read(self.streams[name], 65536)
            except OSError:  # a terminal that its program has left
                break
            if not data:
                break
            found += data
        return found

    def end_input(self) -> None:
        os.close(self.streams.pop("stdin"))

    def close(self) -> None:
        for fd in self.streams.values():
            os.close(fd)
        self.streams.clear()
        self.socket.close()


@pytest.fixture
def sessions(supervisor: Client) -> Iterator[Any]:
    """Begins sessions, and closes them."""
    begun: list[Session] = []

    def begin(op: str, *argv: str, **request: Any) -> Session:
        wanted = {"id": "u/main/0", "stdin": True, "output": ["stdout", "stderr"], **request}
        begun.append(Session(supervisor, op=op, **wanted, **({"argv": argv} if argv else {})))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


@linux
def test_a_program_runs_where_the_container_is(supervisor: Client, sessions: Any) -> None:
    env = {"PATH": os.defpath, "WHO": "me"}
    supervisor.start("u/main/0", "sh", "-c", "echo mine > /tmp/there; exec sleep 1000", env=env, cwd="/usr")
    look = "until test -s /tmp/there; do :; done; cat /tmp/there; echo $WHO $MORE; pwd; cat; exit 3"
    session = sessions("exec", "sh", "-c", look, env={"WHO": "another", "MORE": "more"})
    os.write(session.streams["stdin"], b"typed")
    session.end_input()
    assert session.read("stdout") == b"mine\nme more\n/usr\ntyped"
    assert session.hear() == {"event": "exited", "code": 3, "reason": "Error", "message": ""}


@linux
def test_a_terminal_is_its_own(supervisor: Client, sessions: Any) -> None:
    supervisor.start("u/main/0", "sleep", "1000")
    session = sessions("exec", "sh", "-c", "tty; exec sleep 1000", tty=True, output=["stdout"])
    assert session.read("stdout", b"\n").startswith(b"/dev/")
    os.write(session.streams["stdin"], b"\x03")
    assert session.hear()["code"] == 130


@linux
def test_a_program_that_is_not_there_is_told(supervisor: Client, sessions: Any) -> None:
    supervisor.start("u/main/0", "sleep", "1000")
    ended = sessions("exec", "no-such-program").hear()
    assert (ended["reason"], ended["code"]) == ("StartError", 128)
    assert "no-such-program: no such program in PATH=" in ended["message"]


@linux
def test_a_container_that_does_not_run_is_told(sessions: Any) -> None:
    for op in ("exec", "attach"):
        assert sessions(op, "true", id="u/other/0").first == {"event": "refused", "message": "the container does not run"}


@linux
def test_a_program_ends_with_its_connection(supervisor: Client, sessions: Any) -> None:
    supervisor.start("u/main/0", "sleep", "1000")
    session = sessions("exec", "sh", "-c", "sleep 1000 & echo begun; wait")
    assert session.read("stdout", b"begun\n")
    pid = session.first["pid"]
    session.close()
    wait_until(lambda: not identity.start_time(pid))
    assert [record["state"] for record in supervisor.ask("list", op="list")["containers"]] == ["running"]


@linux
def test_a_program_ends_with_its_container(supervisor: Client, sessions: Any) -> None:
    supervisor.start("u/main/0", "sleep", "1000")
    session = sessions("exec", "sleep", "1000")
    supervisor.send(op="stop", id="u/main/0", grace=0)
    supervisor.hear("exited", "u/main/0")
    assert session.hear()["code"] == 137


@linux
def test_a_program_runs_in_a_container_of_a_supervisor_that_died(supervisor: Client, sessions: Any) -> None:
    supervisor.start("u/main/0", "sh", "-c", "echo mine > /tmp/there; exec sleep 1000", env={"PATH": os.defpath, "WHO": "me"})
    sessions("exec", "sh", "-c", "until test -s /tmp/there; do :; done").hear()
    supervisor.kill_supervisor()
    supervisor.connect()
    session = sessions("exec", "sh", "-c", "cat /tmp/there; echo $WHO")
    session.end_input()
    assert session.read("stdout") == b"mine\nme\n"


@linux
def test_who_attaches_writes_its_input_and_reads_what_it_prints_from_now_on(supervisor: Client, sessions: Any) -> None:
    supervisor.start("u/main/0", "sh", "-c", "echo before; cat; echo more >&2", stdin="once")
    wait_until(lambda: "stdout F before" in supervisor.log("u/main/0"))
    session = sessions("attach")
    os.write(session.streams["stdin"], b"no newline")
    assert session.read("stdout", b"no newline") == b"no newline"
    session.end_input()
    session.close()  # and with the first who was attached, its input ends
    assert supervisor.hear("exited", "u/main/0")["code"] == 0
    assert sorted(supervisor.log("u/main/0")) == ["stderr F more", "stdout F before", "stdout F no newline"]


@linux
def test_an_input_that_stays_open_outlives_who_was_attached(supervisor: Client, sessions: Any) -> None:
    supervisor.start("u/main/0", "sh", "-c", "read a; echo $a; read b; echo $b", stdin="open")
    for text in (b"one\n", b"two\n"):
        session = sessions("attach")
        os.write(session.streams["stdin"], text)
        assert session.read("stdout", text) == text
        session.close()
    assert supervisor.hear("exited", "u/main/0")["code"] == 0


@linux
def test_all_that_a_container_prints_reaches_who_is_attached(supervisor: Client, sessions: Any) -> None:
    supervisor.start("u/main/0", "sh", "-c", "read go; head -c 3000000 /dev/zero; exit 4", stdin="open")
    session = sessions("attach")
    os.write(session.streams["stdin"], b"go\n")
    assert len(session.read("stdout")) == 3_000_000
    assert session.hear() == {"event": "exited", "code": 4, "reason": "Ended", "message": ""}


@linux
def test_who_does_not_read_is_let_go_and_holds_nothing_up(supervisor: Client, sessions: Any) -> None:
    supervisor.start("u/main/0", "sh", "-c", "read go; head -c 20000000 /dev/zero; echo; exit 0", stdin="open")
    session = sessions("attach")
    os.write(session.streams["stdin"], b"go\n")
    assert supervisor.hear("exited", "u/main/0")["code"] == 0
    told = session.hear()
    assert (told["reason"], "its log has it" in told["message"].lower()) == ("Behind", True)


@linux
def test_a_container_with_a_terminal_has_one(supervisor: Client, sessions: Any) -> None:
    supervisor.start("u/main/0", "sh", "-c", "read line; tty; echo got $line", stdin="open", tty=True)
    session = sessions("attach", output=["stdout"])
    os.write(session.streams["stdin"], b"text\r")
    found = session.read("stdout")
    assert b"/dev/" in found
    assert found.endswith(b"got text\r\n")
    assert supervisor.hear("exited", "u/main/0")["code"] == 0
