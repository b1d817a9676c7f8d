"""Plans make the fewest writes; a controller runs its reconciler again when it must, and only then."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from kedge import errors
from kedge.client.local import LocalClient
from kedge.client.types import Reader
from kedge.control.apply import Create, Delete, Plan, Update, apply, set_status
from kedge.control.controller import Controller
from kedge.control.informer import Informer
from kedge.kube.core import CONFIG_MAP, POD
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, key_of, with_finalizers
from kedge.server.api import Api
from kedge.testing.api import StoppingClient, memory_api
from kedge.testing.clock import FakeClock, settle


def _config(name: str, **data: str) -> Obj:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api(clock: FakeClock) -> Api:
    return memory_api(clock=clock)


async def test_a_plan_is_carried_out_in_order(api: Api) -> None:
    client = StoppingClient(api)
    old = api.create(CONFIG_MAP, _config("old"))
    kept = api.create(CONFIG_MAP, _config("kept"))
    plan = Plan(
        (Create(CONFIG_MAP, _config("new")), Update(CONFIG_MAP, kept, {**kept, "data": {"a": "1"}}), Delete(CONFIG_MAP, old))
    )
    assert await apply(client, plan) == 3
    assert [obj["metadata"]["name"] for obj in api.list(CONFIG_MAP).items] == ["kept", "new"]
    assert api.get(CONFIG_MAP, "kept", "default")["data"] == {"a": "1"}


async def test_what_is_so_already_is_not_written(api: Api) -> None:
    client = StoppingClient(api)
    obj = api.create(CONFIG_MAP, _config("a", x="1"))
    gone = api.create(CONFIG_MAP, _config("gone"))
    api.delete(CONFIG_MAP, "gone", "default")
    plan = Plan((Create(CONFIG_MAP, _config("a")), Update(CONFIG_MAP, obj, {**obj}), Delete(CONFIG_MAP, gone)))
    assert await apply(client, plan) == 0
    assert api.get(CONFIG_MAP, "a", "default")["data"] == {"x": "1"}


async def test_an_object_of_the_same_name_is_not_deleted_in_its_place(api: Api) -> None:
    old = api.create(CONFIG_MAP, _config("a"))
    api.delete(CONFIG_MAP, "a", "default")
    api.create(CONFIG_MAP, _config("a", new="1"))
    with pytest.raises(errors.Conflict):
        await apply(LocalClient(api), Plan((Delete(CONFIG_MAP, old),)))


async def test_two_changes_of_one_object_from_one_look(api: Api) -> None:
    """The second follows on the first; a change that somebody else made in between is still refused."""
    pod = api.create(POD, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    plan = Plan((Update(POD, pod, with_finalizers(pod, ["kedge.dev/tracking"])), set_status(POD, pod, {"phase": "Running"})))
    assert await apply(LocalClient(api), plan) == 2
    now = api.get(POD, "p", "default")
    assert (now["metadata"]["finalizers"], now["status"]["phase"]) == (["kedge.dev/tracking"], "Running")
    with pytest.raises(errors.Conflict):
        await apply(LocalClient(api), plan)


class _Marker:
    """Writes into each ConfigMap how often it was looked at, until three."""

    def __init__(self) -> None:
        self.looks: list[Key] = []

    async def observe(self, reader: Reader, key: Key) -> Obj | None:
        self.looks.append(key)
        try:
            return await reader.get(CONFIG_MAP, key.name, key.namespace)
        except errors.NotFound:
            return None

    def desire(self, seen: Obj, now: datetime) -> Plan:
        del now
        count = len(seen.get("data", {}).get("marks", ""))
        if count >= 3:
            return Plan()
        return Plan((Update(CONFIG_MAP, seen, {**seen, "data": {"marks": "x" * (count + 1)}}),), requeue_after=100)


@pytest.fixture
async def running(api: Api, clock: FakeClock) -> AsyncIterator[tuple[_Marker, Controller[Key]]]:
    client = LocalClient(api)
    marker = _Marker()
    controller = Controller[Key].of("marker", marker, client, clock)
    informer = Informer(client, CONFIG_MAP, clock)
    controller.follow(informer, lambda old, new: [key_of(new or old or {})])
    tasks = [asyncio.create_task(informer.run()), asyncio.create_task(controller.run())]
    yield marker, controller
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_it_reconciles_until_nothing_changes(api: Api, running: tuple[_Marker, Controller[Key]]) -> None:
    marker, _ = running
    api.create(CONFIG_MAP, _config("a"))
    await settle(60)
    assert api.get(CONFIG_MAP, "a", "default")["data"]["marks"] == "xxx"
    looks = len(marker.looks)
    await settle(60)
    assert len(marker.looks) == looks


async def test_it_looks_again_when_it_was_asked_to(api: Api, clock: FakeClock, running: tuple[_Marker, Controller[Key]]) -> None:
    marker, _ = running
    api.create(CONFIG_MAP, _config("a"))
    await settle(60)
    looks = len(marker.looks)
    await clock.advance(101)
    assert len(marker.looks) == looks + 1


async def test_what_fails_is_tried_again_and_told_once(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    failures = [
        errors.Conflict("changed"),
        errors.Unavailable("disk full"),
        errors.Unavailable("disk full"),
        ValueError("a bug"),
        None,
    ]
    handled = list[str]()

    async def handle(key: str) -> None:
        handled.append(key)
        failure = failures[len(handled) - 1]
        if failure is not None:
            raise failure

    controller = Controller[str]("loop", handle, clock)
    controller.queue.add("a")
    task = asyncio.create_task(controller.run())
    with caplog.at_level(logging.WARNING):
        await clock.advance(10)
    assert handled == ["a"] * 5
    controller.queue.shutdown()
    await task
    assert caplog.messages == []


async def test_the_first_failure_is_told(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """An expected error in one line, a bug with its traceback; neither stops other keys."""
    handled = list[str]()

    async def handle(key: str) -> float | None:
        handled.append(key)
        if key == "full":
            raise errors.Unavailable("the disk is full. Free some space.")
        if key == "bug":
            raise ValueError("oh")
        return None

    controller = Controller[str]("loop", handle, clock, workers=2)
    for key in ("full", "bug", "good"):
        controller.queue.add(key)
    task = asyncio.create_task(controller.run())
    await clock.advance(1)
    controller.queue.shutdown()
    await task
    assert "good" in handled
    assert handled.count("full") > 2
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    first = {vars(record)["key"]: record for record in told}
    assert {key: record.getMessage() for key, record in first.items()} == {
        "bug": "a defect; please report it. It is tried again.",
        "full": "not done; trying again",
    }
    assert vars(first["full"])["error"] == "the disk is full. Free some space."
    assert (first["bug"].exc_info is not None, len(told)) == (True, 2)


async def test_many_keys_leave_room_for_others(clock: FakeClock) -> None:
    """Between two keys everybody else gets a turn, although the handler never waits."""
    handled = list[int]()

    async def handle(key: int) -> None:
        handled.append(key)

    controller = Controller[int]("loop", handle, clock)
    for key in range(100):
        controller.queue.add(key)
    task = asyncio.create_task(controller.run())
    await settle(10)
    assert 0 < len(handled) <= 10
    controller.queue.shutdown()
    await task
    assert handled == list(range(100))
