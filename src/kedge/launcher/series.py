"""Points of series on their way to the hub while the step runs.

The step itself only appends to a queue. A thread of its own looks into it once a second and sends what is there, in requests of a
bounded size; one that is sent twice is recorded once, because a series has one value for a step. A hub that is away is tried
again later. Whatever is left when the function has returned goes before the outputs are committed, and is waited for like them:
a step that succeeds has all of its points recorded. One that fails tries once more and does not wait.

Metrics that a function makes itself and returns have no name before it does: their points go at the end.
"""

import math
import sys
import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

from .errors import HubUnreachable, LauncherError, NotWanted
from .hub import Hub

INTERVAL = 1.0  # seconds between requests
_LONGEST_INTERVAL = 30.0  # while the hub is away
AT_ONCE = 10_000  # points of one request
_LAST_TIMEOUT = 2.0  # seconds that a step that fails may spend on its points

_current: Optional["Series"] = None


def begin(artifacts: Dict[str, List[Any]]) -> Optional[Callable[[Any, str, Any], None]]:
    """Begin to take points.

    Args:
        artifacts: The step's output artifacts by name, as far as they are known.

    Returns:
        What takes them; None when there is no hub.
    """
    global _current  # noqa: PLW0603  # one step is one process
    try:
        hub = Hub()
    except LauncherError:
        return None  # somebody runs the function without one
    _current = Series(hub, artifacts)
    return _current.take


def end(artifacts: Dict[str, List[Any]], *, insist: bool) -> None:
    """Send what is left.

    Args:
        artifacts: The step's output artifacts by name, all of them.
        insist: Wait for the hub as for the commit.

    Raises:
        HubUnreachable: It did not come back.
    """
    global _current
    found, _current = _current, None
    if found is not None:
        found.end(artifacts, insist=insist)


class Series:
    """The points of one step.

    Args:
        hub: Where they go.
        artifacts: Output artifacts by name.
    """

    def __init__(self, hub: Hub, artifacts: Dict[str, List[Any]]) -> None:
        self._hub = hub
        self._places = _places(artifacts)
        self._taken: Deque[Tuple[Any, str, Any]] = deque()
        self._nameless: List[Tuple[Any, str, Any]] = []
        self._sending: List[Dict[str, Any]] = []
        self._refused = ""
        self._busy = threading.Lock()
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = threading.Thread(target=self._run, name="kedge-metrics", daemon=True)
        self._thread.start()

    def take(self, artifact: Any, name: str, point: Any) -> None:
        """Take one; this is all that the step waits for."""
        if not self._refused:
            self._taken.append((artifact, name, point))

    def end(self, artifacts: Dict[str, List[Any]], *, insist: bool) -> None:
        """See `end` of the module."""
        self._stop.set()
        if not self._busy.acquire(timeout=-1 if insist else _LAST_TIMEOUT):
            return
        try:
            if insist:
                self._places = _places(artifacts)
                self._taken.extendleft(reversed(self._nameless))
                self._nameless = []
                while not self._refused and self._send(self._hub, insist=True):
                    pass
            elif not self._refused:
                self._send(Hub(timeout=_LAST_TIMEOUT), insist=False)
        finally:
            self._busy.release()
        if insist and self._nameless:
            count = len(self._nameless)
            print(f"kedge: {count} points were logged on Metrics that are no output of this step, and are gone.", file=sys.stderr)

    def _run(self) -> None:
        wait = INTERVAL
        while not self._stop.wait(wait):
            with self._busy:
                if self._refused or self._stop.is_set():
                    return
                wait = INTERVAL if self._send(self._hub, insist=False) is not None else min(wait * 2, _LONGEST_INTERVAL)

    def _send(self, hub: Hub, *, insist: bool) -> Optional[bool]:
        """Send one request: whether there may be more to send; None when it could not be."""
        if not self._sending:
            self._sending = self._next()
        if not self._sending:
            return False
        try:
            if not hub.metrics(self._sending, insist=insist):
                return None
        except NotWanted:
            self._taken.clear()  # the commit says it too, and better
        except HubUnreachable:
            raise
        except LauncherError as error:
            self._refused = error.message
            self._taken.clear()
            print(f"kedge: points of metrics were not recorded: {self._refused}", file=sys.stderr)
        self._sending = []
        return True

    def _next(self) -> List[Dict[str, Any]]:
        """The next request's series."""
        found: Dict[Any, Dict[str, Any]] = {}
        count = 0
        while self._taken and count < AT_ONCE:
            artifact, name, (step, at, value) = self._taken.popleft()
            place = self._places.get(id(artifact))
            if place is None:
                self._nameless.append((artifact, name, (step, at, value)))
                continue
            key = (place, name)
            if key not in found:
                found[key] = {"output": place[0], "index": place[1], "name": name, "points": []}
            found[key]["points"].append([step, at, value if math.isfinite(value) else _word(value)])
            count += 1
        return list(found.values())


def _places(artifacts: Dict[str, List[Any]]) -> Dict[int, Tuple[str, int]]:
    return {id(one): (name, index) for name, listed in artifacts.items() for index, one in enumerate(listed)}


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
