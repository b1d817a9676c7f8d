"""A hub's run controller over the real server and a real SQLite history, on a machine that plays the node.

    async with hub(world) as life:
        run = await life.submit(pipelines.chain(3))
        assert (await life.end(run.id)).state == "SUCCEEDED"

A `World` is what outlives a hub: start another `hub` on it to see what a restart finds.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kedge.client.local import LocalClient
from kedge.client.types import Client
from kedge.db.database import Database, open_sqlite
from kedge.errors import NotFound, PipelineError
from kedge.kube.clock import Clock, SystemClock, SystemIds
from kedge.kube.core import KINDS, NAMESPACE
from kedge.kube.kinds import Kind, Obj
from kedge.pipelines.adoption import run_object
from kedge.pipelines.controller import Limits
from kedge.pipelines.feature import Feature, Surroundings
from kedge.pipelines.kinds import RUN
from kedge.pipelines.pages import Query
from kedge.pipelines.ports import StepLogs, StoredFile
from kedge.pipelines.records import ArtifactRecord, RunRecord, Spec
from kedge.server.api import Api
from kedge.store.memory import MemoryLog
from kedge.store.types import Store
from kedge.testing.nodes import Behaviour, Ended, Machine, StandInNode, Step, output


class StandInStore:
    """An artifact store in which everything is, except what a test took away.

    Attributes:
        gone: Addresses at which nothing is.
        projects: Digests of the project code that was kept.
        owners: Addresses that belong to one namespace.
    """

    root = "file:///artifacts"

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.projects: list[str] = []
        self.owners: dict[str, str] = {}

    def root_of(self, namespace: str) -> str:
        """All have the same."""
        del namespace
        return self.root

    def place_fault(self, uri: str, namespace: str) -> str:
        """None: every address is everybody's, unless a test has given it to one namespace."""
        owner = self.owners.get(uri, namespace)
        return "" if owner == namespace else f"{uri} belongs to another namespace than {namespace!r}"

    async def check_root(self, uri: str, namespace: str) -> None:
        """Refuse what is no address at all."""
        del namespace
        if "://" not in uri:
            raise PipelineError(f"pipeline_root {uri!r} is no address.")

    async def exists(self, uri: str) -> bool:
        """Whether a test has left it."""
        return uri not in self.gone

    def grants_in_place(self, executor_input: Mapping[str, Any], project: str) -> None:
        """None: a step asks, and is told where its artifacts lie."""
        del executor_input, project

    def check_in_place(self, uri: str, digest: str, size: int | None) -> str:
        """What a step says that it wrote is there, unless a test took it away."""
        del digest, size
        return f"nothing lies at {uri}" if uri in self.gone else ""

    async def files(self, uri: str) -> list[StoredFile]:
        """None: what tests leave are single files."""
        del uri
        return []

    async def keep_project(self, digest: str, archive: str, namespace: str) -> str:
        """Note the digest."""
        del archive, namespace
        self.projects.append(digest)
        return f"{self.root}/projects/{digest}"

    async def write(self, uri: str, data: bytes) -> None:
        """It is there now."""
        del data
        self.gone.discard(uri)

    async def take(self, uri: str, path: str, file: Path) -> None:
        """It is there now."""
        del path, file
        self.gone.discard(uri)

    def scratch(self) -> Path:
        """The machine's own."""
        return Path(tempfile.gettempdir())

    def owns(self, uri: str) -> bool:
        """Whether it lies below the root."""
        return uri.startswith(self.root + "/")

    async def delete(self, uri: str) -> None:
        """It is gone now."""
        self.gone.add(uri)

    async def read(self, uri: str, path: str = "") -> AsyncIterator[bytes]:
        """Its own address."""
        if uri in self.gone:
            raise NotFound(f"{uri} is gone")
        yield f"{uri}/{path}".encode()

    async def part(self, uri: str, path: str, start: int, count: int) -> tuple[bytes, int]:
        """Of its own address."""
        text = b"".join([piece async for piece in self.read(uri, path)])
        first = max(0, len(text) + start) if start < 0 else start
        return text[first : first + count], len(text)


async def obedient(step: Step) -> Ended:
    """Add one to ``x``; a step without an output of its own just ends."""
    await asyncio.sleep(0)
    return output(step.returns[0], step.parameters.get("x", 0) + 1) if step.returns else Ended()


@dataclass
class World:
    """What outlives a hub.

    Attributes:
        folder: Where the history lies.
        machine: Where Pods run.
        store: Kubernetes' objects.
        artifacts: What steps made.
        clock: Everybody's time.
    """

    folder: Path
    machine: Machine
    store: Store = field(default_factory=MemoryLog)
    artifacts: StandInStore = field(default_factory=StandInStore)
    clock: Clock = field(default_factory=SystemClock)

    @classmethod
    def new(cls, folder: Path, behaviour: Behaviour = obedient) -> "World":
        """A world in which nothing has happened, in a folder that is made."""
        folder.mkdir(parents=True)
        return cls(folder, Machine(behaviour))

    def api(self) -> Api:
        """The server over the objects."""
        api = Api(self.store, (*KINDS, RUN), self.clock, SystemIds(), admission=[_assign])
        if not self.store.list("/registry/namespaces/").records:
            api.create(NAMESPACE, {"metadata": {"name": "default"}})
        return api


def _assign(verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
    """Every Pod goes to the one node."""
    del old
    if verb == "create" and kind.plural == "pods":
        new["spec"]["nodeName"] = "here"


@dataclass
class Hub:
    """One life of a hub.

    Attributes:
        world: What outlives it.
        api: The server.
        feature: Pipelines.
    """

    world: World
    api: Api
    feature: Feature

    async def submit(self, pipeline: Mapping[str, Any], parameters: Mapping[str, Any] | None = None, **asked: Any) -> RunRecord:
        """Start a run; ``asked`` are fields of its Run's spec, and ``platforms``."""
        spec = Spec.of(dict(pipeline), asked.pop("platforms", {}))
        run = run_object(spec, {"parameters": dict(parameters or {}), **asked}, "default", spec.name)
        return await self.feature.controller.submit(spec, run)

    async def end(self, run_id: str, *, within: float = 60) -> RunRecord:
        """Wait until a run is over and nothing is left to do about it."""
        async with asyncio.timeout(within):
            while (worker := self.feature.controller.worker(run_id)) is not None and worker.task is not None:
                await asyncio.wait({worker.task})
        record = self.feature.history.run(run_id)
        if record is None or not record.finished:
            raise AssertionError(f"run {run_id} has no worker and is not over: {record}")
        return record

    async def until(self, holds: Callable[[], object], *, within: float = 60) -> None:
        """Let everything run until a condition holds."""
        async with asyncio.timeout(within):
            while not holds():  # noqa: ASYNC110  # what is waited for is the world's state, which tells nobody
                await asyncio.sleep(0.002)

    def states(self, run_id: str) -> dict[str, str]:
        """The state of every task, by id."""
        return {task.id: task.state.value for task in self.feature.history.tasks(run_id)}

    def made(self, run_id: str) -> list[ArtifactRecord]:
        """The artifacts that a run made."""
        return self.feature.history.list_artifacts(Query(page_size=200), run_id=run_id).items

    def pod_uids(self, run_id: str) -> list[str | None]:
        """The Pods in the table of attempts."""
        return [attempt.pod_uid for attempt in self.feature.history.attempts(run_id)]


Wrap = Callable[[Client, Database], tuple[Client, Database]]


def open_history(folder: Path) -> Database:
    """The history of the hubs of a world; tests put another database in its place."""
    return open_sqlite(folder / "history.db")


@contextlib.asynccontextmanager
async def hub(
    world: World, wrap: Wrap | None = None, *, logs: StepLogs | None = None, limits: Limits | None = None, node: bool = True
) -> AsyncGenerator[Hub]:
    """Start a hub, and stop it.

    Args:
        world: What was there before, and will be after.
        wrap: Puts something between the hub and what it writes to.
        logs: Reads the logs of Pods.
        limits: How much at once.
        node: Whether Pods run.
    """
    api, database = world.api(), open_history(world.folder)
    outer: Client = LocalClient(api)
    client, wrapped = wrap(outer, database) if wrap is not None else (outer, database)
    given = Surroundings(client, world.artifacts, logs, "http://127.0.0.1:1", world.clock, SystemIds())
    feature = Feature(wrapped, given, limits)
    kubelet = StandInNode(outer, world.clock, world.machine, feature.staging.commit)
    running = asyncio.create_task(kubelet.run() if node else asyncio.sleep(0))
    try:
        await feature.start()
        yield Hub(world, api, feature)
    finally:
        running.cancel()
        await asyncio.wait({running})
        await feature.stop()
        database.close()
