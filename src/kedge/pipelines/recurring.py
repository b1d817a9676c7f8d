"""Recurring runs: what is stored of them, and every statement about that."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from kedge.db.database import Database
from kedge.db.tables import firings, recurring_runs, runs, specs
from kedge.errors import Conflict, NotFound
from kedge.kube import names
from kedge.pipelines import pages, rows
from kedge.pipelines.history import upsert
from kedge.pipelines.records import Spec
from kedge.pipelines.schedules import Trigger


class RecurringRun(msgspec.Struct, frozen=True, kw_only=True):
    """What starts runs by itself.

    Attributes:
        id: Its own.
        namespace: Where its runs go.
        display_name: What people call it.
        description: Free text.
        experiment_id: The group of its runs.
        pipeline_id: The stored pipeline that it runs.
        pipeline_version_id: Its version; ``None`` for the newest at each firing.
        spec_digest: Or a pipeline that was given with it, by content.
        parameters: Arguments by input name, in which macros are filled in.
        pipeline_root: Where artifacts go; ``""`` for where the pipeline says.
        service_account: Of its Pods.
        trigger: When.
        max_concurrency: How many of its runs may be live at once.
        no_catchup: Whether of several missed moments only the newest counts.
        enabled: Whether it fires.
        fired: How often it has.
        since: Moments up to this one are dealt with.
        error: Why its last moment started no run.
        created_at: When it was made.
        updated_at: When it was last changed by a person.
        tags: Of its runs.
    """

    id: str
    namespace: str
    display_name: str
    description: str = ""
    experiment_id: str | None = None
    pipeline_id: str | None = None
    pipeline_version_id: str | None = None
    spec_digest: str | None = None
    parameters: dict[str, Any] = {}
    pipeline_root: str = ""
    service_account: str = ""
    trigger: Trigger
    max_concurrency: int = 1
    no_catchup: bool = False
    enabled: bool = True
    fired: int = 0
    since: datetime
    error: str | None = None
    created_at: datetime
    updated_at: datetime
    tags: dict[str, str] = {}


class Firing(msgspec.Struct, frozen=True):
    """One moment that was taken, and what came of it.

    Attributes:
        owner: The recurring run's id.
        moment: For which time.
        run_name: The Run object's name.
        position: The how-manieth it is, from 1.
    """

    owner: str
    moment: datetime
    run_name: str
    position: int


def _row(record: RecurringRun) -> dict[str, Any]:
    return {
        "recurring_run_id": record.id,
        "namespace": record.namespace,
        "display_name": record.display_name,
        "description": record.description,
        "experiment_id": record.experiment_id,
        "pipeline_id": record.pipeline_id,
        "pipeline_version_id": record.pipeline_version_id,
        "spec_digest": record.spec_digest,
        "parameters": rows.text(record.parameters),
        "pipeline_root": record.pipeline_root,
        "service_account": record.service_account,
        "trigger": rows.text(record.trigger),
        "max_concurrency": record.max_concurrency,
        "no_catchup": int(record.no_catchup),
        "enabled": int(record.enabled),
        "fired": record.fired,
        "since": rows.micros(record.since),
        "error": record.error,
        "created_at": rows.micros(record.created_at),
        "updated_at": rows.micros(record.updated_at),
        "tags": rows.text(record.tags),
    }


_trigger = msgspec.json.Decoder(Trigger)
_parameters = msgspec.json.Decoder(dict[str, Any])


def _read(row: rows.Row) -> RecurringRun:
    return RecurringRun(
        id=row["recurring_run_id"],
        namespace=row["namespace"],
        display_name=row["display_name"],
        description=row["description"],
        experiment_id=row["experiment_id"],
        pipeline_id=row["pipeline_id"],
        pipeline_version_id=row["pipeline_version_id"],
        spec_digest=row["spec_digest"],
        parameters=_parameters.decode(row["parameters"]),
        pipeline_root=row["pipeline_root"],
        service_account=row["service_account"],
        trigger=_trigger.decode(row["trigger"]),
        max_concurrency=row["max_concurrency"],
        no_catchup=bool(row["no_catchup"]),
        enabled=bool(row["enabled"]),
        fired=row["fired"],
        since=rows.moment(row["since"]),
        error=row["error"],
        created_at=rows.moment(row["created_at"]),
        updated_at=rows.moment(row["updated_at"]),
        tags=rows.read_tags(row["tags"]),
    )


_LIST = pages.Listing(
    recurring_runs,
    recurring_runs.c.recurring_run_id,
    _read,
    {
        "recurring_run_id": recurring_runs.c.recurring_run_id,
        "id": recurring_runs.c.recurring_run_id,
        "name": recurring_runs.c.display_name,
        "display_name": recurring_runs.c.display_name,
        "description": recurring_runs.c.description,
        "namespace": recurring_runs.c.namespace,
        "experiment_id": recurring_runs.c.experiment_id,
        "pipeline_id": recurring_runs.c.pipeline_id,
        "pipeline_version_id": recurring_runs.c.pipeline_version_id,
        "created_at": recurring_runs.c.created_at,
        "updated_at": recurring_runs.c.updated_at,
    },
    frozenset({"recurring_run_id", "id", "name", "display_name", "created_at", "experiment_id"}),
)
_by_id = recurring_runs.c.recurring_run_id == bindparam("id")
_one = select(recurring_runs).where(_by_id)
_enabled = select(recurring_runs.c.recurring_run_id).where(recurring_runs.c.enabled == text("1"))
_is_open = firings.c.run_id.is_(None) & firings.c.error.is_(None)
_owners = select(firings.c.recurring_run_id).where(_is_open).distinct()
_open = select(firings).where(firings.c.recurring_run_id == bindparam("id"), _is_open).order_by(firings.c.moment)
# A Run may name any recurring run: one of another namespace is none of its runs.
_live = (
    select(func.count())
    .select_from(runs)
    .join(recurring_runs, recurring_runs.c.recurring_run_id == runs.c.recurring_run_id)
    .where(
        runs.c.recurring_run_id == bindparam("id"),
        runs.c.finished_at.is_(None),
        runs.c.namespace == recurring_runs.c.namespace,
    )
)


class RecurringRuns:
    """Where they are kept.

    Args:
        database: The history. Its errors pass through.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keep_spec = upsert(specs, database.dialect, keep=True)

    # ---- for people

    def add(self, record: RecurringRun, spec: Spec | None = None) -> None:
        """Store one, with the pipeline that was given with it."""
        with self._database.transaction() as connection:
            if spec is not None:
                connection.execute(self._keep_spec, rows.spec_row(spec, record.created_at))
            connection.execute(insert(recurring_runs).values(_row(record)))

    def change(self, recurring_run_id: str, now: datetime, *, spec: Spec | None = None, **changes: Any) -> RecurringRun:
        """Change one in place; raises `errors.NotFound`."""
        with self._database.transaction() as connection:
            record = msgspec.structs.replace(self.get(recurring_run_id), updated_at=now, **changes)
            if spec is not None:
                connection.execute(self._keep_spec, rows.spec_row(spec, now))
            values = {key: value for key, value in _row(record).items() if key != "recurring_run_id"}
            where = recurring_runs.c.recurring_run_id == recurring_run_id
            connection.execute(update(recurring_runs).where(where).values(values))
        return record

    def delete(self, recurring_run_id: str) -> None:
        """Forget one; its runs stay. Raises `errors.NotFound`."""
        self.get(recurring_run_id)
        with self._database.transaction() as connection:
            connection.execute(delete(recurring_runs).where(recurring_runs.c.recurring_run_id == recurring_run_id))

    def get(self, recurring_run_id: str) -> RecurringRun:
        """One of them; raises `errors.NotFound`."""
        found = self.find(recurring_run_id)
        if found is None:
            raise no_recurring_run(recurring_run_id)
        return found

    def find(self, recurring_run_id: str) -> RecurringRun | None:
        """One of them, if it is there."""
        with self._database.reading() as connection:
            found = connection.execute(_one, {"id": recurring_run_id}).mappings().first()
        return _read(found) if found else None

    def page(self, query: pages.Query, *, namespace: str = "", experiment_id: str = "") -> pages.Page[RecurringRun]:
        """One page; raises `errors.BadRequest` for a query that cannot be answered."""
        where = [recurring_runs.c.namespace == namespace] if namespace else []
        if experiment_id:
            where.append(recurring_runs.c.experiment_id == experiment_id)
        with self._database.reading() as connection:
            return pages.page(connection, _LIST, query, *where)

    # ---- for the scheduler

    def to_look_at(self) -> set[str]:
        """Those that may have something to do: enabled, or with a moment taken whose Run is not known to exist."""
        with self._database.reading() as connection:
            enabled = connection.execute(_enabled).scalars().all()
            return {*enabled, *connection.execute(_owners).scalars().all()}

    def live(self, recurring_run_id: str) -> int:
        """How many of its runs are not over."""
        with self._database.reading() as connection:
            return connection.execute(_live, {"id": recurring_run_id}).scalar_one()

    def take(self, record: RecurringRun, moments: Sequence[datetime]) -> None:
        """Take moments: from here on each belongs to one Run, by name, and can be taken by nobody else.

        Raises:
            Conflict: It was changed meanwhile, or somebody else took one; nothing was taken.
        """
        if not moments:
            return
        since = update(recurring_runs).where(
            recurring_runs.c.recurring_run_id == record.id,
            recurring_runs.c.since == rows.micros(record.since),
            recurring_runs.c.fired == record.fired,
            recurring_runs.c.enabled == text("1"),
        )
        taken = [
            {
                "recurring_run_id": record.id,
                "moment": rows.micros(moment),
                "run_name": _run_name(record, moment),
                "position": record.fired + number,
            }
            for number, moment in enumerate(moments, 1)
        ]
        try:
            with self._database.transaction() as connection:
                moved = connection.execute(since.values(since=rows.micros(moments[-1]), fired=record.fired + len(moments)))
                if moved.rowcount != 1:
                    raise Conflict(f"recurring run {record.id!r} was changed meanwhile.")
                connection.execute(insert(firings), taken)
        except IntegrityError as error:
            raise Conflict(f"recurring run {record.id!r}: a moment was taken already.") from error

    def open_firings(self, recurring_run_id: str) -> list[Firing]:
        """Moments that were taken and whose Run is not known to exist."""
        with self._database.reading() as connection:
            found = connection.execute(_open, {"id": recurring_run_id}).mappings().all()
        return [Firing(row["recurring_run_id"], rows.moment(row["moment"]), row["run_name"], row["position"]) for row in found]

    def close(self, firing: Firing, *, run_id: str | None = None, error: str | None = None) -> None:
        """Note what came of a moment."""
        one = (firings.c.recurring_run_id == firing.owner) & (firings.c.moment == rows.micros(firing.moment))
        with self._database.transaction() as connection:
            connection.execute(update(firings).where(one).values(run_id=run_id, error=error))
            connection.execute(
                update(recurring_runs).where(recurring_runs.c.recurring_run_id == firing.owner).values(error=error)
            )


def no_recurring_run(recurring_run_id: str) -> NotFound:
    """There is no such recurring run."""
    return NotFound(
        f"recurring run {recurring_run_id!r} not found. "
        "`kedge schedules list` or GET /apis/v2beta1/recurringruns shows those that exist."
    )


def _run_name(record: RecurringRun, moment: datetime) -> str:
    """A function of both, so that a Run made twice is made once."""
    digest = hashlib.sha256(f"{record.id} {rows.micros(moment)}".encode()).hexdigest()
    return f"{names.slug(record.display_name)[:40].strip('-') or 'run'}-{digest[:12]}"
