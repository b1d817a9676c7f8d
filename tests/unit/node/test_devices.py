"""Which GPUs there are, and who has which."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from kedge.client.local import LocalClient
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.node import devices
from kedge.node.admission import Admission, Size
from kedge.node.devices import Devices
from kedge.server.api import Api
from kedge.testing.api import memory_api

NOWHERE = {"PATH": "/nowhere"}


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    """A driver's files for two GPUs, written last first."""
    for bus, uuid in (("0000:41:00.0", "GPU-bb"), ("0000:01:00.0", "GPU-aa")):
        place = tmp_path / bus
        place.mkdir()
        (place / "information").write_text(f"Model: \t\t NVIDIA H100\nGPU UUID: \t {uuid}\nBus Location: \t {bus}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("environ", "count", "found"),
    [
        pytest.param({}, None, ("0", "1"), id="all that the driver shows"),
        pytest.param({"CUDA_VISIBLE_DEVICES": "1"}, None, ("1",), id="one of them is left by whoever started Kedge"),
        pytest.param({"CUDA_VISIBLE_DEVICES": "GPU-bb,GPU-aa"}, None, ("1", "0"), id="by their ids, in the order of the bus"),
        pytest.param({"CUDA_VISIBLE_DEVICES": ""}, None, (), id="none is left"),
        pytest.param({"CUDA_VISIBLE_DEVICES": "7"}, None, (), id="one that is not there"),
        pytest.param({}, 3, ("0", "1", "2"), id="as many as the setting says"),
        pytest.param({}, 0, (), id="none by the setting"),
    ],
)
def test_gpus_are_found_in_the_order_of_the_bus(
    driver: Path, environ: Mapping[str, str], count: int | None, found: tuple[str, ...]
) -> None:
    assert devices.discover({**NOWHERE, **environ}, count, driver) == found


def test_where_the_driver_hides_its_files_its_program_is_asked(tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho GPU-aa\necho GPU-bb\n")
    program.chmod(0o755)
    assert devices.discover({"PATH": str(tmp_path)}, driver=tmp_path / "none") == ("0", "1")


def test_a_machine_without_gpus_has_none(tmp_path: Path) -> None:
    assert devices.discover(NOWHERE, driver=tmp_path / "none") == ()


@pytest.mark.parametrize(
    ("asked", "visible"),
    [
        pytest.param(None, "4,6", id="all that it has"),
        pytest.param("0", "4", id="the first of its own"),
        pytest.param("1,0", "6,4", id="in the order that it wants"),
        pytest.param("2", "", id="one that it does not have"),
        pytest.param("", "", id="none"),
    ],
)
def test_what_a_pod_says_of_gpus_counts_its_own(asked: str | None, visible: str) -> None:
    assert devices.variables(("4", "6"), asked)["CUDA_VISIBLE_DEVICES"] == visible


def test_nothing_is_said_of_gpus_where_there_are_none() -> None:
    assert devices.variables(None, "0") == {}


def _pod(api: Api, name: str, gpus: int) -> Obj:
    container = {"name": "main", "image": "debian", "resources": {"limits": {"nvidia.com/gpu": gpus}} if gpus else {}}
    return api.create(POD, {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [container]}})


async def test_each_gpu_is_one_pods_at_a_time_also_for_an_agent_after_this_one() -> None:
    api = memory_api()
    client = LocalClient(api)
    first = Devices(client, ("0", "1", "2"))
    a, b, none = (_pod(api, name, gpus) for name, gpus in (("a", 1), ("b", 1), ("none", 0)))
    assert [await first.give(pod) for pod in (a, b, none)] == [{"main": ("0",)}, {"main": ("1",)}, {"main": ()}]
    first.release(a["metadata"]["uid"])
    second = Devices(client, ("0", "1", "2"))
    second.adopt(await client.get(POD, "b", "default"))
    assert await second.give(_pod(api, "c", 2)) == {"main": ("0", "2")}
    assert await second.give(b) == {"main": ("1",)}


def test_pods_wait_for_gpus_in_their_order() -> None:
    queue = Admission(Size(8.0, 1000, (("nvidia.com/gpu", 2.0),)), max_pods=100)
    for uid, gpus in (("a", 1.0), ("b", 2.0), ("c", 1.0)):
        queue.queue(uid, Size(1.0, 1, (("nvidia.com/gpu", gpus),)))
    assert [queue.next(), queue.next()] == ["a", None]
    queue.release("a")
    assert [queue.next(), queue.next()] == ["b", None]
    queue.release("b")
    assert queue.next() == "c"
