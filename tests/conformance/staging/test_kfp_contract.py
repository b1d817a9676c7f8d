"""What kfp's own runtime promises to functions, beyond what Kedge's language has."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from staged import Hub, Launcher, artifact, committed

from kedge.artifacts.staging import Assignment

# As much of pydantic as the launcher asks for, of either of its versions.
MODEL = """
class Model:
    def __init__(self, **fields):
        self.fields = fields
    @classmethod
    def {read}(cls, value):
        if "size" not in value:
            raise ValueError("size: Field required")
        return cls(**value)
    def {write}:
        return {written}
"""
NEW = MODEL.format(read="model_validate", write="model_dump(self, mode)", written="self.fields")
OLD = MODEL.format(read="parse_obj", write="json(self)", written="__import__('json').dumps(self.fields)")


@pytest.mark.parametrize("model", [NEW, OLD], ids=["2", "1"])
def test_models_of_pydantic_travel_as_their_fields(model: str, launcher: Launcher, hub: Hub) -> None:
    source = f"{model}\ndef step(given: Model) -> Model:\n    return Model(size=given.fields['size'] + 1)\n"
    done = launcher.run(source, {"given": {"size": 1}}, ("Output",))
    assert done.returncode == 0, done.stderr
    assert committed(hub)["parameters"] == {"Output": {"size": 2}}
    done = launcher.run(source, {"given": {}}, ("Output",))
    assert "kedge: input 'given' is no Model: size: Field required" in done.stderr


def test_null_is_the_functions_own_default(launcher: Launcher) -> None:
    done = launcher.run("def step(a: Optional[int] = 5, b: Optional[int] = None):\n    print(a, b)\n", {"a": None, "b": None})
    assert done.stdout == "5 None\n"


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({}, "None None"),
        ({"config": {"resources": {"limits": {"cpu": "1"}}, "nodeSelector": {"a": "b"}}}, "{'limits': {'cpu': '1'}} {'a': 'b'}"),
    ],
)
def test_a_task_config_is_what_the_task_was_configured_with(given: dict[str, Any], seen: str, launcher: Launcher) -> None:
    done = launcher.run("def step(config: dsl.TaskConfig):\n    print(config.resources, config.node_selector)\n", given)
    assert done.stdout == f"{seen}\n", done.stderr


def test_a_final_status_is_read_in_either_spelling(launcher: Launcher) -> None:
    source = "def step(s: PipelineTaskFinalStatus):\n    print(*s)\n"
    new = {"state": "FAILED", "pipelineJobResourceName": "j", "pipelineTaskName": "t", "error": {"code": 9, "message": "m"}}
    old = {"state": "SUCCEEDED", "pipeline_job_resource_name": "j", "pipeline_task_name": "t"}
    assert launcher.run(source, {"s": new}).stdout == "FAILED j t 9 m\n"
    assert launcher.run(source, {"s": old}).stdout == "SUCCEEDED j t None None\n"


def test_an_embedded_input_without_anything_embedded_says_what_to_do(launcher: Launcher) -> None:
    done = launcher.run("def step(files: dsl.EmbeddedInput[Dataset]):\n    pass\n")
    assert done.returncode == 1
    assert "input 'files' is an EmbeddedInput, but nothing is embedded in this step" in done.stderr


FOREIGN = """
class Theirs:
    schema_title = "other.Theirs"
    schema_version = "0.0.1"
    def __init__(self, name=None, uri=None, metadata=None):
        raise RuntimeError("their own business")

def step(given: Input[Theirs], made: Output[Theirs], text: Output[Dataset]) -> Dataset:
    made.metadata["read"] = open(given.path).read()
    open(made.path, "w").write("made")
    open(text.path, "w").write("text")
    return 42
"""


def test_artifact_types_of_other_tools_lie_where_the_hub_says(launcher: Launcher, hub: Hub, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("given")
    names = ("made", "text", "Output")
    artifact = {name: {"artifacts": [{"name": name, "uri": str(tmp_path / name), "type": {}, "metadata": {}}]} for name in names}
    told = {
        "inputs": {"artifacts": {"given": {"artifacts": [{"uri": str(given), "type": {"schemaTitle": "other.Theirs"}}]}}},
        "outputs": {"artifacts": artifact, "outputFile": str(tmp_path / "output.json")},
    }
    done = launcher.run(FOREIGN, executorInput=told)
    assert done.returncode == 0, done.stderr
    made = committed(hub)["artifacts"]
    assert [made[name][0]["type"] for name in names] == ["other.Theirs", "system.Dataset", "system.Artifact"]
    assert made["made"][0]["metadata"] == {"read": "given"}
    assert (tmp_path / "Output").read_text() == "42"


def test_what_a_function_logs_is_seen(launcher: Launcher) -> None:
    done = launcher.run("def step():\n    import logging\n    logging.getLogger('mine').info('hello')\n")
    assert "INFO: hello" in done.stdout


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_a_function_starts_processes_that_know_the_steps_own_functions(how: str, launcher: Launcher) -> None:
    source = (
        "def square(n):\n    return n * n\n\n"
        "def step():\n    import multiprocessing\n"
        f"    with multiprocessing.get_context({how!r}).Pool(2) as pool:\n        print(pool.map(square, [2, 3]))\n"
    )
    done = launcher.run(source)
    assert done.stdout == "[4, 9]\n", done.stderr


@pytest.mark.parametrize("name", ["artifact_types", "type_annotations"])
def test_the_modules_of_kfps_types_hold_the_same_names(name: str, launcher: Launcher) -> None:
    source = f"def step():\n    from kfp.dsl.types.{name} import Dataset as Other, OutputPath\n    print(Other is Dataset)\n"
    done = launcher.run(source)
    assert done.stdout == "True\n", done.stderr


def test_images_that_kfp_built_say_in_a_file_where_a_function_is(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import beside\n\ndef add(a: int) -> int:\n    return a + beside.ONE\n")
    (tmp_path / "beside.py").write_text("ONE = 1\n")
    (tmp_path / "kfp_config.ini").write_text("[Components]\nadd = mine.py\n")
    given = {
        "inputs": {"parameterValues": {"a": 1}},
        "outputs": {"parameters": {"Output": {"outputFile": f"{tmp_path}/o/Output"}}, "outputFile": f"{tmp_path}/o/output.json"},
    }
    argv = [launcher.python, "-m", "kfp.dsl.executor_main", "--executor_input", json.dumps(given), "--function_to_execute"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(launcher.app)}
    done = subprocess.run([*argv, "add"], cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "o" / "Output").read_text() == "2"
    done = subprocess.run([*argv, "sub"], cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "says where the function 'sub' is" in done.stderr


def test_what_a_function_writes_elsewhere_is_taken_to_its_address(launcher: Launcher, hub: Hub, tmp_path: Path) -> None:
    uri = hub.uri("r", "out")
    outputs = {"artifacts": {"out": artifact(uri)}, "outputFile": str(tmp_path / "output.json")}
    hub.backend.assignment = Assignment({"inputs": {}, "outputs": outputs}, "")
    launcher.code(
        f"def step(out: Output[Dataset]):\n    out.set_path({str(tmp_path / 'mine')!r})\n    open(out.path, 'w').write('mine')\n"
    )
    done = launcher.start({"code": "exec", "executorInput": None, "begin": True}, "run")
    assert done.returncode == 0, done.stderr
    assert (hub.store.folder / "r" / "out").read_text() == "mine"
    assert committed(hub)["artifacts"]["out"][0]["uri"] == uri
