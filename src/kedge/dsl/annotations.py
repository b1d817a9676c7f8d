"""What a component's parameters are annotated with beyond plain Python types.

model: Input[Model]           an artifact to read             table: OutputPath(str)      a path to write a parameter to
report: Output[HTML]          an artifact to write            data: InputPath("Dataset")  the path of an artifact to read
files: EmbeddedInput[Dataset] files that travel in the step's source
status: PipelineTaskFinalStatus   how the tasks that an exit task follows have ended
config: TaskConfig            what the task is configured with, for steps that hand it on
"""

from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, TypeVar, Union

if TYPE_CHECKING:
    from typing import Annotated  # type checkers run on a newer Python than steps may have

T = TypeVar("T")

INPUT, OUTPUT, INPUT_PATH, OUTPUT_PATH = "Input", "Output", "InputPath", "OutputPath"
EMBEDDED = "EmbeddedInput"


class Marked:
    """A type with a direction: what ``Input[Dataset]`` is at runtime.

    Args:
        role: One of ``Input``, ``Output``, ``InputPath``, ``OutputPath``, ``EmbeddedInput``.
        type: The annotated type: a class, ``List[...]`` of one, a type's name, or None for any artifact.
    """

    __slots__ = ("role", "type")

    def __init__(self, role: str, type: Any = None) -> None:  # noqa: A002  # the attribute's natural name
        self.role = role
        self.type = type

    def __repr__(self) -> str:
        name = getattr(self.type, "__name__", None) or str(self.type).replace("typing.", "")
        if self.role in (INPUT, OUTPUT, EMBEDDED):
            return f"{self.role}[{name}]"
        return f"{self.role}({'' if self.type is None else name})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Marked) and (self.role, self.type) == (other.role, other.type)

    def __hash__(self) -> int:
        return hash((self.role, str(self.type)))

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Never of use: `typing` on Python 3.8 to 3.10 takes only callables in ``Optional[...]``."""
        raise TypeError(f"{self!r} is an annotation and makes no objects.")


if TYPE_CHECKING:
    # An annotated parameter is the artifact itself, so that editors complete its attributes.
    Input = Annotated[T, "kedge.input"]
    Output = Annotated[T, "kedge.output"]
    EmbeddedInput = Annotated[T, "kedge.embedded"]
else:

    class Input:
        """``Input[Dataset]``: the step gets this artifact; ``Input[List[Dataset]]``: a list of them.

        Examples:
            >>> Input["Dataset"]
            Input[Dataset]
        """

        def __class_getitem__(cls, item: Any) -> Marked:
            return Marked(INPUT, item)

    class Output:
        """``Output[Model]``: the step writes this artifact at its ``.path``.

        Examples:
            >>> Output["Model"]
            Output[Model]
        """

        def __class_getitem__(cls, item: Any) -> Marked:
            return Marked(OUTPUT, item)

    class EmbeddedInput:
        """``EmbeddedInput[Dataset]``: the file or folder that travels in the step's source (``embedded_artifact_path``).

        It is no input of the component: a call does not give it.

        Examples:
            >>> EmbeddedInput["Dataset"]
            EmbeddedInput[Dataset]
        """

        def __class_getitem__(cls, item: Any) -> Marked:
            return Marked(EMBEDDED, item)


def InputPath(type: Union[str, type, None] = None) -> Any:  # noqa: A002, N802  # upstream's names
    """The annotation of a parameter that gets the path of an artifact to read, such as ``Dataset``.

    Examples:
        >>> InputPath("Dataset")
        InputPath(Dataset)
    """
    return Marked(INPUT_PATH, type)


def OutputPath(type: Union[str, type, None] = None) -> Any:  # noqa: A002, N802  # upstream's names
    """The annotation of a parameter that gets a path to write to: of a parameter (``str``) or of an artifact (``"Dataset"``).

    Examples:
        >>> OutputPath(str)
        OutputPath(str)
    """
    return Marked(OUTPUT_PATH, type)


class PipelineTaskFinalStatus(NamedTuple):
    """How the tasks before an exit task have ended.

    Attributes:
        state: ``SUCCEEDED``, ``FAILED`` or ``CANCELED``.
        pipeline_job_resource_name: The run's resource name.
        pipeline_task_name: The task (or group of tasks) that ended.
        error_code: The failed step's exit code, if any.
        error_message: Why it failed, if it did.
    """

    state: str
    pipeline_job_resource_name: str = ""
    pipeline_task_name: str = ""
    error_code: Optional[int] = None
    error_message: Optional[str] = None


class TaskConfig:
    """What a task is configured with, for components that hand it on to a workload which they start.

    A component with a parameter of this type says in ``task_config_passthroughs`` which fields it wants; the others are None. A
    call does not give it: Kedge fills it in.

    Args:
        affinity: As a Pod's ``affinity``; this and the others as Kubernetes writes them.
        tolerations: As a Pod's ``tolerations``.
        node_selector: As a Pod's ``nodeSelector``.
        env: As a container's ``env``.
        volumes: As a Pod's ``volumes``: claims, Secrets, ConfigMaps and folders that options of the task name.
        volume_mounts: As a container's ``volumeMounts``.
        resources: As a container's ``resources``.

    Examples:
        >>> TaskConfig(node_selector={"disk": "ssd"}).node_selector
        {'disk': 'ssd'}
    """

    def __init__(  # noqa: PLR0917  # upstream's
        self, affinity: Optional[Dict[str, Any]] = None, tolerations: Optional[List[Dict[str, Any]]] = None,
        node_selector: Optional[Dict[str, str]] = None, env: Optional[List[Dict[str, Any]]] = None,
        volumes: Optional[List[Dict[str, Any]]] = None, volume_mounts: Optional[List[Dict[str, Any]]] = None,
        resources: Optional[Dict[str, Any]] = None,
    ) -> None:  # fmt: skip
        self.affinity = affinity
        self.tolerations = tolerations
        self.node_selector = node_selector
        self.env = env
        self.volumes = volumes
        self.volume_mounts = volume_mounts
        self.resources = resources

    def __repr__(self) -> str:
        return f"TaskConfig({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskConfig) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # its fields can change


__all__: List[str] = [
    "EmbeddedInput",
    "Input",
    "InputPath",
    "Marked",
    "Output",
    "OutputPath",
    "PipelineTaskFinalStatus",
    "TaskConfig",
]
