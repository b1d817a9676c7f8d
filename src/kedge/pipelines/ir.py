"""Reading a pipeline: from plain dicts to a `Pipeline` in which every reference leads somewhere.

Rules: a field that PipelineSpec 2.1.0 does not have is an error (a misspelt option would otherwise do nothing, in silence), and
so is one that no Kubeflow backend carries out; each error names the field by its path and says what to do. Up to five are given.
"""

import itertools
import re
from typing import Any

import msgspec

from kedge.errors import PipelineError
from kedge.pipelines import checks, kfp_groups, kfp_wires, platform_checks, platform_spec
from kedge.pipelines.documents import Document
from kedge.pipelines.engine.arguments import check_parameters
from kedge.pipelines.spec import Component, Executor, Pipeline, PipelineSpec, TaskSpec

__all__ = ["Component", "Executor", "Pipeline", "PipelineSpec", "TaskSpec", "check_parameters", "read"]

_REPORTED = 5
# Fields that hold values of the user's.
_CONSTANTS = frozenset({"constant", "defaultValue", "literals", "metadata"})


def read(document: Document, source: str = "the pipeline") -> Pipeline:
    """Decode and check a pipeline.

    Args:
        document: What `documents.read` gave.
        source: What to call the pipeline's origin in errors.

    Raises:
        PipelineError: It is not valid; one line for each problem.
    """
    given = document.pipeline
    by_kfp = str(given.get("sdkVersion", "")).startswith("kfp")
    if by_kfp:
        given = _whole_numbers(given)
    try:
        spec = msgspec.convert(given, PipelineSpec)
        kubernetes = platform_spec.modern(_whole_numbers(document.platforms.get("kubernetes") or {}))
        if by_kfp and _mended(given, kubernetes):
            spec = msgspec.convert(given, PipelineSpec)
    except msgspec.ValidationError as error:
        raise PipelineError(f"{source}: {_located(given, str(error))}") from error
    found = list(itertools.islice(checks.problems(spec), _REPORTED))
    options: dict[str, platform_spec.ExecutorOptions] = {}
    workspace: platform_spec.Workspace | None = None
    if not found and kubernetes:
        try:
            options, workspace = platform_spec.read(kubernetes), platform_spec.workspace(kubernetes)
        except PipelineError as error:
            raise PipelineError(f"{source}: {error}") from error
        found = list(itertools.islice(platform_checks.problems(spec, options), _REPORTED))
    if not found and workspace is None:
        found = list(itertools.islice(platform_checks.workspace_problems(spec), _REPORTED))
    if found:
        raise PipelineError("\n".join(f"{source}: {problem}." for problem in found))
    try:
        ttls = platform_spec.cache_ttls(document.platforms.get("kedge"))
        lifetime = platform_spec.lifetime(kubernetes or {})
    except PipelineError as error:
        raise PipelineError(f"{source}: {error}") from error
    return Pipeline(spec, document.platforms, options, workspace, ttls, lifetime)


def _mended(pipeline: dict[str, Any], kubernetes: dict[str, Any] | None) -> bool:
    """Put right what kfp's compiler got wrong; whether there was anything."""
    return (
        kfp_groups.separate(pipeline)
        | kfp_wires.mend(pipeline)
        | kfp_wires.mend_options(pipeline, platform_spec.executors_of(kubernetes))
    )


def _whole_numbers(value: Any, *, inside: bool = False) -> Any:
    """Undo what kfp's compiler does to integers: all its numbers are doubles, it writes the list ``[1, 2]`` as ``[1.0, 2.0]``.

    Kubeflow's backend gives steps ``[1, 2]`` in both cases, so a whole double is taken for an integer. An input that is declared
    a double gets its double back where the value is fitted to the declaration. A field that is null is one that is not there.
    """
    if isinstance(value, dict):
        return {
            key: _whole_numbers(inner, inside=inside or key in _CONSTANTS)
            for key, inner in value.items()
            if inner is not None or inside or key in _CONSTANTS
        }
    if isinstance(value, list):
        return [_whole_numbers(inner, inside=inside) for inner in value]
    if inside and isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    return value


def _located(pipeline: dict[str, Any], message: str) -> str:
    """Rewrite msgspec's message: the path first, dots for keys, and the key's name where msgspec only says that there was one."""
    problem, _, place = message.partition(" - at ")
    if place.startswith("`key` in "):
        problem += " as a name"
    path = _path(pipeline, place.partition("$")[2].strip(".`"), message)
    problem = re.sub(r"^Object contains unknown field `(.*)`$", r"there is no field \1 in PipelineSpec 2.1.0", problem)
    problem = re.sub(r"^Object missing required field `(.*)`$", r"the field \1 is missing", problem)
    problem = problem[0].lower() + problem[1:]
    where = f"{path}: " if path else ""
    return f"{where}{problem}. Correct the field, or compile the pipeline again."


def _path(pipeline: dict[str, Any], template: str, message: str) -> str:
    """Find which keys the ``[...]`` of msgspec's path stand for: those alone with which the same error still comes."""
    done: list[str] = []
    for part in re.findall(r"\[\.\.\.\]|\[\d+\]|[^.\[\]]+", template):
        if part != "[...]":
            done.append(part)
            continue
        candidates = pipeline
        for outer in done:
            candidates = candidates[outer]
        alone = ((key, _with(pipeline, done, {key: value})) for key, value in candidates.items())
        key, pipeline = next((key, rest) for key, rest in alone if _fails_alike(rest, message))
        done.append(str(key))
    return ".".join(done).replace(".[", "[")


def _with(value: Any, path: list[str], replacement: Any) -> Any:
    """A copy of the value in which the part at the path is replaced and everything beside it is kept."""
    if not path:
        return replacement
    return {k: _with(v, path[1:], replacement) if k == path[0] else v for k, v in value.items()}


def _fails_alike(pipeline: Any, message: str) -> bool:
    try:
        msgspec.convert(pipeline, PipelineSpec)
    except msgspec.ValidationError as error:
        return str(error) == message
    return False
