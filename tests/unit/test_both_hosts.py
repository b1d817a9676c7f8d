"""The list of tests that run on one host only grows by a decision alone, and names nothing that is not there."""

import ast
import re
from pathlib import Path

import both_hosts
import pytest

DECISIONS = both_hosts.TESTS.parent / "docs" / "decisions"


@pytest.mark.parametrize("reason", both_hosts.reasons(), ids=lambda reason: reason.decision)
def test_a_decision_says_how_many_tests_run_on_one_host_only(reason: both_hosts.Reason) -> None:
    (page,) = DECISIONS.glob(f"{reason.decision}-*.md")
    allowed = re.findall(rf"^On the {reason.host} host only: (\d+) tests\.", page.read_text(), re.MULTILINE)
    assert allowed == [str(len(reason.tests))], f"{page.name} decides that; tests/one_host_only.toml names {len(reason.tests)}"


@pytest.mark.parametrize("test", [test for reason in both_hosts.reasons() for test in reason.tests])
def test_what_is_listed_is_there(test: str) -> None:
    file, _, function = test.partition("::")
    path = Path(both_hosts.TESTS, file)
    assert path.exists()
    if function:
        assert function in {each.name for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.FunctionDef)}


def test_nothing_is_listed_twice() -> None:
    listed = [test for reason in both_hosts.reasons() for test in reason.tests]
    assert len(listed) == len(set(listed))
