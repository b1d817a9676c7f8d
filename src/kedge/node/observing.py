"""What is seen of a Pod's containers, from what the supervisor says, its records, and what an agent before this one has written.

The supervisor's word counts most: it was there. A container of which only the Pod's status says that it runs has been lost.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kedge.kube.clock import parse_timestamp
from kedge.kube.kinds import Obj
from kedge.kube.probes import POST_START, READINESS, STARTUP, hooks_of
from kedge.node.lifecycle import CRASH_LOOP, Container, Exit, Seen
from kedge.node.logs import last_lines
from kedge.node.pressure import is_full
from kedge.node.specs import log_path, message_path
from kedge.node.status import MESSAGE_LIMIT

# What Kubernetes gives a container whose end nobody saw.
_LOST_CODE = 137
_LOST = "ExitStatusLost"


def name_of(record: Obj) -> tuple[str, int]:
    """Container and attempt of a record.

    Examples:
        >>> name_of({"id": "4f5c/main/2"})
        ('main', 2)
    """
    _, name, attempt = record["id"].split("/")
    return name, int(attempt)


def hear(seen: Seen, spec: Obj, record: Obj, place: Path) -> bool:
    """Take in what the supervisor says of a container; True when it is news.

    Args:
        seen: What is known; changed.
        spec: The Pod's spec.
        record: What the supervisor says.
        place: The Pod's own directory, for termination messages.
    """
    name, attempt = name_of(record)
    known = seen.of(name)
    if attempt != known.attempt or known.exit is not None:
        return False
    known.asked, known.how, known.started_at = True, record["how"], _moment(record["startedAt"])
    if record["state"] == "exited":
        known.exit, known.hooking = _exit(spec, record, place), False
    return True


def adopt(seen: Seen, pod: Obj, records: Iterable[Obj], *, place: Path, now: datetime) -> set[str]:
    """Take over a Pod from an agent before this one.

    Args:
        seen: Nothing yet; filled in.
        pod: The Pod, with the status that was written last.
        records: What the supervisor has of its containers.
        place: The Pod's own directory.
        now: The time.

    Returns:
        Ids of all records, to be forgotten at the Pod's end.
    """
    status = pod.get("status") or {}
    if status.get("startTime"):
        seen.started_at = parse_timestamp(status["startTime"])
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        _adopt_status(seen, each, now)
    ids: set[str] = set()
    for record in sorted(records, key=lambda record: name_of(record)[1]):
        ids.add(record["id"])
        name, attempt = name_of(record)
        known = seen.of(name)
        unsure = known.exit is None or known.exit.reason == _LOST
        if attempt > known.attempt or (attempt == known.attempt and unsure):
            told = attempt == known.attempt and known.started_at is not None
            new = replace(known, exit=None) if attempt == known.attempt else replace(known.next(), attempt=attempt)
            # Nobody was told that it runs: its hook after the start has not ended, and is run anew.
            new.hooking = not told and POST_START in hooks_of(container_of(pod["spec"], name))
            seen.containers[name] = new
            hear(seen, pod["spec"], record, place)
    return ids


def grace_left(meta: Obj, now: datetime) -> float:
    """Seconds that the containers of a Pod that is being deleted still have.

    The moment of its end is told in whole seconds, cut off: whoever took it at its word would give up to a second less.

    Args:
        meta: The Pod's metadata.
        now: The time.

    Examples:
        >>> meta = {"deletionGracePeriodSeconds": 2, "deletionTimestamp": "2026-01-01T00:00:12Z"}
        >>> [grace_left(meta, datetime(2026, 1, 1, 0, 0, second, 900_000, UTC)) for second in (10, 11, 14)]
        [2.0, 1.1, 0.0]
    """
    grace = float(meta.get("deletionGracePeriodSeconds") or 0)
    if not grace:
        return 0.0
    end = parse_timestamp(meta["deletionTimestamp"]) + timedelta(seconds=1)
    return min(grace, max(0.0, (end - now).total_seconds()))


def lost(container: Container, now: datetime) -> Exit:
    """The end of a container that is not there any more."""
    message = "The container is not there any more, and nobody saw how it ended: the machine or its supervisor was started anew."
    return Exit(_LOST_CODE, 0, _LOST, message, container.started_at or now, now)


def _adopt_status(seen: Seen, status: Obj, now: datetime) -> None:
    state, name, attempt = status.get("state") or {}, status["name"], status.get("restartCount", 0)
    last = (status.get("lastState") or {}).get("terminated")
    waits = last is not None and (state.get("waiting") or {}).get("reason") == CRASH_LOOP
    known = Container(attempt)
    if waits:
        state = {"terminated": last}
    elif last is not None:
        known = Container(attempt - 1, exit=_exit_of_status(last)).next()
    if ended := state.get("terminated"):
        known.asked, known.exit = True, _exit_of_status(ended)
        known.started_at = known.exit.started_at
    elif running := state.get("running"):
        known.asked, known.started_at = True, parse_timestamp(running["startedAt"])
        known.exit = lost(known, now)  # unless the supervisor knows better
        known.image = status.get("image", "")
        known.probed = {kind: True for kind, key in ((STARTUP, "started"), (READINESS, "ready")) if status.get(key)}
    seen.containers[name] = known


def container_of(spec: Obj, name: str) -> Obj:
    """The container of a name in a Pod's spec."""
    return next(each for each in (*(spec.get("initContainers") or ()), *spec["containers"]) if each["name"] == name)


def _exit(spec: Obj, record: Obj, place: Path) -> Exit:
    started, finished = _moment(record["startedAt"]), _moment(record["finishedAt"])
    if record["reason"] == "Lost":
        return Exit(_LOST_CODE, 0, _LOST, record["message"], started, finished)
    name, attempt = name_of(record)
    message = record.get("message") or _read(message_path(place, name, attempt))
    if not message and record["code"] and container_of(spec, name).get("terminationMessagePolicy") == "FallbackToLogsOnError":
        message = last_lines(log_path(place, name, attempt))
    if not message and record["code"] and is_full(place):
        message = f"the disk of {place} is full, so that neither its log nor its own words may be whole. Make room there."
    used = (record["cpuSeconds"], record["peakMemory"]) if "cpuSeconds" in record else None
    return Exit(record["code"], record["signal"], record["reason"], message, started, finished, used)


def _exit_of_status(ended: Obj) -> Exit:
    started = parse_timestamp(ended["startedAt"]) if ended.get("startedAt") else _moment(0)
    finished = parse_timestamp(ended["finishedAt"]) if ended.get("finishedAt") else started
    code, number = int(ended.get("exitCode", 0)), int(ended.get("signal", 0))
    return Exit(code, number, ended.get("reason", ""), ended.get("message", ""), started, finished)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MESSAGE_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ""
