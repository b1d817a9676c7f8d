"""Limits of memory, with real processes that really use it."""

import sys
from typing import Any

import pytest
from tests.unit.supervisor.conftest import Client

from kedge.supervisor import identity

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell what a process uses")

MIB = 1 << 20
HOLD = "held = b'x' * ({} << 20); print('held', flush=True); "
WAIT = "import time; time.sleep(60)"


def python(code: str) -> tuple[str, str, str, str]:
    return (sys.executable, "-I", "-c", code)


def assert_killed(ended: dict[str, Any], limit: int) -> None:
    assert (ended["code"], ended["signal"], ended["reason"]) == (137, 9, "OOMKilled")
    assert f"more than the {limit} MiB of resources.limits.memory" in ended["message"]


def test_a_container_over_its_limit_is_killed_and_says_why(supervisor: Client) -> None:
    assert_killed(supervisor.run("u/main/0", *python(HOLD.format(200) + WAIT), memory=100 * MIB), 100)


def test_what_its_children_use_counts(supervisor: Client) -> None:
    """Each is within the limit; all of them are not."""
    code = "import os; children = [os.fork() for _ in range(2)]; " + HOLD.format(60) + WAIT
    assert_killed(supervisor.run("u/main/0", *python(code), memory=150 * MIB), 150)


def test_what_processes_share_counts_once(supervisor: Client) -> None:
    code = HOLD.format(60) + "import os, time; children = [os.fork() for _ in range(2)]; time.sleep(0.5)"
    ended = supervisor.run("u/main/0", *python(code), memory=150 * MIB)
    assert (ended["code"], ended["reason"]) == (0, "Completed")


def test_a_container_within_its_limit_ends_as_it_ends(supervisor: Client) -> None:
    code = HOLD.format(20) + "import time; time.sleep(0.3); raise SystemExit(3)"
    ended = supervisor.run("u/main/0", *python(code), memory=100 * MIB)
    assert (ended["code"], ended["reason"], ended["message"]) == (3, "Error", "")


def test_a_container_killed_by_others_is_not_out_of_memory(supervisor: Client) -> None:
    ended = supervisor.run("u/main/0", "sh", "-c", "kill -9 $$", memory=100 * MIB)
    assert (ended["code"], ended["reason"]) == (137, "Error")


def test_a_limit_outlives_the_supervisor(supervisor: Client) -> None:
    code = "import os, time\nwhile not os.path.exists('/tmp/go'): time.sleep(0.01)\n" + HOLD.format(200) + WAIT
    started = supervisor.start("u/main/0", *python(code), memory=100 * MIB)
    supervisor.kill_supervisor()
    supervisor.connect()
    assert identity.is_running(started["pid"], started["start"])
    (supervisor.place("u/main/0") / "tmp" / "go").touch()
    assert_killed(supervisor.hear("exited", "u/main/0"), 100)
