"""One run's worker: observations in, instructions out, one at a time.

The worker sleeps until there is something to look at or to do. What it has observed comes first, all of it in one transaction;
then it carries out what is owed, looking up after every act. Runs do not wait for each other: each has a worker of its own.
"""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from kedge.errors import ApiError, KedgeError, StateError, TooManyRequests
from kedge.kube.clock import Clock
from kedge.kube.kinds import Obj
from kedge.pipelines import observations
from kedge.pipelines.engine.types import (
    CacheAnswered,
    Event,
    Failure,
    FinishRun,
    Instruction,
    LookupCache,
    Outputs,
    StartStep,
    State,
    StepCommitted,
    StepFailed,
    StepStarted,
    StopStep,
    TimerFired,
    WakeAt,
)
from kedge.pipelines.holds import Holds
from kedge.pipelines.live import LiveRun
from kedge.pipelines.patience import Patience
from kedge.pipelines.pods import StepPods
from kedge.pipelines.ports import Artifacts
from kedge.pipelines.records import RunRecord
from kedge.pipelines.steps import pod_name
from kedge.pipelines.timers import Timers

_log = logging.getLogger(__name__)
_FIRST_DELAY, _LAST_DELAY = 0.25, 5.0
_LONGEST_ASKED = 60.0  # seconds that a busy API server may make a run wait
# How many Pods are made before others get a turn of the loop.
_TURN = 8
# How long a Pod whose attempt is recorded waits for its finalizer to be taken off: so long, the step after it is on its way.
_SETTLE_SECONDS = 0.005
PATIENCE = 60.0
"""Seconds after which a Pod that waits for a node does not count any more."""


class Room:
    """How many Pods may wait for their nodes at once, over all runs.

    A loop over a thousand items makes its Pods as others begin to run: what only waits is a row, not an object that every watcher
    of Pods has to hold. The bound is on waiting Pods alone, so that a large cluster still fills up; and one that has waited for
    long (no node may ever take it) does not keep others out.

    Args:
        clock: For how long they wait.
        limit: How many.
    """

    def __init__(self, clock: Clock, limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self._waiting: dict[tuple[str, str], float] = {}  # since when; the oldest first
        self._starved: dict[str, Callable[[], None]] = {}

    def free(self) -> bool:
        """Whether another Pod may be made."""
        return self._left() > 0

    def take(self, namespace: str, name: str) -> None:
        """A Pod was made."""
        self._waiting.pop((namespace, name), None)
        self._waiting[namespace, name] = self._clock.monotonic()

    def give(self, namespace: str, name: str) -> None:
        """A Pod began, ended or is gone; harmless for others."""
        if self._waiting.pop((namespace, name), None) is not None:
            self.offer()

    def ask(self, run: str, wake: Callable[[], None]) -> None:
        """Call once, when there is room again; who asked first is called first."""
        self._starved[run] = wake

    def offer(self) -> None:
        """Wake those who asked, but no more than there is room for: a thousand who all look would be most of a hub's work."""
        if self._starved and (left := self._left()) > 0:
            for run in list(itertools.islice(self._starved, left)):
                self._starved.pop(run)()

    def _left(self) -> int:
        if len(self._waiting) >= self._limit:
            oldest = self._clock.monotonic() - PATIENCE
            while self._waiting and next(iter(self._waiting.values())) <= oldest:
                del self._waiting[next(iter(self._waiting))]
        return self._limit - len(self._waiting)


class Host(Protocol):
    """What a worker asks of the controller."""

    def pods_of(self, record: RunRecord) -> Iterable[Obj]:
        """The Pods of a run, as last seen."""
        ...

    def reload(self, worker: "Worker") -> LiveRun:
        """Load the run again from the history."""
        ...

    async def finish(self, worker: "Worker") -> None:
        """The run is over and recorded: tell its object, and forget it."""
        ...

    def changed(self, worker: "Worker") -> None:
        """Something of the run was written."""
        ...


@dataclass(slots=True)
class Tools:
    """What all workers share."""

    clock: Clock
    pods: StepPods
    artifacts: Artifacts
    timers: Timers
    room: Room
    image_pull_timeout: float


@dataclass(slots=True, eq=False)
class Worker:
    """One run's worker.

    Attributes:
        live: The run.
        host: The controller.
        tools: What all workers share.
        todo: Instructions not yet carried out.
        starts: Pods not yet made; they alone may have to wait for room.
        seen: Pods that changed, with whether they are gone.
        settling: Pods that are to be let go, with whether their result is wanted.
        settled: UIDs of Pods that were let go.
        task: The loop.
        over: Whether the run is over and everything about it is done.
        holds: Pods that the API server does not take yet.
        patience: With Pods that do not go on.
        trouble: Why nothing can be done for the run just now, or ``""``.
    """

    live: LiveRun
    host: Host
    tools: Tools
    todo: deque[Instruction] = field(default_factory=deque[Instruction])
    starts: deque[StartStep] = field(default_factory=deque[StartStep])
    seen: dict[str, tuple[Obj, bool]] = field(default_factory=dict[str, tuple[Obj, bool]])
    settling: dict[str, tuple[Obj, bool]] = field(default_factory=dict[str, tuple[Obj, bool]])
    settled: set[str] = field(default_factory=set[str])
    task: "asyncio.Task[None] | None" = None
    over: bool = False
    holds: Holds = field(init=False)
    patience: Patience = field(init=False)
    trouble: str = ""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _again_at_once: asyncio.Event = field(default_factory=asyncio.Event)
    _failures: int = 0

    def __post_init__(self) -> None:
        """Make what belongs to this run alone."""
        run_id, timers = self.live.record.id, self.tools.timers
        self.holds = Holds(timers, run_id, self._begin_again)
        self.patience = Patience(timers, run_id, starting=self.tools.image_pull_timeout, over=self._look_again)

    def wake(self) -> None:
        """There is something to look at, or to do."""
        self._wake.set()

    def doubt(self) -> None:
        """Load the run again before anything else, and at once: what it waited for may be there."""
        self.live.broken = True
        self._again_at_once.set()
        self._wake.set()

    def observe(self, pod: Obj, *, gone: bool) -> None:
        """Look at a Pod, soon."""
        self.seen[pod["metadata"]["name"]] = (pod, gone)
        self._wake.set()

    def feed(self, events: Iterable[Event]) -> None:
        """Take in what has happened, now; what must be done about it is done soon.

        Raises:
            Unavailable: It could not be written. Nothing happened; the run is loaded again.
        """
        self._wake.set()
        owed = self.live.advance(events)
        for instruction in owed:
            if isinstance(instruction, StartStep):
                self.starts.append(instruction)
            else:
                self.todo.append(instruction)
        self.host.changed(self)

    async def run(self) -> None:
        """Work until the run is over."""
        while not self.over:
            try:
                await self._turn()
            except (KedgeError, OSError) as error:
                await self._pause(error)
            except Exception:  # noqa: BLE001  # logged with its traceback
                # A defect of ours must cost neither the run nor the other runs: what is written is right, so begin from that.
                _log.exception(
                    "a run's worker failed; it is loaded again. Please report this.", extra={"run_id": self.live.record.id}
                )
                self.live.broken = True
                await self._pause(None)

    def _begin_again(self, starts: Iterable[StartStep]) -> None:
        self.starts.extend(starts)
        self._wake.set()

    def _look_again(self, pod_name: str) -> None:
        for pod in self.host.pods_of(self.live.record):
            if pod["metadata"]["name"] == pod_name and pod_name not in self.seen:
                self.observe(pod, gone=False)

    def why(self, task_id: str) -> str:
        """Why a task's Pod is not there, as far as the API server said it; or ``""``."""
        return self.holds.message(self.live.engine.tasks[task_id].component) or self.trouble

    async def _pause(self, error: Exception | None) -> None:
        self.tools.room.offer()  # others may have what this one cannot take now
        delay = min(_FIRST_DELAY * 2.0 ** min(self._failures, 16), _LAST_DELAY)
        self._failures += 1
        if isinstance(error, ApiError):
            if isinstance(error, TooManyRequests):
                delay = max(delay, min(error.retry_after or 0.0, _LONGEST_ASKED))
            if self.trouble != (trouble := f"cannot be begun yet: {error}"):
                self.trouble = trouble
                self.host.changed(self)
        if error is not None:
            # A damaged history ends the host, which says so once.
            level = logging.WARNING if self._failures == 1 and not isinstance(error, StateError) else logging.DEBUG
            _log.log(level, "a run waits", extra={"run_id": self.live.record.id, "seconds": round(delay, 3), "error": str(error)})
            if not isinstance(error, ApiError):
                self.live.broken = True
        self._again_at_once.clear()
        waits = [asyncio.ensure_future(self.tools.clock.sleep(delay)), asyncio.ensure_future(self._again_at_once.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        self._wake.set()

    async def _turn(self) -> None:
        await self._wake.wait()
        self._wake.clear()
        if self.live.broken:
            self._again()
        made = 0
        while not self.over and (self.seen or self.todo or self._may_start() or self._may_settle()):
            if self.seen:
                self._look()
            elif self.todo:
                await self._perform(self.todo[0])
                self.todo.popleft()
            elif self._may_start():
                await self._start(self.starts[0])
                self.starts.popleft()
            else:
                # Last: the next step's Pod is worth more than this one's finalizer.
                await self._settle()
            made += 1
            if made % _TURN == 0:
                await asyncio.sleep(0)
            if self.live.broken:
                self._again()
        self._failures = 0
        if not self.starts:
            self.tools.room.offer()  # what it was woken for may be over, or not need a Pod
        if self.trouble:
            self.trouble = ""
            self.host.changed(self)

    def _may_settle(self) -> bool:
        return bool(self.settling) and not self.tools.timers.pending(("settle", self.live.record.id))

    def _may_start(self) -> bool:
        if not self.starts:
            return False
        if self.tools.room.free():
            return True
        run_id = self.live.record.id
        self.tools.room.ask(run_id, self.wake)
        self.tools.timers.after(PATIENCE, ("room", run_id), self.wake)
        return False

    def _again(self) -> None:
        self.todo.clear()
        self.starts.clear()
        self.settling.clear()
        self.holds.clear()
        self.live = self.host.reload(self)
        self.resume()

    def resume(self) -> None:
        """Give the engine what it may have missed: its own instructions, and how every Pod is now."""
        for pod in self.host.pods_of(self.live.record):
            self.seen[pod["metadata"]["name"]] = (pod, False)

    # ---- looking

    def _look(self) -> None:
        """Tell the engine of every Pod that changed, in one transaction."""
        seen, self.seen = self.seen, {}
        now = self.tools.clock.now()
        events = [event for pod, gone in seen.values() for event in self._events(pod, now, gone=gone)]
        if events:
            self.feed(events)
            if any(isinstance(event, StepCommitted | StepFailed) for event in events):
                self.holds.hurry()
        for name, (pod, gone) in seen.items():
            self._consider(name, pod, gone=gone)

    def _events(self, pod: Obj, now: datetime, *, gone: bool) -> list[Event]:
        """What a Pod says that the engine does not know yet."""
        reference = observations.reference(pod)
        if reference is None:
            return []
        task, number = reference.task, reference.attempt
        attempt = self.live.attempts.get((task, number))
        if attempt is None:
            self.patience.forget(reference.name)
            return []
        self.live.seen(task, number, reference.uid)
        row = self.live.engine.tasks[task]
        expects = self.live.steps.plan(row.component, row.executor).expects
        stalled = not gone and self.patience.is_over(pod)
        verdict = observations.judge(pod, expects, attempt.staged, gone=gone, stalled=stalled)
        if verdict is None or pod["metadata"].get("deletionTimestamp"):
            self.host.changed(self)  # what it waits for may be another thing now
        if verdict is None:
            return []
        self.tools.room.give(reference.namespace, reference.name)
        events: list[Event] = []
        if attempt.state is State.PENDING:
            # A step may be over before anyone has looked: it then began when its container says so.
            over = not isinstance(verdict, observations.Running)
            events.append(StepStarted(observations.started(pod, attempt.created_at) if over else now, task, number))
        if isinstance(verdict, observations.Succeeded):
            if fault := self._fault(verdict.outputs):
                events.append(StepFailed(now, task, number, Failure("user", "OutputInvalid", fault, 0)))
            else:
                events.append(StepCommitted(now, task, number, verdict.outputs))
        elif isinstance(verdict, observations.Failed):
            events.append(StepFailed(now, task, number, verdict.failure))
        return events

    def _fault(self, outputs: Outputs) -> str:
        """Why what a step said it wrote on this machine is not there, or ``""``."""
        for name, listed in outputs.artifacts.items():
            for artifact in listed:
                if fault := self.tools.artifacts.check_in_place(artifact.uri, artifact.digest, artifact.size):
                    return f"output {name!r}: {fault}."
        return ""

    def _consider(self, name: str, pod: Obj, *, gone: bool) -> None:
        """See whether a Pod's attempt is recorded, so that it can be let go."""
        if gone:
            self.patience.forget(name)
            self.tools.room.give(pod["metadata"]["namespace"], name)
            self.settling.pop(name, None)
            return
        reference = observations.reference(pod)
        if reference is None or (reference.task, reference.attempt) in self.live.attempts:
            return
        task = self.live.engine.tasks.get(reference.task)
        if task is None or reference.attempt > task.attempt or (reference.attempt == task.attempt and not task.state.finished):
            return  # made for an attempt that this history does not know yet: it will find its Pod there
        self.tools.room.give(reference.namespace, reference.name)
        wanted = task.state is State.SUCCEEDED and reference.attempt == task.attempt
        if observations.is_tracked(pod) and reference.uid in self.settled:
            return  # as it was before it was let go
        if observations.is_tracked(pod) or not (
            wanted or observations.comes_to_its_end(pod) or pod["metadata"].get("deletionTimestamp")
        ):
            if not self.settling:
                self.tools.timers.after(_SETTLE_SECONDS, ("settle", self.live.record.id), self.wake)
            self.settling[name] = (pod, wanted)

    async def _settle(self) -> None:
        name = next(iter(self.settling))
        pod, wanted = self.settling[name]
        await self.tools.pods.settle(pod, wanted=wanted)
        self.settled.add(pod["metadata"]["uid"])
        if self.settling.get(name) == (pod, wanted):
            del self.settling[name]

    # ---- doing

    async def _start(self, start: StartStep) -> None:
        if (start.task, start.attempt) not in self.live.attempts:
            return  # over before its turn came: the run was cancelled
        if self.holds.joins(start):
            return
        begun = await self.tools.pods.start(self.live, start)
        if begun.held is not None:
            self.holds.keep(start, begun.held)
            self.host.changed(self)
            return
        self.holds.lift(start)
        if (pod := begun.pod) is not None:
            metadata = pod["metadata"]
            self.live.seen(start.task, start.attempt, metadata["uid"])
            if not (pod.get("status") or {}).get("containerStatuses"):
                self.tools.room.take(metadata["namespace"], metadata["name"])
        if begun.events:
            self.feed(begun.events)

    async def _perform(self, instruction: Instruction) -> None:
        record = self.live.record
        if isinstance(instruction, StopStep):
            await self.tools.pods.stop(record.namespace, pod_name(record, instruction.task, instruction.attempt))
        elif isinstance(instruction, WakeAt):
            self._wake_at(instruction)
        elif isinstance(instruction, LookupCache):
            await self._look_up(instruction)
        elif isinstance(instruction, FinishRun):
            self.starts.clear()
            self.holds.clear()
            self.patience.clear()
            while self.settling:
                await self._settle()
            await self.host.finish(self)

    def _wake_at(self, instruction: WakeAt) -> None:
        live, task = self.live, instruction.task

        def fire() -> None:
            if self.live is live and not live.broken and not self.over:
                try:
                    self.feed([TimerFired(self.tools.clock.now(), task)])
                except KedgeError as error:
                    _log.warning(
                        "a step cannot be tried again yet", extra={"run_id": live.record.id, "task_id": task, "error": str(error)}
                    )

        delay = (instruction.at - self.tools.clock.now()).total_seconds()
        self.tools.timers.after(delay, ("retry", live.record.id, task), fire)

    async def _look_up(self, lookup: LookupCache) -> None:
        """Answer from the history once what was made is known to be there; a hit whose artifacts are gone is a miss."""
        found: tuple[Outputs, str] | None = self.live.cached(lookup, self.tools.clock.now())
        while found is not None:
            if not await self._is_whole(lookup, found[0]):
                found = None
            elif found == (still := self.live.cached(lookup, self.tools.clock.now())):
                break
            else:  # its run was deleted, or a newer one was made, while the store was asked
                found = still
        outputs, origin = found if found is not None else (None, "")
        self.feed([CacheAnswered(self.tools.clock.now(), lookup.task, outputs, origin)])

    async def _is_whole(self, lookup: LookupCache, outputs: Outputs) -> bool:
        if self.live.claims(self.live.engine.tasks[lookup.task].executor):
            return await self.tools.pods.claims.exists(str(outputs.parameters.get("name")), self.live.record.namespace)
        for listed in outputs.artifacts.values():
            for artifact in listed:
                # Without a digest there never were bytes: metrics are all metadata.
                if self.tools.artifacts.place_fault(artifact.uri, self.live.record.namespace):
                    return False
                if artifact.digest and not await self.tools.artifacts.exists(artifact.uri):
                    return False
        return True
