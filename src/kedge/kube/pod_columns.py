"""What ``kubectl get pods`` shows: how far a Pod is, in the words of Kubernetes' own printer.

The rules are those of ``pkg/printers/internalversion`` of Kubernetes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kedge.kube.columns import at, field, objects
from kedge.kube.kinds import Ago, Column, Obj

_LOST = "NodeLost"


@dataclass(slots=True)
class _Seen:
    """What is seen of some containers: how often they were started again, when the last of them was, and how many are ready."""

    word: str = ""
    restarts: int = 0
    last: str = ""
    ready: int = 0

    def count(self, status: Obj) -> None:
        restarts, ended = status.get("restartCount"), at(status, "lastState", "terminated", "finishedAt")
        self.restarts += restarts if isinstance(restarts, int) else 0
        if isinstance(ended, str):
            self.last = max(self.last, ended)


def _sidecars(pod: Obj) -> list[Any]:
    return [each.get("name") for each in objects(pod, "spec", "initContainers") if each.get("restartPolicy") == "Always"]


def _condition(pod: Obj, kind: Any) -> Obj:
    return next((each for each in objects(pod, "status", "conditions") if each.get("type") == kind), {})


def _ended(state: Any) -> str:
    if reason := at(state, "reason"):
        return str(reason)
    if signal := at(state, "signal"):
        return f"Signal:{signal}"
    return f"ExitCode:{at(state, 'exitCode')}"


def _preparing(pod: Obj, sidecars: list[Any]) -> tuple[_Seen, _Seen]:
    """What is seen of init containers up to the one that holds the Pod up, which has the word; and of the sidecars among them."""
    every, lasting = _Seen(), _Seen()
    for index, status in enumerate(objects(pod, "status", "initContainerStatuses")):
        is_sidecar = status.get("name") in sidecars
        for seen in (every, lasting) if is_sidecar else (every,):
            seen.count(status)
        ended, waits = at(status, "state", "terminated"), at(status, "state", "waiting", "reason")
        if at(ended, "exitCode") == 0:
            continue
        if is_sidecar and status.get("started"):
            lasting.ready += bool(status.get("ready"))
            continue
        if ended is not None:
            every.word = f"Init:{_ended(ended)}"
        elif waits and waits != "PodInitializing":
            every.word = f"Init:{waits}"
        else:
            every.word = f"Init:{index}/{len(objects(pod, 'spec', 'initContainers'))}"
        break
    return every, lasting


def _running(pod: Obj, word: str, seen: _Seen) -> None:
    """Add what is seen of the containers, and the word for it."""
    runs, failed = False, ""
    for status in reversed(objects(pod, "status", "containerStatuses")):
        seen.count(status)
        ended = at(status, "state", "terminated")
        if waits := at(status, "state", "waiting", "reason"):
            word = str(waits)
        elif ended is not None:
            word = _ended(ended)
            failed = word if at(ended, "exitCode") != 0 else failed
        elif status.get("ready") and at(status, "state", "running") is not None:
            runs = True
            seen.ready += 1
    if word == "Completed":
        if runs and _condition(pod, "Ready").get("status") == "True":
            word = "Running"
        else:
            word = failed or ("NotReady" if runs else word)
    seen.word = word


def _seen(pod: Obj) -> _Seen:
    phase = str(at(pod, "status", "phase") or "Unknown")
    word = str(at(pod, "status", "reason") or phase)
    if _condition(pod, "PodScheduled").get("reason") == "SchedulingGated":
        word = "SchedulingGated"
    preparing, seen = _preparing(pod, _sidecars(pod))
    if preparing.word and _condition(pod, "Initialized").get("status") != "True":
        preparing.ready = seen.ready
        seen = preparing
    else:
        _running(pod, preparing.word or word, seen)
    if at(pod, "metadata", "deletionTimestamp"):
        if at(pod, "status", "reason") == _LOST:
            seen.word = "Unknown"
        elif phase not in {"Succeeded", "Failed"}:
            seen.word = "Terminating"
    return seen


def pod_status(pod: Obj) -> str:
    """One word for how a Pod is, as ``kubectl get pods`` prints it.

    Examples:
        >>> pod_status({"status": {"phase": "Pending"}})
        'Pending'
        >>> pod_status({"metadata": {"deletionTimestamp": "2026-11-23T09:05:07Z"}, "status": {"phase": "Running"}})
        'Terminating'
    """
    return _seen(pod).word


def _ready(pod: Obj) -> str:
    return f"{_seen(pod).ready}/{len(objects(pod, 'spec', 'containers')) + len(_sidecars(pod))}"


def _restarts(pod: Obj) -> str | Ago:
    seen = _seen(pod)
    return Ago(str(seen.restarts), seen.last) if seen.restarts and seen.last else str(seen.restarts)


def _gates(pod: Obj) -> str:
    gates = objects(pod, "spec", "readinessGates")
    return f"{sum(_fulfilled(pod, gates))}/{len(gates)}" if gates else "<none>"


def _fulfilled(pod: Obj, gates: list[Obj]) -> Iterator[bool]:
    return (_condition(pod, gate.get("conditionType")).get("status") == "True" for gate in gates)


POD = (
    Column("Ready", _ready, description="Containers that are ready, of all."),
    Column("Status", pod_status, description="How the Pod is, in one word."),
    Column("Restarts", _restarts, description="How often its containers were started again, and when the last of them was."),
    Column("IP", field("status", "podIP", default="<none>"), priority=1, description="The Pod's address."),
    Column("Node", field("spec", "nodeName", default="<none>"), priority=1, description="Where it runs."),
    Column(
        "Nominated Node",
        field("status", "nominatedNodeName", default="<none>"),
        priority=1,
        description="Where it is going to run, once others have made room.",
    ),
    Column("Readiness Gates", _gates, priority=1, description="Conditions of its own that are fulfilled, of all."),
)
