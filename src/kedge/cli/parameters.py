"""``--param name=value``: text from the command line becomes a value of the type that the pipeline declares."""

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from kedge.errors import PipelineError

# Declared type -> what people call it, and the Python types that its JSON may be.
_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "NUMBER_INTEGER": ("an integer", (int,)),
    "NUMBER_DOUBLE": ("a number", (int, float)),
    "BOOLEAN": ("true or false", (bool,)),
    "LIST": ('a JSON list, such as [1, 2] or ["a", "b"]', (list,)),
    "STRUCT": ('a JSON object, such as {"a": 1}', (dict,)),
}


def read_parameters(pipeline: Mapping[str, Any], texts: Iterable[str], known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read ``name=value`` texts by the pipeline's declarations.

    Args:
        pipeline: PipelineSpec IR as plain JSON.
        texts: As they stood on the command line.
        known: Values from before, which stay where no text gives another and the pipeline still has the parameter.

    Returns:
        Value by name, only those given.

    Raises:
        PipelineError: A text has no ``=``, a name is not the pipeline's or is given twice, a value does not fit its type, or one
            that the pipeline needs is missing.
    """
    declared: Mapping[str, Any] = ((pipeline.get("root") or {}).get("inputDefinitions") or {}).get("parameters") or {}
    name = (pipeline.get("pipelineInfo") or {}).get("name", "pipeline")
    values: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals:
            raise PipelineError(f"--param {text}: must be NAME=VALUE, such as --param {text.strip() or 'rate'}=0.1.")
        if key not in declared:
            raise PipelineError(f"--param {key}: pipeline {name!r} has no such parameter. {_suggest(key, declared)}")
        if key in values:
            raise PipelineError(f"--param {key}: given twice. Give it once.")
        values[key] = _value(key, value, declared[key])
    values = {key: value for key, value in (known or {}).items() if key in declared} | values
    missing = [key for key, spec in declared.items() if key not in values and _required(spec)]
    if missing:
        wanted = " ".join(f"--param {key}={_example(declared[key])}" for key in missing)
        has = "has" if len(missing) == 1 else "have"
        raise PipelineError(f"Pipeline {name!r} needs {', '.join(missing)}, which {has} no default. Add {wanted}.")
    return values


def _required(spec: Mapping[str, Any]) -> bool:
    return "defaultValue" not in spec and not spec.get("isOptional")


def _value(key: str, text: str, spec: Mapping[str, Any]) -> Any:
    declared = str(spec.get("parameterType", "STRING"))
    if declared not in _TYPES:
        value: Any = text
    else:
        what, types = _TYPES[declared]
        try:
            value = json.loads(text.lower() if declared == "BOOLEAN" else text, parse_constant=_refuse)
        except ValueError:
            raise PipelineError(f"--param {key}: must be {what}, got {text!r}.") from None
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise PipelineError(f"--param {key}: must be {what}, got {text!r}.")
    literals = spec.get("literals") or []
    if literals and value not in literals:
        allowed = ", ".join(json.dumps(literal) if declared in _TYPES else str(literal) for literal in literals)
        raise PipelineError(f"--param {key}: must be one of {allowed}; got {text!r}.")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")  # which Python reads all the same


def _suggest(key: str, declared: Mapping[str, Any]) -> str:
    if not declared:
        return "It has none."
    near = difflib.get_close_matches(key, declared, n=1)
    return f"Did you mean {near[0]}?" if near else f"It has: {', '.join(declared)}."


def _example(spec: Mapping[str, Any]) -> str:
    return {"NUMBER_INTEGER": "1", "NUMBER_DOUBLE": "0.5", "BOOLEAN": "true", "LIST": "'[]'", "STRUCT": "'{}'"}.get(
        str(spec.get("parameterType", "")), "TEXT"
    )
