"""Why a step that is about to run does not run yet, in plain words.

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
_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
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
    """

    room: bool = True
    ahead: int | None = None
    warning: str = ""


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
    if task.state is not State.PENDING:
        return ""
    if task.waiting is Waiting.RETRY and task.retry_at is not None:
        failed = f" after: {task.failure.message}" if task.failure is not None and task.failure.message else ""
        return f"is tried again at {timestamp(task.retry_at)}{failed}"
    if task.waiting is not Waiting.START:
        return ""
    if pod is None:
        return "" if around.room else NO_ROOM
    status: dict[str, Any] = pod.get("status") or {}
    if status.get("phase", "Pending") != "Pending":
        return ""
    return _unscheduled(status) or _waiting(status, around)


def _unscheduled(status: dict[str, Any]) -> str:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            said = condition.get("message") or condition.get("reason") or ""
            return f"no node can take it: {said}" if said else "no node can take it"
    return ""


def _waiting(status: dict[str, Any], around: Around) -> str:
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    if not containers:
        if around.ahead:
            return f"{_TURN}: {around.ahead} {'step is' if around.ahead == 1 else 'steps are'} before it"
        if around.ahead == 0:
            return _ON_NODE
        return f"{_TURN}: {around.warning}" if around.warning else _TAKEN_UP
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
        words = "its image cannot be had" if reason in _IMAGE else _WORDS.get(reason, "")
        if words:
            return f"{words}: {message}" if message else words
        if message:  # such as an environment that is being built, or a volume that is not there
            return message
    return around.warning  # a kubelet says in an Event alone what keeps a volume from being mounted
