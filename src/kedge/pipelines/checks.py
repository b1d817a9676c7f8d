"""Everything about a pipeline that can be known to be wrong before it runs.

Each problem is one sentence that begins with the path of the field, says what is wrong and how to put it right. A pipeline that
passes has only references that lead somewhere, constants that fit their inputs, expressions that parse, and no cycle; the engine
relies on that.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from kedge.pipelines.engine import cel, placeholders, values
from kedge.pipelines.spec import (
    ADDED_PREFIX,
    ITEM_PART,
    ArtifactSource,
    Component,
    Dag,
    Executor,
    Importer,
    InputParameter,
    ParameterSource,
    ParameterType,
    PipelineSpec,
    duration,
)

_NAME = re.compile(r"[A-Za-z0-9_-]+")
# kfp adds these when an option of a container comes from a value of the run; the option itself refers to that value as well.
_OPTIONS = frozenset(
    {
        "base_image", "cpu_limit", "cpu_request", "memory_limit", "memory_request",
        "accelerator_type", "accelerator_limit", "accelerator_count",
    }
)  # fmt: skip
_ALTERNATIVES = "taskOutputParameter, runtimeValue, componentInputParameter, taskFinalStatus"


def problems(spec: PipelineSpec) -> Iterator[str]:
    """Find what is wrong with a pipeline, one sentence each."""
    for label, executor in spec.deployment_spec.executors.items():
        yield from _executor(executor, f"deploymentSpec.executors.{label}")
    if spec.root.dag is None:
        yield "root.dag: a pipeline's root must be a DAG of tasks. Compile a pipeline, not a component"
    yield from _recursion(spec)
    yield from _component(spec, spec.root, "root")
    for name, component in spec.components.items():
        yield from _component(spec, component, f"components.{name}")


def selector_faults(source: ParameterSource) -> Iterator[str]:
    """Why the expression that takes a part of a value cannot be read."""
    if source.parameter_expression_selector:
        try:
            cel.Expression(source.parameter_expression_selector)
        except cel.SyntaxProblem as error:
            yield str(error)


def known_names(names: Iterable[str]) -> str:
    """What there is, for a message."""
    listed = sorted(names)
    return ", ".join(listed[:8]) + (", …" if len(listed) > 8 else "") if listed else "none"


def sources_given(source: ParameterSource) -> int:
    """How many of the ways to give a value are used; one is right."""
    given = (source.task_output_parameter, source.runtime_value, source.component_input_parameter, source.task_final_status)
    return sum(g is not None for g in given)


# ---- executors


def _executor(executor: Executor, path: str) -> Iterator[str]:
    for field, value in (("resolver", executor.resolver), ("customJob", executor.custom_job)):
        if value is not UNSET:
            yield f"{path}.{field}: not supported (no Kubeflow backend runs it). Use a container component"
            return
    if (executor.container is None) == (executor.importer is None):
        yield f"{path}: must have one of container and importer. Compile the pipeline again"
        return
    if executor.container is not None:
        if not executor.container.image:
            yield f"{path}.container.image: is missing. Name the image to run"
        if executor.container.lifecycle is not UNSET:
            yield f"{path}.container.lifecycle: not supported (upstream ignores it). Do this work in the step itself"
    if executor.importer is not None:
        yield from _importer(executor.importer, f"{path}.importer")


def _importer(importer: Importer, path: str) -> Iterator[str]:
    if importer.properties is not UNSET or importer.custom_properties is not UNSET:
        yield f"{path}.properties: is the older spelling and not supported. Use metadata"
    source = importer.artifact_uri
    if source.constant_value is not UNSET:
        yield f"{path}.artifactUri.constantValue: is the older spelling and not supported. Use constant"
    elif (source.constant is UNSET) == (source.runtime_parameter is UNSET):
        yield f"{path}.artifactUri: must have one of constant and runtimeParameter. Compile the pipeline again"


# ---- components

_EMPTIED = (
    "it is empty. kfp's compiler empties one of two groups that have the same name on two levels, as when a pipeline with "
    "branches or loops calls a sub-pipeline with branches or loops. Compile it with `kedge compile`, or move the outer groups "
    "into a sub-pipeline"
)


def _component(spec: PipelineSpec, component: Component, path: str) -> Iterator[str]:
    yield from _definitions(component, path)
    if component.single_platform_specs is not UNSET:
        yield f"{path}.singlePlatformSpecs: not supported here. Put platform options into the second document"
    if (component.dag is None) == (component.executor_label is None):
        empty = component.dag is None and component.executor_label is None
        yield f"{path}: {_EMPTIED}" if empty else f"{path}: has both dag and executorLabel. Remove one of them"
        return
    executors = spec.deployment_spec.executors
    if component.executor_label is not None:
        label = component.executor_label
        if label not in executors:
            yield f"{path}.executorLabel: there is no executor {label!r} (there is {known_names(executors)}). Compile it again"
            return
        importer = executors[label].importer
        source = importer.artifact_uri.runtime_parameter if importer is not None else None
        if isinstance(source, str) and source not in component.input_definitions.parameters:
            yield f"{path}: the importer takes its address from the input {source!r}, which the component does not have"
    if component.dag is not None:
        yield from _dag(spec, component, component.dag, f"{path}.dag")


def _definitions(component: Component, path: str) -> Iterator[str]:
    for name, parameter in component.input_definitions.parameters.items():
        where = f"{path}.inputDefinitions.parameters.{name}"
        if parameter.type is not UNSET:
            yield f"{where}.type: is the older spelling and not supported. Use parameterType"
        elif parameter.default_value is not UNSET and parameter.default_value is not None:
            yield from _fits(parameter.default_value, parameter, f"{where}.defaultValue")
    for name, parameter in component.output_definitions.parameters.items():
        if parameter.type is not UNSET:
            yield f"{path}.outputDefinitions.parameters.{name}.type: is the older spelling and not supported. Use parameterType"
    for name, artifact in component.output_definitions.artifacts.items():
        if artifact.properties is not UNSET or artifact.custom_properties is not UNSET:
            yield f"{path}.outputDefinitions.artifacts.{name}: properties are the older spelling and not supported. Use metadata"


def _fits(value: Any, definition: InputParameter, where: str) -> Iterator[str]:
    try:
        values.conform_input(value, definition)
    except values.MismatchError as error:
        yield f"{where}: {error}"


# ---- DAGs


def _dag(spec: PipelineSpec, component: Component, dag: Dag, path: str) -> Iterator[str]:
    broken = False
    for name, task in dag.tasks.items():
        where = f"{path}.tasks.{name}"
        if not _NAME.fullmatch(name):
            yield f"{where}: a task's name may have letters, digits, - and _ only. Rename the task"
        if task.component_ref.name not in spec.components:
            broken = True
            yield (
                f"{where}.componentRef.name: there is no component {task.component_ref.name!r} "
                f"(there is {known_names(spec.components)}). Compile the pipeline again"
            )
    if broken:
        return  # what follows would only repeat it
    for name in dag.tasks:
        yield from _Task(spec, component, dag, name, f"{path}.tasks.{name}").problems()
    yield from _outputs(spec, component, dag, path)
    cycle = find_cycle({name: [d for d in task.upstream if d in dag.tasks] for name, task in dag.tasks.items()})
    if cycle:
        yield f"{path}.tasks: the tasks wait for each other: {_round(cycle)}. Remove one of these dependencies"


def find_cycle(graph: Mapping[str, Sequence[str]]) -> list[str]:
    """Find nodes that lead to each other, first and last the same; empty if there are none. Takes no recursion."""
    done: set[str] = set()
    for root in graph:
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, int]] = [(root, 0)]
        while stack:
            node, nth = stack.pop()
            if nth == 0:
                if node in done:
                    continue
                path.append(node)
                on_path.add(node)
            if nth < len(graph[node]):
                stack.append((node, nth + 1))
                following = graph[node][nth]
                if following in on_path:
                    return [*path[path.index(following) :], following]
                stack.append((following, 0))
            else:
                done.add(node)
                on_path.discard(path.pop())
    return []


def _round(cycle: Sequence[str]) -> str:
    return " → ".join(cycle if len(cycle) <= 10 else [*cycle[:5], "…", *cycle[-4:]])


def _recursion(spec: PipelineSpec) -> Iterator[str]:
    def uses(component: Component) -> list[str]:
        tasks = component.dag.tasks.values() if component.dag else ()
        return [t.component_ref.name for t in tasks if t.component_ref.name in spec.components]

    cycle = find_cycle({name: uses(component) for name, component in spec.components.items()})
    if cycle:
        yield f"components: they contain each other: {_round(cycle)}. A pipeline cannot call itself"


def _outputs(spec: PipelineSpec, component: Component, dag: Dag, path: str) -> Iterator[str]:
    declared = component.output_definitions
    for name, parameter in dag.outputs.parameters.items():
        where = f"{path}.outputs.parameters.{name}"
        if name not in declared.parameters:
            yield f"{where}: the component declares no such output (there is {known_names(declared.parameters)})"
        if (parameter.value_from_parameter is None) == (parameter.value_from_oneof is None):
            yield f"{where}: must have one of valueFromParameter and valueFromOneof"
        for selector in parameter.selectors:
            key = selector.output_parameter_key
            yield from _produced(spec, dag, (selector.producer_subtask, key, "parameters"), where)
    for name, artifact in dag.outputs.artifacts.items():
        where = f"{path}.outputs.artifacts.{name}"
        if name not in declared.artifacts:
            yield f"{where}: the component declares no such output (there is {known_names(declared.artifacts)})"
        for selector in artifact.artifact_selectors:
            yield from _produced(spec, dag, (selector.producer_subtask, selector.output_artifact_key, "artifacts"), where)


def _produced(spec: PipelineSpec, dag: Dag, output: tuple[str, str, str], where: str) -> Iterator[str]:
    task, key, sort = output
    if task not in dag.tasks:
        known = f" (there is {known_names(dag.tasks)})" if dag.tasks else f": {_EMPTIED}"
        yield f"{where}: there is no task {task!r} in this DAG{known}"
        return
    outputs = getattr(spec.components[dag.tasks[task].component_ref.name].output_definitions, sort)
    if key not in outputs:
        yield f"{where}: the task {task!r} has no output {key!r} among its {sort} (there is {known_names(outputs)})"


# ---- tasks


class _Task:
    """Checks of one task; an object because each of them needs the same five things."""

    def __init__(self, spec: PipelineSpec, parent: Component, dag: Dag, name: str, path: str) -> None:
        self.spec, self.parent, self.dag, self.path = spec, parent, dag, path
        self.name, self.task = name, dag.tasks[name]
        self.component = spec.components[self.task.component_ref.name]

    def problems(self) -> Iterator[str]:
        for number, needed in enumerate(self.task.dependent_tasks):
            where = f"{self.path}.dependentTasks[{number}]"
            if needed not in self.dag.tasks:
                yield f"{where}: there is no task {needed!r} in this DAG (there is {known_names(self.dag.tasks)})"
        yield from self._parameters()
        yield from self._artifacts()
        yield from self._missing()
        yield from self._iterator()
        yield from self._trigger()
        yield from self._retry()

    def _parameters(self) -> Iterator[str]:
        declared = self.component.input_definitions.parameters
        for key, source in self.task.inputs.parameters.items():
            where = f"{self.path}.inputs.parameters.{key}"
            if key in declared:
                yield from self._source(source, declared[key], where)
            elif key.startswith(ADDED_PREFIX) or key in _OPTIONS:
                yield from self._source(source, InputParameter(is_optional=True), where)
            else:
                yield f"{where}: the component has no such input (there is {known_names(declared)}). Remove the argument"

    def _source(self, source: ParameterSource, declared: InputParameter, where: str) -> Iterator[str]:
        if sources_given(source) != 1:
            yield f"{where}: must have one of {_ALTERNATIVES}"
        elif source.task_output_parameter is not None:
            output = source.task_output_parameter
            yield from _produced(self.spec, self.dag, (output.producer_task, output.output_parameter_key, "parameters"), where)
        elif source.component_input_parameter is not None:
            outer = self.parent.input_definitions.parameters
            if source.component_input_parameter not in outer and ITEM_PART not in source.component_input_parameter:
                name, known = source.component_input_parameter, known_names(outer)
                yield f"{where}: the surrounding DAG has no input {name!r} (there is {known})"
        elif source.task_final_status is not None:
            if source.task_final_status.producer_task not in self.dag.tasks:
                yield f"{where}: there is no task {source.task_final_status.producer_task!r} in this DAG"
        else:
            yield from self._constant(source, declared, where)
        if declared.kind is ParameterType.TASK_FINAL_STATUS and source.task_final_status is None:
            yield f"{where}: takes a task's final status only. Use it in the exit task of an ExitHandler"
        yield from (f"{where}.parameterExpressionSelector: {fault}" for fault in selector_faults(source))

    def _constant(self, source: ParameterSource, declared: InputParameter, where: str) -> Iterator[str]:
        value = source.runtime_value
        assert value is not None  # noqa: S101  # the caller looked
        if isinstance(value.runtime_parameter, str):
            yield f"{where}.runtimeValue.runtimeParameter: not supported here. Use componentInputParameter"
        elif value.constant is UNSET:
            yield f"{where}.runtimeValue: has no constant. Compile the pipeline again"
        elif placeholders.in_value(value.constant):
            known = self.task.inputs.parameters
            for name in placeholders.inputs_in(value.constant):
                if name not in known:
                    yield f"{where}: refers to the input {name!r}, which this task is not given (there is {known_names(known)})"
        elif value.constant is None:
            if not declared.may_be_absent:
                yield f"{where}: is null, and the component needs a value. Give one, or declare the input Optional"
        elif not source.parameter_expression_selector:
            yield from _fits(value.constant, declared, where)

    def _artifacts(self) -> Iterator[str]:
        declared = self.component.input_definitions.artifacts
        for key, source in self.task.inputs.artifacts.items():
            where = f"{self.path}.inputs.artifacts.{key}"
            if key not in declared:
                yield f"{where}: the component has no such input (there is {known_names(declared)}). Remove the argument"
            else:
                yield from self._artifact(source, where)

    def _artifact(self, source: ArtifactSource, where: str) -> Iterator[str]:
        if (source.task_output_artifact is None) == (source.component_input_artifact is None):
            yield f"{where}: must have one of taskOutputArtifact and componentInputArtifact"
        elif source.task_output_artifact is not None:
            output = source.task_output_artifact
            yield from _produced(self.spec, self.dag, (output.producer_task, output.output_artifact_key, "artifacts"), where)
        elif source.component_input_artifact not in self.parent.input_definitions.artifacts:
            outer = self.parent.input_definitions.artifacts
            yield f"{where}: the surrounding DAG has no input {source.component_input_artifact!r} (there is {known_names(outer)})"

    def _missing(self) -> Iterator[str]:
        inputs, iterator = self.component.input_definitions, self.task.parameter_iterator or self.task.artifact_iterator
        item = iterator.item_input if iterator else None
        for key, parameter in inputs.parameters.items():
            optional = parameter.may_be_absent or parameter.kind is ParameterType.TASK_CONFIG or key == item
            if key not in self.task.inputs.parameters and not optional:
                yield f"{self.path}.inputs.parameters: the argument {key!r} is missing. Give it, or give the input a default"
        for key, artifact in inputs.artifacts.items():
            if key not in self.task.inputs.artifacts and key != item and not artifact.is_optional:
                yield f"{self.path}.inputs.artifacts: the argument {key!r} is missing. Give it, or declare the input Optional"

    def _iterator(self) -> Iterator[str]:
        if self.task.parameter_iterator is not None and self.task.artifact_iterator is not None:
            yield f"{self.path}: has two iterators. Nest two loops instead"
        if self.task.iterator_policy.parallelism_limit < 0:
            yield f"{self.path}.iteratorPolicy.parallelismLimit: must be 0 (no limit) or more"
        inputs = self.component.input_definitions
        if self.task.artifact_iterator is not None:
            where, iterator = f"{self.path}.artifactIterator", self.task.artifact_iterator
            for field, name in (("items.inputArtifact", iterator.items.input_artifact), ("itemInput", iterator.item_input)):
                if name not in inputs.artifacts:
                    known = known_names(inputs.artifacts)
                    yield f"{where}.{field}: the component has no input artifact {name!r} (there is {known})"
        if self.task.parameter_iterator is not None:
            yield from self._parameter_iterator()

    def _parameter_iterator(self) -> Iterator[str]:
        where, iterator = f"{self.path}.parameterIterator", self.task.parameter_iterator
        assert iterator is not None  # noqa: S101  # the caller looked
        declared = self.component.input_definitions.parameters
        if iterator.item_input not in declared:
            yield f"{where}.itemInput: the component has no input {iterator.item_input!r} (there is {known_names(declared)})"
        if (iterator.items.raw is None) == (iterator.items.input_parameter is None):
            yield f"{where}.items: must have one of raw and inputParameter"
        elif iterator.items.raw is not None:
            try:
                items = msgspec.json.decode(iterator.items.raw)
            except (msgspec.DecodeError, RecursionError):
                items = None
            if not isinstance(items, list):
                yield f"{where}.items.raw: must be the JSON text of a list, got {iterator.items.raw[:60]!r}"
        elif iterator.items.input_parameter not in declared:
            yield f"{where}.items.inputParameter: the component has no input {iterator.items.input_parameter!r}"

    def _trigger(self) -> Iterator[str]:
        condition = self.task.trigger_policy.condition
        if not condition:
            return
        where = f"{self.path}.triggerPolicy.condition"
        try:
            expression = cel.Expression(condition)
        except cel.SyntaxProblem as error:
            yield f"{where}: {error}"
            return
        declared = self.component.input_definitions.parameters
        for name in sorted(expression.parameters - set(declared)):
            yield f"{where}: reads the input {name!r}, which the component does not have (there is {known_names(declared)})"

    def _retry(self) -> Iterator[str]:
        policy = self.task.retry_policy
        if policy is None:
            return
        where = f"{self.path}.retryPolicy"
        if policy.max_retry_count < 0:
            yield f"{where}.maxRetryCount: must be 0 or more, got {policy.max_retry_count}"
        if policy.backoff_factor < 0:
            yield f"{where}.backoffFactor: must be 0 or more, got {policy.backoff_factor}"
        for field, text in (("backoffDuration", policy.backoff_duration), ("backoffMaxDuration", policy.backoff_max_duration)):
            if duration(text) is None:
                yield f'{where}.{field}: must be a duration such as "30s", got {text!r}'
