"""Tags of runs on the command line: ``KEY=VALUE``, and ``KEY-`` for one that goes, as ``kubectl label`` has them."""

from collections.abc import Iterable, Mapping
from typing import Any

import click

_HOW = "such as team=a"


class Tag(click.ParamType[tuple[str, str]]):
    """``KEY=VALUE``."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Read it."""
        key, equals, text = str(value).partition("=")
        if not equals or not key:
            self.fail(f"{value!r} must be KEY=VALUE, {_HOW}.", param, ctx)
        return key, text


class Change(click.ParamType[tuple[str, str | None]]):
    """``KEY=VALUE``, or ``KEY-``."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str | None]:
        """Read it."""
        key, equals, text = str(value).partition("=")
        if not equals and len(key) > 1 and key.endswith("-"):
            return key[:-1], None
        if not equals or not key:
            self.fail(f"{value!r} must be KEY=VALUE, {_HOW}, or KEY- to take the tag away.", param, ctx)
        return key, text


tag_option = click.option(
    "--tag", "tags", multiple=True, type=Tag(), metavar="KEY=VALUE", help="A tag to find it by, such as team=a; may be repeated."
)


def predicates(wanted: Iterable[str]) -> list[dict[str, Any]]:
    """What a list of runs is asked for by ``KEY=VALUE``, or by ``KEY`` for those that have the tag, whatever it says.

    Examples:
        >>> [one["operation"] for one in predicates(["team=a", "draft"])]
        ['EQUALS', 'IS_SUBSTRING']
    """
    return [
        {
            "operation": "EQUALS" if equals else "IS_SUBSTRING",
            "key": f"tags.{key}",
            "string_value": value,
        }
        for key, equals, value in (each.partition("=") for each in wanted)
    ]


def written(tags: Mapping[str, str]) -> str:
    """Tags in a line, in the order of their names.

    Examples:
        >>> written({"team": "a", "draft": ""})
        'draft=,team=a'
    """
    return ",".join(f"{key}={tags[key]}" for key in sorted(tags))
