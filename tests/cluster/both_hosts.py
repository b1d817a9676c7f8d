"""Which tests run over both hosts, and the list of those that do not: ``tests/one_host_only.toml``."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[1]
_SECONDS = 300
_HOSTS = ("embedded", "cluster")
LIST = TESTS / "one_host_only.toml"


@dataclass(frozen=True)
class Reason:
    """Why some tests run on one host only.

    Attributes:
        why: In words.
        host: The only one.
        decision: The number of the page of ``docs/decisions`` that says how many tests there may be.
        tests: Names such as ``acceptance/test_logs.py::test_x``, or a test's file alone for all of its tests.
    """

    why: str
    host: str
    decision: str
    tests: tuple[str, ...]


def reasons() -> list[Reason]:
    """The list."""
    listed: list[dict[str, Any]] = tomllib.loads(LIST.read_text())["reason"]
    return [Reason(each["why"], each["host"], each["decision"], tuple(each["tests"])) for each in listed]


def name_of(item: pytest.Item) -> str:
    """A test's name in the list: its file and its function; a conformance pipeline goes by its own file."""
    parameters: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    if "case" in parameters and "way" in parameters:
        return f"conformance/pipelines/{parameters['case']}.py"
    return f"{item.path.relative_to(TESTS).as_posix()}::{getattr(item, 'originalname', item.name)}"


def chosen(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Part tests into those that run and those that do not on the host that they are for.

    Conformance pipelines go one way each on a cluster, by turns compiled by Kedge and by kfp; the other ways there, which differ
    by who compiled and who submitted, are for ``-m soak``.
    """
    only = {test: each.host for each in reasons() for test in each.tests}
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    ways: dict[str, list[pytest.Item]] = {}
    once: set[str] = set()
    for item in items:
        parameters: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
        host = next((value for value in parameters.values() if isinstance(value, str) and value in _HOSTS), None)
        name = name_of(item)
        allowed = only.get(name, only.get(name.partition("::")[0], host))
        (kept if host in {None, allowed} else left).append(item)
        if host == "cluster" and item.get_closest_marker("soak_on_a_cluster"):
            item.add_marker(pytest.mark.soak)
        if host == "cluster" and item.get_closest_marker("timeout") is None:  # a fixture may have to build the cluster first
            item.add_marker(pytest.mark.timeout(_SECONDS, func_only=True))
        if host == "cluster" and item.get_closest_marker("once_on_a_cluster"):
            if name in once:
                item.add_marker(pytest.mark.soak)
            once.add(name)
        if host == "cluster" and "way" in parameters:
            ways.setdefault(name, []).append(item)
    for number, items_of_one in enumerate(ways.values()):
        taken = items_of_one[number % 2] if len(items_of_one) > 1 else items_of_one[0]
        for item in items_of_one:
            if item is not taken:
                item.add_marker(pytest.mark.soak)
    return kept, left
