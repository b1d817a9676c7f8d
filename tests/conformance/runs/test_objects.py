"""The objects of runs, Pods and ConfigMaps with them: they go when their time has come, and are there when they are needed.

Also where the API server answers late, and where somebody deletes what they do not know.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kedge.client.forwarding import ForwardingClient
from kedge.client.types import Client
from kedge.db.database import Database
from kedge.kube.core import CONFIG_MAP, EVENT, POD
from kedge.kube.kinds import Kind, Obj
from kedge.pipelines.controller import Limits
from kedge.pipelines.kinds import RUN
from kedge.testing import pipelines
from kedge.testing.nodes import Ended, Step, raised
from kedge.testing.runs import Hub, World, hub, obedient

pytestmark = pytest.mark.usefixtures("either_database")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.new(tmp_path / "world")


class LateAnswers(ForwardingClient):
    """Says what came of a change after the watches have told it."""

    async def patch(self, kind: Kind, name: str, namespace: str | None, patch: Any, **options: Any) -> Obj:
        made = await super().patch(kind, name, namespace, patch, **options)
        await asyncio.sleep(0.05)
        return made


async def test_a_finished_run_object_goes_also_where_its_end_is_told_before_it_is_answered(world: World) -> None:
    async with hub(world, lambda client, database: (LateAnswers(client), database)) as life:
        run = await life.submit(pipelines.chain(1), ttlSecondsAfterFinished=0)
        await life.end(run.id)
        await life.until(lambda: not life.api.list(RUN, "default").items)


async def test_a_run_that_has_just_failed_can_be_tried_again_at_once(world: World) -> None:
    async def fails_once(step: Step) -> Ended:
        return await obedient(step) if len(world.machine.started) > 1 else raised("ValueError", "the first time")

    world.machine.behaviour = fails_once
    async with hub(world, lambda client, database: (LateAnswers(client), database)) as life:
        run = await life.submit(pipelines.chain(1))
        await life.until(lambda: (found := life.feature.history.run(run.id)) is not None and found.state == "FAILED")
        await life.feature.controller.retry(run.id)
        await life.until(lambda: (found := life.feature.history.run(run.id)) is not None and found.state == "SUCCEEDED")


async def test_only_the_pods_that_ended_last_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kedge.pipelines.cleaning._INTERVAL", 0.01)
    async with hub(world, limits=Limits(ended_pods=3)) as life:
        run = await life.submit(pipelines.chain(12))
        await life.end(run.id)
        await life.until(lambda: len(life.api.list(POD, "default").items) == 3)
        kept = {pod["metadata"]["annotations"]["kedge.dev/task"] for pod in life.api.list(POD, "default").items}
        assert kept == {"s9", "s10", "s11"}
        assert len(life.feature.history.attempts(run.id)) == 12, "the history stays"


async def test_a_launcher_that_was_deleted_is_there_again_for_the_next_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kedge.pipelines.pods._EQUIPPED_SECONDS", 0.0)

    def launchers(life: Hub) -> list[str]:
        names = [each["metadata"]["name"] for each in life.api.list(CONFIG_MAP, "default").items]
        return [name for name in names if name.startswith("kedge-launcher")]

    async with hub(world) as life:
        await life.end((await life.submit(pipelines.chain(1))).id)
        (name,) = launchers(life)
        life.api.delete(CONFIG_MAP, name, "default")
        await life.end((await life.submit(pipelines.chain(1))).id)
        assert launchers(life) == [name]


async def test_a_pod_that_misses_the_launcher_gets_it(world: World) -> None:
    async with hub(world, node=False) as life:
        run = await life.submit(pipelines.chain(1))
        await life.until(lambda: life.api.list(POD, "default").items)
        (pod,) = life.api.list(POD, "default").items
        (name,) = [volume["configMap"]["name"] for volume in pod["spec"]["volumes"] if "launcher" in str(volume.get("configMap"))]
        life.api.delete(CONFIG_MAP, name, "default")
        life.api.create(
            EVENT,
            {
                "metadata": {"name": "misses", "namespace": "default"},
                "involvedObject": {
                    "kind": "Pod",
                    "namespace": "default",
                    "name": pod["metadata"]["name"],
                    "uid": pod["metadata"]["uid"],
                },
                "type": "Warning",
                "reason": "FailedMount",
                "message": f'MountVolume.SetUp failed for volume "kedge-launcher" : configmap "{name}" not found',
            },
        )
        await life.until(lambda: name in {each["metadata"]["name"] for each in life.api.list(CONFIG_MAP, "default").items})
        assert life.states(run.id)["s0"] != "FAILED"


class Slow(ForwardingClient):
    """Deletes slowly, and notes what."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.deleted: list[str] = []

    async def delete(self, kind: Kind, name: str, namespace: str | None = None, **options: Any) -> Obj | None:
        self.deleted.append(name)
        await asyncio.sleep(0.05)
        return await super().delete(kind, name, namespace, **options)


async def test_pods_are_cleaned_away_once_however_long_that_takes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kedge.pipelines.cleaning._INTERVAL", 0.01)
    clients: list[Slow] = []

    def slow(client: Client, database: Database) -> tuple[Client, Database]:
        clients.append(Slow(client))
        return clients[0], database

    async with hub(world, slow, limits=Limits(ended_pods=1)) as life:
        run = await life.submit(pipelines.chain(12))
        await life.end(run.id)
        await life.until(lambda: len(life.api.list(POD, "default").items) == 1)
        assert len(clients[0].deleted) == 11
        assert len(set(clients[0].deleted)) == 11
