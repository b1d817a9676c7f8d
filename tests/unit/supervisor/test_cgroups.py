"""Cgroups, made in the machine's own hierarchy where that is allowed."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.supervisor.conftest import Client, wait_until
from tests.unit.supervisor.test_memory import HOLD, MIB, WAIT, assert_killed, python

from kedge.supervisor import cgroups, cgroups_v1
from kedge.supervisor.cgroups import Cgroups
from kedge.supervisor.loop import Loop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no cgroups")


_NOBODY = 65534


@pytest.fixture
def place() -> str:
    """Where a subtree may be made."""
    found = next(cgroups.places(), None)
    if found is None or os.geteuid() != 0:
        pytest.skip("no cgroups of version 2 that these tests may use")
    return found


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def made(place: str, loop: Loop) -> Iterator[Cgroups]:
    """A subtree, with any controller that version 2 has here: which one does not matter for being there and for being killed."""
    wanted = tuple((Path(place) / "cgroup.controllers").read_text().split())
    found = Cgroups(f"kedge-test-{os.getpid()}", loop, [place], wanted)
    if not found.path:
        pytest.skip(found.refusal)
    yield found
    found.sweep([])
    until(loop, lambda: not [entry for entry in Path(found.path).iterdir() if entry.is_dir()])
    found.close()
    assert not Path(found.path).exists()


def until(loop: Loop, condition: Callable[[], bool]) -> None:
    """Let the supervisor's loop run until something is so."""

    def look() -> None:
        loop.running = not condition()
        loop.after(0.01, look)

    loop.running = True
    loop.after(0, look)
    loop.run()


def inside(path: str, script: str) -> "subprocess.Popen[bytes]":
    """A shell in a cgroup."""
    return subprocess.Popen(["sh", "-c", f"echo 0 > {path}/cgroup.procs; {script}"], start_new_session=True)


def test_all_of_a_cgroup_is_killed_whatever_session_it_is_in(made: Cgroups, loop: Loop) -> None:
    path = made.make_with("uid/main/0", {})
    shell = inside(path, "setsid sh -c 'setsid sleep 60 & sleep 60' & sleep 60")
    until(loop, lambda: len((Path(path) / "cgroup.procs").read_text().split()) >= 3)
    made.remove(path)
    assert shell.wait(60) == -signal.SIGKILL
    until(loop, lambda: not Path(path).exists())


def test_what_a_supervisor_has_left_is_swept_but_for_what_runs(made: Cgroups, loop: Loop, place: str) -> None:
    left, kept = made.make_with("u/left/0", {}), made.make_with("u/kept/0", {})
    shells = [inside(path, "sleep 60") for path in (left, kept)]
    until(loop, lambda: all((Path(path) / "cgroup.procs").read_text() for path in (left, kept)))
    Cgroups(Path(made.path).name, loop, [place], tuple(made.controllers)).sweep([kept])
    assert shells[0].wait(60) == -signal.SIGKILL
    until(loop, lambda: not Path(left).exists())
    assert Path(kept).exists()
    assert shells[1].poll() is None
    cgroups.kill(kept)
    shells[1].wait(60)


def test_nothing_is_made_without_a_limit_or_a_controller_for_it(made: Cgroups) -> None:
    assert made.make("u/main/0", memory=0, cpu=0) == ""
    memory, cpu = 64 * MIB * ("memory" not in made.controllers), 1.0 * ("cpu" not in made.controllers)
    assert made.make("u/main/0", memory=memory, cpu=cpu) == ""


def test_why_there_are_none_is_said(place: str, loop: Loop) -> None:
    none = Cgroups("kedge-test-none", loop, [place, "/no/such/place"], ("no-such-controller",))
    expected = f"{place}: it does not hand down no-such-controller; /no/such/place: No such file or directory"
    assert (none.path, none.refusal) == ("", expected)
    assert none.describe() == f"memory is looked at ten times a second, and processors are not limited ({expected})"
    assert Cgroups("kedge-test-none", loop, []).refusal == "no cgroups of version 2 are mounted"


def test_a_cgroup_that_is_not_there_fails_the_start(supervisor: Client) -> None:
    ended = supervisor.run("u/main/0", "true", cgroup="/no/such/cgroup")
    assert (ended["reason"], ended["message"]) == ("StartError", "cgroup /no/such/cgroup: No such file or directory")


@pytest.fixture
def limited(supervisor: Client) -> Client:
    """A supervisor whose limits the kernel keeps."""
    if supervisor.hello["cgroups"]:
        pytest.skip(f"no cgroups here: {supervisor.hello['cgroups']}")
    return supervisor


def test_the_kernel_kills_what_uses_too_much_and_that_is_told(limited: Client) -> None:
    """All of it, and at once: nobody has to look."""
    code = "import os; os.fork() or os.setsid(); " + HOLD.format(200) + WAIT
    ended = limited.run("u/main/0", *python(code), memory=100 * MIB)
    assert_killed(ended, 100)
    assert ended["message"] == "It needed more than the 100 MiB of resources.limits.memory."


def test_processors_are_limited(limited: Client) -> None:
    # Of the interpreter's own start nothing is said: a slow machine needs long for it.
    code = """
import time
began, end = time.process_time(), time.monotonic() + 1
while time.monotonic() < end: pass
print(time.process_time() - began)
"""
    limited.run("u/main/0", *python(code), cpu=0.2)
    assert float(limited.output("u/main/0")) < 0.5


def test_a_user_has_limits_kept_where_a_part_of_the_hierarchy_is_theirs(place: str) -> None:
    """As in a session of systemd's: what is above the supervisor's own cgroup belongs to the user."""
    if not shutil.which("setpriv") or "memory" not in (Path(place) / "cgroup.subtree_control").read_text().split():
        pytest.skip("needs setpriv, and a memory controller that is handed down")
    delegated, folder = Path(place) / f"kedge-test-user-{os.getpid()}", Path(tempfile.mkdtemp(prefix="kedge-"))
    (delegated / "session").mkdir(parents=True)
    (delegated / "cgroup.subtree_control").write_text("+memory")
    folder.chmod(0o777)
    for path in (delegated, *(delegated / name for name in ("cgroup.procs", "cgroup.subtree_control")), delegated / "session"):
        os.chown(path, _NOBODY, _NOBODY)
    files = "+dac_read_search"  # the interpreter may lie where only root looks
    who = f"setpriv --reuid {_NOBODY} --regid {_NOBODY} --clear-groups --inh-caps {files} --ambient-caps {files}"
    client = Client(folder / "node", "sh", "-c", f'echo 0 > {delegated}/session/cgroup.procs; exec {who} "$@"', "sh")
    try:
        assert client.hello["cgroups"] == ""
        ended = client.run("u/main/0", *python(HOLD.format(200) + WAIT), memory=100 * MIB, private=False)
        assert ended["message"] == "It needed more than the 100 MiB of resources.limits.memory."
        assert ended["reason"] == "OOMKilled"
    finally:
        client.end()
        shutil.rmtree(folder)
        wait_until(lambda: not list(delegated.glob("kedge-*")))
        for path in (delegated / "session", delegated):
            path.rmdir()


def test_no_cgroup_stays(limited: Client) -> None:
    limited.run("u/main/0", "sh", "-c", "setsid sleep 60 & true", memory=100 * MIB)
    places = [*cgroups.places(), *(place for _, place in cgroups_v1.places())]
    wait_until(lambda: not [found for place in places for found in Path(place).rglob("u.main.0")])
