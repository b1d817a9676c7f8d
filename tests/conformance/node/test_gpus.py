"""GPUs are handed out by index: to whom asks, to one at a time."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conformance.node.conftest import Node

from kedge.kube.core import NODE

SHOW = 'echo "${CUDA_VISIBLE_DEVICES-unset}"'


@pytest.fixture
async def gpus(tmp_path: Path, cache: Path) -> AsyncIterator[Node]:
    """A node with two GPUs."""
    made = Node(tmp_path / "home", cache, gpus=2)
    await made.agent.start()
    try:
        yield made
    finally:
        await made.agent.stop_all(grace=0)


def waiting(done: Path) -> str:
    return f"{SHOW}; while [ ! -e {done} ]; do sleep 0.02; done"


def asking(count: int) -> dict[str, object]:
    return {"resources": {"limits": {"nvidia.com/gpu": count}}}


async def test_pods_get_gpus_of_their_own_and_wait_until_one_is_free(gpus: Node, shared: Path) -> None:
    done = shared / "done"
    for name in ("a", "b", "c"):
        gpus.pod(name, waiting(done), container=asking(1))
    await gpus.running("a")
    await gpus.running("b")
    assert gpus.get("c")["status"]["phase"] == "Pending"
    done.touch()
    for name in ("a", "b", "c"):
        await gpus.ended(name)
    assert [await gpus.log("a"), await gpus.log("b")] == ["0\n", "1\n"]
    assert (await gpus.log("c")).strip() in {"0", "1"}


async def test_the_node_says_how_many_it_has(gpus: Node) -> None:
    assert gpus.api.get(NODE, "here")["status"]["allocatable"]["nvidia.com/gpu"] == "2"


async def test_who_asks_for_no_gpu_sees_none(gpus: Node) -> None:
    gpus.pod("p", SHOW)
    await gpus.ended("p")
    assert await gpus.log("p") == "\n"


async def test_a_running_pod_keeps_its_gpu_when_the_agent_is_started_anew(gpus: Node, shared: Path) -> None:
    done = shared / "done"
    gpus.pod("first", waiting(done), container=asking(1))
    await gpus.running("first")
    await gpus.restart()
    gpus.pod("second", SHOW, container=asking(1))
    await gpus.ended("second")
    done.touch()
    await gpus.ended("first")
    assert [await gpus.log("first"), await gpus.log("second")] == ["0\n", "1\n"]


async def test_without_gpus_nothing_is_said_of_them(node: Node) -> None:
    node.pod("p", SHOW, container={"env": [{"name": "CUDA_VISIBLE_DEVICES", "value": "5"}]})
    await node.ended("p")
    assert await node.log("p") == "5\n"
