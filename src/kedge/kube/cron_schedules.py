"""The schedules of CronJobs: five fields, and what Kubernetes' parser makes of them.

It knows less than other dialects (Sunday is 0 and not 7, there is no ``L``), so that a schedule that is taken here is taken on a
cluster; the faults are told in its words. ``cronsim`` does the arithmetic, summer time included.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim

NAMED: Mapping[str, str] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_EVERY = "@every "
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|m|s|ms))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class _Field(NamedTuple):
    least: int
    most: int
    names: Mapping[str, int]


_FIELDS = (
    _Field(0, 59, {}),
    _Field(0, 23, {}),
    _Field(1, 31, {}),
    _Field(1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    _Field(0, 6, {name: number for number, name in enumerate(_DAYS)}),
)


class _Fault(Exception):
    """A schedule that cannot be read."""


def fault(text: str) -> str:
    """What is wrong with a schedule, in the words of Kubernetes, or ``""``.

    Examples:
        >>> fault("0 0 * * 7")
        'end of range (7) above maximum (6): 7'
        >>> fault("@daily")
        ''
    """
    try:
        _read(text)
    except _Fault as found:
        return str(found)
    return ""


def _read(text: str) -> str | timedelta:
    """What `cronsim` reads, or the pause of ``@every``."""
    if text.startswith(_EVERY):
        duration = text.removeprefix(_EVERY)
        if not _DURATION.fullmatch(duration):
            raise _Fault(f'failed to parse duration {text}: time: invalid duration "{duration}"')
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(duration))
        return timedelta(seconds=max(int(seconds), 1))
    if text.startswith("@"):
        if text not in NAMED:
            raise _Fault(f"unrecognized descriptor: {text}")
        text = NAMED[text]
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise _Fault(f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]")
    return " ".join(_numbers(part, field) for part, field in zip(parts, _FIELDS, strict=True))


def _numbers(text: str, field: _Field) -> str:
    """A field as a list of numbers; ``*`` where it is one, since that decides how the two fields of days go together."""
    found = set[int]()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if span in {"*", "?"} and not slash:
            return "*"
        if "/" in step:
            raise _Fault(f"too many slashes: {part}")
        found.update(_span(part, span, _step(step, part) if slash else None, field))
    return ",".join(map(str, sorted(found)))


def _step(text: str, part: str) -> int:
    step = _number(text, {})
    if step == 0:
        raise _Fault(f"step of range should be a positive number: {part}")
    return step


def _span(part: str, span: str, step: int | None, field: _Field) -> Iterator[int]:
    if span in {"*", "?"}:
        first, last = field.least, field.most
    else:
        limits = span.split("-")
        if len(limits) > 2:
            raise _Fault(f"too many hyphens: {part}")
        first = _number(limits[0], field.names)
        last = _number(limits[1], field.names) if len(limits) == 2 else first if step is None else field.most
    if first < field.least:
        raise _Fault(f"beginning of range ({first}) below minimum ({field.least}): {part}")
    if last > field.most:
        raise _Fault(f"end of range ({last}) above maximum ({field.most}): {part}")
    if first > last:
        raise _Fault(f"beginning of range ({first}) beyond end of range ({last}): {part}")
    yield from range(first, last + 1, step or 1)


def _number(text: str, names: Mapping[str, int]) -> int:
    if (found := names.get(text.lower())) is not None:
        return found
    if text.startswith("-") and text[1:].isdecimal():
        raise _Fault(f"negative number ({text}) not allowed: {text}")
    if not (text.isascii() and text.isdecimal()):
        raise _Fault(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


class Schedule:
    """The moments of a schedule.

    Args:
        text: Without a `fault`.
        zone: The name of the time zone that its fields are of; UTC where there is none.

    Examples:
        >>> Schedule("0 9 * * mon", "Europe/Berlin").after(datetime(2026, 11, 23, 9, tzinfo=UTC)).isoformat()
        '2026-11-30T08:00:00+00:00'
    """

    def __init__(self, text: str, zone: str | None = None) -> None:
        self.zone: tzinfo = ZoneInfo(zone) if zone else UTC
        self._read = _read(text)

    def after(self, moment: datetime) -> datetime | None:
        """The first moment later than this one, in UTC; ``None`` where there is none."""
        if isinstance(self._read, timedelta):
            return moment.replace(microsecond=0) + self._read
        try:
            return next(CronSim(self._read, moment.astimezone(self.zone))).astimezone(UTC)
        except (StopIteration, OverflowError):
            return None

    def last(self, since: datetime, until: datetime) -> datetime | None:
        """The last moment later than ``since`` and not later than ``until``; ``None`` where there is none."""
        first = self.after(since)
        if first is None or first > until:
            return None
        if isinstance(self._read, timedelta):
            return first + self._read * ((until - first) // self._read)
        back = CronSim(self._read, (until.replace(microsecond=0) + timedelta(seconds=1)).astimezone(self.zone), reverse=True)
        return max(first, next(back).astimezone(UTC))
