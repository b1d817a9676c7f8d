"""Components that were written before: PipelineSpec IR and the component.yaml of kfp 1.x, to be called in a pipeline.

    LoadedComponent      one container or importer
    LoadedPipeline       a whole pipeline, used as a task of another one

Both are made of plain dicts; `kedge.components` reads them from text, files and addresses.
"""

import copy
import json
import re
from typing import Any, Dict, List, Mapping, Optional

from .components import Component
from .errors import DslError, Place
from .interface import MISSING, Interface, Port, component_name
from .values import ARTIFACT, PARAMETER, ValueType

Json = Dict[str, Any]

_V1_TYPES = {
    "string": "STRING", "str": "STRING", "integer": "NUMBER_INTEGER", "int": "NUMBER_INTEGER", "float": "NUMBER_DOUBLE",
    "double": "NUMBER_DOUBLE", "bool": "BOOLEAN", "boolean": "BOOLEAN", "list": "LIST", "jsonarray": "LIST", "dict": "STRUCT",
    "jsonobject": "STRUCT",
}  # fmt: skip
_V1_ARTIFACTS = ("Dataset", "Model", "Metrics", "ClassificationMetrics", "SlicedClassificationMetrics", "HTML", "Markdown")


class LoadedComponent(Component):
    """One container or importer, with the contract that its document states.

    Args:
        interface: What it takes and gives.
        place: Where it was loaded.
        executor: In the IR's terms.
    """

    def __init__(self, interface: Interface, place: Place, executor: Json) -> None:
        super().__init__(interface, place)
        self._executor = executor
        self.has_container = "container" in executor

    def call_outside(self, *_: Any, **__: Any) -> Any:
        """What a call outside of a pipeline does."""
        raise DslError(
            f"{self.sentence} was called outside of a pipeline.", why="It was loaded as a document and has no function.",
            fix="Call it in a function decorated with @dsl.pipeline.",
        )  # fmt: skip

    def executor(self) -> Json:
        """The executor that runs it, in the IR's terms."""
        return self._executor


class LoadedPipeline(Component):
    """A whole pipeline, used as a task of another one.

    Args:
        interface: What it takes and gives.
        place: Where it was loaded.
        spec: Its PipelineSpec.
        options: Of its executors, by platform and label.
    """

    has_container = False
    kind = "pipeline"

    def __init__(self, interface: Interface, place: Place, spec: Json, options: Optional[Json] = None) -> None:
        super().__init__(interface, place)
        self.spec = spec
        self.options: Json = options or {}

    def call_outside(self, *_: Any, **__: Any) -> Any:
        """What a call outside of a pipeline does."""
        raise DslError(
            f"{self.sentence} was called outside of a pipeline.", why="Calling it makes a task of another pipeline.",
            fix="To run it: `kedge run` its file.",
        )  # fmt: skip

    def renamed(self, names: Mapping[str, str]) -> Json:
        """Its root component, and those inside by their new names, with the executors of these and their options.

        Args:
            names: For each of its components the name that it gets in the pipeline around it.
        """
        components: Json = {}
        executors: Json = {}
        options: Json = {}
        for name, component in self.spec.get("components", {}).items():
            made = _renamed(component, names)
            if "executorLabel" in made:
                label = names[name].replace("comp-", "exec-", 1)
                executors[label] = self.spec["deploymentSpec"]["executors"][made["executorLabel"]]
                for platform, found in self.options.items():
                    if made["executorLabel"] in found:
                        options.setdefault(platform, {})[label] = found[made["executorLabel"]]
                made["executorLabel"] = label
            components[names[name]] = made
        root = _renamed(self.spec["root"], names)
        return {"root": root, "components": components, "executors": executors, "options": options}


def _renamed(component: Json, names: Mapping[str, str]) -> Json:
    made = copy.deepcopy(component)
    for task in made.get("dag", {}).get("tasks", {}).values():
        task["componentRef"]["name"] = names[task["componentRef"]["name"]]
    return made


def from_ir(spec: Json, place: Place, options: Optional[Json] = None) -> Component:
    """A component or a pipeline of its PipelineSpec; a pipeline of one task that hands everything on is that component.

    Args:
        spec: The PipelineSpec.
        place: Where it was loaded.
        options: Of its executors, by platform and label. They refer to values around a task, which so stays in its pipeline.
    """
    info, root = spec["pipelineInfo"], spec["root"]
    interface = _interface(component_name(info["name"]), root, info.get("description", ""))
    tasks = list(root["dag"]["tasks"].values())
    if (
        len(tasks) == 1
        and not options
        and tasks[0]["taskInfo"]["name"] == info["name"]
        and not {"triggerPolicy", "parameterIterator"} & tasks[0].keys()
    ):
        component = spec["components"][tasks[0]["componentRef"]["name"]]
        if "executorLabel" in component:
            return LoadedComponent(
                _interface(interface.name, component, interface.description), place,
                spec["deploymentSpec"]["executors"][component["executorLabel"]],
            )  # fmt: skip
    return LoadedPipeline(interface, place, spec, options)


def _interface(name: str, component: Json, description: str) -> Interface:
    sides: List[Dict[str, Port]] = []
    for side in ("inputDefinitions", "outputDefinitions"):
        declared = component.get(side, {})
        ports = {key: _parameter(key, value) for key, value in declared.get("parameters", {}).items()}
        ports.update({key: _artifact(key, value) for key, value in declared.get("artifacts", {}).items()})
        sides.append(ports)
    return Interface(name, sides[0], sides[1], description)


def _parameter(name: str, declared: Json) -> Port:
    default = declared.get("defaultValue", MISSING)
    kind = declared.get("parameterType", "STRING")
    if kind == "NUMBER_INTEGER" and isinstance(default, float):  # kfp writes every number as a double
        default = int(default)
    optional = bool(declared.get("isOptional")) or default is not MISSING
    literals = tuple(declared.get("literals", ()))
    return Port(name, ValueType(PARAMETER, kind), default, optional, literals, declared.get("description", ""))


def _artifact(name: str, declared: Json) -> Port:
    schema = declared.get("artifactType", {})
    type_ = ValueType(
        ARTIFACT, schema.get("schemaTitle", "system.Artifact"), schema.get("schemaVersion", "0.0.1"),
        bool(declared.get("isArtifactList")),
    )  # fmt: skip
    return Port(name, type_, optional=bool(declared.get("isOptional")), description=declared.get("description", ""))


# ---- component.yaml of kfp 1.x


def from_v1(document: Json, place: Place) -> Component:
    """A container component of a component.yaml of kfp 1.x."""
    container = document.get("implementation", {}).get("container")
    if container is None:
        raise DslError(
            "This component.yaml of kfp 1.x has no implementation.container.", where=place,
            why="Graphs of kfp 1.x cannot be run any more.", fix="Write it as a @dsl.pipeline.",
        )  # fmt: skip
    inputs = {_v1_name(one["name"]): _v1_port(one) for one in document.get("inputs") or ()}
    outputs = {_v1_name(one["name"]): _v1_port(one) for one in document.get("outputs") or ()}
    words = _V1Words(inputs, outputs, place)
    made: Json = {"image": container["image"]}
    for key in ("command", "args"):
        if container.get(key):
            made[key] = [words.text(part) for part in container[key]]
    if container.get("env"):
        made["env"] = [{"name": name, "value": str(value)} for name, value in container["env"].items()]
    name = component_name(str(document.get("name") or "component"))
    return LoadedComponent(Interface(name, inputs, outputs, document.get("description") or ""), place, {"container": made})


def _v1_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")


def _v1_port(declared: Json) -> Port:
    name, written = _v1_name(declared["name"]), declared.get("type")
    title = next(iter(written)) if isinstance(written, dict) else str(written or "")
    parameter = _V1_TYPES.get(title.lower())
    if parameter is None:
        known = title if title in _V1_ARTIFACTS else "Artifact"
        type_ = ValueType(ARTIFACT, f"system.{known}", "0.0.1")
        return Port(name, type_, optional=bool(declared.get("optional")), description=declared.get("description") or "")
    default: Any = MISSING
    if "default" in declared:
        default = _v1_value(declared["default"], parameter)
    optional = bool(declared.get("optional")) or default is not MISSING
    return Port(name, ValueType(PARAMETER, parameter), default, optional, (), declared.get("description") or "")


def _v1_value(value: Any, kind: str) -> Any:
    """A default, which kfp 1.x writes as text."""
    if kind == "STRING" or not isinstance(value, str):
        return str(value) if kind == "STRING" else value
    if kind == "BOOLEAN":
        return value.lower() in ("true", "yes", "1")
    return json.loads(value)


class _V1Words:
    """The placeholders of a component.yaml, in the IR's form."""

    def __init__(self, inputs: Mapping[str, Port], outputs: Mapping[str, Port], place: Place) -> None:
        self._inputs, self._outputs, self._place = inputs, outputs, place

    def text(self, part: Any) -> str:
        found = self._structure(part)
        return found if isinstance(found, str) else json.dumps(found)

    def _structure(self, part: Any) -> Any:
        if not isinstance(part, dict):
            return str(part)
        kind, value = next(iter(part.items()))
        if kind == "concat":
            return {"Concat": [self._structure(one) for one in value]}
        if kind == "if":
            return self._condition(value)
        if kind == "executorInput":
            return "{{$}}"
        reference = self._reference(kind, _v1_name(str(value)))
        if reference is None:
            raise DslError(
                f"This component.yaml has {{{kind}: {value}}} in its command line.", where=self._place,
                why="There is no such input or output, or it has no such form.",
                fix="Use inputValue for parameters, inputPath and outputPath for artifacts.",
            )  # fmt: skip
        return "{{$." + reference + "}}"

    def _reference(self, kind: str, name: str) -> Optional[str]:
        port = (self._outputs if kind.startswith("output") else self._inputs).get(name)
        if port is None:
            return None
        side = "outputs" if kind.startswith("output") else "inputs"
        if port.type.is_artifact:
            field = {"Path": "path", "Uri": "uri"}.get(kind[len(side) - 1 :])
            return f"{side}.artifacts['{name}'].{field}" if field else None
        if kind == "inputValue":
            return f"inputs.parameters['{name}']"
        return f"outputs.parameters['{name}'].output_file" if kind == "outputPath" else None

    def _condition(self, value: Json) -> Json:
        inner: Json = {"InputName": _v1_name(value["cond"]["isPresent"]), "Then": self._listed(value["then"])}
        if value.get("else"):
            inner["Else"] = self._listed(value["else"])
        return {"IfPresent": inner}

    def _listed(self, value: Any) -> List[Any]:
        return [self._structure(one) for one in (value if isinstance(value, list) else [value])]
