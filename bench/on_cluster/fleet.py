"""Many runs at once on simulated nodes: what the controller can take, beside a flood of the same Pods without it."""

import asyncio
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kwok
import psutil
from place import Bare, Hub, Place

from kedge import dsl
from kedge.config import Settings
from kedge.dsl import kubernetes
from kedge.kube.clock import parse_timestamp
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.pipelines import compiler
from kedge.pipelines.kinds import RUN_LABEL

STEPS = 10
FLOOD = 1000  # Pods, before and after
AT_ONCE = 32
SUBMITTERS = 4


@dsl.component(base_image="python:3.11")
def add(number: int) -> int:
    """One parameter in, one out."""
    return number + 1


@dsl.pipeline(name="fleet")
def fleet() -> None:
    """A chain on simulated nodes."""
    key, value = kwok.LABEL
    number: Any = 0
    for _ in range(STEPS):
        task = add(number=number)
        task.set_caching_options(False)
        kubernetes.add_node_selector(task, key, value)
        kubernetes.add_toleration(task, key, "Exists")
        number = task.output


def run(place: Place) -> list[dict[str, Any]]:
    """Measure; one row a figure."""
    runs = int(Settings.from_environment().environ.get("BENCH_RUNS", "1000"))
    flood = min(FLOOD, runs * STEPS)
    with kwok.simulated_nodes(place), place.cluster.namespace() as flooded, place.hub() as hub, kwok.stand_in(place, hub):
        hub.submit(fleet)
        pod = _pattern(place, hub)
        before = asyncio.run(_flood(place, flooded, pod, flood, "before"))
        used, most = hub.seconds(), _Most(hub.process)
        rate, lost = _runs(hub, runs)
        used, most = hub.seconds() - used, most.end()
        after = asyncio.run(_flood(place, flooded, pod, flood, "after"))
    bare = (before + after) / 2
    return [
        {
            "name": f"{runs} runs x {STEPS} steps",
            "value": rate,
            "unit": "Pods/s",
            "limit": 0.6 * bare,
            "floor": bare,
            "more": True,
        },
        {
            "name": "... processor time of the controller a Pod",
            "value": used * 1e3 / (runs * STEPS),
            "unit": "ms",
            "limit": 5.0,
            "floor": None,
        },
        {"name": "... its memory", "value": most / 1e6, "unit": "MB", "limit": 300, "floor": None},
        {"name": "... runs lost, steps repeated", "value": lost, "unit": "", "limit": 0, "floor": None},
    ]


class _Most:
    """The most memory that a process has while this looks."""

    def __init__(self, process: psutil.Process) -> None:
        self._process, self._most, self._over = process, 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.5):
            self._most = max(self._most, self._process.memory_info().rss)

    def end(self) -> int:
        self._over.set()
        self._thread.join()
        return self._most


def _runs(hub: Hub, number: int) -> tuple[float, int]:
    """Start runs as fast as the hub takes them; Pods a second until the last has ended, and what went wrong."""
    document = compiler.compile_pipeline(fleet)
    start = time.time()  # noqa: TID251  # compared with what the hub says of its runs
    with ThreadPoolExecutor(SUBMITTERS) as threads:
        ids = list(threads.map(lambda _: hub.client.run(document)["run_id"], range(number)))
    wrong = 0
    last = start
    for run_id in ids:
        ended = hub.client.wait(run_id)
        wrong += ended["state"] != "SUCCEEDED"
        last = max(last, parse_timestamp(ended["finished_at"]).timestamp())
    for run_id in itertools.islice(ids, 0, None, 20):
        wrong += sum(len(task.get("attempts", ())) > 1 for task in hub.client.tasks(run_id))
    return number * STEPS / (last - start), wrong


def _pattern(place: Place, hub: Hub) -> Obj:
    """A Pod as Kedge makes it, without what ties it to its run."""
    (pod, *_) = place.cluster.get("pods", "-n", hub.namespace, "-l", RUN_LABEL)["items"]
    spec = {name: value for name, value in pod["spec"].items() if name not in {"nodeName", "volumes"}}
    volumes = [each for each in pod["spec"]["volumes"] if not each["name"].startswith("kube-api-access")]
    containers = [
        {**each, "volumeMounts": [mount for mount in each["volumeMounts"] if not mount["name"].startswith("kube-api-access")]}
        for each in pod["spec"]["containers"]
    ]
    kept = {"annotations": pod["metadata"]["annotations"], "labels": {"flood": "yes"}}
    return {"metadata": kept, "spec": {**spec, "volumes": volumes, "containers": containers}}


async def _flood(place: Place, namespace: str, pod: Obj, number: int, name: str) -> float:
    """Create Pods as fast as the API server takes them; Pods a second until all have ended, but for what the last one ran."""
    async with place.bare(namespace) as bare:
        page = await bare.client.list(POD, namespace, labels=f"flood={name}")
        follower = asyncio.create_task(_ended(bare, name, number, page.resource_version))
        start = time.perf_counter()
        left = iter(range(number))
        await asyncio.gather(*(_create(bare, pod, name, left) for _ in range(AT_ONCE)))
        await follower
        return number / (time.perf_counter() - start - kwok.RUN_SECONDS)


async def _create(bare: Bare, pod: Obj, name: str, left: Any) -> None:
    for number in left:
        metadata = {**pod["metadata"], "name": f"flood-{name}-{number}", "namespace": bare.namespace, "labels": {"flood": name}}
        await bare.client.create(POD, {**pod, "metadata": metadata})


async def _ended(bare: Bare, name: str, number: int, version: str) -> None:
    ended = set[str]()
    async with asyncio.timeout(300):
        async for event in bare.client.watch(
            POD, bare.namespace, resource_version=version, labels=f"flood={name}", fields="status.phase=Succeeded"
        ):
            if event.type == "ADDED":
                ended.add(event.object["metadata"]["name"])
                if len(ended) == number:
                    return
