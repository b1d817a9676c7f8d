"""The supervisor's event loop: file descriptors and deadlines, nothing else, and no tick when there is nothing to do."""

import heapq
import itertools
import selectors
import time
import traceback
from collections.abc import Callable

Action = Callable[[], object]


class Loop:
    """Calls back when a descriptor can be read or written, and when a time has come."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Action]] = []
        self._count = itertools.count()
        self.running = True

    def watch(self, fd: int, action: Action, *, write: Action | None = None) -> None:
        """Call ``action`` whenever ``fd`` can be read and ``write`` whenever it can be written; replaces what was set."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if write else 0)
        if fd in self._selector.get_map():
            self._selector.modify(fd, events, (action, write))
        else:
            self._selector.register(fd, events, (action, write))

    def forget(self, fd: int) -> None:
        """Stop watching ``fd``; before it is closed."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def after(self, seconds: float, action: Action) -> None:
        """Call ``action`` once, later. It cannot be called off: it looks whether it is still wanted."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._count), action))

    def run(self) -> None:
        """Run until `running` is false."""
        while self.running:
            timeout = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
            for key, events in self._selector.select(timeout):
                read, write = key.data
                for event, action in ((selectors.EVENT_WRITE, write), (selectors.EVENT_READ, read)):
                    # What ran before in this round may have closed the descriptor, and another may have got its number.
                    current = self._selector.get_map().get(key.fd)
                    if action and events & event and current is not None and current.data is key.data:
                        self.call(action)
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                self.call(heapq.heappop(self._timers)[2])

    @staticmethod
    def call(action: Action) -> None:
        """Call now; a defect in the handling of one container must not end the care for all others."""
        try:
            action()
        except Exception:  # noqa: BLE001
            traceback.print_exc()
