"""Measure Kedge on a real cluster, each figure beside what the same cluster does without it, and hold them against the budgets.

    python bench/cluster.py                    all, as a table (make bench-cluster)
    python bench/cluster.py --json             all, as JSON
    python bench/cluster.py step artifacts     those (make bench-cluster BENCH="step artifacts")

The cluster is that of ``KEDGE_TEST_KUBECONFIG``, otherwise one of our own (`tests/cluster`), which lives as long as this does.
Rows are those of `run`; every module in ``on_cluster`` that has ``run(place) -> list[dict]`` is a benchmark.

Exit status 1 when a budget is not kept, 2 when a benchmark could not be run.
"""

import argparse
import contextlib
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FOLDER = HERE / "on_cluster"
for _place in (HERE, FOLDER, HERE.parent / "tests" / "acceptance", HERE.parent / "tests" / "cluster"):
    sys.path.insert(0, str(_place))

import run as runner  # noqa: E402  # its neighbours are found from here on
from access import Cluster, own_cluster  # noqa: E402
from place import Place  # noqa: E402

from kedge.config import Settings  # noqa: E402


@contextlib.contextmanager
def found_cluster() -> Generator[Cluster]:
    """The cluster that is measured."""
    environ = Settings.from_environment().environ
    if given := environ.get("KEDGE_TEST_KUBECONFIG"):
        yield Cluster(Path(given).absolute(), environ.get("KEDGE_TEST_CONTEXT", ""))
        return
    with own_cluster() as cluster:
        yield cluster


def measured(names: list[str], known: dict[str, Path]) -> tuple[list[runner.Row], list[str]]:
    """The rows of some benchmarks, and the names of those that could not be run."""
    rows: list[runner.Row] = []
    broken: list[str] = []
    with found_cluster() as cluster:
        place = Place(cluster)
        for name in names:
            start = time.monotonic()
            print(f"bench: {name}", file=sys.stderr, flush=True)
            try:
                found = [{"benchmark": name, **row} for row in runner.load(name, known[name])(place)]
                print(runner.table(found), file=sys.stderr, flush=True)
                rows += found
            except Exception:  # noqa: BLE001  # one benchmark that breaks must not take the others' figures along
                traceback.print_exc()
                broken.append(name)
            load = " ".join(f"{each:.1f}" for each in os.getloadavg())
            print(f"bench: {name} took {time.monotonic() - start:.0f} s; load {load}", file=sys.stderr, flush=True)
    return rows, broken


def main() -> int:
    """Run what the command line names."""
    known = runner.benchmarks(FOLDER, "def run(place")
    parser = argparse.ArgumentParser(description="Measure Kedge on a cluster against what the cluster does without it.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(known)} (all when none is named)")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"no such benchmark: {', '.join(unknown)}. There is {', '.join(known)}.")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # noqa: TID251  # for the programs that are measured
    rows, broken = measured(options.names or list(known), known)
    machine: dict[str, Any] = {"platform": platform.platform(), "cores": os.cpu_count(), "load": os.getloadavg()}
    if options.json:
        print(
            json.dumps(
                {"machine": machine, "rows": [{**row, "ok": runner.kept(row)} for row in rows], "broken": broken}, indent=2
            )
        )
    else:
        print(runner.table(rows))
        print(f"{machine['cores']} cores; load average at the end: {' '.join(f'{each:.1f}' for each in machine['load'])}")
    if broken:
        print(f"bench: could not be run: {', '.join(broken)}", file=sys.stderr)
        return 2
    return 0 if all(runner.kept(row) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
