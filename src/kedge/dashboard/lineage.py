"""The lineage of an artifact, both ways: which tasks and artifacts it was made of, and which were made of it, over all runs.

A drawing in columns: the artifact in the middle, to the left the task that made it and what that read, to the right the tasks
that read it and what they made, and so on, as far as is asked for.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from kedge.dashboard.api import Api, filtered
from kedge.errors import ApiError

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 168, 40, 44, 14, 8
MOST = 40
"""Links of one level that are followed, and boxes of one column."""
_LABEL = 22  # characters that fit into a box


@dataclass(slots=True)
class Node:
    """An artifact or a task.

    Attributes:
        key: Unique in the drawing.
        kind: Which of both.
        column: 0 is the artifact asked for; what it was made of is below.
        address: Of its page.
        label: Its name.
        below: Its type, or its run's name.
        x: Left edge, in pixels.
        y: Top edge.
    """

    key: str
    kind: Literal["artifact", "task"]
    column: int
    address: str
    label: str
    below: str = ""
    x: float = 0
    y: float = 0

    @property
    def short(self) -> str:
        """The label, as far as it fits."""
        return self.label if len(self.label) <= _LABEL else self.label[: _LABEL - 1] + "…"

    @property
    def short_below(self) -> str:
        """What stands below it, as far as it fits."""
        return self.below if len(self.below) <= _LABEL + 4 else self.below[: _LABEL + 3] + "…"

    @property
    def said(self) -> str:
        """What it is called: first what is seen, for who tells a computer what they see, then the whole where that is more."""
        whole = f"{self.label}, {self.below}"
        cut = (self.short, self.short_below) != (self.label, self.below)
        return f"{self.kind} {self.short} {self.short_below}, {whole}" if cut else f"{self.kind} {whole}"


@dataclass(slots=True)
class Drawing:
    """Where everything is.

    Attributes:
        nodes: By key.
        edges: Pairs of keys, in the direction in which data went.
        width: Pixels.
        height: Pixels.
        more: Whether there is more than was asked for.
        crowded: Whether a level has more than `MOST`.
    """

    nodes: dict[str, Node] = field(default_factory=dict[str, Node])
    edges: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    width: float = 0
    height: float = 0
    more: bool = False
    crowded: bool = False

    @property
    def lines(self) -> list[str]:
        """The edges as paths of SVG."""
        return [_curve(self.nodes[one], self.nodes[other]) for one, other in self.edges]

    def next_to(self, key: str, *, up: bool) -> list[Node]:
        """What a node was made of, or what was made of it."""
        found = (edge[0] if up else edge[1] for edge in self.edges if edge[1 if up else 0] == key)
        return [self.nodes[each] for each in dict.fromkeys(found)]


async def of(api: Api, artifact: Mapping[str, Any], depth: int) -> Drawing:
    """Follow an artifact's lineage.

    Args:
        api: The host.
        artifact: As REST shows it.
        depth: How many tasks away, each way.
    """
    drawing = Drawing()
    first = artifact["artifact_id"]
    _add_artifact(drawing, first, 0)
    for up in (True, False):
        level = [first]
        for step in range(depth + 1):
            way = -1 if up else 1
            level, tasks = await _step(api, drawing, level, (2 * step + 1) * way, last=step == depth)
            if step == depth:
                drawing.more = drawing.more or bool(tasks)
            if not level:
                break
    await _name(api, drawing)
    _place(drawing)
    return drawing


async def _step(api: Api, drawing: Drawing, level: list[str], column: int, *, last: bool) -> tuple[list[str], int]:
    """Go from artifacts to the tasks that made or read them, and on to what these read or made; of the last level only look."""
    up = column < 0
    near, far = ("OUTPUT", "TASK_OUTPUT_INPUT") if up else ("TASK_OUTPUT_INPUT", "OUTPUT")
    links = await _links(api, drawing, artifact_ids=level, type=near)
    if last or not links:
        return [], len(links)
    for link in links:
        key = _add_task(drawing, link, column)
        _join(drawing, f"artifact/{link['artifact_id']}", key, up=up)
    tasks = {(link["run_id"], link["task_id"]) for link in links}
    beyond = await _links(api, drawing, run_ids=[*{run for run, _ in tasks}], task_ids=[*{task for _, task in tasks}], type=far)
    found: list[str] = []
    for link in beyond:
        if (link["run_id"], link["task_id"]) not in tasks:
            continue
        known = f"artifact/{link['artifact_id']}" in drawing.nodes
        key = _add_artifact(drawing, link["artifact_id"], column + (-1 if up else 1))
        _join(drawing, _task_key(link), key, up=up)
        if not known:
            found.append(link["artifact_id"])
    return found, len(links)


async def _links(api: Api, drawing: Drawing, **asked: str | list[str]) -> list[dict[str, Any]]:
    answer = await api.get("/artifact_tasks", page_size=MOST, **asked)
    drawing.crowded = drawing.crowded or bool(answer.get("next_page_token"))
    return answer.get("artifact_tasks", [])


def _add_artifact(drawing: Drawing, artifact: str, column: int) -> str:
    key = f"artifact/{artifact}"
    drawing.nodes.setdefault(key, Node(key, "artifact", column, f"/artifacts/{quote(artifact, safe='')}", artifact[:8]))
    return key


def _task_key(link: Mapping[str, Any]) -> str:
    return f"task/{link['run_id']}/{link['task_id']}"


def _add_task(drawing: Drawing, link: Mapping[str, Any], column: int) -> str:
    key = _task_key(link)
    address = f"/runs/{quote(link['run_id'], safe='')}/tasks/{quote(link['task_id'], safe='')}"
    drawing.nodes.setdefault(key, Node(key, "task", column, address, link["task_id"].rpartition(".")[2], link["run_id"][:8]))
    return key


def _join(drawing: Drawing, near: str, far: str, *, up: bool) -> None:
    edge = (far, near) if up else (near, far)
    if edge not in drawing.edges:
        drawing.edges.append(edge)


async def _name(api: Api, drawing: Drawing) -> None:
    """Give artifacts their names and types, and tasks their runs' names; what may not be seen keeps its id."""
    ids = [key.partition("/")[2] for key, node in drawing.nodes.items() if node.kind == "artifact"]
    for each in await _told(api, "/artifacts", "artifacts", "artifact_id", ids):
        node = drawing.nodes[f"artifact/{each['artifact_id']}"]
        node.label = each.get("name") or node.label
        node.below = str(each.get("schema_title", "")).removeprefix("system.")
    runs = {key.split("/")[1] for key, node in drawing.nodes.items() if node.kind == "task"}
    names = {each["run_id"]: each.get("display_name", "") for each in await _told(api, "/runs", "runs", "id", runs)}
    for key, node in drawing.nodes.items():
        if node.kind == "task":
            node.below = names.get(key.split("/")[1]) or node.below


async def _told(api: Api, path: str, name: str, key: str, ids: Collection[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    wanted = sorted(ids)
    for start in range(0, len(wanted), 200):
        predicate = {"key": key, "operation": "IN", "string_values": {"values": wanted[start : start + 200]}}
        try:
            answer = await api.get(path, page_size=200, filter=filtered([predicate]))
        except ApiError:
            continue
        found += answer.get(name, [])
    return found


def _place(drawing: Drawing) -> None:
    """Put each column's boxes beside what they are joined to, in the order of these, from the middle outwards."""
    columns: dict[int, list[Node]] = {}
    for node in drawing.nodes.values():
        columns.setdefault(node.column, []).append(node)
    first, tallest = min(columns), max(len(column) for column in columns.values())
    drawing.height = tallest * (HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN
    drawing.width = len(columns) * (WIDTH + GAP_X) - GAP_X + 2 * MARGIN
    for number in sorted(columns, key=abs):
        column = columns[number]
        inner = number - (1 if number > 0 else -1)
        column.sort(key=lambda node: (_middle(drawing, node, inner), node.label, node.key))
        y = (drawing.height - len(column) * (HEIGHT + GAP_Y) + GAP_Y) / 2
        for node in column:
            node.x, node.y = MARGIN + (number - first) * (WIDTH + GAP_X), y
            y += HEIGHT + GAP_Y


def _middle(drawing: Drawing, node: Node, column: int) -> float:
    """The mean height of what a node is joined to in a column."""
    near = [*drawing.next_to(node.key, up=True), *drawing.next_to(node.key, up=False)]
    found = [each.y for each in near if each.column == column]
    return sum(found) / len(found) if found else 0.0


def _curve(one: Node, other: Node) -> str:
    x, y, to_x, to_y = one.x + WIDTH, one.y + HEIGHT / 2, other.x, other.y + HEIGHT / 2
    middle = (x + to_x) / 2
    return f"M{x:g} {y:g}C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}"
