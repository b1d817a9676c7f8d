"""The life of one Pod as a plain function: what is seen of its containers → what to start, what to stop, when to look again.

The kubelet's rules: init containers one after the other, native sidecars (init containers that always restart) beside them and
stopped last, restarts with a growing delay, deadlines, graceful ends. It knows no clock, no process and no API.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from kedge.kube.kinds import Obj
from kedge.kube.pods import is_sidecar
from kedge.kube.probes import LIVENESS, POST_START, READINESS, STARTUP, hooks_of

Phase = Literal["Pending", "Running", "Succeeded", "Failed"]

_FIRST_DELAY = 10.0
_LONGEST_DELAY = 300.0
# A container that ran this long is not in a crash loop; its delay starts over.
_STEADY_SECONDS = 600.0
# What sidecars get when the main containers have used up the grace period.
_LEAST_SIDECAR_GRACE = 2.0
CRASH_LOOP = "CrashLoopBackOff"
POST_START_FAULT = "PostStartHookError"
"""Of a container that was ended because its hook after the start had failed, until its restarts are held back for longer."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How one attempt of a container ended.

    Attributes:
        code: Exit code; 128 + the signal for a signal.
        signal: The signal that killed it, or 0.
        reason: ``Completed``, ``Error``, ``StartError``, ``ExitStatusLost``…
        message: The termination message, or what a person should know.
        started_at: When it started.
        finished_at: When it ended.
        used: Seconds of processors and, at its peak, bytes of memory; ``None`` where nobody saw it.
    """

    code: int
    signal: int
    reason: str
    message: str
    started_at: datetime
    finished_at: datetime
    used: tuple[float, int] | None = None


@dataclass(slots=True)
class Container:
    """What is known of a container.

    Attributes:
        attempt: Number of the attempt that runs, ran last or will run first; its restart count.
        asked: Whether this attempt's start was asked for.
        started_at: When this attempt started, once it has.
        exit: How this attempt ended, once it has.
        last: How the attempt before ended.
        how: ``fork`` or ``exec``, once it has started.
        stopping: Whether it was told to stop.
        hooking: Whether its hook after the start has not ended; until then nobody is told that it runs.
        probed: What its probes say, by the name of their field, once they have said something; likewise its hook.
        hook_fault: Why its hook after the start failed the last time, in words; empty where it has not.
        series: The attempt from which ends are counted for the delay: the first, or the last that ran for long.
        image: The image that this attempt was started with; empty where that is not known.
        replaced: Whether it was told to stop because its Pod names another image since: it is started again, whatever the policy.
    """

    attempt: int = 0
    asked: bool = False
    started_at: datetime | None = None
    exit: Exit | None = None
    last: Exit | None = None
    how: str = ""
    stopping: bool = False
    hooking: bool = False
    probed: dict[str, bool] = field(default_factory=dict[str, bool])
    hook_fault: str = ""
    series: int = 0
    image: str = ""
    replaced: bool = False

    @property
    def alive(self) -> bool:
        """Whether its start was asked for and it has not ended."""
        return self.asked and self.exit is None

    @property
    def running(self) -> bool:
        """Whether it has started and not ended."""
        return self.started_at is not None and self.exit is None

    @property
    def up(self) -> bool:
        """Whether it runs, and its hook after the start has ended."""
        return self.running and not self.hooking

    @property
    def begun(self) -> bool:
        """Whether people are told that it has started."""
        return self.started_at is not None and not self.hooking

    def next(self) -> "Container":
        """The attempt after this one, which has ended."""
        series = self.attempt if self.exit is not None and _ran(self.exit) >= _STEADY_SECONDS else self.series
        fault = self.hook_fault if self.probed.get(POST_START) is False else ""
        return Container(self.attempt + 1, last=self.exit, hook_fault=fault, series=series)


def has_started(container: Obj, known: Container) -> bool:
    """Whether a container runs and its startup probe, if it has one, has succeeded.

    Args:
        container: Its spec.
        known: What is known of it.
    """
    return known.up and (not container.get(STARTUP) or known.probed.get(STARTUP, False))


def is_ready(container: Obj, known: Container) -> bool:
    """Whether a container, given as for `has_started`, may be sent work: it has started, and its readiness probe says so."""
    return has_started(container, known) and (not container.get(READINESS) or known.probed.get(READINESS, False))


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a Pod is being ended from outside.

    Attributes:
        since: When it began to end.
        grace: Seconds that its containers have.
        reason: For the Pod's status, such as ``DeadlineExceeded``; empty for a deletion.
        message: For a person.
    """

    since: datetime
    grace: float
    reason: str = ""
    message: str = ""


@dataclass(slots=True)
class Seen:
    """What is known of a Pod.

    Attributes:
        containers: By name.
        started_at: When the node accepted it.
        ending: Set when it is being deleted, is refused or is over its deadline.
        mains_done_at: When its main containers had all ended, for the sidecars' grace.
    """

    containers: dict[str, Container] = field(default_factory=dict[str, Container])
    started_at: datetime | None = None
    ending: Ending | None = None
    mains_done_at: datetime | None = None

    def of(self, name: str) -> Container:
        """The container of a name; one that nothing is known of is made."""
        return self.containers.setdefault(name, Container())


@dataclass(frozen=True, slots=True)
class Stop:
    """A container to be told to end: SIGTERM now, SIGKILL ``grace`` seconds later.

    Attributes:
        why: For a person, where it is not that the Pod ends.
    """

    name: str
    grace: float
    why: str = ""


@dataclass(slots=True)
class Plan:
    """What to do next.

    Attributes:
        phase: The Pod's phase.
        start: Containers to start, each a new attempt.
        stop: Containers to stop.
        waiting: Reasons of containers that wait, by name; others are ``PodInitializing`` or ``ContainerCreating``.
        initialized: Whether all init containers have done their part.
        wake_at: When to look again though nothing has happened.
        over: Whether nothing runs and nothing will.
    """

    phase: Phase = "Pending"
    start: list[str] = field(default_factory=list[str])
    stop: list[Stop] = field(default_factory=list[Stop])
    waiting: dict[str, str] = field(default_factory=dict[str, str])
    initialized: bool = False
    wake_at: datetime | None = None
    over: bool = False

    def look_again(self, at: datetime) -> None:
        """Look again at ``at``, if not earlier."""
        if self.wake_at is None or at < self.wake_at:
            self.wake_at = at


def delay_before(attempt: int, ran: float) -> float:
    """Seconds to wait, after an attempt ended, before the next.

    Args:
        attempt: Number of the attempt that ended, from 0, or of ends since the last attempt that ran for long.
        ran: How long it ran, in seconds.

    Examples:
        >>> [delay_before(attempt, ran=1) for attempt in (0, 1, 2, 9)]
        [0.0, 10.0, 20.0, 300.0]
        >>> delay_before(9, ran=3600)
        0.0
    """
    if attempt == 0 or ran >= _STEADY_SECONDS:
        return 0.0
    return min(_FIRST_DELAY * 2 ** min(attempt - 1, 10), _LONGEST_DELAY)


def delay_after(known: Container) -> float:
    """Seconds between the end of a container's attempt and the next; none before another image."""
    if known.replaced:
        return 0.0
    return delay_before(known.attempt - known.series, _ran(known.exit)) if known.exit is not None else 0.0


def _ran(end: Exit) -> float:
    return (end.finished_at - end.started_at).total_seconds()


def decide(spec: Obj, seen: Seen, now: datetime) -> Plan:
    """Say what a Pod needs now.

    Args:
        spec: The Pod's spec.
        seen: What is known. ``ending`` and ``mains_done_at`` are filled in when their time has come.
        now: The time.
    """
    # Once a main container has started, the Pod is past its init containers, however it ends.
    plan = Plan(initialized=any(seen.of(each["name"]).started_at for each in spec["containers"]))
    _watch_deadline(spec, seen, plan, now)
    if seen.ending is None:
        _advance(spec, seen, plan, now)
        if not plan.over:
            return plan
    _wind_down(spec, seen, plan, now)
    return plan


def _watch_deadline(spec: Obj, seen: Seen, plan: Plan, now: datetime) -> None:
    seconds = spec.get("activeDeadlineSeconds")
    if seconds is None or seen.started_at is None or seen.ending is not None or seen.mains_done_at is not None:
        return
    deadline = seen.started_at + timedelta(seconds=seconds)
    if now < deadline:
        plan.look_again(deadline)
        return
    message = "Pod was active on the node longer than the specified deadline"
    seen.ending = Ending(now, _grace_of(spec), "DeadlineExceeded", message)


def _advance(spec: Obj, seen: Seen, plan: Plan, now: datetime) -> None:
    """Start what comes next; ``plan.over`` says that nothing more comes and what still runs is to be stopped."""
    policy = spec.get("restartPolicy", "Always")
    if not _initialize(spec, seen, plan, now):
        return
    plan.initialized = True
    done, held = True, False
    for container in spec["containers"]:
        name = container["name"]
        known = seen.of(name)
        if known.exit is None:
            done = False
            if not known.asked and not held:
                plan.start.append(name)
            _heed(spec, container, known, plan)
            # What stands behind a container with a hook after its start waits for that, as on a cluster.
            held = held or (POST_START in hooks_of(container) and not known.up)
        elif policy == "Always" or (policy == "OnFailure" and known.exit.code != 0) or known.replaced:
            done = False
            _restart(name, known, plan, now)
    if policy == "Never":
        _end_with_the_last(spec, seen, plan)
    plan.phase = "Running" if any(seen.of(each["name"]).begun for each in spec["containers"]) else "Pending"
    plan.over = done


def _initialize(spec: Obj, seen: Seen, plan: Plan, now: datetime) -> bool:
    """Bring the init containers forward; True when the main containers may run."""
    started = any(seen.of(each["name"]).started_at for each in spec["containers"])
    for container in spec.get("initContainers") or ():
        name = container["name"]
        known = seen.of(name)
        if is_sidecar(container):
            if known.exit is not None:
                _restart(name, known, plan, now)
            elif not known.asked:
                plan.start.append(name)
            _heed(spec, container, known, plan)
            if not has_started(container, known) and not started:
                return False
        elif not started and not _has_initialized(name, known, spec, plan, now):
            return False  # once a main container has started, the Pod is past its init containers
    return True


def _has_initialized(name: str, known: Container, spec: Obj, plan: Plan, now: datetime) -> bool:  # the plan and its inputs
    if known.exit is None:
        if not known.asked:
            plan.start.append(name)
        return False
    if known.exit.code == 0:
        return True
    if spec.get("restartPolicy", "Always") == "Never":
        plan.over = True
    else:
        _restart(name, known, plan, now)
    return False


def _end_with_the_last(spec: Obj, seen: Seen, plan: Plan) -> None:
    """Where no main container goes on beside those that their probes end, it is the Pod that ends: with its own grace period."""
    names = {each["name"] for each in spec["containers"]}
    failed = {name for name in names if any(seen.of(name).probed.get(kind) is False for kind in (LIVENESS, STARTUP))}
    if all(seen.of(name).exit is not None or name in failed for name in names):
        last = [Stop(stop.name, _grace_of(spec), f"Stopping container {stop.name}") for stop in plan.stop if stop.name in failed]
        plan.stop = [*(stop for stop in plan.stop if stop.name not in failed), *last]


def _heed(spec: Obj, container: Obj, known: Container, plan: Plan) -> None:
    """Have a container ended of which a probe has said, often enough, that it is no good; what follows is the policy's.

    One whose image is another by now is ended too, for a new one.
    """
    if known.image and known.image != container["image"] and known.running and not known.stopping:
        known.replaced = True
        why = f"Container {container['name']} definition changed, will be restarted"
        plan.stop.append(Stop(container["name"], _grace_of(spec), why))
        return
    failed = next((kind for kind in (POST_START, LIVENESS, STARTUP) if known.probed.get(kind) is False), "")
    if not failed or not known.running or known.stopping:
        return
    grace = (container.get(failed) or {}).get("terminationGracePeriodSeconds")
    plan.stop.append(Stop(container["name"], _grace_of(spec) if grace is None else float(grace), _why(spec, container, failed)))


def _why(spec: Obj, container: Obj, failed: str) -> str:
    if failed == POST_START:
        return "FailedPostStartHook"
    what = f"ontainer {container['name']} failed {failed.removesuffix('Probe')} probe"
    if is_sidecar(container):
        return f"Init c{what}"
    return f"C{what}{', will be restarted' if spec.get('restartPolicy', 'Always') != 'Never' else ''}"


def _grace_of(spec: Obj) -> float:
    return float(spec.get("terminationGracePeriodSeconds", 30))


def _restart(name: str, known: Container, plan: Plan, now: datetime) -> None:
    if known.exit is None:
        return
    at = known.exit.finished_at + timedelta(seconds=delay_after(known))
    if at <= now:
        plan.start.append(name)
        return
    hooked = known.probed.get(POST_START) is False and delay_after(known) <= _FIRST_DELAY
    plan.waiting[name] = POST_START_FAULT if hooked else CRASH_LOOP
    plan.look_again(at)


def _wind_down(spec: Obj, seen: Seen, plan: Plan, now: datetime) -> None:
    """Stop main containers, then sidecars; at the end, say how the Pod ended."""
    plan.start.clear()
    plan.stop.clear()
    plan.waiting.clear()
    grace = seen.ending.grace if seen.ending else _grace_of(spec)
    mains = [*_plain(spec), *(each["name"] for each in spec["containers"])]
    alive = [name for name in mains if seen.of(name).alive]
    for name in alive:
        if not seen.of(name).stopping:
            plan.stop.append(Stop(name, grace))
    if alive:
        plan.phase = "Running" if any(seen.of(name).begun for name in mains) else "Pending"
        plan.over = False
        return
    if seen.mains_done_at is None:
        seen.mains_done_at = now
    left = grace
    if seen.ending:
        used = (seen.mains_done_at - seen.ending.since).total_seconds()
        left = max(grace - used, min(grace, _LEAST_SIDECAR_GRACE))
    sidecars = [name for name in _sidecars(spec) if seen.of(name).alive]
    for name in sidecars:
        if not seen.of(name).stopping:
            plan.stop.append(Stop(name, left))
    plan.over = not sidecars
    plan.phase = _outcome(spec, seen) if plan.over else "Running"
    plan.wake_at = None


def _plain(spec: Obj) -> Iterator[str]:
    return (each["name"] for each in spec.get("initContainers") or () if not is_sidecar(each))


def _sidecars(spec: Obj) -> Iterator[str]:
    # In reverse, as the kubelet does: the last to start is the first to stop.
    return (each["name"] for each in reversed(spec.get("initContainers") or []) if is_sidecar(each))


def _outcome(spec: Obj, seen: Seen) -> Phase:
    if seen.ending is not None and seen.ending.reason:
        return "Failed"
    exits = [seen.of(each["name"]).exit for each in spec["containers"]]
    return "Succeeded" if all(exit_ is not None and exit_.code == 0 for exit_ in exits) else "Failed"
