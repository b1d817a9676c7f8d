"""OpenLineage events on their way: written with the transition that they tell of, sent when the receiver answers.

An event is a row of the same transaction as its transition, so none is lost and none is told that did not happen. One task sends
them in their order, apart from all runs: a receiver that is away delays nobody. What was sent is remembered until its run's end
was sent, so that a row written twice is told once; only a host that is killed between an answer and its note sends one again.
"""

import asyncio
import logging
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import msgspec
from sqlalchemy import bindparam, delete, func, select, text, update
from sqlalchemy.engine import Connection

from kedge.control.background import Background
from kedge.db.database import Database
from kedge.db.tables import lineage_events
from kedge.errors import KedgeError
from kedge.kube.clock import Clock
from kedge.pipelines import openlineage
from kedge.pipelines.history import History, upsert
from kedge.pipelines.origins import code_of
from kedge.pipelines.records import Changes, RunRecord

_log = logging.getLogger(__name__)
_BATCH = 100
_FIRST_DELAY, _LAST_DELAY = 0.5, 60.0
_TIMEOUT = 10.0
MOST_WAITING = 100_000
"""Events that wait for a receiver that is away; the oldest make room for others."""

_waiting = (
    select(lineage_events).where(lineage_events.c.sent == text("0")).order_by(lineage_events.c.seq).limit(bindparam("limit"))
)
_waiting_count = select(func.count()).select_from(lineage_events).where(lineage_events.c.sent == text("0"))
_note = update(lineage_events).where(lineage_events.c.seq == bindparam("number")).values(sent=1, event="")
_forget = delete(lineage_events).where(lineage_events.c.run_id == bindparam("run"), lineage_events.c.sent == text("1"))


class Refused(Exception):
    """The receiver will never take this event."""


class Outbox:
    """Keeps and sends events.

    Args:
        database: The history's.
        history: For the pipelines, whose code is told.
        clock: For the waits.
        url: Where to: ``http(s)://…``, or a file to which lines are appended.
        api_key: Sent as a bearer token; never written anywhere.
        version: Kedge's.
    """

    def __init__(self, database: Database, history: History, clock: Clock, *, url: str, api_key: str, version: str) -> None:
        self._database = database
        self._history = history
        self._clock = clock
        self._url = url
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
        self._version = version
        self._wake = asyncio.Event()
        self._background = Background("lineage events")
        self._put = upsert(lineage_events, database.dialect, keep=True, by=("run_id", "task_id", "generation", "kind"))
        history.journal = self.record

    def record(self, connection: Connection, run: RunRecord, changes: Changes) -> None:
        """Write the events of a transition, in its transaction."""
        record = changes.run or run
        found: list[dict[str, Any]] = []
        ended: list[dict[str, Any]] = []

        def row(task: str, kind: str, event: Any, component: tuple[str, str] = ("", "")) -> dict[str, Any]:
            return {
                "run_id": record.id,
                "task_id": task,
                "generation": openlineage.generation(record),
                "kind": kind,
                "event": msgspec.json.encode(event).decode(),
                "spec_digest": record.spec_digest if task else "",
                "component": component[0],
                "executor": component[1],
                "sent": 0,
            }

        if changes.run is not None:
            for kind, event in openlineage.of_run(record, self._version):
                (found if kind == "start" else ended).append(row("", kind, event))
        for task in changes.tasks.values():
            found += [
                row(task.id, kind, event, (task.component, task.executor))
                for kind, event in openlineage.of_task(record, task, self._version)
            ]
        if found or ended:
            connection.execute(self._put, [*found, *ended])  # the run's end comes last
            self._wake.set()

    async def start(self) -> None:
        """Begin to send, with what waits from before."""
        self._wake.set()
        self._background.start(self._run())

    async def stop(self) -> None:
        """Let go; what was not sent is sent by the next start."""
        await self._background.stop()

    async def _run(self) -> None:
        failures = 0
        async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as client:
            while True:
                await self._wake.wait()
                self._wake.clear()
                try:
                    if failures:
                        self._bound()
                    while await self._send_some(client):
                        pass
                    failures = 0
                    continue
                except (httpx.HTTPError, OSError, KedgeError) as error:
                    # Once for each time that it is away; the address without what may be secret in it.
                    level = logging.WARNING if failures == 0 else logging.DEBUG
                    why = str(error) or type(error).__name__
                    _log.log(level, "lineage events wait", extra={"host": _host(self._url), "error": why})
                except Exception:  # noqa: BLE001  # logged with its traceback; a defect must not end the sender
                    _log.exception("lineage events wait: an unforeseen error; they are tried again")
                await self._clock.sleep(min(_FIRST_DELAY * 2.0 ** min(failures, 16), _LAST_DELAY))
                failures += 1
                self._wake.set()

    async def _send_some(self, client: httpx.AsyncClient) -> bool:
        with self._database.reading() as connection:
            waiting = connection.execute(_waiting, {"limit": _BATCH}).mappings().all()
        for row in waiting:
            try:
                await self._send(client, self._body(row))
            except Refused as error:
                _log.warning("a lineage event is left out", extra={"run_id": row["run_id"], "error": str(error)})
            except msgspec.MsgspecError:
                about = {"run_id": row["run_id"]}
                _log.exception("a lineage event is left out: what was kept of it cannot be read", extra=about)
            with self._database.writing() as connection:
                connection.execute(_note, {"number": row["seq"]})
                if row["kind"] == "end" and not row["task_id"]:
                    connection.execute(_forget, {"run": row["run_id"]})
        return len(waiting) == _BATCH

    def _body(self, row: Any) -> dict[str, Any]:
        event = msgspec.json.decode(row["event"])
        spec = self._history.spec(row["spec_digest"]) if row["spec_digest"] else None
        return openlineage.with_code(event, code_of(spec, row["component"], row["executor"])) if spec is not None else event

    async def _send(self, client: httpx.AsyncClient, event: dict[str, Any]) -> None:
        content = msgspec.json.encode(event)
        if self._url.startswith("file://"):
            await asyncio.to_thread(_append, Path(unquote(urlsplit(self._url).path)), content)
            return
        answer = await client.post(self._url, content=content, headers=self._headers)
        # Who may not, may perhaps soon: a key is a setting. What is malformed stays so.
        if answer.status_code in {400, 413, 415, 422}:
            raise Refused(f"{_host(self._url)} answers {answer.status_code}: {answer.text:.200}")
        answer.raise_for_status()
        if answer.is_redirect:
            raise httpx.HTTPError(f"it answers {answer.status_code}, a redirect. Name the address itself.")

    def _bound(self) -> None:
        with self._database.transaction() as connection:
            surplus = connection.execute(_waiting_count).scalar_one() - MOST_WAITING
            if surplus > 0:
                oldest = select(lineage_events.c.seq).where(lineage_events.c.sent == text("0"))
                oldest = oldest.order_by(lineage_events.c.seq).limit(surplus)
                connection.execute(delete(lineage_events).where(lineage_events.c.seq.in_(oldest)))
                _log.warning("lineage events were left out: too many waited", extra={"events": surplus, "most": MOST_WAITING})


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(line + b"\n")


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or urlsplit(url).path
