"""From a graph to PipelineSpec IR 2.1.0, as plain dicts in the form of its JSON.

A component that is called many times with the same settings is written once, so that a pipeline of 1,000 calls of one component
stays small.
"""

import json
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from .channels import Channel, without_markers
from .components import Component
from .errors import DslError, TypeMismatch, names
from .graph import LOOP, Graph, Group, Node
from .interface import MISSING, Interface, Port, component_name
from .loaded import LoadedPipeline
from .pipelines import GraphComponent, of_component
from .task_config import check_settings, declared
from .tasks import PipelineTask
from .values import a, literal_fits, outline, plain, shown
from .wiring import Wires, Wiring

SCHEMA_VERSION = "2.1.0"
# Other tools tell dialects apart by this prefix.
SDK_VERSION = "kedge-0.1.0"


class Compiled(NamedTuple):
    """A compiled pipeline.

    Attributes:
        pipeline: The PipelineSpec.
        platforms: Options by platform name; empty if there are none.
    """

    pipeline: Dict[str, Any]
    platforms: Dict[str, Any]


def compile(  # noqa: A001  # the verb; the builtin has no business here
    pipeline: Component, *, name: Optional[str] = None, display_name: Optional[str] = None,
    parameters: Optional[Mapping[str, Any]] = None,
) -> Compiled:  # fmt: skip
    """Compile a pipeline, or a component as the pipeline of one task.

    Args:
        pipeline: Made by ``@pipeline``, ``@component`` or ``@container_component``.
        name: In place of the pipeline's own.
        display_name: In place of the pipeline's own.
        parameters: Defaults in place of the pipeline's own, by input name.

    Raises:
        DslError: It is none of these, or a parameter does not exist.
        TypeMismatch: A parameter has the wrong type.
    """
    if not _is_component(pipeline):
        raise DslError(
            f"{shown(pipeline)} cannot be compiled.", why="It is neither a pipeline nor a component.",
            fix="Pass a function decorated with @dsl.pipeline.",
        )  # fmt: skip
    graph = pipeline if isinstance(pipeline, GraphComponent) else of_component(pipeline)
    details, interface = graph.details, _with_defaults(graph, parameters or {})
    compilation = _Compilation()
    root = compilation.dag(graph, interface)
    info = {"name": component_name(name) if name else graph.name}
    description = details.description or graph.description
    shown_name = display_name or details.display_name
    info.update({key: text for key, text in (("displayName", shown_name), ("description", description)) if text})
    spec: Dict[str, Any] = {
        "components": compilation.components, "deploymentSpec": {"executors": compilation.executors}, "pipelineInfo": info,
        "root": root, "schemaVersion": SCHEMA_VERSION, "sdkVersion": SDK_VERSION,
    }  # fmt: skip
    if details.root:
        spec["defaultPipelineRoot"] = details.root
    platforms: Dict[str, Any] = {
        name: {"deploymentSpec": {"executors": executors}} for name, executors in compilation.options.items()
    }
    options = details.config.options() if details.config is not None else {}
    if options:
        platforms.setdefault("kubernetes", {})["pipelineConfig"] = options
    if "workspace" not in options and any(
        "downloadToWorkspace" in one.get("importer", ()) for one in compilation.executors.values()
    ):
        raise DslError(
            f'An importer of pipeline "{graph.name}" downloads to the workspace, which the pipeline does not have.',
            where=graph.place,
            fix='Write @dsl.pipeline(pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi"))).',
        )  # fmt: skip
    return Compiled(spec, platforms)


def _is_component(value: object) -> bool:
    return isinstance(value, Component)


def _with_defaults(graph: GraphComponent, parameters: Mapping[str, Any]) -> Interface:
    inputs = dict(graph.interface.inputs)
    for name, value in parameters.items():
        port = inputs.get(name)
        if port is None or port.type.is_artifact:
            raise DslError(
                f'Pipeline "{graph.name}" has no parameter "{name}".', where=graph.place,
                why=f"Its parameters are {names(key for key, known in inputs.items() if not known.type.is_artifact)}.",
                fix="Correct the name.",
            )  # fmt: skip
        if not literal_fits(value, port.type) or (port.literals and value not in port.literals):
            wanted = f"one of {names(port.literals)}" if port.literals else f"{a(port.type)}"
            raise TypeMismatch(
                f'Parameter "{name}" of pipeline "{graph.name}" was given {shown(value)}, {a(type(value).__name__)}.',
                where=graph.place, why=f"It is {wanted}.", fix=f"Pass {wanted}.",
            )  # fmt: skip
        inputs[name] = port._replace(default=plain(value, port.type), optional=True)
    return graph.interface._replace(inputs=inputs)


class _Compilation:
    def __init__(self) -> None:
        self.components: Dict[str, Any] = {}
        self.executors: Dict[str, Any] = {}
        # Options of executors: by platform, then by the executor's label.
        self.options: Dict[str, Dict[str, Any]] = {}
        self._names: Dict[str, int] = {}
        self._made: Dict[Tuple[int, str], str] = {}
        # Components are known by their identity here, which must not be given to another one meanwhile.
        self._alive: List[Component] = []

    def _unique(self, name: str) -> str:
        count = self._names.get(name, 0) + 1
        while count > 1 and f"{name}-{count}" in self._names:
            count += 1
        self._names[name] = count
        found = name if count == 1 else f"{name}-{count}"
        self._names.setdefault(found, 1)
        return found

    def dag(self, graph: GraphComponent, interface: Interface) -> Dict[str, Any]:
        """The component of a pipeline."""
        made: Dict[str, Any] = {"dag": self._group(graph.graph, graph.wiring, graph.graph.root)}
        made.update(_declared(interface))
        return made

    def _group(self, graph: Graph, wiring: Wiring, group: Group) -> Dict[str, Any]:
        tasks: Dict[str, Any] = {}
        for node in group.children:
            if isinstance(node, Group):
                tasks[node.name] = self._group_task(graph, wiring, node)
            elif isinstance(node, PipelineTask):
                tasks[node.name] = self._task(graph, wiring.of(node), node)
        made: Dict[str, Any] = {"tasks": tasks}
        outputs = wiring.of(group).outputs
        if outputs:
            made["outputs"] = _sided({name: (type_.is_artifact, selector) for name, (type_, selector) in outputs.items()})
        return made

    def _group_task(self, graph: Graph, wiring: Wiring, group: Group) -> Dict[str, Any]:
        wires = wiring.of(group)
        name = self._unique(f"comp-{group.name}")
        component: Dict[str, Any] = {}
        self.components[name] = component
        component["dag"] = self._group(graph, wiring, group)
        if wires.declared:
            component["inputDefinitions"] = _sided({key: (t.is_artifact, outline(t)[1]) for key, t in wires.declared.items()})
        if wires.outputs:
            component["outputDefinitions"] = _sided(
                {key: (t.is_artifact, outline(t)[1]) for key, (t, _) in wires.outputs.items()}
            )
        task = _common(group, wires, name)
        if group.conditions:
            parts = [c.expression() if holds else f"!({c.expression()})" for c, holds in group.conditions]
            task["triggerPolicy"] = {"condition": " && ".join(parts)}
        if group.kind == LOOP:
            task.update(_iterator(group))
        return task

    def _task(self, graph: Graph, wires: Wires, task: PipelineTask) -> Dict[str, Any]:
        made = _common(task, wires, self._component(graph, wires, task))
        constants = {
            name: {"runtimeValue": {"constant": _filled(argument.value, graph) if argument.marked else argument.value}}
            for name, argument in task.arguments.items()
            if not isinstance(argument.value, Channel)
        }
        if constants:
            made.setdefault("inputs", {}).setdefault("parameters", {}).update(constants)
        caching: Dict[str, Any] = {"enableCache": True} if task.caching else {}
        if task.cache_key:
            caching["cacheKey"] = task.cache_key
        made["cachingOptions"] = caching
        if task.retry is not None:
            retry = task.retry
            made["retryPolicy"] = {
                "maxRetryCount": retry.times, "backoffDuration": retry.duration or "0s",
                "backoffFactor": retry.factor if retry.factor is not None else 2.0,
                "backoffMaxDuration": retry.max_duration or "3600s",
            }  # fmt: skip
        is_exit = any(isinstance(node, Group) and node.exit_task is task for node in task.follows)
        if task.ignores_failure or is_exit:
            made["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
        return made

    def _component(self, graph: Graph, wires: Wires, task: PipelineTask) -> str:
        """The name of the task's component; components that are the same are written once."""
        component = task.component
        check_settings(task, component.passthroughs)
        settings = _settings(graph, task) if task.has_settings else {}
        options = _filled(task.platform_config, graph, wires) if task.platform_config else {}
        known = (id(component), json.dumps([settings, options], sort_keys=True) if settings or options else "")
        if known in self._made:
            return self._made[known]
        self._alive.append(component)
        name = self._unique(f"comp-{component.name}")
        self._made[known] = name
        made: Dict[str, Any] = {}
        self.components[name] = made
        if isinstance(component, GraphComponent):
            made.update(self.dag(component, component.interface))
            return name
        if isinstance(component, LoadedPipeline):
            inside = component.renamed({inner: self._unique(inner) for inner in component.spec.get("components", {})})
            self.components.update(inside["components"])
            self.executors.update(inside["executors"])
            for platform, found in inside["options"].items():
                self.options.setdefault(platform, {}).update(found)
            made.update(inside["root"])
            return name
        label = name.replace("comp-", "exec-", 1)
        executor = component.executor()
        if settings:
            executor = {"container": {**executor["container"], **settings}}
        self.executors[label] = executor
        for platform, found in options.items():
            self.options.setdefault(platform, {})[label] = found
        made["executorLabel"] = label
        made.update(_declared(component.interface))
        if component.passthroughs:
            made["taskConfigPassthroughs"] = declared(component.passthroughs)
        return name


def _common(node: Node, wires: Wires, component: str) -> Dict[str, Any]:
    made: Dict[str, Any] = {"componentRef": {"name": component}, "taskInfo": {"name": node.display_name}}
    if wires.inputs:
        made["inputs"] = _sided(wires.inputs)
    if wires.upstream:
        made["dependentTasks"] = sorted(wires.upstream)
    return made


def _sided(values: Mapping[str, Tuple[bool, Any]]) -> Dict[str, Any]:
    """Artifacts and parameters apart, as the IR has them."""
    made: Dict[str, Any] = {}
    for name, (is_artifact, value) in values.items():
        made.setdefault("artifacts" if is_artifact else "parameters", {})[name] = value
    return made


def _declared(interface: Interface) -> Dict[str, Any]:
    made: Dict[str, Any] = {}
    for side, ports in (("inputDefinitions", interface.inputs), ("outputDefinitions", interface.outputs)):
        if ports:
            made[side] = _sided({name: (port.type.is_artifact, _port(port)) for name, port in ports.items()})
    return made


def _port(port: Port) -> Dict[str, Any]:
    made = outline(port.type)[1]
    if port.default is not MISSING:
        made["defaultValue"] = port.default
    if port.optional:
        made["isOptional"] = True
    if port.literals:
        made["literals"] = list(port.literals)
    if port.description:
        made["description"] = port.description
    return made


def _iterator(group: Group) -> Dict[str, Any]:
    item = group.item
    if item is None:
        raise AssertionError("a loop without an item; this is a defect of kedge.dsl")
    made: Dict[str, Any]
    if not isinstance(group.items, Channel):
        made = {"parameterIterator": {"itemInput": item.key, "items": {"raw": json.dumps(group.items)}}}
    elif group.items.type.is_artifact:
        made = {"artifactIterator": {"itemInput": item.key, "items": {"inputArtifact": group.items.key}}}
    else:
        made = {"parameterIterator": {"itemInput": item.key, "items": {"inputParameter": group.items.key}}}
    if group.parallelism:
        made["iteratorPolicy"] = {"parallelismLimit": group.parallelism}
    return made


def _filled(value: Any, graph: Graph, wires: Optional[Wires] = None) -> Any:
    """A value without markers; in options, with the sources of channels in place of them."""
    if isinstance(value, str):
        return without_markers(value, graph.marked)
    if isinstance(value, dict):
        made = {key: _filled(item, graph, wires) for key, item in value.items()}
        older = made.pop("", None)
        return {**made, **_older(older)} if older is not None else made
    if wires is not None and isinstance(value, Channel):
        return wires.referred[id(value)]
    return [_filled(item, graph, wires) for item in value] if isinstance(value, list) else value


def _older(source: Dict[str, Any]) -> Dict[str, Any]:
    """The source of a claim's name as backends before 2.14 read it; they know nothing of parts of values."""
    if "parameterExpressionSelector" in source:
        return {}
    return source.get("runtimeValue", source)


def _settings(graph: Graph, task: PipelineTask) -> Dict[str, Any]:
    """What a task's container has beyond its component's."""
    made: Dict[str, Any] = {}
    if task.image:
        made["image"] = _filled(task.image, graph)
    resources: Dict[str, Any] = {key: _filled(text, graph) for key, text in task.resources.items()}
    if task.accelerator:
        resources["accelerator"] = {key: _filled(text, graph) for key, text in task.accelerator.items()}
    if resources:
        made["resources"] = resources
    if task.env:
        made["env"] = [{"name": name, "value": _filled(value, graph)} for name, value in task.env.items()]
    return made
