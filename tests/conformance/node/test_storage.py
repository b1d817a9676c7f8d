"""What a Pod may keep on disk and in memory: measured, and held to its limits."""

import asyncio
from typing import Any

import pytest
from tests.conformance.node.conftest import Node, terminated

from kedge.kube.kinds import Obj

FILL = "head -c {}M /dev/zero > {}; sleep 3600"


def volume(**source: Any) -> Obj:
    return {"volumes": [{"name": "data", "emptyDir": source}]}


def mounted(**container: Any) -> Obj:
    return {"container": {"volumeMounts": [{"name": "data", "mountPath": "/data"}], **container}}


def assert_evicted(pod: Obj, message: str) -> None:
    status = pod["status"]
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Evicted", message)
    assert terminated(pod)["exitCode"] == 137


async def test_a_volume_that_grows_over_its_limit_evicts_the_pod(node: Node) -> None:
    node.pod("p", FILL.format(2, "/data/x"), **volume(sizeLimit="1Mi"), **mounted())
    assert_evicted(await node.ended("p"), 'Usage of EmptyDir volume "data" exceeds the limit "1Mi".')


@pytest.mark.parametrize("place", ["/tmp/x", "/dev/stdout"])  # noqa: S108  # its own
async def test_what_a_pod_keeps_in_all_counts_against_its_containers_limit(node: Node, place: str) -> None:
    container = {"resources": {"limits": {"ephemeral-storage": "1Mi"}}}
    lines = "yes 0123456789012345678901234567890123456789 | head -c 2M > {}; sleep 3600"
    node.pod("p", lines.format(place), container=container)
    assert_evicted(await node.ended("p"), "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi.")


async def test_what_stays_within_its_limit_is_left_alone_and_still_watched_by_another_hub(node: Node) -> None:
    script = "head -c 500K /dev/zero > /data/x; while [ ! -e /tmp/go ]; do sleep 0.01; done; " + FILL.format(2, "/data/y")
    node.pod("p", script, **volume(sizeLimit="1Mi"), **mounted())
    pod = await node.running("p")
    await asyncio.sleep(1.5)  # longer than between two looks
    assert node.get("p")["status"]["phase"] == "Running"
    await node.restart()
    (node.settings.home / "node" / "pods" / pod["metadata"]["uid"] / "tmp" / "go").touch()
    assert_evicted(await node.ended("p"), 'Usage of EmptyDir volume "data" exceeds the limit "1Mi".')


async def said(node: Node, script: str, **spec: Any) -> list[str]:
    node.pod("p", script, **spec)
    await node.ended("p")
    return (await node.log("p")).splitlines()


async def test_a_volume_of_memory_is_one_and_as_large_as_it_may_be(node: Node) -> None:
    script = "stat -f -c %T /data; head -c 2M /dev/zero > /data/x || echo full; stat -c %s /data/x"
    lines = await said(node, script, **volume(medium="Memory", sizeLimit="1Mi"), **mounted())
    assert [line for line in lines if "No space" not in line] == ["tmpfs", "full", str(1 << 20)]


async def test_a_volume_of_memory_is_as_large_as_its_container_may_be_where_nothing_else_is_said(node: Node) -> None:
    limits = {"resources": {"limits": {"memory": "32Mi"}}}
    assert await said(node, "stat -f -c '%T %b %s' /data", **volume(medium="Memory"), **mounted(**limits)) == ["tmpfs 8192 4096"]


async def test_shared_memory_may_be_larger_than_the_machines_and_is_the_containers_own(node: Node) -> None:
    """What loaders of data that work in several processes ask for."""
    shm = {"container": {"volumeMounts": [{"name": "data", "mountPath": "/dev/shm"}]}}  # noqa: S108  # its own
    script = "stat -f -c '%T %b %s' /dev/shm; ls /dev/shm | wc -l; touch /dev/shm/x && echo written"
    lines = await said(node, script, **volume(medium="Memory", sizeLimit="64Mi"), **shm)
    assert lines == ["tmpfs 16384 4096", "0", "written"]


async def test_a_volume_of_memory_that_containers_share_is_a_directory_that_is_watched(node: Node) -> None:
    mounts = [{"name": "data", "mountPath": "/data"}]
    first = {"name": "first", "image": "debian:12", "command": ["sh", "-c", "echo shared > /data/x"], "volumeMounts": mounts}
    script = "cat /data/x; " + FILL.format(2, "/data/y")
    node.pod("p", script, initContainers=[first], **volume(medium="Memory", sizeLimit="1Mi"), **mounted())
    assert_evicted(await node.ended("p"), 'Usage of EmptyDir volume "data" exceeds the limit "1Mi".')
    assert await node.log("p") == "shared\n"
