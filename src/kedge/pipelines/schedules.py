"""When a recurring run fires: plain functions of its trigger, what it has done, and the time.

**Missed moments.** A moment is missed when nothing could start at it: the hub was down, the recurring run was disabled, or as
many of its runs were live as may be. With catch-up (``no_catchup`` is false, KFP's default) each missed moment is fired later, in
order; without, only the newest. Either way each run knows its moment (``scheduled_at``), and no moment is ever fired twice.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import msgspec

from kedge.pipelines.cron import Cron, every

_MACRO = re.compile(r"\[\[(ScheduledTime|CurrentTime|Index)(?:\.([^\]]*))?\]\]")
# Go writes a layout as a certain time; these are its parts, the longer ones first.
_LAYOUT = re.compile(r"2006|January|Monday|Jan|Mon|01|02|03|04|05|06|15|PM")
_STRFTIME = {
    "2006": "%Y", "06": "%y", "January": "%B", "Jan": "%b", "01": "%m", "Monday": "%A", "Mon": "%a", "02": "%d", "15": "%H",
    "03": "%I", "PM": "%p", "04": "%M", "05": "%S",
}  # fmt: skip
_DEFAULT_LAYOUT = "20060102150405"


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """The moments of a recurring run.

    Attributes:
        cron: A cron expression, or ``""``.
        interval: Seconds between moments, where there is no cron expression.
        start: No moment is before.
        end: No moment is after.
        anchor: From where intervals are counted; the first moment is one interval later.
    """

    cron: str = ""
    interval: int = 0
    start: datetime | None = None
    end: datetime | None = None
    anchor: datetime

    @property
    def first(self) -> datetime:
        """The moment after which the first one is looked for."""
        return self.anchor if self.start is None else self.start - timedelta(microseconds=1)

    def after(self, moment: datetime) -> datetime | None:
        """The first moment later than this one, if there is one."""
        moment = max(moment, self.first)
        found = Cron(self.cron).after(moment) if self._step is None else self._stepped(moment, 1)
        return found if found is not None and (self.end is None or found <= self.end) else None

    def last(self, until: datetime) -> datetime | None:
        """The last moment not later than this one, if there is one."""
        until = until if self.end is None else min(until, self.end)
        found = Cron(self.cron).last(until) if self._step is None else self._stepped(until, 0)
        return found if found is not None and found > self.first else None

    def coming(self, moment: datetime, count: int) -> list[datetime]:
        """The next moments later than this one, as many as there are up to a count."""
        found: list[datetime] = []
        while len(found) < count and (following := self.after(moment)) is not None:
            found.append(moment := following)
        return found

    def in_words(self) -> str:
        """The rule as people say it.

        Examples:
            >>> Trigger(interval=5400, anchor=datetime(2026, 11, 23)).in_words()
            'Every 1 hour 30 minutes'
            >>> Trigger(cron="TZ=Europe/Berlin 0 9 * * 1", anchor=datetime(2026, 11, 23)).in_words()
            'At 09:00 on Monday, Europe/Berlin'
        """
        if self._step is None:
            return Cron(self.cron).in_words()
        left, parts = self._step, list[str]()
        for unit, seconds in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
            count, left = divmod(left, seconds)
            if count:
                parts.append(f"{count} {unit}{'s' if count > 1 else ''}")
        return f"Every {' '.join(parts)}"

    @property
    def zone(self) -> tzinfo:
        """The time zone that its rule is of; intervals have none, and are told in UTC."""
        return Cron(self.cron).zone if self._step is None else UTC

    @property
    def _step(self) -> int | None:
        return every(self.cron) if self.cron else self.interval

    def _stepped(self, moment: datetime, more: int) -> datetime | None:
        anchor = self.start or self.anchor
        step = timedelta(seconds=self._step or 1)
        count = max((moment - anchor) // step + more, 1 if more else 0)
        try:
            return anchor + step * count if count > 0 else None
        except OverflowError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a decision is made of.

    Attributes:
        trigger: Its moments.
        since: Moments up to this one are dealt with.
        enabled: Whether it fires at all.
        no_catchup: Whether of several missed moments only the newest counts.
        room: How many more of its runs may be live.
    """

    trigger: Trigger
    since: datetime
    enabled: bool
    no_catchup: bool
    room: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now.

    Attributes:
        moments: To be fired, in order.
        wake_at: When to look again; ``None``: when something changes.
    """

    moments: tuple[datetime, ...] = ()
    wake_at: datetime | None = None


def desire(seen: Seen, now: datetime) -> Decision:
    """Decide which moments are fired now."""
    if not seen.enabled:
        return Decision()
    moments: list[datetime] = []
    since = seen.since
    due = seen.trigger.after(since)
    while due is not None and due <= now and len(moments) < seen.room:
        newest = seen.trigger.last(now) if seen.no_catchup else None
        since = due if newest is None else max(due, newest)
        moments.append(since)
        due = seen.trigger.after(since)
    return Decision(tuple(moments), due if due is not None and due > now else None)


def filled(value: Any, moment: datetime, now: datetime, index: int) -> Any:
    """An argument with KFP's macros filled in: ``[[ScheduledTime]]``, ``[[CurrentTime]]``, ``[[Index]]``.

    A time may carry a layout in Go's manner: ``[[ScheduledTime.2006-01-02]]``.

    Examples:
        >>> moment = datetime(2026, 11, 23, 9, 5, 7)
        >>> filled("day=[[ScheduledTime.2006-01-02]] no=[[Index]]", moment, moment, 3)
        'day=2026-11-23 no=3'
    """
    if isinstance(value, dict):
        return {key: filled(inner, moment, now, index) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, moment, now, index) for inner in value]
    if not isinstance(value, str):
        return value

    def fill(found: "re.Match[str]") -> str:
        if found[1] == "Index":
            return str(index)
        layout = _LAYOUT.sub(lambda part: _STRFTIME[part[0]], (found[2] or _DEFAULT_LAYOUT).replace("%", "%%"))
        try:
            return (moment if found[1] == "ScheduledTime" else now).strftime(layout)
        except ValueError:  # such as a null character: no layout, so no macro
            return found[0]

    return _MACRO.sub(fill, value)
