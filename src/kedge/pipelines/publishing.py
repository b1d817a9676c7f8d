"""Telling `Run` objects how their runs are, and why they do not go on, for people who look at them with ``kubectl get runs``."""

import logging
from collections.abc import Callable

from kedge.client.types import Client
from kedge.control.background import Background
from kedge.errors import ApiError, NotFound
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key
from kedge.pipelines import reasons, summaries
from kedge.pipelines.engine.types import Kind, State
from kedge.pipelines.kinds import RUN
from kedge.pipelines.steps import pod_name
from kedge.pipelines.timers import Timers
from kedge.pipelines.worker import Worker

_log = logging.getLogger(__name__)
# A run's summary is for people: the graph is in the history.
_INTERVAL = 1.0
# With a thousand runs, a write for each that has moved would be a fifth of all that a hub does, for objects that nobody looks at.
_A_SECOND = 5
_AFTER_A_FAILURE = 3.0
# That a step has begun to run can wait for its end, or so long: a write for it would be one in four that a step costs.
_BEGUN = 5.0
# A loop over thousands of items that all wait for one thing is not looked through every second.
_MOST_LOOKED_AT = 1000


class Publisher:
    """Writes the status of Run objects whose runs are not over: at most once a second each, 5 a second of all, only what is new.

    Where more have changed, they take turns: with a thousand runs on their way, an object is up to 200 s behind the history.
    What is written at the end of a run does not wait.

    Args:
        client: Where to.
        timers: For pauses.
        background: Where it is written.
        pod: A step's Pod as last seen.

    Attributes:
        warning: The newest warning about a Pod, by its UID, or ``""``.
    """

    def __init__(self, client: Client, timers: Timers, background: Background, pod: Callable[[Key], Obj | None]) -> None:
        self._client = client
        self._timers = timers
        self._background = background
        self._pod = pod
        self._told: dict[str, Obj] = {}
        self._next = 0.0
        self.warning: Callable[[str], str] = lambda _: ""

    def changed(self, worker: Worker, *, within: float = _INTERVAL) -> None:
        """Something of a run may be another thing now."""
        key = ("status", worker.live.record.id)
        if not self._timers.pending(key):
            self._timers.after(max(within, self._turn()), key, lambda: self._publish(worker))

    def _turn(self) -> float:
        """Seconds until the next turn that nobody has."""
        now = self._timers.now()
        self._next = max(self._next + 1 / _A_SECOND, now)
        return self._next - now

    def ended(self, run_id: str) -> None:
        """The run is over: its last word is not ours."""
        self._timers.cancel(("status", run_id))
        self._timers.cancel(("begun", run_id))
        self._told.pop(run_id, None)

    def _publish(self, worker: Worker, *, begun: bool = False) -> None:
        if worker.over or worker.live.record.finished:
            return
        run_id = worker.live.record.id
        status = summaries.of_live(worker.live) | {"message": self._trouble(worker)}
        told = self._told.get(run_id)
        if told == status:
            return
        if told is not None and not begun and _gist(told) == _gist(status):
            if not self._timers.pending(("begun", run_id)):
                self._timers.after(_BEGUN, ("begun", run_id), lambda: self._publish(worker, begun=True))
            return
        self._timers.cancel(("begun", run_id))
        self._background.start(self._tell(worker, status))

    async def _tell(self, worker: Worker, status: Obj) -> None:
        record = worker.live.record
        try:
            await self._client.patch(RUN, record.name, record.namespace, {"status": status}, subresource="status")
        except NotFound:
            return
        except ApiError as error:
            _log.debug("a run's status is not written", extra={"run_id": record.id, "error": str(error)})
            self.changed(worker, within=_AFTER_A_FAILURE)
        else:
            if not worker.over:
                self._told[record.id] = status

    def _trouble(self, worker: Worker) -> str | None:
        """What keeps steps from going on, in one line: the first of them, and how many more."""
        live, found, more = worker.live, "", 0
        going = [
            task for task in live.engine.tasks.values() if task.kind is Kind.STEP and task.state in {State.PENDING, State.RUNNING}
        ]
        for task in going[:_MOST_LOOKED_AT]:
            pod = self._pod(Key(live.record.namespace, pod_name(live.record, task.id, task.attempt)))
            uid = str(pod["metadata"].get("uid", "")) if pod is not None else ""
            refusal = worker.why(task.id) if pod is None else ""
            text = reasons.alarm(task, pod, reasons.Around(warning=self.warning(uid), refusal=refusal))
            if text and found:
                more += 1
            elif text:
                found = f"{task.id}: {text}"
        return f"{found} (and {more} more)" if more else found or None


def _gist(status: Obj) -> Obj:
    """A status but for which of the tasks that are not over have begun."""
    return {**status, "tasks": status["tasks"]["finished"]}
