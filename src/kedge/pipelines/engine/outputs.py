"""What comes out of a task: whether a step's outputs fit, and how those of a DAG and of a loop are put together."""

from collections.abc import Mapping, Sequence
from typing import Any

from kedge.pipelines.engine import values
from kedge.pipelines.engine.types import Artifact, Task, Values
from kedge.pipelines.spec import Component


class OutputError(Exception):
    """A step's outputs do not fit what its component declares; the message says which and why."""


def conform(component: Component, outputs: Values) -> Values:
    """Make a step's outputs fit their declaration.

    Raises:
        OutputError: A parameter is missing, not declared or of the wrong type, or an artifact is not declared.

    Examples:
        >>> from kedge.pipelines.spec import OutputDefinitions, OutputParameter, ParameterType
        >>> declared = OutputDefinitions(parameters={"n": OutputParameter(parameter_type=ParameterType.INTEGER)})
        >>> conform(Component(output_definitions=declared), Values({"n": 3.0})).parameters
        {'n': 3}
    """
    declared = component.output_definitions
    for sort, given, known in (
        ("parameter", outputs.parameters, declared.parameters),
        ("artifact", outputs.artifacts, declared.artifacts),
    ):
        extra = next((name for name in given if name not in known), None)
        if extra is not None:
            raise OutputError(f"the component declares no output {sort} {extra!r} (there is {', '.join(known) or 'none'})")
    fitted: dict[str, Any] = {}
    for name, definition in declared.parameters.items():
        if outputs.parameters.get(name) is None:
            raise OutputError(
                f"the output parameter {name!r} was not written. Return a value for it, or write its output file, in every case"
            )
        if not values.is_shallow(outputs.parameters[name]):
            raise OutputError(
                f"the output parameter {name!r}: nested more than {values.MAX_DEPTH} levels deep. Write an artifact"
            )
        try:
            fitted[name] = values.conform(outputs.parameters[name], definition.kind)
        except values.MismatchError as error:
            raise OutputError(f"the output parameter {name!r}: {error}") from error
    return Values(fitted, outputs.artifacts)


def of_dag(component: Component, tasks: Mapping[str, Task], prefix: str) -> Values:
    """Put together a DAG's outputs: of each, the first candidate that there is. What no task made is absent."""
    if component.dag is None:  # pragma: no cover  # only DAGs are asked
        return Values()
    parameters: dict[str, Any] = {}
    for name, parameter in component.dag.outputs.parameters.items():
        for selector in parameter.selectors:
            made = tasks[prefix + selector.producer_subtask].outputs
            if made is not None and selector.output_parameter_key in made.parameters:
                parameters[name] = made.parameters[selector.output_parameter_key]
                break
    artifacts: dict[str, list[Artifact]] = {}
    for name, artifact in component.dag.outputs.artifacts.items():
        for selector in artifact.artifact_selectors:
            made = tasks[prefix + selector.producer_subtask].outputs
            if made is not None and selector.output_artifact_key in made.artifacts:
                artifacts[name] = made.artifacts[selector.output_artifact_key]
                break
    return Values(parameters, artifacts)


def of_loop(component: Component, iterations: Sequence[Task]) -> Values:
    """Put together a loop's outputs: lists in the order of iterations.

    Parameters of loops in loops nest; artifacts are one flat list. An iteration without the output, because the branch that
    makes it was not taken, has no place in its list.
    """
    made = [task.outputs for task in iterations if task.outputs is not None]
    declared = component.output_definitions
    return Values(
        {name: [one.parameters[name] for one in made if name in one.parameters] for name in declared.parameters},
        {name: [artifact for one in made for artifact in one.artifacts.get(name, ())] for name in declared.artifacts},
    )
