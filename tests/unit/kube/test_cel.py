"""Rules in CEL: what each expression is for one object, and what is said of those that have no meaning."""

from typing import Any

import pytest

from kedge.kube.cel.checking import check
from kedge.kube.cel.evaluating import Budget, OutOfBudget, evaluate
from kedge.kube.cel.syntax import CelError, parse
from kedge.kube.cel.types import type_of
from kedge.kube.cel.values import EvaluationError
from kedge.kube.structural import cel


def text(**rules: Any) -> dict[str, Any]:
    return {"type": "string", **rules}


def number() -> dict[str, Any]:
    return {"type": "integer"}


def struct(properties: dict[str, Any] | None = None, **rules: Any) -> dict[str, Any]:
    return {"type": "object", **({"properties": properties} if properties is not None else {}), **rules}


def array(items: dict[str, Any], **rules: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **rules}


SPEC = struct(
    {
        "s": text(),
        "empty": text(),
        "n": number(),
        "x": {"type": "number"},
        "on": {"type": "boolean"},
        "port": {"x-kubernetes-int-or-string": True},
        "named": {"x-kubernetes-int-or-string": True},
        "l": array(number()),
        "words": array(text()),
        "set": array(text(), **{"x-kubernetes-list-type": "set"}),
        "map": {"type": "object", "additionalProperties": text()},
        "pairs": array(
            struct({"k": text(), "v": number()}, required=["k"]),
            maxItems=6,
            **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
        ),
        "inner": struct({"a": number(), "b-c": text(), "in": text(), "x__y": text()}),
        "nothing": text(nullable=True),
        "when": text(format="date-time"),
        "day": text(format="date"),
        "long": text(format="duration"),
        "data": text(format="byte"),
        "free": struct(None, **{"x-kubernetes-preserve-unknown-fields": True}),
        "amount": text(),
        "link": text(),
        "address": text(),
    },
)
OBJECT: dict[str, Any] = {
    "s": "hello World",
    "empty": "",
    "n": 7,
    "x": 2.5,
    "on": True,
    "port": 80,
    "named": "http",
    "l": [1, 2, 2, 5],
    "words": ["b", "a", "c"],
    "set": ["x", "y"],
    "map": {"one": "1", "two": "2"},
    "pairs": [{"k": "a", "v": 1}, {"k": "b"}],
    "inner": {"a": 3, "b-c": "bc", "in": "in", "x__y": "xy"},
    "when": "2026-01-02T03:04:05Z",
    "day": "2026-01-02",
    "long": "1h30m",
    "data": "aGk=",
    "free": {"anything": 1, "deep": {"er": "x"}},
    "amount": "1500Mi",
    "link": "https://user@example.com:8080/a/b?q=1&q=2#f",
    "address": "10.1.2.3",
}
TRUE = [
    # the language
    "true",
    "1 + 2 * 3 == 7",
    "(1 + 2) * 3 == 9",
    "7 / 2 == 3 && -7 / 2 == -3 && -7 % 2 == -1",
    "7.0 / 2.0 == 3.5",
    "1u + 2u == 3u",
    "1 == 1u",
    "1 == 1.0",
    "1 < 1.5 && 2u > 1",
    "0x10 == 16",
    "1e3 == 1000.0",
    "'a' + \"b\" == 'ab'",
    "r'\\d' == '\\\\d'",
    "'\\u00e9'.size() == 1 && 'é' == '\\u00e9'",
    "b'abc' == bytes('abc')",
    "'''a'b''' == \"a'b\"",
    "true ? 1 == 1 : false",
    "!false && !(true && false)",
    "-self.n == -7",
    "1 / 0 == 1 || true",
    "true || 1 / 0 == 1",
    "[1, 2] + [3] == [1, 2, 3]",
    "[1, 2][1] == 2",
    "{'a': 1}['a'] == 1",
    "'a' in {'a': 1} && !('b' in {'a': 1})",
    "2 in [1, 2] && !(3 in [1, 2])",
    "size([1, 2]) == 2 && [1].size() == 1 && size('abc') == 3 && size({}) == 0",
    "type(1) == int && type('') == string && type(1.0) == double && type(true) == bool && type(1u) == uint",
    "type([]) == list && type({}) == map && type(null) == null_type && type(type(1)) == type",
    "int('7') == 7 && int(7.9) == 7 && int(-7.9) == -7 && uint(7) == 7u && double(1) == 1.0 && string(1) == '1'",
    "string(1.5) == '1.5' && string(true) == 'true' && string(b'a') == 'a' && bool('true')",
    "double('1.5') == 1.5 && string(2.0) == '2' && string(1e100) == '1e+100'",
    "dyn(1) == dyn(1.0)",
    "-9223372036854775808 < 0",
    "'abc' < 'abd' && 'Z' < 'a' && '' < 'a'",
    "false < true",
    "b'a' < b'b'",
    "null == null",
    # fields
    "has(self.s) && !has(self.nothing)",
    "has(self.inner.a) && self.inner.a == 3",
    "self.inner.b__dash__c == 'bc'",
    "self.inner.__in__ == 'in'",
    "self.inner.x__underscores__y == 'xy'",
    "!has(self.nothing) || self.nothing == 'x'",
    "self.port == 80",
    "self.named == 'http'",
    "type(self.port) == int && type(self.named) == string",
    "self.port == 'x' || self.port > 79",
    "self.x == 2.5 && type(self.x) == double",
    "self.on",
    "self.map.one == '1' && self.map['two'] == '2' && 'one' in self.map && self.map.size() == 2",
    "self.map.all(k, k.size() == 3)",
    "self.map.exists(k, self.map[k] == '2')",
    "self.set == ['y', 'x']",
    "self.pairs.all(p, has(p.k)) && self.pairs.exists_one(p, has(p.v))",
    "self.pairs[0].k == 'a'",
    # macros
    "self.l.all(i, i > 0)",
    "self.l.exists(i, i > 4)",
    "self.l.map(i, i * 2) == [2, 4, 4, 10]",
    "self.l.map(i, i > 1, i * 2) == [4, 4, 10]",
    "self.l.filter(i, i == 2) == [2, 2]",
    "[0, 1].exists(i, 1 / i == 1)",
    "[].all(i, false) && ![].exists(i, true)",
    "self.l.all(i, v, i < 4 && v > 0)",
    "self.map.exists(k, v, k == 'one' && v == '1')",
    "self.l.transformList(i, v, v + i) == [1, 3, 4, 8]",
    "self.map.transformMap(k, v, v + '!') == {'one': '1!', 'two': '2!'}",
    # texts
    "self.s.startsWith('hello') && self.s.endsWith('World') && self.s.contains('lo W')",
    "self.s.matches('^h.*d$') && matches(self.s, 'World') && !self.s.matches('^World')",
    "self.s.charAt(1) == 'e' && self.s.charAt(11) == ''",
    "self.s.indexOf('o') == 4 && self.s.lastIndexOf('o') == 7 && self.s.indexOf('z') == -1 && self.s.indexOf('o', 5) == 7",
    "self.s.lowerAscii() == 'hello world' && self.s.upperAscii() == 'HELLO WORLD'",
    "self.s.replace('o', '0') == 'hell0 W0rld' && self.s.replace('o', '0', 1) == 'hell0 World'",
    "self.s.split(' ') == ['hello', 'World'] && 'a,b,c'.split(',', 2) == ['a', 'b,c']",
    "self.s.substring(6) == 'World' && self.s.substring(0, 5) == 'hello'",
    "'  a b '.trim() == 'a b'",
    "['a', 'b'].join() == 'ab' && ['a', 'b'].join('-') == 'a-b'",
    "'%s %d %.2f %x'.format(['a', 5, 1.5, 255]) == 'a 5 1.50 ff'",
    "strings.quote('a\"b') == '\"a\\\\\"b\"'",
    "'abc'.reverse() == 'cba'",
    "self.s.find('[A-Z]') == 'W' && self.s.find('[0-9]') == ''",
    "self.s.findAll('o') == ['o', 'o'] && self.s.findAll('l', 2) == ['l', 'l']",
    # lists
    "self.l.isSorted() && !self.words.isSorted()",
    "self.l.sum() == 10 && [1.5, 2.5].sum() == 4.0 && [duration('1s'), duration('2s')].sum() == duration('3s')",
    "self.l.min() == 1 && self.l.max() == 5 && self.words.max() == 'c'",
    "self.l.indexOf(2) == 1 && self.l.lastIndexOf(2) == 2 && self.l.indexOf(9) == -1",
    "sets.contains(self.l, [1, 5]) && sets.intersects(self.l, [5, 6]) && sets.equivalent([1, 1, 2], [2, 1])",
    "[1, [2, 3]].flatten() == [1, 2, 3]",
    "[3, 1, 2].sort() == [1, 2, 3] && [1, 2, 3].slice(1, 3) == [2, 3] && [1, 2].reverse() == [2, 1]",
    "[1, 1, 2].distinct() == [1, 2] && lists.range(3) == [0, 1, 2]",
    # times
    "self.when == timestamp('2026-01-02T03:04:05Z') && self.when.getFullYear() == 2026 && self.when.getMonth() == 0",
    (
        "self.when.getDate() == 2 && self.when.getDayOfMonth() == 1 && self.when.getDayOfWeek() == 5 && "
        "self.when.getDayOfYear() == 1"
    ),
    (
        "self.when.getHours() == 3 && self.when.getMinutes() == 4 && self.when.getSeconds() == 5 && "
        "self.when.getMilliseconds() == 0"
    ),
    "self.day < self.when && self.when - self.day < duration('4h')",
    "self.when + duration('1h') == timestamp('2026-01-02T04:04:05Z')",
    "self.long == duration('90m') && self.long.getHours() == 1 && self.long.getMinutes() == 90",
    "self.long > duration('1h') && self.long + duration('30m') == duration('2h')",
    "string(duration('90s')) == '90s' && string(self.when) == '2026-01-02T03:04:05Z'",
    "self.when.getHours('America/New_York') == 22",
    "self.data == b'hi' && self.data.size() == 2",
    # optional values
    "self.?s.hasValue() && !self.?nothing.hasValue()",
    "self.?nothing.orValue('x') == 'x' && self.?s.orValue('x') == 'hello World'",
    "self.?inner.?a.value() == 3",
    "self.map[?'three'].orValue('3') == '3' && self.l[?9].orValue(0) == 0",
    "optional.of(1).value() == 1 && !optional.none().hasValue() && optional.ofNonZeroValue(0).orValue(5) == 5",
    "optional.of(1).optMap(x, x + 1).value() == 2",
    "[?self.?nothing, 'a'] == ['a'] && {?'k': self.?nothing} == {}",
    # libraries of Kubernetes
    "isURL(self.link) && url(self.link).getScheme() == 'https' && url(self.link).getHost() == 'example.com:8080'",
    "url(self.link).getHostname() == 'example.com' && url(self.link).getPort() == '8080'",
    "url(self.link).getEscapedPath() == '/a/b' && url(self.link).getQuery() == {'q': ['1', '2']}",
    "!isURL('a b') && !isURL('../x')",
    "isQuantity(self.amount) && quantity(self.amount).isGreaterThan(quantity('1Gi')) && !isQuantity('1zz')",
    (
        "quantity('1k').compareTo(quantity('1000')) == 0 && quantity('1').asInteger() == 1 && "
        "quantity('1.5').asApproximateFloat() == 1.5"
    ),
    ("quantity('1').add(quantity('2')) == quantity('3') && quantity('3').sub(1) == quantity('2') && quantity('-1').sign() == -1"),
    "quantity('1.5').isInteger() || quantity('1').isLessThan(quantity('2'))",
    "isIP(self.address) && ip(self.address).family() == 4 && ip('::1').isLoopback() && !isIP('1.2.3')",
    "cidr('10.0.0.0/8').containsIP(self.address) && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
    "cidr('10.0.0.0/8').prefixLength() == 8 && isCIDR('10.0.0.0/8') && ip.isCanonical('127.0.0.1')",
    "!format.dns1123Label().validate('good-name').hasValue()",
    "format.dns1123Label().validate('Not Good').hasValue()",
    "format.named('uuid').hasValue() && !format.named('none').hasValue()",
    "isSemver('1.2.3') && semver('1.2.3').major() == 1 && semver('1.2.3').isLessThan(semver('1.10.0'))",
    "semver('1.2.3').compareTo(semver('1.2.3')) == 0 && !isSemver('v1.2')",
]


FALSE = ["false", "false && 1 / 0 == 1", "self.words == ['a', 'b', 'c']", "self.l.exists_one(i, i == 2)"]
FAILS = {
    "1 / 0 == 1": "division by zero",
    "self.l.all(i, i / 0 == 1)": "division by zero",
    "[1, 2][5] == 2": "index out of bounds: 5",
    "{'a': 1}['b'] == 1": "no such key: b",
    "9223372036854775807 + 1 > 0": "integer overflow",
    "int(9.3e18) > 0": "integer overflow",
    "self.nothing == 'x'": "no such key: nothing",
    "self.named > 1": "no such overload",
    "self.s.substring(20) == ''": "index out of range: 20",
}
MEANINGLESS = {
    "self.": "1:6: Syntax error",
    "self.s >": "1:9: Syntax error: mismatched input '<EOF>' expecting {'['",
    "'a": "1:1: Syntax error: token recognition error at: ''a'",
    "1 2": "1:3: Syntax error: mismatched input '2' expecting <EOF>",
    "other.a": "1:1: undeclared reference to 'other' (in container '')",
    "self.free.anything == 1": "1:10: undefined field 'anything'",
    "self.s.shout()": "1:13: undeclared reference to 'shout' (in container '')",
    "self.s > 1": "1:8: found no matching overload for '_>_' applied to '(string, int)'",
    "self.words.sum() == 1": "1:15: found no matching overload for 'sum' applied to 'list(string).()'",
    "[1, 2] == [1.0, 2.0]": "1:8: found no matching overload for '_==_' applied to '(list(int), list(double))'",
    "self['s'] == 'x'": "1:5: found no matching overload for '_[_]' applied to '(object, string)'",
    "1 == 1 ? 1 : 'a'": "1:8: found no matching overload for '_?_:_' applied to '(bool, int, string)'",
    "has(self)": "1:4: invalid argument to has() macro",
    "self.n.all(i, true)": "cannot be range of a comprehension",
}


def value(rule: str, steps: int = 100_000) -> Any:
    tree = parse(rule)
    assert check(tree, {"self": type_of(SPEC)}).name in {"bool", "dyn"}
    return evaluate(tree, {"self": cel.value(SPEC, OBJECT)}, Budget(steps))


@pytest.mark.parametrize("rule", TRUE)
def test_a_rule_holds(rule: str) -> None:
    assert value(rule) is True


@pytest.mark.parametrize("rule", FALSE)
def test_a_rule_does_not_hold(rule: str) -> None:
    assert value(rule) is False


@pytest.mark.parametrize("rule", FAILS)
def test_a_rule_has_no_value(rule: str) -> None:
    with pytest.raises(EvaluationError) as told:
        value(rule)
    assert str(told.value) == FAILS[rule]


@pytest.mark.parametrize("rule", MEANINGLESS)
def test_a_rule_has_no_meaning(rule: str) -> None:
    with pytest.raises(CelError) as told:
        value(rule)
    assert MEANINGLESS[rule] in told.value.told(rule)


@pytest.mark.parametrize(
    "rule",
    [
        "lists.range(1000).all(a, lists.range(1000).all(b, lists.range(1000).all(c, a + b + c >= 0)))",
        "lists.range(100000000).size() > 0",
        "lists.range(5000).map(a, string(a)).sort().size() == 5000",
        "lists.range(40).map(a, 'x').all(b, lists.range(9999).exists(c, c < 0) || b == 'x')",
    ],
)
def test_a_hostile_rule_is_stopped(rule: str) -> None:
    with pytest.raises(OutOfBudget):
        value(rule)


def test_what_nests_too_deeply_is_refused() -> None:
    with pytest.raises(CelError, match="recursion limit"):
        parse("(" * 1000 + "1" + ")" * 1000)
    with pytest.raises(CelError, match="recursion limit"):
        parse("!" * 5000 + "true")
