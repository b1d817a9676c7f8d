"""A Pod's status as the kubelet writes it, from what is seen and planned; a plain function."""

import json
from dataclasses import dataclass, field
from datetime import datetime

from kedge.kube import conditions
from kedge.kube.clock import timestamp
from kedge.kube.kinds import Obj
from kedge.kube.pods import is_sidecar
from kedge.node.lifecycle import POST_START_FAULT, Container, Exit, Plan, Seen, delay_after, has_started, is_ready

ADDRESS = "127.0.0.1"
STARTED = "kedge.dev/Started"
PRIVATE_VIEW = "kedge.dev/PrivateView"
USED_ANNOTATION = "kedge.dev/used"
_OWN = frozenset({"PodScheduled", "Initialized", "ContainersReady", "Ready"})
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
        held: Reason and message of each container that waits for something of its own, such as its image.
        image_ids: What each image turned out to be, by container name.
        address: The Pod's; empty until it has one.
        host: The node's.
    """

    refusal: tuple[str, str] = ("", "")
    waiting: tuple[str, str] = ("ContainerCreating", "")
    view: tuple[bool, str, str] | None = None
    started: tuple[str, str] | None = None
    held: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    image_ids: dict[str, str] = field(default_factory=dict[str, str])
    address: str = ADDRESS
    host: str = ADDRESS


def patch_of(uid: str, status: Obj) -> Obj:
    """A strategic merge patch that writes a Pod's status: conditions that are not the node's stay what others make of them.

    Args:
        uid: The Pod's, so that another one of its name is not written.
        status: Of `status_of`.

    Examples:
        >>> status = {"podIPs": [{"ip": "10.0.0.1"}], "hostIPs": [], "conditions": [{"type": "Ready"}, {"type": "team/approved"}]}
        >>> patch_of("u", status)["status"]["conditions"]
        [{'type': 'Ready'}]
    """
    own = [each for each in status["conditions"] if each["type"] in _OWN or each["type"].startswith("kedge.dev/")]
    # Addresses are merged by themselves: without this, a former one would stay.
    addresses = {name: [{"$patch": "replace"}, *status[name]] for name in ("hostIPs", "podIPs")}
    return {"metadata": {"uid": uid}, "status": {**status, "conditions": own, **addresses}}


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
    status: Obj = {"phase": phase, "observedGeneration": pod["metadata"].get("generation")}
    status |= {"hostIP": notes.host, "hostIPs": [{"ip": notes.host}], "podIP": notes.address or None}
    status["podIPs"] = [{"ip": notes.address}] if notes.address else []
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
        status["initContainerStatuses"] = [_container(pod, each, seen, plan, notes) for each in initial]
    status["containerStatuses"] = [_container(pod, each, seen, plan, notes) for each in main]
    status["conditions"] = _conditions(pod, status, plan, notes, now)
    return status


def _container(pod: Obj, spec: Obj, seen: Seen, plan: Plan, notes: Notes) -> Obj:
    name = spec["name"]
    init = spec not in pod["spec"]["containers"]
    known = seen.of(name)
    plain_init = init and not is_sidecar(spec)
    done = known.exit is not None and known.exit.code == 0
    last = known.exit if name in plan.waiting else known.last
    held = notes.held.get(name) if plan.phase in {"Pending", "Running"} else None
    status: Obj = {
        "name": name,
        "image": known.image or spec["image"],
        "imageID": notes.image_ids.get(name, ""),
        "ready": done if plain_init else is_ready(spec, known),
        "started": has_started(spec, known),
        "restartCount": known.attempt,
        "state": _state(known, notes, held, initializing=not plan.initialized and not init),
        "lastState": {"terminated": _terminated(last)} if last else {},
    }
    if name in plan.waiting and plan.waiting[name] == POST_START_FAULT:
        status["state"] = {"waiting": {"reason": POST_START_FAULT, "message": known.hook_fault}}
    elif name in plan.waiting:
        delay = spoken(delay_after(known))
        message = f"back-off {delay} restarting failed container={name} pod={full_name(pod)}"
        status["state"] = {"waiting": {"reason": plan.waiting[name], "message": message}}
    return status


def _state(known: Container, notes: Notes, held: tuple[str, str] | None, *, initializing: bool) -> Obj:
    if held is not None and not known.alive:
        return {"waiting": {"reason": held[0], "message": held[1]}}
    if known.exit is not None:
        return {"terminated": _terminated(known.exit)}
    if known.started_at is not None and known.begun:
        return {"running": {"startedAt": timestamp(known.started_at)}}
    reason, message = notes.refusal if notes.refusal[0] else notes.waiting
    if known.hook_fault and not notes.refusal[0]:
        reason, message = POST_START_FAULT, known.hook_fault
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


def full_name(pod: Obj) -> str:
    """A Pod as the kubelet's messages name it."""
    meta = pod["metadata"]
    return f"{meta['name']}_{meta['namespace']}({meta['uid']})"


def spoken(seconds: float) -> str:
    """A duration as Go writes it.

    Examples:
        >>> spoken(10), spoken(80), spoken(300)
        ('10s', '1m20s', '5m0s')
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def go_list(words: list[str]) -> str:
    """A list of texts as Go writes it.

    Examples:
        >>> go_list(["sh", "-c", "exit 1"])
        '[sh -c exit 1]'
    """
    return f"[{' '.join(words)}]"


def _conditions(pod: Obj, status: Obj, plan: Plan, notes: Notes, now: datetime) -> list[Obj]:
    old: list[Obj] = (pod.get("status") or {}).get("conditions") or []
    ended = status["phase"] in {"Succeeded", "Failed"}
    done = "PodCompleted" if status["phase"] == "Succeeded" else "PodFailed" if ended else ""
    contained = (done, "") if done else _unready_containers(pod["spec"], status)
    ready = contained if contained[0] else _closed_gates(pod["spec"], old)
    initialized = plan.initialized or done == "PodCompleted"
    incomplete = [] if initialized else [each["name"] for each in status.get("initContainerStatuses") or () if not each["ready"]]
    made = [
        conditions.condition("PodScheduled", True, "Scheduled", now=now),
        conditions.condition(
            "Initialized",
            initialized,
            "" if initialized else "ContainersNotInitialized",
            f"containers with incomplete status: {go_list(incomplete)}" if incomplete else "",
            now=now,
        ),
        conditions.condition("ContainersReady", not contained[0], *contained, now=now),
        conditions.condition("Ready", not ready[0], *ready, now=now),
    ]
    if notes.refusal[0]:
        made.append(conditions.condition("kedge.dev/Accepted", False, *notes.refusal, now=now))
    if notes.view is not None:
        made.append(conditions.condition(PRIVATE_VIEW, *notes.view, now=now))
    if notes.started is not None:
        made.append(conditions.condition(STARTED, True, *notes.started, now=now))
    generation = pod["metadata"].get("generation")
    for each in made:
        old = conditions.put(old, each if generation is None else {**each, "observedGeneration": generation})
    return old


def _unready_containers(spec: Obj, status: Obj) -> tuple[str, str]:
    """Reason and message of containers, sidecars too, that are not ready; empty when all are."""
    sidecars = {each["name"] for each in spec.get("initContainers") or () if is_sidecar(each)}
    counted = [each for each in status.get("initContainerStatuses") or () if each["name"] in sidecars]
    unready = [each["name"] for each in (*counted, *status["containerStatuses"]) if not each["ready"]]
    return ("ContainersNotReady", f"containers with unready status: {go_list(unready)}") if unready else ("", "")


def _closed_gates(spec: Obj, found: list[Obj]) -> tuple[str, str]:
    """Reason and message of readiness gates whose condition is not True; empty when all are open."""
    by_type = {each["type"]: each.get("status") for each in found}
    closed: list[str] = []
    for gate in spec.get("readinessGates") or ():
        name = gate["conditionType"]
        if name not in by_type:
            closed.append(f'corresponding condition of pod readiness gate "{name}" does not exist.')
        elif by_type[name] != "True":
            closed.append(f'the status of pod readiness gate "{name}" is not "True", but {by_type[name]}')
    return ("ReadinessGatesNotReady", ", ".join(closed)) if closed else ("", "")
