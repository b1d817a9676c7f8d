"""From an ExecutorInput to the arguments of the user's function."""

import os
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

import kedge.dsl.artifacts as language
from kedge.dsl.annotations import EMBEDDED, INPUT_PATH, OUTPUT, OUTPUT_PATH, PipelineTaskFinalStatus, TaskConfig

from . import files, workspace
from .errors import StepError
from .shapes import Shape, annotations, artifact_class, shape
from .step import Step, tmp
from .values import argument

_NOTHING: Any = object()


class Binding:
    """The arguments of one call, and what must be looked at after it.

    Attributes:
        arguments: By parameter name.
        artifacts: The objects of the outputs, by name.
        paths: Where the function writes output parameters, by name.
        shapes: The annotations, by parameter name.
        returned: The function's return annotation.
    """

    def __init__(self, function: Callable[..., Any], step: Step) -> None:
        given = annotations(function)
        self.returned = given.pop("return", None)
        self.shapes: Dict[str, Shape] = {name: shape(value) for name, value in given.items()}
        self.arguments: Dict[str, Any] = {}
        self.artifacts: Dict[str, List[Any]] = {}
        self.paths: Dict[str, str] = {}
        self._step = step
        self._globals: Mapping[str, Any] = getattr(function, "__globals__", {})
        self._inputs: Mapping[str, Any] = step.executor_input.get("inputs") or {}
        self._outputs: Mapping[str, Any] = step.executor_input.get("outputs") or {}
        self._bind(function)

    def _bind(self, function: Callable[..., Any]) -> None:
        for name, has_default in _parameters(function):
            value = self._value(name, self.shapes.get(name) or Shape("", None))
            if value is not _NOTHING and not (value is None and has_default):  # null means: not given
                self.arguments[name] = value
            elif not has_default:
                if not self.shapes.get(name, Shape("", None)).optional:
                    raise StepError(f"input {name!r} was given no value, and the function has no default for it.", "InputMissing")
                self.arguments[name] = None
        # Outputs that the function returns as artifacts are no parameters; they need a place all the same.
        for name in self._outputs.get("artifacts") or {}:
            if name not in self.artifacts:
                self._place_outputs(name, Shape(OUTPUT, None))

    def _value(self, name: str, wanted: Shape) -> Any:  # noqa: PLR0911  # one place for the order in which a name is looked up
        artifacts = self._inputs.get("artifacts") or {}
        parameters = self._inputs.get("parameterValues") or {}
        if wanted.role == EMBEDDED:
            return embedded(name, wanted.type, self._globals)
        if wanted.type is TaskConfig:
            return task_config(parameters.get(name))
        # An input and an output may have one name: a plain parameter is the input then, and the output is returned.
        is_input = wanted.role not in (OUTPUT, OUTPUT_PATH) and (name in artifacts or name in parameters)
        if name in (self._outputs.get("artifacts") or {}) and not is_input:
            made = self._place_outputs(name, wanted)
            if wanted.role == OUTPUT_PATH:
                return made[0].path
            return made if wanted.many else made[0]
        if name in (self._outputs.get("parameters") or {}) and not is_input:
            path = self._outputs["parameters"][name]["outputFile"]
            files.make_parent(path)
            self.paths[name] = path
            return path
        if name in artifacts:
            return self._input(name, artifacts[name].get("artifacts") or [], wanted)
        if name in parameters:
            if wanted.type is PipelineTaskFinalStatus:
                return final_status(parameters[name])
            return argument(name, parameters[name], wanted.annotation)
        return _NOTHING

    def _input(self, name: str, given: List[Dict[str, Any]], wanted: Shape) -> Any:
        objects = self._input_artifacts(name, given, wanted)
        if wanted.many:
            return [one.path for one in objects] if wanted.role == INPUT_PATH else objects
        if not objects:
            return _NOTHING
        return objects[0].path if wanted.role == INPUT_PATH else objects[0]

    def _input_artifacts(self, name: str, given: List[Dict[str, Any]], wanted: Shape) -> List[Any]:
        grants = self._step.input_grants(name)
        made = []
        for index, value in enumerate(given):
            one = language.from_runtime(value, _placeable(artifact_class(wanted.type, _title(value))))
            grant = grants[index] if index < len(grants) else {}
            if workspace.is_place(one.custom_path):
                workspace.bring(one.custom_path, grant, name)
                one.place(one.custom_path)
            elif grant.get("path"):
                one.place(grant["path"])
            elif grant.get("url"):
                path = os.path.join(tmp(), "inputs", "artifacts", name, str(index), os.path.basename(one.uri) or name)
                from . import transfers  # most stores are folders

                transfers.download(path, grant, name)
                one.place(path)
            made.append(one)
        return made

    def _place_outputs(self, name: str, wanted: Shape) -> List[Any]:
        made = []
        for value in self._outputs["artifacts"][name].get("artifacts") or []:
            one = language.from_runtime(value, _placeable(artifact_class(wanted.type, _title(value))))
            files.make_parent(one.path)
            made.append(one)
        self.artifacts[name] = made
        return made


def _parameters(function: Callable[..., Any]) -> Iterator[Tuple[str, bool]]:
    """``(name, has a default)`` of each parameter, without the eight milliseconds that importing `inspect` takes."""
    code = getattr(function, "__code__", None)
    if code is None or hasattr(function, "__wrapped__"):
        import inspect

        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
                yield name, parameter.default is not inspect.Parameter.empty
        return
    count = code.co_argcount
    required = count - len(function.__defaults__ or ())  # type: ignore[attr-defined]  # it has code, so it is a function
    for index, name in enumerate(code.co_varnames[: count + code.co_kwonlyargcount]):
        yield name, required <= index < count or name in (function.__kwdefaults__ or ())  # type: ignore[attr-defined]


def outputs_place(step: Step) -> Tuple[Optional[str], str]:
    """Where the step's output artifacts go: what their addresses begin with, and the folder in which it writes them.

    The address is None where it has none; the folder is empty where it follows from the address.
    """
    outputs = step.executor_input.get("outputs") or {}
    for name, listed in (outputs.get("artifacts") or {}).items():
        for value, grant in zip(listed.get("artifacts") or [], step.output_grants(name) or [{}]):
            folder = os.path.dirname(grant.get("path") or "")
            return str(value["uri"]).rpartition("/")[0], folder or (sent() if grant.get("url") else "")
    return None, ""


def sent() -> str:
    """The folder in which a step writes the artifacts that are sent to an object store."""
    return os.path.join(tmp(), "outputs", "artifacts")


def final_status(value: Any) -> Any:
    """The object of an exit task's ``PipelineTaskFinalStatus`` parameter, from its JSON."""
    error = value.get("error") or {}
    return PipelineTaskFinalStatus(
        state=value.get("state", ""),
        pipeline_job_resource_name=value.get("pipelineJobResourceName") or value.get("pipeline_job_resource_name") or "",
        pipeline_task_name=value.get("pipelineTaskName") or value.get("pipeline_task_name") or "",
        error_code=error.get("code"),
        error_message=error.get("message"),
    )


def task_config(value: Any) -> TaskConfig:
    """The object of a ``TaskConfig`` parameter, from its JSON; an empty one when nobody configured anything."""
    given = value or {}
    named = {"node_selector": given.get("nodeSelector"), "volume_mounts": given.get("volumeMounts")}
    return TaskConfig(**named, **{name: given.get(name) for name in ("affinity", "tolerations", "env", "volumes", "resources")})


def embedded(name: str, wanted: Any, names: Mapping[str, Any]) -> Any:
    """The artifact of an ``EmbeddedInput`` parameter: what the step's source has unpacked, and says where."""
    path = names.get("__KFP_EMBEDDED_ASSET_FILE") or names.get("__KFP_EMBEDDED_ASSET_DIR")
    if not path:
        raise StepError(
            f"input {name!r} is an EmbeddedInput, but nothing is embedded in this step. "
            "Give its component embedded_artifact_path.",
            "InputMissing",
        )
    made = language.from_runtime({"name": name, "uri": path}, _placeable(artifact_class(wanted, "")))
    made.place(path)
    return made


def _placeable(cls: Any) -> Any:
    """An artifact type made for other tools, as one that can lie where the hub says; ours stay as they are."""
    return (
        cls
        if issubclass(cls, language.Artifact)
        else type(cls.__name__, (cls, language.Artifact), {"__module__": cls.__module__})
    )


def _title(value: Mapping[str, Any]) -> str:
    return str((value.get("type") or {}).get("schemaTitle", ""))
