"""Why a step that is about to run does not run yet, or one that runs is about to be lost, in plain words.

Kubernetes tells it in five places: conditions and the waiting states of every container; what no Pod can tell is that there is
none yet. This is for people who look at a run; nothing is decided by it.
"""

from dataclasses import dataclass
from typing import Any

from kedge.kube.clock import timestamp
from kedge.kube.kinds import Obj
from kedge.pipelines.engine.types import State, Task, Waiting

NO_ROOM = "waits for its turn: as many Pods as may wait for a node do so already"
_ON_NODE = "waits for its turn on the node: other steps use its processors, memory or devices"
_TURN = "waits for its turn on the node"
_TAKEN_UP = "waits until its node takes it up"
_IMAGE = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_WORDS = {
    "CreateContainerConfigError": "something that it needs is missing",
    "CreateContainerError": "its container cannot be made",
    "RunContainerError": "its container cannot be started",
    "CrashLoopBackOff": "its container ends again and again",
}


@dataclass(frozen=True, slots=True)
class Around:
    """What is known besides a task and its Pod.

    Attributes:
        room: Whether another Pod may be made.
        ahead: How many Pods wait on the node before this one; ``None`` where nobody says.
        warning: The newest warning about the Pod, or ``""``.
        refusal: Why the API server does not take the Pod yet, or ``""``.
    """

    room: bool = True
    ahead: int | None = None
    warning: str = ""
    refusal: str = ""


_NOTHING = Around()


def of(task: Task, pod: Obj | None, around: Around = _NOTHING) -> str:
    """Why a task does not run yet; ``""`` where there is nothing to say.

    Args:
        task: The task.
        pod: Its current attempt's, if there is one.
        around: What else is known.

    Examples:
        >>> from datetime import UTC, datetime
        >>> from kedge.pipelines.engine.types import Kind
        >>> step = Task(
        ...     id="s", name="s", parent="", kind=Kind.STEP, waiting=Waiting.START, created_at=datetime(2026, 11, 24, tzinfo=UTC)
        ... )
        >>> waiting = {"reason": "ErrImagePull", "message": "no such image"}
        >>> of(step, {"status": {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}})
        'its image cannot be had: no such image'
    """
    return _found(task, pod, around)[0]


def alarm(task: Task, pod: Obj | None, around: Around = _NOTHING) -> str:
    """The same, of those reasons only that somebody may have to do something about; arguments as of `of`."""
    text, alarming = _found(task, pod, around)
    return text if alarming else ""


def _found(task: Task, pod: Obj | None, around: Around) -> tuple[str, bool]:
    """What there is to say, and whether it is out of the ordinary."""
    if task.state is State.RUNNING:
        return _ending(pod), True
    if task.state is State.PENDING and task.waiting is Waiting.RETRY and task.retry_at is not None:
        failed = f" after: {task.failure.message}" if task.failure is not None and task.failure.message else ""
        return f"is tried again at {timestamp(task.retry_at)}{failed}", True
    if task.state is not State.PENDING or task.waiting is not Waiting.START:
        return "", False
    if pod is None:
        return (around.refusal, True) if around.refusal else ("" if around.room else NO_ROOM, False)
    status: dict[str, Any] = pod.get("status") or {}
    if status.get("phase", "Pending") != "Pending":
        return "", False
    return _unscheduled(status) or _waiting(status, around)


def _ending(pod: Obj | None) -> str:
    """A Pod that runs, and will be lost unless its node says otherwise."""
    if pod is None:
        return ""
    conditions = {each.get("type"): each for each in (pod.get("status") or {}).get("conditions") or ()}
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        said = conditions.get("DisruptionTarget", {}).get("message")
        return f"its Pod is being deleted: {said}" if said else "its Pod is being deleted"
    mains = [each for each in (pod.get("status") or {}).get("containerStatuses") or () if "running" in (each.get("state") or {})]
    if conditions.get("Ready", {}).get("status") == "False" and mains and all(each.get("ready") for each in mains):
        # The containers were ready when their node was last heard of; the control plane alone says otherwise.
        return "its node does not answer"
    return ""


def _unscheduled(status: dict[str, Any]) -> tuple[str, bool] | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            said = condition.get("message") or condition.get("reason") or ""
            return (f"no node can take it: {said}" if said else "no node can take it"), True
    return None


def _waiting(status: dict[str, Any], around: Around) -> tuple[str, bool]:
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    if not containers:
        if around.ahead:
            return f"{_TURN}: {around.ahead} {'step is' if around.ahead == 1 else 'steps are'} before it", False
        if around.ahead == 0:
            return _ON_NODE, False
        return (f"{_TURN}: {around.warning}", True) if around.warning else (_TAKEN_UP, False)
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
        words = "its image cannot be had" if reason in _IMAGE else _WORDS.get(reason, "")
        if words:
            return f"{words}: {message}" if message else words, True
        if message:  # such as an environment that is being built, or a volume that is not there
            return message, message == around.warning
    return around.warning, bool(around.warning)  # a kubelet says in an Event alone what keeps a volume from being mounted
