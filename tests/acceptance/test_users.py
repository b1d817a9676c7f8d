"""Steps that are not root's, on a host that root has started: files, folders and images of all kinds pass between users."""

import os
import sys
from pathlib import Path

import pytest

from kedge.pipelines.compiler import compile_file
from kedge.testing.host import RunningHost

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root becomes somebody else"),
]

PIPELINE = '''
from kedge import dsl
from kedge.dsl import Dataset, Input, Model, Output, kubernetes

@dsl.component
def make(data: Output[Dataset], folder: Output[Model]) -> int:
    """A file, a folder, and what it had to be made with."""
    import os
    with open(data.path, "w") as file:
        file.write("made by " + str(os.getuid()))
    os.makedirs(folder.path)
    with open(os.path.join(folder.path, "part"), "w") as file:
        file.write("a part")
    return os.getuid()

@dsl.component
def look(data: Input[Dataset], folder: Input[Model], more: Output[Dataset]) -> str:
    import os
    with open(data.path) as file, open(os.path.join(folder.path, "part")) as part:
        text = f"{file.read()}, {part.read()}, seen by {os.getuid()}"
    with open(more.path, "w") as file:
        file.write(text)
    try:
        with open(data.path, "a") as file:
            file.write("spoiled")
    except PermissionError:
        pass  # it is the file that the other step made; elsewhere it is a copy
    return text

@dsl.container_component
def shell(data: Input[Dataset], said: dsl.OutputPath(str), more: Output[Dataset]):
    script = 'echo "$(cat "$0"), shell of $(id -u)" > "$1" && mkdir -p "$(dirname "$2")" && cp "$1" "$2"'
    return dsl.ContainerSpec("busybox", ["sh", "-c", script, data.path, said, more.path])

@dsl.component
def end(data: Input[Dataset]) -> str:
    import os
    with open(data.path) as file:
        return file.read().strip() + f", root is {os.getuid()}"

@dsl.pipeline
def users() -> str:
    made = make()
    kubernetes.set_security_context(made, run_as_user=4242, run_as_group=4242)
    seen = look(data=made.outputs["data"], folder=made.outputs["folder"])
    kubernetes.set_security_context(seen, run_as_user=4343, run_as_non_root=True)
    told = shell(data=seen.outputs["more"])
    kubernetes.set_security_context(told, run_as_user=4444)
    return end(data=told.outputs["more"]).output
'''


def test_artifacts_pass_between_steps_of_different_users(either_host: RunningHost, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.py"
    file.write_text(PIPELINE)
    run = either_host.client.run(compile_file(file, pipeline_name="users"), cache=False)
    ended = either_host.client.wait(run["run_id"])
    tasks = {task["id"]: task for task in either_host.client.tasks(run["run_id"])}
    assert ended["state"] == "SUCCEEDED", {name: task.get("error") for name, task in tasks.items()}
    assert tasks[""]["outputs"]["parameters"]["Output"] == ("made by 4242, a part, seen by 4343, shell of 4444, root is 0")
    (made,) = (one for one in either_host.client.artifacts(run["run_id"]) if one["task_id"] == "make" and one["name"] == "data")
    assert either_host.client.read_artifact(made["artifact_id"]) == b"made by 4242"
