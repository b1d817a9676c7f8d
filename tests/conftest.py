"""Two runs of pytest with one summary: what scripts/test needs, whose second run has the tests of the cluster."""

import json
from pathlib import Path

import pytest

COUNTED = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


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
