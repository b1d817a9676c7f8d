"""The host's own cost: how long until it is ready, what it weighs, and what it does when nothing happens.

Floors: the same interpreter starting and doing nothing (time), a bare asyncio loop (memory).
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from processes import hub_and_supervisor

from kedge.testing.host import RunningHost, running_host

IDLE_SECONDS = 20
ROUNDS = 5


def run() -> list[dict[str, Any]]:
    """Measure; one row a figure."""
    return [*_start(), *_commands(), *_install()]


def _start() -> list[dict[str, Any]]:
    bare = _median(lambda: _python("-I", "-c", "pass"))
    fresh: list[float] = []
    with running_host(start=False) as kedge:
        kedge.start()  # compiles bytecode, once for all rounds
    for _ in range(ROUNDS):
        with running_host(start=False) as kedge:
            fresh.append(_timed(kedge.start))
    with running_host() as kedge:
        weight = _idle(kedge)
    return [
        {"name": "kedge up, fresh data directory", "value": statistics.median(fresh), "unit": "s", "limit": 1.0, "floor": bare},
        *weight,
    ]


def _idle(kedge: RunningHost) -> list[dict[str, Any]]:
    time.sleep(2)  # noqa: TID251  # let the start settle
    processes = hub_and_supervisor(kedge)
    before = sum(_cpu(process) for process in processes)
    time.sleep(IDLE_SECONDS)  # noqa: TID251  # this is what is measured
    share = (sum(_cpu(process) for process in processes) - before) / IDLE_SECONDS * 100
    resident = sum(process.memory_info().rss for process in processes) / 1e6
    bare = float(_output("-I", "-c", "import asyncio, psutil; print(psutil.Process().memory_info().rss / 1e6)", isolated=False))
    return [
        {"name": "resident, idle (hub and supervisor)", "value": resident, "unit": "MB", "limit": 110, "floor": bare},
        {"name": "processor, idle", "value": share, "unit": "%", "limit": 0.1, "floor": 0.0},
    ]


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _commands() -> list[dict[str, Any]]:
    bare = _median(lambda: _python("-I", "-c", "pass"))
    language = _median(lambda: _python("-c", "from kedge import dsl"))
    answer = _median(lambda: _python("-P", "-m", "kedge.cli.main", "--help"))
    return [
        {
            "name": "from kedge import dsl (over the bare interpreter)",
            "value": (language - bare) * 1e3,
            "unit": "ms",
            "limit": 60,
            "floor": 0.0,
        },
        {"name": "kedge --help", "value": answer * 1e3, "unit": "ms", "limit": 150, "floor": bare * 1e3},
    ]


def _install() -> list[dict[str, Any]]:
    """What ``pip install kedge`` puts into an empty environment, uv apart."""
    root = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as place:
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, place], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", place, str(root)], check=True)
        site = next(Path(place).glob("lib/python*/site-packages"))
        names = {path.name.split("-")[0] for path in site.glob("*.dist-info")}
        size = sum(path.stat().st_size for path in Path(place).rglob("*") if path.is_file() and not path.is_symlink())
        ours = sum(path.stat().st_size for path in Path(place).rglob("uv*") if path.is_file() and not path.is_symlink())
    return [
        {
            "name": "pip install kedge: distributions, uv apart",
            "value": len(names - {"uv"}),
            "unit": "",
            "limit": 28,
            "floor": None,
        },
        {"name": "pip install kedge: size, uv apart", "value": (size - ours) / 1e6, "unit": "MB", "limit": 95, "floor": None},
    ]


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def _output(*arguments: str, isolated: bool = True) -> str:
    argv = [sys.executable, *(arguments if isolated else arguments[1:])]
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=dict(os.environ)).stdout  # noqa: TID251


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _median(call: Callable[[], object], rounds: int = 9) -> float:
    call()
    return statistics.median(_timed(call) for _ in range(rounds))
