"""Who hears of writes, in order, even when hearing of one leads to the next."""

from collections import deque

from kedge.store.types import Callback, Record, Unsubscribe


class Subscribers:
    """Callbacks by key prefix."""

    def __init__(self) -> None:
        self._callbacks: dict[int, tuple[str, Callback]] = {}
        self._next = 0
        self._pending: deque[Record] = deque()
        self._busy = False

    def add(self, prefix: str, callback: Callback) -> Unsubscribe:
        """Call ``callback`` with every record of the prefix until the returned function is called."""
        token = self._next
        self._next += 1
        self._callbacks[token] = (prefix, callback)

        def remove() -> None:
            self._callbacks.pop(token, None)

        return remove

    def publish(self, record: Record) -> None:
        """Tell everyone. A callback that writes is told of its write after everyone heard of this one."""
        self._pending.append(record)
        if self._busy:
            return
        self._busy = True
        try:
            while self._pending:
                record = self._pending.popleft()
                for prefix, callback in tuple(self._callbacks.values()):
                    if record.key.startswith(prefix):
                        callback(record)
        finally:
            self._busy = False
