"""A hub on this machine that works against a cluster: the pipelines, the clients and the promises of the embedded host."""

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


def test_a_pipeline_runs_in_the_clusters_pods(hub: RunningHost, tmp_path: Path) -> None:
    run = hub.client.run(document(tmp_path))
    ended = hub.client.wait(run["run_id"])
    assert ended["state"] == "SUCCEEDED", ended["error"]
    assert outputs(hub, run["run_id"]) == {"Output": 7}


def test_a_hub_that_was_killed_takes_up_its_runs(own_hub: RunningHost, tmp_path: Path) -> None:
    run = own_hub.client.run(document(tmp_path), parameters={"seconds": 3.0})
    for change in own_hub.client.watch(run["run_id"]):
        if any(task.get("name") == "size" and task["state"] == "RUNNING" for task in own_hub.client.tasks(run["run_id"])):
            break
        assert change
    own_hub.kill()
    own_hub.start()
    assert own_hub.client.wait(run["run_id"])["state"] == "SUCCEEDED"
    assert outputs(own_hub, run["run_id"]) == {"Output": 7}
    assert {task.get("attempt", 0) for task in own_hub.client.tasks(run["run_id"])} == {0}


def outputs(kedge: RunningHost, run: str) -> dict[str, Any]:
    """The parameters that a pipeline has given."""
    (root,) = [task for task in kedge.client.tasks(run) if not task["id"]]
    return root["outputs"]["parameters"]
