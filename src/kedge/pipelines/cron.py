"""Cron expressions as KFP and as everybody else writes them.

Upstream reads six fields, seconds first, and misreads the usual five (``0 9 * * 1`` is there the ninth minute of each hour on the
first of the month). Here five fields are standard cron. On top: ``?`` for ``*``, ``@daily`` and its like, ``@every 1h30m``, and a
time zone before the fields (``TZ=Europe/Berlin 0 9 * * *``); without one the time is UTC. ``cronsim`` does the arithmetic.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from kedge.errors import BadRequest
from kedge.kube.cron_schedules import NAMED

_EVERY = re.compile(r"@every\s+((?:\d+(?:\.\d+)?(?:h|m|s))+)")
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|m|s)")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_ZONE = re.compile(r"(?:CRON_)?TZ=(\S+)\s+(.*)", re.DOTALL)
_LONGEST = 200
_FIELDS = {
    "second": "0 to 59",
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, L for the last, and in a month that is meant",
    "month": "1 to 12, or JAN to DEC",
    "day-of-week": "0 to 7, where 0 and 7 are Sunday, or SUN to SAT",
}
"""What may stand in each field, besides `*`, steps and ranges."""
_SECOND = timedelta(seconds=1)
_CENTURY = 100 * 366 * 86400.0


def every(text: str) -> int | None:
    """The seconds of ``@every 1h30m``; ``None`` for an expression of another kind.

    Raises:
        BadRequest: It is less than a second.

    Examples:
        >>> every("@every 1h30m")
        5400
        >>> every("0 9 * * 1") is None
        True
    """
    found = _EVERY.fullmatch(text.strip())
    if found is None:
        return None
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(found[1]))
    if not 1 <= seconds <= _CENTURY:
        raise BadRequest(f"cron {text!r:.80}: must be at least a second and at most a century. Write it as in @every 1h30m.")
    return int(seconds)


class Cron:
    """The moments of a cron expression.

    Args:
        text: As a client wrote it.

    Raises:
        BadRequest: It cannot be read; says what can.

    Examples:
        >>> Cron("0 9 * * 1").after(datetime(2026, 11, 23, 9, tzinfo=UTC)).isoformat()
        '2026-11-30T09:00:00+00:00'
        >>> Cron("30 0 9 * * ?").after(datetime(2026, 11, 23, 9, tzinfo=UTC)).isoformat()
        '2026-11-23T09:00:30+00:00'
    """

    def __init__(self, text: str) -> None:
        self._zone, fields = _split(text)
        self._expression = _expression(fields, text)
        self._simulate(datetime(2026, 1, 1, tzinfo=UTC), text)

    @property
    def zone(self) -> tzinfo:
        """The time zone that its fields are of."""
        return self._zone

    def after(self, moment: datetime) -> datetime | None:
        """The first moment later than this one; ``None`` when there is none in fifty years."""
        return self._next(moment)

    def last(self, until: datetime) -> datetime | None:
        """The last moment not later than this one."""
        return self._next(until.replace(microsecond=0) + _SECOND, backwards=True)

    def in_words(self) -> str:
        """The rule as people say it."""
        said = CronSim(self._expression, datetime(2026, 1, 1, tzinfo=UTC)).explain()
        return f"{said}, {self._zone}"

    def _next(self, moment: datetime, *, backwards: bool = False) -> datetime | None:
        try:
            return next(CronSim(self._expression, moment.astimezone(self._zone), reverse=backwards)).astimezone(UTC)
        except (StopIteration, OverflowError):
            return None

    def _simulate(self, moment: datetime, text: str) -> None:
        try:
            next(CronSim(self._expression, moment), None)
        except CronSimError as error:
            raise _refused(text, _bad_field(str(error).lower(), self._expression)) from error


def _split(text: str) -> tuple[tzinfo, str]:
    """The time zone and the rest."""
    if len(text) > _LONGEST:
        raise _refused(text, f"has more than {_LONGEST} characters")
    found = _ZONE.fullmatch(text.strip())
    if found is None:
        return UTC, text.strip()
    try:
        return ZoneInfo(found[1]), found[2].strip()
    except (KeyError, ValueError, OSError) as error:
        raise BadRequest(
            f"cron {text!r:.80}: {found[1]!r:.80} is no time zone that this machine knows. Use a name such as Europe/Berlin."
        ) from error


def _expression(fields: str, text: str) -> str:
    """Five or six fields that cronsim reads."""
    if fields.startswith("@"):
        named = NAMED.get(fields.lower())
        if named is None:
            raise _refused(text, f"is none of {', '.join(NAMED)} and @every 1h30m")
        return named
    parts = fields.replace("?", "*").split()
    if len(parts) not in {5, 6}:
        raise _refused(text, f"has {len(parts)} fields")
    # At second 0 the six fields say what five do, and five are read with care for the hour that a summer time skips or repeats.
    return " ".join(parts[1:] if len(parts) == 6 and parts[0] in {"0", "00"} else parts)


def _bad_field(bad: str, expression: str) -> str:
    """What cronsim finds at fault, with what stands there and what may."""
    parts = expression.split()
    of = dict(zip(list(_FIELDS)[-len(parts) :], parts, strict=True))
    name = bad.removeprefix("bad ")
    return f"{bad} field {of[name]!r:.40} (it is {_FIELDS[name]})" if name in of else f"{bad} field"


def _refused(text: str, why: str) -> BadRequest:
    return BadRequest(
        f"cron {text!r:.80}: {why}. Write minute, hour, day of the month, month and day of the week, as in '0 9 * * 1', or "
        f"seconds before these five."
    )
