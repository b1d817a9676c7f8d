# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""Steps that use every GPU of a machine, none, and one in turn. They speak to CUDA's driver themselves: nothing is installed."""

import sys

from kedge import dsl

HERE = f"python:{sys.version_info.major}.{sys.version_info.minor}"


@dsl.component(base_image=HERE)
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


@dsl.component(base_image=HERE)
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
def pipeline(every: int, size: int = 1 << 20) -> None:
    """One step with every GPU, one without, and a loop of steps that take turns."""
    count().set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(every)
    count()
    with dsl.ParallelFor([1, 2, 3, 4]):
        fill(size=size).set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
