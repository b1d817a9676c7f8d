"""Small pipelines, written as IR by hand, for tests of what runs them. What the compiler makes is its own tests' business."""

from collections.abc import Mapping, Sequence
from typing import Any

from kedge.dsl import template

Json = dict[str, Any]
NUMBER = "NUMBER_INTEGER"
TEXT = "STRING"


def component(
    name: str,
    inputs: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    *,
    reads: Mapping[str, str] | None = None,
    writes: Mapping[str, str] | None = None,
) -> Json:
    """A component that an executor runs.

    Args:
        name: Its executor is ``exec-<name>``.
        inputs: Types of its input parameters, by name.
        outputs: Types of its output parameters.
        reads: Schema titles of its input artifacts.
        writes: Schema titles of its output artifacts.
    """
    return {
        "executorLabel": f"exec-{name}",
        "inputDefinitions": _definitions(inputs or {}, reads or {}),
        "outputDefinitions": _definitions(outputs or {}, writes or {}),
    }


def _definitions(parameters: Mapping[str, str], artifacts: Mapping[str, str]) -> Json:
    return {
        "parameters": {key: {"parameterType": kind} for key, kind in parameters.items()},
        "artifacts": {key: {"artifactType": {"schemaTitle": kind, "schemaVersion": "0.0.1"}} for key, kind in artifacts.items()},
    }


def python(name: str, packages: Sequence[str] = ()) -> Json:
    """The executor of a Python function."""
    source = f"def {name}(): ...\n"
    command = template.command(template.render(packages), source)
    return {"container": {"image": "python:3.11", "command": command, "args": template.arguments(name)}}


def container(image: str, command: Sequence[str], args: Sequence[str] = (), **more: Any) -> Json:
    """The executor of any other image."""
    return {"container": {"image": image, "command": list(command), "args": list(args), **more}}


def pipeline(tasks: Mapping[str, Json], parts: Mapping[str, tuple[Json, Json] | Json], **root: Any) -> Json:
    """A whole pipeline.

    Args:
        tasks: Of the root.
        parts: By name: a component with its executor, or a component that is a DAG.
        root: Definitions of the root: ``inputs`` (types of parameters), ``outputs`` (where they come from).
    """
    components = {f"comp-{name}": part[0] if isinstance(part, tuple) else part for name, part in parts.items()}
    executors = {f"exec-{name}": part[1] for name, part in parts.items() if isinstance(part, tuple)}
    outputs: Mapping[str, tuple[str, str, str]] = root.get("outputs", {})
    dag: Json = {"tasks": dict(tasks)}
    if outputs:
        dag["outputs"] = {
            "parameters": {
                name: {"valueFromParameter": {"producerSubtask": producer, "outputParameterKey": key}}
                for name, (_, producer, key) in outputs.items()
            }
        }
    return {
        "pipelineInfo": {"name": root.get("name", "test-pipeline")},
        "root": {
            "dag": dag,
            "inputDefinitions": {"parameters": root.get("inputs", {})},
            "outputDefinitions": {"parameters": {name: {"parameterType": kind} for name, (kind, _, _) in outputs.items()}},
        },
        "components": components,
        "deploymentSpec": {"executors": executors},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kedge-test",
    }


def dag(tasks: Mapping[str, Json], inputs: Mapping[str, str]) -> Json:
    """A component that is a graph of tasks."""
    return {"dag": {"tasks": dict(tasks)}, "inputDefinitions": _definitions(inputs, {})}


def task(
    name: str,
    *,
    after: Sequence[str] = (),
    cache: bool = False,
    artifacts: Mapping[str, tuple[str, str]] | None = None,
    **given: Any,
) -> Json:
    """A task.

    Args:
        name: Of its component.
        after: Tasks it waits for besides those it takes values from.
        cache: Whether its result may be reused.
        artifacts: Where its input artifacts come from: task and output.
        given: Its parameters: a constant, ``(task, output)``, or ``"=input"``.
    """
    sources: Json = {}
    for key, value in given.items():
        if isinstance(value, tuple):
            sources[key] = {"taskOutputParameter": {"producerTask": value[0], "outputParameterKey": value[1]}}
        elif isinstance(value, str) and value.startswith("="):
            sources[key] = {"componentInputParameter": value[1:]}
        else:
            sources[key] = {"runtimeValue": {"constant": value}}
    taken = {
        key: {"taskOutputArtifact": {"producerTask": producer, "outputArtifactKey": output}}
        for key, (producer, output) in (artifacts or {}).items()
    }
    made: Json = {"componentRef": {"name": f"comp-{name}"}, "taskInfo": {"name": name}}
    made["inputs"] = {"parameters": sources, "artifacts": taken}
    upstream = {value[0] for value in given.values() if isinstance(value, tuple)} | {p for p, _ in (artifacts or {}).values()}
    if upstream := upstream | set(after):
        made["dependentTasks"] = sorted(upstream)
    if cache:
        made["cachingOptions"] = {"enableCache": True}
    return made


def chain(length: int, *, cache: bool = False) -> Json:
    """Steps that each add one to what the step before made, from the parameter ``start``."""
    tasks = {"s0": task("add", x="=start", cache=cache)}
    for number in range(1, length):
        tasks[f"s{number}"] = task("add", x=(f"s{number - 1}", "Output"), cache=cache)
    add = (component("add", {"x": NUMBER}, {"Output": NUMBER}), python("add"))
    start = {"parameterType": NUMBER, "defaultValue": 0}
    return pipeline(tasks, {"add": add}, inputs={"start": start}, outputs={"Output": (NUMBER, f"s{length - 1}", "Output")})


def fan(width: int) -> Json:
    """A loop of one step over so many numbers."""
    body = dag({"add": task("add", x="=item")}, {"item": NUMBER})
    items = "[" + ",".join(map(str, range(width))) + "]"
    loop = {
        "componentRef": {"name": "comp-loop"},
        "taskInfo": {"name": "loop"},
        "parameterIterator": {"items": {"raw": items}, "itemInput": "item"},
    }
    add = (component("add", {"x": NUMBER}, {"Output": NUMBER}), python("add"))
    return pipeline({"loop": loop}, {"add": add, "loop": body})
