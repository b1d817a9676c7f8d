"""What kinds, types and fields are, a line each: read from ``field_texts.txt`` when OpenAPI documents are made, and never else.

How to write it stands at the beginning of that file. A field that has no line of its own has that of its name under ``*``: what
means the same everywhere is written once.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from kedge.kube import schemas

_TABLE = Path(__file__).with_name("field_texts.txt")
_EVERYWHERE = "*"


def of_type(name: str) -> str:
    """What a type is; ``""`` where nobody has written it.

    Args:
        name: As in the table of fields, such as ``PodSpec``; of a kind that Kedge describes itself its name.

    Examples:
        >>> of_type("RoleRef")
        'A role.'
    """
    return _lines().get(name, "")


def of_field(name: str, path: str) -> str:
    """What a field is; ``""`` where nobody has written it.

    Args:
        name: Of the type that it stands in.
        path: Its name; of a kind that Kedge describes itself the whole path, such as ``spec.suspend``.

    Examples:
        >>> of_field("RoleRef", "kind"), of_field("RoleRef", "name")
        ('Role or ClusterRole.', 'Its name.')
    """
    lines = _lines()
    last = path.rpartition(".")[2]
    return lines.get(f"{name}.{path}") or _of_part(name, path) or lines.get(f"{_EVERYWHERE}.{last}", "")


def _of_part(name: str, path: str) -> str:
    """Where the fields of other types stand in this one themselves, theirs count."""
    if not schemas.is_type(name):
        return ""
    parts = (word.type for word in schemas.words(name) if not word.name)
    return next((text for part in parts if (text := _lines().get(f"{part}.{path}") or _of_part(part, path))), "")


@cache
def _lines() -> Mapping[str, str]:
    """Each text by its type, or by type, dot and field."""
    found: dict[str, str] = {}
    of = ""
    for line in _TABLE.read_text(encoding="ascii").splitlines():
        head, _, text = line.partition(" ")
        if head.startswith("."):
            found[of + head] = text
        elif head and not head.startswith("#"):
            of = head
            if text.startswith("= "):
                _take_over(found, of, text[2:])
            else:
                found[of] = text
    return found


def _take_over(found: dict[str, str], name: str, other: str) -> None:
    taken = {name + key.removeprefix(other): text for key, text in found.items() if key == other or key.startswith(f"{other}.")}
    found |= taken
