"""What eight clients are answered could have come from a server that does one thing at a time, although it is killed meanwhile.

The program `tests/cluster/histories` asks, and checks the answers with porcupine. ``make soak`` runs a hundred seeds more, with
either durability.
"""

import json
import random  # noqa: TID251  # kills at moments that follow from a seed
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from go_programs import NoGo, compiled, do_without

from kedge import host as hosts
from kedge.testing.host import RunningHost, running_host

pytestmark = pytest.mark.timeout(600)
SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(3, 103))]
KILLS = 2
ANSWERS = 50  # the program says so, each time when it has got as many


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return compiled("histories")
    except NoGo as why:
        do_without(why)


@pytest.fixture(scope="module", params=["NORMAL", "FULL"])
def kedge_host(request: pytest.FixtureRequest) -> Iterator[RunningHost]:
    """A host of each durability, killed by all of its tests."""
    with running_host({"KEDGE_SYNCHRONOUS": request.param}) as kedge:
        yield kedge


@pytest.mark.parametrize("seed", SEEDS)
def test_a_history_under_kills_is_linearizable(seed: int, kedge_host: RunningHost, program: Path, tmp_path: Path) -> None:
    kedge, dice = kedge_host, random.Random(seed)  # noqa: S311
    if hosts.find(kedge.settings) is None:  # a test before this one has failed
        kedge.start()
    options = {
        "server": kedge.host.https,
        "ca": kedge.home / "pki" / "ca.crt",
        "token": kedge.host.token,
        "seed": seed,
        "page": tmp_path / "history.html",
    }
    command = [str(program), *(f"--{name}={value}" for name, value in options.items())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        for _ in range(KILLS):
            for _ in range(dice.randrange(1, 6)):
                assert asking.stdout.readline()
            kedge.kill()
            kedge.start()
        assert asking.stdout.readline()
        said, errors = asking.communicate()
    assert asking.returncode == 0, errors
    found = json.loads(said.splitlines()[-1])
    assert found["result"] == "Ok", f"{found}: see {options['page']}"
    assert found["answered"] >= ANSWERS * (KILLS + 1)
