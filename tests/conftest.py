"""What all tests have: hosts and databases to run over, and two runs of pytest with one summary.

The hosts are those of `hosts`. Tests that hold on SQLite and on PostgreSQL ask for `either_database`, and then run over both. The
summary is what scripts/test needs, whose second run has the tests of the cluster.
"""

import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import LiteralString

import both_hosts
import hosts
import postgresql
import pytest
from hosts import cluster, either_host, hub, hubs, own_either_host, own_hub, reached_at, shared, start_host, steps_reach
from hypothesis import settings

from kedge.db.database import Database, open_postgres, open_sqlite
from kedge.testing import runs

__all__ = [
    "cluster",
    "either_host",
    "hub",
    "hubs",
    "own_either_host",
    "own_hub",
    "reached_at",
    "shared",
    "start_host",
    "steps_reach",
]
ASKED = {"cluster": hosts.__file__, "browser": str(Path(__file__).parent / "browser" / "conftest.py")}
"""By mark, the file whose fixtures say whether such a test can run here."""
COUNTED = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


# No example is too slow because the machine has much to do.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept, left = both_hosts.chosen(items)
    items[:] = kept
    config.hook.pytest_deselected(items=left)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    asked = next((file for mark, file in ASKED.items() if item.get_closest_marker(mark)), None)
    if asked and report.when == "setup" and isinstance(report.longrepr, tuple):
        # Where there is no cluster, or no browser, that is one reason, which stands in one line and not in one for each test.
        report.longrepr = (asked, 1, report.longrepr[2])
    return report


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("one summary of two runs")
    group.addoption("--keep-reports", type=Path, metavar="FILE", help="write what this run reports")
    group.addoption(
        "--with-reports", type=Path, metavar="FILE", help="sum up what another run has reported with what this one reports"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    reporter: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):  # a worker's reports are the other process's as well
        return
    if (others := config.getoption("--with-reports")) and others.exists():
        for line in others.read_text().splitlines():
            category, data = json.loads(line)
            found = config.hook.pytest_report_from_serializable(config=config, data=data)
            if isinstance(found.longrepr, list):
                found.longrepr = tuple(found.longrepr)  # where a test was skipped; JSON knows lists alone
            reporter.stats.setdefault(category, []).append(found)
    if kept := config.getoption("--keep-reports"):
        lines = [_line(config, category, each) for category in COUNTED for each in reporter.stats.get(category, ())]
        kept.write_text("".join(lines))


def _line(config: pytest.Config, category: str, report: pytest.TestReport) -> str:
    data = config.hook.pytest_report_to_serializable(config=config, report=report)
    data.pop("node", None)  # xdist's object
    if category == "passed":
        data["sections"] = []
    return json.dumps([category, data], default=str) + "\n"


@pytest.fixture(scope="session")
def databases() -> Iterator[postgresql.Databases]:
    """Those of this session's server."""
    postgresql.skip_where_missing()
    with postgresql.server() as made:
        yield postgresql.Databases(made)


@pytest.fixture
def postgres_url(databases: postgresql.Databases) -> Iterator[str]:
    """The address of a database without rows."""
    name = databases.take()
    yield databases.url(name)
    databases.give(name)


@pytest.fixture
def new_postgres(databases: postgresql.Databases) -> Iterator[Callable[..., str]]:
    """Makes databases without tables, with options of CREATE DATABASE; says their addresses."""
    made: list[str] = []

    def new(options: LiteralString = "") -> str:
        made.append(databases.new(options))
        return databases.url(made[-1])

    yield new
    for name in made:
        databases.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def either_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Database]]:
    """Opens the history of a folder: a file in it, or a database of its own. The hubs of `kedge.testing.runs` open it too."""
    if request.param == "sqlite":
        yield lambda folder: open_sqlite(folder / "history.db")
        return
    found: postgresql.Databases = request.getfixturevalue("databases")
    taken: dict[Path, str] = {}

    def opened(folder: Path) -> Database:
        if folder not in taken:
            taken[folder] = found.take()
        return open_postgres(found.url(taken[folder]))

    monkeypatch.setattr(runs, "open_history", opened)
    yield opened
    for name in taken.values():
        found.give(name)
