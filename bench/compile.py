"""The compiler: pipelines of 1,000 and 5,000 tasks, to JSON (as a client submits it) and to a YAML file.

Floors, in the same run: encoding the finished document, which no compiler can do without.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from kedge.pipelines import documents
from kedge.pipelines.compiler import compile_file

SIZES = (1000, 5000)
ROUNDS = 5

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
    path = folder / f"tasks{count}.py"
    path.write_text(source.replace("{count}", str(count)))
    document = compile_file(path)
    return {
        "json": _best(lambda: msgspec.json.encode(compile_file(path).pipeline)),
        "json floor": _best(lambda: msgspec.json.encode(document.pipeline)),
        "yaml": _best(lambda: path.with_suffix(".yaml").write_text(documents.write(compile_file(path)))),
        "yaml floor": _best(lambda: documents.write(document)),
    }


def _best(work: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    rows = run()
    if parser.parse_args().json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        mark = "ok" if row["value"] <= row["limit"] else "TOO SLOW"
        print(f"{row['name']:58} {row['value']:9.4f} {row['unit']:2} limit {row['limit']:4}  floor {row['floor']:.4f}  {mark}")


if __name__ == "__main__":
    main()
