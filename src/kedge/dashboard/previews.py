"""What an artifact shows of itself on a page: decided by its type, its name and its first bytes, and no more than these are read.

What a step wrote is data here. Text is escaped by the templates, Markdown becomes elements without HTML of its own, and a page or
a picture is an address of `kedge.dashboard.pages.artifacts.view`, which a browser opens in an origin of nobody's.
"""

import asyncio
import csv
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

from kedge.dashboard import markdown, parquet
from kedge.dashboard.api import Api, whole
from kedge.errors import ApiError

Kind = Literal["metrics", "classification", "table", "text", "markdown", "image", "page", "folder", "nothing", "fault"]
READ = 256 << 10
"""Bytes of an artifact that are read for what is shown of it."""
_ROWS, _COLUMNS, _CELL = 50, 40, 160
_POINTS = 300
_INDENTED = 4 * READ
_IMAGES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
_DELIMITERS = ",\t;|"
_FROM_ELSEWHERE = re.compile(
    rb"""<(?:script|link)\b[^>]{0,500}?\b(?:src|href)\s*=\s*["']?(?:https?:)?//([\w.:-]{1,100})""", re.IGNORECASE
)
_LOADED = re.compile(rb"""["']https?://([\w.:-]{1,100})/[^"'\s]{0,300}\.m?js["']""", re.IGNORECASE)
_HOSTS = 3
_WANTS = (
    "It wants scripts or styles of {hosts}, which it cannot load here, so some of it may be missing. Let the step write a page "
    "that brings all along: Plotly's write_html(include_plotlyjs=True), Bokeh's resources INLINE."
)


@dataclass(frozen=True, slots=True)
class Table:
    """The first rows of a table.

    Attributes:
        columns: Their names.
        rows: Text of each cell, cut where it is long.
        numbers: Whether each column holds nothing but numbers.
        note: What is left out.
        types: Of the columns, where the file says them.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[bool]
    note: str = ""
    types: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown.

    Attributes:
        kind: How.
        note: What is left out, or why nothing is shown.
        table: Of ``table``.
        text: Of ``text``; of ``markdown`` elements.
        data: Of the others.
    """

    kind: Kind
    note: str = ""
    table: Table | None = None
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])


async def of(api: Api, artifact: Mapping[str, Any], path: str = "") -> Preview:
    """What is shown of an artifact, or of a file of a folder.

    Args:
        api: The host.
        artifact: As REST shows it.
        path: Of the file.
    """
    title = schema(artifact)
    if not path and title.endswith("ClassificationMetrics"):
        return Preview("classification", data={"slices": slices(artifact.get("metadata", {}))})
    if not path and title == "Metrics":
        return Preview("metrics", data={"values": artifact.get("metadata", {}), "series": await _series(api, artifact)})
    address = f"/artifacts/{artifact['artifact_id']}"
    try:
        files = [] if path else (await api.get(address + "/files")).get("files", [])
        if files:
            return Preview("folder", data={"files": files})
        async with api.open(address + "/content", path=path) as answer:
            start = await whole(answer, READ + 1)
        name = (path or artifact.get("uri", "")).rpartition("/")[2].lower()
        if start[:4] == parquet.MAGIC:
            return await _parquet(api, address + "/content", path)
    except ApiError as error:
        return Preview("fault", str(error))
    return await asyncio.to_thread(of_bytes, start, name, title if not path else "")


async def _parquet(api: Api, address: str, path: str) -> Preview:
    end, size = await api.piece(address, -4, 4, path=path)
    if end != parquet.MAGIC:
        cut = "This Parquet file is cut: its end is missing, which says what it holds. Let its step write it again."
        return Preview("fault", cut)

    async def reads(start: int, count: int) -> bytes:
        return (await api.piece(address, start, count, path=path))[0]

    found = await parquet.first_rows(reads, size, _ROWS + 1, _COLUMNS, _CELL)
    if found.fault:
        return Preview("fault", found.fault)
    more = "The first rows of it." if len(found.rows) > _ROWS else ""
    names = [*(name for name, _ in found.columns), *[""] * (found.all_columns - len(found.columns))]
    table = _table(names, found.rows[:_ROWS], more)
    return Preview("table", table.note, replace(table, types=[kind for _, kind in found.columns]))


def schema(artifact: Mapping[str, Any]) -> str:
    """An artifact's type as people call it, such as ``Model``."""
    return str(artifact.get("schema_title") or artifact.get("type") or "Artifact").removeprefix("system.")


def media(start: bytes, name: str, title: str) -> str:
    """The media type of what a browser may draw in a frame or as a picture; ``""`` for all else.

    Args:
        start: First bytes.
        name: Of the file, in small letters.
        title: Of the artifact's type.

    Examples:
        >>> media(b"<svg xmlns='x'>", "drawn.svg", "Artifact"), media(b"a,b", "table", "Dataset")
        ('image/svg+xml', '')
    """
    for magic, found in _IMAGES.items():
        if start.startswith(magic):
            return found
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    text = start[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if title == "HTML" or text.startswith((b"<!doctype html", b"<html")) or name.endswith((".html", ".htm")):
        return "text/html; charset=utf-8"
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text):
        return "image/svg+xml"
    return ""


def of_bytes(start: bytes, name: str, title: str) -> Preview:
    """What is shown of a file.

    Args:
        start: Its first bytes: one more than `READ` where there are more.
        name: Of the file, in small letters.
        title: Of the artifact's type.
    """
    if not start:
        return Preview("nothing", "It is empty.")
    if found := media(start, name, title):
        return Preview("page", _elsewhere(start)) if found.startswith("text/") else Preview("image")
    return _of_text(start, name, title)


def _elsewhere(start: bytes) -> str:
    """That a page names scripts or styles of other machines, which it cannot load in its frame; ``""`` where it does not.

    Examples:
        >>> _elsewhere(b'<script src="https://cdn.example/plot.js"></script>').partition(".")[0]
        'It wants scripts or styles of cdn'
    """
    found = _FROM_ELSEWHERE.findall(start[:READ])
    if len(start) <= READ:  # in a large one such an address stands in a library that it brings along
        found += _LOADED.findall(start)
    hosts = list(dict.fromkeys(each.decode("ascii", "replace") for each in found))[:_HOSTS]
    return _WANTS.format(hosts=", ".join(hosts)) if hosts else ""


def _of_text(start: bytes, name: str, title: str) -> Preview:
    cut = len(start) > READ
    note = f"The first {READ >> 10} kiB of it." if cut else ""
    try:
        text = start[:READ].decode("utf-8-sig", "ignore" if cut else "strict")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return Preview("nothing", "It is no text, and no picture of a kind that browsers know: download it to look at it.")
    if title == "Markdown" or name.endswith((".md", ".markdown")):
        return Preview("markdown", note, text=markdown.rendered(text))
    if not cut and (pretty := _json(text)):
        return Preview("text", note, text=pretty)
    if (table := _records(text, cut=cut) or _separated(text, name, title, cut=cut)) is not None:
        return Preview("table", table.note, table)
    return Preview("text", note, text=text)


def slices(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The confusion matrix and the points of the ROC curve of each slice that classification metrics tell of.

    Args:
        metadata: The artifact's.
    """
    told = metadata.get("evaluationSlices")
    if isinstance(told, list):
        found = [
            (str(one.get("slice", "")), one.get("sliceClassificationMetrics") or {}) for one in told if isinstance(one, dict)
        ]
    else:
        found = [("", metadata)]
    return [{"name": name, "matrix": _matrix(one), "roc": _roc(one)} for name, one in found]


def _matrix(metrics: Mapping[str, Any]) -> dict[str, Any]:
    told = _mapping(metrics.get("confusionMatrix"))
    rows = [_mapping(row).get("row", []) for row in _list(told.get("rows"))]
    rows = [[cell for cell in _list(row) if _is_number(cell)] for row in rows]
    names = [str(_mapping(each).get("displayName", "")) for each in _list(told.get("annotationSpecs"))]
    if not rows or any(len(row) != len(names) for row in rows) or len(rows) != len(names):
        return {}
    top = max((cell for row in rows for cell in row), default=0) or 1
    cells = [[{"value": cell, "heat": round(9 * max(0, min(1, cell / top)))} for cell in row] for row in rows]
    total = sum(sum(row) for row in rows)
    right = sum(row[number] for number, row in enumerate(rows))
    return {"names": names, "rows": cells, "right": right / total if total else None}


def _roc(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Its points by rising false positive rate, the plot of them, and the area below."""
    told = [_mapping(each) for each in _list(metrics.get("confidenceMetrics"))]
    points = [(_mapped(each, "falsePositiveRate"), _mapped(each, "recall"), each.get("confidenceThreshold")) for each in told]
    points.sort(key=lambda each: each[:2])
    if len(points) < 2:
        return {}
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
    x, y = [each[0] for each in points], [each[1] for each in points]
    line = {"type": "scatter", "mode": "lines+markers", "name": "ROC", "x": x, "y": y, "showlegend": False}
    dotted = {"dash": "dot", "width": 1}
    chance = {"type": "scatter", "mode": "lines", "name": "chance", "x": [0, 1], "y": [0, 1], "showlegend": False, "line": dotted}
    layout = {
        "xaxis": {"title": {"text": "false positive rate"}, "range": [-0.02, 1.02]},
        "yaxis": {"title": {"text": "true positive rate"}, "range": [-0.02, 1.02]},
    }
    return {"points": points, "area": area, "data": [line, chance], "layout": layout}


async def _series(api: Api, artifact: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The series that the step logged into the artifact, each with its plot."""
    if not artifact.get("run_id") or not artifact.get("task_id"):
        return []
    asked = {"task_id": artifact["task_id"], "max_points": _POINTS}
    try:
        told = (await api.get(f"/runs/{artifact['run_id']}/metrics", **asked)).get("metrics", [])
    except ApiError:
        return []
    return [
        {
            **each,
            "data": [{"type": "scatter", "mode": "lines", **_line(each["points"]), "name": each["name"], "showlegend": False}],
            "layout": {"xaxis": {"title": {"text": "step"}}, "yaxis": {"title": {"text": each["name"]}}},
        }
        for each in told
        if each.get("artifact") == artifact.get("name") and len(each.get("points", [])) > 1
    ]


def _line(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    shown = [each.get("value") for each in points]
    return {"x": [each["step"] for each in points], "y": [each if _is_number(each) else None for each in shown]}


def _json(text: str) -> str:
    """JSON over several lines; ``""`` where it is none, or where it is so deep that it would be nearly all indentation."""
    if text.lstrip()[:1] not in {"{", "["}:
        return ""
    lines, length = [], 0
    try:
        for piece in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(json.loads(text)):
            lines.append(piece)
            length += len(piece)
            if length > _INDENTED:
                return ""
    except (ValueError, RecursionError):
        return ""
    return "".join(lines)


def _records(text: str, *, cut: bool) -> Table | None:
    """A table of JSON objects, one a line."""
    if not text.startswith("{"):
        return None
    lines = text.splitlines()
    if cut and len(lines) > 1:
        lines.pop()
    try:
        records = [json.loads(line) for line in lines[:_ROWS] if line.strip()]
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(each, dict) for each in records):
        return None
    columns = list(dict.fromkeys(name for each in records for name in each))
    more = cut or len(lines) > _ROWS
    return _table(columns, [[each.get(name) for name in columns] for each in records], "The first rows of it." if more else "")


def _separated(text: str, name: str, title: str, *, cut: bool) -> Table | None:
    """A table of values between commas, tabs, semicolons or bars, with names in its first line."""
    said = name.endswith((".csv", ".tsv", ".tab"))
    if not said and title != "Dataset" and "." in name:
        return None
    lines = text.splitlines()[: _ROWS + 2]
    if len(lines) < 2 and not said:
        return None
    delimiter = max(_DELIMITERS, key=lambda each: min((line.count(each) for line in lines[:2]), default=0))
    if not said and not all(delimiter in line for line in lines[:2]):
        return None
    try:
        rows = []
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if len(rows) > _ROWS + 1:
                break
            rows.append(row)
    except csv.Error:
        return None
    more = len(rows) > _ROWS + 1 or cut
    columns, body = (rows[0], rows[1 : _ROWS + 1]) if rows else ([], [])
    if not said and any(len(row) != len(columns) for row in body[:-1]):
        return None
    return _table(columns, body, "The first rows of it." if more else "")


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]], note: str) -> Table:
    columns = list(names[:_COLUMNS])
    if len(names) > _COLUMNS:
        note = f"{note} {len(names) - _COLUMNS} more columns are left out.".strip()
    cells = [[_cell(value) for value in (*row[: len(columns)], *[""] * (len(columns) - len(row)))] for row in rows]
    numbers = [bool(cells) and all(_spells_number(row[number]) for row in cells) for number in range(len(columns))]
    return Table([_cell(each) for each in columns], cells, numbers, note)


def _cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else _written(value)
    return text if len(text) <= _CELL else text[:_CELL] + "…"


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | int | float | list | dict) else str(value)


def _spells_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _mapped(given: Mapping[str, Any], name: str) -> float:
    value = given.get(name)
    return float(value) if isinstance(value, int | float) and _is_number(value) else 0.0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
