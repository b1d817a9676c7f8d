"""JSON in which an object has a key twice: readers differ on which of the two counts, so neither does and it is refused."""

import json
from typing import Any


def key(text: str | bytes) -> str | None:
    """The first key that stands twice in one object of a JSON text, or ``None``.

    Examples:
        >>> key('{"a": {"b": 1, "b": 2}}')
        'b'
        >>> key('[{"a": 1}, {"a": 2}]') is None
        True
    """
    found: list[str] = []

    def watch(pairs: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in pairs}) < len(pairs):
            seen: set[str] = set()
            found.append(next(name for name, _ in pairs if name in seen or seen.add(name)))

    json.loads(text, object_pairs_hook=watch)
    return found[0] if found else None
