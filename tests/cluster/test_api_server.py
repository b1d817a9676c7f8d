"""An API server that is away, silent, busy or forgetful: runs go on, nothing is lost and nothing is done twice."""

import asyncio
import json
import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from access import Cluster
from failures import ROWS
from fairness import throttled
from faults import SHOWN_SECONDS, Watched, until
from faulty_proxy import Asked, FaultyProxy, answer, faulty_proxy, status
from hosts import Hubs
from s3 import BUCKET
from witness import Witness

from kedge.client import http as http_client
from kedge.client import kubeconfig as kubeconfigs
from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access, load
from kedge.control.informer import Informer
from kedge.errors import KedgeError, TooManyRequests, Unavailable
from kedge.kube.clock import SystemClock
from kedge.kube.core import CONFIG_MAP
from kedge.kube.crds import crd
from kedge.manifests import rights
from kedge.pipelines.compiler import compile_file
from kedge.pipelines.kinds import RUN
from kedge.testing.cluster import running_hub
from kedge.testing.host import RunningHost

AWAY_SECONDS = 30
STEPS = 4
SOURCE = f"""
from kedge import dsl

@dsl.component(base_image="python:3.11")
def add(x: int, seconds: float) -> int:
    import time
    time.sleep(seconds)
    return x + 1

@dsl.container_component
def wait(seconds: float):
    code = "import sys, time; time.sleep(float(sys.argv[1]))"
    return dsl.ContainerSpec("python:3.11", ["python3", "-c", code, seconds])

@dsl.pipeline
def pipeline(seconds: float = 2.0) -> int:
    beside = wait(seconds=seconds)
    done = add(x=0, seconds=seconds)
    for _ in range({STEPS - 1}):
        done = add(x=done.output, seconds=seconds)
    return done.output
"""


@contextmanager
def hub_behind(proxy_to: Cluster, hubs: Hubs, folder: Path, namespace: str) -> Generator[tuple[RunningHost, FaultyProxy]]:
    """A hub that reaches the API server through a proxy."""
    environ = {
        "KEDGE_LISTEN": proxy_to.host,
        "KEDGE_ARTIFACTS": f"s3://{BUCKET}/{secrets.token_hex(4)}",
        **hubs.s3.environ,
    }
    with (
        faulty_proxy(proxy_to.kubeconfig, folder, context=proxy_to.context) as (proxy, through),
        running_hub(through, environ, namespace=namespace) as kedge,
    ):
        yield kedge, proxy


@pytest.fixture
def behind(cluster: Cluster, hubs: Hubs, namespace: str, tmp_path: Path) -> Iterator[tuple[RunningHost, FaultyProxy]]:
    with hub_behind(cluster, hubs, tmp_path, namespace) as found:
        yield found


@pytest.fixture
def document(tmp_path: Path) -> Any:
    file = tmp_path / "pipeline.py"
    file.write_text(SOURCE)
    return compile_file(file)


def begin(kedge: RunningHost, cluster: Cluster, namespace: str, document: Any) -> Watched:
    """Start a run, and wait until its first steps run."""
    run = kedge.client.run(document)
    uid = run["run_id"]
    until(lambda: True if "RUNNING" in states(kedge, uid) else None, "a step to run", 60)
    return Watched(cluster, kedge.client, Witness(), namespace, "", uid)


def states(kedge: RunningHost, run: str) -> list[str]:
    return [task["state"] for task in kedge.client.tasks(run) if task["id"]]


def done_once(run: Watched, within: float = 60) -> None:
    """The run succeeds, and every step had one attempt and one Pod."""
    until(lambda: run.client.get(run.id)["state"] == "SUCCEEDED" or None, "the run to succeed", within)
    tasks = run.client.tasks(run.id)
    (root,) = [task for task in tasks if not task["id"]]
    assert root["outputs"]["parameters"] == {"Output": STEPS}
    steps = [task for task in tasks if task["id"]]
    assert [task["attempt"] for task in steps] == [0] * (STEPS + 1)
    assert len(run.pods()) == STEPS + 1


# ---- away


@pytest.mark.parametrize("how", ["refuses", "is silent"])
def test_steps_go_on_while_the_api_server_is_away_for_half_a_minute(
    behind: tuple[RunningHost, FaultyProxy], cluster: Cluster, namespace: str, document: Any, how: str
) -> None:
    kedge, proxy = behind
    run = begin(kedge, cluster, namespace, document)
    back = time.monotonic() + AWAY_SECONDS
    (proxy.go_away if how == "refuses" else proxy.fall_silent)()
    if how == "refuses":
        row = ROWS["api-server-away"]

        def shown() -> bool | None:
            found = [task for task in kedge.client.tasks(run.id) if task["id"] and task["state"] == row.state]
            return any(row.says(kedge.client.task(run.id, task["id"]).get("waiting_reason", "")) for task in found) or None

        until(shown, row.message, 60)
    threading.Event().wait(max(0.0, back - time.monotonic()))
    (proxy.start if how == "refuses" else proxy.speak)()
    before = len(proxy.requests)
    until(lambda: any(_makes_a_pod(asked) for asked in proxy.requests[before:]) or None, "the next Pod", SHOWN_SECONDS)
    done_once(run)


def test_connections_that_are_cut_again_and_again_lose_nothing(
    behind: tuple[RunningHost, FaultyProxy], cluster: Cluster, namespace: str, document: Any
) -> None:
    kedge, proxy = behind
    run = begin(kedge, cluster, namespace, document)
    for _ in range(10):
        proxy.cut()
        threading.Event().wait(0.5)
    done_once(run)


# ---- forgetful


def test_a_watch_that_has_expired_is_begun_anew(
    behind: tuple[RunningHost, FaultyProxy], cluster: Cluster, namespace: str, document: Any
) -> None:
    """By a response of 410, and by one in the stream."""
    kedge, proxy = behind
    run = begin(kedge, cluster, namespace, document)
    gone = status(410, "Expired", "too old resource version: 1 (2)")
    proxy.say(lambda asked: asked.watches, answer(410, gone), times=4)
    proxy.say(lambda asked: asked.watches, answer(200, {"type": "ERROR", "object": gone}), times=4)
    proxy.cut()
    done_once(run)
    until(lambda: not proxy.owed() or None, "all watches to be begun anew", 60)
    task = run.client.task(run.id, "add")
    row = ROWS["watch-expired"]
    assert (task["state"], len(task["attempts"])) == (row.state, 1 + row.infra + row.user)


def test_a_list_whose_pages_expire_is_read_whole(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    maps = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{number}"}} for number in range(210)]
    cluster.apply(*maps, namespace=namespace)
    with faulty_proxy(cluster.kubeconfig, tmp_path, context=cluster.context) as (proxy, through):
        expired = status(410, "Expired", "The provided continue parameter is too old to display a consistent list result.")
        proxy.say(lambda asked: "continue=" in asked.path, answer(410, expired))
        held = asyncio.run(_held(through, namespace))
    assert {f"c{number}" for number in range(210)} <= held
    assert not proxy.owed()


async def _held(kubeconfig: Path, namespace: str) -> set[str]:
    async with following(load(kubeconfig), namespace) as informer:
        return {obj["metadata"]["name"] for obj in informer.items()}


class following:  # noqa: N801  # used as a function
    """An informer over the ConfigMaps of a namespace."""

    def __init__(self, access: Access, namespace: str) -> None:
        clock = SystemClock()
        self._client = HttpClient(access, clock=clock)
        self.informer = Informer(self._client, CONFIG_MAP, clock, namespace=namespace)

    async def __aenter__(self) -> Informer:
        self._task = asyncio.create_task(self.informer.run())
        await asyncio.wait_for(self.informer.synced(), 60)
        return self.informer

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        await self._client.close()


# ---- busy


@pytest.fixture
def hub_account(cluster: Cluster, namespace: str, tmp_path: Path) -> Cluster:
    """A cluster as the service account ``hub`` sees it, which has the rights of an installed hub."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename", "-", said=json.dumps(crd(RUN)))
    api = "rbac.authorization.k8s.io/v1"
    role = {"apiVersion": api, "kind": "Role", "metadata": {"name": "hub"}, "rules": list(rights.RUNS)}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "hub"}}
    cluster.apply(account, role, namespace=namespace)
    where = ("--namespace", namespace)
    cluster.kubectl("create", "rolebinding", "hub", "--role=hub", f"--serviceaccount={namespace}:hub", *where)
    token = cluster.kubectl("create", "token", "hub", *where).strip()
    access = load(cluster.kubeconfig, context=cluster.context or None)
    path = tmp_path / "hub-account"
    kubeconfigs.write(path, replace(access, token=token, certificate=None, key=None, namespace=namespace))
    return Cluster(path)


def test_a_server_that_throttles_is_asked_again_when_it_says(
    cluster: Cluster, hubs: Hubs, hub_account: Cluster, document: Any, tmp_path: Path
) -> None:
    """Writes and watches alike."""
    access = load(hub_account.kubeconfig)
    with hub_behind(hub_account, hubs, tmp_path, access.namespace) as (kedge, proxy):
        run = begin(kedge, cluster, access.namespace, document)
        with throttled(cluster, access, "hub"):
            proxy.cut()
            for match in (_makes_a_pod, lambda asked: asked.watches):
                until(lambda match=match: _refused(proxy, match), "a request that is refused", 60)
        done_once(run, within=90)
        task = run.client.task(run.id, "add")
    row = ROWS["throttled"]
    assert (task["state"], len(task["attempts"])) == (row.state, 1 + row.infra + row.user)


def _refused(proxy: FaultyProxy, match: Callable[[Asked], bool]) -> bool | None:
    return any(code == TooManyRequests.code and match(asked) for asked, code in proxy.answers) or None


def _makes_a_pod(asked: Asked) -> bool:
    return asked.method == "POST" and asked.path.split("?")[0].endswith("/pods")


def test_a_throttled_client_waits_as_long_as_the_server_says(cluster: Cluster, tmp_path: Path) -> None:
    with faulty_proxy(cluster.kubeconfig, tmp_path, context=cluster.context) as (proxy, through):
        busy = answer(429, status(429, "TooManyRequests", "later"), Retry_After="2")
        proxy.say(lambda _: True, busy, times=2)
        began = time.monotonic()
        asyncio.run(_version(through))
        assert time.monotonic() - began >= 4
        assert len(proxy.requests) == 3


async def _version(kubeconfig: Path) -> None:
    async with HttpClient(load(kubeconfig)) as client:
        await client.version()


@pytest.mark.parametrize("code", [500, 503, 504])
def test_an_answer_that_is_lost_makes_no_second_pod(
    behind: tuple[RunningHost, FaultyProxy], cluster: Cluster, namespace: str, document: Any, code: int
) -> None:
    kedge, proxy = behind
    lost = answer(code, status(code, "InternalError", "etcdserver: request timed out"))
    for match in (_makes_a_pod, lambda asked: asked.method == "PATCH"):
        proxy.say(match, lost, times=3, after=True)
    run = begin(kedge, cluster, namespace, document)
    done_once(run)
    assert not proxy.owed()


# ---- half open


def _maps(cluster: Cluster, namespace: str, *names: str) -> None:
    cluster.apply(*({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}} for name in names), namespace=namespace)


async def _hears(informer: Informer, name: str, within: float) -> None:
    async with asyncio.timeout(within):
        while not any(obj["metadata"]["name"] == name for obj in informer.items()):  # noqa: ASYNC110  # a test's look
            await asyncio.sleep(0.05)


async def test_a_watch_on_a_connection_that_is_forgotten_goes_on_elsewhere(
    cluster: Cluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "_QUIET_SECONDS", 2.0)
    with faulty_proxy(cluster.kubeconfig, tmp_path, context=cluster.context) as (proxy, through):
        async with following(load(through), namespace) as informer:
            _maps(cluster, namespace, "before")
            await _hears(informer, "before", 60)
            proxy.forget()
            _maps(cluster, namespace, "meanwhile")
            await _hears(informer, "meanwhile", 60)


async def test_a_token_that_is_over_is_read_again(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("of-yesterday")
    with faulty_proxy(cluster.kubeconfig, tmp_path, context=cluster.context) as (_, through):
        access = load(through)
        async with HttpClient(Access(access.server, token_file=token)) as client:
            with pytest.raises(KedgeError, match="Unauthorized"):
                await client.list(CONFIG_MAP, namespace)
            token.write_text(access.token or "")
            assert (await client.list(CONFIG_MAP, namespace)).items


async def test_a_server_is_known_by_the_name_that_the_kubeconfig_gives(cluster: Cluster) -> None:
    access = load(cluster.kubeconfig, context=cluster.context or None)
    async with HttpClient(replace(access, server_name="kubernetes.default")) as client:
        assert (await client.version())["major"]
    async with HttpClient(replace(access, server_name="another.example")) as client:
        with pytest.raises(Unavailable, match=r"not valid for 'another\.example'"):
            await client.version()
