"""Environment variables, resources, images and accelerators from values of the run, as the Pods on a real host have them."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from objects import listed
from test_kfp_compiled import compiled

from kedge.kube.core import POD
from kedge.kube.quantities import parse
from kedge.pipelines import documents
from kedge.pipelines.compiler import compile_file
from kedge.testing.host import RunningHost

pytestmark = pytest.mark.timeout(120)

# For both packages: what kfp can write too.
SETTINGS = """
from {package} import dsl

@dsl.component(base_image="python:3.11")
def memory() -> str:
    return "300Mi"

@dsl.component(base_image="python:3.11")
def flag() -> str:
    return "yes"

@dsl.component(base_image="python:3.11")
def step():
    pass

@dsl.pipeline(name="settings")
def pipeline(cpu: str = "500m", image: str = "python:3.11", ram: str = "128Mi", rows: list = [{{"cpu": "0.2"}},
             {{"cpu": "0.3"}}]):
    first = step().set_cpu_limit(cpu).set_cpu_request("0.1").set_memory_limit(memory().output).set_memory_request(ram)
    first.set_container_image(image).set_display_name("first")
    with dsl.ParallelFor(rows) as row:
        step().set_cpu_limit(row.cpu).set_memory_limit(ram).set_display_name("looped")
    with dsl.If(flag().output == "yes"):
        step().set_cpu_request(cpu).set_container_image(image).set_display_name("chosen")
"""

ENVIRONMENT = """
from kedge import dsl

@dsl.component
def word() -> str:
    return 'it is "here" $(HOME)'

@dsl.component
def step():
    pass

@dsl.component
def both(a: str, b: str) -> list:
    return [a, b]

@dsl.container_component
def tell(text: str, told: dsl.OutputPath(str)):
    script = 'printf "%s|%s|%s" "$0" "$TEXT" "$OWN" > "$1"'
    return dsl.ContainerSpec(image="alpine", command=["sh", "-c", script], args=[text, told])

@dsl.component
def same(text: str) -> str:
    return text

@dsl.pipeline
def dollars(text: str) -> list:
    told = tell(text=same(text=text).output).set_env_variable("TEXT", text).set_env_variable("OWN", "$(TEXT)$$")
    return both(a=told.outputs["told"], b=same(text=text).output).output

@dsl.pipeline
def environment(rate: float = 0.5, names: list = ["a", "b"]):
    said = word()
    step().set_env_variable("RATE", rate).set_env_variable("TEXT", f"rate={rate}, {said.output}").set_display_name("first")
    with dsl.ParallelFor(names) as name:
        with dsl.If(name == "b"):
            step().set_env_variable("NAME", name).set_env_variable("WORD", said.output).set_display_name("inside")
"""

ACCELERATOR = """
from {package} import dsl

@dsl.component(base_image="python:3.11")
def step():
    pass

@dsl.pipeline(name="accelerator")
def pipeline(kind: str = "nvidia.com/gpu", number: int = 99):
    step().set_accelerator_type(kind).set_accelerator_limit(number)
"""


def pods(host: RunningHost, run: str) -> dict[str, list[dict[str, Any]]]:
    """The containers ``main`` of a run's Pods, by task."""
    found: dict[str, list[dict[str, Any]]] = {}
    for pod in listed(host, POD, f"kedge.dev/run={run}"):
        task = pod["metadata"]["annotations"]["kedge.dev/task"]
        found.setdefault(task, []).append(next(each for each in pod["spec"]["containers"] if each["name"] == "main"))
    return found


def amounts(container: dict[str, Any]) -> dict[str, dict[str, Decimal]]:
    """The resources of a container, however they are written: an API server writes 0.1 processors as 100m."""
    resources: dict[str, dict[str, str]] = container["resources"]
    return {kind: {name: parse(text) for name, text in found.items()} for kind, found in resources.items()}


def wanted(**resources: dict[str, str]) -> dict[str, dict[str, Decimal]]:
    return amounts({"resources": resources})


def document(package: str, source: str, folder: Path, name: str | None = None) -> documents.Document:
    if package == "kfp":
        return documents.read(compiled(source, folder))
    file = folder / "pipeline.py"
    file.write_text(source)
    return compile_file(file, pipeline_name=name)


def ran(host: RunningHost, pipeline: documents.Document, **parameters: Any) -> dict[str, dict[str, Any]]:
    """Run it without the cache; the containers by what their tasks end with."""
    run = host.client.wait(host.client.run(pipeline, parameters=parameters, cache=False)["run_id"])
    assert run["state"] == "SUCCEEDED", run
    return {task: containers[0] for task, containers in pods(host, str(run["run_id"])).items()}


@pytest.mark.parametrize("package", ["kedge", "kfp"])
def test_resources_and_images_come_from_inputs_outputs_and_items(package: str, either_host: RunningHost, tmp_path: Path) -> None:
    found = ran(either_host, document(package, SETTINGS.format(package=package), tmp_path), cpu="400m", image="python:3.11-slim")
    first = found["step"]
    assert first["image"] == "python:3.11-slim"
    limits, requests = {"cpu": "400m", "memory": "300Mi"}, {"cpu": "0.1", "memory": "128Mi"}
    assert amounts(first) == wanted(limits=limits, requests=requests)
    looped = [amounts(each)["limits"] for task, each in sorted(found.items()) if "for-loop" in task]
    assert looped == [wanted(limits={"cpu": cpu, "memory": "128Mi"})["limits"] for cpu in ("0.2", "0.3")]
    (chosen,) = (each for task, each in found.items() if "condition" in task)
    assert (chosen["image"], amounts(chosen)) == ("python:3.11-slim", wanted(requests={"cpu": "400m"}))


def test_variables_come_from_inputs_outputs_and_items_and_are_taken_as_they_are(either_host: RunningHost, tmp_path: Path) -> None:
    found = ran(either_host, document("kedge", ENVIRONMENT, tmp_path, "environment"), rate=0.25, names=["x", "b"])
    variables = {
        task: {one["name"]: one["value"] for one in each.get("env", []) if not one["name"].startswith("KEDGE_")}
        for task, each in found.items()
    }
    # "$(NAME)" would be replaced by the kubelet: what is a value stays one.
    assert variables["step"]["RATE"] == "0.25"
    assert variables["step"]["TEXT"] == 'rate=0.25, it is "here" $$(HOME)'
    (inside,) = (found for task, found in variables.items() if task.startswith("for-loop"))
    assert (inside["NAME"], inside["WORD"]) == ("b", 'it is "here" $$(HOME)')


@pytest.mark.parametrize("package", ["kedge", "kfp"])
def test_an_accelerator_comes_from_inputs_and_where_there_is_none_the_step_says_so(
    package: str, either_host: RunningHost, tmp_path: Path
) -> None:
    accelerated = document(package, ACCELERATOR.format(package=package), tmp_path)
    run = either_host.client.run(accelerated, cache=False)["run_id"]
    reasons = (change.get("waiting_reason", "") for change in either_host.client.watch(run))
    reason = next(reason for reason in reasons if "nvidia.com/gpu" in reason)
    assert reason.startswith("no node can take it: ")
    ((container,),) = pods(either_host, run).values()
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "99", json.dumps(container)
    either_host.client.cancel(run)
    assert either_host.client.wait(run)["state"] == "CANCELED"


def test_a_value_that_is_no_quantity_fails_the_step_and_is_named(either_host: RunningHost, tmp_path: Path) -> None:
    pipeline = document("kedge", SETTINGS.format(package="kedge"), tmp_path)
    run = either_host.client.wait(either_host.client.run(pipeline, parameters={"cpu": "plenty"}, cache=False)["run_id"])
    assert run["state"] == "FAILED"
    failed = either_host.client.task(run["run_id"], "step")
    assert "plenty" in failed["failure"]["message"]


def test_dollars_in_values_are_data_and_those_of_the_pipelines_own_text_are_not(either_host: RunningHost, tmp_path: Path) -> None:
    text = "5$$ $(KEDGE_HUB) $(OWN) $HOME"
    pipeline = document("kedge", ENVIRONMENT, tmp_path, "dollars")
    run = either_host.client.wait(either_host.client.run(pipeline, parameters={"text": text}, cache=False)["run_id"])
    assert run["state"] == "SUCCEEDED", run
    assert run["outputs"]["parameters"]["Output"] == [f"{text}|{text}|{text}$", text]
