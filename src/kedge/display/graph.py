"""A pipeline's graph: what of it is shown, and where everything stands.

A DAG's tasks are laid out in layers (`kedge.display.layers`). What contains others is a box around them while it is open, and
one box while it is folded: a pipeline in a pipeline, a branch, what has an exit handler, a loop, and a turn of a loop. A DAG that
has more tasks than anybody can look at is shown in bundles, which open too. However large the run, no more than `MOST` elements
are drawn.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import ceil, sqrt
from typing import Any, Literal

from kedge.display.folding import Folding
from kedge.display.layers import Point, lay_out, ranks
from kedge.display.wires import Blueprint

WIDTH, HEIGHT, MARGIN, TITLE = 184.0, 44.0, 16.0, 26.0
MOST = 2400
"""Elements of a drawing."""
COSTS: Mapping[str, int] = {"task": 5, "folded": 10, "more": 3}
_TASKS = 250  # of one DAG, without bundles
_TURNS = 24  # of a loop, on one page
Kind = Literal["task", "group", "loop", "turn", "bundle", "more"]
Turns = Mapping[str, Sequence[int]]
Arrow = tuple[str, str]
_Route = tuple[list[Point], list[Point]]  # what of it no other has, and all of it
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Box:
    """Something in the drawing.

    Attributes:
        path: Of a task its id; a bundle ends with ``~`` and its number, what leads to another page of a loop with ``:`` and the
            page's.
        label: The name people gave it.
        x: Left edge in pixels, within the drawing.
        y: Top edge.
        width: Of the box.
        height: Of the box.
        group: Whether it contains others.
        loop: Whether it runs once for each item.
        kind: What it is.
        folds: Whether it can be opened or folded.
        tasks: Of a bundle: the paths of what is in it.
    """

    path: str
    label: str
    x: float
    y: float
    width: float
    height: float
    group: bool
    loop: bool
    kind: Kind = "task"
    folds: bool = False
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawing:
    """Where everything is.

    Attributes:
        width: Pixels.
        height: Pixels.
        boxes: Outer ones before those they contain.
        edges: Pairs of paths: the second waits for the first.
        routes: Of each edge: the points that it goes through. What several share is in one of them alone.
        refused: Paths that were to be opened, for which there was no room.
        whole: Of each edge all of its points.
    """

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Arrow, ...]
    routes: tuple[tuple[Point, ...], ...] = ()
    refused: tuple[str, ...] = ()
    whole: tuple[tuple[Point, ...], ...] = ()

    @property
    def cost(self) -> int:
        """How many elements its boxes are."""
        return sum(COSTS["more" if box.kind == "more" else "folded" if box.folds else "task"] for box in self.boxes)


@dataclass(slots=True)
class _Item:
    """Something that may be shown, before it has a place."""

    path: str
    label: str
    kind: Kind
    inside: Callable[[], "_Inside"] | None = None
    tasks: tuple[str, ...] = ()
    shown: "_Inside | None" = None


@dataclass(frozen=True, slots=True)
class _Inside:
    items: Sequence[_Item]
    arrows: Sequence[tuple[int, int]]


def layout(pipeline: Json, folding: Folding | None = None, turns: Turns | None = None) -> Drawing:
    """Lay out a pipeline.

    Args:
        pipeline: PipelineSpec IR as plain JSON.
        folding: What is opened and closed. By itself what is no loop and no bundle is open, outer ones first, as far as there is
            room. ``None`` opens all, loops too.
        turns: The turns that each loop has had so far, by its path. ``None`` shows what a loop would do, once.
    """
    source = _Source(pipeline, folding or Folding(), turns)
    root = _Item("", "", "group", lambda: source.dag((pipeline.get("root") or {}), ""))
    refused = _opened(root, folding, loops=turns is None)
    boxes, edges, routes, width, height = _placed(root)
    parts, whole = (tuple(tuple(route[side]) for route in routes) for side in (0, 1))
    return Drawing(width, height, tuple(boxes), tuple(edges), parts, tuple(refused), whole)


def _opened(root: _Item, folding: Folding | None, *, loops: bool) -> list[str]:
    """Open what is to be open, as far as there is room; says what was asked for and stays folded.

    Args:
        root: The whole.
        folding: As for `layout`.
        loops: Whether they are open by themselves too.
    """
    room, refused, order = float(MOST if folding is not None else "inf"), list[str](), count()
    queue: list[tuple[int, int, _Item]] = [(0, next(order), root)]
    while queue:
        asked, _, item = heapq.heappop(queue)
        inside = item.inside() if item.inside is not None else _Inside((), ())
        cost = sum(COSTS[_looks(each)] for each in inside.items)
        if cost > room and item is not root:
            refused += [item.path] if asked == 0 else []
            continue
        room -= cost
        item.shown = inside
        for each in inside.items:
            if each.inside is None:
                continue
            default = each.kind == "group" or (loops and each.kind == "loop")
            if folding is None or folding.is_open(each.path, default=default):
                ahead = folding is not None and folding.asks(each.path)
                heapq.heappush(queue, (0 if ahead else 1, next(order), each))
    return refused


def _looks(item: _Item) -> str:
    return "more" if item.kind == "more" else "task" if item.inside is None else "folded"


class _Source:
    """What is in a pipeline.

    Args:
        pipeline: PipelineSpec IR.
        folding: Which page of a loop is shown.
        turns: Of loops.
    """

    def __init__(self, pipeline: Json, folding: Folding, turns: Turns | None) -> None:
        self._components: Json = pipeline.get("components") or {}
        self._folding = folding
        self._turns = turns

    def dag(self, component: Json, path: str) -> _Inside:
        """The tasks of a DAG, bundled where there are too many."""
        tasks: Json = (component.get("dag") or {}).get("tasks") or {}
        number = {name: index for index, name in enumerate(tasks)}
        arrows = [(number[other], number[name]) for name, task in tasks.items() for other in upstream(task) if other in number]
        items = [self._task(task, _join(path, name)) for name, task in tasks.items()]
        component_of = [str((task.get("componentRef") or {}).get("name")) for task in tasks.values()]
        return _bundled(_Inside(items, arrows), component_of, path)

    def _task(self, task: Json, path: str) -> _Item:
        component: Json = self._components.get(str((task.get("componentRef") or {}).get("name")), {})
        label = str((task.get("taskInfo") or {}).get("name") or path.rpartition(".")[2])
        if "parameterIterator" in task or "artifactIterator" in task:
            return _Item(path, label, "loop", lambda: self._loop(component, path, label))
        if "dag" in component:
            return _Item(path, label, "group", lambda: self.dag(component, path))
        return _Item(path, label, "task")

    def _loop(self, component: Json, path: str, label: str) -> _Inside:
        if self._turns is None:
            if "dag" in component:
                return self.dag(component, path)
            return _Inside([_Item(f"{path}.{label}", label, "task")], ())
        numbers = self._turns.get(path, ())
        pages = max(1, ceil(len(numbers) / _TURNS))
        page = min(self._folding.page(path), pages)
        items = [self._turn(component, f"{path}.{number}", number) for number in numbers[(page - 1) * _TURNS : page * _TURNS]]
        if page > 1:
            items.insert(0, _Item(f"{path}:{page - 1}", f"◂ {(page - 1) * _TURNS} before", "more"))
        if page < pages:
            items.append(_Item(f"{path}:{page + 1}", f"{len(numbers) - page * _TURNS} more ▸", "more"))
        return _Inside(items, ())

    def _turn(self, component: Json, path: str, number: int) -> _Item:
        """One turn; of a loop over one step, that step."""
        tasks: Json = (component.get("dag") or {}).get("tasks") or {}
        if "dag" not in component:
            return _Item(path, f"[{number}]", "task")
        if len(tasks) == 1:
            name, task = next(iter(tasks.items()))
            only = self._task(task, f"{path}.{name}")
            only.label = f"[{number}] {only.label}"
            return only
        return _Item(path, f"[{number}]", "turn", lambda: self.dag(component, path))


class Bundles:
    """The bundles that tasks of a pipeline are in while it runs, whatever is folded.

    Args:
        pipeline: PipelineSpec IR as plain JSON.
    """

    def __init__(self, pipeline: Json) -> None:
        self._blueprint = Blueprint(pipeline)
        self._source = _Source(pipeline, Folding(), {})
        self._known: dict[str, dict[str, list[Box]]] = {}

    def around(self, path: str) -> list[Box]:
        """Those that a task is in, from the outside in."""
        outer = path.rpartition(".")[0]
        if outer not in self._known:
            self._known[outer] = dict(self._in(outer))
        return self._known[outer].get(path, [])

    def _in(self, outer: str) -> dict[str, list[Box]]:
        found: dict[str, list[Box]] = defaultdict(list)
        component = self._blueprint.component(outer)
        tasks: Json = (component.get("dag") or {}).get("tasks") or {}
        queue = list(self._source.dag(component, outer).items) if len(tasks) > _TASKS else []
        for item in queue:  # grows while it is gone through
            if item.kind == "bundle" and item.inside is not None:
                for each in item.tasks:
                    found[each].append(_box(item)[0][0])
                queue.extend(item.inside().items)
        return found


def _bundled(inside: _Inside, component_of: Sequence[str], path: str) -> _Inside:
    """Show tasks that are too many in bundles."""
    if len(inside.items) <= _TASKS:
        return inside
    groups = _grouped(ranks(len(inside.items), inside.arrows), component_of)
    of: dict[int, int] = {}
    items: list[_Item] = []
    for number, members in enumerate(groups):
        of.update(dict.fromkeys(members, number))
        items.append(
            inside.items[members[0]] if len(members) == 1 else _bundle(inside, members, component_of, _join(path, f"~{number}"))
        )
    arrows = dict.fromkeys((of[start], of[end]) for start, end in inside.arrows if of[start] != of[end])
    return _Inside(items, list(arrows))


def _grouped(rank: Sequence[int], component_of: Sequence[str]) -> list[list[int]]:
    """Which of many tasks come into one bundle; no bundle waits for a later one."""
    order = sorted(range(len(rank)), key=rank.__getitem__)
    for way in (lambda index: (rank[index], component_of[index]), rank.__getitem__):
        groups: dict[object, list[int]] = {}
        for index in order:
            groups.setdefault(way(index), []).append(index)
        if 1 < len(groups) <= _TASKS:
            return list(groups.values())
    across = ceil(sqrt(len(order)))
    return [order[start : start + across] for start in range(0, len(order), across)]


def _bundle(inside: _Inside, members: Sequence[int], component_of: Sequence[str], path: str) -> _Item:
    place = {index: number for number, index in enumerate(members)}
    arrows = [(place[start], place[end]) for start, end in inside.arrows if start in place and end in place]
    items = [inside.items[index] for index in members]
    alike = len({component_of[index] for index in members}) == 1
    label = f"{len(items)} of {items[0].label}" if alike else f"{items[0].label} … {items[-1].label}"
    within = _Inside(items, arrows)
    return _Item(
        path,
        label,
        "bundle",
        lambda: _bundled(within, [component_of[index] for index in members], path),
        tuple(each.path for each in items),
    )


def _placed(item: _Item) -> tuple[list[Box], list[Arrow], list[_Route], float, float]:
    """Boxes, edges and their routes inside of something that is open, and how large it is with its margin."""
    assert item.shown is not None  # noqa: S101  # the caller has looked
    drawn = [_box(each) for each in item.shown.items]
    laid = lay_out([(boxes[0].width, boxes[0].height) for boxes, _, _ in drawn], item.shown.arrows)
    boxes: list[Box] = []
    edges: list[Arrow] = [(item.shown.items[a].path, item.shown.items[b].path) for a, b in item.shown.arrows]
    top = MARGIN + (TITLE if item.path else 0)
    routes = [_moved(route, MARGIN, top) for route in zip(laid.routes, laid.whole, strict=True)]
    for (found, inner, ways), (x, y) in zip(drawn, laid.places, strict=True):
        dx, dy = x + MARGIN, y + top
        boxes += [replace(box, x=box.x + dx, y=box.y + dy) for box in found]
        edges += inner
        routes += [_moved(way, dx, dy) for way in ways]
    width = max(laid.width, WIDTH if item.path else 0.0)
    return boxes, edges, routes, width + 2 * MARGIN, laid.height + top + MARGIN


def _moved(route: _Route, dx: float, dy: float) -> _Route:
    part, whole = ([(x + dx, y + dy) for x, y in points] for points in route)
    return part, whole


def _box(item: _Item) -> tuple[list[Box], list[Arrow], list[_Route]]:
    """Something at the origin, followed by what is in it, if that is shown."""
    loop = item.kind == "loop"
    if item.shown is None:
        box = Box(item.path, item.label, 0, 0, WIDTH, HEIGHT, group=False, loop=loop, kind=item.kind)
        return [replace(box, folds=item.inside is not None, tasks=item.tasks)], [], []
    boxes, edges, routes, width, height = _placed(item)
    box = Box(item.path, item.label, 0, 0, width, height, group=True, loop=loop, kind=item.kind, folds=True, tasks=item.tasks)
    return [box, *boxes], edges, routes


def upstream(task: Json) -> Iterator[str]:
    """The names of the tasks that a task of IR waits for."""
    seen: dict[str, None] = {str(name): None for name in task.get("dependentTasks") or ()}
    inputs: Json = task.get("inputs") or {}
    for values, key in (("parameters", "taskOutputParameter"), ("artifacts", "taskOutputArtifact")):
        for value in (inputs.get(values) or {}).values():
            if isinstance(value, Mapping) and key in value:
                seen[str(value[key].get("producerTask", ""))] = None
    yield from seen


def turns_of(tasks: Iterable[Json]) -> dict[str, list[int]]:
    """The turns that loops have had, of the tasks of a run as REST shows them."""
    found: dict[str, list[int]] = defaultdict(list)
    for task in tasks:
        if "iteration_index" in task:
            found[str(task["parent"])].append(int(task["iteration_index"]))
    return {path: sorted(numbers) for path, numbers in found.items()}


def page_of(numbers: Sequence[int], number: int) -> int:
    """The page of a loop that shows a turn, from 1.

    Args:
        numbers: Of the turns that there are, in order.
        number: One of them.
    """
    return numbers.index(number) // _TURNS + 1


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
