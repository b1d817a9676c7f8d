"""What goes into a task: its sources followed, placeholders filled in, types checked."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import UNSET

from kedge.pipelines.engine import cel, placeholders, values
from kedge.pipelines.engine.graph import ArtifactInput, Node, ParameterInput
from kedge.pipelines.engine.types import Artifact, Failure, Kind, RunInfo, State, Task, Values
from kedge.pipelines.spec import ADDED_PREFIX, ITEM_PART, TaskOutputArtifact, TaskOutputParameter

# google.rpc.Code.FAILED_PRECONDITION: what a final status says where the step left no exit code.
_FAILED = 9
_STATES = {State.SUCCEEDED: "SUCCEEDED", State.CACHED: "SUCCEEDED", State.FAILED: "FAILED", State.CANCELED: "CANCELLED"}


class NotProducedError(Exception):
    """An upstream task ended well without the output (it came from a branch that was not taken): the task is skipped."""


class InputError(Exception):
    """An input that cannot be used: the task fails."""


class Resolver:
    """Resolves inputs of tasks of one DAG.

    Args:
        run: The run.
        tasks: Every row, by id.
        prefix: What stands before a task's name in its id.
        outer: The DAG's own inputs.
    """

    __slots__ = ("_outer", "_prefix", "_run", "_tasks")

    def __init__(self, run: RunInfo, tasks: Mapping[str, Task], prefix: str, outer: Values) -> None:
        self._run = run
        self._tasks = tasks
        self._prefix = prefix
        self._outer = outer

    def resolve(self, node: Node) -> Values:
        """Resolve all inputs of a task whose upstream is over.

        Raises:
            NotProducedError: A required input has no value because of a branch that was not taken.
            InputError: A value is missing or does not fit.
        """
        parameters: dict[str, Any] = {}
        for item in node.parameters:
            try:
                self._parameter(node, item, parameters)
            except (values.MismatchError, placeholders.PlaceholderError, cel.EvaluationError) as error:
                raise InputError(f"the input {item.name!r}: {error}") from error
        artifacts: dict[str, list[Artifact]] = {}
        for item in node.artifacts:
            found = self._artifact(node, item)
            if found is not None:
                artifacts[item.name] = found
        if node.inner is Kind.DAG:
            for name, definition in node.component.input_definitions.parameters.items():
                if name not in parameters and name != node.item_input:
                    parameters[name] = None if definition.default_value is UNSET else definition.default_value
        return Values(parameters, artifacts, self._options(node, parameters))

    def _options(self, node: Node, parameters: dict[str, Any]) -> dict[str, Any]:
        """What options of the platform refer to; texts in them may refer to the task's inputs."""
        if not node.options:
            return {}
        known = dict(parameters)
        for item in node.options:
            try:
                self._parameter(node, item, known)
            except (values.MismatchError, placeholders.PlaceholderError, cel.EvaluationError) as error:
                raise InputError(f"the kubernetes option {item.name.partition(' ')[0]}: {error}") from error
        return {item.name: known.get(item.name) for item in node.options}

    def _parameter(self, node: Node, item: ParameterInput, known: dict[str, Any]) -> None:
        value = self._value(node, item, known)
        if value is not None and item.selector is not None:
            text = value if isinstance(value, str) else values.as_text(value)
            value = item.selector.evaluate({"string_value": text})
        if value is not None:
            known[item.name] = _fitted(value, item)
        elif not (item.may_be_absent or item.passing):
            raise values.MismatchError("it is null, and the component needs a value. Give one, or declare the input Optional")

    def _value(self, node: Node, item: ParameterInput, known: dict[str, Any]) -> Any:
        source = item.source
        if source.task_output_parameter is not None:
            return self._output(node, item, source.task_output_parameter)
        if source.component_input_parameter is not None:
            return self._given(source.component_input_parameter)
        if source.task_final_status is not None:
            return self._final_status(source.task_final_status.producer_task)
        if item.open:
            task = self._prefix + node.name
            facts = placeholders.facts(self._run, task, node.title)
            return placeholders.resolve(item.constant, facts, known)
        return item.constant

    def _given(self, name: str) -> Any:
        """An input of the DAG; a part of a loop's item also where kfp did not declare it."""
        if name in self._outer.parameters or ITEM_PART not in name:
            return self._outer.parameters.get(name)
        item, _, part = name.partition(ITEM_PART)
        # In options of the platform kfp leaves the prefix of a loop's item out.
        found = self._outer.parameters.get(item, self._outer.parameters.get(ADDED_PREFIX + item))
        return part_of(found, part)

    def _output(self, node: Node, item: ParameterInput, source: TaskOutputParameter) -> Any:
        producer = self._tasks[self._prefix + source.producer_task]
        if producer.outputs is not None and source.output_parameter_key in producer.outputs.parameters:
            return producer.outputs.parameters[source.output_parameter_key]
        if item.may_be_absent:
            return None
        raise self._not_produced(node, producer, source.output_parameter_key)

    def _artifact(self, node: Node, item: ArtifactInput) -> list[Artifact] | None:
        if item.source.component_input_artifact is not None:
            found = self._outer.artifacts.get(item.source.component_input_artifact)
            if found is None and not item.may_be_absent:
                raise InputError(f"the input artifact {item.name!r} was not given. Give it, or declare the input Optional")
            return found
        source: TaskOutputArtifact | None = item.source.task_output_artifact
        if source is None:  # pragma: no cover  # the checks of the IR leave no third kind
            return None
        producer = self._tasks[self._prefix + source.producer_task]
        found = producer.outputs.artifacts.get(source.output_artifact_key) if producer.outputs is not None else None
        if found is None and not item.may_be_absent:
            raise self._not_produced(node, producer, source.output_artifact_key)
        return found

    def _not_produced(self, node: Node, producer: Task, output: str) -> Exception:
        if producer.kind in (Kind.DAG, Kind.LOOP) and producer.state.succeeded:
            return NotProducedError(f"{producer.name} gave no output {output!r}: the branch that makes it was not taken")
        if node.tolerant and not producer.state.succeeded:
            return InputError(
                f"{producer.name} ended {producer.state} and left no output {output!r}. "
                "Give the input a default value, which is used in this case"
            )
        return InputError(f"{producer.name} gave no output {output!r}. Write it in every case, or declare the input Optional")

    def _final_status(self, name: str) -> dict[str, Any]:
        task = self._tasks[self._prefix + name]
        state = _STATES.get(task.state, str(task.state))
        if state == "SUCCEEDED" and self._run.final_status_complete:
            state = "COMPLETE"
        return {
            "state": state,
            "pipelineJobResourceName": self._run.name,
            "pipelineTaskName": task.name,
            "error": _error(task.failure) if task.failure is not None else {},
        }


def part_of(item: Any, name: str) -> Any:
    """A field of a loop's item, which may be the JSON text of a mapping; ``None`` where there is none."""
    if isinstance(item, str):
        with suppress(msgspec.DecodeError, RecursionError):  # then it has no parts
            item = msgspec.json.decode(item)
    return item.get(name) if isinstance(item, dict) else None


def _fitted(value: Any, item: ParameterInput) -> Any:
    if item.definition is None:
        return value
    try:
        return values.conform_input(value, item.definition)
    except values.MismatchError:
        if ITEM_PART in item.name:  # kfp declares every field of an item to be of the first field's type
            return value
        raise


def _error(failure: Failure) -> dict[str, Any]:
    return {"code": _FAILED if failure.exit_code is None else failure.exit_code, "message": failure.message}
