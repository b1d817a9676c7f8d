"""Pipelines as a whole: what `kedge.app` starts, mounts and stops."""

from collections import Counter as Counts
from dataclasses import dataclass
from pathlib import Path

from starlette.routing import BaseRoute

from kedge.client.types import Client
from kedge.config import Settings
from kedge.db.database import Database, open_postgres, open_sqlite, open_to_migrate
from kedge.kube.clock import Clock, Ids
from kedge.launcher import bundle
from kedge.pipelines import archive, rest, steps
from kedge.pipelines.adoption import Registrar
from kedge.pipelines.cache_entries import CacheEntries
from kedge.pipelines.cache_reasons import CacheReasons
from kedge.pipelines.catalog import Catalog
from kedge.pipelines.commits import Commits
from kedge.pipelines.controller import Limits, RunController
from kedge.pipelines.deletions import Deletions
from kedge.pipelines.history import History
from kedge.pipelines.imports import Imports
from kedge.pipelines.kinds import RUN
from kedge.pipelines.origins import Origins
from kedge.pipelines.outbox import Outbox
from kedge.pipelines.pod_events import PodEvents
from kedge.pipelines.portable import Exports
from kedge.pipelines.ports import Ahead, Artifacts, StepLogs, nobody_says
from kedge.pipelines.proxied import behind_proxy
from kedge.pipelines.recurring import RecurringRuns
from kedge.pipelines.rest_artifacts import ArtifactEndpoints
from kedge.pipelines.rest_cache import CacheEndpoints
from kedge.pipelines.rest_experiments import Experiments
from kedge.pipelines.rest_metrics import MetricEndpoints
from kedge.pipelines.rest_pipelines import Pipelines
from kedge.pipelines.rest_portable import Portables
from kedge.pipelines.rest_recurring import Parts, RecurringRunEndpoints
from kedge.pipelines.rest_runs import Ends, Runs
from kedge.pipelines.rest_status import Standing
from kedge.pipelines.rest_tasks import Tasks
from kedge.pipelines.resumptions import Resumptions
from kedge.pipelines.scheduler import Scheduler
from kedge.pipelines.series import Series
from kedge.pipelines.storage import Storage
from kedge.pipelines.subjects import Records
from kedge.pipelines.submissions import DEFAULT_NAMESPACE, Submissions
from kedge.pipelines.usage import Usage
from kedge.server.callers import Callers

KINDS = (RUN,)
"""The kinds that this feature brings."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What pipelines are given.

    Attributes:
        client: The Kubernetes API.
        artifacts: Where artifacts lie.
        logs: Reads the logs of Pods; ``None`` where there are none.
        hub: Address of the HTTP listener, as Pods reach it.
        clock: For times.
        ids: For ids.
        kfp_runtime: ``installed`` runs components of ``kfp`` under the real package.
        events: Where OpenLineage events are sent, and the key for it; ``""`` for nowhere.
        version: Kedge's.
        namespace: Where runs go whose request names none.
        ahead: How many Pods wait on their node before the one with this UID; ``None`` where that is not known.
        stager: The image of the containers that stage files for steps without Python.
        reports: Whether steps report their end over HTTP also where the Pod's status would tell: on a cluster, whose kubelets
            look once a second.
    """

    client: Client
    artifacts: Artifacts
    logs: StepLogs | None
    hub: str
    clock: Clock
    ids: Ids
    kfp_runtime: str = ""
    events: tuple[str, str] = ("", "")
    version: str = ""
    namespace: str = DEFAULT_NAMESPACE
    ahead: Ahead = nobody_says
    stager: str = steps.LAUNCHER_IMAGE
    reports: bool = False


class Feature:
    """Pipelines, their runs and their REST API.

    Args:
        database: The history; closed by `stop`.
        given: What pipelines are given.
        limits: How much at once.

    Attributes:
        database: The history's.
        staging: Answers ``begin`` and ``commit`` of steps; for `kedge.artifacts`.
        controller: Keeps runs going.
        events: Keeps what is said of steps' Pods.
        scheduler: Fires recurring runs.
        deletions: Deletes runs.
        series: Keeps the series that steps log.
        storage: Knows what runs have stored.
        resumptions: Lets runs go on.
    """

    def __init__(self, database: Database, given: Surroundings, limits: "Limits | None" = None) -> None:
        limits = limits or Limits()
        self.database = database
        self._given = given
        self.history = History(database)
        self._catalog = Catalog(database, given.clock, given.ids)
        url, key = given.events
        self._outbox = Outbox(database, self.history, given.clock, url=url, api_key=key, version=given.version) if url else None
        self._registrar = Registrar(self.history, self._catalog, given.artifacts, given.clock)
        self.controller = RunController(
            given.client,
            self.history,
            registrar=self._registrar,
            artifacts=given.artifacts,
            clock=given.clock,
            limits=limits,
        )
        kept = archive.Parts(
            given.client, given.logs, given.artifacts, self.history, given.clock, measured=not given.reports
        )  # a kubelet says nothing of what containers used
        self._logs = archive.LogArchive(kept)
        self.controller.on_settled(self._logs.settled)
        self._usage = Usage(given.client, self.history, given.clock) if given.reports else None
        self.events = PodEvents(given.client, self.controller, self.history, database=database, clock=given.clock)
        self.controller.publisher.warning = self.events.warning
        self.series = Series(database)
        self.storage = Storage(database, given.clock)
        self.staging = Commits(self.controller, self.history, self.series, given.clock)
        submissions = Submissions(
            self.controller, self.history, catalog=self._catalog, registrar=self._registrar, artifacts=given.artifacts
        )
        self.deletions = Deletions(self.controller, self.history, database=database, artifacts=given.artifacts, clock=given.clock)
        self.resumptions = Resumptions(self.controller, self.history, self._registrar, given.clock)
        recurring = RecurringRuns(database)
        self.scheduler = Scheduler(recurring, submissions, given.clock)
        self.controller.on_end(self.scheduler.run_ended)
        self._endpoints = rest.Endpoints(
            runs=Runs(
                self.controller,
                self.history,
                catalog=self._catalog,
                submissions=submissions,
                ends=Ends(self.deletions, self.resumptions),
            ),
            tasks=Tasks(
                self.controller,
                self.history,
                given.artifacts,
                pods=(given.client, given.logs, given.ahead),
                events=self.events,
                archive=self._logs,
            ),
            pipelines=Pipelines(self._catalog, self.history, registrar=self._registrar, clock=given.clock, ids=given.ids),
            experiments=Experiments(self._catalog, given.namespace),
            recurring=RecurringRunEndpoints(Parts(recurring, self.scheduler, submissions, self.history, given.clock, given.ids)),
            artifacts=ArtifactEndpoints(self.history, given.artifacts, Origins(self.history, self._catalog), given.version),
            metrics=MetricEndpoints(self.controller, self.history, self.series),
            portables=self._portables(given.artifacts),
            records=Records(self.controller, self.history, self._catalog, recurring, given.namespace),
            cache=self._cache(limits),
        )

    def _cache(self, limits: Limits) -> CacheEndpoints:
        entries = CacheEntries(self.database, self._given.clock, limits.cache_ttl)
        return CacheEndpoints(entries, self._given.artifacts, CacheReasons(self.history, entries, self._registrar))

    def _portables(self, artifacts: Artifacts) -> Portables:
        history, series, events = self.history, self.series, self.events
        return Portables(
            Exports(history, artifacts, self._logs, series=series, events=events),
            Imports(history, self._catalog, artifacts, series=series, events=events, deletions=self.deletions),
        )

    def routes(self, callers: Callers | None, version: str, standing: Standing | None = None) -> list[BaseRoute]:
        """The routes of the HTTP listener; they stand before those of the Kubernetes API.

        Args:
            callers: Knows who asks; ``None`` lets everyone in.
            version: Kedge's.
            standing: Knows the host; without it ``/status`` is not served.
        """
        told = (self.storage, standing) if standing is not None else None
        found = rest.routes(self._endpoints, callers=callers, version=version, told=told)
        return [*found, behind_proxy(found)]

    async def start(self) -> None:
        """Take up every unfinished run; returns when all of them have been."""
        self.database.follow(self.controller.doubt)
        if self._outbox is not None:
            await self._outbox.start()
        given = self._given
        around = steps.Surroundings(given.hub, kfp_runtime=given.kfp_runtime, stager=given.stager, reports=given.reports)
        await self.controller.start(bundle.build(), around)
        await self.events.start()
        await self.scheduler.start()
        await self._logs.start()
        if self._usage is not None:
            self._usage.start()
            self.controller.on_pod(self._usage.pod_changed)
        await self.deletions.start()

    def live_tasks(self) -> Counts[str]:
        """How many tasks of runs that are not over are in each state."""
        live = [found for run in self.history.live_runs() if (found := self.controller.live(run)) is not None]
        return Counts(task.state.value for run in live for task in run.engine.tasks.values())

    def close_streams(self) -> None:
        """End watches and followed logs, so that the listener can stop."""
        self._endpoints.tasks.close()
        self.history.run_changes.close()

    async def stop(self) -> None:
        """Let go of everything; what runs, runs on."""
        self.close_streams()
        await self.scheduler.stop()
        await self.deletions.stop()
        await self._logs.stop()
        if self._usage is not None:
            await self._usage.stop()
        await self.events.stop()
        await self.storage.stop()
        await self.controller.stop()
        if self._outbox is not None:
            await self._outbox.stop()
        self.database.close()


def open_history(settings: Settings, path: Path, *, take_over: bool = False) -> Database:
    """Open the history: the database that the settings name, or a file.

    Args:
        settings: Which.
        path: The file.
        take_over: This hub is the one that works now: end the session of another one that still writes to the database.

    Raises:
        StateError: It cannot be used: it is corrupt, or a newer version wrote it.
        Unavailable: It cannot be reached or written now, or another hub writes to it.
    """
    if settings.database:
        return open_postgres(settings.database, take_over=take_over)
    return open_sqlite(path, synchronous=settings.synchronous)


def migrate_history(settings: Settings, path: Path) -> str:
    """Bring the history to the version of this code, or make it.

    Returns:
        What was done, in a sentence that says from which schema to which.

    Raises:
        StateError: It cannot be used: it is corrupt, or a newer version wrote it.
        Unavailable: It cannot be reached or written now.
    """
    database = open_to_migrate(settings.database) if settings.database else open_sqlite(path)
    database.close()
    done = database.migration
    if done.before is None:
        return f"{database.place}: was empty, and has the tables of schema {done.after} now."
    if done.before == done.after:
        return f"{database.place}: has schema {done.after} already."
    return f"{database.place}: has gone from schema {done.before} to {done.after}."
