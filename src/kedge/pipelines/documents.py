"""Pipeline files: YAML and JSON text to plain dicts and back.

A file holds one pipeline (PipelineSpec 2.1.0) and perhaps its platform options. Four shapes are read; tools write all of them:

- YAML of one document (the pipeline) or two (then the options, ``platforms: …``);
- JSON of the pipeline;
- ``{"pipeline_spec": …, "platform_spec": …}``, as ``kfp.Client`` sends it;
- the Kubernetes manifest of a ``PipelineVersion``.

What the dicts mean is `kedge.pipelines.ir`'s business; here only whether they are a pipeline at all.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import yaml

from kedge.dsl.values import json_value
from kedge.errors import PipelineError
from kedge.kube.yaml import Dumper, Loader, depth
from kedge.pipelines import garbage, repeated
from kedge.pipelines.engine.values import MAX_DEPTH, is_shallow

SCHEMA_VERSION = "2.1.0"

# Aliases let a small file stand for a huge tree; no pipeline of a compiler comes near this many values.
_MAX_VALUES = 5_000_000
_HEADER = "# PIPELINE DEFINITION\n"
_BEGIN = re.compile("^(?:components|deploymentSpec):$", re.MULTILINE)
_WRAPPERS = {"pipeline_spec": "platform_spec", "pipelineSpec": "platformSpec"}


@dataclass(frozen=True, slots=True)
class Document:
    """One pipeline file.

    Attributes:
        pipeline: The PipelineSpec, in its JSON form (camelCase).
        platforms: Options by platform name (``kubernetes``, ``kedge``); empty if the file has none.
    """

    pipeline: dict[str, Any]
    platforms: dict[str, Any] = field(default_factory=dict[str, Any])

    def json(self) -> dict[str, Any]:
        """As one value, as the REST API takes it."""
        if not self.platforms:
            return self.pipeline
        return {"pipeline_spec": self.pipeline, "platform_spec": {"platforms": self.platforms}}


def arguments(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The arguments of a run as they are sent.

    Args:
        given: Value by name.

    Raises:
        PipelineError: JSON cannot say one of them.

    Examples:
        >>> arguments({"r": (0.1, float("nan"))})
        Traceback (most recent call last):
        kedge.errors.PipelineError: Argument 'r': nan at [1] is no JSON number. Give text, finite numbers, lists or dicts.
    """
    known: dict[str, Any] = {}
    for name, value in (given or {}).items():
        try:
            known[name] = json_value(value)
        except TypeError as error:
            fix = "Give text, finite numbers, lists or dicts."
            raise PipelineError(f"Argument {name!r}: {error}. {fix}") from error
    return known


class _Dumper(Dumper):
    """Writes every value in full (no anchors) and source code as blocks that people can read."""

    def ignore_aliases(self, data: Any) -> bool:
        """Repeat shared values; a pipeline file is easier to read, and to diff, without anchors."""
        del data
        return True


def _text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def read(text: str | bytes, source: str = "the pipeline file") -> Document:
    """Read a pipeline file.

    Args:
        text: YAML or JSON; bytes are UTF-8.
        source: What to call the file in errors.

    Raises:
        PipelineError: It is neither, or not a pipeline, or a pipeline of another schema version.

    Examples:
        >>> read('{"pipelineInfo": {"name": "p"}, "root": {}, "schemaVersion": "2.1.0"}').pipeline["pipelineInfo"]
        {'name': 'p'}
    """
    text = _decoded(text, source)
    if text.lstrip()[:1] == "{":
        try:
            value, twice = msgspec.json.decode(text), repeated.key(text)
        except (msgspec.DecodeError, RecursionError):
            pass  # YAML's flow mappings begin like JSON
        else:
            if twice is not None:
                raise PipelineError(f"{source}: not a pipeline: the key {twice!r} stands twice in one object. Keep one of them.")
            return document(value, source)
    return _from_values([value for value in _load(_without_header(text), source) if value is not None], source)


def document(value: Any, source: str = "the pipeline") -> Document:
    """Make a document of an already decoded value: a pipeline, or a wrapper around a pipeline and its options.

    Raises:
        PipelineError: As `read`.
    """
    if not is_shallow(value):
        raise PipelineError(f"{source}: not a pipeline: it is nested more than {MAX_DEPTH} levels deep.")
    return _from_values([value], source)


def write(pipeline: Document) -> str:
    """Write the document as YAML that `read` and ``kfp`` read back."""
    values = [pipeline.pipeline]
    if pipeline.platforms:
        values.append({"platforms": pipeline.platforms})
    with garbage.paused():
        return yaml.dump_all(values, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=2**31 - 1)


def _decoded(text: str | bytes, source: str) -> str:
    try:
        if isinstance(text, str):
            text.encode()  # no half of a surrogate pair, which no file can hold
            return text
        return text.decode("utf-8-sig")
    except UnicodeError as error:
        where = f"byte {error.start}" if isinstance(error, UnicodeDecodeError) else "a character in it"
        raise PipelineError(
            f"{source}: not a pipeline: {where} is not UTF-8 text. Give the YAML or JSON file that the compiler wrote."
        ) from error


def _without_header(text: str) -> str:
    """Make all that kfp says at the beginning a comment: of a default with several lines it comments only the first."""
    begin = _BEGIN.search(text) if text.startswith(_HEADER) else None
    return text if begin is None else "#\n" * text.count("\n", 0, begin.start()) + text[begin.start() :]


def _load(text: str, source: str) -> list[Any]:
    try:
        if depth(text, MAX_DEPTH) > MAX_DEPTH:
            raise PipelineError(f"{source}: not a pipeline: it is nested more than {MAX_DEPTH} levels deep.")
        values = list(yaml.load_all(text, Loader=Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = error.problem or error.context or "it cannot be read"
        raise PipelineError(f"{source}{where}: not YAML: {problem}. Fix that line, or compile the pipeline again.") from error
    except yaml.YAMLError as error:
        detail = str(error).splitlines()[0]
        raise PipelineError(f"{source}: not YAML: {detail}. Give the file that the compiler wrote.") from error
    except (RecursionError, ValueError, TypeError, LookupError) as error:
        # PyYAML lets these out for nesting without end, words that are no booleans (!!bool x), and keys that are lists.
        problem = "it is nested too deeply" if isinstance(error, RecursionError) else f"{error} does not fit its tag"
        raise PipelineError(f"{source}: not a pipeline: {problem}. Give the file that the compiler wrote.") from error
    if re.search(r"(?:^|[\s\[{,:-])[*][A-Za-z0-9_-]", text) and not _is_bounded(values):
        raise PipelineError(f"{source}: its YAML aliases stand for more than {_MAX_VALUES:,} values. Write them out.")
    return values


def _is_bounded(values: list[Any]) -> bool:
    """Whether the tree is finite and not larger, aliases written out, than a pipeline may be."""
    stack, seen = list(values), 0
    while stack:
        value = stack.pop()
        seen += 1
        if seen + len(stack) > _MAX_VALUES:
            return False
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return True


def _from_values(values: list[Any], source: str) -> Document:
    if not values:
        raise PipelineError(f"{source}: it is empty. Give the YAML or JSON file that the compiler wrote.")
    manifest = next((v["spec"] for v in values if _is_manifest(v)), None)
    if manifest is not None:
        values = [manifest]
    first = values[0]
    if not isinstance(first, dict):
        raise PipelineError(f"{source}: not a pipeline: expected a mapping with the key root, got {_kind(first)}.")
    platforms: Any = {}
    key = next((k for k in _WRAPPERS if k in first), None)
    if key is not None:
        platforms = first.get(_WRAPPERS[key]) or {}
        first = first[key]
    elif len(values) > 1:
        platforms = values[1]
    if len(values) > 2:
        raise PipelineError(
            f"{source}: {len(values)} YAML documents, at most two can be read (the pipeline, its platform options). "
            "Put each pipeline in a file of its own."
        )
    _check_shape(first, source)
    if not isinstance(platforms, dict) or not isinstance(platforms.get("platforms", {}), dict):
        raise PipelineError(f"{source}: the platform options must be a mapping with the key platforms.")
    unknown = sorted(set(map(str, platforms)) - {"platforms"})
    if unknown:
        raise PipelineError(f"{source}: the second document has the key {unknown[0]!r}; only platforms may stand there.")
    return Document(first, platforms.get("platforms", {}))


def _is_manifest(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("spec"), dict) and "pipelineSpec" in value["spec"]


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"{type(value).__name__} {value!r:.40}"


def _check_shape(pipeline: Any, source: str) -> None:
    if not isinstance(pipeline, dict):
        raise PipelineError(f"{source}: not a pipeline: expected a mapping with the key root, got {_kind(pipeline)}.")
    if pipeline.get("kind") == "Workflow":
        raise PipelineError(
            f"{source}: this is an Argo Workflow, which kfp 1.x wrote; Kedge runs PipelineSpec {SCHEMA_VERSION}. "
            "Compile the pipeline with kedge.dsl or with kfp 2.x."
        )
    if "implementation" in pipeline:
        raise PipelineError(
            f"{source}: this is a component.yaml of kfp 1.x, not a pipeline. Use load_component_from_file() in a pipeline."
        )
    if "root" not in pipeline:
        found = ", ".join(sorted(map(str, pipeline))[:6]) or "nothing"
        raise PipelineError(
            f"{source}: not a pipeline: the key root is missing (found: {found}). Give the file that kedge compile or kfp wrote."
        )
    version = pipeline.get("schemaVersion")
    if version != SCHEMA_VERSION:
        said = "is missing" if version is None else f"is {version!r}"
        raise PipelineError(
            f"{source}: schemaVersion {said}; Kedge reads {SCHEMA_VERSION!r}. Compile it again with kedge.dsl or kfp 2.x."
        )
