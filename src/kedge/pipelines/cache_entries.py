"""What the cache holds: results of steps that other runs of the same pipeline may use again, listed, shown and cleared.

An entry is no record of its own: it is the row of a task that succeeded and has a key. So an entry goes with its run, and
clearing one takes the key from the task; what the step made stays with its run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.sql.elements import ColumnElement

from kedge.db.database import Database
from kedge.db.tables import tasks
from kedge.errors import BadRequest, NotFound
from kedge.kube.clock import Clock
from kedge.pipelines import pages, rows
from kedge.pipelines.engine.types import Task
from kedge.pipelines.records import RunRecord

_MOST_TOLD = 200
# Literally as the partial indexes have it: the planner need not look at values to see that they fit.
_KEPT = (tasks.c.cache_key != text("''"), tasks.c.state == text("'SUCCEEDED'"))
_by_key = (
    select(tasks)
    .where(*_KEPT, tasks.c.cache_key >= bindparam("first"), tasks.c.cache_key < bindparam("beyond"))
    .order_by(tasks.c.cache_key, tasks.c.finished_at.desc())
    .limit(_MOST_TOLD)
)
# The newest first: of those there is one that serves to compare with.
_earlier = (
    select(tasks)
    .where(
        *_KEPT,
        tasks.c.finished_at < bindparam("until"),
        tasks.c.namespace == bindparam("namespace"),
        tasks.c.pipeline_name == bindparam("pipeline"),
        tasks.c.component == bindparam("component"),
    )
    .order_by(tasks.c.finished_at.desc())
    .limit(50)
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A result that may be used again.

    Attributes:
        task: The task that made it.
        run: Its run.
        namespace: Whose runs may use it.
        pipeline: Runs of which pipeline may use it, by its name.
    """

    task: Task
    run: str
    namespace: str
    pipeline: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries; ``""`` and ``None`` for all.

    Attributes:
        namespace: Of which namespace.
        pipeline: Of the pipeline of this name.
        component: Of this component, with or without the ``comp-`` that compilers put before it.
        task: Of tasks with this name.
        before: Made before this moment.
    """

    namespace: str = ""
    pipeline: str = ""
    component: str = ""
    task: str = ""
    before: datetime | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing narrows it down."""
        return self == Selection()

    def conditions(self) -> Sequence[ColumnElement[bool]]:
        """As SQL."""
        found = list[ColumnElement[bool]](_KEPT)
        named = ((tasks.c.namespace, self.namespace), (tasks.c.pipeline_name, self.pipeline), (tasks.c.name, self.task))
        found += [column == value for column, value in named if value]
        if self.component:
            found.append(tasks.c.component.in_((self.component, f"comp-{self.component}")))
        if self.before is not None:
            found.append(tasks.c.finished_at < rows.micros(self.before))
        return found


@dataclass(frozen=True, slots=True)
class Cleared:
    """How many entries of one component of one pipeline were cleared."""

    pipeline: str
    component: str
    count: int


class CacheEntries:
    """The cache, for people.

    Args:
        database: The history's.
        clock: For what is too old.
        ttl: Seconds after which the host uses no entry; ``None`` for no such limit.
    """

    def __init__(self, database: Database, clock: Clock, ttl: float | None = None) -> None:
        self._database = database
        self._clock = clock
        self.ttl = ttl

    def page(self, selection: Selection, size: int, token: str) -> pages.Page[Entry]:
        """One page, newest first, of what the host may still use.

        Raises:
            BadRequest: The size or the token cannot be used.
        """
        key = (tasks.c.finished_at, tasks.c.run_id, tasks.c.task_id)
        listing = pages.Keyed(tasks, key, _read, newest_first=True)
        with self._database.reading() as connection:
            return pages.keyed(connection, listing, (size, token), *selection.conditions(), *self._young())

    def get(self, fingerprint: str, *, namespace: str = "", pipeline: str = "") -> Entry:
        """The newest entry of a key.

        Args:
            fingerprint: The key, or enough of its beginning to tell it from others.
            namespace: Of which namespace; needed where several have the key.
            pipeline: Of which pipeline, likewise.

        Raises:
            NotFound: There is none.
            BadRequest: There are several.
        """
        places = {"first": fingerprint, "beyond": fingerprint + "g"}  # keys are hexadecimal
        with self._database.reading() as connection:
            found = [_read(row) for row in connection.execute(_by_key, places).mappings()]
        found = [each for each in found if namespace in {"", each.namespace} and pipeline in {"", each.pipeline}]
        if not found or not fingerprint:
            raise NotFound(f"the cache has no entry {fingerprint!r:.80}. kedge cache list shows those that it has.")
        keys = dict.fromkeys(entry.task.cache_key for entry in found)
        if len(keys) > 1:
            some = ", ".join(key[: len(fingerprint) + 4] for key in list(keys)[:5])
            raise BadRequest(f"{fingerprint!r:.80} is the beginning of several entries ({some}, …). Give more of it.")
        scopes = dict.fromkeys(f"{entry.pipeline} in {entry.namespace}" for entry in found)
        if len(scopes) > 1:
            raise BadRequest(
                f"entry {fingerprint!r:.80} is there for several pipelines: {', '.join(list(scopes)[:5])}. Say which one, with "
                f"pipeline_name and namespace (kedge cache show --pipeline NAME)."
            )
        return found[0]

    def before(self, run: RunRecord, task: Task, moment: datetime) -> Entry | None:
        """The result of a task's component that was the newest at a moment, of whatever key and age; of the same task if any is.

        Args:
            run: The task's run.
            task: The task.
            moment: When it asked.
        """
        scope = {"namespace": run.namespace, "pipeline": run.pipeline_name, "component": task.component}
        with self._database.reading() as connection:
            listed = connection.execute(_earlier, {**scope, "until": rows.micros(moment)}).mappings()
            found = [entry for row in listed if ((entry := _read(row)).run, entry.task.id) != (run.id, task.id)]
        return next((entry for entry in found if entry.task.id == task.id), found[0] if found else None)

    def clear(self, selection: Selection) -> list[Cleared]:
        """Let entries not be used again; what they made stays with its runs.

        Returns:
            How many went, by pipeline and component; those with most first.
        """
        where = selection.conditions()
        groups = (tasks.c.pipeline_name, tasks.c.component)
        number = func.count().label("number")
        with self._database.transaction() as connection:
            found = connection.execute(select(*groups, number).where(*where).group_by(*groups).order_by(number.desc())).all()
            connection.execute(update(tasks).where(*where).values(cache_key=""))
        return [Cleared(row[0], row[1], row[2]) for row in found]

    def expires(self, entry: Entry) -> datetime | None:
        """When the host uses an entry no more."""
        made = entry.task.finished_at
        return made + timedelta(seconds=self.ttl) if made is not None and self.ttl is not None else None

    def _young(self) -> Sequence[ColumnElement[bool]]:
        if self.ttl is None:
            return ()
        return (tasks.c.finished_at >= rows.micros(self._clock.now() - timedelta(seconds=self.ttl)),)


def _read(row: rows.Row) -> Entry:
    return Entry(rows.read_task(row), row["run_id"], row["namespace"], row["pipeline_name"])
