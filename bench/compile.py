"""The compiler: pipelines of 1,000 and 5,000 tasks, to JSON (as a client submits it) and to a YAML file.

Floors, in the same run: encoding the finished document, which no compiler can do without.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kedge.pipelines import documents
from kedge.pipelines.compiler import compile_file

SIZES = (1000, 5000)
ROUNDS = 5
T = TypeVar("T")

SOURCE = """
from kedge import dsl


@dsl.component
def add(left: int, right: int) -> int:
    return left + right


@dsl.pipeline(name="chain")
def chain(start: int = 1):
    last = add(left=start, right=1)
    for _ in range({count} - 1):
        last = add(left=last.output, right=1)
"""

# Each task is of another component: nothing can be written once.
DIFFERENT = """
from kedge import dsl

adders = []
for number in range({count}):
    @dsl.component
    def add(left: int, right: int) -> int:
        return left + right
    adders.append(add)


@dsl.pipeline(name="chain")
def chain(start: int = 1):
    last = adders[0](left=start, right=1)
    for add in adders[1:]:
        last = add(left=last.output, right=1)
"""


def run() -> list[dict[str, Any]]:
    """Measure; one row a figure."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for what, source in (("one component", SOURCE), ("each its own component", DIFFERENT)):
            small, large = (_measure(Path(folder), source, count) for count in SIZES)
            rows += [
                _row(f"1,000 tasks, {what}: compile and JSON", small["json"], "s", 0.5, small["json floor"]),
                _row(f"1,000 tasks, {what}: compile and YAML file", small["yaml"], "s", 0.8, small["yaml floor"]),
                _row(f"5,000 tasks, {what}: JSON, times 1,000 tasks", large["json"] / small["json"], "x", 6, 5),
                _row(f"5,000 tasks, {what}: YAML, times 1,000 tasks", large["yaml"] / small["yaml"], "x", 6, 5),
            ]
    return rows


def _row(name: str, value: float, unit: str, limit: float, floor: float) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "limit": limit, "floor": floor}


def _measure(folder: Path, source: str, count: int) -> dict[str, float]:
    """The best of a few interpreters: each compiles once, as a command does, with memory that nothing has used before."""
    path = folder / f"tasks{count}.py"
    path.write_text(source.replace("{count}", str(count)))
    rounds = [json.loads(subprocess.check_output([sys.executable, __file__, path])) for _ in range(ROUNDS)]
    return {name: min(found[name] for found in rounds) for name in rounds[0]}


def main() -> None:
    """Measure one file, and print seconds as JSON."""
    path = Path(sys.argv[1])
    tiny = path.with_name("tiny.py")
    tiny.write_text(SOURCE.replace("{count}", "3"))
    documents.write(compile_file(tiny))  # loads everything
    document, compiled = _timed(lambda: compile_file(path))
    encoded = _timed(lambda: msgspec.json.encode(document.pipeline))[1]
    written = _timed(lambda: path.with_suffix(".yaml").write_text(documents.write(document)))[1]
    print(json.dumps({"json": compiled + encoded, "json floor": encoded, "yaml": compiled + written, "yaml floor": written}))


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started


if __name__ == "__main__":
    main()
