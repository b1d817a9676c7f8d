"""Steps that cannot begin yet because the API server does not take what they need: they are tried again, ever less often.

What is held back are all starts of one component, because they ask for the same: one of them asks for all. A quota has room again
when a Pod ends, so the end of one of the run's own is a reason to ask at once.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kedge.pipelines.engine.types import StartStep
from kedge.pipelines.refusals import Held
from kedge.pipelines.timers import Timers

FIRST, LAST = 1.0, 15.0
"""Seconds between two tries, at first and at most."""
# The end of a Pod is seen before its quota is counted again.
_SOON = 0.5


@dataclass(slots=True)
class _Hold:
    message: str
    delay: float = FIRST
    soon: bool = False
    starts: deque[StartStep] = field(default_factory=deque[StartStep])


class Holds:
    """Those of one run.

    Args:
        timers: Where they wait.
        run_id: Whose.
        again: Takes the starts that are to be tried again.
    """

    def __init__(self, timers: Timers, run_id: str, again: Callable[[Iterable[StartStep]], None]) -> None:
        self._timers = timers
        self._run_id = run_id
        self._again = again
        self._holds: dict[str, _Hold] = {}

    def joins(self, start: StartStep) -> bool:
        """Whether a start waits with others of its component; it is then kept."""
        hold = self._holds.get(start.component)
        if hold is None or not self._timers.pending(self._key(start.component)):
            return False
        hold.starts.append(start)
        return True

    def keep(self, start: StartStep, held: Held) -> None:
        """A start was not taken: keep it for later."""
        hold = self._holds.get(start.component)
        if hold is None:
            hold = self._holds[start.component] = _Hold(held.message)
        else:
            hold.message, hold.delay, hold.soon = held.message, min(2 * hold.delay, LAST), False
        hold.starts.append(start)
        self._timers.after(hold.delay, self._key(start.component), lambda: self._release(start.component))

    def lift(self, start: StartStep) -> None:
        """A start was taken."""
        hold = self._holds.pop(start.component, None)
        if hold is not None and hold.starts:
            self._timers.cancel(self._key(start.component))
            self._again(hold.starts)

    def hurry(self) -> None:
        """There may be room now."""
        for component, hold in self._holds.items():
            hold.delay = FIRST
            if not hold.soon and hold.starts:
                hold.soon = True
                self._timers.after(_SOON, self._key(component), lambda component=component: self._release(component))

    def message(self, component: str) -> str:
        """What the starts of a component wait for, or ``""``."""
        hold = self._holds.get(component)
        return hold.message if hold is not None else ""

    def clear(self) -> None:
        """Forget all of them."""
        for component in self._holds:
            self._timers.cancel(self._key(component))
        self._holds.clear()

    def _release(self, component: str) -> None:
        hold = self._holds.get(component)
        if hold is not None:
            starts, hold.starts = hold.starts, deque()
            self._again(starts)

    def _key(self, component: str) -> tuple[str, str, str]:
        return ("held", self._run_id, component)
