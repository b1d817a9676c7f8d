"""A step's log as the client reads it: whole lines of bytes, followed over retries and over a host that comes and goes.

While a log is followed each line is asked for with the time at which it was written. When the connection ends too early the log
is asked for from that time on (a kubelet begins with the whole second), and what was written before it is left out, and as many
lines of that moment as were shown already: nothing comes twice and nothing is lost. A line without a time is the rest of one that
was begun before the time that was asked for: containerd keeps long lines in parts, and a kubelet leaves out parts that are older.
"""

import re
import select
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import httpx

from kedge.client.lines import Lines
from kedge.errors import BadRequest, NotFound, Unavailable

_LOOK_AGAIN = 0.2
_TIMED = re.compile(rb"\d{4}-\d\d-\d\dT\S+ ")
_PATIENCE = 120.0  # seconds that a host may be away
_OVER = frozenset({"SUCCEEDED", "FAILED", "CACHED", "SKIPPED", "CANCELED"})


@dataclass(frozen=True, slots=True)
class LogPart:
    """What part of a log is wanted, and how.

    Attributes:
        tail: Only the last so many lines.
        since: Only lines from this time on, RFC 3339.
        timestamps: Begin each line with the time it was written, and a space.
        retried: Told the number of the next attempt, before its lines come.
    """

    tail: int | None = None
    since: str = ""
    timestamps: bool = False
    retried: Callable[[int], None] | None = None

    @property
    def query(self) -> dict[str, str]:
        """As the route has it."""
        return {
            "tail_lines": "" if self.tail is None else str(self.tail),
            "since_time": self.since,
            "timestamps": "true" if self.timestamps else "",
        }


def lines(response: httpx.Response, *, whole: bool = False) -> Iterator[bytes]:
    """The lines of an answer, without their ends.

    Args:
        response: The answer.
        whole: Leave out a last line that has no end.
    """
    found = Lines()
    for piece in response.iter_bytes():
        yield from found.feed(piece)
    if not whole and found.rest:
        yield found.rest


class Follower:
    """Follows one step.

    Args:
        ask: Asks for the log with a query; raises what `kedge.errors` has.
        task: Reads the task.
        part: What part.
    """

    def __init__(
        self,
        ask: Callable[[Mapping[str, str]], AbstractContextManager[httpx.Response]],
        task: Callable[[], dict[str, Any]],
        part: LogPart,
    ) -> None:
        self._ask = ask
        self._read_task = task
        self._part = part
        self._moment = b""  # of the last line that was shown, and how many of that moment were
        self._count = 0
        self._skip = 0  # lines of that moment that come again
        self._away_since: float | None = None

    def lines(self, attempt: int | None) -> Iterator[bytes]:
        """The lines of one attempt, or of the newest and every later one.

        Raises:
            Unavailable: The host is away for more than two minutes.
        """
        number = attempt if attempt is not None else _newest(self._task()) or 0
        while True:
            yield from self._attempt(number)
            if attempt is not None:
                return
            while (newest := _newest(task := self._task())) is None or newest <= number:
                if task.get("state") in _OVER:
                    return
                select.select([], [], [], _LOOK_AGAIN)
            number += 1
            self._moment, self._count = b"", 0
            if self._part.retried is not None:
                self._part.retried(number)

    def _attempt(self, number: int) -> Iterator[bytes]:
        while True:
            over = _is_over(self._task(), number)  # asked first: then what is there is all there will be
            try:
                with self._ask(self._query(number, follow=not over)) as response:
                    for line in lines(response, whole=not over):
                        self._away_since = None
                        if self._is_new(line):
                            yield line if self._part.timestamps else line.partition(b" ")[2]
                if over:
                    return
            except (NotFound, BadRequest):  # it has not begun, or left no log
                if over:
                    return
                select.select([], [], [], _LOOK_AGAIN)
            except Unavailable as error:
                self._wait(error)

    def _query(self, number: int, *, follow: bool) -> dict[str, str]:
        query = {**self._part.query, "attempt": str(number), "timestamps": "true", "follow": "true" if follow else ""}
        if self._moment:
            self._skip = self._count
            return {**query, "tail_lines": "", "since_time": self._moment.decode("ascii")}
        self._skip = 0
        return query

    def _is_new(self, line: bytes) -> bool:
        if not _TIMED.match(line):
            return False
        moment = line.partition(b" ")[0]
        if self._skip and moment <= self._moment:
            self._skip -= moment == self._moment
            return False
        self._skip = 0
        self._count = self._count + 1 if moment == self._moment else 1
        self._moment = moment
        return True

    def _task(self) -> dict[str, Any]:
        while True:
            try:
                found = self._read_task()
            except Unavailable as error:
                self._wait(error)
            else:
                self._away_since = None
                return found

    def _wait(self, error: Unavailable) -> None:
        now = time.monotonic()
        self._away_since = self._away_since or now
        if now - self._away_since > _PATIENCE:
            raise error
        select.select([], [], [], _LOOK_AGAIN)


def _newest(task: Mapping[str, Any]) -> int | None:
    return max((int(one["attempt"]) for one in task.get("attempts") or ()), default=None)


def _is_over(task: Mapping[str, Any], number: int) -> bool:
    if task.get("state") in _OVER:
        return True
    return any(int(one["attempt"]) == number and one.get("end_time") for one in task.get("attempts") or ())
