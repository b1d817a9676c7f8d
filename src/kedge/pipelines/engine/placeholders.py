"""Placeholders: ``{{$.…}}`` in a pipeline's constants, and in the command lines of its steps.

There are two moments. `resolve` works on a task's *constants* before the task starts: facts of the run and the task, and other
inputs of the same task (how an f-string over an upstream output arrives). `Renderer` works on a *command line* when the step
starts: inputs, outputs, their paths, ``{{$}}``, and the two structures ``{"Concat": …}`` and ``{"IfPresent": …}``.

Only text from the pipeline itself is looked through. A value that happens to contain ``{{$`` is data and stays as it is.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import UNSET

from kedge.pipelines.engine.types import Artifact, RunInfo, Values
from kedge.pipelines.engine.values import as_text
from kedge.pipelines.ids import derived_id
from kedge.pipelines.spec import Component

ExecutorInput: TypeAlias = Mapping[str, Any]
"""The message of that name in its JSON form: what ``{{$}}`` stands for."""

_PLACEHOLDER = re.compile(r"\{\{\$(.*?)\}\}", re.DOTALL)
_KEY = r"\[(?:'([^']*)'|\"([^\"]*)\")\]"
_INPUT = re.compile(rf"\.inputs\.parameters{_KEY}")
_ARTIFACT = re.compile(rf"\.(inputs|outputs)\.artifacts{_KEY}\.(uri|path|name|metadata|properties|custom_properties)(?:{_KEY})?")
_OUTPUT = re.compile(rf"\.outputs\.parameters{_KEY}\.output_file")

WORKSPACE = "{{$.workspace_path}}"

# What `.path` is for an address when the step's own file system has no other place for it (the rule of the SDK).
_MOUNTS = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/", "file://": ""}


class PlaceholderError(Exception):
    """A placeholder asks for something that the step does not have; the message says what."""


# ---- constants


def in_value(value: Any) -> bool:
    """Whether there is a placeholder anywhere in a JSON value."""
    return any("{{$" in text for text in _texts(value))


def name_workspace(value: Any) -> bool:
    """Whether a placeholder anywhere in a JSON value stands for the run's workspace."""
    return any(WORKSPACE in text for text in _texts(value))


def inputs_in(value: Any) -> list[str]:
    """Names of the inputs that placeholders in a JSON value refer to."""
    found = (_INPUT.fullmatch(path) for text in _texts(value) for path in _PLACEHOLDER.findall(text))
    return [match[1] or match[2] for match in found if match]


def _texts(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            stack.extend(part.values())
            stack.extend(part)
        elif isinstance(part, list):
            stack.extend(part)


def task_uuid(run: str, task: str) -> str:
    """The UUID of a task: the same whenever it is asked for, and the one that the history keeps it under."""
    return derived_id(run, task)


def facts(run: RunInfo, task: str, name: str = "", uuid: str = "") -> dict[str, str]:
    """What the job's and the task's placeholders stand for.

    Args:
        run: The run.
        task: The task's id.
        name: What people call the task; the last part of its id, if that is not given.
        uuid: The task's UUID; `task_uuid` makes it, if it is not given.
    """
    scheduled = run.scheduled_at or run.created_at
    return {
        ".pipeline_job_name": run.display_name or run.name,
        ".pipeline_job_resource_name": run.name,
        ".pipeline_job_uuid": run.id,
        ".pipeline_task_name": name or task.rpartition(".")[2],
        ".pipeline_task_uuid": uuid or task_uuid(run.id, task),
        ".pipeline_root": run.pipeline_root,
        ".pipeline_job_create_time_utc": run.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ".pipeline_job_schedule_time_utc": scheduled.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ".workspace_path": run.workspace_path,
    }


def resolve(value: Any, known: Mapping[str, str], inputs: Mapping[str, Any]) -> Any:
    """Fill in a constant's placeholders.

    A text inside a list or mapping that is nothing but a reference to an input becomes that input's value, of its own type;
    elsewhere values become text. Placeholders that mean something only in the step (``{{$}}``, paths) stay as they are.

    Args:
        value: The constant.
        known: What `facts` gave.
        inputs: The task's other input parameters.

    Raises:
        PlaceholderError: An input that has no value.
    """
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: _fact(match, known, inputs), value) if "{{$" in value else value
    if isinstance(value, list):
        return [_nested(item, known, inputs) for item in value]
    if isinstance(value, dict):
        return {resolve(key, known, inputs): _nested(item, known, inputs) for key, item in value.items()}
    return value


def _nested(value: Any, known: Mapping[str, str], inputs: Mapping[str, Any]) -> Any:
    match = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    reference = _INPUT.fullmatch(match[1]) if match else None
    if reference is None:
        return resolve(value, known, inputs)
    return _input(reference, inputs)


def _input(match: re.Match[str], inputs: Mapping[str, Any]) -> Any:
    name = match[1] or match[2] or ""
    if name not in inputs:
        raise PlaceholderError(f"{{{{${match[0]}}}}} stands for the input {name!r}, which has no value. Give it one")
    return inputs[name]


def _fact(match: re.Match[str], known: Mapping[str, str], inputs: Mapping[str, Any]) -> str:
    path = match[1]
    if path in known:
        return known[path]
    reference = _INPUT.fullmatch(path)
    return as_text(_input(reference, inputs)) if reference else match[0]


# ---- command lines


def executor_input(
    component: Component,
    inputs: Values,
    *,
    outputs: Mapping[str, Sequence[Artifact]],
    parameter_file: Callable[[str], str],
    output_file: str,
) -> dict[str, Any]:
    """Make the ExecutorInput of one attempt.

    Args:
        component: The step's component.
        inputs: Its resolved inputs.
        outputs: The artifacts that it shall write, by output name.
        parameter_file: Where the step writes the output parameter of a name.
        output_file: Where it may write an ExecutorOutput instead.
    """
    produced: dict[str, Any] = {"outputFile": output_file}
    if component.output_definitions.parameters:
        produced["parameters"] = {name: {"outputFile": parameter_file(name)} for name in component.output_definitions.parameters}
    if outputs:
        produced["artifacts"] = {name: {"artifacts": [artifact_json(a) for a in listed]} for name, listed in outputs.items()}
    given: dict[str, Any] = {}
    if inputs.parameters:
        given["parameterValues"] = dict(inputs.parameters)
    if inputs.artifacts:
        given["artifacts"] = {
            name: {"artifacts": [artifact_json(a) for a in listed]} for name, listed in inputs.artifacts.items()
        }
    return {"inputs": given, "outputs": produced}


def artifact_json(artifact: Artifact) -> dict[str, Any]:
    """Write an artifact as a ``RuntimeArtifact``."""
    schema = {"schemaTitle": artifact.type, "schemaVersion": artifact.version}
    return {"name": artifact.id or artifact.name, "uri": artifact.uri, "type": schema, "metadata": artifact.metadata}


def local_path(uri: str) -> str:
    """The path that stands for an address, if nobody says otherwise.

    Examples:
        >>> local_path("s3://bucket/a"), local_path("file:///tmp/a"), local_path("oci://r/m:1"), local_path("/tmp/a")
        ('/s3/bucket/a', '/tmp/a', '/oci/r_m:1/models', '/tmp/a')
    """
    for scheme, mount in _MOUNTS.items():
        if uri.startswith(scheme):
            return mount + uri[len(scheme) :]
    if uri.startswith("oci://"):
        return f"/oci/{uri[len('oci://') :].replace('/', '_')}/models"
    return uri


def for_kubelet(value: str) -> str:
    """Write a value so that it stays what it is in a command line or a variable of a container, where ``$(NAME)`` is replaced.

    Examples:
        >>> for_kubelet("$(HOME) costs 5$")
        '$$(HOME) costs 5$$'
    """
    return value.replace("$", "$$")


class Renderer:
    """Fills in the command line of one attempt.

    Args:
        executor_input: What ``{{$}}`` stands for. An artifact's ``.path`` is its ``customPath``, else what `local_path` says.
        component: The step's component: the defaults of inputs that were not given.
        quote: What is done to each value before it is put in, such as `for_kubelet`.

    Examples:
        >>> given = {"inputs": {"parameterValues": {"n": 11.0}}, "outputs": {}}
        >>> optional = '{"IfPresent": {"InputName": "m", "Then": ["-m"]}}'
        >>> Renderer(given, Component()).arguments(["--n={{$.inputs.parameters['n']}}", optional])
        ['--n=11']
    """

    def __init__(self, executor_input: ExecutorInput, component: Component, quote: Callable[[str], str] = str) -> None:
        self._whole = executor_input
        self._quote = quote
        self._given: dict[str, Any] = executor_input.get("inputs", {}).get("parameterValues", {})
        self._artifacts: dict[str, Any] = {
            side: {name: listed["artifacts"] for name, listed in executor_input.get(side, {}).get("artifacts", {}).items()}
            for side in ("inputs", "outputs")
        }
        declared = component.input_definitions
        self._defaults = {k: p.default_value for k, p in declared.parameters.items() if p.default_value is not UNSET}
        self._optional = {k for k, p in declared.parameters.items() if p.is_optional}

    def arguments(self, texts: Sequence[str]) -> list[str]:
        """Fill in a command or its arguments; an ``IfPresent`` may become none, or several.

        Raises:
            PlaceholderError: An input or output that the step does not have, or a structure that cannot be read.
        """
        return [part for text in texts for part in self._argument(text)]

    def text(self, text: str) -> str:
        """Fill in one text, such as an image name or a resource quantity."""
        return _PLACEHOLDER.sub(lambda match: self._quote(self._value(match)), text) if "{{$" in text else text

    def _argument(self, text: str) -> list[str]:
        if text.startswith("{") and ('"Concat"' in text or '"IfPresent"' in text):
            try:
                structure = json.loads(text)
            except ValueError:
                return [self.text(text)]
            if isinstance(structure, dict) and len(structure) == 1 and next(iter(structure)) in ("Concat", "IfPresent"):
                return self._structure(structure)
        return [self.text(text)]

    def _structure(self, part: Any) -> list[str]:
        if isinstance(part, str):
            return [self.text(part)]
        if isinstance(part, list):
            return [text for item in part for text in self._structure(item)]
        if isinstance(part, dict) and isinstance(part.get("Concat"), list):
            return ["".join(text for item in part["Concat"] for text in self._structure(item))]
        if isinstance(part, dict) and isinstance(part.get("IfPresent"), dict):
            choice = part["IfPresent"]
            chosen = choice.get("Then") if self._is_present(str(choice.get("InputName"))) else choice.get("Else")
            return [] if chosen is None else self._structure(chosen)
        raise PlaceholderError(f"a placeholder structure must be text, a list, Concat or IfPresent, got {json.dumps(part)[:80]}")

    def _is_present(self, name: str) -> bool:
        return self._given.get(name) is not None or bool(self._artifacts["inputs"].get(name))

    def _value(self, match: re.Match[str]) -> str:
        path = match[1]
        if not path:
            return json.dumps(self._whole, ensure_ascii=False, separators=(",", ":"))
        if found := _INPUT.fullmatch(path):
            return self._parameter(found[1] or found[2] or "", match[0])
        if found := _ARTIFACT.fullmatch(path):
            return self._artifact(found, match[0])
        outputs: Mapping[str, Any] = self._whole.get("outputs", {})
        if found := _OUTPUT.fullmatch(path):
            name = found[1] or found[2]
            if name not in outputs.get("parameters", {}):
                raise PlaceholderError(f"{match[0]}: the component has no output parameter {name!r}")
            return outputs["parameters"][name]["outputFile"]
        if path == ".outputs.output_file":
            return outputs.get("outputFile", "")
        if path.startswith((".inputs.", ".outputs.")):
            raise PlaceholderError(f"{match[0]}: is not a placeholder that there is")
        return match[0]

    def _parameter(self, name: str, text: str) -> str:
        value = self._given.get(name, self._defaults.get(name))
        if value is not None:
            return as_text(value)
        if name in self._given or name in self._defaults or name in self._optional:
            return ""
        raise PlaceholderError(f"{text}: the component has no input parameter {name!r}")

    def _artifact(self, match: re.Match[str], text: str) -> str:
        side, name, field = match[1], match[2] or match[3] or "", match[4]
        listed = self._artifacts[side].get(name)
        if listed is None:
            raise PlaceholderError(f"{text}: the step has no {side[:-1]} artifact {name!r}")
        if not listed:
            return ""
        artifact = listed[0]
        if field == "path":
            return artifact.get("customPath") or local_path(artifact.get("uri", ""))
        if field in ("uri", "name"):
            return artifact.get(field, "")
        metadata: dict[str, Any] = artifact.get("metadata") or {}
        key = match[5] or match[6]
        if key is None:
            return as_text(metadata)
        if key not in metadata:
            raise PlaceholderError(
                f"{text}: the artifact {name!r} has no metadata {key!r} (there is {', '.join(metadata) or 'none'})"
            )
        return as_text(metadata[key])
