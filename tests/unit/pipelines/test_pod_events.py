"""What is said of Pods is kept with their run: bounded, once, and only of steps."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kedge.client.local import LocalClient
from kedge.kube.core import EVENT
from kedge.pipelines import pod_events
from kedge.pipelines.records import PodEvent
from kedge.testing import pipelines
from kedge.testing.nodes import Ended, Machine, Step
from kedge.testing.runs import Hub, World, hub

pytestmark = pytest.mark.usefixtures("either_database")

ALONE = pipelines.pipeline({"a": pipelines.task("a")}, {"a": (pipelines.component("a"), pipelines.python("a"))})


class Held:
    """A step that runs until the test lets it end."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, step: Step) -> Ended:
        await self.go.wait()
        return Ended()


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def world(tmp_path: Path, held: Held) -> World:
    return World(tmp_path, Machine(held))


async def say(life: Hub, uid: str, name: str, **more: Any) -> None:
    body = {
        "metadata": {"name": name, "namespace": "default"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p", "uid": uid},
        "type": "Normal",
        "firstTimestamp": "2026-11-24T09:00:00Z",
        "lastTimestamp": "2026-11-24T09:00:00Z",
        **more,
    }
    await LocalClient(life.api).create(EVENT, body)


async def begun(life: Hub) -> tuple[str, str]:
    """A run whose step has a Pod: the run's id and the Pod's UID."""
    run = (await life.submit(ALONE)).id
    await life.until(lambda: life.pod_uids(run) and life.pod_uids(run)[0])
    return run, str(life.pod_uids(run)[0])


def kept(life: Hub, run: str) -> list[PodEvent]:
    return life.feature.events.page(run, 200, "").items


async def test_the_newest_of_an_attempt_are_kept_in_order_and_a_restart_reads_none_twice(
    world: World, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pod_events, "MOST", 3)
    async with hub(world) as life:
        run, uid = await begun(life)
        await say(life, "no-step", "other", reason="Other")
        for number in range(5):
            moment = f"2026-11-24T09:00:0{number}Z"
            await say(life, uid, f"e{number}", reason=f"R{number}", firstTimestamp=moment, lastTimestamp=moment, count=number + 1)
        await life.until(lambda: [event.reason for event in kept(life, run)] == ["R2", "R3", "R4"])
    async with hub(world) as life:
        held.go.set()
        await life.end(run)
        await life.until(lambda: [event.reason for event in kept(life, run)] == ["R2", "R3", "R4"])
        assert [event.count for event in kept(life, run)] == [3, 4, 5]
        assert {(event.task, event.attempt) for event in kept(life, run)} == {("a", 0)}


async def test_a_warning_is_known_at_once_and_what_is_deleted_stays(world: World) -> None:
    async with hub(world) as life:
        run, uid = await begun(life)
        await say(life, uid, "mount", type="Warning", reason="FailedMount", message="secret not found")
        await life.until(lambda: life.feature.events.warning(uid) == "secret not found")
        await life.until(lambda: kept(life, run))
        await LocalClient(life.api).delete(EVENT, "mount", "default")
        assert [(event.type, event.message) for event in kept(life, run)] == [("Warning", "secret not found")]
        await life.feature.deletions.delete(run)
        assert kept(life, run) == []
