"""Which parts of a task's configuration its component is told, to hand them on to a workload that it starts.

A component that names fields in ``task_config_passthroughs`` gets them in its `TaskConfig` parameter. They are then not applied
to the step's own Pod, unless `TaskConfigPassthrough.apply_to_task` says so; and the task may not set what is not named, for the
component could not hand it on.
"""

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Tuple, Union

from .errors import DslError, TypeMismatch, names
from .values import shown

if TYPE_CHECKING:
    from .tasks import PipelineTask


class TaskConfigField(IntEnum):
    """A part of a task's configuration; the numbers are the IR's."""

    RESOURCES = 1
    ENV = 2
    KUBERNETES_AFFINITY = 3
    KUBERNETES_TOLERATIONS = 4
    KUBERNETES_NODE_SELECTOR = 5
    KUBERNETES_VOLUMES = 6


class TaskConfigPassthrough(NamedTuple):
    """A part of a task's configuration that its component is told.

    Attributes:
        field: Which.
        apply_to_task: Whether the step's own Pod gets it too.

    Examples:
        >>> TaskConfigPassthrough(TaskConfigField.ENV, apply_to_task=True).apply_to_task
        True
    """

    field: TaskConfigField
    apply_to_task: bool = False


# Options of kfp.kubernetes, by the field that they belong to.
_OPTIONS: Dict[TaskConfigField, Tuple[str, ...]] = {
    TaskConfigField.KUBERNETES_AFFINITY: ("nodeAffinity", "podAffinity"),
    TaskConfigField.KUBERNETES_TOLERATIONS: ("tolerations",),
    TaskConfigField.KUBERNETES_NODE_SELECTOR: ("nodeSelector",),
    TaskConfigField.KUBERNETES_VOLUMES: (
        "pvcMount", "secretAsVolume", "configMapAsVolume", "emptyDirMounts", "genericEphemeralVolume"
    ),
}  # fmt: skip


def passthroughs(
    given: Optional[List[Union[TaskConfigPassthrough, TaskConfigField]]],
) -> Tuple[TaskConfigPassthrough, ...]:
    """What a component asks for, each with whether the step gets it too.

    Raises:
        TypeMismatch: Something else was given.
    """
    made: List[TaskConfigPassthrough] = []
    for one in given or ():
        found: Any = TaskConfigPassthrough(one) if isinstance(one, TaskConfigField) else one
        if not isinstance(found, TaskConfigPassthrough):
            raise TypeMismatch(
                f"task_config_passthroughs got {shown(one)}.", why="It lists parts of a task's configuration.",
                fix="Use dsl.TaskConfigField.RESOURCES or dsl.TaskConfigPassthrough(field=…, apply_to_task=True).",
            )  # fmt: skip
        made.append(TaskConfigPassthrough(TaskConfigField(found.field), bool(found.apply_to_task)))
    return tuple(made)


def declared(wanted: Tuple[TaskConfigPassthrough, ...]) -> List[Dict[str, Any]]:
    """As the IR has it."""
    return [{"field": one.field.name, **({"applyToTask": True} if one.apply_to_task else {})} for one in wanted]


def check_settings(task: "PipelineTask", wanted: Tuple[TaskConfigPassthrough, ...]) -> None:
    """Refuse a task that sets what its component, which hands its configuration on, does not ask for.

    Raises:
        DslError: Names the field.
    """
    if not wanted:
        return
    options = task.platform_config.get("kubernetes") or {}
    used = [field for field, keys in _OPTIONS.items() if any(options.get(key) for key in keys)]
    if task.resources or task.accelerator:
        used.append(TaskConfigField.RESOURCES)
    if task.env:
        used.append(TaskConfigField.ENV)
    known = {one.field for one in wanted}
    for field in used:
        if field not in known:
            raise DslError(
                f'Task "{task.name}" sets {field.name}, which its component does not hand on.', where=task.place,
                why=f"Its task_config_passthroughs are {names(one.field.name for one in wanted)}.",
                fix=f"Add dsl.TaskConfigField.{field.name} to them, or remove the setting.",
            )  # fmt: skip
