"""A chain of steps that the unmodified ``kfp`` package compiled, with ``kfp.local`` beside it in the same run.

Once as ``kfp`` wrote it, which is recognised and runs in the launcher, and once edited by one word, which is run to the letter:
the shell, its ``pip install``, its ``python3 -m kfp.dsl.executor_main``. Floors: fork and wait of the same interpreter; the same
interpreter started to do nothing, for the one that the shell line starts.
"""

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from kfp_local import SHARED, environment, per_step_locally
from steps import fork_and_wait, interpreter, per_step_of, submit_document

from kedge.pipelines import documents
from kedge.testing.host import running_host

CHAIN = 100

PROGRAM = """
import sys
from kfp import compiler, dsl

@dsl.component(base_image="python:3.11")
def add(number: int) -> int:
    return number + 1

@dsl.pipeline(name="chain")
def chain(start: int = 0):
    number = start
    for _ in range(int(sys.argv[2])):
        task = add(number=number)
        task.set_caching_options(False)
        number = task.output

compiler.Compiler().compile(chain, sys.argv[1])
"""


def run() -> list[dict[str, Any]]:
    """Measure; one row a figure."""
    python = environment()
    text, short = (_compiled(python, length) for length in (CHAIN, 3))
    rows: list[dict[str, Any]] = []
    with running_host() as kedge:
        for name, word, limit, floor in (
            ("recognised", "--quiet", 15, fork_and_wait()),
            ("edited, run to the letter", "-q", 60, interpreter()),
        ):
            submit_document(kedge, documents.read(short.replace("--quiet", word)))
            value = per_step_of(kedge, documents.read(text.replace("--quiet", word)))
            rows.append(_row(f"kfp-compiled step, {name}, chain of {CHAIN}, p50", value, limit, floor))
    value = per_step_locally(python, SHARED, "shared")
    rows.append(_row(f"... with kfp.local (use_venv=False), chain of {SHARED}, mean", value, None, rows[0]["value"]))
    return rows


def _row(name: str, value: float, limit: float | None, floor: float) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": "ms", "limit": limit, "floor": floor}


def _compiled(python: Path, length: int) -> str:
    with tempfile.TemporaryDirectory(prefix="kedge-kfp-") as place:
        source, target = Path(place) / "chain.py", Path(place) / "chain.yaml"
        source.write_text(PROGRAM)
        subprocess.run([python, "-W", "ignore", source, target, str(length)], check=True)
        return target.read_text()
