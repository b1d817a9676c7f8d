"""How options are kept until the pipeline is compiled: in the IR's terms, with channels where a value comes from."""

from typing import Any, Callable, Dict, Tuple, TypeVar, Union

from kedge.dsl.channels import Channel, unwrapped
from kedge.dsl.errors import DslError, TypeMismatch
from kedge.dsl.graph import belongs
from kedge.dsl.tasks import PipelineTask
from kedge.dsl.values import a, shown

# What a function is given it returns: a pipeline's types stay what they were.
Task = TypeVar("Task", bound=PipelineTask)
Text = Union[str, Channel]
TEXTS = ("STRING", "")


def of_task(task: PipelineTask) -> Dict[str, Any]:
    """The task's options.

    Raises:
        DslError: It is no task, or has no container.
    """
    if not _is_task(task):
        raise TypeMismatch(
            f"kedge.dsl.kubernetes is given {shown(task)} as a task.", fix="Pass what calling a component returned."
        )
    task.check_container()
    return task.platform_config.setdefault("kubernetes", {})


def _is_task(value: object) -> bool:
    return isinstance(value, PipelineTask)


def add(task: Task, field: str, option: Dict[str, Any]) -> Task:
    """Add one more option of a field that is a list."""
    of_task(task).setdefault(field, []).append(option)
    return task


def stated(option: Dict[str, Any]) -> Dict[str, Any]:
    """Without what was left out, or is empty, as protobuf's JSON leaves it out."""
    return {key: value for key, value in option.items() if value not in (None, "")}


def named(task: PipelineTask, field: str, name: Any) -> Dict[str, Any]:
    """The name of an object, in the newer and, where that can say it, the older spelling."""
    made = {f"{field}Parameter": source_of(task, field, name, TEXTS)}
    return {field: name, **made} if isinstance(name, str) and not task.graph.marked_in(name) else made


def source_of(task: PipelineTask, field: str, value: Any, types: Tuple[str, ...]) -> Any:
    """Where the value of an option comes from: a channel, which the compiler replaces, or a constant."""
    of_task(task)
    value = unwrapped(value)
    if isinstance(value, Channel):
        belongs(value, task.graph, f'Task "{task.name}"')
        if value.type.is_artifact or value.type.name not in types:
            wanted = " or ".join(_KINDS[name] for name in types if name)
            raise TypeMismatch(
                f'Task "{task.name}" gets {value.title}, which is {a(value.type)}, for {field}.', fix=f"Pass {wanted}."
            )
        task.referred.append(value)
        return value
    fits: Callable[[Any], bool] = {"STRING": _is_name, "STRUCT": _is_dict}[types[0]]
    if not fits(value):
        raise error(task, f"is given {shown(value)} for {field}", f"Pass {_KINDS[types[0]]}, or a parameter that holds one.")
    return {"runtimeValue": {"constant": task.marked(value) if isinstance(value, str) else dict(value)}}


_KINDS = {"STRING": "a text", "STRUCT": "a dict", "LIST": "a list"}


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def error(task: PipelineTask, says: str, fix: str) -> DslError:
    """What is wrong with what a task is given."""
    return DslError(f'Task "{task.name}" {says}.', fix=fix)
