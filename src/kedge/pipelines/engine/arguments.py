"""Arguments of a run: whether they fit the pipeline's inputs."""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from kedge.errors import Cause, PipelineError
from kedge.pipelines.engine import values
from kedge.pipelines.spec import InputParameter, Pipeline


class _MissingError(values.MismatchError):
    """There is no value."""


def check_parameters(pipeline: Pipeline, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Check a run's arguments against the pipeline's inputs and fill in the defaults.

    Returns:
        A value for every input; ``None`` for optional ones that have no default.

    Raises:
        PipelineError: An argument is unknown, missing, or of the wrong type; one line and one cause for each.
    """
    declared = pipeline.root.input_definitions.parameters
    known = ", ".join(declared) or "none"
    found = [
        (
            Cause(f"parameters.{name}", f"there is no such parameter (there is {known})", "FieldValueNotSupported"),
            f"there is no parameter {name!r} (there is {known}). Remove it, or correct its name",
        )
        for name in parameters
        if name not in declared
    ]
    resolved: dict[str, Any] = {}
    for name, definition in declared.items():
        try:
            resolved[name] = _argument(name, definition, parameters)
        except values.MismatchError as error:
            hint = f", such as --param {name}=…" if isinstance(error, _MissingError) else ""
            found.append((Cause(f"parameters.{name}", str(error).lstrip(": ")), f"the parameter {name!r}{error}{hint}"))
    for name, artifact in pipeline.root.input_definitions.artifacts.items():
        if not artifact.is_optional:
            said = "cannot be given to a run. Import it in the pipeline"
            found.append((Cause(f"artifacts.{name}", said), f"the input artifact {name!r} {said}"))
    if found:
        refused = PipelineError("\n".join(f"{pipeline.name}: {problem}." for _, problem in found))
        refused.causes = tuple(cause for cause, _ in found)
        raise refused
    return resolved


def _argument(name: str, definition: InputParameter, parameters: Mapping[str, Any]) -> Any:
    value = parameters.get(name)
    if value is None and definition.default_value is not UNSET:
        value = definition.default_value
    if value is None:
        if definition.may_be_absent:
            return None
        said = "is null" if name in parameters else "is missing"
        raise _MissingError(f" {said}. Give it a value")
    if not values.is_shallow(value):
        raise values.MismatchError(f": nested more than {values.MAX_DEPTH} levels deep")
    try:
        # Text that spells a number is one: ``kfp recurring-run create … n=7`` sends every argument as text.
        return values.conform_input(value, definition)
    except values.MismatchError as error:
        raise values.MismatchError(f": {error}") from error
