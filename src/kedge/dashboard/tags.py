"""Tags as people type them: words with a comma or a space between two, as ``kubectl`` has them."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def predicates(text: str) -> list[Json]:
    """What a list of runs is asked for: ``team=a``, ``team!=a``, or ``team`` for those that have the tag, whatever it says.

    Examples:
        >>> [(one["operation"], one["key"], one["string_value"]) for one in predicates("team=a, stage!=dev draft")]
        [('EQUALS', 'tags.team', 'a'), ('NOT_EQUALS', 'tags.stage', 'dev'), ('IS_SUBSTRING', 'tags.draft', '')]
    """
    found: list[Json] = []
    for word in _words(text):
        key, equals, value = word.partition("=")
        operation = "IS_SUBSTRING" if not equals else "NOT_EQUALS" if key.endswith("!") else "EQUALS"
        found.append({"operation": operation, "key": f"tags.{key.removesuffix('!')}", "string_value": value})
    return found


def changes(text: str) -> dict[str, str | None]:
    """What is set: ``team=a``, ``draft`` without a value; and what is taken away: ``draft-``.

    Examples:
        >>> changes("team=a, draft old-")
        {'team': 'a', 'draft': '', 'old': None}
    """
    found: dict[str, str | None] = {}
    for word in _words(text):
        key, equals, value = word.partition("=")
        if not equals and len(key) > 1 and key.endswith("-"):
            found[key[:-1]] = None
        else:
            found[key] = value
    return found


def with_one(text: str, key: str, value: str) -> str:
    """The words of a choice, and one more.

    Examples:
        >>> with_one("team=a", "stage", "dev"), with_one("team=a", "team", "a"), with_one("team=a, x", "team", "b")
        ('team=a, stage=dev', 'team=a', 'x, team=b')
    """
    kept = [word for word in _words(text) if word.partition("=")[0].removesuffix("!") != key or word == f"{key}={value}"]
    return ", ".join(dict.fromkeys([*kept, f"{key}={value}"]))


def rows(tags: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Tags in the order of their names."""
    return sorted((tags or {}).items())
