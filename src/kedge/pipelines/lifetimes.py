"""How long runs may take, and how long their objects stay.

A run past its deadline fails; the deadline counts from when the run began, or was last opened again. When the time after its end
has passed too, its Run object is deleted, and with it what it owns: Pods, ConfigMaps, its workspace. Its history stays. Both
follow from what is written, so a hub that was started anew keeps them; what came due meanwhile is done at once.
"""

from collections.abc import Callable, Coroutine, Hashable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from kedge.client.types import Client
from kedge.errors import Conflict, KedgeError, NotFound
from kedge.kube.clock import Clock, parse_timestamp
from kedge.kube.kinds import Obj
from kedge.pipelines.engine.types import DeadlineExceeded
from kedge.pipelines.kinds import RUN
from kedge.pipelines.timers import Timers
from kedge.pipelines.worker import Worker

TTL = "ttlSecondsAfterFinished"
_RETRY = 1.0


class Lifetimes:
    """Ends runs that take too long, and deletes the objects of those that ended long ago.

    Args:
        client: Where Runs are.
        clock: For times.
        timers: What is due later.
        ttl: Seconds that a finished Run stays when neither it nor its pipeline says so.
        insist: Does something now, and again for as long as the server cannot take it.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        timers: Timers,
        *,
        ttl: int,
        insist: Callable[[Hashable, Callable[[], Coroutine[Any, Any, None]]], None],
    ) -> None:
        self._client = client
        self._clock = clock
        self._timers = timers
        self._ttl = ttl
        self._insist = insist

    def begun(self, worker: Worker) -> None:
        """Watch a run's deadline, if its pipeline has one."""
        record, seconds = worker.live.record, worker.live.pipeline.lifetime.active_deadline_seconds
        since = record.going_since
        if not seconds or since is None or record.finished:
            return
        due = since + timedelta(seconds=seconds)
        self._timers.after(self._until(due), ("deadline", record.id), lambda: self._exceeded(worker, seconds))

    def _exceeded(self, worker: Worker, seconds: int) -> None:
        record = worker.live.record
        if worker.over or record.finished:
            return
        message = (
            f"the run was not over after {seconds} s, which is all that its pipeline allows (active_deadline_seconds). "
            f"`kedge runs retry {record.id}` goes on with it and gives it as long again."
        )
        with suppress(KedgeError):  # it could not be written, which the worker says
            if not worker.live.broken:
                worker.feed([DeadlineExceeded(self._clock.now(), message)])
                return
        self._timers.after(_RETRY, ("deadline", record.id), lambda: self._exceeded(worker, seconds))

    def ended(self, run: Obj) -> None:
        """Delete a Run that is over when its time has come."""
        metadata, status = run["metadata"], run.get("status") or {}
        ended = status.get("completionTime")
        self._timers.cancel(("deadline", metadata["uid"]))
        if not ended:
            return
        ttl = (run.get("spec") or {}).get(TTL)
        if ttl is None:
            ttl = status.get(TTL, self._ttl)
        due = parse_timestamp(ended) + timedelta(seconds=ttl)
        self._timers.after(self._until(due), ("ttl", metadata["uid"]), lambda: self._expire(metadata))

    def reopened(self, run_id: str) -> None:
        """A run that was over goes on: its object stays."""
        self._timers.cancel(("ttl", run_id))

    def _until(self, due: datetime) -> float:
        return (due - self._clock.now()).total_seconds()

    def _expire(self, metadata: Obj) -> None:
        async def delete() -> None:
            with suppress(NotFound, Conflict):  # somebody else did, and perhaps made another of that name
                await self._client.delete(RUN, metadata["name"], metadata["namespace"], uid=metadata["uid"])

        self._insist(("expire", metadata["uid"]), delete)
