"""Boxes and arrows in layers, as Sugiyama and others draw directed graphs.

An arrow goes down. A box stands in the layer below the lowest of those that point to it; an arrow that is longer than a layer
goes through a lane of its own in each between, and arrows to or from one box share theirs. Within a layer boxes stand in the
order of the middles of their neighbours, and then as near to these as their widths let them: `_nearest` finds the best places.
Parts of a graph that nothing connects are laid out alone and put beside each other.

Everything is decided by the order in which boxes are given: the same graph is drawn the same.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, sqrt

GAP_X, GAP_Y = 22.0, 34.0
"""Pixels between boxes, and between layers."""
_LANE = 6.0  # pixels: how wide the lane of an arrow is
_ACROSS = 12  # boxes that stand in one layer, however small the graph is
_LONG = 20_000  # lanes in all; arrows that are longer still go straight
_SWEEPS = 6
_STRAIGHT = 1000.0  # how much more a lane's place counts than a box's
_ROW = 840.0  # pixels: parts that fit stand in one row
_SHAPE = 1.8  # width to height of parts that are put beside each other
Size = tuple[float, float]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Laid:
    """Where boxes stand.

    Attributes:
        places: Their left upper corners, in their order.
        routes: Of each arrow, in their order: the points that it goes through, from the lower side of a box to the upper of
            another. The part of a lane that several share is in one of them alone.
        whole: Of each arrow all of its points, those that it shares too.
        width: Of all.
        height: Likewise.
    """

    places: list[Point]
    routes: list[list[Point]]
    whole: list[list[Point]]
    width: float
    height: float


def lay_out(sizes: Sequence[Size], arrows: Sequence[tuple[int, int]]) -> Laid:
    """Lay out a graph.

    Args:
        sizes: Width and height of each box.
        arrows: From which to which. Those that close a circle go up.
    """
    places: list[Point] = [(0.0, 0.0)] * len(sizes)
    routes: list[list[Point]] = [[] for _ in arrows]
    whole: list[list[Point]] = [[] for _ in arrows]
    parts = _parts(len(sizes), arrows)
    drawn: list[tuple[list[int], list[int], Laid]] = []
    for boxes, inner in parts:
        number = {box: index for index, box in enumerate(boxes)}
        within = [(number[arrows[each][0]], number[arrows[each][1]]) for each in inner]
        drawn.append((boxes, inner, _connected([sizes[box] for box in boxes], within)))
    area = sum((laid.width + GAP_X) * (laid.height + GAP_Y) for _, _, laid in drawn)
    row = sum(laid.width + GAP_X for _, _, laid in drawn)
    across = max([sqrt(area * _SHAPE), min(row, _ROW), *(laid.width for _, _, laid in drawn)])
    left = top = high = wide = 0.0
    for boxes, inner, laid in drawn:
        if left and left + laid.width > across:
            left, top, high = 0.0, top + high + GAP_Y, 0.0
        for box, (x, y) in zip(boxes, laid.places, strict=True):
            places[box] = (x + left, y + top)
        for number, arrow in enumerate(inner):
            routes[arrow] = [(x + left, y + top) for x, y in laid.routes[number]]
            whole[arrow] = [(x + left, y + top) for x, y in laid.whole[number]]
        left, high = left + laid.width + GAP_X, max(high, laid.height)
        wide = max(wide, left - GAP_X)
    return Laid(places, routes, whole, wide, top + high)


def ranks(count: int, arrows: Iterable[tuple[int, int]]) -> list[int]:
    """The layer of each box: the length of the longest way to it. Those in circles come after all others."""
    after: list[list[int]] = [[] for _ in range(count)]
    waits = [0] * count
    for start, end in arrows:
        after[start].append(end)
        waits[end] += 1
    found = [0] * count
    ready = [box for box in range(count) if not waits[box]]
    for box in ready:  # grows while it is gone through
        for other in after[box]:
            found[other] = max(found[other], found[box] + 1)
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    last = max((found[box] for box in ready), default=-1) + 1
    for box in range(count):
        if waits[box]:
            found[box] = last
    return found


def _parts(count: int, arrows: Sequence[tuple[int, int]]) -> list[tuple[list[int], list[int]]]:
    """Boxes that arrows connect, and these arrows; in the order of the first box of each."""
    above = list(range(count))

    def top(box: int) -> int:
        while above[box] != box:
            above[box] = above[above[box]]
            box = above[box]
        return box

    for start, end in arrows:
        one, other = sorted((top(start), top(end)))
        above[other] = one
    found: dict[int, tuple[list[int], list[int]]] = {}
    for box in range(count):
        found.setdefault(top(box), ([], []))[0].append(box)
    for number, (start, _) in enumerate(arrows):
        found[top(start)][1].append(number)
    return list(found.values())


def _connected(sizes: Sequence[Size], arrows: Sequence[tuple[int, int]]) -> Laid:
    graph = _Layers(sizes, arrows)
    graph.arrange()
    graph.place()
    return graph.laid()


class _Layers:
    """One connected part: its boxes, numbered from 0, and then the lanes of its arrows."""

    def __init__(self, sizes: Sequence[Size], arrows: Sequence[tuple[int, int]]) -> None:
        self.sizes, self.arrows, self.count = sizes, arrows, len(sizes)
        self.widths = [width for width, _ in sizes]
        self.rank = _narrowed(ranks(len(sizes), arrows))
        self.above: list[list[int]] = [[] for _ in sizes]
        self.below: list[list[int]] = [[] for _ in sizes]
        self.whole: list[list[int]] = []
        self.ways = self._ways()
        self.layers: list[list[int]] = [[] for _ in range(max(self.rank, default=-1) + 1)]
        for box in self._by_depth():
            self.layers[self.rank[box]].append(box)
        self.x = [0.0] * len(self.rank)

    def _ways(self) -> list[list[int]]:
        """The boxes and lanes that each arrow goes through."""
        starts, ends = [0] * len(self.sizes), [0] * len(self.sizes)
        for start, end in self.arrows:
            starts[start] += 1
            ends[end] += 1
        lanes: dict[tuple[bool, int, int], int] = {}
        ways: list[list[int]] = [[start, end] for start, end in self.arrows]
        self.whole = [list(way) for way in ways]
        length = [self.rank[end] - self.rank[start] for start, end in self.arrows]
        for arrow in sorted(range(len(ways)), key=length.__getitem__):
            start, end = self.arrows[arrow]
            if length[arrow] < 1 or (length[arrow] > 1 and len(lanes) > _LONG):
                continue
            shared = ends[end] > starts[start]
            ways[arrow] = self._shared(lanes, end, start) if shared else self._sharing(lanes, start, end)
            between = range(self.rank[start] + 1, self.rank[end])
            self.whole[arrow] = [start, *(lanes[shared, end if shared else start, rank] for rank in between), end]
            for one, other in zip(ways[arrow], ways[arrow][1:], strict=False):
                self.below[one].append(other)
                self.above[other].append(one)
        return ways

    def _shared(self, lanes: dict[tuple[bool, int, int], int], end: int, start: int) -> list[int]:
        """From a box to the lane that leads to the other already, if one does."""
        way = [start]
        for rank in range(self.rank[start] + 1, self.rank[end]):
            if (key := (True, end, rank)) in lanes:
                return [*way, lanes[key]]
            lanes[key] = self._lane(rank)
            way.append(lanes[key])
        return [*way, end]

    def _sharing(self, lanes: dict[tuple[bool, int, int], int], start: int, end: int) -> list[int]:
        """From the lane that leads down from a box already, if one does, to the other."""
        way = [end]
        for rank in range(self.rank[end] - 1, self.rank[start], -1):
            if (key := (False, start, rank)) in lanes:
                return [lanes[key], *reversed(way)]
            lanes[key] = self._lane(rank)
            way.append(lanes[key])
        return [start, *reversed(way)]

    def _lane(self, rank: int) -> int:
        self.rank.append(rank)
        self.widths.append(_LANE)
        self.above.append([])
        self.below.append([])
        return len(self.rank) - 1

    def _by_depth(self) -> Iterable[int]:
        """All boxes and lanes, neighbours near each other: a first order that has few crossings."""
        seen = [False] * len(self.rank)
        for first in sorted(range(len(self.rank)), key=self.rank.__getitem__):
            stack = [first]
            while stack:
                box = stack.pop()
                if not seen[box]:
                    seen[box] = True
                    yield box
                    stack.extend(reversed(self.below[box]))

    # ---- the order within layers

    def arrange(self) -> None:
        """Put each layer into the order with the fewest crossings that some sweeps find."""
        best, fewest = [list(layer) for layer in self.layers], self._crossings()
        for sweep in range(_SWEEPS):
            if sweep > 1 and not fewest:
                break
            down = sweep % 2 == 0
            place = [0.0] * len(self.rank)
            for layer in self.layers if down else reversed(self.layers):
                for index, box in enumerate(layer):
                    place[box] = float(index)
                near = self.above if down else self.below
                middle = {box: _mean([place[each] for each in near[box]], place[box]) for box in layer}
                layer[:] = self._sorted(layer, middle)
                for index, box in enumerate(layer):
                    place[box] = float(index)
            if (count := self._crossings()) <= fewest:
                best, fewest = [list(layer) for layer in self.layers], count
        self.layers = best

    def _sorted(self, layer: list[int], middle: Mapping[int, float]) -> list[int]:
        """By the middles of their neighbours; of those with the same one lanes are in the midst, so that nothing is lopsided."""
        found: list[int] = []
        for _, group in groupby(sorted(layer, key=middle.__getitem__), middle.__getitem__):
            alike = list(group)
            boxes, lanes = [each for each in alike if each < self.count], [each for each in alike if each >= self.count]
            half = len(boxes) // 2
            found += [*boxes[:half], *lanes, *boxes[half:]] if boxes and lanes else alike
        return found

    def _crossings(self) -> int:
        found = 0
        for upper, lower in zip(self.layers, self.layers[1:], strict=False):
            place = {box: index for index, box in enumerate(lower)}
            ends: list[int] = []
            for box in upper:
                places = sorted(place[other] for other in self.below[box])
                found += sum(len(ends) - bisect_left(ends, each + 1) for each in places) if ends else 0
                for each in places:
                    insort(ends, each)
        return found

    # ---- coordinates

    def place(self) -> None:
        """Give each box and lane the middle that is nearest to its neighbours'."""
        for layer in self.layers:
            self._settle(layer, [0.0] * len(layer))
        for sweep in range(_SWEEPS):
            down = sweep % 2 == 0
            for layer in self.layers if down else reversed(self.layers):
                self._settle(layer, [self._wanted(box, (self.above if down else self.below)[box]) for box in layer])
        for layer in self.layers:
            self._settle(layer, [self._wanted(box, self.above[box] + self.below[box]) for box in layer])

    def _wanted(self, box: int, near: list[int]) -> float:
        """The middle of the neighbours; a lane goes straight on."""
        if box >= self.count:
            near = [each for each in near if each >= self.count] or near
        return _mean([self.x[each] for each in near], self.x[box])

    def _settle(self, layer: list[int], wanted: list[float]) -> None:
        middles = _nearest(
            wanted, [self.widths[box] for box in layer], [_STRAIGHT if box >= self.count else 1.0 for box in layer]
        )
        for box, middle in zip(layer, middles, strict=True):
            self.x[box] = middle

    def laid(self) -> Laid:
        """The result, from (0, 0) on."""
        left = min((self.x[box] - self.widths[box] / 2 for box in range(len(self.rank))), default=0.0)
        right = max((self.x[box] + self.widths[box] / 2 for box in range(len(self.rank))), default=0.0)
        tops, bottoms, y = list[float](), list[float](), 0.0
        for layer in self.layers:
            high = max((self.sizes[box][1] for box in layer if box < len(self.sizes)), default=0.0)
            tops.append(y)
            bottoms.append(y + high)
            y += high + GAP_Y
        places = [(self.x[box] - width / 2 - left, tops[self.rank[box]]) for box, (width, _) in enumerate(self.sizes)]
        routes, whole = ([self._route(way, left, tops, bottoms) for way in ways] for ways in (self.ways, self.whole))
        return Laid(places, routes, whole, right - left, max(0.0, y - GAP_Y))

    def _route(self, way: Sequence[int], left: float, tops: Sequence[float], bottoms: Sequence[float]) -> list[Point]:
        start, *lanes, end = way
        rank = self.rank[start]
        route = [(self.x[start] - left, bottoms[rank] if start >= self.count else tops[rank] + self.sizes[start][1])]
        for lane in lanes:
            route += [(self.x[lane] - left, tops[self.rank[lane]]), (self.x[lane] - left, bottoms[self.rank[lane]])]
        return [*route, (self.x[end] - left, tops[self.rank[end]])]


def _narrowed(found: list[int]) -> list[int]:
    """Layers that are too wide to be looked at become several."""
    across = max(_ACROSS, ceil(1.25 * sqrt(len(found))))
    layers: list[list[int]] = [[] for _ in range(max(found, default=-1) + 1)]
    for box, rank in enumerate(found):
        layers[rank].append(box)
    narrowed, base = [0] * len(found), 0
    for layer in layers:
        for index, box in enumerate(layer):
            narrowed[box] = base + index // across
        base += max(1, ceil(len(layer) / across))
    return narrowed


def _nearest(wanted: Sequence[float], widths: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The middles of boxes that stand in this order and do not touch, as near as can be to those that are wanted.

    Least squares: with what must be left of each box taken away, middles only must not decrease, and neighbours that would are
    pooled at the mean of what they want.

    Examples:
        >>> _nearest([0, 0], [10, 10], [1, 1])
        [-16.0, 16.0]
        >>> _nearest([0, 100], [10, 10], [1, 1])
        [0.0, 100.0]
    """
    offset, before = list[float](), 0.0
    for index, width in enumerate(widths):
        before += ((widths[index - 1] + width) / 2 + GAP_X) if index else 0.0
        offset.append(before)
    pools: list[tuple[float, float, int]] = []
    for index, (want, weight) in enumerate(zip(wanted, weights, strict=True)):
        total, weighs, count = (want - offset[index]) * weight, weight, 1
        while pools and pools[-1][0] * weighs >= total * pools[-1][1]:
            one, heavy, many = pools.pop()
            total, weighs, count = total + one, weighs + heavy, count + many
        pools.append((total, weighs, count))
    middles = [total / weighs for total, weighs, count in pools for _ in range(count)]
    return [middle + offset[index] for index, middle in enumerate(middles)]


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default
