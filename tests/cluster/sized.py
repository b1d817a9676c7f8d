"""A pipeline for tests of hubs: a step that writes a file, and one that reads it and takes its time."""

from pathlib import Path
from typing import Any

from kedge.pipelines.compiler import compile_file
from kedge.testing.host import RunningHost

SOURCE = """
from kedge import dsl
from kedge.dsl import Dataset, Input, Output

@dsl.component
def write(n: int, out: Output[Dataset]):
    with open(out.path, "w") as file:
        file.write("x" * n)

@dsl.component
def size(data: Input[Dataset], seconds: float) -> int:
    import os, time
    time.sleep(seconds)
    return os.path.getsize(data.path)

@dsl.pipeline
def pipeline(seconds: float = 0.0) -> int:
    return size(data=write(n=7).outputs["out"], seconds=seconds).output
"""


def document(folder: Path) -> Any:
    file = folder / "pipeline.py"
    file.write_text(SOURCE)
    return compile_file(file)


def begun(kedge: RunningHost, folder: Path, seconds: float = 3.0) -> str:
    """A run whose second step runs, and ends after so many seconds."""
    run = kedge.client.run(document(folder), parameters={"seconds": seconds})["run_id"]
    for _ in kedge.client.watch(run):
        if any(task.get("name") == "size" and task["state"] == "RUNNING" for task in kedge.client.tasks(run)):
            break
    return str(run)


def ends_well(kedge: RunningHost, run: str) -> None:
    """It succeeds, and no step was run twice."""
    ended = kedge.client.wait(run)
    assert ended["state"] == "SUCCEEDED", ended
    tasks = kedge.client.tasks(run)
    assert {task.get("attempt", 0) for task in tasks} == {0}
    assert next(task for task in tasks if not task["id"])["outputs"]["parameters"] == {"Output": 7}
