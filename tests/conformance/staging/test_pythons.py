"""The launcher keeps its promises under every Python that a step may choose, 3.8 and up."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from staged import Hub, Launcher, artifact, committed

from kedge.artifacts.staging import Assignment

VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def found(version: str) -> str | None:
    """An interpreter of that version on this machine."""
    folders = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin"))
    for path in [*(str(folder / "python3") for folder in folders), shutil.which(f"python{version}", path=os.defpath)]:
        if path and Path(path).exists():
            return path
    return None


@pytest.fixture(params=VERSIONS)
def any_python(request: pytest.FixtureRequest, launcher: Launcher) -> Launcher:
    path = found(request.param)
    if path is None:
        pytest.skip(f"Python {request.param} is not on this machine")
    launcher.python = path
    return launcher


def test_parameters_and_tracebacks(any_python: Launcher) -> None:
    source = (
        "def step(a: int, b: Optional[List[int]] = None, *, c: 'float' = 0.5) -> int:\n"
        "    if a < 0:\n        raise ValueError('negative')\n    return a\n"
    )
    done = any_python.run(source, {"a": 3.0, "b": [1]}, ("Output",), terminationMessage=True)
    assert done.returncode == 0, done.stderr
    assert any_python.message["outputs"] == {"Output": 3}
    done = any_python.run(source, {"a": -1}, ("Output",), terminationMessage=True)
    assert done.returncode == 1
    assert "File \"/home/me/pipeline.py\", line 14, in step\n    raise ValueError('negative')\n" in done.stderr


def test_artifacts(any_python: Launcher, hub: Hub) -> None:
    (hub.store.folder / "in").mkdir(parents=True)
    (hub.store.folder / "in" / "a").write_text("x")
    both = {"artifacts": 2 * artifact(hub.uri("in", "a"))["artifacts"]}
    outputs = {"out": artifact(hub.uri("r", "out")), "metrics": artifact(hub.uri("r", "metrics"), "system.ClassificationMetrics")}
    hub.backend.assignment = Assignment({"inputs": {"artifacts": {"many": both}}, "outputs": {"artifacts": outputs}})
    source = (
        "def step(many: Input[List[Dataset]], out: Output[Dataset], metrics: Output[ClassificationMetrics],\n"
        "         no: Optional[Input[Model]] = None):\n"
        "    import os\n    os.mkdir(out.path)\n    open(out.path + '/a', 'w').write(open(many[1].path).read())\n"
        "    metrics.log_confusion_matrix(['a', 'b'], [[1, 0], [0, 1]])\n"
    )
    any_python.code(source)
    done = any_python.start({"code": "exec", "executorInput": None, "begin": True}, "run")
    assert done.returncode == 0, done.stderr
    made = committed(hub)["artifacts"]
    assert made["out"][0]["size"] == 1
    assert "confusionMatrix" in made["metrics"][0]["metadata"]


def test_the_zipapp_runs_as_it_is(any_python: Launcher) -> None:
    any_python.app = any_python.pyz
    done = any_python.run("def step() -> str:\n    return 'zip'\n", {}, ("Output",), terminationMessage=True)
    assert done.returncode == 0, done.stderr
    assert any_python.message["outputs"] == {"Output": "zip"}


def test_the_language_as_a_whole_is_there_for_modules_that_want_it(any_python: Launcher) -> None:
    source = (
        "def step() -> str:\n    from kfp.dsl import component, pipeline\n    from kedge import dsl as ours\n"
        "    @component\n    def inner(a: int) -> int:\n        return a\n"
        "    return str(inner(a=2)) + str(ours.PipelineConfig is not None)\n"
    )
    done = any_python.run(source, {}, ("Output",), terminationMessage=True)
    assert done.returncode == 0, done.stderr
    assert any_python.message["outputs"] == {"Output": "2True"}


def test_the_command_line_that_compiled_components_end_in(any_python: Launcher, tmp_path: Path) -> None:
    (tmp_path / "component.py").write_text(
        "from kfp import dsl\nfrom kfp.dsl import *\n\ndef add(a: int, b: int) -> int:\n    return a + b\n"
    )
    given = {
        "inputs": {"parameterValues": {"a": 1, "b": 2}},
        "outputs": {"parameters": {"Output": {"outputFile": f"{tmp_path}/o/Output"}}, "outputFile": f"{tmp_path}/o/output.json"},
    }
    argv = [any_python.python, "-m", "kfp.dsl.executor_main", "--component_module_path", str(tmp_path / "component.py")]
    argv += ["--executor_input", json.dumps(given), "--function_to_execute", "add"]
    environment = {"PATH": os.defpath, "PYTHONPATH": str(any_python.app)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "o" / "output.json").read_text()) == {"parameterValues": {"Output": 3}, "artifacts": {}}
    assert (tmp_path / "o" / "Output").read_text() == "3"
    done = subprocess.run([*argv[:3], "--what"], env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "option --executor_input is missing" in done.stderr
