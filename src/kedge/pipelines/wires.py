"""Where a task's inputs come from, in the words of KFP 3.0: the pipeline says so, which is why the history need not."""

from collections.abc import Mapping
from typing import Any

from kedge.pipelines.spec import ArtifactSource, Dag, ParameterSource, Pipeline, TaskSpec

Json = dict[str, Any]
_Level = tuple[TaskSpec, Dag, str]


def sources(pipeline: Pipeline | None, task: str) -> dict[str, Json]:
    """The ``type`` and the ``producer`` of each input that a task can have, by name.

    Args:
        pipeline: What the run runs; ``None`` where that is not known, and nothing is.
        task: The task's id. An iteration has no inputs but its own item, which comes from its loop.
    """
    levels = [] if pipeline is None else _levels(pipeline, task)
    if not levels or pipeline is None or task.rpartition(".")[2].isdigit():
        return {}
    declared = pipeline.component(levels[-1][0].component_ref.name).input_definitions
    return {name: _source(levels, name) for name in (*declared.parameters, *declared.artifacts)}


def producer(task: str) -> Json:
    """Who made something, of the id of the task that did.

    Examples:
        >>> producer("for-loop-1.3.train")
        {'task_name': 'train', 'iteration': '3'}
    """
    above, _, name = task.rpartition(".")
    number = above.rpartition(".")[2]
    return _named(name, number if number.isdigit() else "")


def _named(task: str, iteration: str) -> Json:
    return {"task_name": task, **({"iteration": iteration} if iteration else {})}  # 64 bits are texts in KFP's JSON


def _levels(pipeline: Pipeline, task: str) -> list[_Level]:
    """From the outermost group to the task: what each is given, among which others, in which iteration."""
    levels: list[_Level] = []
    dag, iteration = pipeline.root.dag, ""
    for name in filter(None, task.split(".")):
        if name.isdigit():
            iteration = name
        elif dag is None or name not in dag.tasks:
            return []
        else:
            levels.append((dag.tasks[name], dag, iteration))
            dag, iteration = pipeline.component(dag.tasks[name].component_ref.name).dag, ""
    return levels


def _source(levels: list[_Level], name: str) -> Json:
    if not levels:
        return {}  # an argument of the run
    task, dag, iteration = levels[-1]
    given: Mapping[str, ParameterSource | ArtifactSource] = {**task.inputs.parameters, **task.inputs.artifacts}
    source = given.get(name)
    if isinstance(source, ParameterSource):
        if source.runtime_value is not None:
            return {"type": "RUNTIME_VALUE_INPUT"}
        if (ended := source.task_final_status) is not None:
            return {"producer": _named(ended.producer_task, iteration)}
        output, above = source.task_output_parameter, source.component_input_parameter
    elif source is not None:
        output, above = source.task_output_artifact, source.component_input_artifact
    else:
        return {"type": "ITERATOR_INPUT" if _is_item(task, name) else "COMPONENT_DEFAULT_INPUT"}
    if output is not None:
        made = dag.tasks[output.producer_task]
        collected = made.parameter_iterator is not None or made.artifact_iterator is not None
        kind = "COLLECTED_INPUTS" if collected else "TASK_OUTPUT_INPUT"
        return {"type": kind, "producer": _named(output.producer_task, iteration)}
    return {**_source(levels[:-1], above or ""), "type": "COMPONENT_INPUT"}


def _is_item(task: TaskSpec, name: str) -> bool:
    iterators = (task.parameter_iterator, task.artifact_iterator)
    return any(name == iterator.item_input for iterator in iterators if iterator is not None)
