"""Text that stands for a value which only the running step has.

The constants may be given to a task as (part of) an argument. `ConcatPlaceholder` and `IfPresentPlaceholder` build
command lines of container components.
"""

import json
from typing import Any, Dict, List, Optional, Union

PIPELINE_JOB_NAME_PLACEHOLDER = "{{$.pipeline_job_name}}"
PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER = "{{$.pipeline_job_resource_name}}"
PIPELINE_JOB_ID_PLACEHOLDER = "{{$.pipeline_job_uuid}}"
PIPELINE_TASK_NAME_PLACEHOLDER = "{{$.pipeline_task_name}}"
PIPELINE_TASK_ID_PLACEHOLDER = "{{$.pipeline_task_uuid}}"
PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER = "{{$.outputs.output_file}}"
PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER = "{{$}}"
PIPELINE_ROOT_PLACEHOLDER = "{{$.pipeline_root}}"
PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER = "{{$.pipeline_job_create_time_utc}}"
PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER = "{{$.pipeline_job_schedule_time_utc}}"
WORKSPACE_PATH_PLACEHOLDER = "{{$.workspace_path}}"

# None is what a type checker sees in an optional input; at runtime that is a placeholder too.
CommandLineElement = Union[str, int, float, bool, "Placeholder", None]


class Placeholder:
    """A part of a command line that is filled in when the step starts; ``str()`` is its form in the IR."""

    def structure(self) -> Any:
        """What goes into the JSON of an enclosing placeholder."""
        return str(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Placeholder) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class Reference(Placeholder):
    """``{{$.…}}``: one value of the executor's input.

    Args:
        expression: Such as ``inputs.parameters['n']``.
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression

    def __str__(self) -> str:
        return "{{$." + self.expression + "}}"

    __repr__ = __str__


class ArtifactReference(Reference):
    """An artifact of a container component: ``.path``, ``.uri`` and ``.metadata["key"]`` are placeholders.

    Args:
        side: ``inputs`` or ``outputs``.
        name: The artifact's.
    """

    def __init__(self, side: str, name: str) -> None:
        super().__init__(f"{side}.artifacts['{name}']")
        self.path = Reference(self.expression + ".path")
        self.uri = Reference(self.expression + ".uri")
        self.name = Reference(self.expression + ".name")
        self.metadata = _Metadata(self.expression + ".metadata")


class _Metadata(Reference):
    def __getitem__(self, key: str) -> Reference:
        return Reference(f"{self.expression}['{key}']")


class ConcatPlaceholder(Placeholder):
    r"""Parts that are joined to one argument when the step starts.

    Args:
        items: Texts and other placeholders.

    Examples:
        >>> str(ConcatPlaceholder(["--out=", Reference("outputs.artifacts['m'].path")]))
        '{"Concat": ["--out=", "{{$.outputs.artifacts[\'m\'].path}}"]}'
    """

    def __init__(self, items: List[CommandLineElement]) -> None:
        self.items = list(items)

    def structure(self) -> Dict[str, Any]:
        """The placeholder's own JSON."""
        return {"Concat": [element(item) for item in self.items]}

    def __str__(self) -> str:
        return json.dumps(self.structure())


class IfPresentPlaceholder(Placeholder):
    """Arguments that are there only when an optional input was given.

    Args:
        input_name: The input.
        then: What to put if it was given: one element or a list.
        else_: What to put if not; nothing by default.

    Examples:
        >>> from kedge import dsl
        >>> @dsl.container_component
        ... def greet(name: str = None):
        ...     whom = dsl.IfPresentPlaceholder("name", then=[name], else_=["you"])
        ...     return dsl.ContainerSpec("busybox", ["echo"], ["hello", whom])
        >>> greet.name
        'greet'
    """

    def __init__(
        self,
        input_name: str,
        then: Union[CommandLineElement, List[CommandLineElement]],
        else_: Optional[Union[CommandLineElement, List[CommandLineElement]]] = None,
    ) -> None:
        self.input_name = input_name
        self.then = then
        self.else_ = else_

    def structure(self) -> Dict[str, Any]:
        """The placeholder's own JSON."""
        inner: Dict[str, Any] = {"InputName": self.input_name, "Then": _elements(self.then)}
        if self.else_:
            inner["Else"] = _elements(self.else_)
        return {"IfPresent": inner}

    def __str__(self) -> str:
        return json.dumps(self.structure())


def _elements(value: Any) -> Any:
    return [element(item) for item in value] if isinstance(value, list) else element(value)


def element(value: Any) -> Any:
    """One element of a command line, in the form that goes into an enclosing placeholder's JSON."""
    if isinstance(value, Placeholder):
        return value.structure()
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
