"""Graphs of pipelines and runs as SVG that a page holds: boxes are links, and what folds has a link that folds it.

graph = await drawn(spec, folding=Folding.read(page.query("open"), page.query("fold")), places=Places("/pipelines/1", {}))
return page.render("…", graph=graph)          # {% include "graph.html" %}, and graph.js in the head
"""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec
from markupsafe import Markup, escape

from kedge.dashboard.page import link
from kedge.display.faces import Face, Faces, above
from kedge.display.folding import Folding
from kedge.display.graph import HEIGHT, WIDTH, Box, Drawing, layout, page_of, turns_of
from kedge.display.svg import heads, way, ways
from kedge.display.wires import Blueprint

_LETTERS, _FEWER = 21, 18  # of a label that fits, and beside a mark
_KEPT = 32
_MOST, _MOST_WIRES = 2500, 400  # elements, and edges that are told of: a page has some 500 besides, 3,000 in all, and 300 kB
_DEEPEST = 12  # boxes that are opened to show a task
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Places:
    """Where the links of a graph lead.

    Attributes:
        page: The path of the page that it is on; what is folded is in its query.
        query: What else is in it.
        tasks: The path that ids of tasks are below; ``""`` where tasks have no pages.
    """

    page: str
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    tasks: str = ""

    def folded(self, folding: Folding) -> str:
        """The page with another folding."""
        return link(self.page, **{**self.query, **folding.query()})


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph to be shown by ``graph.html``.

    Attributes:
        svg: One element.
        refused: What was to be opened, for which there was no room.
        width: Pixels.
        height: Pixels.
        folding: What is open in it, with what had to be opened to show a task.
        is_empty: Whether there is nothing in it: a pipeline may have no steps.
    """

    svg: Markup
    refused: tuple[str, ...]
    width: float
    height: float
    folding: Folding
    is_empty: bool


@dataclass(frozen=True)
class _Spec:
    digest: bytes
    body: Json = field(compare=False)


@lru_cache(maxsize=_KEPT)
def _laid(spec: _Spec, folding: Folding, turns: tuple[tuple[str, tuple[int, ...]], ...] | None) -> Drawing:
    return layout(spec.body, folding, None if turns is None else dict(turns))


async def drawn(
    spec: Json,
    *,
    folding: Folding,
    places: Places,
    tasks: Iterable[Json] | None = None,
    now: datetime | None = None,
    shown: str = "",
) -> Graph:
    """Draw a pipeline, or a run of it.

    Args:
        spec: PipelineSpec IR.
        folding: What is open.
        places: Where links lead.
        tasks: Of the run, as REST shows them; ``None`` for a pipeline that is not run.
        now: With tasks.
        shown: Path of a task that is to be seen, whatever is folded; not where somebody has folded what it is in.
    """
    given = None if tasks is None else list(tasks)
    return await asyncio.to_thread(_drawn, spec, folding, places, _Run(given, now, shown))


@dataclass(frozen=True, slots=True)
class _Run:
    tasks: list[Json] | None
    now: datetime | None
    shown: str


def _drawn(body: Json, folding: Folding, places: Places, run: _Run) -> Graph:
    digest = hashlib.blake2b(msgspec.json.encode(body), digest_size=16).digest()
    spec, turns = _Spec(digest, body), None if run.tasks is None else turns_of(run.tasks)
    drawing = _of(spec, folding, turns)
    for _ in range(_DEEPEST if run.shown else 0):
        if (wider := _revealing(drawing, folding, run.shown, turns or {})) is None:
            break
        folding, drawing = wider, _of(spec, wider, turns)
    looks = Faces(run.tasks) if run.tasks is not None else None
    pieces = _Pieces(drawing, folding, places, looks, run.now, Blueprint(body))
    svg = Markup("".join(pieces.svg()))  # noqa: S704  # escaped
    return Graph(svg, drawing.refused, drawing.width, drawing.height, folding, not drawing.boxes)


def _of(spec: _Spec, folding: Folding, turns: Mapping[str, list[int]] | None) -> Drawing:
    known = (turns or {}).items()
    seen = tuple((path, tuple(numbers)) for path, numbers in known if folding.is_open(path, default=False))
    return _laid(spec, folding, None if turns is None else seen)


def _revealing(drawing: Drawing, folding: Folding, task: str, turns: Mapping[str, list[int]]) -> Folding | None:
    """The folding that opens the box that a task is in; ``None`` where it is seen, or where somebody has folded that box."""
    boxes, around = {box.path: box for box in drawing.boxes}, (task, *above(task))
    if task in boxes:
        return None
    box = next((boxes[each] for each in around if each in boxes), None)
    if box is None or box.group:
        box = next((each for each in drawing.boxes if each.kind == "bundle" and not set(around).isdisjoint(each.tasks)), box)
    if box is None or box.path in folding.closed or box.path in drawing.refused:
        return None
    rest = task[len(box.path) + 1 :].partition(".")[0]
    if box.kind == "loop" and rest.isdigit() and (numbers := turns.get(box.path)) and int(rest) in numbers:
        page = page_of(numbers, int(rest))
        place = f"{box.path}:{page}" if page > 1 else box.path
        return None if box.group and folding.page(box.path) == page else folding.turned(place)
    return None if box.group else folding.toggled(box.path, is_open=False)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Makes the SVG of a drawing."""

    drawing: Drawing
    folding: Folding
    places: Places
    faces: Faces | None
    now: datetime | None
    blueprint: Blueprint

    def svg(self) -> Iterator[str]:
        wide, high = self.drawing.width, self.drawing.height
        yield f'<svg class="graph-drawing" viewBox="0 0 {wide:.0f} {high:.0f}" width="{wide:.0f}" height="{high:.0f}" '
        yield 'role="group" aria-label="Graph">'
        yield _SYMBOLS
        groups = [box for box in self.drawing.boxes if box.group]
        yield from (self._group(box) for box in groups)
        yield f'<path class="edges" d="{ways(self.drawing)}"/><path class="heads" d="{heads(self.drawing)}"/>'
        if (count := len(self.drawing.edges)) <= _MOST_WIRES and self.drawing.cost + count <= _MOST:
            yield from self._wires()
        for box in self.drawing.boxes:
            if not box.group:
                yield self._more(box) if box.kind == "more" else self._folded(box) if box.folds else self._task(box)
        yield "</svg>"

    def _wires(self) -> Iterator[str]:
        """What goes along each edge; a bundle's are too many to be told."""
        named = {box.path: box for box in self.drawing.boxes}
        for (start, end), route in zip(self.drawing.edges, self.drawing.whole, strict=True):
            if "bundle" in {named[start].kind, named[end].kind}:
                continue
            words = f"{named[start].label} → {named[end].label}: {self.blueprint.between(start, end)}"
            yield f'<path class="wire" d="{way(route)}" data-from="{escape(start)}" data-to="{escape(end)}" '
            yield f'role="img" aria-label="{escape(words)}"/>'

    def _face(self, box: Box) -> Face:
        if self.faces is None or self.now is None:
            return Face("IDLE", "for each item" if box.loop else "")
        return self.faces.of_box(box, self.now)

    def _task(self, box: Box) -> str:
        face, start = self._face(box), f'id="n-{escape(box.path)}" transform="translate({box.x:.0f} {box.y:.0f})"'
        body = _card(box, face, _LETTERS)
        if not self.places.tasks:
            return f'<g class="node {face.state}" {start} role="img" aria-label="{escape(box.label)}">{body}</g>'
        return f'<a class="node {face.state}" {start} {self._link(box, face, _LETTERS)}>{body}</a>'

    def _folded(self, box: Box) -> str:
        face = self._face(box)
        body = _card(box, face, _FEWER)
        inner = self._inner(box, face, _FEWER, body)
        return (
            f'<g class="node folded {face.state}" id="n-{escape(box.path)}" transform="translate({box.x:.0f} {box.y:.0f})">'
            f'<rect class="behind" x="4" y="4" width="{WIDTH:.0f}" height="{HEIGHT:.0f}" rx="7"/>{inner}'
            f"{self._toggle(box, WIDTH - 16, HEIGHT / 2)}</g>"
        )

    def _group(self, box: Box) -> str:
        face = self._face(box)
        letters = max(4, int((box.width - 80 - 6.6 * len(face.detail)) / 7.4))
        words = (
            f'<use href="#s-{face.state}" x="9" y="7"/><text x="30" y="19">{_cut(box.label, letters)}</text> '
            f'<text class="dim" x="{box.width - 34:.0f}" y="19" text-anchor="end">{escape(face.detail)}</text>'
        )
        inner = self._inner(box, face, letters, words)
        return (
            f'<g class="group {face.state}" id="n-{escape(box.path)}" transform="translate({box.x:.0f} {box.y:.0f})">'
            f'<rect class="frame" width="{box.width:.0f}" height="{box.height:.0f}" rx="9"/>{inner}'
            f"{self._toggle(box, box.width - 16, 15)}</g>"
        )

    def _more(self, box: Box) -> str:
        place = escape(self.places.folded(self.folding.turned(box.path)))
        return (
            f'<a class="more" id="n-{escape(box.path)}" href="{place}" data-fold transform="translate({box.x:.0f} {box.y:.0f})">'
            f'<rect width="{WIDTH:.0f}" height="{HEIGHT:.0f}" rx="7"/>'
            f'<text x="{WIDTH / 2:.0f}" y="27">{escape(box.label)}</text></a>'
        )

    def _inner(self, box: Box, face: Face, letters: int, body: str) -> str:
        """What leads to the task; a bundle is none."""
        if box.kind == "bundle" or not self.places.tasks:
            return f'<g role="img" {self._name(box, face, letters)}>{body}</g>'
        return f"<a {self._link(box, face, letters)}>{body}</a>"

    def _link(self, box: Box, face: Face, letters: int) -> str:
        place = escape(f"{self.places.tasks}/{quote(box.path, safe='')}")
        return f'href="{place}" data-task="{escape(box.path)}" {self._name(box, face, letters)}'

    def _name(self, box: Box, face: Face, letters: int) -> str:
        """What it is called: the whole label, and what is seen where that is less, for who tells a computer what they see."""
        shown = _shown(box.label, letters)
        said = face.said(shown) if self.faces is not None else f"{shown} {face.detail}".strip()
        if shown == box.label:
            return f'aria-label="{escape(said)}"'
        return f'data-label="{escape(box.label)}" aria-label="{escape(box.label)}, {escape(said)}"'

    def _toggle(self, box: Box, x: float, y: float) -> str:
        place = escape(self.places.folded(self.folding.toggled(box.path, is_open=box.group)))
        said = f"{'Fold' if box.group else 'Unfold'} {box.label}"
        return (
            f'<a class="toggle" href="{place}" data-fold aria-label="{escape(said)}"><circle cx="{x:.0f}" cy="{y:.0f}" r="11"/>'
            f'<text x="{x:.0f}" y="{y + 5:.0f}">{"▾" if box.group else "▸"}</text></a>'
        )


def _card(box: Box, face: Face, letters: int) -> str:
    return (
        f'<rect width="{WIDTH:.0f}" height="{HEIGHT:.0f}" rx="7"/><use href="#s-{face.state}" x="10" y="14"/>'
        f'<text x="34" y="{19 if face.detail else 27}">{_cut(box.label, letters)}</text> '
        f'<text class="dim" x="34" y="35">{escape(face.detail)}</text>'
    )


def _cut(text: str, letters: int) -> str:
    return str(escape(_shown(text, letters)))


def _shown(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"


# A state is told by a shape, not by its colour alone. Each is 16 pixels wide.
_SHAPES = {
    "SUCCEEDED": '<circle cx="8" cy="8" r="7"/><path d="M4.5 8.3l2.4 2.4 4.6-5"/>',
    "FAILED": '<circle cx="8" cy="8" r="7"/><path d="M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4"/>',
    "RUNNING": '<path class="line" d="M8 1.5a6.5 6.5 0 1 0 6.5 6.5"/><path class="solid" d="M6.2 5v6l5-3z"/>',
    "PENDING": '<circle class="line" cx="8" cy="8" r="6.5"/><path class="line" d="M8 4.5V8l2.5 1.5"/>',
    "CACHED": '<circle cx="8" cy="8" r="7"/><path d="M8.8 3.5L5.2 8.7h2.6L7.2 12.5l3.6-5.2H8.2z"/>',
    "SKIPPED": '<circle class="line" cx="8" cy="8" r="6.5"/><path class="line" d="M5 8h6"/>',
    "CANCELED": '<circle class="line" cx="8" cy="8" r="6.5"/><path class="solid" d="M5.5 5.5h5v5h-5z"/>',
    "IDLE": '<circle class="line" cx="8" cy="8" r="5"/>',
}
_SYMBOLS = "<defs>{}</defs>".format("".join(f'<g id="s-{name}">{shape}</g>' for name, shape in _SHAPES.items()))
