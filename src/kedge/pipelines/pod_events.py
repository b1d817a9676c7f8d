"""What is said of steps' Pods (Kubernetes Events), kept with the run: the cluster forgets it after an hour, and Pods go.

Events are followed, matched to attempts by their Pod's UID, and written together twice a second. Writing one twice is writing it
once, so a restart just reads all that there are again. Of one attempt the newest fifty are kept; they go with their run.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from msgspec.structs import replace
from sqlalchemy import bindparam, delete, select
from sqlalchemy.engine import Connection

from kedge.client.types import Client
from kedge.control.background import Background
from kedge.control.informer import Informer
from kedge.db.database import Database
from kedge.db.tables import pod_events, runs
from kedge.errors import KedgeError
from kedge.kube.clock import Clock, parse_timestamp
from kedge.kube.core import EVENT
from kedge.kube.kinds import Obj
from kedge.pipelines import pages, rows
from kedge.pipelines.controller import RunController
from kedge.pipelines.history import History, upsert
from kedge.pipelines.records import PodEvent

_log = logging.getLogger(__name__)
MOST = 50
"""How many are kept of one attempt."""
_LONGEST = 1024
_PAUSE = 0.5  # seconds in which events gather, to be written together
# A Pod may be heard of after what is said of it, and most Pods of a cluster are no steps.
_PATIENCE = 20
_WARNINGS = 1024
_FIELDS = ("reason", "message", "type", "count", "firstTimestamp", "lastTimestamp", "eventTime")

_existing = select(runs.c.run_id).where(runs.c.run_id.in_(bindparam("ids", expanding=True)))
_of_attempt = (
    select(pod_events.c.event_id)
    .where(
        pod_events.c.run_id == bindparam("run"),
        pod_events.c.task_id == bindparam("task"),
        pod_events.c.attempt == bindparam("number"),
    )
    .order_by(pod_events.c.last_at.desc())
)
_forget = delete(pod_events).where(
    pod_events.c.run_id == bindparam("run"),
    pod_events.c.task_id == bindparam("task"),
    pod_events.c.attempt == bindparam("number"),
    pod_events.c.event_id == bindparam("id"),
)
# Times of Events are whole seconds; of those in one, the first written is the first.
_ORDER = (pod_events.c.first_at, pod_events.c.position, pod_events.c.event_id)


class PodEvents:
    """Keeps them, and tells them.

    Args:
        client: Where Events are.
        controller: Knows which attempt a Pod is.
        history: Likewise, of Pods that are gone.
        database: The history's.
        clock: For times.
    """

    def __init__(self, client: Client, controller: RunController, history: History, *, database: Database, clock: Clock) -> None:
        self._controller = controller
        self._history = history
        self._database = database
        self._clock = clock
        self._put = upsert(pod_events, database.dialect, but=("position",))
        self._informer = Informer(client, EVENT, clock, fields="involvedObject.kind=Pod").keeping(_keep)
        self._heard: dict[str, tuple[Obj, int]] = {}  # by the Event's UID, and how often its Pod was looked for
        self._warnings: dict[str, str] = {}  # the newest by the Pod's UID
        self._wake = asyncio.Event()
        self._background = Background("what is said of Pods")

    async def start(self) -> None:
        """Begin to follow, in the background."""
        self._informer.on_change(self._changed)
        self._background.start(self._informer.run())
        self._background.start(self._run())

    async def stop(self) -> None:
        """Stop. What was not written is read again at the next start, if it is there still."""
        await self._background.stop()
        with suppress(KedgeError):
            self._write()

    def page(self, run_id: str, size: int, token: str, *, task_id: str | None = None) -> pages.Page[PodEvent]:
        """One page of what was said of a run's Pods, or of one task's, oldest first.

        Raises:
            BadRequest: The size or the token cannot be used.
        """
        where = [pod_events.c.run_id == run_id, *([] if task_id is None else [pod_events.c.task_id == task_id])]
        with self._database.reading() as connection:
            return pages.keyed(connection, pages.Keyed(pod_events, _ORDER, rows.read_pod_event), (size, token), *where)

    def of(self, run_id: str, task_id: str) -> dict[int, list[PodEvent]]:
        """All that is kept of a task, by attempt, oldest first."""
        found: dict[int, list[PodEvent]] = {}
        statement = select(pod_events).where(pod_events.c.run_id == run_id, pod_events.c.task_id == task_id).order_by(*_ORDER)
        with self._database.reading() as connection:
            for row in connection.execute(statement).mappings():
                found.setdefault(row["attempt"], []).append(rows.read_pod_event(row))
        return found

    def of_run(self, run_id: str) -> list[PodEvent]:
        """All that is kept of a run, oldest first."""
        statement = select(pod_events).where(pod_events.c.run_id == run_id).order_by(*_ORDER)
        with self._database.reading() as connection:
            return [rows.read_pod_event(row) for row in connection.execute(statement).mappings()]

    def write(self, connection: Connection, found: Iterable[PodEvent]) -> None:
        """Write some within a transaction; of an attempt the newest `MOST` stay, and of a run that is not there none."""
        self._keep(connection, [replace(one, message=one.message[:_LONGEST]) for one in found])

    def warning(self, pod_uid: str) -> str:
        """The newest warning about a Pod, or ``""``."""
        return self._warnings.get(pod_uid, "")

    # ---- in the background

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        del old
        if new is None:
            return
        self._heard[new["metadata"]["uid"]] = (new, 0)
        if new.get("type") == "Warning":
            uid = new["podUid"]
            self._warnings.pop(uid, None)
            self._warnings[uid] = str(new.get("message") or new.get("reason") or "")
            while len(self._warnings) > _WARNINGS:
                del self._warnings[next(iter(self._warnings))]
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await self._clock.sleep(_PAUSE)
            self._wake.clear()
            try:
                self._write()
            except KedgeError as error:
                _log.debug("events wait to be kept", extra={"error": str(error)})
            if self._heard:
                self._wake.set()

    def _write(self) -> None:
        found: list[PodEvent] = []
        left: dict[str, tuple[Obj, int]] = {}
        for uid, (event, tries) in self._heard.items():
            place = self._place(event["podUid"], ask=tries in {0, _PATIENCE})
            if place is not None:
                found.append(_read(event, place, self._clock.now()))
                if event.get("type") == "Warning":
                    self._controller.warned(place[0], str(event.get("message") or ""))
            elif tries < _PATIENCE:
                left[uid] = (event, tries + 1)
        if found:
            with self._database.transaction() as connection:
                self._keep(connection, found)
        self._heard = left

    def _place(self, pod_uid: str, *, ask: bool) -> tuple[str, str, int] | None:
        """The run, task and number of the attempt that a Pod is; the history is asked first and last: most Pods are none."""
        try:
            reference = self._controller.find(pod_uid)
        except KedgeError:  # not all Pods are known yet
            return None
        if reference is not None:
            return reference.run, reference.task, reference.attempt
        attempt = self._history.attempt_of_pod(pod_uid) if ask else None
        return (attempt.run, attempt.task, attempt.number) if attempt is not None else None

    def _keep(self, connection: Connection, found: Iterable[PodEvent]) -> None:
        by_attempt: dict[tuple[str, str, int], list[PodEvent]] = {}
        for event in found:
            by_attempt.setdefault((event.run, event.task, event.attempt), []).append(event)
        there = {row[0] for row in connection.execute(_existing, {"ids": list({run for run, _, _ in by_attempt})})}
        for (run, task, number), events in by_attempt.items():
            if run not in there:
                continue
            connection.execute(self._put, [rows.pod_event_row(event) for event in events])
            attempt = {"run": run, "task": task, "number": number}
            surplus = [row[0] for row in connection.execute(_of_attempt, attempt)][MOST:]
            if surplus:
                connection.execute(_forget, [{**attempt, "id": event} for event in surplus])


def _keep(event: Obj) -> Obj:
    """What is held of an Event: no more than is written."""
    metadata = event["metadata"]
    kept: dict[str, Any] = {name: event[name] for name in _FIELDS if event.get(name) is not None}
    kept["message"] = str(kept.get("message") or "")[:_LONGEST]
    kept["metadata"] = {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    kept["podUid"] = str((event.get("involvedObject") or {}).get("uid") or "")
    kept["source"] = str((event.get("source") or {}).get("component") or event.get("reportingComponent") or "")
    series: Mapping[str, Any] = event.get("series") or {}
    if series:
        kept["count"], kept["lastTimestamp"] = series.get("count"), series.get("lastObservedTime")
    return kept


def _read(event: Obj, place: tuple[str, str, int], now: datetime) -> PodEvent:
    made = _time(event["metadata"].get("creationTimestamp")) or now
    first = _time(event.get("firstTimestamp")) or _time(event.get("eventTime")) or made
    return PodEvent(
        id=event["metadata"]["uid"],
        run=place[0],
        task=place[1],
        attempt=place[2],
        type=str(event.get("type") or "Normal"),
        reason=str(event.get("reason") or ""),
        message=event["message"],
        source=event["source"],
        count=int(event.get("count") or 1),
        first_at=first,
        position=int(version) if (version := str(event["metadata"]["resourceVersion"])).isdecimal() else 0,
        last_at=max(first, _time(event.get("lastTimestamp")) or first),
    )


def _time(text: Any) -> datetime | None:
    try:
        return parse_timestamp(text) if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None
