"""What is wrong with options for Kubernetes, before anything runs: as `kedge.pipelines.checks`, for the second document."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kedge.pipelines.checks import known_names, selector_faults, sources_given
from kedge.pipelines.engine import placeholders
from kedge.pipelines.platform_spec import ExecutorOptions, references
from kedge.pipelines.spec import ITEM_PART, Component, Container, ParameterSource, PipelineSpec, TaskSpec

_POLICIES = ("Always", "Never", "IfNotPresent")
_OURS = "kedge.dev/"


def workspace_problems(spec: PipelineSpec) -> Iterator[str]:
    """Find where a pipeline without a workspace uses one."""
    needs = "names the workspace, and the pipeline has none. Compile it with PipelineConfig(workspace=WorkspaceConfig(size=…))"
    for label, executor in spec.deployment_spec.executors.items():
        container = executor.container or Container()
        if placeholders.name_workspace([*container.command, *container.args]):
            yield f"deploymentSpec.executors.{label}.container: {needs}"
    for name, component in {"root": spec.root, **spec.components}.items():
        for task, found in (component.dag.tasks if component.dag is not None else {}).items():
            for key, source in found.inputs.parameters.items():
                value = source.runtime_value.constant if source.runtime_value is not None else None
                if placeholders.name_workspace(value):
                    yield f"{name}.dag.tasks.{task}.inputs.parameters.{key}: {needs}"


def problems(spec: PipelineSpec, options: Mapping[str, ExecutorOptions]) -> Iterator[str]:
    """Find what is wrong, one sentence each.

    Args:
        spec: The pipeline, which was found right.
        options: Of executors, by label.
    """
    for label, found in options.items():
        path = f"platforms.kubernetes.deploymentSpec.executors.{label}"
        if label not in spec.deployment_spec.executors:
            known = known_names(spec.deployment_spec.executors)
            yield f"{path}: there is no executor {label!r} (there is {known}). Compile the pipeline again"
            continue
        yield from _options(found, path)
    for component in (spec.root, *spec.components.values()):
        for name, task in (component.dag.tasks if component.dag is not None else {}).items():
            label = spec.components[task.component_ref.name].executor_label or ""
            if label in options:
                yield from _Scope(spec, component, name, task).problems(options[label], label)


def _options(found: ExecutorOptions, path: str) -> Iterator[str]:
    if found.active_deadline_seconds < 0:
        yield f"{path}.activeDeadlineSeconds: must be 0 (no limit) or more"
    if found.image_pull_policy not in ("", *_POLICIES):
        yield f"{path}.imagePullPolicy: must be one of {', '.join(_POLICIES)}, got {found.image_pull_policy!r}"
    for kind, given in (("labels", found.pod_metadata.labels), ("annotations", found.pod_metadata.annotations)):
        for key in given:
            if key.startswith(_OURS):
                yield f"{path}.podMetadata.{kind}: {key!r} is one of Kedge's own names. Use another prefix"
    for number, container in enumerate(found.init_containers):
        if container.restart_policy not in ("", "Always"):
            yield f"{path}.initContainers[{number}].restartPolicy: must be Always or left out, got {container.restart_policy!r}"
    yield from _affinity(found, path)


def _affinity(found: ExecutorOptions, path: str) -> Iterator[str]:
    for number, term in enumerate(found.pod_affinity):
        if not term.topology_key and term.pod_affinity_json is None:
            yield f"{path}.podAffinity[{number}].topologyKey: is missing. Name the node's label, such as kubernetes.io/hostname"
    for field, terms in (("nodeAffinity", found.node_affinity), ("podAffinity", found.pod_affinity)):
        for number, term in enumerate(terms):
            if term.weight is not None and not 1 <= term.weight <= 100:
                yield f"{path}.{field}[{number}].weight: must be from 1 to 100, got {term.weight}"


@dataclass(frozen=True, slots=True)
class _Scope:
    """A task whose executor has options, and what these may refer to."""

    spec: PipelineSpec
    parent: Component
    name: str
    task: TaskSpec

    def problems(self, options: ExecutorOptions, label: str) -> Iterator[str]:
        for field, source in references(options):
            where = f"platforms.kubernetes.deploymentSpec.executors.{label}.{field}"
            for problem in self._source(source):
                yield f"{where}: {problem}"
            yield from (f"{where}.parameterExpressionSelector: {fault}" for fault in selector_faults(source))

    def _source(self, source: ParameterSource) -> Iterator[str]:
        if sources_given(source) != 1 or source.task_final_status is not None:
            yield "must have one of taskOutputParameter, runtimeValue, componentInputParameter. Compile the pipeline again"
        elif source.component_input_parameter is not None:
            outer = self.parent.input_definitions.parameters
            if source.component_input_parameter not in outer and ITEM_PART not in source.component_input_parameter:
                yield (
                    f"the DAG around task {self.name!r} has no input {source.component_input_parameter!r} "
                    f"(there is {known_names(outer)}). Compile the pipeline again"
                )
        elif source.task_output_parameter is not None:
            yield from self._output(source.task_output_parameter.producer_task, source.task_output_parameter.output_parameter_key)

    def _output(self, producer: str, key: str) -> Iterator[str]:
        tasks = self.parent.dag.tasks if self.parent.dag is not None else {}
        if producer not in tasks:
            yield f"there is no task {producer!r} beside task {self.name!r} (there is {known_names(tasks)})"
            return
        outputs = self.spec.components[tasks[producer].component_ref.name].output_definitions.parameters
        if key not in outputs:
            yield f"the task {producer!r} has no output {key!r} among its parameters (there is {known_names(outputs)})"
        elif producer not in self.task.upstream:
            yield f"task {self.name!r} takes a value of task {producer!r} and does not wait for it. Add it to dependentTasks"
