"""Acceptance tests run a whole host. One is shared by the tests of a file; a test that stops it asks for one of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kedge.testing.host import RunningHost, running_host


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.acceptance)


@pytest.fixture(scope="module")
def kedge_host() -> Iterator[RunningHost]:
    """A running host that the tests of one file share."""
    with running_host() as kedge:
        yield kedge


@pytest.fixture
def own_host() -> Iterator[RunningHost]:
    """A running host that this test may kill."""
    with running_host() as kedge:
        yield kedge
