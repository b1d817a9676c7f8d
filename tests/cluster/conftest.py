"""Tests against a real cluster: `KEDGE_TEST_KUBECONFIG`'s, else one of our own; skipped where neither can be had."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from access import Cluster, own_cluster
from prerequisites import missing

from kedge.config import Settings

TEST_SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.acceptance)
            if item.get_closest_marker("timeout") is None:  # a fixture may have to build the cluster first
                item.add_marker(pytest.mark.timeout(TEST_SECONDS, func_only=True))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster whose administrator the test is."""
    environ = Settings.from_environment().environ
    if given := environ.get("KEDGE_TEST_KUBECONFIG"):
        yield Cluster(Path(given).absolute(), environ.get("KEDGE_TEST_CONTEXT", ""))
        return
    if why := missing():
        why += "; KEDGE_TEST_KUBECONFIG names another one"
        if environ.get("CI", "") not in {"", "0", "false"}:
            pytest.fail(why)
        pytest.skip(why)
    with own_cluster() as found:
        yield found


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own."""
    with cluster.namespace() as name:
        yield name


@pytest.fixture
def restricted(cluster: Cluster) -> Iterator[str]:
    """A namespace that enforces the *restricted* Pod Security Standard."""
    with cluster.namespace({"pod-security.kubernetes.io/enforce": "restricted"}) as name:
        yield name
