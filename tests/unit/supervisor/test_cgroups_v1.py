"""Cgroups of version 1, made in the machine's own hierarchies where that is allowed."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.supervisor.test_cgroups import inside, until

from kedge.supervisor import cgroups, cgroups_v1
from kedge.supervisor.cgroups_v1 import CgroupsV1
from kedge.supervisor.loop import Loop

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no cgroups")
MIB = 1 << 20


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def made(loop: Loop) -> Iterator[CgroupsV1]:
    found = CgroupsV1(f"kedge-test-{os.getpid()}", loop, cgroups_v1.places())
    if not {"memory", "cpu"} <= found.controllers:
        pytest.skip(f"no cgroups of version 1 that these tests may use: {found.refusal}")
    yield found
    found.sweep([])
    subtrees = [Path(path) for path in found.path.split(":")]
    until(loop, lambda: not [entry for subtree in subtrees for entry in subtree.iterdir() if entry.is_dir()])
    found.close()
    assert not any(subtree.exists() for subtree in subtrees)


def entered(path: str, script: str) -> "str":
    """A shell's words that enter a cgroup, and go on."""
    return "".join(f"echo 0 > {each}/cgroup.procs; " for each in path.split(":")) + script


def test_a_process_that_needs_more_than_its_memory_is_killed_and_that_is_known(made: CgroupsV1, loop: Loop) -> None:
    path = made.make("u/main/0", memory=50 * MIB, cpu=0)
    code = f"{sys.executable} -c 'bytearray(200 << 20)'"
    shell = inside(path.split(":")[0], entered(path, f"exec {code}"))
    assert shell.wait(60) == -signal.SIGKILL
    assert cgroups.ran_out_of_memory(path)
    told = cgroups.used(path, None)
    assert told is not None
    assert told[1] >= 49 * MIB
    made.remove(path)
    until(loop, lambda: not any(Path(each).exists() for each in path.split(":")))


def test_processors_are_limited_and_counted(made: CgroupsV1) -> None:
    path = made.make("u/main/0", memory=0, cpu=0.2)
    quota = next(each for each in path.split(":") if Path(each, "cpu.cfs_quota_us").exists())
    assert Path(quota, "cpu.cfs_quota_us").read_text() == "20000\n"
    shell = inside(path.split(":")[0], entered(path, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"))
    assert shell.wait(60) == 0
    told = cgroups.used(path, (0.0, 7))
    assert told is not None
    assert 0 < told[0] < 30
    assert told[1] == 7, "of memory nothing is counted where it is not limited"


def test_all_of_a_cgroup_is_killed_whatever_session_it_is_in(made: CgroupsV1, loop: Loop) -> None:
    path = made.make("u/main/0", memory=500 * MIB, cpu=0)
    shell = inside(path.split(":")[0], entered(path, "setsid sh -c 'setsid sleep 60 & sleep 60' & sleep 60"))
    memory = next(each for each in path.split(":") if "memory" in each)
    until(loop, lambda: len(Path(memory, "cgroup.procs").read_text().split()) >= 3)
    made.remove(path)
    assert shell.wait(60) == -signal.SIGKILL
    until(loop, lambda: not Path(memory).exists())


def test_nothing_is_made_without_a_limit(made: CgroupsV1) -> None:
    assert made.make("u/main/0", memory=0, cpu=0) == ""
    assert "by cgroups of version 1 in " in made.describe()


def test_why_there_are_none_is_said(loop: Loop) -> None:
    none = CgroupsV1("kedge-test-none", loop, [("memory", "/proc/no/such")])
    assert (none.path, none.refusal) == ("", "/proc/no/such: No such file or directory")
    assert CgroupsV1("kedge-test-none", loop, []).refusal == "no cgroups are mounted"
