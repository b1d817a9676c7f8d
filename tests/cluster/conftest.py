"""Tests against a real cluster; see `hosts.cluster`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from access import Cluster
from deployed_s3 import DeployedS3, deployed_s3

TEST_SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.acceptance)
            item.add_marker(pytest.mark.cluster)
            if item.get_closest_marker("timeout") is None:  # a fixture may have to build the cluster first
                item.add_marker(pytest.mark.timeout(TEST_SECONDS, func_only=True))


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


@pytest.fixture(scope="module")
def s3(cluster: Cluster) -> Iterator[DeployedS3]:
    """An S3 server in the cluster."""
    with deployed_s3(cluster) as found:
        yield found
