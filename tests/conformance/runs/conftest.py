"""A hub's run controller over the real server and a real SQLite history, on a machine that plays the node."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kedge.artifacts.staging import StagedOutputs
from kedge.client.local import LocalClient
from kedge.client.types import Client
from kedge.db.database import Database, open_sqlite
from kedge.dsl import template
from kedge.kube.clock import SystemClock, SystemIds
from kedge.kube.core import KINDS, NAMESPACE
from kedge.kube.kinds import Obj
from kedge.pipelines.adoption import Registrar
from kedge.pipelines.catalog import Catalog
from kedge.pipelines.commits import Commits
from kedge.pipelines.controller import Limits, RunController
from kedge.pipelines.history import History
from kedge.pipelines.kinds import RUN
from kedge.pipelines.records import RunRecord, Spec
from kedge.server.api import Api
from kedge.store.memory import MemoryLog
from kedge.store.types import Store
from kedge.testing.nodes import Behaviour, Ended, Machine, StandInNode, Step, output


class FakeArtifacts:
    """A store in which everything is, except what a test took away."""

    root = "file:///artifacts"

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.projects: list[str] = []

    async def check_root(self, uri: str) -> None:
        """Any root will do."""

    async def exists(self, uri: str) -> bool:
        return uri not in self.gone

    async def keep_project(self, digest: str, archive: str) -> str:
        self.projects.append(digest)
        return f"file:///artifacts/projects/{digest}"

    async def read(self, uri: str, path: str = "") -> AsyncIterator[bytes]:
        yield b"content"


@dataclass
class World:
    """What outlives a hub: the object store, the history's file and the machine."""

    folder: Path
    machine: Machine
    store: Store = field(default_factory=MemoryLog)
    artifacts: FakeArtifacts = field(default_factory=FakeArtifacts)

    def api(self) -> Api:
        api = Api(self.store, (*KINDS, RUN), SystemClock(), SystemIds(), admission=[_assign])
        if not self.store.list("/registry/namespaces/").records:
            api.create(NAMESPACE, {"metadata": {"name": "default"}})
        return api

    def database(self) -> Database:
        return open_sqlite(self.folder / "history.db")


def _assign(verb: str, kind: Any, new: Obj, old: Obj | None) -> None:
    if verb == "create" and kind.plural == "pods":
        new["spec"]["nodeName"] = "here"


@dataclass
class Hub:
    """One life of a hub."""

    world: World
    api: Api
    client: Client
    history: History
    catalog: Catalog
    controller: RunController
    commits: Commits
    database: Database

    async def submit(self, pipeline: Mapping[str, Any], parameters: Mapping[str, Any] | None = None, **asked: Any) -> RunRecord:
        spec = Spec.of(dict(pipeline), asked.pop("platforms", {}))
        return await self.controller.submit(spec, {"parameters": dict(parameters or {}), **asked}, "default", spec.name)

    async def end(self, run_id: str, *, within: float = 10) -> RunRecord:
        async with asyncio.timeout(within):
            while (worker := self.controller.worker(run_id)) is not None and worker.task is not None:
                await asyncio.wait({worker.task})
            while not (record := self.history.run(run_id)) or not record.finished:
                await asyncio.sleep(0.01)
        return record

    def states(self, run_id: str) -> dict[str, str]:
        return {task.id: task.state.value for task in self.history.tasks(run_id)}

    def pods_of_attempts(self, run_id: str) -> list[str | None]:
        return [attempt.pod_uid for attempt in self.history.attempts(run_id)]


@contextlib.asynccontextmanager
async def hub(world: World, wrap: Callable[[Client, Database], tuple[Client, Database]] | None = None) -> AsyncIterator[Hub]:
    """Start a hub, and stop it."""
    api, database = world.api(), world.database()
    client: Client = LocalClient(api)
    node_client = client
    if wrap is not None:
        client, database = wrap(client, database)
    clock = SystemClock()
    history, catalog = History(database), Catalog(database, clock, SystemIds())
    registrar = Registrar(history, catalog, world.artifacts, clock)
    controller = RunController(client, history, registrar=registrar, artifacts=world.artifacts, clock=clock, limits=Limits())
    commits = Commits(controller, history, clock)
    node = asyncio.create_task(StandInNode(node_client, clock, world.machine, commits.commit).run())
    try:
        await controller.start(b"launcher", "http://127.0.0.1:1")
        yield Hub(world, api, client, history, catalog, controller, commits, database)
    finally:
        node.cancel()
        await asyncio.wait({node})
        await controller.stop()
        database.close()


async def obedient(step: Step) -> Ended:
    """Do what the step's parameter ``do`` says; otherwise add one to ``x``."""
    await asyncio.sleep(0)
    if (step.told.get("terminationOutput")) is not None:
        return output(step.told["terminationOutput"], step.parameters.get("x", 0) + 1)
    return Ended()


# ---- pipelines, written by hand: what the compiler makes is its own tests' business


def python_step(name: str, inputs: Mapping[str, str], outputs: Mapping[str, str], **more: Any) -> tuple[Obj, Obj]:
    """A component and an executor of a Python function."""
    component = {
        "executorLabel": f"exec-{name}",
        "inputDefinitions": {"parameters": {key: {"parameterType": kind} for key, kind in inputs.items()}},
        "outputDefinitions": {"parameters": {key: {"parameterType": kind} for key, kind in outputs.items()}},
    }
    for side, key in (("inputs", "inputDefinitions"), ("outputs", "outputDefinitions")):
        artifacts = more.get(side, {})
        if artifacts:
            component[key]["artifacts"] = {k: {"artifactType": {"schemaTitle": v, "schemaVersion": "0.0.1"}} for k, v in artifacts.items()}
    container = {
        "image": "python:3.11",
        "command": template.command(template.render(), f"def {name}(): ...\n"),
        "args": template.arguments(name),
    }
    return component, {"container": container}


def pipeline(root: Obj, steps: Mapping[str, tuple[Obj, Obj]], **components: Obj) -> Obj:
    """A whole pipeline."""
    return {
        "pipelineInfo": {"name": "test-pipeline"},
        "root": root,
        "components": {**{f"comp-{name}": step[0] for name, step in steps.items()}, **components},
        "deploymentSpec": {"executors": {f"exec-{name}": step[1] for name, step in steps.items()}},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kedge-test",
    }


def task(component: str, *, after: tuple[str, ...] = (), cache: bool = False, **parameters: Any) -> Obj:
    """A task; a parameter is a constant, ``("task", "output")``, or ``"=input"``."""
    sources: Obj = {}
    for key, value in parameters.items():
        if isinstance(value, tuple):
            sources[key] = {"taskOutputParameter": {"producerTask": value[0], "outputParameterKey": value[1]}}
        elif isinstance(value, str) and value.startswith("="):
            sources[key] = {"componentInputParameter": value[1:]}
        else:
            sources[key] = {"runtimeValue": {"constant": value}}
    made: Obj = {"componentRef": {"name": f"comp-{component}"}, "taskInfo": {"name": component}, "inputs": {"parameters": sources}}
    upstream = {value[0] for value in parameters.values() if isinstance(value, tuple)} | set(after)
    if upstream:
        made["dependentTasks"] = sorted(upstream)
    if cache:
        made["cachingOptions"] = {"enableCache": True}
    return made


def chain(length: int, *, cache: bool = False) -> Obj:
    """Steps that each add one to what the step before made."""
    tasks = {"s0": task("add", x="=start", cache=cache)}
    for number in range(1, length):
        tasks[f"s{number}"] = task("add", x=(f"s{number - 1}", "Output"), cache=cache)
    root = {
        "dag": {
            "tasks": tasks,
            "outputs": {"parameters": {"Output": {"valueFromParameter": {"producerSubtask": f"s{length - 1}", "outputParameterKey": "Output"}}}},
        },
        "inputDefinitions": {"parameters": {"start": {"parameterType": "NUMBER_INTEGER", "defaultValue": 0}}},
        "outputDefinitions": {"parameters": {"Output": {"parameterType": "NUMBER_INTEGER"}}},
    }
    return pipeline(root, {"add": python_step("add", {"x": "NUMBER_INTEGER"}, {"Output": "NUMBER_INTEGER"})})


@dataclass
class Kit:
    """What tests of this folder use."""

    folder: Path
    chain: Callable[..., Obj] = staticmethod(chain)  # type: ignore[assignment]
    pipeline: Callable[..., Obj] = staticmethod(pipeline)  # type: ignore[assignment]
    python_step: Callable[..., tuple[Obj, Obj]] = staticmethod(python_step)  # type: ignore[assignment]
    task: Callable[..., Obj] = staticmethod(task)  # type: ignore[assignment]
    hub: Callable[..., contextlib.AbstractAsyncContextManager[Hub]] = staticmethod(hub)  # type: ignore[assignment]
    obedient: Behaviour = staticmethod(obedient)  # type: ignore[assignment]

    def world(self, behaviour: Behaviour | None = None, *, name: str = "world") -> World:
        (self.folder / name).mkdir()
        return World(self.folder / name, Machine(behaviour or obedient))


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(tmp_path)


Commit = Callable[[str, StagedOutputs], Awaitable[None]]
