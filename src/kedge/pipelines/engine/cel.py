"""The part of CEL (the Common Expression Language) that pipelines use, parsed by hand and never given to Python's ``eval``.

Grammar, loosest first::

    or       = and {"||" and}
    and      = compare {"&&" compare}
    compare  = unary [("==" | "!=" | "<" | "<=" | ">" | ">=") unary]
    unary    = {"!" | "-"} postfix
    postfix  = primary {"." name | "[" or "]"}
    primary  = number | text | name | function "(" or ")" | "(" or ")"

The names ``true``, ``false`` and ``null`` are constants. Functions: ``int double string bool size parseJson``. Variables: what
the caller gives (``inputs.parameter_values['x']`` for conditions, ``string_value`` for selectors). Values are JSON values:
``1 == 1.0`` is true, ``true == 1`` and ``'1' == 1`` are false, ordering values of different types is an error.

Two things are read that are not CEL, because kfp writes them. It puts quotes around a text as it is: of ``'it's "so"''`` the last
quote ends it, after which an expression may go on or end. And where a text is compared with another type, it puts quotes around
the whole reference, as in ``'int(inputs.parameter_values['n'])' == '3'``: both are compared as texts.
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from kedge.pipelines.engine.values import as_text, same, shown

Variables: TypeAlias = Mapping[str, Any]
_Code: TypeAlias = Callable[[Variables], Any]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+(?:[eE][+-]?\d+)?)
    | (?P<cast>'(?:int\()?inputs\.parameter_values\['[^'\]]*'\]\)?')
    | (?P<text>"(?:[^"\\]|\\.|"(?=\w))*"|'(?:[^'\\]|\\.|'(?!\s*(?:$|[)\]<>]|[=!]=|&&|\|\|)))*')
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<op>\|\||&&|==|!=|<=|>=|[<>!().,\[\]-])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[0-3][0-7]{2}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_CONSTANTS = {"true": True, "false": False, "null": None}
_MAX_DEPTH = 100


class SyntaxProblem(Exception):
    """The expression cannot be read; the message says where and why."""


class EvaluationError(Exception):
    """The expression cannot be worked out for these values; the message says why."""


class Expression:
    """A parsed expression.

    Attributes:
        text: As it was written.
        parameters: Names of the input parameters that it reads.
    """

    __slots__ = ("_code", "parameters", "text")

    def __init__(self, text: str) -> None:
        parser = _Parser(text)
        self.text = text
        self._code = parser.parse()
        self.parameters = frozenset(parser.parameters)

    def evaluate(self, variables: Variables) -> Any:
        """Work the expression out.

        Raises:
            EvaluationError: A value is missing or of a type that the operation does not take.

        Examples:
            >>> Expression("int(inputs.parameter_values['n']) >= 3").evaluate({"inputs": {"parameter_values": {"n": 4}}})
            True
        """
        return self._code(variables)


class _Parser:
    def __init__(self, text: str) -> None:
        self.parameters: set[str] = set()
        self._text = text
        self._depth = 0
        self._tokens = self._scan()
        self._next = 0

    def parse(self) -> _Code:
        code = self._or()
        kind, token, at = self._peek()
        if kind != "end":
            raise self._problem(f"unexpected {token!r}", at)
        return code

    def _problem(self, message: str, at: int) -> SyntaxProblem:
        return SyntaxProblem(f"{message} at column {at + 1} of {self._text!r}")

    def _scan(self) -> list[tuple[str, str, int]]:
        tokens: list[tuple[str, str, int]] = []
        position, end = 0, len(self._text.rstrip())
        while position < end:
            match = _TOKEN.match(self._text, position)
            if match is None:
                start = position + len(self._text[position:]) - len(self._text[position:].lstrip())
                raise self._problem(f"unexpected {self._text[start]!r}", start)
            kind = str(match.lastgroup)
            tokens.append((kind, match[kind], match.start(kind)))
            position = match.end()
        return [*tokens, ("end", "the end", end)]

    def _peek(self) -> tuple[str, str, int]:
        return self._tokens[self._next]

    def _take(self, *wanted: str) -> str | None:
        kind, token, _ = self._tokens[self._next]
        if kind == "op" and token in wanted:
            self._next += 1
            return token
        return None

    def _expect(self, wanted: str) -> None:
        if self._take(wanted) is None:
            _, token, at = self._peek()
            raise self._problem(f"expected {wanted!r}, found {token!r}", at)

    def _or(self) -> _Code:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._problem("nested too deeply", self._peek()[2])
        code = self._and()
        while self._take("||"):
            code = _either(code, self._and())
        self._depth -= 1
        return code

    def _and(self) -> _Code:
        code = self._compare()
        while self._take("&&"):
            code = _both(code, self._compare())
        return code

    def _compare(self) -> _Code:
        code = self._unary()
        sign = self._take("==", "!=", "<", "<=", ">", ">=")
        return code if sign is None else _comparison(sign, code, self._unary())

    def _unary(self) -> _Code:
        signs: list[str] = []
        while sign := self._take("!", "-"):
            signs.append(sign)
        code = self._postfix()
        for sign in reversed(signs):
            code = _negation(code) if sign == "!" else _minus(code)
        return code

    def _postfix(self) -> _Code:
        path: list[str] | None = [self._peek()[1]] if self._peek()[0] == "name" else None
        code = self._primary()
        while True:
            if self._take("."):
                kind, key, at = self._peek()
                if kind != "name":
                    raise self._problem(f"expected a name, found {key!r}", at)
                self._next += 1
                path = None if path is None else [*path, key]
                code = _member(code, _constant(key))
            elif self._take("["):
                kind = self._peek()[0]
                index = self._or()
                self._expect("]")
                path = [*path, str(index({}))] if path is not None and kind == "text" else None
                code = _member(code, index)
            else:
                if path is not None and path[:2] in (["inputs", "parameter_values"], ["inputs", "parameters"]) and len(path) > 2:
                    self.parameters.add(path[2])
                return code

    def _primary(self) -> _Code:
        if self._take("("):
            code = self._or()
            self._expect(")")
            return code
        kind, token, at = self._peek()
        self._next += kind != "end"
        if kind == "number":
            return _constant(float(token) if re.search(r"[.eE]", token) else int(token))
        if kind == "text":
            return _constant(_unescaped(token[1:-1]))
        if kind == "cast":
            inner = _Parser(token[1:-1])
            code = _call("string", inner.parse())
            self.parameters |= inner.parameters
            return code
        if kind != "name":
            raise self._problem(f"expected a value, found {token!r}", at)
        if not self._take("("):
            return _constant(_CONSTANTS[token]) if token in _CONSTANTS else _variable(token)
        if token not in _FUNCTIONS:
            raise self._problem(f"no function {token!r} (there are {', '.join(sorted(_FUNCTIONS))})", at)
        argument = self._or()
        self._expect(")")
        return _call(token, argument)


def _unescaped(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "uUx" and len(code) > 1:
            return chr(int(code[1:], 16)) if int(code[1:], 16) <= 0x10FFFF else match[0]
        if len(code) == 3:
            return chr(int(code, 8))
        return _ESCAPES.get(code, code)

    return _ESCAPE.sub(replace, text) if "\\" in text else text


def _constant(value: Any) -> _Code:
    return lambda _: value


def _variable(name: str) -> _Code:
    def code(variables: Variables) -> Any:
        if name not in variables:
            raise EvaluationError(f"there is no variable {name!r} here (there is {', '.join(sorted(variables))})")
        return variables[name]

    return code


def _member(container: _Code, key: _Code) -> _Code:
    def code(variables: Variables) -> Any:
        value, wanted = container(variables), key(variables)
        if isinstance(value, Mapping) and isinstance(wanted, str):
            if wanted not in value:
                raise EvaluationError(f"there is no {wanted!r} (there is {', '.join(sorted(map(str, value))) or 'nothing'})")
            return value[wanted]
        if isinstance(value, list) and isinstance(wanted, int) and not isinstance(wanted, bool):
            if not 0 <= wanted < len(value):
                raise EvaluationError(f"there is no item {wanted} in a list of {len(value)}")
            return value[wanted]
        raise EvaluationError(f"{shown(value)} has no member {as_text(wanted)!r}")

    return code


def _truth(value: Any, sign: str) -> bool:
    if not isinstance(value, bool):
        raise EvaluationError(f"{sign} needs true or false, got {shown(value)}")
    return value


def _either(left: _Code, right: _Code) -> _Code:
    return lambda variables: _truth(left(variables), "||") or _truth(right(variables), "||")


def _both(left: _Code, right: _Code) -> _Code:
    return lambda variables: _truth(left(variables), "&&") and _truth(right(variables), "&&")


def _negation(operand: _Code) -> _Code:
    return lambda variables: not _truth(operand(variables), "!")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _minus(operand: _Code) -> _Code:
    def code(variables: Variables) -> Any:
        value = operand(variables)
        if not _is_number(value):
            raise EvaluationError(f"- needs a number, got {shown(value)}")
        return -value

    return code


def _comparison(sign: str, left: _Code, right: _Code) -> _Code:
    if sign == "==":
        return lambda variables: same(left(variables), right(variables))
    if sign == "!=":
        return lambda variables: not same(left(variables), right(variables))
    order = _ORDER[sign]

    def code(variables: Variables) -> bool:
        a, b = left(variables), right(variables)
        if (_is_number(a) and _is_number(b)) or (isinstance(a, str) and isinstance(b, str)):
            return order(a, b)
        if isinstance(a, bool) and isinstance(b, bool):
            return order(a, b)
        raise EvaluationError(f"{shown(a)} {sign} {shown(b)}: values of different types have no order")

    return code


def _call(name: str, argument: _Code) -> _Code:
    function = _FUNCTIONS[name]

    def code(variables: Variables) -> Any:
        value = argument(variables)
        try:
            return function(value)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise EvaluationError(f"{name}() cannot take {shown(value)}") from error

    return code


def _int(value: Any) -> int:
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\s*[+-]?\d+\s*", value) else int(float(value))
    if isinstance(value, bool) or not _is_number(value):
        raise TypeError
    return int(value)


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return float(value)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "True", "false", "False"):
        return value in ("true", "True")
    raise TypeError


def _parse_json(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, str) else value


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "int": _int,
    "double": _double,
    "string": as_text,
    "bool": _bool,
    "size": len,
    "parseJson": _parse_json,
}
