"""A loop over two thousand items on simulated nodes: it completes, and no object that it makes is large."""

import asyncio
from typing import Any

import kwok
import msgspec
from place import Hub, Place

from kedge import dsl
from kedge.client.types import pages
from kedge.dsl import kubernetes
from kedge.kube.core import CONFIG_MAP, POD
from kedge.kube.kinds import Obj
from kedge.pipelines.kinds import RUN

ITEMS = 2000


@dsl.component(base_image="python:3.11")
def add(number: int) -> int:
    """One parameter in, one out."""
    return number + 1


@dsl.component(base_image="python:3.11")
def total(numbers: list[int]) -> int:
    """Many parameters in, one out."""
    return sum(numbers)


def _place(task: Any) -> None:
    key, value = kwok.LABEL
    task.set_caching_options(False)
    kubernetes.add_node_selector(task, key, value)
    kubernetes.add_toleration(task, key, "Exists")


@dsl.pipeline(name="loop")
def loop() -> None:
    """A loop, and a step that gets all of its results."""
    with dsl.ParallelFor(list(range(ITEMS))) as item:
        task = add(number=item)
        _place(task)
    _place(total(numbers=dsl.Collected(task.output)))


def run(place: Place) -> list[dict[str, Any]]:
    """Measure; one row a figure."""
    with kwok.simulated_nodes(place), place.hub() as hub, kwok.stand_in(place, hub):
        found = hub.submit(loop)
        states = [task["state"] for task in hub.client.tasks(found["run_id"]) if task["type"] == "RUNTIME"]
        name, size = asyncio.run(_largest(place, hub))
    return [
        {
            "name": f"ParallelFor over {ITEMS} items: steps that did not succeed",
            "value": ITEMS + 1 - states.count("SUCCEEDED"),
            "unit": "",
            "limit": 0,
            "floor": None,
        },
        {"name": f"... its largest object ({name})", "value": size / 1e3, "unit": "kB", "limit": 100, "floor": None},
    ]


async def _largest(place: Place, hub: Hub) -> tuple[str, int]:
    """The kind and the size of the largest object that the run owns, as JSON; the launcher is the namespace's, whatever runs."""
    sizes: dict[str, int] = {}
    async with place.bare(hub.namespace) as bare:
        for kind in (RUN, POD, CONFIG_MAP):
            async for page in pages(bare.client, kind, hub.namespace):
                for obj in page.items:
                    if kind is RUN or _is_owned(obj):
                        sizes[kind.kind] = max(sizes.get(kind.kind, 0), len(msgspec.json.encode(obj)))
    name = max(sizes, key=lambda kind: sizes[kind])
    return name, sizes[name]


def _is_owned(obj: Obj) -> bool:
    return any(owner["kind"] == RUN.kind for owner in obj["metadata"].get("ownerReferences") or ())
