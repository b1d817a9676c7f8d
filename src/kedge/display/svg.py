"""A run as an SVG picture: the pipeline's graph, coloured by state. Colours follow the reader's light or dark theme."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from kedge.display.graph import Box, Drawing, layout
from kedge.display.layers import Point
from kedge.display.tasks import LIVE, TaskView, counts, duration

# State -> (light theme, dark theme).
_COLOURS = {
    "SUCCEEDED": ("#1a7f37", "#3fb950"),
    "CACHED": ("#6639ba", "#a371f7"),
    "RUNNING": ("#0969da", "#58a6ff"),
    "FAILED": ("#cf222e", "#f85149"),
    "SKIPPED": ("#8c959f", "#6e7681"),
    "CANCELED": ("#9a6700", "#d29922"),
    "PENDING": ("#8c959f", "#6e7681"),
}
_WORST_FIRST = ("FAILED", "RUNNING", "CANCELED", "PENDING", "SUCCEEDED", "CACHED", "SKIPPED")


def svg(pipeline: Mapping[str, Any], tasks: Iterable[TaskView]) -> str:
    """Draw a run.

    Args:
        pipeline: PipelineSpec IR as plain JSON.
        tasks: What is known of the run's tasks.

    Returns:
        One ``<svg>`` element, complete in itself.
    """
    drawing = layout(pipeline)
    by_path: dict[str, list[TaskView]] = {}
    for task in tasks:
        by_path.setdefault(_path(task.id), []).append(task)
    lines = [f'<path class="edge" d="{ways(drawing)}"/><path class="head" d="{heads(drawing)}"/>']
    # Outer boxes first, then the arrows, then the tasks: nothing is hidden.
    groups = [_box(box, by_path.get(box.path, [])) for box in drawing.boxes if box.group]
    leaves = [_box(box, by_path.get(box.path, [])) for box in drawing.boxes if not box.group]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="kedge" viewBox="0 0 {drawing.width:g} {drawing.height:g}" '
        f'width="{drawing.width:g}" style="max-width:100%;height:auto" role="img">'
    )
    return "\n".join([head, f"<style>{_style()}</style>", *groups, *lines, *leaves, "</svg>"])


def _path(task_id: str) -> str:
    return ".".join(part for part in task_id.split(".") if not part.isdigit())


def _style() -> str:
    light = "".join(f".kedge .{state}{{--state:{colours[0]}}}" for state, colours in _COLOURS.items())
    dark = "".join(f".kedge .{state}{{--state:{colours[1]}}}" for state, colours in _COLOURS.items())
    return (
        ".kedge{--ink:#1f2328;--paper:#fff;--group:#f6f8fa;--edge:#8c959f;font:12px system-ui,sans-serif}"
        ".kedge text{fill:var(--ink)}.kedge .dim{fill:var(--edge)}"
        ".kedge .task{fill:var(--paper);stroke:var(--state);stroke-width:1.5}"
        ".kedge .group{fill:var(--group);stroke:var(--state);stroke-dasharray:4 3}"
        ".kedge .mark{fill:var(--state)}.kedge .edge{fill:none;stroke:var(--edge);stroke-width:1.2}.kedge .head{fill:var(--edge)}"
        + light
        + "@media(prefers-color-scheme:dark){.kedge{--ink:#e6edf3;--paper:#0d1117;--group:#161b22;--edge:#6e7681}"
        + dark
        + "}"
    )


def ways(drawing: Drawing) -> str:
    """The lines of all edges, as the ``d`` of one path: a page of thousands of edges has one element for them."""
    return "".join(way(route) for route in drawing.routes)


def way(route: Sequence[Point]) -> str:
    """The line of one edge, likewise."""
    (x, y), *others = route
    parts = [f"M{x:.0f} {y:.0f}"]
    for a, b in others:
        middle = (y + b) / 2
        parts.append(f"V{b:.0f}" if abs(a - x) < 1 else f"C{x:.0f} {middle:.0f} {a:.0f} {middle:.0f} {a:.0f} {b:.0f}")
        x, y = a, b
    return "".join(parts)


def heads(drawing: Drawing) -> str:
    """The heads of all arrows, likewise."""
    ends = {end for _, end in drawing.edges}
    boxes = [box for box in drawing.boxes if box.path in ends]
    return "".join(f"M{box.x + box.width / 2 - 4:.0f} {box.y - 7:.0f}h8l-4 6z" for box in boxes)


def _box(box: Box, tasks: list[TaskView]) -> str:
    state = next((state for state in _WORST_FIRST if any(task.state == state for task in tasks)), "PENDING")
    label = escape(box.label if len(box.label) <= 22 else box.label[:21] + "…")
    title = escape(f"{box.path}: {_summary(tasks)}")
    head = f'<g class="{state}"><title>{title}</title>'
    if box.group:
        return (
            f'{head}<rect class="group" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="8"/>'
            f'<text x="{box.x + 12:g}" y="{box.y + 18:g}">{label}{" · for each" if box.loop else ""}</text></g>'
        )
    return (
        f'{head}<rect class="task" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="6"/>'
        f'<circle class="mark" cx="{box.x + 14:g}" cy="{box.y + box.height / 2:g}" r="5"/>'
        f'<text x="{box.x + 26:g}" y="{box.y + 19:g}">{label}</text>'
        f'<text class="dim" x="{box.x + 26:g}" y="{box.y + 35:g}">{escape(_summary(tasks))}</text></g>'
    )


def _summary(tasks: list[TaskView]) -> str:
    if not tasks:
        return "not started"
    if len(tasks) > 1:
        return counts(Counter(task.state for task in tasks))
    only = tasks[0]
    took = duration((only.finished - only.started).total_seconds()) if only.started and only.finished else ""
    state = only.state.lower()
    return f"{state}, {took}" if took and only.state not in LIVE else state
