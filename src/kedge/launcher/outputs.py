"""From what a function returned and wrote to the outputs that are committed."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping

from kedge.dsl.artifacts import Artifact

from . import files
from .arguments import Binding
from .errors import StepError
from .shapes import return_fields, shape
from .step import Step
from .values import check_json, from_text, result


def collect(step: Step, binding: Binding, returned: Any) -> Dict[str, Any]:
    """Gather every declared output.

    Returns:
        ``{"parameters": {name: value}, "artifacts": {name: [stored artifact]}}``, as ``commit`` takes it.

    Raises:
        StepError: One is missing or of the wrong type; names it, and says what was expected.
    """
    declared = step.executor_input.get("outputs") or {}
    parameters: Dict[str, Any] = {}
    artifacts: Dict[str, List[Any]] = dict(binding.artifacts)
    for name, value, annotation in _returned(declared, binding, returned):
        if name in (declared.get("artifacts") or {}):
            artifacts[name] = binding.artifacts[name] = _returned_artifacts(name, value, artifacts.get(name) or [])
        else:
            parameters[name] = result(name, value, annotation)
    for name, path in binding.paths.items():
        parameters[name] = _written(name, path, binding)
    written = files.read_json(declared["outputFile"]) if declared.get("outputFile") else None
    stored = {name: [store(step, name, index, one) for index, one in enumerate(made)] for name, made in artifacts.items()}
    merge(written, parameters, stored)
    missing = [name for name in (declared.get("parameters") or {}) if name not in parameters]
    if missing:
        raise StepError(
            f"output {missing[0]!r}: the function returned nothing for it. Add it to what the function returns.", "OutputMissing"
        )
    return {"parameters": parameters, "artifacts": stored}


def merge(written: Any, parameters: Dict[str, Any], stored: Dict[str, List[Dict[str, Any]]]) -> None:
    """Let the ExecutorOutput file, if the step wrote one, win over everything else."""
    if not isinstance(written, dict):
        return
    for name, value in (written.get("parameterValues") or {}).items():
        parameters[name] = check_json(name, value)
    for name, listed in (written.get("artifacts") or {}).items():
        known = stored.setdefault(name, [])
        for index, value in enumerate(listed.get("artifacts") or []):
            if index == len(known):
                known.append(
                    {
                        "name": value.get("name") or name,
                        "uri": "",
                        "type": "system.Artifact",
                        "metadata": {},
                        "digest": "",
                        "size": None,
                    }
                )
            entry = known[index]
            entry["metadata"] = {**entry["metadata"], **(value.get("metadata") or {})}
            if value.get("uri") and value["uri"] != entry["uri"]:
                entry.update(uri=value["uri"], digest="", size=None)
            if value.get("type", {}).get("schemaTitle"):
                entry["type"] = value["type"]["schemaTitle"]


def executor_output(collected: Mapping[str, Any]) -> Dict[str, Any]:
    """The same outputs as Kubeflow's ExecutorOutput."""
    artifacts = {
        name: {"artifacts": [{"name": one["name"], "uri": one["uri"], "metadata": one["metadata"]} for one in listed]}
        for name, listed in collected["artifacts"].items()
    }
    return {"parameterValues": collected["parameters"], "artifacts": artifacts}


def _returned(declared: Mapping[str, Any], binding: Binding, returned: Any) -> List[Any]:
    """``(name, value, annotation)`` of each output that is returned."""
    fields = return_fields(binding.returned)
    if fields:
        return _fields(fields, binding.returned, returned)
    named = [name for kind in ("parameters", "artifacts") for name in declared.get(kind) or {} if name not in binding.shapes]
    if not named:
        return []
    if len(named) > 1:
        raise StepError(
            f"this step declares the outputs {', '.join(map(repr, named))}, but its function is annotated with no NamedTuple of "
            "them. Compile the pipeline again.",
            "OutputInvalid",
        )
    return [(named[0], returned, binding.returned)]


def _fields(fields: List[str], annotation: Any, returned: Any) -> List[Any]:
    types = getattr(annotation, "__annotations__", {})
    if isinstance(returned, dict):
        values = [returned.get(field) for field in fields]
    elif isinstance(returned, (tuple, list)):
        if len(returned) != len(fields):
            raise StepError(
                f"the function returned {len(returned)} values, but it is declared to return {len(fields)}: {', '.join(fields)}.",
                "OutputInvalid",
            )
        values = list(returned)
    else:
        raise StepError(
            f"the function returned a {type(returned).__name__}, but it is declared to return a NamedTuple of {', '.join(fields)}"
            ". Return one of those, or a tuple in that order.",
            "OutputInvalid",
        )
    return [(field, value, types.get(field)) for field, value in zip(fields, values)]


def _returned_artifacts(name: str, value: Any, placed: List[Any]) -> List[Any]:
    made = list(value) if isinstance(value, (list, tuple)) else [value]
    if value is None or not all(map(_is_artifact, made)):
        if value is not None:
            _write_text(name, value, placed)
        return placed
    for one in made:
        if not one.uri and placed:
            one.uri = placed[0].uri
    return made


def _is_artifact(value: Any) -> bool:
    return isinstance(value, Artifact) or (hasattr(value, "uri") and hasattr(value, "metadata"))


def _write_text(name: str, value: Any, placed: List[Any]) -> None:
    """What a function returns for an artifact and is none becomes the artifact's content, as text."""
    if len(placed) != 1:
        raise StepError(
            f"output {name!r}: the function returned a {type(value).__name__}, but it is declared as a list of artifacts. "
            "Return a list of artifacts.",
            "OutputInvalid",
        )
    with open(placed[0].path, "w", encoding="utf-8") as file:
        file.write(str(value))


def _written(name: str, path: str, binding: Binding) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        raise StepError(
            f"output {name!r}: the function wrote no file at {path}. Write the value there before the function ends.",
            "OutputMissing",
        ) from None
    except (IsADirectoryError, UnicodeDecodeError) as error:
        raise StepError(
            f"output {name!r}: what lies at {path} is not a text file: {error}. Write the value as text.", "OutputInvalid"
        ) from error
    return from_text(name, text, binding.shapes[name].type if name in binding.shapes else shape(None).type)


def store(step: Step, name: str, index: int, one: Any) -> Dict[str, Any]:
    """Bring one artifact to where it belongs, and describe it."""
    grants = step.output_grants(name)
    grant = grants[index] if index < len(grants) else {}
    if grant.get("url") and one.uri != grant["uri"] and one.uri.startswith(grant["uri"].rpartition("/")[0] + "/"):
        grant = {"uri": one.uri, "url": ""}  # an address that `get_uri` made, beside the one that was granted
    custom = getattr(one, "custom_path", "")
    path = one.path
    described = None
    if grant.get("uri", one.uri) == one.uri and os.path.exists(path):
        if "url" in grant:
            from . import transfers  # most stores are folders

            described = transfers.upload(path, one.uri, grant, name)
        elif custom and grant.get("path"):
            files.copy(custom, grant["path"])
            path = grant["path"]
    digest, size = described or files.describe(path, name)
    title = getattr(type(one), "schema_title", "") or "system.Artifact"
    metadata = check_json(f"{name}.metadata", dict(one.metadata))
    return {"name": one.name or name, "uri": one.uri, "type": title, "metadata": metadata, "digest": digest, "size": size}
