"""DAGs made ready for the engine: worked out once for each component, and shared by all its instances, iterations and runs."""

import math
from typing import Any

import msgspec
from msgspec import UNSET

from kedge.pipelines import platform_spec
from kedge.pipelines.engine import cache, cel, placeholders
from kedge.pipelines.engine.types import Kind
from kedge.pipelines.spec import (
    ADDED_PREFIX,
    ITEM_PART,
    ArtifactSource,
    Component,
    InputArtifact,
    InputParameter,
    ParameterSource,
    Pipeline,
    Strategy,
    TaskSpec,
    duration,
)

# A retry never waits longer, whatever the pipeline says: the IR's own limit.
_MAX_BACKOFF = 3600.0


class ParameterInput:
    """One input parameter of a task: where its value comes from and what it must be.

    Attributes:
        definition: ``None`` for an input that the compiler added and the component does not declare: it is there so that
            constants, resources and variables of the task can refer to it, and has the type of whatever it is given.
        passing: Whether a group only hands it on to its own tasks: a null is theirs to refuse.
    """

    __slots__ = ("constant", "definition", "name", "open", "passing", "selector", "source")

    def __init__(self, name: str, source: ParameterSource, definition: InputParameter | None, *, in_dag: bool = False) -> None:
        self.name = name
        self.source = source
        self.definition = definition
        self.passing = in_dag and name.startswith(ADDED_PREFIX)
        self.constant: Any = source.runtime_value.constant if source.runtime_value is not None else UNSET
        # An open constant has placeholders, so it is filled in after the inputs that it may refer to.
        self.open = self.constant is not UNSET and placeholders.in_value(self.constant)
        self.selector = cel.Expression(source.parameter_expression_selector) if source.parameter_expression_selector else None

    @property
    def may_be_absent(self) -> bool:
        """Whether the task can run without it."""
        return self.definition is None or self.definition.may_be_absent or ITEM_PART in self.name


class ArtifactInput:
    """One input artifact of a task."""

    __slots__ = ("definition", "may_be_absent", "name", "source")

    def __init__(self, name: str, source: ArtifactSource, definition: InputArtifact, *, in_dag: bool) -> None:
        self.name = name
        # A group hands on what its DAG may not have been given: that is its own tasks' to refuse.
        self.may_be_absent = definition.is_optional or (
            in_dag and name.startswith(ADDED_PREFIX) and source.component_input_artifact is not None
        )
        self.source = source
        self.definition = definition


class Retry:
    """How often and after how long a task is tried again after the user's failures.

    Attributes:
        count: Tries after the first.
    """

    __slots__ = ("_base", "_cap", "_factor", "count")

    def __init__(self, spec: TaskSpec) -> None:
        policy = spec.retry_policy
        self.count = policy.max_retry_count if policy else 0
        self._base = (duration(policy.backoff_duration) or 0.0) if policy else 0.0
        self._factor = (policy.backoff_factor or 2.0) if policy else 2.0
        self._cap = min((duration(policy.backoff_max_duration) or _MAX_BACKOFF) if policy else _MAX_BACKOFF, _MAX_BACKOFF)

    def delay(self, failures: int) -> float:
        """Seconds to wait after that many failures (from 1)."""
        try:
            return min(self._base * math.pow(self._factor, failures - 1), self._cap)
        except OverflowError:
            return self._cap


class Node:
    """One task of a DAG, apart from any run."""

    __slots__ = (
        "_pipeline",
        "_static",
        "artifacts",
        "component",
        "component_name",
        "condition",
        "dependents",
        "inner",
        "items",
        "name",
        "options",
        "parameters",
        "retry",
        "spec",
        "tolerant",
        "upstream",
    )

    def __init__(self, pipeline: Pipeline, name: str, spec: TaskSpec) -> None:
        self._pipeline = pipeline
        self._static = ""
        self.name = name
        self.spec = spec
        self.component_name = spec.component_ref.name
        self.component: Component = pipeline.component(self.component_name)
        self.upstream: tuple[str, ...] = tuple(spec.upstream)
        self.dependents: list[int] = []
        declared = self.component.input_definitions
        given, in_dag = spec.inputs.parameters, self.component.dag is not None
        self.parameters = [ParameterInput(k, s, declared.parameters.get(k), in_dag=in_dag) for k, s in given.items()]
        self.parameters.sort(key=lambda parameter: parameter.open)
        self.options: list[ParameterInput] = []
        if self.component.executor_label in pipeline.options:
            for field, source in platform_spec.references(pipeline.options[self.component.executor_label]):
                self.options.append(ParameterInput(platform_spec.reference_key(field, source), source, None))
        self.artifacts = [ArtifactInput(k, s, declared.artifacts[k], in_dag=in_dag) for k, s in spec.inputs.artifacts.items()]
        self.condition = cel.Expression(spec.trigger_policy.condition) if spec.trigger_policy.condition else None
        self.tolerant = spec.trigger_policy.strategy is Strategy.COMPLETED
        self.retry = Retry(spec)
        self.items: list[Any] | None = None
        if spec.parameter_iterator is not None and spec.parameter_iterator.items.raw is not None:
            self.items = msgspec.json.decode(spec.parameter_iterator.items.raw)
        # What one instance (for a loop: one iteration) is.
        label = self.component.executor_label
        self.inner = Kind.DAG if label is None else Kind.STEP if pipeline.executors[label].importer is None else Kind.IMPORTER

    @property
    def loops(self) -> bool:
        """Whether the task runs once for each item of a list."""
        return self.spec.parameter_iterator is not None or self.spec.artifact_iterator is not None

    @property
    def kind(self) -> Kind:
        """What the task is."""
        return Kind.LOOP if self.loops else self.inner

    @property
    def executor(self) -> str:
        """The executor's label, ``""`` for DAGs."""
        return self.component.executor_label or ""

    @property
    def item_input(self) -> str:
        """The input that is the loop's item, ``""`` where there is no loop."""
        iterator = self.spec.parameter_iterator or self.spec.artifact_iterator
        return iterator.item_input if iterator else ""

    @property
    def title(self) -> str:
        """What people call the task."""
        return self.spec.task_info.name or self.name

    @property
    def static_digest(self) -> str:
        """The part of the cache key that does not depend on the inputs."""
        if not self._static:
            self._static = cache.static_digest(self._pipeline, self.component, self.executor)
        return self._static


class Graph:
    """The tasks of one DAG.

    Attributes:
        component: The component whose DAG it is.
        nodes: Its tasks, in the IR's order.
        index: Position of each task in ``nodes``.
        waits: How many tasks each one waits for.
    """

    __slots__ = ("component", "index", "nodes", "waits")

    def __init__(self, pipeline: Pipeline, component: Component) -> None:
        tasks = component.dag.tasks if component.dag is not None else {}
        self.component = component
        self.nodes = [Node(pipeline, name, spec) for name, spec in tasks.items()]
        self.index = {node.name: position for position, node in enumerate(self.nodes)}
        self.waits = [len(node.upstream) for node in self.nodes]
        for position, node in enumerate(self.nodes):
            for needed in node.upstream:
                self.nodes[self.index[needed]].dependents.append(position)


def graph(pipeline: Pipeline, component: str) -> Graph:
    """The graph of a component by name; the root is ``""``."""
    found = pipeline.plans.get(component)
    if found is None:
        found = pipeline.plans[component] = Graph(pipeline, pipeline.component(component))
    return found


def spec_of(pipeline: Pipeline, task: str) -> TaskSpec | None:
    """What the pipeline says of a task, by its id; ``None`` of the root, and of what it does not have."""
    component, found = pipeline.root, None
    for part in task.split("."):
        spec = component.dag.tasks.get(part) if component.dag is not None else None
        if spec is not None:  # the number of an iteration leads no deeper
            found, component = spec, pipeline.component(spec.component_ref.name)
    return found


def title(pipeline: Pipeline, task: str) -> str:
    """What people call a task, by its id."""
    found = spec_of(pipeline, task)
    return (found.task_info.name if found is not None else "") or task.rpartition(".")[2]
