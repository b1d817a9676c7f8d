"""When the probes of a Pod are carried out, and what their results amount to: counts and thresholds, as the kubelet has them.

A probe that waits costs a timer and nothing else. A Pod without probes costs nothing.
"""

import asyncio
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime

from kedge.control.background import Background
from kedge.kube.clock import Clock
from kedge.kube.kinds import Obj
from kedge.kube.pods import is_sidecar
from kedge.kube.probes import LIVENESS, PROBES, READINESS, STARTUP
from kedge.node.handlers import Handlers, Outcome
from kedge.node.lifecycle import Container, Seen, has_started

# Seconds after a start at which a probe is carried out for the first time that counts. The kubelet's looks come once a second.
_FIRST = 1.0
# Until then it is asked whether the container is ready already; that it is not yet counts for nothing.
_EARLY = (0.05, 0.1, 0.2, 0.4, 0.7)


class Tally:
    """Results of one probe in a row.

    Args:
        probe: Its spec.
    """

    def __init__(self, probe: Obj) -> None:
        self._needed = {True: probe.get("successThreshold") or 1, False: probe.get("failureThreshold") or 3}
        self._last: bool | None = None
        self._run = 0

    def count(self, ok: bool) -> bool:  # noqa: FBT001  # the result itself
        """Count a result; True when there were as many of its kind in a row as its threshold says."""
        self._run = self._run + 1 if ok is self._last else 1
        self._last = ok
        return self._run >= self._needed[ok]


class _Watch:
    """One probe of one attempt of a container."""

    def __init__(self, container: Obj, kind: str, known: Container) -> None:
        self.container = container
        self.kind = kind
        self.known = known
        self.period: float = container[kind].get("periodSeconds") or 10
        self.tally = Tally(container[kind])
        self.early: list[float] = []
        self.due = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Carry it out no more."""
        if self.timer is not None:
            self.timer.cancel()
        if self.task is not None:
            self.task.cancel()


class Probing:
    """The probes of one Pod.

    Args:
        pod: The Pod.
        handlers: Carry them out.
        clock: The time.
        emit: Tells a person: reason and message.
        on_result: Called when a result is there that changes something; it stands in the container's ``probed``.
    """

    def __init__(
        self, pod: Obj, handlers: Handlers, clock: Clock, emit: Callable[[str, str], object], on_result: Callable[[], object]
    ) -> None:
        self._pod = pod
        self._handlers = handlers
        self._clock = clock
        self._emit = emit
        self._on_result = on_result
        self._probes = tuple(_probes_of(pod["spec"]))
        self._watches: dict[tuple[str, str], _Watch] = {}
        self._background = Background("probes")
        self._began = False

    def follow(self, pod: Obj, seen: Seen) -> None:
        """Begin and end probes as the Pod's containers come and go.

        Args:
            pod: As it is now.
            seen: What is known of its containers.
        """
        self._pod = pod
        ending = seen.ending is not None or bool(pod["metadata"].get("deletionTimestamp"))
        for container, kind in self._probes:
            known, key = seen.of(container["name"]), (container["name"], kind)
            watch = self._watches.get(key)
            if watch is not None and (watch.known is not known or not _is_wanted(container, kind, known, ending=ending)):
                self._watches.pop(key).stop()
                watch = None
            if watch is None and _is_wanted(container, kind, known, ending=ending):
                self._watches[key] = self._begin(_Watch(container, kind, known))
        self._began = True

    def stop(self) -> None:
        """End all probes."""
        for watch in self._watches.values():
            watch.stop()
        self._watches.clear()

    def _begin(self, watch: _Watch) -> _Watch:
        now, age = asyncio.get_running_loop().time(), _age(watch.known, self._clock.now())
        delay = (watch.container[watch.kind].get("initialDelaySeconds") or 0) - age
        if not self._began and age > 2 * _FIRST:
            # Taken over from an agent before this one, together with all others: they take turns.
            share = zlib.crc32(f"{self._pod['metadata']['uid']}/{watch.container['name']}/{watch.kind}".encode()) / (1 << 32)
            watch.due = now + max(delay, share * watch.period)
        elif watch.kind == LIVENESS and STARTUP in watch.known.probed:
            watch.due = now + max(delay, watch.period)  # it has just been said to be well
        else:
            watch.due = now + max(delay, _FIRST - age, 0.0)
            if watch.kind != LIVENESS and delay <= 0 and (watch.container[watch.kind].get("successThreshold") or 1) == 1:
                watch.early = [now + seconds for seconds in _EARLY if now + seconds < watch.due]
        self._wait(watch)
        return watch

    def _wait(self, watch: _Watch) -> None:
        """Set the timer for what comes next."""
        early = bool(watch.early)
        due = watch.early.pop(0) if early else watch.due
        watch.timer = asyncio.get_running_loop().call_at(due, self._look, watch, early)

    def _look(self, watch: _Watch, early: bool) -> None:  # noqa: FBT001  # as the loop calls it
        watch.task = self._background.start(self._probe(watch, early=early))

    async def _probe(self, watch: _Watch, *, early: bool) -> None:
        outcome = await self._handlers.probe(self._pod, watch.container, watch.kind)
        if watch.known.up and self._goes_on(watch) and (outcome.ok or not early):
            self._take(watch, outcome)
        if not self._goes_on(watch):
            return
        if early and not outcome.ok:
            self._wait(watch)
            return
        watch.early.clear()
        now = asyncio.get_running_loop().time()
        if not early:
            watch.due += watch.period * max(1, -(-(now - watch.due) // watch.period))
        self._wait(watch)

    def _goes_on(self, watch: _Watch) -> bool:
        """Whether it has not been stopped meanwhile."""
        return self._watches.get((watch.container["name"], watch.kind)) is watch

    def _take(self, watch: _Watch, outcome: Outcome) -> None:
        if outcome.event[0]:
            self._emit(*outcome.event)
        if outcome.ok is None or not watch.tally.count(outcome.ok):
            return
        if watch.known.probed.get(watch.kind) is not outcome.ok:
            watch.known.probed[watch.kind] = outcome.ok
            self._on_result()


def _probes_of(spec: Obj) -> Iterator[tuple[Obj, str]]:
    sidecars = (each for each in spec.get("initContainers") or () if is_sidecar(each))
    for container in (*sidecars, *spec["containers"]):
        for kind in PROBES:
            if container.get(kind):
                yield container, kind


def _is_wanted(container: Obj, kind: str, known: Container, *, ending: bool) -> bool:
    """Whether a probe has something to find out now."""
    if kind == READINESS:
        return has_started(container, known)  # while it ends, too: others may still send it work
    if ending or known.stopping or not known.up:
        return False
    return kind not in known.probed if kind == STARTUP else has_started(container, known) and known.probed.get(kind, True)


def _age(known: Container, now: datetime) -> float:
    return max(0.0, (now - known.started_at).total_seconds()) if known.started_at is not None else 0.0
