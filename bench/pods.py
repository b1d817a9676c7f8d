"""The host with Pods of its own: how long one takes from its creation to its end, fifty of a Deployment, and a host at rest.

Floors: the same interpreter doing the same nothing; a bare interpreter with the packages that serve the API.
The kubelet's figure for the first is 2.0 s (a real Kubernetes on such a machine, its image there already).
"""

import json
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
from processes import hub_and_supervisor

from kedge.testing.host import RunningHost, running_host

ROUNDS = 15
REPLICAS = 50
OBJECTS = 1000
SETTLES, IDLE = 3.0, 30.0  # seconds
SECONDS = 120.0  # after which nothing more is waited for
PODS = "/api/v1/namespaces/default/pods"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def run() -> list[dict[str, Any]]:
    """Measure; one row a figure."""
    with running_host() as kedge, _client(kedge) as client:
        bare = _bare_pod(client)
    with running_host({"KEDGE_MAX_PODS": str(REPLICAS + 10)}) as kedge, _client(kedge) as client:
        deployment = _deployment(client)
    with running_host() as kedge, _client(kedge) as client:
        return [bare, deployment, *_idle(kedge, client)]


@contextmanager
def _client(kedge: RunningHost) -> Generator[httpx.Client]:
    context = ssl.create_default_context(cafile=str(kedge.home / "pki" / "ca.crt"))
    headers = {"Authorization": f"Bearer {kedge.host.token}"}
    with httpx.Client(base_url=kedge.host.https, verify=context, headers=headers, timeout=SECONDS) as client:
        yield client


def _bare_pod(client: httpx.Client) -> dict[str, Any]:
    floors: list[float] = []
    taken: list[float] = []
    for number in range(ROUNDS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        floors.append(time.perf_counter() - start)
        taken.append(_pod(client, f"bare-{number}"))
    floor, value = (statistics.median(each[1:]) * 1e3 for each in (floors, taken))  # the first compiles and reads
    return {
        "name": "a Pod (python3 -c pass), created to Succeeded",
        "value": value,
        "unit": "ms",
        "limit": floor + 20,
        "floor": floor,
    }


def _pod(client: httpx.Client, name: str) -> float:
    image = f"python:{sys.version_info.major}.{sys.version_info.minor}"
    container = {"name": "main", "image": image, "command": ["python3", "-c", "pass"]}
    spec = {"restartPolicy": "Never", "containers": [container]}
    query = {"watch": "1", "fieldSelector": f"metadata.name={name}", "resourceVersion": _version(client, PODS)}
    with client.stream("GET", PODS, params=query) as watch:
        lines = watch.iter_lines()
        start = time.perf_counter()
        _create(client, PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
        _await(lines, lambda obj: obj["status"].get("phase") == "Succeeded")
        return time.perf_counter() - start


def _deployment(client: httpx.Client) -> dict[str, Any]:
    labels = {"app": "many"}
    container = {"name": "main", "image": "busybox", "command": ["sleep", "3600"]}
    pod = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}}
    spec = {"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": pod}
    query = {"watch": "1", "resourceVersion": _version(client, DEPLOYMENTS)}
    with client.stream("GET", DEPLOYMENTS, params=query) as watch:
        lines = watch.iter_lines()
        start = time.perf_counter()
        _create(client, DEPLOYMENTS, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "many"}, "spec": spec})
        _await(lines, lambda obj: obj.get("status", {}).get("readyReplicas") == REPLICAS)
        taken = time.perf_counter() - start
    start = time.perf_counter()
    for process in [subprocess.Popen(["sleep", "0"]) for _ in range(REPLICAS)]:
        process.wait()
    floor = time.perf_counter() - start
    return {
        "name": f"a Deployment of {REPLICAS} Pods, created to ready",
        "value": taken,
        "unit": "s",
        "limit": 3.0,
        "floor": floor,
    }


def _idle(kedge: RunningHost, client: httpx.Client) -> list[dict[str, Any]]:
    for number in range(OBJECTS):
        data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"object-{number}"}, "data": {"key": "value"}}
        _create(client, CONFIG_MAPS, data)
    time.sleep(SETTLES)  # noqa: TID251
    processes = hub_and_supervisor(kedge)
    before = sum(map(_processor, processes))
    time.sleep(IDLE)  # noqa: TID251  # this is what is measured
    share = (sum(map(_processor, processes)) - before) / IDLE * 100
    resident = sum(process.memory_info().rss for process in processes) / 1e6
    imports = "import asyncio, httpx, psutil, sqlite3, uvicorn; print(psutil.Process().memory_info().rss / 1e6)"
    floor = float(subprocess.run([sys.executable, "-c", imports], check=True, capture_output=True, text=True).stdout)
    what = f"at rest with {OBJECTS:,} objects"
    return [
        {"name": f"{what}: memory of hub and supervisor", "value": resident, "unit": "MB", "limit": 120, "floor": floor},
        {"name": f"{what}: processor", "value": share, "unit": "%", "limit": 0.1, "floor": 0.0},
    ]


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _create(client: httpx.Client, path: str, obj: dict[str, Any]) -> None:
    answer = client.post(path, json=obj)
    assert answer.status_code == 201, answer.text


def _version(client: httpx.Client, path: str) -> str:
    return client.get(path).json()["metadata"]["resourceVersion"]


def _await(lines: Iterator[str], holds: Callable[[dict[str, Any]], bool]) -> None:
    end = time.monotonic() + SECONDS
    for line in lines:
        obj = json.loads(line)["object"]
        if holds(obj):
            return
        assert obj.get("status", {}).get("phase") != "Failed", line
        assert time.monotonic() < end, line
    raise AssertionError("the watch ended first")
