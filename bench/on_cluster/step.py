"""One step of a Python component with parameters only, beside a bare Pod that does the same in the same image."""

from typing import Any

import chains
from images import PYTHON
from place import Place

from kedge import dsl
from kedge.kube.kinds import Obj


@dsl.component(base_image=chains.IMAGE)
def add(number: int) -> int:
    """One parameter in, one out."""
    return number + 1


def chain(length: int) -> Any:
    """Each step works on the result of the one before."""

    @dsl.pipeline(name="chain")
    def pipeline(start: int = 0) -> None:
        number: Any = start
        for _ in range(length):
            task = add(number=number)
            task.set_caching_options(False)
            number = task.output

    return pipeline


def pod(name: str) -> Obj:
    """The same work, without anybody who waits for its result."""
    container = {"name": "main", "image": chains.IMAGE, "command": ["python3", "-c", "print(1 + 1)"]}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}
    return {"metadata": {"name": name}, "spec": spec}


def run(place: Place) -> list[dict[str, Any]]:
    """Measure; one row a figure."""
    place.bring(PYTHON)
    with place.hub() as hub:
        steps, pods, writes = chains.beside(place, hub, chain, pod, 30)
    return [
        chains.row("step, Python, parameters only, p50", steps, pods, 1.10),
        {"name": "... writes of Kedge to the API server", "value": writes, "unit": "", "limit": 4.0, "floor": None},
    ]
