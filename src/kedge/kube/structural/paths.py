"""JSONPath as columns, scale and selectable fields use it: fields, indexes, wildcards, slices and equality filters."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

_STEP = re.compile(
    r"""\.\.(?P<deep>[\w-]+|\*)
      | \.(?P<field>(?:\\.|[^.\[\\])+)
      | \[\?\(\s*@(?P<left>(?:\.(?:\\.|[^\s.\[\\=!<>])+)*)
        \s*(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<right>"[^"]*"|'[^']*'|[^)\s]+)\s*)?\)\]
      | \[(?P<quoted>'[^']*'|"[^"]*")\]
      | \[(?P<slice>-?\d*:-?\d*(?::-?\d*)?)\]
      | \[(?P<index>-?\d+(?:,-?\d+)*)\]
      | (?P<all>\[\*\])""",
    re.VERBOSE,
)
_SIMPLE = re.compile(r"(\.[A-Za-z_][\w-]*|\.(?:\\.|[\w-])+|\['[^']+'\])+")


class PathError(ValueError):
    """A path that cannot be read."""


@dataclass(frozen=True, slots=True)
class Path:
    """A path that was read; `find` follows it."""

    steps: tuple[tuple[str, Any], ...]

    def find(self, value: Any) -> list[Any]:
        """What stands there: none, one or several values."""
        found = [value]
        for how, what in self.steps:
            found = [each for one in found for each in _follow(how, what, one)]
        return found


def parse(text: str) -> Path:
    """Read a path such as ``.status.conditions[?(@.type=="Ready")].status``.

    Raises:
        PathError: It cannot be read.
    """
    steps, at = list[tuple[str, Any]](), 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise PathError(f"{text!r}: cannot be read from character {at + 1} on")
        steps.append(_step(found))
        at = found.end()
    return Path(tuple(steps))


def _step(found: "re.Match[str]") -> tuple[str, Any]:
    how, text = next((name, part) for name, part in found.groupdict().items() if part is not None)
    read: dict[str, Callable[[], tuple[str, Any]]] = {
        "field": lambda: ("all", None) if text == "*" else ("field", re.sub(r"\\(.)", r"\1", text)),
        "quoted": lambda: ("field", text[1:-1]),
        "index": lambda: ("index", [int(each) for each in text.split(",")]),
        "slice": lambda: ("slice", slice(*(int(each) if each else None for each in text.split(":")))),
        "left": lambda: ("filter", (parse(text), found["op"], _literal(found["right"]))),
    }
    return read[how]() if how in read else (how, text)


def _literal(text: str | None) -> Any:
    if text is None:
        return None
    if text[0] in "\"'":
        return text[1:-1]
    if text in {"true", "false"}:
        return text == "true"
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def _follow(how: str, what: Any, value: Any) -> Iterable[Any]:
    if how == "field":
        return [value[what]] if isinstance(value, dict) and what in value else []
    if how == "deep":
        return _below(what, value)
    if how in {"all", "filter"}:
        items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        return [each for each in items if how == "all" or _passes(what, each)]
    if not isinstance(value, list):
        return []
    return value[what] if how == "slice" else [value[each] for each in what if -len(value) <= each < len(value)]


def _below(name: str, value: Any) -> list[Any]:
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    here = items if name == "*" else [value[name]] if isinstance(value, dict) and name in value else []
    return [*here, *(each for item in items for each in _below(name, item))]


def _passes(test: tuple[Path, str | None, Any], item: Any) -> bool:
    path, operator, right = test
    found = path.find(item)
    if operator is None or not found:
        return bool(found) and operator is None
    left = found[0]
    if operator in {"==", "!="}:
        return (left == right and isinstance(left, bool) == isinstance(right, bool)) == (operator == "==")
    try:
        return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]
    except TypeError:
        return False


def is_simple(text: str) -> bool:
    """Whether a path is one of fields alone, as kube-apiserver asks of columns' beginnings and of scale."""
    return _SIMPLE.fullmatch(text) is not None


def fields(text: str) -> tuple[str, ...]:
    """The fields of a simple path."""
    return tuple(str(what) for _, what in parse(text).steps)
