"""What ``kfp.dsl`` has for steps and Kedge's own language has not."""

from typing import Any, Dict, List, Optional

from kedge.dsl.annotations import Marked

EMBEDDED = "EmbeddedInput"

PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER = "{{$.outputs.output_file}}"
PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER = "{{$}}"
WORKSPACE_PATH_PLACEHOLDER = "{{$.workspace_path}}"


class EmbeddedInput:
    """``EmbeddedInput[Dataset]``: the files that travelled in the step's source (``embedded_artifact_path``)."""

    def __class_getitem__(cls, item: Any) -> Marked:
        return Marked(EMBEDDED, item)


class TaskConfig:
    """What the task was configured with, for steps that pass it on; each field as Kubernetes writes it, or None."""

    affinity: Optional[Dict[str, Any]] = None
    tolerations: Optional[List[Dict[str, Any]]] = None
    node_selector: Optional[Dict[str, str]] = None
    env: Optional[List[Dict[str, Any]]] = None
    volumes: Optional[List[Dict[str, Any]]] = None
    volume_mounts: Optional[List[Dict[str, Any]]] = None
    resources: Optional[Dict[str, Any]] = None

    def __init__(self, **fields: Any) -> None:
        for name in TaskConfig.__annotations__:
            setattr(self, name, fields.pop(name, None))
        if fields:
            raise TypeError(f"TaskConfig has no field {next(iter(fields))!r}. It has {', '.join(TaskConfig.__annotations__)}.")

    def __repr__(self) -> str:
        return f"TaskConfig({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskConfig) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # its fields can change


def task_config(value: Any) -> TaskConfig:
    """The object of a ``TaskConfig`` parameter, from its JSON; an empty one when nobody configured anything."""
    given = value or {}
    named = {"node_selector": given.get("nodeSelector"), "volume_mounts": given.get("volumeMounts")}
    return TaskConfig(**named, **{name: given.get(name) for name in ("affinity", "tolerations", "env", "volumes", "resources")})


def run_notebook(**_: Any) -> None:
    """Run the notebook of a notebook component; the source of such a step brings its own under this name."""
    raise RuntimeError(
        "dsl.run_notebook() was called, but this step has no notebook. Declare it with @dsl.notebook_component(notebook_path=…)."
    )
