"""Reads expressions: text to a tree, with the macros unfolded. The grammar is cel-spec's, with optional fields and entries."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

DEPTH = 60  # calls of ours that stand on each other for one level: Python bears about a thousand
_LONGEST = 50_000
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      | (?P<float>(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?))
      | (?P<uint>(?:0[xX][0-9a-fA-F]+|\d+)[uU])
      | (?P<int>0[xX][0-9a-fA-F]+|\d+)
      | (?P<text>(?:[rR]|[bB]|[rR][bB]|[bB][rR])?
          (?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'))
      | (?P<raw>[rR](?:\"[^\"\n]*\"|'[^'\n]*'))
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<quoted>`[A-Za-z0-9_.\-/ ]+`)
      | (?P<op>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,\[\]{}()])""",
    re.VERBOSE | re.DOTALL,
)
_EXPECTING = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "package",
        "return",
        "var",
        "void",
        "while",
    ]
)
"""Words that are no name."""


class CelError(Exception):
    """An expression that cannot be read, or has no meaning.

    Attributes:
        at: Where in the text, from 0.
        why: In words.
    """

    def __init__(self, at: int, why: str) -> None:
        super().__init__(why)
        self.at, self.why = at, why
        self.also: CelError | None = None

    def told(self, source: str) -> str:
        """The message with the place, as cel-go prints it."""
        line = source.count("\n", 0, self.at)
        column = self.at - (source.rfind("\n", 0, self.at) + 1)
        text = source.splitlines()[line] if line < len(source.splitlines()) else ""
        told = f"ERROR: <input>:{line + 1}:{column + 1}: {self.why}\n | {text}\n | {'.' * column}^"
        return told if self.also is None else f"{told}\n{self.also.told(source)}"


@dataclass(slots=True)
class Node:
    """A part of an expression.

    Attributes:
        kind: ``const``, ``name``, ``select``, ``has``, ``index``, ``call``, ``list``, ``map``, ``loop``.
        at: Where in the text.
        value: A constant; or the name that is called, selected or bound.
        parts: What it is made of; the target of a call of a member comes first.
        flags: ``member``, ``optional``; which macro a loop is; which entries are optional.
    """

    kind: str
    at: int
    value: Any = None
    parts: "list[Node]" = field(default_factory=list["Node"])
    flags: tuple[Any, ...] = ()


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    at: int


class Uint(int):
    """An unsigned integer."""

    __slots__ = ()


def parse(source: str) -> Node:
    """Read an expression.

    Raises:
        CelError: It cannot be read.
    """
    if len(source) > _LONGEST:
        raise CelError(0, f"Syntax error: the expression is over {_LONGEST} characters")
    parser = _Parser(_tokens(source))
    tree = parser.expression()
    parser.expect("end")
    return tree


def _tokens(source: str) -> list[_Token]:
    found, at = list[_Token](), 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            text = source[at:] if source[at] in "\"'" else source[at]
            error = CelError(at, f"Syntax error: token recognition error at: '{text}'")
            if len(text) > 1:  # a text without an end takes the rest along
                error.also = CelError(len(source), f"Syntax error: mismatched input '<EOF>' expecting {_EXPECTING}")
            raise error
        kind = str(match.lastgroup)
        if kind != "space":
            found.append(_Token(kind, match.group(), at))
        at = match.end()
    return [*found, _Token("end", "<EOF>", len(source))]


_LEVELS: tuple[tuple[str, ...], ...] = (("||",), ("&&",), ("<", "<=", ">=", ">", "==", "!=", "in"), ("+", "-"), ("*", "/", "%"))


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens, self._next, self._depth = tokens, 0, 0

    @property
    def _here(self) -> _Token:
        return self._tokens[self._next]

    def _is(self, text: str) -> bool:
        return self._here.text == text and self._here.kind in {"op", "name"}

    def _take(self) -> _Token:
        token = self._here
        self._next += 1
        return token

    def expect(self, text: str) -> _Token:
        """Take a token that has to be here."""
        if (self._here.kind == "end") if text == "end" else self._is(text):
            return self._take()
        wanted = "<EOF>" if text == "end" else f"'{text}'"
        raise CelError(self._here.at, f"Syntax error: mismatched input '{self._here.text}' expecting {wanted}")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEPTH:
            raise CelError(self._here.at, f"Syntax error: expression recursion limit exceeded: {DEPTH}")

    def expression(self) -> Node:
        """A whole expression."""
        self._deeper()
        left = self._binary(0)
        if self._is("?"):
            at = self._take().at
            middle = self._binary(0)
            self.expect(":")
            left = Node("call", at, "_?_:_", [left, middle, self.expression()])
        self._depth -= 1
        return left

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while self._here.kind in {"op", "name"} and self._here.text in _LEVELS[level]:
            token = self._take()
            name = "@in" if token.text == "in" else f"_{token.text}_"
            left = Node("call", token.at, name, [left, self._binary(level + 1)])
        return left

    def _unary(self) -> Node:
        token = self._here
        if token.kind == "op" and token.text in {"!", "-"}:
            self._take()
            if token.text == "-" and self._here.kind in {"int", "float"}:
                return self._member(self._number(sign="-"))
            self._deeper()
            inner = self._unary()
            self._depth -= 1
            return Node("call", token.at, f"{token.text}_", [inner])
        return self._member(self._primary())

    def _number(self, sign: str = "") -> Node:
        token = self._take()
        if token.kind == "float":
            return Node("const", token.at, float(sign + token.text))
        text = token.text.rstrip("uU") if token.kind == "uint" else token.text
        value = int(sign + text, 16 if text[:2].lower() == "0x" else 10)
        if token.kind == "uint":
            if value >= 1 << 64:
                raise CelError(token.at, "Syntax error: invalid uint literal")
            return Node("const", token.at, Uint(value))
        if not -(1 << 63) <= value < 1 << 63:
            raise CelError(token.at, "Syntax error: invalid int literal")
        return Node("const", token.at, value)

    def _primary(self) -> Node:
        token = self._here
        if token.kind in {"int", "uint", "float"}:
            return self._number()
        if token.kind in {"text", "raw"}:
            self._take()
            return Node("const", token.at, _text(token))
        if token.kind == "name":
            return self._name()
        if self._is("."):
            self._take()
            return self._name()
        read = {"(": self._grouped, "[": self._list, "{": self._map}.get(token.text)
        if read is not None:
            return read()
        raise CelError(token.at, f"Syntax error: mismatched input '{token.text}' expecting {_EXPECTING}")

    def _grouped(self) -> Node:
        self._take()
        inner = self.expression()
        self.expect(")")
        return inner

    def _name(self) -> Node:
        token = self._take()
        if token.text in {"true", "false", "null"}:
            return Node("const", token.at, {"true": True, "false": False, "null": None}[token.text])
        if token.kind != "name" or token.text in RESERVED:
            raise CelError(token.at, f"reserved identifier: {token.text}")
        if self._is("("):
            at = self._here.at
            return _macro(Node("call", at, token.text, self._arguments(")")))
        return Node("name", token.at, token.text)

    def _arguments(self, end: str) -> list[Node]:
        self._take()
        found = list[Node]()
        while not self._is(end):
            found.append(self.expression())
            if not self._is(end):
                self.expect(",")
        self._take()
        return found

    def _list(self) -> Node:
        at, parts, optional = self._take().at, list[Node](), list[bool]()
        while not self._is("]"):
            optional.append(self._is("?"))
            if optional[-1]:
                self._take()
            parts.append(self.expression())
            if not self._is("]"):
                self.expect(",")
        self._take()
        return Node("list", at, None, parts, tuple(optional))

    def _map(self) -> Node:
        at, parts, optional = self._take().at, list[Node](), list[bool]()
        while not self._is("}"):
            optional.append(self._is("?"))
            if optional[-1]:
                self._take()
            parts.append(self.expression())
            self.expect(":")
            parts.append(self.expression())
            if not self._is("}"):
                self.expect(",")
        self._take()
        return Node("map", at, None, parts, tuple(optional))

    def _member(self, left: Node) -> Node:
        while True:
            if self._is("."):
                left = self._dot(left)
            elif self._is("["):
                at = self._take().at
                optional = self._is("?")
                if optional:
                    self._take()
                left = Node("index", at, None, [left, self.expression()], (optional,))
                self.expect("]")
            else:
                return left

    def _dot(self, left: Node) -> Node:
        at = self._take().at
        optional = self._is("?")
        if optional:
            self._take()
        token = self._take()
        if token.kind not in {"name", "quoted"}:
            told = "" if token.kind == "end" else token.text
            raise CelError(token.at, f"Syntax error: no viable alternative at input '.{told}'")
        if self._is("(") and not optional:
            at = self._here.at
            return _macro(Node("call", at, token.text, [left, *self._arguments(")")], ("member",)))
        return Node("select", at, token.text.strip("`"), [left], (optional,))


_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|X[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|.)", re.DOTALL)


def _text(token: _Token) -> str | bytes:
    body = token.text
    marks = ""
    while body[0] not in "\"'":
        marks, body = marks + body[0].lower(), body[1:]
    quote = 3 if body[:3] in {'"""', "'''"} and len(body) >= 6 else 1
    body = body[quote:-quote]
    raw = "r" in marks
    if "b" in marks:
        if raw:
            return body.encode()
        parts, at = list[bytes](), 0
        for match in _ESCAPE.finditer(body):
            parts += [body[at : match.start()].encode(), _escaped(match[1], token, in_bytes=True)]
            at = match.end()
        return b"".join([*parts, body[at:].encode()])
    return (
        body
        if raw
        else _ESCAPE.sub(lambda match: _escaped(match[1], token, in_bytes=False).decode("utf-8", "surrogatepass"), body)
    )


def _escaped(text: str, token: _Token, *, in_bytes: bool) -> bytes:
    if len(text) > 1:
        code = int(text, 8) if text[0] in "0123" else int(text[1:], 16)
        if in_bytes and text[0] not in "uU":
            return bytes([code & 0xFF])
        if 0xD800 <= code < 0xE000 or code > 0x10FFFF:
            raise CelError(token.at, "Syntax error: invalid unicode code point")
        return chr(code).encode()
    if text in _ESCAPES:
        return _ESCAPES[text].encode()
    if text in "\\?\"'`":
        return text.encode()
    raise CelError(token.at, f"Syntax error: token recognition error at: '\\{text}'")


# --- macros -----------------------------------------------------------------------------------------------------------------


def _macro(call: Node) -> Node:
    """A call, or what it stands for where it is a macro."""
    member = "member" in call.flags
    parts = call.parts
    if not member and call.value == "has" and len(parts) == 1:
        if parts[0].kind != "select":
            raise CelError(call.at, "invalid argument to has() macro")
        return Node("has", call.at, parts[0].value, parts[0].parts)
    if not member:
        return call
    unfold = _MACROS.get((str(call.value), len(parts) - 1))
    if unfold is not None:
        return unfold(call)
    return call


def _variable(node: Node) -> str:
    if node.kind != "name":
        raise CelError(node.at, "argument must be a simple name")
    return str(node.value)


def _loop(names: int) -> Callable[[Node], Node]:
    def unfold(call: Node) -> Node:
        variables = [_variable(each) for each in call.parts[1 : 1 + names]]
        return Node("loop", call.at, call.value, [call.parts[0], *call.parts[1 + names :]], tuple(variables))

    return unfold


_MACROS: dict[tuple[str, int], Callable[[Node], Node]] = {
    **{(name, 2): _loop(1) for name in ("all", "exists", "exists_one", "existsOne", "map", "filter", "optMap", "optFlatMap")},
    ("map", 3): _loop(1),
    **{(name, 3): _loop(2) for name in ("all", "exists", "exists_one", "existsOne")},
    **{(name, count): _loop(2) for name in ("transformList", "transformMap", "transformMapEntry") for count in (3, 4)},
}
