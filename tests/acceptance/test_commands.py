"""Container components on a whole host: quick commands lose nothing."""

import json
from pathlib import Path

from kedge.testing.host import RunningHost

PIPELINE = """
from kedge import dsl
from kedge.dsl import Dataset, Output

@dsl.container_component
def quick(n: int, out: dsl.OutputPath(int), data: Output[Dataset]):
    script = 'echo "$2" > "$1"; echo "$2" > "$0"'
    return dsl.ContainerSpec(image="busybox", command=["sh", "-c"], args=[script, out, data.path, n])

@dsl.component
def total(numbers: list) -> int:
    return sum(numbers)

@dsl.pipeline
def commands() -> int:
    with dsl.ParallelFor(list(range(12))) as n:
        made = quick(n=n)
    return total(numbers=dsl.Collected(made.outputs["out"])).output
"""


def test_the_outputs_of_quick_commands_are_all_collected(either_host: RunningHost, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.py"
    file.write_text(PIPELINE)
    done = either_host.cli("run", str(file), "-o", "json", check=True)
    tasks = {task["id"]: task for task in json.loads(done.stdout)["tasks"]}
    assert tasks[""]["outputs"]["parameters"] == {"Output": sum(range(12))}
    assert {task.get("attempt", 0) for task in tasks.values()} == {0}
