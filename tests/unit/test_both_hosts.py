"""Tests run over both hosts, or stand in a list that only grows by a decision, and names nothing that is not there."""

from pathlib import Path

import both_hosts
import pytest
import which_hosts

DECISIONS = both_hosts.TESTS.parent / "docs" / "decisions"
LISTED = {test: each.host for each in both_hosts.reasons() for test in each.tests}


def takers() -> dict[str, set[str]]:
    """What every test takes that is to run over both hosts, by its name in the list."""
    found: dict[str, set[str]] = {}
    for path in which_hosts.files():
        file = path.relative_to(both_hosts.TESTS).as_posix()
        found |= {f"{file}::{name}": hosts for name, hosts in which_hosts.tests(path).items()}
    return found


def test_every_test_runs_over_both_hosts_or_is_listed_with_a_reason() -> None:
    alone = {name: host for name, hosts in takers().items() if len(hosts) == 1 for host in hosts}
    missing = [
        f"{name} runs on one host alone ({host}): take either_host, own_either_host or start_host (tests/cluster/hosts.py), "
        f"or name it in {both_hosts.LIST.name} with the physical reason and the decision that allows it"
        for name, host in alone.items()
        if LISTED.get(name, LISTED.get(name.partition("::")[0])) != host
    ]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize(
    "reason", both_hosts.reasons(), ids=lambda reason: f"{reason.decision}-{reason.host}-{len(reason.tests)}"
)
def test_a_decision_says_how_many_entries_the_list_has_for_a_reason(reason: both_hosts.Reason) -> None:
    (page,) = DECISIONS.glob(f"{reason.decision}-*.md")
    line = f"- {len(reason.tests)}, {reason.host} only: {reason.why}"
    assert line in page.read_text().splitlines(), (
        f"{page.relative_to(DECISIONS.parents[1])} does not allow {reason.host} tests: it lacks {line!r}"
    )


@pytest.mark.parametrize("test", LISTED)
def test_what_is_listed_is_there_and_takes_the_host(test: str) -> None:
    """A test that takes either host may be listed by its own name alone: as one of a file it would be left out unnoticed."""
    file, _, function = test.partition("::")
    path = Path(both_hosts.TESTS, file)
    assert path.exists()
    if path.name.startswith("test_"):
        found = which_hosts.tests(path)
        taken = [found[function]] if function else list(found.values())
        assert any(LISTED[test] in hosts for hosts in taken)
        assert function or all(len(hosts) < 2 for hosts in taken), "some of its tests take both hosts: name the others one by one"


def test_nothing_is_listed_twice() -> None:
    listed = [test for reason in both_hosts.reasons() for test in reason.tests]
    assert len(listed) == len(set(listed))


SOURCES = {
    "nothing": ("def test_it(tmp_path): pass", set()),
    "by itself": ("def test_it():\n    with running_host(): pass", {"embedded"}),
    "by a fixture of its conftest": ("def test_it(hub): pass", {"cluster"}),
    "by its own fixture and a function": (
        "@pytest.fixture\ndef mine():\n    start()\ndef start():\n    running_host()\ndef test_it(mine): pass",
        {"embedded"},
    ),
    "by a module beside it": ("from hosts import Hubs\ndef test_it(cluster):\n    Hubs(cluster)", {"cluster"}),
    "by every test's fixture": ("@pytest.fixture(autouse=True)\ndef mine(hubs): pass\ndef test_it(): pass", {"cluster"}),
    "either": ("def test_it(own_either_host): pass", {"embedded", "cluster"}),
    "either, by name": ("def test_it(request):\n    request.getfixturevalue('either_host')", {"embedded", "cluster"}),
}


@pytest.mark.parametrize("how", SOURCES)
def test_what_a_test_takes_is_read_from_its_source(how: str, tmp_path: Path) -> None:
    source, hosts = SOURCES[how]
    (tmp_path / "test_it.py").write_text(source)
    assert which_hosts.tests(tmp_path / "test_it.py") == {"test_it": hosts}
