"""Steps on a machine that has GPUs: who asks for one gets one, and CUDA sees no other. Needs a GPU of NVIDIA's and its driver."""

import os
from typing import Any

import pytest

from kedge import dsl
from kedge.node import devices
from kedge.pipelines import compiler
from kedge.testing.host import running_host

FOUND = devices.discover(os.environ)
pytestmark = pytest.mark.skipif(not FOUND, reason="this machine has no GPU of NVIDIA's")


@dsl.component
def count() -> int:
    """How many GPUs CUDA's driver gives to this process."""
    import ctypes

    cuda = ctypes.CDLL("libcuda.so.1")
    found = ctypes.c_int(0)
    no_device = 100
    if (error := cuda.cuInit(0)) == no_device:
        return 0
    if error or cuda.cuDeviceGetCount(ctypes.byref(found)):
        raise RuntimeError(f"cuInit: {error}")
    return found.value


@dsl.component
def fill(size: int) -> int:
    """Allocate memory on the GPU, and say how much was free before."""
    import ctypes

    cuda, device, context = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), ctypes.c_void_p()
    pointer, free, total = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    for error in (
        cuda.cuInit(0),
        cuda.cuDeviceGet(ctypes.byref(device), 0),
        cuda.cuCtxCreate_v2(ctypes.byref(context), 0, device),
        cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)),
        cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(size)),
        cuda.cuMemsetD8_v2(pointer, 7, ctypes.c_size_t(size)),
        cuda.cuCtxSynchronize(),
    ):
        if error:
            raise RuntimeError(f"CUDA says {error}")
    return free.value


@dsl.pipeline(name="gpus")
def pipeline(size: int = 1 << 20) -> None:
    """One step with every GPU, one without, and a loop of steps that take turns."""
    count().set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(len(FOUND)).set_display_name("with")
    count().set_display_name("without")
    with dsl.ParallelFor([1, 2, 3, 4]):
        fill(size=size).set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1).set_display_name("turns")


@pytest.fixture(scope="module")
def tasks() -> dict[str, list[dict[str, Any]]]:
    """The tasks of one run, by display name."""
    with running_host() as kedge:
        run = kedge.client.run(compiler.compile_pipeline(pipeline))
        assert kedge.client.wait(run["run_id"])["state"] == "SUCCEEDED", kedge.client.tasks(run["run_id"])
        found: dict[str, list[dict[str, Any]]] = {}
        for task in kedge.client.tasks(run["run_id"]):
            found.setdefault(task.get("display_name", ""), []).append(task)
        return found


def _output(task: dict[str, Any]) -> Any:
    return task["outputs"]["parameters"]["Output"]


def test_a_step_sees_the_gpus_that_it_asked_for(tasks: dict[str, list[dict[str, Any]]]) -> None:
    assert [_output(task) for task in tasks["with"]] == [len(FOUND)]


def test_a_step_that_asked_for_none_sees_none(tasks: dict[str, list[dict[str, Any]]]) -> None:
    assert [_output(task) for task in tasks["without"]] == [0]


def test_steps_take_turns_and_use_the_gpu_from_warm_interpreters(tasks: dict[str, list[dict[str, Any]]]) -> None:
    spans = sorted((task["start_time"], task["end_time"]) for task in tasks["turns"])
    assert len(spans) == 4
    if len(FOUND) == 1:
        assert all(before[1] <= after[0] for before, after in zip(spans, spans[1:], strict=False))
