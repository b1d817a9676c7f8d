"""One step of a Python component that reads and writes an artifact of 1 MiB, beside a bare Pod without any."""

from typing import Any

import chains
import step
from images import PYTHON
from place import Place

from kedge import dsl

SIZE = 1 << 20


@dsl.component(base_image=chains.IMAGE)
def make(size: int, new: dsl.Output[dsl.Dataset]) -> None:
    """The first artifact."""
    from pathlib import Path  # noqa: PLC0415  # a component brings its own

    Path(new.path).write_bytes(b"k" * size)


@dsl.component(base_image=chains.IMAGE)
def carry(old: dsl.Input[dsl.Dataset], new: dsl.Output[dsl.Dataset]) -> None:
    """Read one, write one."""
    from pathlib import Path  # noqa: PLC0415  # a component brings its own

    Path(new.path).write_bytes(Path(old.path).read_bytes())


def chain(length: int) -> Any:
    """Each step works on the artifact of the one before."""

    @dsl.pipeline(name="artifacts")
    def pipeline() -> None:
        task = make(size=SIZE)
        task.set_caching_options(False)
        for _ in range(length - 1):
            task = carry(old=task.outputs["new"])
            task.set_caching_options(False)

    return pipeline


def run(place: Place) -> list[dict[str, Any]]:
    """Measure; one row a figure."""
    place.bring(PYTHON)
    with place.hub() as hub:
        steps, pods, writes = chains.beside(place, hub, chain, step.pod, 30)
    return [
        chains.row("step, Python, 1 MiB in and out, p50", steps, pods, 1.20),
        {"name": "... writes of Kedge to the API server", "value": writes, "unit": "", "limit": 4.0, "floor": None},
    ]
