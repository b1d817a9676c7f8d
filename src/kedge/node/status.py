"""A Pod's status as the kubelet writes it, from what is seen and planned; a plain function."""

import json
from dataclasses import dataclass, field
from datetime import datetime

from kedge.kube import conditions
from kedge.kube.clock import timestamp
from kedge.kube.kinds import Obj
from kedge.kube.pods import is_sidecar
from kedge.node.lifecycle import Container, Exit, Plan, Seen

_ADDRESS = "127.0.0.1"
STARTED = "kedge.dev/Started"
PRIVATE_VIEW = "kedge.dev/PrivateView"
USED_ANNOTATION = "kedge.dev/used"
# What the kubelet cuts a termination message to.
MESSAGE_LIMIT = 4096


@dataclass(slots=True)
class Notes:
    """What else the status says.

    Attributes:
        refusal: Reason and message when the Pod cannot run here; empty otherwise.
        waiting: Reason and message of all containers that have not started, such as an environment being built.
        view: Condition about the Pod's view of the file system: (is private, reason, message); ``None`` until it is known.
        started: Condition about how its processes were started: (reason, message); ``None`` until one was.
        image_ids: What each image turned out to be, by container name.
    """

    refusal: tuple[str, str] = ("", "")
    waiting: tuple[str, str] = ("ContainerCreating", "")
    view: tuple[bool, str, str] | None = None
    started: tuple[str, str] | None = None
    image_ids: dict[str, str] = field(default_factory=dict[str, str])


def annotations(seen: Seen) -> dict[str, str]:
    """What a status has no field for: what containers have used that have ended."""
    ended = {name: each.exit.used for name, each in seen.containers.items() if each.exit is not None and each.exit.used}
    told = {name: {"cpuSeconds": used[0], "peakMemoryBytes": used[1]} for name, used in ended.items()}
    return {USED_ANNOTATION: json.dumps(told, separators=(",", ":"))} if told else {}


def status_of(pod: Obj, seen: Seen, plan: Plan, *, notes: Notes, now: datetime) -> Obj:
    """Write a Pod's status.

    Args:
        pod: The Pod; its present conditions keep their times where they do not change.
        seen: What is seen of it.
        plan: What is planned; gives the phase.
        notes: What else to say.
        now: The time.
    """
    spec, old = pod["spec"], pod.get("status") or {}
    phase = "Failed" if notes.refusal[0] else plan.phase
    status: Obj = {"phase": phase, "hostIP": _ADDRESS, "podIP": _ADDRESS, "podIPs": [{"ip": _ADDRESS}]}
    if old.get("qosClass"):
        status["qosClass"] = old["qosClass"]
    if seen.started_at:
        status["startTime"] = timestamp(seen.started_at)
    reason, message = notes.refusal
    if not reason and seen.ending and seen.ending.reason:
        reason, message = seen.ending.reason, seen.ending.message
    status |= {"reason": reason or None, "message": message or None}
    initial, main = spec.get("initContainers") or [], spec["containers"]
    if initial:
        status["initContainerStatuses"] = [_container(each, seen, plan, notes, init=True) for each in initial]
    status["containerStatuses"] = [_container(each, seen, plan, notes) for each in main]
    status["conditions"] = _conditions(old.get("conditions") or [], status, plan, notes, now)
    return status


def _container(spec: Obj, seen: Seen, plan: Plan, notes: Notes, *, init: bool = False) -> Obj:
    name = spec["name"]
    known = seen.of(name)
    plain_init = init and not is_sidecar(spec)
    done = known.exit is not None and known.exit.code == 0
    status: Obj = {
        "name": name,
        "image": spec["image"],
        "imageID": notes.image_ids.get(name, ""),
        "ready": done if plain_init else known.running,
        "started": known.running,
        "restartCount": known.attempt,
        "state": _state(name, known, plan, notes, initializing=not plan.initialized and not init),
        "lastState": {"terminated": _terminated(known.last)} if known.last else {},
    }
    return status


def _state(name: str, known: Container, plan: Plan, notes: Notes, *, initializing: bool) -> Obj:
    if name in plan.waiting:
        reason = plan.waiting[name]
        return {"waiting": {"reason": reason, "message": "the container ended, and is started again after a while"}}
    if known.exit is not None:
        return {"terminated": _terminated(known.exit)}
    if known.started_at is not None:
        return {"running": {"startedAt": timestamp(known.started_at)}}
    reason, message = notes.refusal if notes.refusal[0] else notes.waiting
    if initializing and not notes.refusal[0] and reason == "ContainerCreating":
        reason = "PodInitializing"
    return {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


def _terminated(end: Exit) -> Obj:
    made: Obj = {
        "exitCode": end.code,
        "reason": end.reason,
        "startedAt": timestamp(end.started_at),
        "finishedAt": timestamp(end.finished_at),
    }
    if end.signal:
        made["signal"] = end.signal
    if end.message:
        made["message"] = end.message
    return made


def _conditions(old: list[Obj], status: Obj, plan: Plan, notes: Notes, now: datetime) -> list[Obj]:
    ended = status["phase"] in {"Succeeded", "Failed"}
    ready = not ended and all(each["ready"] for each in status["containerStatuses"])
    done = "PodCompleted" if status["phase"] == "Succeeded" else "PodFailed" if ended else ""
    unready = done or "ContainersNotReady"
    made = [
        conditions.condition("PodScheduled", True, "Scheduled", now=now),
        conditions.condition(
            "Initialized",
            plan.initialized or bool(done == "PodCompleted"),
            "" if plan.initialized else "ContainersNotInitialized",
            now=now,
        ),
        conditions.condition("ContainersReady", ready, "" if ready else unready, now=now),
        conditions.condition("Ready", ready, "" if ready else unready, now=now),
    ]
    if notes.refusal[0]:
        made.append(conditions.condition("kedge.dev/Accepted", False, *notes.refusal, now=now))
    if notes.view is not None:
        made.append(conditions.condition(PRIVATE_VIEW, *notes.view, now=now))
    if notes.started is not None:
        made.append(conditions.condition(STARTED, True, *notes.started, now=now))
    for each in made:
        old = conditions.put(old, each)
    return old
