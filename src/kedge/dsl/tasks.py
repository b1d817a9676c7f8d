"""Tasks: what calling a component in a pipeline gives, and how they are configured."""

from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Union

from .channels import Channel, FieldChannel, InputChannel, ItemChannel, OutputChannel, unwrapped
from .errors import DslError, TypeMismatch, UnknownName, caller, names, nearest
from .graph import Graph, Node, belongs
from .groups import ExitHandler
from .interface import MISSING, Interface, Port
from .values import FINAL_STATUS, TASK_CONFIG, a, fits, literal_fits, plain, shown, type_of

if TYPE_CHECKING:
    from .components import Component

Number = Union[int, float, str, Channel]
_MEMORY_UNITS = ("E", "P", "T", "G", "M", "K", "k", "Ei", "Pi", "Ti", "Gi", "Mi", "Ki", "")


class Argument(NamedTuple):
    """What a task gets for one input.

    Attributes:
        value: A channel, or a constant in JSON's terms whose texts may hold markers.
        marked: The channels whose markers the constant holds.
    """

    value: Any
    marked: Tuple[Channel, ...] = ()


class Retry(NamedTuple):
    """How often a failed step is tried again, and when."""

    times: int
    duration: Optional[str] = None
    factor: Optional[float] = None
    max_duration: Optional[str] = None


class _Outputs(Dict[str, Channel]):
    def __init__(self, task: "PipelineTask") -> None:
        super().__init__()
        self._task = task
        for name, port in task.interface.outputs.items():
            self[name] = OutputChannel(task.graph, name, port.type, task)

    def __missing__(self, name: str) -> Channel:
        raise DslError(
            f'Task "{self._task.name}" has no output "{name}".', why=f"Its outputs are {names(self)}.",
            fix="Correct the name, or add the output to the component.",
        )  # fmt: skip


class PipelineTask(Node):
    """One call of a component in a pipeline; made by the call. Its setters return the task.

    Args:
        graph: The pipeline.
        component: What is called.
        arguments: As given by keyword.

    Examples:
        >>> from kedge import dsl
        >>> @dsl.component
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> @dsl.pipeline
        ... def patient(n: int):
        ...     double(n=n).set_retry(3, backoff_duration="10s").set_memory_limit("1G").set_caching_options(False)
        >>> patient.graph.tasks[0].caching
        False
    """

    def __init__(self, graph: Graph, component: "Component", arguments: Dict[str, Any]) -> None:
        self.interface: Interface = component.interface
        super().__init__(graph, graph.unique(self.interface.name), graph.stack[-1], caller())
        self.component = component
        self.arguments = bind(self, arguments)
        self.caching, self.cache_key = True, ""
        self.retry: Optional[Retry] = None
        self.ignores_failure = False
        self.image: Optional[str] = None
        self.resources: Dict[str, str] = {}
        self.accelerator: Dict[str, str] = {}
        self.env: Dict[str, str] = {}
        # Channels that the settings above refer to.
        self.settings: List[Channel] = []
        # Options by platform, in the IR's terms; channels stand in them where the IR says where a value comes from.
        self.platform_config: Dict[str, Any] = {}
        self.referred: List[Channel] = []
        self._outputs: Optional[Dict[str, Channel]] = None
        graph.add(self)
        graph.tasks.append(self)

    def __getattr__(self, name: str) -> Any:
        """Say which method was meant; reached only by names that are not there."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise UnknownName(
            f'A task has no attribute "{name}".',
            fix=nearest(name, [known for known in dir(type(self)) if not known.startswith("_")])
            or 'The methods of a task are those of kfp.dsl.PipelineTask; an output is task.outputs["…"].',
        )

    @property
    def outputs(self) -> Dict[str, Channel]:
        """The task's outputs by name."""
        if self._outputs is None:
            self._outputs = _Outputs(self)
        return self._outputs

    @property
    def output(self) -> Channel:
        """The task's only output.

        Raises:
            DslError: It has none, or several.
        """
        if len(self.interface.outputs) != 1:
            several = len(self.interface.outputs)
            raise DslError(
                f'Task "{self.name}" has {several or "no"} output{"s" if several else ""}, not one: .output is not defined.',
                why=f"Its outputs are {names(self.interface.outputs)}.",
                fix='Use task.outputs["…"].' if several else "Let the component return something, or order tasks with .after().",
            )
        return next(iter(self.outputs.values()))

    @property
    def inputs(self) -> Dict[str, Any]:
        """The arguments as they were given, constants in JSON's terms."""
        return {name: argument.value for name, argument in self.arguments.items()}

    @property
    def dependent_tasks(self) -> List[str]:
        """The names of the tasks that `after` named."""
        return [node.name for node in self.follows]

    def after(self, *tasks: "Union[PipelineTask, ExitHandler]") -> "PipelineTask":
        """Start only when these have succeeded, without taking anything from them."""
        for task in tasks:
            node: Any = task.group if isinstance(task, ExitHandler) else task
            if not isinstance(node, Node):
                raise DslError(
                    f'Task "{self.name}" is told to run after {shown(task)}, which is no task.',
                    fix="Pass what calling a component returned.",
                )
            if node.graph is not self.graph:
                raise DslError(
                    f'Task "{self.name}" is told to run after "{node.name}", which is in another pipeline.', fix="Remove it."
                )
            self.follows.append(node)
        return self

    def ignore_upstream_failure(self) -> "PipelineTask":
        """Start when the tasks before have ended, whether they failed or not."""
        for name, argument in self.arguments.items():
            port = self.interface.inputs[name]
            if isinstance(argument.value, Channel) and argument.value.producer is not None and not port.optional:
                raise DslError(
                    f'Task "{self.name}" ignores failures before it, but its input "{name}" comes from {argument.value.title} '
                    "and has no default.",
                    why="When that task fails there is no value to give.", fix=f'Give "{name}" a default in the component.',
                )  # fmt: skip
        self.ignores_failure = True
        return self

    def set_caching_options(
        self,
        enable_caching: bool,  # noqa: FBT001  # upstream's
        cache_key: Optional[str] = None,
        ttl: Optional[str] = None,
    ) -> "PipelineTask":
        """Say whether an earlier result for the same inputs may be used again.

        Args:
            enable_caching: Whether it may.
            cache_key: Use this in place of the inputs to tell results apart.
            ttl: Only a result that is at most so old, such as ``"12h"`` or ``"7d"``. Kedge's own: upstream has no such limit.
        """
        for what, value in (("a cache key", cache_key), ("a ttl", ttl)):
            if value and not enable_caching:
                name = what.split()[-1].replace("key", "cache_key")
                raise self._error(f"has {what} but caching is off", fix=f"Pass enable_caching=True, or no {name}.")
        self.platform_config.pop("kedge", None)
        if ttl is not None:
            self.check_container()
            found = _duration(self, ttl, "use results again for")
            if found in {"0s", "0.0s"}:
                raise self._error("is set to use results again for no time", fix="Pass enable_caching=False, and no ttl.")
            self.platform_config["kedge"] = {"cacheTtl": found}
        self.caching, self.cache_key = bool(enable_caching), cache_key or ""
        return self

    def set_retry(
        self, num_retries: int, backoff_duration: Optional[str] = None, backoff_factor: Optional[float] = None,
        backoff_max_duration: Optional[str] = None,
    ) -> "PipelineTask":  # fmt: skip
        """Try again when the step fails.

        Args:
            num_retries: How often at most, beyond the first time.
            backoff_duration: How long to wait before the first time, such as ``"30s"``.
            backoff_factor: By how much the wait grows each time.
            backoff_max_duration: The longest wait.
        """
        if type(num_retries) is not int or num_retries < 0:
            raise self._error(f"is set to retry {shown(num_retries)} times", fix="Pass a whole number from 0.")
        durations = [_duration(self, value) for value in (backoff_duration, backoff_max_duration)]
        self.retry = Retry(num_retries, durations[0], backoff_factor, durations[1])
        return self

    def set_cpu_request(self, cpu: Number) -> "PipelineTask":
        """The number of CPUs that the step is sure to get: ``"0.5"``, ``"500m"``."""
        return self._resource("resourceCpuRequest", cpu, _cpu)

    def set_cpu_limit(self, cpu: Number) -> "PipelineTask":
        """The number of CPUs that the step gets at most."""
        return self._resource("resourceCpuLimit", cpu, _cpu)

    def set_memory_request(self, memory: Union[str, Channel]) -> "PipelineTask":
        """The memory that the step is sure to get: ``"512Mi"``, ``"2G"``."""
        return self._resource("resourceMemoryRequest", memory, _memory)

    def set_memory_limit(self, memory: Union[str, Channel]) -> "PipelineTask":
        """The memory that the step gets at most."""
        return self._resource("resourceMemoryLimit", memory, _memory)

    def set_accelerator_type(self, accelerator: Union[str, Channel]) -> "PipelineTask":
        """The kind of accelerator: a resource name such as ``nvidia.com/gpu``."""
        self.check_container()
        self.accelerator["resourceType"] = self._text(accelerator)
        return self

    def set_accelerator_limit(self, limit: Union[int, str, Channel]) -> "PipelineTask":
        """How many accelerators the step gets."""
        self.check_container()
        if not (str(limit).isdigit() or "{{" in str(limit)):
            raise self._error(f"is given {shown(limit)} accelerators", fix="Pass a whole number.")
        self.accelerator["resourceCount"] = self._text(limit)
        return self

    def set_gpu_limit(self, gpu: Union[int, str]) -> "PipelineTask":
        """The old name of `set_accelerator_limit`."""
        return self.set_accelerator_limit(gpu)

    def add_node_selector_constraint(self, accelerator: str) -> "PipelineTask":
        """The old name of `set_accelerator_type`."""
        return self.set_accelerator_type(accelerator)

    def set_env_variable(self, name: str, value: Union[str, Channel]) -> "PipelineTask":
        """Set an environment variable of the step: a text, a parameter, or a text with parameters in it."""
        self.check_container()
        if not is_text(name) or not name or "=" in name:
            raise self._error(f"is given an environment variable named {shown(name)}", fix="Use a name without `=`.")
        if not is_text(value) and not isinstance(unwrapped(value), Channel):
            raise self._error(
                f'is given {shown(value)} for environment variable "{name}"', fix=f"Pass text: {shown(str(value))}."
            )
        self.env[name] = self._text(value)
        return self

    def set_display_name(self, name: str) -> "PipelineTask":
        """The name to show to people."""
        self.display_name = str(name)
        return self

    def set_container_image(self, name: Union[str, Channel]) -> "PipelineTask":
        """Run this task in another image than its component says."""
        self.check_container()
        self.image = self._text(name)
        return self

    def set_debug_pause(
        self, before: bool = False, after: bool = True, on_error: bool = False,  # noqa: FBT001, FBT002  # upstream's
    ) -> "PipelineTask":  # fmt: skip
        """Ask a backend that runs on Argo to keep the step's Pod, to look around in it; here it says nothing.

        Kedge keeps what a failed step saw instead: ``kedge debug`` runs it again on this terminal.

        Args:
            before: Before the step begins.
            after: When it has ended.
            on_error: Only when it has failed.
        """
        if on_error and not after:
            raise self._error("is to pause on_error, but not after", fix="Pass after=True, or no on_error.")
        if not before and not after:
            raise self._error("is to pause neither before nor after", fix="Pass before=True or after=True, or remove it.")
        if before:
            self.set_env_variable("ARGO_DEBUG_PAUSE_BEFORE", "true")
        if after:
            self.set_env_variable("ARGO_DEBUG_PAUSE_ON_ERROR" if on_error else "ARGO_DEBUG_PAUSE_AFTER", "true")
        return self

    @property
    def has_settings(self) -> bool:
        """Whether the task's container differs from its component's."""
        return bool(self.image or self.resources or self.accelerator or self.env)

    def _resource(self, key: str, value: Number, check: Callable[[str], bool]) -> "PipelineTask":
        self.check_container()
        text = self._text(value)
        if "{{" not in text and not check(text):
            what = "memory" if "Memory" in key else "CPU"
            example = '"512Mi", "2G"' if what == "memory" else '"0.5", "2", "500m"'
            raise self._error(f"is given {shown(value)} of {what}", fix=f"Write it as Kubernetes does: {example}.")
        self.resources[key] = text
        return self

    def _text(self, value: Any) -> str:
        value = unwrapped(value)
        if isinstance(value, Channel):
            belongs(value, self.graph, f'Task "{self.name}"')
        return self.marked(str(value))

    def marked(self, text: str) -> str:
        """Note the channels whose markers stand in a text of the task's settings; returns the text."""
        self.settings += self.graph.marked_in(text)
        return text

    def check_container(self) -> None:
        """Refuse to configure what has no container.

        Raises:
            DslError: The task has none.
        """
        if not self.component.has_container:
            raise self._error(
                f"is {self.component.title}, which has no container to configure",
                fix="Set it on the tasks inside of that pipeline.",
            )

    def _error(self, says: str, *, why: str = "", fix: str = "") -> DslError:
        return DslError(f'Task "{self.name}" {says}.', why=why, fix=fix)


def is_text(value: object) -> bool:
    """Whether a value that the user gave is a text, whatever the annotations promise."""
    return isinstance(value, str)


def _cpu(text: str) -> bool:
    digits = text[:-1] if text.endswith("m") else text  # noqa: FURB188  # Python 3.8
    return digits.replace(".", "", 1).isdigit() and not (text.endswith("m") and "." in digits)


def _memory(text: str) -> bool:
    digits = text.rstrip("EPTGMKki")
    return digits.replace(".", "", 1).isdigit() and text[len(digits) :] in _MEMORY_UNITS


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(task: PipelineTask, text: Optional[str], what: str = "retry after") -> Optional[str]:
    if text is None:
        return None
    number, unit = str(text)[:-1], str(text)[-1:]
    if unit not in _UNITS or not number.replace(".", "", 1).isdigit():
        raise DslError(
            f'Task "{task.name}" is set to {what} {shown(text)}.', why="It is a time.", fix='Write "30s", "5m", "1h" or "7d".'
        )
    seconds = float(number) * _UNITS[unit]
    return f"{int(seconds) if seconds == int(seconds) else seconds}s"


def bind(task: PipelineTask, given: Dict[str, Any]) -> Dict[str, Argument]:
    """Check what a call gives against what the component takes.

    Raises:
        DslError: An argument is missing or unknown.
        TypeMismatch: One has the wrong type.
    """
    inputs = task.interface.inputs
    for name in given:
        if name not in inputs:
            raise DslError(
                f'{_call(task)} has no input "{name}".', why=f"Its inputs are {names(inputs)}.",
                fix=nearest(name, inputs) or f'Remove "{name}", or add it to the component.', where=task.place,
            )  # fmt: skip
    bound: Dict[str, Argument] = {}
    for name, port in inputs.items():
        value = given.get(name, MISSING)
        if value is None and port.optional:
            continue
        if value is not MISSING:
            bound[name] = _argument(task, port, value)
        elif not port.optional:
            raise DslError(
                f'{_call(task)} is missing the argument "{name}" ({port.type}).', why="It has no default.",
                fix=f"Pass {name}=…, or give it a default in the component.", where=task.place,
            )  # fmt: skip
    return bound


def _call(task: PipelineTask) -> str:
    return f'Task "{task.name}" in pipeline "{task.graph.name}"'


def _argument(task: PipelineTask, port: Port, value: Any) -> Argument:
    value = unwrapped(value)
    if isinstance(value, Channel):
        belongs(value, task.graph, _call(task))
        if not fits(value.type, port.type) or port.type in (FINAL_STATUS, TASK_CONFIG):
            raise _mismatch(task, port, f"{value.title}, which is {a(value.type)},")
        return Argument(value)
    if isinstance(value, (Node, ExitHandler)):
        raise _mismatch(task, port, f'the task "{getattr(value, "name", "")}" itself', fix="Pass its .output or .outputs[…].")
    if port.type.is_artifact:
        fix = "Pass an output of another task; files from outside come in through dsl.importer(...)."
        raise _mismatch(task, port, f"{shown(value)}, a constant {type(value).__name__},", fix=fix)
    if port.type in (FINAL_STATUS, TASK_CONFIG):
        raise _mismatch(task, port, shown(value), fix="Leave it out: Kedge fills it in.")
    if isinstance(value, type) or value is None or type_of(value) is None:
        what = "None" if value is None else f"{shown(value)}, {a(type(value).__name__)},"
        fix = "Pass a value, or annotate it Optional[...] in the component." if value is None else ""
        raise _mismatch(task, port, what, fix=fix)
    if not literal_fits(value, port.type):
        raise _mismatch(task, port, f"{_without(task, value)}, which is {a(type(value).__name__)},")
    marked: List[Channel] = []
    try:
        constant = plain(_marked(task, value, marked), port.type)
    except TypeError as error:
        raise _mismatch(task, port, f"a value that cannot be sent to a step ({error})") from None
    if port.literals and constant not in port.literals:
        allowed = names(port.literals)
        raise _mismatch(task, port, f"{shown(value)}, which is not one of {allowed},", fix=f"Pass one of {allowed}.")
    return Argument(constant, tuple({id(channel): channel for channel in marked}.values()))


def _without(task: PipelineTask, value: Any) -> str:
    return "a text with channels" if isinstance(value, str) and task.graph.marked_in(value) else shown(value)


def _marked(task: PipelineTask, value: Any, found: List[Channel]) -> Any:
    """The constant with markers in place of channels, which are added to `found`."""
    value = unwrapped(value)
    if isinstance(value, Channel):
        belongs(value, task.graph, _call(task))
        value = str(value)
    if isinstance(value, str):
        found += task.graph.marked_in(value)
        return value
    if isinstance(value, dict):
        if any(isinstance(key, str) and "{{channel:" in key for key in value):
            raise TypeError("a key of a dict holds a channel, and keys are fixed before the run")
        return {key: _marked(task, item, found) for key, item in value.items()}
    return [_marked(task, item, found) for item in value] if isinstance(value, (list, tuple)) else value


def _mismatch(task: PipelineTask, port: Port, got: str, *, fix: str = "") -> TypeMismatch:
    return TypeMismatch(
        f'{_call(task)} gets {got} for the argument "{port.name}".',
        why=f'"{port.name}" of {task.component.title} is {a(port.type)}.',
        fix=fix or f'Pass {a(port.type)}, or change the annotation of "{port.name}".',
        where=task.place,
    )


def output_of(value: Any, port: Port, graph: Graph, where: Any) -> Channel:
    """Check what a pipeline returns for one of its outputs.

    Raises:
        TypeMismatch: It is no channel, or of another type.
    """
    what = f'Pipeline "{graph.name}" returns'
    value = unwrapped(value)
    if not isinstance(value, Channel):
        raise TypeMismatch(
            f'{what} {shown(value)} as "{port.name}".', why="What a pipeline returns is known only when it has run.", where=where,
            fix="Return an output of a task: `return task.output`.",
        )  # fmt: skip
    belongs(value, graph, what)
    if isinstance(value, (InputChannel, ItemChannel, FieldChannel)):
        raise TypeMismatch(
            f'{what} {value.title} as "{port.name}".', why="No task makes it.", where=where, fix="Return an output of a task."
        )
    if not fits(value.type, port.type):
        raise TypeMismatch(
            f'{what} {value.title}, {a(value.type)}, as "{port.name}".',
            why=f'"{port.name}" is annotated {port.type}.',
            where=where,
            fix="Change the return annotation of the pipeline, or return another output.",
        )
    return value
