"""What a rule may cost at worst, estimated before any object is there, as kube-apiserver estimates it (cel-go's cost model).

A unit is about 50 nanoseconds of kube-apiserver's. How long values may be follows from the schema (`Kind.most`), how often the
parts of loops are evaluated from what they run over. The estimate decides which definitions are taken, so it follows the original
in what looks odd too: fields of what a call gives, and variables of loops over such, are taken to be as large as the whole.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from kedge.kube.cel.checking import check, inside
from kedge.kube.cel.syntax import Node
from kedge.kube.cel.types import Kind

UNKNOWN = (1 << 64) - 1
Size = tuple[int, int]  # least and most
_TRAVERSAL, _PATTERN = 0.1, 0.25  # of a text for each character, of a pattern likewise
_LIST, _MAP = 10, 30
_ADDRESS: Size = (4, 16)
_FORMAT_PATTERN = 128
_SCALARS = frozenset({"bool", "double", "int", "uint", "google.protobuf.Duration", "google.protobuf.Timestamp"})
_SAME = frozenset({"net.IP", "net.CIDR", "kubernetes.Quantity", "kubernetes.Semver"})
_TEXTS = frozenset({"string", "bytes"})


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of a part of an expression.

    Attributes:
        cost: Units at most.
        kind: Its type.
        size: How long its value may be, where that is known.
        entry: How long what is in it may be, likewise.
        path: Where its value stands, from a variable.
        number: What it is, of a number that is written out.
    """

    cost: int
    kind: Kind
    size: Size | None = None
    entry: Size | None = None
    path: tuple[str, ...] = ()
    number: int | None = None

    @property
    def most(self) -> int:
        """The longest it can be."""
        return UNKNOWN if self.size is None else self.size[1]

    @property
    def least(self) -> int:
        """The shortest it can be."""
        return 0 if self.size is None else self.size[0]


def estimated(node: Node, root: Kind, names: Mapping[str, Kind]) -> int:
    """Units that an expression may cost at most.

    Args:
        node: The expression, which `check` takes.
        root: The type of ``self``, with the sizes that its schema allows.
        names: Types of all variables.
    """
    return _Estimator(root).of(node, names, {}).cost


def _sum(*costs: int) -> int:
    return min(UNKNOWN, sum(costs))


def _times(a: int, b: int) -> int:
    return min(UNKNOWN, a * b)


def _scaled(size: int, factor: float) -> int:
    found = math.ceil(float(size) * factor)
    return min(UNKNOWN, found)


def _union(a: Size | None, b: Size | None) -> Size:
    one, other = a or (0, UNKNOWN), b or (0, UNKNOWN)
    return min(one[0], other[0]), max(one[1], other[1])


class _Estimator:
    def __init__(self, root: Kind) -> None:
        self._root = root

    def of(self, node: Node, names: Mapping[str, Kind], local: Mapping[str, Estimate]) -> Estimate:
        """The estimate of a part; ``local`` are those of variables of its own."""
        found = getattr(self, f"_{node.kind}")(node, names, local)
        return found if found.size is not None else replace(found, size=self._size(found))

    def _size(self, found: Estimate) -> Size | None:
        if found.path:
            kind = self._at(found.path)
            if kind is not None:
                return 0, kind.most
        kind = found.kind
        while kind.name == "optional_type":
            kind = kind.parts[0]
        return (1, 1) if kind.name in _SCALARS else None

    def _at(self, path: Sequence[str]) -> Kind | None:
        """What the schema says of a place; its first step is a variable, whichever."""
        kind = self._root
        for step in path[1:]:
            if step in {"@items", "@values"} and kind.name in {"list", "map"}:
                kind = kind.parts[-1]
            elif step == "@keys" and kind.name == "map":
                kind = kind.parts[0]
            elif kind.fields is not None and step in kind.fields:
                kind = kind.fields[step]
            else:
                return None
        return kind

    # --- what is no call ----------------------------------------------------------------------------------------------------

    def _const(self, node: Node, names: Mapping[str, Kind], local: Mapping[str, Estimate]) -> Estimate:
        del local
        size = len(node.value) if isinstance(node.value, (str, bytes)) else 1
        number = node.value if isinstance(node.value, int) and not isinstance(node.value, bool) else None
        return Estimate(0, check(node, names), (size, size), number=number)

    def _name(self, node: Node, names: Mapping[str, Kind], local: Mapping[str, Estimate]) -> Estimate:
        name = str(node.value)
        if name in local:
            known = local[name]
            sized = self._size(replace(known, size=None))
            return replace(known, cost=1, size=sized if known.path and sized is not None else known.size)
        return Estimate(1, check(node, names), path=(name,))

    def _select(self, node: Node, names: Mapping[str, Kind], local: Mapping[str, Estimate]) -> Estimate:
        inner, kind = self.of(node.parts[0], names, local), check(node, names)
        if (node.flags and node.flags[0]) or inner.kind.name == "optional_type":
            return Estimate(_sum(inner.cost, 1), kind)
        own = 1 if inner.kind.name == "map" or inner.kind.fields is not None else 0
        return Estimate(_sum(inner.cost, own), kind, path=(*inner.path, str(node.value)))

    def _has(self, node: Node, names: Mapping[str, Kind], local: Mapping[str, Estimate]) -> Estimate:
        return Estimate(self.of(node.parts[0], names, local).cost, check(node, names))

    def _index(self, node: Node, names: Mapping[str, Kind], local: Mapping[str, Estimate]) -> Estimate:
        target, key = (self.of(each, names, local) for each in node.parts)
        cost, kind = _sum(1, target.cost, key.cost), check(node, names)
        if (node.flags and node.flags[0]) or target.kind.name == "optional_type":
            return Estimate(cost, kind)
        step = "@items" if target.kind.name == "list" else "@values"
        return Estimate(cost, kind, target.entry, path=(*target.path, step))

    def _list(self, node: Node, names: Mapping[str, Kind], local: Mapping[str, Estimate]) -> Estimate:
        items = [self.of(each, names, local) for each in node.parts]
        size = (len(items), len(items))
        return Estimate(_sum(_LIST, *(each.cost for each in items)), check(node, names), size, _entry(items))

    def _map(self, node: Node, names: Mapping[str, Kind], local: Mapping[str, Estimate]) -> Estimate:
        parts = [self.of(each, names, local) for each in node.parts]
        size = (len(parts) // 2, len(parts) // 2)
        return Estimate(_sum(_MAP, *(each.cost for each in parts)), check(node, names), size, _entry(parts[1::2]))

    def _loop(self, node: Node, names: Mapping[str, Kind], local: Mapping[str, Estimate]) -> Estimate:
        over, macro, kind = self.of(node.parts[0], names, local), str(node.value), check(node, names)
        inner = inside(node, over.kind, names)
        if macro in {"optMap", "optFlatMap"}:
            held = replace(over, kind=inner[node.flags[0]], size=None, entry=None, path=())
            rest = self.of(node.parts[1], inner, {**local, node.flags[0]: held})
            most = _sum(1, over.cost, _LIST, 1, over.cost, rest.cost, 1 if macro == "optMap" else 0)
            return Estimate(most, kind)
        steps = ["@indices" if over.kind.name == "list" else "@keys", "@items" if over.kind.name == "list" else "@values"]
        if len(node.flags) == 1:
            steps = [steps[1] if over.kind.name == "list" else steps[0]]
        each = {
            name: Estimate(1, inner[name], over.entry if step in {"@items", "@values"} else None, path=(*over.path, step))
            for name, step in zip(node.flags, steps, strict=True)
        }
        found = [self.of(part, inner, {**local, **each}) for part in node.parts[1:]]
        if macro == "filter":
            found.append(self.of(Node("name", node.at, node.flags[0]), inner, {**local, **each}))
        begin, step, end = _unfolded(macro, [part.cost for part in found])
        cost = _sum(over.cost, begin, end, _times(over.most, step))
        if macro in {"all", "exists", "exists_one", "existsOne"}:
            return Estimate(cost, kind, (1, 1))
        size = over.size if over.size is not None else (0, UNKNOWN)
        return Estimate(cost, kind, size, _union((0, 0), found[-1].size))

    # --- calls --------------------------------------------------------------------------------------------------------------

    def _call(self, node: Node, names: Mapping[str, Kind], local: Mapping[str, Estimate]) -> Estimate:
        name, parts, kind = str(node.value), list(node.parts), check(node, names)
        if "member" in node.flags and parts[0].kind == "name" and parts[0].value not in names:
            name, parts = f"{parts[0].value}.{name}", parts[1:]
        given = [self.of(each, names, local) for each in parts]
        costs = _sum(*(each.cost for each in given))
        if name == "dyn":
            return replace(given[0], cost=_sum(1, costs), kind=kind, path=())
        if name == "_?_:_":
            most = _sum(given[0].cost, max(given[1].cost, given[2].cost))
            entries = (given[1].entry, given[2].entry)
            entry = _union(*entries) if None not in entries else None
            return Estimate(most, kind, _union(given[1].size, given[2].size), entry)
        if name in {"_&&_", "_||_"}:
            return Estimate(costs, kind)
        if name in {"matches", "find", "findAll"} and "member" not in node.flags:
            return Estimate(_sum(1, costs), kind)
        own, size = _CALLS.get(name, _plain)(given)
        entry = _union(given[0].entry, given[1].entry) if name == "_+_" and given[0].entry and given[1].entry else None
        return Estimate(_sum(costs, own), kind, size, entry)


def _entry(items: Sequence[Estimate]) -> Size:
    if not items:
        return 0, 0
    return min(each.least for each in items), max(each.most for each in items)


def _unfolded(macro: str, costs: Sequence[int]) -> tuple[int, int, int]:
    """What a macro unfolds to costs at its beginning, at each step, and at its end."""
    test, last = costs[0] if len(costs) > 1 else 0, costs[-1]
    if macro in {"all", "exists"}:
        return 0, _sum(last, 3 if macro == "all" else 4), 1
    if macro in {"exists_one", "existsOne"}:
        return 0, _sum(last, 2), 2
    if macro == "filter":
        return _LIST, _sum(costs[0], 2, _LIST, last), 1
    if macro in {"map", "transformList"}:
        return _LIST, _sum(test, 2, _LIST, last), 1
    own = 3 if macro == "transformMap" else 2
    return _MAP, _sum(test, own, last), 1


Call = Callable[[Sequence[Estimate]], tuple[int, Size | None]]


def _plain(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    del given
    return 1, None


def _free(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    """As long as what stands before the dot, once through."""
    return _scaled(given[0].most, _TRAVERSAL), (given[0].least, given[0].most)


def _read(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    return _scaled(given[0].most, _TRAVERSAL), None


def _read_twice(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    return _scaled(given[0].most, 2 * _TRAVERSAL), None


def _equals(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    if given[0].kind == given[1].kind and given[0].kind.name in _SAME:
        return 1, None
    return _differs(given)


def _differs(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    return _scaled(min(given[0].most, given[1].most), _TRAVERSAL), None


def _orders(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    kinds = {each.kind.name for each in given}
    if kinds & _TEXTS:
        return _differs(given)
    return (max(1, _differs(given)[0]), None) if kinds == {"dyn"} else (1, None)


def _adds(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    kinds = {each.kind.name for each in given}
    size = (_sum(given[0].least, given[1].least), _sum(given[0].most, given[1].most))
    if kinds & _TEXTS or kinds == {"dyn"}:
        return _scaled(size[1], _TRAVERSAL), size
    return 1, size if "list" in kinds else None


def _among(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    return (1, None) if given[1].kind.name == "map" else (given[1].most, None)


def _matches(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    return _times(_scaled(_sum(given[0].most, 1), _TRAVERSAL), _scaled(given[1].most, _PATTERN)), None


def _finds(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    return _matches(given)[0], (0, given[0].most)


def _contains(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    return _times(_scaled(given[0].most, _TRAVERSAL), _scaled(given[1].most, _TRAVERSAL)), None


def _begins(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    return _scaled(given[1].most, _TRAVERSAL), None


def _of_lists(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    target = given[0]
    if target.kind.name != "list":
        return _scaled(target.most, _TRAVERSAL), None
    item = target.kind.parts[0]
    return _times(target.most, _sum(1, _scaled(_item_size(target), _TRAVERSAL) if item.name in _TEXTS else 0)), None


def _item_size(target: Estimate) -> int:
    return target.kind.parts[0].most if target.path else UNKNOWN


def _replaces(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    text, old, new = given[:3]
    if old.least == 0:
        size = _sum(_times(_sum(text.most, 1), new.most), text.most)
    elif new.most <= old.least:
        size = text.most
    else:
        size = _times(math.ceil(text.most / old.least), new.most)
    return _scaled(text.most, 2 * _TRAVERSAL), (0, size)


def _splits(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    most = given[2].number if len(given) > 2 and given[2].number is not None else given[0].most
    return _scaled(given[0].most, 2 * _TRAVERSAL), (0, most & UNKNOWN)


def _of_sets(factor: int) -> Call:
    return lambda given: (_sum(_scaled(_times(given[0].most, given[1].most), factor), 1), None)


def _made(size: int) -> tuple[int, Size | None]:
    """A list of so many items that is made."""
    return _sum(size, 1, _LIST), (size, size)


def _ranges(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    return _made(UNKNOWN if given[0].number is None else max(0, given[0].number))


def _slices(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    start, end = given[1].number or 0, given[0].most if given[2].number is None else given[2].number
    return _made((end - start) & UNKNOWN)


def _flattens(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    depth = 1 if len(given) == 1 else UNKNOWN if given[1].number is None else given[1].number
    return _scaled(given[0].most, depth) + 1 + _LIST, given[0].size


def _reverses(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    return _sum(given[0].most, 1, _LIST), given[0].size


def _squares(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    """Each item is compared with each."""
    item = given[0].kind.parts[0] if given[0].kind.parts else given[0].kind
    factor = 2 + (_TRAVERSAL if item.name in _TEXTS else 0)
    squared = (_times(given[0].least, given[0].least), _times(given[0].most, given[0].most))
    return _sum(_scaled(squared[1], factor), 1, _LIST), squared


def _distinct(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    squared = (_times(given[0].least, given[0].least), _times(given[0].most, given[0].most))
    return _sum(_scaled(squared[1], 2), 1, _LIST), squared


def _joins(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    size = _times(given[0].most, _item_size(given[0]))
    if len(given) > 1:
        size = _sum(size, _times(given[1].most, max(0, given[0].most - 1)))
    return _scaled(size, _TRAVERSAL), (0, size)


def _as_bytes(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    if given[0].kind.name != "string":
        return 1, None
    return _scaled(given[0].most, _TRAVERSAL), (given[0].least, _times(given[0].most, 4))


def _as_text(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    if given[0].kind.name != "bytes":
        return 1, None
    return _scaled(given[0].most, _TRAVERSAL), (given[0].least // 4, given[0].most)


def _quotes(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    return _scaled(given[0].most, _TRAVERSAL), (_sum(given[0].least, 2), _sum(_times(given[0].most, 2), 2))


def _address(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    return (1, None) if given[0].kind.name == "net.CIDR" else _read(given)


def _holds_address(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    read = _scaled(given[1].most, _TRAVERSAL) if given[1].kind.name == "string" else 0
    return _sum(_scaled(2 * _ADDRESS[1], _TRAVERSAL), read), None


def _holds_network(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    return _sum(_holds_address(given)[0], _scaled(_ADDRESS[1], _TRAVERSAL), 1), None


def _validates(given: Sequence[Estimate]) -> tuple[int, Size | None]:
    return _scaled(_scaled(given[1].most, _TRAVERSAL), _FORMAT_PATTERN * _PATTERN), None


_CALLS: Mapping[str, Call] = {
    "_==_": _equals,
    "_!=_": _differs,
    **dict.fromkeys(("_<_", "_<=_", "_>_", "_>=_"), _orders),
    "_+_": _adds,
    "@in": _among,
    "matches": _matches,
    "find": _finds,
    "findAll": _finds,
    "contains": _contains,
    **dict.fromkeys(("startsWith", "endsWith"), _begins),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _of_lists),
    **dict.fromkeys(("url", "lowerAscii", "upperAscii", "substring", "trim"), _free),
    **dict.fromkeys(("sets.contains", "sets.intersects"), _of_sets(1)),
    "sets.equivalent": _of_sets(2),
    "lists.range": _ranges,
    "slice": _slices,
    "flatten": _flattens,
    "reverse": _reverses,
    "sort": _squares,
    "distinct": _distinct,
    "replace": _replaces,
    "split": _splits,
    "join": _joins,
    "bytes": _as_bytes,
    "string": _as_text,
    "strings.quote": _quotes,
    **dict.fromkeys(("format", "cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _read),
    "ip": _address,
    "ip.isCanonical": _read_twice,
    "containsIP": _holds_address,
    "containsCIDR": _holds_network,
    "validate": _validates,
}
