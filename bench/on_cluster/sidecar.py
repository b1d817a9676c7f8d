"""One step in an image without Python, which reads and writes an artifact, beside a Pod of the same shape that stages nothing."""

from typing import Any

import chains
from images import PYTHON, STATIC
from place import Place

from kedge import dsl
from kedge.kube.kinds import Obj

EACH = 12
_WAIT = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {15}); signal.sigwait({15})"


@dsl.container_component
def upper(old: dsl.Input[dsl.Dataset], new: dsl.Output[dsl.Dataset]) -> dsl.ContainerSpec:
    """Read one, write one."""
    return dsl.ContainerSpec(image=STATIC.names[0], command=["/static"], args=["-in", old.path, "-out", new.path])


@dsl.container_component
def first(new: dsl.Output[dsl.Dataset]) -> dsl.ContainerSpec:
    """The first artifact."""
    return dsl.ContainerSpec(image=STATIC.names[0], command=["/static"], args=["-out", new.path, "text"])


def chain(length: int) -> Any:
    """Each step works on the artifact of the one before."""

    @dsl.pipeline(name="sidecars")
    def pipeline() -> None:
        task = first()
        task.set_caching_options(False)
        for _ in range(length - 1):
            task = upper(old=task.outputs["new"])
            task.set_caching_options(False)

    return pipeline


def pod(name: str) -> Obj:
    """The same shape: an init container, a sidecar, the same program; and nothing to stage."""
    ours = {"image": chains.IMAGE, "command": ["python3", "-c"]}
    inits = [
        {"name": "before", **ours, "args": ["pass"]},
        {"name": "beside", **ours, "args": [_WAIT], "restartPolicy": "Always"},
    ]
    main = {"name": "main", "image": STATIC.names[0], "command": ["/static"], "args": ["text"]}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, "initContainers": inits, "containers": [main]}
    return {"metadata": {"name": name}, "spec": spec}


def run(place: Place) -> list[dict[str, Any]]:
    """Measure; one row a figure."""
    place.bring(PYTHON)
    place.bring(STATIC)
    with place.hub() as hub:
        steps, pods, writes = chains.beside(place, hub, chain, pod, EACH)
    return [
        chains.row("step in an image without Python, artifact in and out, p50", steps, pods, 1.10),
        {"name": "... writes of Kedge to the API server", "value": writes, "unit": "", "limit": 4.0, "floor": None},
    ]
