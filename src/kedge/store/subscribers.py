"""Who hears of writes, in order, even when hearing of one leads to the next."""

from collections import deque

from kedge.store.types import Callback, Record, Unsubscribe


class Subscribers:
    """Callbacks by key prefix. Of many, each write looks only at those that its resource may concern."""

    def __init__(self) -> None:
        self._callbacks: dict[int, tuple[str, Callback]] = {}
        self._near: dict[str, tuple[tuple[str, Callback], ...]] = {}  # by resource; made anew when somebody comes or goes
        self._next = 0
        self._pending: deque[Record] = deque()
        self._busy = False

    def add(self, prefix: str, callback: Callback) -> Unsubscribe:
        """Call ``callback`` with every record of the prefix until the returned function is called."""
        token = self._next
        self._next += 1
        self._callbacks[token] = (prefix, callback)
        self._near.clear()

        def remove() -> None:
            self._callbacks.pop(token, None)
            self._near.clear()

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
                for prefix, callback in self._concerned(record.key):
                    if record.key.startswith(prefix):
                        callback(record)
        finally:
            self._busy = False

    def _concerned(self, key: str) -> tuple[tuple[str, Callback], ...]:
        """Those whose prefix is one of the key's resource, or lies within it, in the order in which they came."""
        root = "/".join(key.split("/", 3)[:3]) + "/"
        found = self._near.get(root)
        if found is None:
            each = self._callbacks.values()
            found = self._near[root] = tuple(pair for pair in each if root.startswith(pair[0]) or pair[0].startswith(root))
        return found
