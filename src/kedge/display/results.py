"""What a run produced, picked out of its tasks: its outputs, metrics, confusion matrices, and where models and reports lie."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from kedge.display.tasks import GOOD, TaskView


@dataclass(frozen=True, slots=True)
class Matrix:
    """A confusion matrix: ``rows[true][predicted]``.

    Attributes:
        title: Task and output it comes from.
        labels: The classes.
        rows: Counts.
    """

    title: str
    labels: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class File:
    """An artifact worth showing.

    Attributes:
        title: Task and output it comes from.
        type: ``Model``, ``HTML``, ``Markdown`` or ``Dataset``.
        where: A path where it is a local file, otherwise its address.
    """

    title: str
    type: str
    where: str


@dataclass(frozen=True, slots=True)
class Results:
    """What a run produced.

    Attributes:
        outputs: Of the pipeline itself, by name: what `value` writes of parameters, `place` of artifacts.
        metrics: Title and value, in the order of the tasks.
        matrices: Confusion matrices.
        files: Models first, then reports.
    """

    outputs: tuple[tuple[str, str], ...]
    metrics: tuple[tuple[str, object], ...]
    matrices: tuple[Matrix, ...]
    files: tuple[File, ...]


def results(tasks: Iterable[TaskView]) -> Results:
    """Collect what the pipeline returned, and the results of the steps that succeeded outside of loops.

    What a loop tried is for its reader to pick from.
    """
    outputs: list[tuple[str, str]] = []
    metrics: list[tuple[str, object]] = []
    matrices: list[Matrix] = []
    files: list[File] = []
    for task in sorted(tasks, key=lambda task: (task.finished.timestamp() if task.finished else 0.0, task.id)):
        if not task.id:
            outputs += _outputs(task.outputs)
        if not task.is_step or task.state not in GOOD or any(part.isdigit() for part in task.id.split(".")):
            continue
        artifacts: Mapping[str, list[Mapping[str, Any]]] = task.outputs.get("artifacts") or {}
        for name, artifact in ((name, item) for name, items in artifacts.items() for item in items):
            title = f"{task.name} · {name}"
            kind = _kind(artifact)
            metadata: Mapping[str, Any] = artifact.get("metadata") or {}
            if kind == "Metrics":
                metrics += [(f"{title} · {key}", value) for key, value in metadata.items()]
            elif kind == "ClassificationMetrics":
                matrices += [matrix] if (matrix := _matrix(title, metadata)) else []
            elif kind in {"Model", "HTML", "Markdown"}:
                files.append(File(title, kind, place(str(artifact.get("uri", "")))))
    files.sort(key=lambda file: ("Model", "Markdown", "HTML").index(file.type))
    return Results(tuple(outputs), tuple(metrics), tuple(matrices), tuple(files))


def _outputs(outputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, given in (outputs.get("parameters") or {}).items():
        yield name, value(given)
    for name, artifacts in (outputs.get("artifacts") or {}).items():
        for artifact in artifacts:
            yield name, place(str(artifact.get("uri", "")))


def _kind(artifact: Mapping[str, Any]) -> str:
    kind: Any = artifact.get("schema_title") or ""
    if isinstance(kind, Mapping):
        kind = kind.get("schemaTitle") or kind.get("schema_title") or ""
    return str(kind).rpartition(".")[2]


def _matrix(title: str, metadata: Mapping[str, Any]) -> Matrix | None:
    body: Any = metadata.get("confusionMatrix")
    if isinstance(body, Mapping) and "struct" in body:
        body = body["struct"]
    if not isinstance(body, Mapping):
        return None
    labels = tuple(str(spec.get("displayName", "")) for spec in body.get("annotationSpecs", []))
    rows = tuple(tuple(row["row"] if isinstance(row, Mapping) else row) for row in body.get("rows", []))
    return Matrix(title, labels, rows) if labels and len(rows) == len(labels) else None


def place(uri: str) -> str:
    """A path for a ``file:`` address, otherwise the address itself.

    Examples:
        >>> place("file:///tmp/a%20b/model"), place("s3://bucket/model")
        ('/tmp/a b/model', 's3://bucket/model')
    """
    parts = urlsplit(uri)
    return str(Path(unquote(parts.path))) if parts.scheme == "file" else uri


def number(value: object) -> str:
    """Write a metric: whole numbers whole, others with four digits behind the point, or three that mean something.

    Examples:
        >>> number(0.987654), number(3.0), number(0.0000321987), number("linear")
        ('0.9877', '3', '3.22e-05', 'linear')
    """
    if isinstance(value, float):
        if value.is_integer():
            return str(int(value))
        return f"{value:.3g}" if abs(value) < 0.001 else f"{value:.4f}"
    return str(value)


def value(given: object, width: int = 200) -> str:
    r"""Write a parameter on one line: text as it is, anything else as JSON, cut to ``width``.

    Examples:
        >>> value("best"), value(0.98), value({"a": None})
        ('best', '0.98', '{"a":null}')
        >>> value("first\nsecond"), value("x" * 9, width=5)
        ('first\\nsecond', 'xxxx…')
    """
    text = given if isinstance(given, str) else msgspec.json.encode(given).decode()
    line = text.replace("\n", "\\n")
    return line if len(line) <= width else line[: width - 1] + "…"
