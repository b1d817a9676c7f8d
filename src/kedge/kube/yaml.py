"""YAML that Kubernetes' tools read as it was meant: they take more texts for truth values and numbers than PyYAML does."""

import math
import re
from collections.abc import Callable
from typing import Any

import yaml

from kedge.errors import BadRequest

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_KEYS = frozenset({f"{_TAG}int", f"{_TAG}float", f"{_TAG}bool", f"{_TAG}null"})
_MAX_MERGED = 100_000
_MAX_BITS = 4096  # of an integer; Python itself refuses to write one of 4,300 digits as text
_MAX_DEPTH = 100
_Fastest: type = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_FastestLoader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class KeyTwice(BadRequest):
    """A key stands twice in one mapping.

    Attributes:
        key: Which.
        line: Where it comes again, from 1.
    """

    def __init__(self, message: str, key: str, line: int) -> None:
        super().__init__(message)
        self.key, self.line = key, line


class _Twice(yaml.constructor.ConstructorError):
    """A key stands twice; raised while a document is read."""


class Dumper(_Fastest):  # pyright: ignore[reportUntypedBaseClass]  # which of them is known at run time
    """Puts quotes around texts that Go's YAML would read as truth values or numbers, such as ``n`` and ``1e3``."""


# What a text resolves to when it is written without quotes decides whether it gets them.
Dumper.add_implicit_resolver(f"{_TAG}bool", re.compile("[yYnN]$"), list("yYnN"))
Dumper.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?$"), list("-+.0123456789")
)
Dumper.add_implicit_resolver(f"{_TAG}int", re.compile(r"[-+]?0o[0-7_]+$"), list("-+0"))


def write(*objects: Any) -> str:
    """Some objects as documents of one file, their keys in the order that they have."""
    text: str = yaml.dump_all(objects, Dumper=Dumper, sort_keys=False, width=1000, allow_unicode=True)
    return text


def read(text: str) -> Any:
    """The value of a text that holds one document, such as an object that somebody has edited.

    Raises:
        BadRequest: It is no YAML, or more than one document; says where.
    """
    return _checked(text, lambda: yaml.load(text, Loader=Loader))  # noqa: S506  # a safe loader, narrowed further


def read_all(text: str) -> list[Any]:
    r"""The values of a text that may hold several documents; those that are empty are left out.

    Raises:
        BadRequest: It is no YAML; says where.

    Examples:
        >>> read_all("a: 1\n---\n---\nb: |\n  ---\n")
        [{'a': 1}, {'b': '---\n'}]
    """
    found = _checked(text, lambda: list(yaml.load_all(text, Loader=Loader)))  # as above
    return [each for each in found if each is not None]


def _checked(text: str, work: Callable[[], Any]) -> Any:
    try:
        if depth(text, _MAX_DEPTH) > _MAX_DEPTH:
            raise BadRequest(f"not YAML of an object: it is nested more than {_MAX_DEPTH} levels deep.")
        return work()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        message = f"{where}not YAML: {error.problem or error.context or 'it cannot be read'}."
        if mark and isinstance(error, _Twice):
            raise KeyTwice(message, str(error.context), mark.line + 1) from error
        raise BadRequest(message) from error
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, LookupError) as error:
        raise BadRequest(f"not YAML: {str(error).splitlines()[0] if str(error) else type(error).__name__}.") from error


def depth(text: str, most: int) -> int:
    """How deeply a text nests: libyaml composes by recursion in C, where nesting without end would end the process.

    Its event parser does not recurse, so this look is safe; it takes a tenth of the time of reading.

    Args:
        text: YAML.
        most: It is not looked further than one beyond this.
    """
    now = deepest = 0
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            now += 1
            deepest = max(deepest, now)
            if deepest > most:
                break
        elif isinstance(event, yaml.CollectionEndEvent):
            now -= 1
    return deepest


class Loader(_FastestLoader):  # pyright: ignore[reportUntypedBaseClass]  # libyaml's where it is built in
    """Reads what JSON can say: keys are text, numbers are finite, a date stays the text that was written."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's own way to configure a loader
        first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
        for first, resolvers in _FastestLoader.yaml_implicit_resolvers.items()
    }
    _merged = 0

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  # PyYAML's signature
        """Refuse a key that stands twice, of which PyYAML would take the last; ``1`` and ``true`` are keys as written."""
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in seen:
                    raise _Twice(key.value, None, f"the key {key.value!r} stands twice in one mapping", key.start_mark)
                seen.add(key.value)
        if isinstance(node, yaml.MappingNode):
            self.flatten_mapping(node)
            for key, _ in node.value:
                if key.tag in _KEYS:
                    key.tag = f"{_TAG}str"
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: Any) -> None:
        """Carry out merge keys, but no more than could be meant: ten lines of them can stand for more than memory holds."""
        for key, value in node.value:
            if key.tag != _MERGE:
                continue
            for inner in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if isinstance(inner, yaml.MappingNode):
                    self.flatten_mapping(inner)
                    self._merged += len(inner.value)
                    if self._merged > _MAX_MERGED:
                        raise _wrong(f"its merge keys (<<) stand for more than {_MAX_MERGED:,} fields", key)
        super().flatten_mapping(node)

    def construct_number(self, node: Any) -> Any:
        """Refuse what is spelt as a number and is none that JSON has."""
        try:
            number = self.construct_yaml_int(node) if node.tag == f"{_TAG}int" else self.construct_yaml_float(node)
        except (ValueError, IndexError) as error:
            raise _wrong(f"{node.value!r:.80} is no number ({error})", node) from error
        if isinstance(number, int) and number.bit_length() > _MAX_BITS:
            raise _wrong(f"the number has more than {_MAX_BITS} bits", node)
        if isinstance(number, float) and not math.isfinite(number):
            raise _wrong(f"{node.value!r:.80} is no number that JSON has; write null, or text in quotes", node)
        return number


def _wrong(problem: str, node: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


for _name in ("int", "float"):
    Loader.add_constructor(_TAG + _name, Loader.construct_number)
for _name in ("binary", "timestamp", "omap", "pairs", "set"):  # JSON has none of them
    Loader.add_constructor(_TAG + _name, Loader.construct_undefined)


def line_of(text: str, field: str) -> int:
    r"""The line, from 1, at which a field of an object stands, or the nearest above it that is there; 0 where nothing is known.

    Args:
        text: YAML.
        field: A path as errors name it, such as ``spec.containers[0].image`` or ``metadata.labels[a.b/c]``.

    Examples:
        >>> text = "kind: Pod\nspec:\n  containers:\n  - name: a\n    image: b\n"
        >>> [line_of(text, field) for field in ("spec.containers[0].image", "spec.containers[0].args", "status", "")]
        [5, 4, 0, 0]
    """
    try:
        node = yaml.compose(text, Loader=Loader) if depth(text, _MAX_DEPTH) <= _MAX_DEPTH else None
    except yaml.YAMLError:
        return 0
    line = 0
    for name, number in re.findall(r"([^.\[\]]+)|\[([^\]]*)\]", field):
        found = _below(node, number or name)
        if found is None:
            break
        node, line = found
    return line


def _below(node: Any, part: str) -> tuple[Any, int] | None:
    """What stands in a node under a name or at a number, and its line."""
    if isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
        below = node.value[int(part)]
        return below, below.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, below in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == part:
                return below, key.start_mark.line + 1
    return None
