"""Definitions whose rules cost more or less, for `test_costs`: each rule with schemas that bound values or not, in lists."""

import copy
from collections.abc import Iterator
from typing import Any

Obj = dict[str, Any]

_TEXT: Obj = {"type": "string"}
TIMES = (1, 100_000, 20_000_000, 4_000_000_000)
"""How many of the parts with the rule an object may have."""
BOUNDS = {"free": None, "small": (10, 10), "large": (1000, 100)}
"""Items and characters that values may have at most."""


def _array(items: Obj, **more: Any) -> Obj:
    return {"type": "array", "items": items, **more}


def _struct(**properties: Obj) -> Obj:
    return {"type": "object", "properties": properties}


def _map(values: Obj) -> Obj:
    return {"type": "object", "additionalProperties": values}


SCHEMA = _struct(
    a=_TEXT,
    b=_TEXT,
    n={"type": "integer"},
    l=_array(_TEXT),
    li=_array({"type": "integer"}),
    o=_array(_struct(name=_TEXT, v={"type": "integer"})),
    m=_map(_TEXT),
    mm=_map(_array(_TEXT)),
    e={"type": "string", "enum": ["a", "bcd"]},
    d={"type": "string", "format": "date-time"},
    du={"type": "string", "format": "duration"},
    by={"type": "string", "format": "byte"},
    ios={"x-kubernetes-int-or-string": True},
    f={"type": "number"},
    t={"type": "boolean"},
    ll=_array(_array(_TEXT)),
    opt=_struct(x=_TEXT),
    ml=_array(
        {**_struct(k=_TEXT, v=_TEXT), "required": ["k"]},
        **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
    ),
)
RULES = (
    "self.a == self.b",
    "self.a != 'x'",
    "self.n == 1",
    "self.a.contains(self.b)",
    "self.a.startsWith('abc')",
    "self.a.startsWith(self.b)",
    "self.a.matches('^[a-z]+$')",
    "self.l.all(x, x != '')",
    "self.l.all(x, x.matches('a+b'))",
    "self.l.exists(x, x == self.a)",
    "self.l.all(x, self.l.exists(y, x == y))",
    "self.li.all(x, x > 0)",
    "self.li.sum() > 3",
    "self.o.all(x, x.v > 0)",
    "self.o.all(x, x.name.size() < 3)",
    "self.o.exists_one(x, x.v == 1)",
    "self.o.map(x, x.name).exists(n, n == 'a')",
    "self.o.filter(x, x.v > 1).size() < 3",
    "self.o.map(x, x.v > 1, x.name).size() < 3",
    "self.m.all(k, self.m[k] != '')",
    "self.m.all(k, k.startsWith('x'))",
    "'a' in self.m",
    "'a' in self.l",
    "self.a in ['x','y','z']",
    "self.e == 'a'",
    "self.e == self.a",
    "self.d > timestamp('2020-01-01T00:00:00Z')",
    "self.d == self.d",
    "self.du < duration('1h')",
    "self.by == b'abc'",
    "size(self.by) < 4",
    "has(self.a) && self.a != ''",
    "!has(self.opt.x) || self.opt.x.size() > 1",
    "self.a.lowerAscii() == self.b.lowerAscii()",
    "self.a.split(',').size() < 4",
    "self.a.split(',').all(x, x != '')",
    "self.a.replace('a','bb') == 'x'",
    "self.a.replace('','bb') == 'x'",
    "(self.a + self.b).size() < 3",
    "self.a + self.b == 'xy'",
    "self.l + self.l == self.l",
    "self.l.join(',') == 'a'",
    "self.l.isSorted()",
    "self.l.indexOf('a') == 1",
    "self.ios == 1",
    "type(self.ios) == int ? self.ios < 5 : self.ios == 'x'",
    "string(self.n) == self.a",
    "int(self.a) > 3",
    "quantity(self.a).isGreaterThan(quantity('1Gi'))",
    "isQuantity(self.a)",
    "url(self.a).getHost() == 'x'",
    "isURL(self.a)",
    "ip(self.a).family() == 4",
    "isIP(self.a)",
    "cidr(self.a).containsIP('10.0.0.1')",
    "cidr(self.a).containsIP(self.b)",
    "cidr(self.a).containsCIDR(self.b)",
    "self.a.find('[0-9]+') == '1'",
    "self.a.findAll('[0-9]+').size() > 1",
    "self.n in [1,2,3]",
    "self.ll.all(x, x.all(y, y != ''))",
    "self.ll.all(x, x.size() < 3)",
    "self.mm.all(k, self.mm[k].all(x, x == k))",
    "self.ml.all(x, x.v != '')",
    "self.ml == self.ml",
    "self.o == self.o",
    "self.m == self.m",
    "self.opt == self.opt",
    "self.?a.orValue('x') == 'y'",
    "self.a.substring(1).trim() == 'x'",
    "'%s' .format([self.a]) == 'x'",
    "self.a < self.b",
    "self.n < 3 ? self.a == 'x' : self.b == 'y'",
    "self.t",
    "!self.t || self.f > 1.5",
    "self.l.map(x, x + 'a').all(y, y.size() > 1)",
    "self.l.map(x, [x]).size() == 1",
    "self.l.filter(x, x.contains('a')).all(x, x == 'a')",
    "{'a': self.a}.a == 'x'",
    "[self.a, self.b].all(x, x != '')",
    "self.a.charAt(0) == 'x'",
    "self.l[0] == 'x'",
    "self.o[0].name == self.a",
    "self.m['x'] == self.a",
    "semver(self.a).isLessThan(semver('1.0.0'))",
    "format.dns1123Label().validate(self.a).hasValue()",
    "self.l.exists(x, self.m.exists(k, k == x))",
    "self.o.all(x, self.o.all(y, x.name == y.name && x.v == y.v))",
    "oldSelf.a == self.a",
    "self == oldSelf",
    "self.l.all(i, x, i > 0 || x != '')",
    "self.l.transformList(i, x, x).size() == 1",
    "self.m.transformMap(k, v, v).size() == 1",
    "dyn(self.a) == 'x'",
    "self.a.size() > 3",
    "self.l.size() > 3",
    "strings.quote(self.a) == 'x'",
    "string(self.by) == self.a",
    "bytes(self.a) == self.by",
    "sets.contains(self.l, ['a'])",
    "self.l.max() == 'x'",
    "self.li.max() == 3",
    "sets.equivalent(self.l, self.l)",
    "sets.intersects(self.l, ['a','b'])",
    "self.l.distinct().size() == 1",
    "self.l.sort().size() == 1",
    "self.li.sort().size() == 1",
    "self.l.reverse().all(x, x == 'a')",
    "self.ll.flatten().size() > 1",
    "self.ll.flatten(2).size() > 1",
    "self.l.slice(0,3).size() == 3",
    "self.l.slice(1,2).all(x, x == 'a')",
    "lists.range(3).all(x, x < 3)",
    "lists.range(self.n).all(x, x < 3)",
    "self.a.split(',', 3).all(x, x != '')",
)


def _bounded(schema: Obj, items: int, characters: int) -> Obj:
    made = copy.deepcopy(schema)
    if made.get("type") == "string" and "format" not in made and "enum" not in made:
        made["maxLength"] = characters
    if "items" in made:
        made |= {"maxItems": items, "items": _bounded(made["items"], items, characters)}
    if "additionalProperties" in made:
        made |= {"maxProperties": items, "additionalProperties": _bounded(made["additionalProperties"], items, characters)}
    if "properties" in made:
        made["properties"] = {key: _bounded(each, items, characters) for key, each in made["properties"].items()}
    return made


def cases(rule: str) -> Iterator[tuple[str, Obj]]:
    """By name, schemas of whole objects that have the rule."""
    for name, bounds in BOUNDS.items():
        schema = SCHEMA if bounds is None else _bounded(SCHEMA, *bounds)
        for times in TIMES:
            if times > 1 and "oldSelf" in rule:
                continue  # not allowed in lists without keys
            spec = {**schema, "x-kubernetes-validations": [{"rule": rule}]}
            spec = spec if times == 1 else _struct(outer=_array(spec, maxItems=times))
            yield f"{name} {times}", _struct(spec=spec)
