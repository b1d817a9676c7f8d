"""Hosts for tests that run over both: the embedded host, and a hub that works against a real cluster.

``either_host`` is one for the tests of a file, ``own_either_host`` one for a test that kills it, and ``start_host`` starts one
with settings. A test that takes any of them runs twice, unless ``tests/one_host_only.toml`` says why not.
"""

import secrets
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from access import Cluster, own_cluster
from go_programs import cache_folder
from images import PYTHON, SHELL
from prerequisites import missing
from s3 import BUCKET, S3, running_s3
from volumes import SHARED_LABEL, provisioned, share

from kedge.config import Settings
from kedge.testing.cluster import running_hub
from kedge.testing.host import RunningHost, running_host

HOSTS = ("embedded", pytest.param("cluster", marks=pytest.mark.cluster))
StartHost = Callable[..., AbstractContextManager[RunningHost]]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster whose administrator the test is: `KEDGE_TEST_KUBECONFIG`'s, else one of our own; skipped where there is none."""
    environ = Settings.from_environment().environ
    if given := environ.get("KEDGE_TEST_KUBECONFIG"):
        yield Cluster(Path(given).absolute(), environ.get("KEDGE_TEST_CONTEXT", ""))
        return
    if why := missing():
        give_up(f"{why}; KEDGE_TEST_KUBECONFIG names another one")
    with own_cluster() as found:
        yield found


def give_up(why: str) -> None:
    """Skip what needs a cluster of our own; with ``CI=true`` it must run."""
    if Settings.from_environment().environ.get("CI", "") not in {"", "0", "false"}:
        pytest.fail(why)
    pytest.skip(why)


@dataclass(frozen=True)
class Hubs:
    """Starts hubs against one cluster, each in a namespace of its own.

    Attributes:
        cluster: The cluster.
        s3: Where their artifacts lie; Pods reach it.
        labels: Of their namespaces.
    """

    cluster: Cluster
    s3: S3
    labels: Mapping[str, str]

    @contextmanager
    def start(self, environ: Mapping[str, str] | None = None, *, start: bool = True) -> Generator[RunningHost]:
        """As `kedge.testing.host.running_host`."""
        with self.cluster.namespace(self.labels) as namespace:
            given = {
                "KEDGE_LISTEN": self.cluster.host,
                "KEDGE_ARTIFACTS": f"s3://{BUCKET}/{secrets.token_hex(4)}",
                "KEDGE_STAGER_IMAGE": "python:3.11",
                **self.s3.environ,
                **(environ or {}),
            }
            where: dict[str, Any] = {"context": self.cluster.context, "namespace": namespace, "start": start}
            try:
                with running_hub(self.cluster.kubeconfig, given, **where) as kedge:
                    yield kedge
            finally:
                self._let_go(namespace)

    def _let_go(self, namespace: str) -> None:
        """Leave nothing that waits for a hub: it is gone, and the namespace is about to be."""
        for each in self.cluster.get("pods,runs.kedge.dev", "--namespace", namespace)["items"]:
            if each["metadata"].get("finalizers"):
                what = [each["kind"], each["metadata"]["name"], "--namespace", namespace]
                with suppress(RuntimeError):  # gone by itself
                    self.cluster.kubectl("patch", *what, "--type=merge", '--patch={"metadata":{"finalizers":null}}')


@pytest.fixture(scope="session")
def hubs(cluster: Cluster) -> Iterator[Hubs]:
    """What starts hubs against the cluster."""
    cluster.bring(PYTHON, SHELL)
    session = secrets.token_hex(4)
    with ExitStack() as stack:
        s3 = stack.enter_context(running_s3(cluster.host))
        if cluster.is_here:
            share(cluster, shared_folder())
            volumes = Path(stack.enter_context(TemporaryDirectory(prefix="volumes-", dir=shared_folder())))
            stack.enter_context(provisioned(cluster, volumes, session))
        yield Hubs(cluster, s3, {SHARED_LABEL: session})


@pytest.fixture(scope="session")
def hub(hubs: Hubs) -> Iterator[RunningHost]:
    """A hub against the cluster that the tests of a session share."""
    with hubs.start() as kedge:
        yield kedge


@pytest.fixture
def own_hub(hubs: Hubs) -> Iterator[RunningHost]:
    """A hub against the cluster that this test may kill."""
    with hubs.start() as kedge:
        yield kedge


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder of the test's own that steps see at the same path, on either host; not in /tmp, of which each step has its own."""
    with TemporaryDirectory(dir=shared_folder()) as folder:
        yield Path(folder)


def shared_folder() -> Path:
    """Where such folders are."""
    folder = cache_folder() / "shared"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module", params=HOSTS)
def either_host(request: pytest.FixtureRequest) -> Iterator[RunningHost]:
    """A running host that the tests of one file share."""
    if request.param == "cluster":
        yield request.getfixturevalue("hub")
        return
    with running_host() as kedge:
        yield kedge


@pytest.fixture(scope="module", params=HOSTS)
def start_host(request: pytest.FixtureRequest) -> StartHost:
    """Starts a host, as `kedge.testing.host.running_host` does. A file whose tests count what there is has a fixture of it."""
    return request.getfixturevalue("hubs").start if request.param == "cluster" else running_host


@pytest.fixture(scope="module")
def steps_reach(request: pytest.FixtureRequest, start_host: StartHost) -> str:
    """The address of this machine at which the steps of what `start_host` starts reach it."""
    return "127.0.0.1" if start_host is running_host else request.getfixturevalue("cluster").host


@pytest.fixture
def reached_at(request: pytest.FixtureRequest) -> str:
    """The address of this machine at which the steps of the test's host reach it."""
    parameters: dict[str, Any] = request.node.callspec.params
    on_a_cluster = "cluster" in {parameters.get("either_host"), parameters.get("start_host")}
    return request.getfixturevalue("cluster").host if on_a_cluster else "127.0.0.1"


@pytest.fixture
def own_either_host(start_host: StartHost) -> Iterator[RunningHost]:
    """A running host that this test may kill."""
    with start_host() as kedge:
        yield kedge
