"""Steps on a whole host: quick commands lose nothing, and each way to fail says what, where, why and how to fix it."""

import json
from pathlib import Path
from typing import Any

import pytest

from kedge.testing.host import RunningHost

PIPELINE = """
from kedge import dsl
from kedge.dsl import Dataset, Output

@dsl.component
def raises(text: str) -> int:
    value = {"a": 1}
    return value[text]

@dsl.component
def exits():
    import sys
    print("leaving")
    sys.exit(3)

@dsl.component
def killed():
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)

@dsl.component
def silent(path: dsl.OutputPath(int)):
    pass

@dsl.component
def mistaken() -> int:
    return "three"

@dsl.component
def link(out: Output[Dataset]):
    import os
    os.mkdir(out.path)
    os.symlink("/etc", out.path + "/etc")

@dsl.component(packages_to_install=["no-such-package-of-kedge==1.0"])
def unpackaged():
    pass

@dsl.component
def loud() -> str:
    for _ in range(50):
        print("x" * (1 << 20))
    return "done"

@dsl.container_component
def quick(n: int, out: dsl.OutputPath(int), data: Output[Dataset]):
    script = 'echo "$2" > "$1"; echo "$2" > "$0"'
    return dsl.ContainerSpec(image="busybox", command=["sh", "-c"], args=[script, out, data.path, n])

@dsl.container_component
def forgetful(out: dsl.OutputPath(int)):
    return dsl.ContainerSpec(image="busybox", command=["true"])

@dsl.component
def total(numbers: list) -> int:
    return sum(numbers)


@dsl.pipeline
def raising():
    raises(text="b")

@dsl.pipeline
def exiting():
    exits()

@dsl.pipeline
def killing():
    killed()

@dsl.pipeline
def silence():
    silent()

@dsl.pipeline
def mistake():
    mistaken()

@dsl.pipeline
def linking():
    link()

@dsl.pipeline
def packages():
    unpackaged()

@dsl.pipeline
def noise() -> str:
    return loud().output

@dsl.pipeline
def forgotten():
    forgetful()

@dsl.pipeline
def commands() -> int:
    with dsl.ParallelFor(list(range(12))) as n:
        made = quick(n=n)
    return total(numbers=dsl.Collected(made.outputs["out"])).output
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("steps") / "pipeline.py"
    path.write_text(PIPELINE)
    return path


def run(host: RunningHost, file: Path, name: str, *, succeeds: bool) -> tuple[dict[str, Any], str]:
    done = host.cli("run", str(file), "--pipeline", name, "-o", "json", timeout=120)
    assert done.returncode == (0 if succeeds else 1), done.stderr
    return {task["id"]: task for task in json.loads(done.stdout)["tasks"]}, done.stderr


@pytest.mark.parametrize(
    ("name", "step", "message"),
    [
        ("raising", "raises", "KeyError: 'b'"),
        ("exiting", "exits", "the function called sys.exit(3)"),
        ("killing", "killed", "SIGKILL"),
        ("silence", "silent", "output 'path': the function wrote no file at "),
        ("mistake", "mistaken", "output 'Output': the function returned 'three' of type str, but it is declared as int."),
        ("linking", "link", "output 'out': 'etc' in its folder is a link that leads out of it, or no file."),
        ("packages", "unpackaged", "no-such-package-of-kedge"),
        ("forgotten", "forgetful", "output 'out': the command wrote no file at /kedge/staging/outputs/parameters/out."),
    ],
)
def test_a_step_that_fails_says_why(kedge_host: RunningHost, file: Path, name: str, step: str, message: str) -> None:
    tasks, shown = run(kedge_host, file, name, succeeds=False)
    assert tasks[step]["state"] == "FAILED"
    assert message in tasks[step]["message"]
    assert message in shown
    assert "kedge/launcher" not in shown


def test_a_traceback_names_the_users_file_and_line(kedge_host: RunningHost, file: Path) -> None:
    _, shown = run(kedge_host, file, "raising", succeeds=False)
    line = PIPELINE.splitlines().index("    return value[text]") + 1
    assert f'pipeline.py", line {line}, in raises' in shown


def test_fifty_megabytes_of_output_fail_nothing(kedge_host: RunningHost, file: Path) -> None:
    tasks, _ = run(kedge_host, file, "noise", succeeds=True)
    assert tasks[""]["outputs"]["parameters"] == {"Output": "done"}


def test_the_outputs_of_quick_commands_are_all_collected(kedge_host: RunningHost, file: Path) -> None:
    tasks, _ = run(kedge_host, file, "commands", succeeds=True)
    assert tasks[""]["outputs"]["parameters"] == {"Output": sum(range(12))}
    assert {task.get("attempt", 0) for task in tasks.values()} == {0}
