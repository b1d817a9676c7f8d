"""How long a Pod may stay as it is: one whose container cannot be made, and one that its node does not end.

Kubernetes tries such things for ever. Somebody who waits for a run wants an end, after a time in which what heals by itself has
healed. The time is counted from when it was first seen here: a hub that starts again counts again.
"""

from collections.abc import Callable

from kedge.kube.kinds import Obj
from kedge.pipelines import observations
from kedge.pipelines.timers import Timers


class Patience:
    """With the Pods of one run.

    Args:
        timers: Where it is counted.
        run_id: Whose.
        starting: Seconds for a container that cannot be made.
        over: Called with a Pod's name when there is none left: look at it again.
    """

    def __init__(self, timers: Timers, run_id: str, *, starting: float, over: Callable[[str], None]) -> None:
        self._timers = timers
        self._run_id = run_id
        self._starting = starting
        self._call = over
        self._stalls: dict[str, str] = {}
        self._over: set[str] = set()

    def is_over(self, pod: Obj) -> bool:
        """Whether a Pod, as it is, has been so for too long; counts from now on where it has not been so before."""
        name = pod["metadata"]["name"]
        stall = observations.stall(pod)
        if stall is None:
            self.forget(name)
            return False
        if self._stalls.get(name) != stall.kind:
            self._stalls[name] = stall.kind
            self._over.discard(name)
            seconds = self._starting if stall.seconds is None else stall.seconds
            self._timers.after(seconds, self._key(name), lambda: self._end(name))
        return name in self._over

    def forget(self, name: str) -> None:
        """A Pod goes on, or nobody waits for it any more; harmless for others."""
        if self._stalls.pop(name, None) is not None:
            self._over.discard(name)
            self._timers.cancel(self._key(name))

    def clear(self) -> None:
        """Forget all of them."""
        for name in list(self._stalls):
            self.forget(name)

    def _end(self, name: str) -> None:
        self._over.add(name)
        self._call(name)

    def _key(self, name: str) -> tuple[str, str, str]:
        return ("patience", self._run_id, name)
