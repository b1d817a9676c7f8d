"""A pipeline's graph, laid out in layers.

Every DAG is laid out alone: a task stands one layer below the last of those it waits for, and a task that is a DAG itself is a
box as large as its own layout. That is linear in tasks and edges, and good enough for graphs that people draw on paper.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN, TITLE = 168, 40, 24, 30, 14, 22


@dataclass(frozen=True, slots=True)
class Box:
    """A task in the drawing.

    Attributes:
        path: Task names from the root, joined by dots, without iteration numbers.
        label: The name people gave it.
        x: Left edge in pixels, within the drawing.
        y: Top edge.
        width: Of the box.
        height: Of the box.
        group: Whether it contains others.
        loop: Whether it runs once for each item.
    """

    path: str
    label: str
    x: float
    y: float
    width: float
    height: float
    group: bool
    loop: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """Where everything is.

    Attributes:
        width: Pixels.
        height: Pixels.
        boxes: Outer ones before those they contain.
        edges: Pairs of paths: the second waits for the first.
    """

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[tuple[str, str], ...]


def layout(pipeline: Mapping[str, Any]) -> Drawing:
    """Lay out a pipeline.

    Args:
        pipeline: PipelineSpec IR as plain JSON.
    """
    boxes, edges, width, height = _dag(pipeline, pipeline.get("root") or {}, "")
    return Drawing(
        width + 2 * MARGIN,
        height + 2 * MARGIN,
        tuple(_moved(box, MARGIN, MARGIN) for box in boxes),
        tuple(edges),
    )


def _dag(
    pipeline: Mapping[str, Any], component: Mapping[str, Any], path: str
) -> tuple[list[Box], list[tuple[str, str]], float, float]:
    tasks: Mapping[str, Any] = (component.get("dag") or {}).get("tasks") or {}
    waits = {name: [other for other in _upstream(task) if other in tasks] for name, task in tasks.items()}
    boxes: list[Box] = []
    edges = [(_join(path, other), _join(path, name)) for name, others in waits.items() for other in others]
    rows: list[tuple[list[list[Box]], float, float]] = []
    for layer in _layers(waits):
        drawn = [_task(pipeline, tasks[name], _join(path, name), edges) for name in layer]
        width = sum(group[0].width for group in drawn) + GAP_X * (len(drawn) - 1)
        rows.append((drawn, width, max(group[0].height for group in drawn)))
    total = max((width for _, width, _ in rows), default=WIDTH)
    y = 0.0
    for drawn, width, height in rows:
        x = (total - width) / 2
        for group in drawn:
            boxes += [_moved(box, x, y + (height - group[0].height) / 2) for box in group]
            x += group[0].width + GAP_X
        y += height + GAP_Y
    return boxes, edges, total, max(0.0, y - GAP_Y)


def _task(pipeline: Mapping[str, Any], task: Mapping[str, Any], path: str, edges: list[tuple[str, str]]) -> list[Box]:
    """One task's box at the origin, followed by the boxes inside it."""
    component = (pipeline.get("components") or {}).get((task.get("componentRef") or {}).get("name"), {})
    label = str((task.get("taskInfo") or {}).get("name") or path.rpartition(".")[2])
    loop = "parameterIterator" in task or "artifactIterator" in task
    if "dag" not in component:
        return [Box(path, label, 0, 0, WIDTH, HEIGHT, group=False, loop=loop)]
    inner, inner_edges, width, height = _dag(pipeline, component, path)
    edges += inner_edges
    outer = Box(path, label, 0, 0, width + 2 * MARGIN, height + 2 * MARGIN + TITLE, group=True, loop=loop)
    return [outer, *(_moved(box, MARGIN, MARGIN + TITLE) for box in inner)]


def _upstream(task: Mapping[str, Any]) -> Iterator[str]:
    seen: dict[str, None] = {str(name): None for name in task.get("dependentTasks") or ()}
    inputs: Mapping[str, Any] = task.get("inputs") or {}
    for values, key in (("parameters", "taskOutputParameter"), ("artifacts", "taskOutputArtifact")):
        for value in (inputs.get(values) or {}).values():
            if isinstance(value, Mapping) and key in value:
                seen[str(value[key].get("producerTask", ""))] = None
    yield from seen


def _layers(waits: Mapping[str, list[str]]) -> list[list[str]]:
    """Sort tasks by the length of the longest way to them; what is in a cycle (not valid IR) lands in the last layer."""
    depth: dict[str, int] = {}
    pending = dict(waits)
    while pending:
        ready = [name for name, others in pending.items() if all(other in depth for other in others)] or list(pending)
        for name in ready:
            depth[name] = 1 + max((depth[other] for other in pending[name] if other in depth), default=-1)
        for name in ready:
            del pending[name]
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in waits:
        layers[depth[name]].append(name)
    return layers


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _moved(box: Box, x: float, y: float) -> Box:
    return Box(box.path, box.label, box.x + x, box.y + y, box.width, box.height, group=box.group, loop=box.loop)
