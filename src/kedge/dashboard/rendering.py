"""Templates, and how values are written in them."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from jinja2.exceptions import UndefinedError
from jinja2.utils import missing
from markupsafe import Markup

from kedge.display.results import number, value
from kedge.display.tasks import duration, first_line
from kedge.kube import quantities
from kedge.kube.clock import Clock, parse_timestamp

FOLDER = Path(__file__).parent / "templates"
_UNITS = ("B", "kB", "MB", "GB", "TB")
_AGES = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
OVER = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
"""States of runs that have ended."""


class _Absent(jinja2.ChainableUndefined):
    """A field that an answer of the API leaves out, because it is empty; a variable that nobody has set is a defect."""

    def __init__(self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = UndefinedError) -> None:
        if obj is missing:
            raise UndefinedError(hint or f"{name!r} is not given to the template")
        super().__init__(hint, obj, name, exc)


def environment(clock: Clock) -> jinja2.Environment:
    """The templates of all pages. Everything is escaped, and a variable that is not given is an error.

    Args:
        clock: For ages.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=_Absent,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )

    def ago(text: str | None) -> Markup:
        return _ago(text, clock.now())

    def lasted(start: str | None, end: str | None = None) -> str:
        """Seconds from one moment to another, or to now, as people read them."""
        begun = _moment(start)
        return duration(((_moment(end) or clock.now()) - begun).total_seconds()) if begun else ""

    made.filters.update(
        ago=ago,
        size=size,
        duration=duration,
        lasted=lasted,
        number=number,
        value=value,
        first_line=first_line,
        pretty=pretty,
        quantity=quantity,
    )
    return made


def _moment(text: str | None) -> datetime | None:
    return parse_timestamp(text) if text else None


def _ago(text: str | None, now: datetime) -> Markup:
    """A moment as its distance from now; the moment itself is in its title, and a module writes it in the reader's own time."""
    moment = _moment(text)
    if moment is None:
        return Markup("")
    seconds = (now - moment).total_seconds()
    past = seconds >= 0
    unit, name = next((each for each in _AGES if abs(seconds) >= each[0]), (1, "s"))
    words = f"{abs(seconds) // unit:.0f} {name}"
    told = "now" if abs(seconds) < 1 else f"{words} ago" if past else f"in {words}"
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(text, told)


def size(count: float | str | None) -> str:
    """Write a number of bytes as people read it.

    Examples:
        >>> [size(n) for n in (None, 0, 999, 1500, "2500000")]
        ['', '0 B', '999 B', '1.5 kB', '2.5 MB']
    """
    if count is None or count == "":
        return ""
    left, unit = float(count), _UNITS[0]
    for unit in _UNITS:
        if left < 1000 or unit == _UNITS[-1]:
            break
        left /= 1000
    return f"{left:.0f} {unit}" if unit == "B" or left >= 100 else f"{left:.1f} {unit}"


def quantity(text: str | None) -> str:
    """Write a Kubernetes quantity of bytes, such as ``16308256Ki``, as people read it.

    Examples:
        >>> quantity("16308256Ki"), quantity(""), quantity("odd")
        ('16.7 GB', '', 'odd')
    """
    try:
        return size(float(quantities.parse(text))) if text else ""
    except ValueError:
        return str(text)


def pretty(given: Any) -> str:
    """JSON over several lines."""
    return json.dumps(given, indent=2, ensure_ascii=False)
