"""Arguments of a run: whether they fit the pipeline's inputs."""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from kedge.errors import PipelineError
from kedge.pipelines.engine import values
from kedge.pipelines.spec import InputParameter, Pipeline


def check_parameters(pipeline: Pipeline, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Check a run's arguments against the pipeline's inputs and fill in the defaults.

    Returns:
        A value for every input; ``None`` for optional ones that have no default.

    Raises:
        PipelineError: An argument is unknown, missing, or of the wrong type; one line for each.
    """
    declared = pipeline.root.input_definitions.parameters
    known = ", ".join(declared) or "none"
    found = [
        f"{pipeline.name}: there is no parameter {name!r} (there is {known}). Remove it, or correct its name"
        for name in parameters
        if name not in declared
    ]
    resolved: dict[str, Any] = {}
    for name, definition in declared.items():
        try:
            resolved[name] = _argument(name, definition, parameters)
        except values.MismatchError as error:
            found.append(f"{pipeline.name}: the parameter {name!r}{error}")
    for name, artifact in pipeline.root.input_definitions.artifacts.items():
        if not artifact.is_optional:
            found.append(f"{pipeline.name}: the input artifact {name!r} cannot be given to a run. Import it in the pipeline")
    if found:
        raise PipelineError("\n".join(f"{problem}." for problem in found))
    return resolved


def _argument(name: str, definition: InputParameter, parameters: Mapping[str, Any]) -> Any:
    value = parameters.get(name)
    if value is None and definition.default_value is not UNSET:
        value = definition.default_value
    if value is None:
        if definition.may_be_absent:
            return None
        said = "is null" if name in parameters else "is missing"
        raise values.MismatchError(f" {said}. Give it a value, such as --param {name}=…")
    if not values.is_shallow(value):
        raise values.MismatchError(f": nested more than {values.MAX_DEPTH} levels deep")
    try:
        # Text that spells a number is one: ``kfp recurring-run create … n=7`` sends every argument as text.
        return values.conform_input(value, definition)
    except values.MismatchError as error:
        raise values.MismatchError(f": {error}") from error
