"""Run the benchmarks and hold them against their budgets.

    python bench/run.py                 all, as a table
    python bench/run.py --json          all, as JSON
    python bench/run.py steps compile   those modules

Every module of this folder that has ``run() -> list[dict]`` is a benchmark. A row is ``name``, ``value``, ``unit``,
``limit`` (the budget; ``None`` where there is none; the least, where ``more`` is set) and ``floor`` (what the same run measured
as the least possible, or ``None``). What is measured on a cluster is in `cluster`.

Exit status 1 when a budget is not kept, 2 when a benchmark could not be run.
"""

import argparse
import importlib.util
import json
import os
import platform
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Row = dict[str, Any]


def benchmarks(folder: Path = HERE, sign: str = "def run()") -> dict[str, Path]:
    """Name and file of every benchmark in a folder: a file in which ``sign`` stands."""
    return {path.stem: path for path in sorted(folder.glob("*.py")) if path.stem != "run" and sign in path.read_text()}


def load(name: str, path: Path) -> Callable[..., list[Row]]:
    """The ``run`` of a file; its neighbours can be imported by it."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.run


def figure(value: float | None) -> str:
    """Write a measured value with three digits that mean something."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def kept(row: Row) -> bool:
    """Whether the row keeps its budget."""
    if row.get("limit") is None:
        return True
    return row["value"] >= row["limit"] if row.get("more") else row["value"] <= row["limit"]


def table(rows: list[Row]) -> str:
    """Rows as text."""
    lines = [("", "measured", "budget", "floor", "x floor", "unit", "")]
    for row in rows:
        value, floor = row["value"], row.get("floor")
        ratio = figure(value / floor) if floor else ""
        verdict = "" if row.get("limit") is None else "ok" if kept(row) else "OVER"
        lines.append((row["name"], figure(value), figure(row.get("limit")), figure(floor), ratio, row["unit"], verdict))
    widths = [max(len(line[column]) for line in lines) for column in range(7)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in {0, 5, 6} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _load() -> float:
    """The load average of the last minute: with more than there are processors, others were in the way."""
    return round(os.getloadavg()[0], 1)


def main() -> int:
    """Run what the command line names."""
    known = benchmarks()
    parser = argparse.ArgumentParser(description="Measure speed and size against their budgets.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(known)} (all when none is named)")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}. There is {', '.join(known)}.")
    sys.path.insert(0, str(HERE))
    # Installed programs have their bytecode; compiling it is no part of a start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # noqa: TID251  # for the programs that are measured
    loads = [_load()]
    rows: list[Row] = []
    broken: list[str] = []
    for name in options.names or known:
        print(f"bench: {name}", file=sys.stderr, flush=True)
        try:
            rows += [{"benchmark": name, **row} for row in load(name, known[name])()]
        except Exception:  # noqa: BLE001  # one benchmark that breaks must not take the others' figures along
            traceback.print_exc()
            broken.append(name)
    loads.append(_load())
    if options.json:
        machine = {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "machine": platform.machine(),
            "load": loads,
        }
        print(json.dumps({"machine": machine, "rows": [{**row, "ok": kept(row)} for row in rows], "broken": broken}, indent=2))
    else:
        print(table(rows))
        print(f"\nload average: {loads[0]} before, {loads[1]} after, of {os.cpu_count()} processors")
    if broken:
        print(f"bench: could not be run: {', '.join(broken)}", file=sys.stderr)
        return 2
    return 0 if all(kept(row) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
