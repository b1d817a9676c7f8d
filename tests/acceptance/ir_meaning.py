"""What a pipeline's IR means, without what compilers may choose: names of groups, inputs that only hand on, repeated components.

Every step is described by where its values come from in the end, through all the groups that hand them on; by the conditions and
loops around it; and by what it waits for. Two compilers agree when these descriptions are equal.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
_INPUT = re.compile(r"inputs\.parameter_values\['([^']*)'\]")
_PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\['([^']*)'\]\}\}")
_GROUPS = ("for-loop", "condition-branches", "condition", "exit-handler")


def meaning(pipeline: Json) -> Json:
    """Describe a PipelineSpec."""
    reader = _Reader(pipeline)
    root = pipeline["root"]
    inputs = [*root.get("inputDefinitions", {}).get("parameters", {}), *root.get("inputDefinitions", {}).get("artifacts", {})]
    top = _Dag(root["dag"], "", {name: f"input {name}" for name in inputs}, [])
    reader.walk(top)
    outputs = root["dag"].get("outputs", {})
    names = [*outputs.get("parameters", {}), *outputs.get("artifacts", {})]
    return {
        "info": {key: text.split() for key, text in pipeline["pipelineInfo"].items()},
        "root": pipeline.get("defaultPipelineRoot"),
        "inputs": root.get("inputDefinitions"),
        "outputs": root.get("outputDefinitions"),
        "returns": {name: reader.output(top, name) for name in names},
        "steps": reader.steps,
    }


@dataclass
class _Dag:
    spec: Json
    path: str
    values: dict[str, str]
    around: list[Json]


class _Reader:
    def __init__(self, pipeline: Json) -> None:
        self.components = pipeline["components"]
        self.executors = pipeline["deploymentSpec"]["executors"]
        self.steps: Json = {}

    def walk(self, dag: _Dag) -> None:
        for key, task in dag.spec["tasks"].items():
            component = self.components[task["componentRef"]["name"]]
            name = self.name(dag, key)
            inputs = self.inputs(dag, task)
            about: Json = {"after": sorted(self.name(dag, other) for other in _upstream(task))}
            shown = task["taskInfo"]["name"]
            about["shown"] = None if shown == key else shown
            about["retry"] = task.get("retryPolicy")
            about["caching"] = task.get("cachingOptions")
            policy = task.get("triggerPolicy", {})
            about["strategy"] = policy.get("strategy")
            if "condition" in policy:
                about["condition"] = _INPUT.sub(lambda found, known=inputs: f"<{known[found.group(1)]}>", policy["condition"])
            about["limit"] = task.get("iteratorPolicy", {}).get("parallelismLimit")
            if "dag" not in component:
                self.steps[name] = {**about, **self.step(component, inputs, task), "around": dag.around}
                continue
            about["items"], items = self.items(task, inputs, name)
            inner = _Dag(component["dag"], name, {**inputs, **items}, [*dag.around, about])
            self.walk(inner)

    def items(self, task: Json, inputs: dict[str, str], name: str) -> tuple[Any, dict[str, str]]:
        iterator = task.get("parameterIterator") or task.get("artifactIterator")
        if iterator is None:
            return None, {}
        items = iterator["items"]
        source = json.loads(items["raw"]) if "raw" in items else inputs[items.get("inputParameter") or items["inputArtifact"]]
        return source, {iterator["itemInput"]: f"item of {name}"}

    def step(self, component: Json, inputs: dict[str, str], task: Json) -> Json:
        executor = json.loads(json.dumps(self.executors[component["executorLabel"]]))
        container = executor.get("container")
        if container is not None and "--function_to_execute" in container.get("args", []):
            container.pop("command")  # each compiler has words of its own for this
        if container is not None and "resources" in container:
            resources = container["resources"]
            # kfp also writes the older, numeric fields.
            kept = {key: value for key, value in resources.items() if key.startswith("resource")}
            if "accelerator" in resources:
                kept["accelerator"] = {
                    key: value for key, value in resources["accelerator"].items() if key.startswith("resource")
                }
            container["resources"] = kept
        if container is not None and "env" in container:
            container["env"] = {entry["name"]: entry["value"] for entry in container["env"]}
        declared = component.get("inputDefinitions", {})
        own = {*declared.get("parameters", {}), *declared.get("artifacts", {})}
        del task
        return {
            "takes": declared,
            "gives": component.get("outputDefinitions"),
            "told": component.get("taskConfigPassthroughs"),
            "runs": json.loads(_filled(json.dumps(executor), {k: v for k, v in inputs.items() if k not in own})),
            "inputs": {name: source for name, source in inputs.items() if name in own},
        }

    def inputs(self, dag: _Dag, task: Json) -> dict[str, str]:
        found: dict[str, str] = {}
        constants: dict[str, Any] = {}
        for selectors in task.get("inputs", {}).values():
            for name, selector in selectors.items():
                if "runtimeValue" in selector:
                    constants[name] = selector["runtimeValue"]["constant"]
                else:
                    found[name] = self.source(dag, selector)
        for name, constant in constants.items():
            found[name] = "constant " + _filled(json.dumps(_numbers(constant), sort_keys=True), found)
        return found

    def source(self, dag: _Dag, selector: Json) -> str:
        if "taskFinalStatus" in selector:
            return f"final status of {self.name(dag, selector['taskFinalStatus']['producerTask'])}"
        if "taskOutputParameter" in selector or "taskOutputArtifact" in selector:
            output = selector.get("taskOutputParameter") or selector["taskOutputArtifact"]
            key = output.get("outputParameterKey") or output["outputArtifactKey"]
            return self.produced(dag, output["producerTask"], key)
        # kfp hands some loop items to the group that makes them, from where nothing is; the group's own item takes their place.
        text = dag.values.get(selector.get("componentInputParameter") or selector["componentInputArtifact"], "nothing")
        field = selector.get("parameterExpressionSelector")
        return f"{text} {field}" if field else text

    def produced(self, dag: _Dag, task: str, key: str) -> str:
        spec = dag.spec["tasks"][task]
        component = self.components[spec["componentRef"]["name"]]
        if "dag" not in component:
            return f"{self.name(dag, task)}.{key}"
        inner = _Dag(component["dag"], self.name(dag, task), {}, [])
        found = self.output(inner, key)
        return f"all of {found}" if "parameterIterator" in spec or "artifactIterator" in spec else found

    def output(self, dag: _Dag, key: str) -> str:
        outputs = dag.spec["outputs"]
        if key in outputs.get("artifacts", {}):
            selectors = [(s["producerSubtask"], s["outputArtifactKey"]) for s in outputs["artifacts"][key]["artifactSelectors"]]
        else:
            parameter = outputs["parameters"][key]
            if "valueFromParameter" in parameter:
                chosen = [parameter["valueFromParameter"]]
            else:
                chosen = parameter["valueFromOneof"]["parameterSelectors"]
            selectors = [(s["producerSubtask"], s["outputParameterKey"]) for s in chosen]
        return " or ".join(self.produced(dag, task, name) for task, name in selectors)

    def name(self, dag: _Dag, key: str) -> str:
        """The task's path; a group is named by its kind and what it holds."""
        kind = next((kind for kind in _GROUPS if re.fullmatch(rf"{kind}-\d+", key)), None)
        if kind is not None:
            component = self.components[dag.spec["tasks"][key]["componentRef"]["name"]]
            key = f"{kind}({','.join(sorted(self.leaves(component)))})"
        return f"{dag.path}/{key}"

    def leaves(self, component: Json) -> list[str]:
        found: list[str] = []
        for key, task in component["dag"]["tasks"].items():
            inner = self.components[task["componentRef"]["name"]]
            is_group = any(re.fullmatch(rf"{kind}-\d+", key) for kind in _GROUPS)
            found += self.leaves(inner) if is_group else [key]
        return found


def _upstream(task: Json) -> set[str]:
    """The tasks before: those that it names, and those whose outputs it takes."""
    selectors = [selector for selectors in task.get("inputs", {}).values() for selector in selectors.values()]
    outputs = [output for selector in selectors for output in selector.values() if isinstance(output, dict)]
    return {*task.get("dependentTasks", []), *(output["producerTask"] for output in outputs if "producerTask" in output)}


def _filled(text: str, inputs: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: f"<{inputs.get(found.group(1), found.group(0))}>", text)


def _numbers(value: Any) -> Any:
    """Whole numbers as one of the two ways in which JSON libraries write them."""
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
