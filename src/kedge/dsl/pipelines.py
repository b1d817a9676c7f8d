"""Pipelines: functions that call components; each is run once, when it is defined, to draw its graph."""

from typing import Any, Callable, Dict, NamedTuple, Optional

from .channels import Channel, InputChannel
from .components import Component, place_of
from .errors import DslError, Place
from .graph import Drawing, Graph
from .interface import RETURNED, Interface, component_name, read
from .tasks import output_of
from .values import TASK_CONFIG, shown
from .wiring import Wiring
from .workspaces import WorkspaceConfig


class PipelineConfig:
    """How a run is treated as a whole.

    Args:
        workspace: A volume that its steps share.
        ttl_seconds_after_finished: Remove the run's objects of Kubernetes (Pods, workspace) this long after its end; its history
            stays.
        ttl_seconds_after_success: The same, after success.
        ttl_seconds_after_failure: The same, after failure.
        active_deadline_seconds: The run fails, and all that runs is ended, when it is not over after this long.

    Examples:
        >>> PipelineConfig(ttl_seconds_after_finished=3600).ttl_seconds_after_finished
        3600
    """

    def __init__(
        self, workspace: Optional[WorkspaceConfig] = None, ttl_seconds_after_finished: Optional[int] = None,
        ttl_seconds_after_success: Optional[int] = None, ttl_seconds_after_failure: Optional[int] = None,
        active_deadline_seconds: Optional[int] = None,
    ) -> None:  # fmt: skip
        if workspace is not None and not hasattr(workspace, "get_workspace"):
            raise DslError(
                f"dsl.PipelineConfig got the workspace {shown(workspace)}.", fix='Pass dsl.WorkspaceConfig(size="10Gi").'
            )
        self.workspace = workspace
        self.ttl_seconds_after_finished = ttl_seconds_after_finished
        self.ttl_seconds_after_success = ttl_seconds_after_success
        self.ttl_seconds_after_failure = ttl_seconds_after_failure
        self.active_deadline_seconds = active_deadline_seconds

    def options(self) -> Dict[str, Any]:
        """As the IR's options for Kubernetes have it."""
        options: Dict[str, Any] = {
            "workspace": self.workspace.get_workspace() if self.workspace is not None else None,
            "resourceTtlOnCompletion": self.ttl_seconds_after_finished,
            "resourceTtlOnSuccess": self.ttl_seconds_after_success,
            "resourceTtlOnFailure": self.ttl_seconds_after_failure,
            "activeDeadlineSeconds": self.active_deadline_seconds,
        }
        return {key: value for key, value in options.items() if value is not None}


class Details(NamedTuple):
    """What ``@pipeline`` says beyond the function."""

    name: str
    description: str = ""
    root: str = ""
    display_name: str = ""
    config: Optional[PipelineConfig] = None


class GraphComponent(Component):
    """A pipeline; called in another pipeline it is one task of that.

    Attributes:
        graph: What its function drew.
        outputs: What it returns, by output name.
        wiring: How values flow between its groups.
    """

    has_container = False
    kind = "pipeline"

    def __init__(self, interface: Interface, place: Place, details: Details, draw: Callable[..., Any]) -> None:
        super().__init__(interface, place)
        self.details = details
        self.graph = Graph(interface.name, place)
        with Drawing(self.graph):
            returned = draw(**{name: InputChannel(self.graph, name, port.type) for name, port in interface.inputs.items()})
        if not self.graph.tasks:
            raise DslError(f'Pipeline "{self.name}" has no tasks.', where=place, fix="Call at least one component in it.")
        self.outputs = self._returned(returned)
        self.wiring = Wiring(self.graph, self.outputs)

    def _returned(self, value: Any) -> Dict[str, Channel]:
        ports = self.interface.outputs
        if value is None and not ports:
            return {}
        if not ports:
            raise DslError(
                f'Pipeline "{self.name}" returns {shown(value)}, but its function has no return annotation.', where=self.place,
                why="Whoever calls it must know the type.", fix="Annotate what it returns: def pipeline(...) -> int:",
            )  # fmt: skip
        if value is None:
            raise DslError(
                f'Pipeline "{self.name}" returns nothing, but is annotated to return {", ".join(ports)}.', where=self.place,
                fix="Return a task's output, or remove the annotation.",
            )  # fmt: skip
        values = [value] if list(ports) == [RETURNED] and not isinstance(value, tuple) else value
        if not isinstance(values, (tuple, list)) or len(values) != len(ports):
            raise DslError(
                f'Pipeline "{self.name}" returns {shown(value)}, but is annotated to return {", ".join(ports)}.',
                where=self.place,
                fix="Return one output for each of them, as a NamedTuple.",
            )
        return {name: output_of(item, port, self.graph, self.place) for (name, port), item in zip(ports.items(), values)}  # noqa: B905

    def call_outside(self, *_: Any, **__: Any) -> Any:
        """What a call outside of a pipeline does."""
        raise DslError(
            f'Pipeline "{self.name}" was called outside of a pipeline.', why="Calling it makes a task of another pipeline.",
            fix="To run it: kedge.run(pipeline, name=value, …). To test its components, call those.",
        )  # fmt: skip


class Pipeline(GraphComponent):
    """A pipeline made of a function."""

    def __init__(self, function: Callable[..., Any], details: Details) -> None:
        interface = read(function, pipeline=True)
        not_given = next((name for name, port in interface.inputs.items() if port.type == TASK_CONFIG), "")
        if not_given or interface.embedded:
            raise DslError(
                f'Parameter "{not_given or interface.embedded[0]}" of pipeline {function.__name__}() is for components.',
                where=place_of(function), why="Only a step is told its own configuration and files.",
                fix="Move it to the component.",
            )  # fmt: skip
        name = component_name(details.name or function.__name__)
        self.pipeline_func = function
        self.__name__, self.__doc__, self.__module__ = function.__name__, function.__doc__, function.__module__
        super().__init__(interface._replace(name=name), place_of(function), details, function)


def pipeline(
    func: Optional[Callable[..., Any]] = None, *, name: Optional[str] = None, description: Optional[str] = None,
    pipeline_root: Optional[str] = None, display_name: Optional[str] = None, pipeline_config: Optional[PipelineConfig] = None,
) -> Any:  # fmt: skip
    """Make a pipeline of a function: ``@pipeline`` or ``@pipeline(name="train")``.

    The function is run once, now: what it calls becomes the graph.

    Args:
        func: Its parameters are the pipeline's inputs.
        name: The function's name by default.
        description: The docstring by default.
        pipeline_root: Where artifacts go, unless the run says.
        display_name: To show to people.
        pipeline_config: For the run as a whole.

    Raises:
        DslError: The pipeline cannot mean what it says.

    Examples:
        >>> from kedge import dsl
        >>> @dsl.component
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> @dsl.pipeline
        ... def quadruple(n: int) -> int:
        ...     return double(n=double(n=n).output).output
        >>> [task.name for task in quadruple.graph.tasks]
        ['double', 'double-2']
    """
    details = Details(name or "", description or "", pipeline_root or "", display_name or "", pipeline_config)

    def decorate(function: Callable[..., Any]) -> Pipeline:
        if not hasattr(function, "__code__"):
            raise DslError(f"@dsl.pipeline decorates {shown(function)}.", why="A pipeline is made of a function.", fix="Use def.")
        return Pipeline(function, details)

    return decorate if func is None else decorate(func)


def of_component(component: Component) -> GraphComponent:
    """The pipeline of one task that runs this component."""

    def draw(**inputs: Channel) -> Any:
        return tuple(component(**inputs).outputs.values()) or None

    return GraphComponent(component.interface, component.place, Details(component.name, component.description), draw)
