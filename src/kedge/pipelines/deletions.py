"""Deleting a run for good: its Run object, its history and what it made.

What is asked for is written down first, and each step is harmless when it is done again: a hub that is killed goes on when it
starts. The history goes in one transaction, which also says what must be deleted of the store, so nothing can find an artifact
that is about to go. Only what lies in the run's own folder below the host's root is ever deleted. An artifact that others use
stays, without its run, and goes with the last run that uses it. What was imported is somebody else's and always stays.

What an import writes is noted too, before it is written: it has its place here only once its run has.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from sqlalchemy import bindparam, delete, select, text, update
from sqlalchemy.engine import Connection

from kedge.control.background import Background
from kedge.db.database import Database
from kedge.db.tables import artifacts, attempts, deletions, runs, task_artifacts, tasks
from kedge.errors import Invalid, KedgeError, NotFound, Unavailable
from kedge.kube.clock import Clock
from kedge.pipelines import rows
from kedge.pipelines.archive import NAME as LOG
from kedge.pipelines.controller import RunController
from kedge.pipelines.history import History, upsert
from kedge.pipelines.ports import Artifacts
from kedge.pipelines.records import ArtifactRecord, RunRecord

_log = logging.getLogger(__name__)
_RETRY = 5.0
_AT_ONCE = 100
_PATIENCE = 20.0
"""Seconds that a caller waits for the store; what is left then goes on by itself."""

_users = task_artifacts.alias()
_made = select(artifacts).where(artifacts.c.run_id == bindparam("run"))
_used = (
    select(artifacts.c.artifact_id, _users.c.run_id)
    .join(_users, _users.c.artifact_id == artifacts.c.artifact_id)
    .where(artifacts.c.run_id == bindparam("run"), _users.c.run_id != bindparam("run"))
    .distinct()
)
_importers = select(tasks.c.task_id).where(tasks.c.run_id == bindparam("run"), tasks.c.kind == text("'importer'"))
_tries = select(attempts.c.task_id, attempts.c.attempt).where(attempts.c.run_id == bindparam("run"))
# What runs that were deleted before have left behind, because this run used it.
_left = (
    select(artifacts)
    .join(task_artifacts, task_artifacts.c.artifact_id == artifacts.c.artifact_id)
    .where(
        task_artifacts.c.run_id == bindparam("run"),
        artifacts.c.run_id.is_(None),
        artifacts.c.task_id.is_not(None),
        artifacts.c.namespace == bindparam("namespace"),
    )
    .distinct()
)
_other_user = (
    select(task_artifacts.c.run_id)
    .where(task_artifacts.c.artifact_id == bindparam("artifact"), task_artifacts.c.run_id != bindparam("run"))
    .limit(1)
)
_below = select(artifacts.c.uri, artifacts.c.run_id, artifacts.c.artifact_id).where(
    artifacts.c.uri >= bindparam("first"), artifacts.c.uri < bindparam("beyond")
)
_at = select(artifacts.c.uri, artifacts.c.run_id, artifacts.c.artifact_id).where(
    artifacts.c.uri.in_(bindparam("uris", expanding=True))
)
_due = (
    select(deletions.c.subject, deletions.c.keep)
    .where(deletions.c.kind == bindparam("kind"))
    .order_by(deletions.c.created_at)
    .limit(_AT_ONCE)
)


_within = (
    select(deletions.c.subject)
    .where(
        deletions.c.subject >= bindparam("first"), deletions.c.subject < bindparam("beyond"), deletions.c.kind == text("'bytes'")
    )
    .limit(1)
)
_expected = delete(deletions).where(deletions.c.subject == bindparam("address"))
_given_up = update(deletions).where(deletions.c.kind == text("'import'")).values(kind="bytes")


class Kept(msgspec.Struct, frozen=True):
    """An artifact that is not deleted, and why."""

    artifact_id: str
    name: str
    uri: str
    reason: str


class Deleted(msgspec.Struct, frozen=True):
    """What became of a run's artifacts.

    Attributes:
        artifacts: How many were deleted.
        bytes: How large they were, as far as that is known.
        kept: Those that were not.
        pending: How many addresses the store has not deleted yet; it goes on by itself.
    """

    artifacts: int = 0
    bytes: int = 0
    kept: tuple[Kept, ...] = ()
    pending: int = 0


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a run's deletion does: records that lose their run, those that go, addresses to delete."""

    orphaned: list[str]
    disowned: list[str]
    gone: list[ArtifactRecord]
    addresses: list[str]
    kept: list[Kept]


class Deletions:
    """Deletes runs.

    Args:
        controller: Ends them.
        history: Knows them.
        database: The history's.
        artifacts: Where their artifacts lie.
        clock: For times.
    """

    def __init__(
        self, controller: RunController, history: History, *, database: Database, artifacts: Artifacts, clock: Clock
    ) -> None:
        self._controller = controller
        self._history = history
        self._database = database
        self._artifacts = artifacts
        self._clock = clock
        self._put = upsert(deletions, database.dialect)
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._background = Background("deletions")
        self._works = False

    async def delete(self, run_id: str, *, keep_artifacts: bool = False) -> Deleted:
        """End a run and delete it, with what it made.

        Args:
            run_id: The run.
            keep_artifacts: Leave its artifacts where they are, with their records.

        Raises:
            NotFound: There is no such run.
        """
        if self._history.run(run_id) is None:
            raise NotFound(f"run {run_id!r} not found. `kedge runs list` shows those that exist.")
        self._note([(run_id, "run", int(keep_artifacts))])
        done = await self._finish(run_id, keep_artifacts=keep_artifacts)
        await self._work()
        return msgspec.structs.replace(done, pending=len(self._asked("bytes")))

    async def cleared(self, folder: str) -> None:
        """Wait until nothing in a folder is about to be deleted, so that something can be put there.

        Raises:
            Unavailable: It takes too long; try again.
        """
        if self._pending(folder):
            await self._work()
            if self._pending(folder):
                text = f"what lay in {folder} before is still being deleted. Try again in a moment."
                raise Unavailable(text, retry_after=_RETRY)

    def expect(self, addresses: Iterable[str]) -> None:
        """Note what is about to be written: a hub that ends before it has `arrived` deletes it at its next start."""
        self._note([(address, "import", 0) for address in addresses])

    def arrived(self, connection: Connection, addresses: Iterable[str]) -> None:
        """What was expected is there and recorded, with this transaction."""
        if found := [{"address": each} for each in addresses]:
            connection.execute(_expected, found)

    async def give_up(self, addresses: Iterable[str]) -> None:
        """What was expected does not come: delete what there is of it."""
        self._note([(address, "bytes", 0) for address in addresses])
        await self._work()

    async def start(self) -> None:
        """Go on with what was asked for before the hub ended."""
        with self._database.writing() as connection:
            connection.execute(_given_up)
        self._wake.set()
        self._works = True
        self._background.start(self._run())

    async def stop(self) -> None:
        """Stop; the rest is deleted after the next start."""
        await self._background.stop()

    # ---- in the background

    async def _work(self) -> None:
        """Delete what is noted, now; what is left when patience ends goes on by itself."""
        self._idle.clear()
        self._wake.set()
        if self._works:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._idle.wait()

    async def _run(self) -> None:
        for run_id, keep in self._asked("run"):
            await self._insist(run_id, keep_artifacts=bool(keep))
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (asked := self._asked("bytes")) and await self._empty(address for address, _ in asked):
                pass
            self._idle.set()
            if asked:
                await self._clock.sleep(_RETRY)
                self._wake.set()

    async def _insist(self, run_id: str, *, keep_artifacts: bool) -> None:
        while True:
            try:
                await self._finish(run_id, keep_artifacts=keep_artifacts)
            except NotFound:
                self._drop(run_id)
            except KedgeError as error:
                _log.warning("a run waits to be deleted", extra={"run_id": run_id, "error": str(error)})
                await self._clock.sleep(_RETRY)
                continue
            return

    async def _empty(self, addresses: Iterable[str]) -> bool:
        """Delete what lies at these addresses; whether any could be."""
        any_done = False
        for address in addresses:
            try:
                await self._artifacts.delete(address)
            except Invalid as error:
                _log.warning("an address is left as it is", extra={"uri": address, "error": str(error)})
            except (KedgeError, OSError) as error:
                _log.warning("an address waits to be deleted", extra={"uri": address, "error": str(error)})
                continue
            self._drop(address)
            any_done = True
        return any_done

    # ---- the history

    async def _finish(self, run_id: str, *, keep_artifacts: bool) -> Deleted:
        await self._controller.discard(run_id)
        # Nothing is awaited from here on.
        record = self._history.run(run_id)
        if record is None:
            raise NotFound(f"run {run_id!r} is deleted already.")
        now = rows.micros(self._clock.now())
        with self._database.transaction() as connection:
            plan = _Planner(connection, record, self._artifacts).plan(keep_artifacts=keep_artifacts)
            one = artifacts.c.artifact_id == bindparam("id")
            for ids, values in ((plan.orphaned, {"run_id": None}), (plan.disowned, {"run_id": None, "task_id": None})):
                if ids:
                    connection.execute(update(artifacts).where(one).values(**values), [{"id": each} for each in ids])
            if plan.gone:
                connection.execute(delete(artifacts).where(one), [{"id": each.id} for each in plan.gone])
            connection.execute(delete(runs).where(runs.c.run_id == run_id))
            connection.execute(delete(deletions).where(deletions.c.subject == run_id))
            notes = [{"subject": each, "kind": "bytes", "keep": 0, "created_at": now} for each in plan.addresses]
            if notes:
                connection.execute(self._put, notes)
        self._history.run_changes.tell(record, deleted=True)
        stored = [each.artifact for each in plan.gone if each.artifact.digest]
        return Deleted(len(stored), sum(each.size or 0 for each in stored), tuple(plan.kept))

    def _note(self, notes: Iterable[tuple[str, str, int]]) -> None:
        now = rows.micros(self._clock.now())
        found = [{"subject": subject, "kind": kind, "keep": keep, "created_at": now} for subject, kind, keep in notes]
        if found:
            with self._database.writing() as connection:
                connection.execute(self._put, found)

    def _pending(self, folder: str) -> bool:
        with self._database.reading() as connection:
            return connection.execute(_within, {"first": folder, "beyond": folder + "0"}).first() is not None

    def _drop(self, subject: str) -> None:
        with self._database.writing() as connection:
            connection.execute(delete(deletions).where(deletions.c.subject == subject))

    def _asked(self, kind: str) -> list[tuple[str, int]]:
        with self._database.reading() as connection:
            return [(row[0], row[1]) for row in connection.execute(_due, {"kind": kind})]


class _Planner:
    """Decides what goes and what stays."""

    def __init__(self, connection: Connection, run: RunRecord, store: Artifacts) -> None:
        self._connection = connection
        self._run = run
        self._store = store
        self._folder = f"{run.pipeline_root.rstrip('/')}/{run.id}"

    def plan(self, *, keep_artifacts: bool) -> _Plan:
        run = {"run": self._run.id}
        made = [rows.read_artifact(row) for row in self._connection.execute(_made, run).mappings()]
        if keep_artifacts:  # for good: not even the last run that uses them takes them along
            return _Plan([], [record.id for record in made], [], [], [])
        users = {row[0]: row[1] for row in self._connection.execute(_used, run)}
        imported = {row[0] for row in self._connection.execute(_importers, run)}
        foreign = self._foreign()
        plan = _Plan([], [], [], [], [])
        for record in made:
            own = record.task not in imported and self._is_own(record.artifact.uri)
            if reason := self._why_kept(record, users, imported, foreign):
                plan.kept.append(Kept(record.id, record.artifact.name, record.artifact.uri, reason))
            if record.id in users or (reason and own):
                (plan.orphaned if own else plan.disowned).append(record.id)
            elif not reason:
                plan.gone.append(record)
        protected = {*foreign, *(kept.uri for kept in plan.kept if self._is_own(kept.uri))}
        if self._store.owns(self._folder):
            plan.addresses.extend(self._addresses(plan.gone, protected))
        self._take_along(plan)
        return plan

    def _is_own(self, uri: str) -> bool:
        return uri.startswith(self._folder + "/")

    def _why_kept(self, record: ArtifactRecord, users: dict[str, str], imported: set[str], foreign: set[str]) -> str:
        uri = record.artifact.uri
        if record.task in imported:
            return "it was imported, so it is not the run's own"
        if record.id in users:
            return f"run {users[record.id]} uses it"
        if not record.artifact.digest:
            return ""  # there never were bytes
        if not self._is_own(uri):
            return "its step put it outside of the run's folder"
        if not self._store.owns(uri):
            return f"it lies outside of the host's own root {self._store.root}"
        return "another run has imported its address" if _overlaps(uri, foreign) else ""

    def _foreign(self) -> set[str]:
        """What others have recorded in the run's folder, or as a folder around it."""
        parts = self._folder.split("/")
        around = ["/".join(parts[:end]) for end in range(4, len(parts) + 1)]
        found = [
            *self._connection.execute(_below, {"first": self._folder + "/", "beyond": self._folder + "0"}),
            *self._connection.execute(_at, {"uris": [*around, *(uri + "/" for uri in around)]}),
        ]
        return {row[0].rstrip("/") for row in found if row[1] != self._run.id}

    def _addresses(self, gone: list[ArtifactRecord], protected: set[str]) -> Iterable[str]:
        """The run's folder where nothing in it must stay, or as much of it as may go."""
        if not protected:
            return [self._folder]
        if any(not self._is_own(uri) for uri in protected):
            return []
        found: list[str] = []
        guarded = _with_parents(protected)
        for task, number in self._connection.execute(_tries, {"run": self._run.id}):
            folder = f"{self._folder}/{task or 'root'}/{number}"
            found.append(f"{folder}/{LOG}" if folder in guarded else folder)
        return [*found, *(record.artifact.uri for record in gone if record.artifact.digest)]

    def _take_along(self, plan: _Plan) -> None:
        """Add what earlier deletions left for this run's sake, and nobody else uses."""
        run = self._run.id
        for row in self._connection.execute(_left, {"run": run, "namespace": self._run.namespace}).mappings().all():
            record = rows.read_artifact(row)
            if self._connection.execute(_other_user, {"artifact": record.id, "run": run}).first() is not None:
                continue
            uri = record.artifact.uri
            same = [
                *self._connection.execute(_at, {"uris": [uri]}),
                *self._connection.execute(_below, {"first": uri + "/", "beyond": uri + "0"}),
            ]
            plan.gone.append(record)
            if all(other[2] == record.id for other in same) and self._store.owns(uri):
                plan.addresses.append(uri)


def _with_parents(uris: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for uri in uris:
        above = uri
        while above and above not in found:
            found.add(above)
            above = above.rpartition("/")[0]
    return found


def _overlaps(uri: str, others: set[str]) -> bool:
    """Whether an address is one of the others, around one, or within one."""
    return bool(others) and (uri in _with_parents(others) or not _with_parents([uri]).isdisjoint(others))
