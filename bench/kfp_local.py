"""The same chain with ``kfp.local``, beside Kedge's warm step, in the same run.

``kfp`` runs in an environment of its own, unmodified, with its SubprocessRunner: once with ``use_venv=False``, in which the
steps share its environment, and once with ``use_venv=True`` (its default), in which every step makes a venv and installs ``kfp``
into it. Neither keeps state, isolates files or caches here: they are what a person would otherwise use on one machine.

There is no budget: the floor of these rows is Kedge's own figure.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from steps import chain_of, per_step, submit

from kedge.testing.host import running_host

KFP = "kfp==2.17.0"
PIP = "pip==25.3"  # its steps call pip; without one they look for the system's package manager
SHARED, OWN_VENV = 20, 2
ROOT = Path(__file__).parent.parent

PROGRAM = """
import json, sys, time
from kfp import dsl, local

length, use_venv = int(sys.argv[1]), sys.argv[2] == "venv"
local.init(runner=local.SubprocessRunner(use_venv=use_venv), pipeline_root="outputs", raise_on_error=True)

@dsl.component
def add(number: int) -> int:
    return number + 1

@dsl.pipeline(name="chain")
def chain(start: int = 0) -> int:
    number = start
    for _ in range(length):
        number = add(number=number).output
    return number

start = time.perf_counter()
done = chain()
took = time.perf_counter() - start
assert done.output == length, done.output
with open("took.json", "w") as file:
    json.dump(took, file)
"""


def run() -> list[dict[str, Any]]:
    """Measure; one row a figure."""
    python = environment()
    with running_host() as kedge:
        submit(kedge, chain_of(3))
        warm = per_step(kedge, chain_of(SHARED))
    rows: list[dict[str, Any]] = [
        {
            "name": f"Kedge, warm interpreter, chain of {SHARED}, p50",
            "value": warm,
            "unit": "ms/step",
            "limit": None,
            "floor": None,
        }
    ]
    for length, mode in ((SHARED, "shared"), (OWN_VENV, "venv")):
        rows.append(
            {
                "name": f"kfp.local SubprocessRunner(use_venv={mode == 'venv'}), chain of {length}, mean",
                "value": per_step_locally(python, length, mode),
                "unit": "ms/step",
                "limit": None,
                "floor": warm,
            }
        )
    return rows


def environment() -> Path:
    """An environment of its own, made as the acceptance tests make theirs."""
    sys.path.insert(0, str(ROOT / "tests" / "acceptance"))
    try:
        from environments import client_environment  # noqa: PLC0415  # not on the path before
    finally:
        sys.path.pop(0)
    return client_environment("kfp-local", [KFP, PIP])


def per_step_locally(python: Path, length: int, mode: str) -> float:
    """Milliseconds from the call of the pipeline to its result, a step: ``kfp.local`` records no times of single steps."""
    with tempfile.TemporaryDirectory(prefix="kedge-kfp-") as place:
        (Path(place) / "chain.py").write_text(PROGRAM)
        argv = ["env", f"PATH={python.parent}:/usr/local/bin:/usr/bin:/bin", str(python), "chain.py", str(length), mode]
        done = subprocess.run(argv, cwd=place, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise RuntimeError(f"kfp.local failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return json.loads((Path(place) / "took.json").read_text()) / length * 1e3
