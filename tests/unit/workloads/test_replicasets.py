"""A ReplicaSet has as many Pods as it wants: through adoption, release, deletion, refusals and restarts."""

from typing import Any

import pytest
from keepers import Keepers

from kedge import errors
from kedge.control.apply import Create
from kedge.kube.apps import REPLICA_SET
from kedge.kube.core import POD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import Key, controller
from kedge.testing.api import StoppingClient
from kedge.testing.reconcilers import ReconcilerConformance, Scenario, World
from kedge.workloads.keeping import telling
from kedge.workloads.replicasets import ReplicaSets, Seen


@pytest.fixture
def host() -> Keepers:
    return Keepers()


async def test_it_makes_what_is_missing_and_tells(host: Keepers) -> None:
    host.make(REPLICA_SET, replicas=3)
    await host.settle()
    status = host.get(REPLICA_SET)["status"]
    assert status == {"replicas": 3, "fullyLabeledReplicas": 3, "terminatingReplicas": 0, "observedGeneration": 1}
    pod = host.pods()[0]
    assert pod["metadata"]["generateName"] == "web-"
    assert pod["metadata"]["labels"] == {"app": "web"}
    assert (controller(pod) or {})["name"] == "web"
    host.mark()
    await host.settle()
    status = host.get(REPLICA_SET)["status"]
    assert (status["readyReplicas"], status["availableReplicas"]) == (3, 3)


async def test_scaled_down_it_gives_up_those_that_are_not_ready(host: Keepers) -> None:
    host.make(REPLICA_SET, replicas=3)
    await host.settle()
    kept = host.names()[1]
    host.mark(kept)
    host.change(REPLICA_SET, {"spec": {"replicas": 1}})
    await host.settle()
    assert host.names() == [kept]


async def test_an_ended_pod_is_replaced(host: Keepers) -> None:
    host.make(REPLICA_SET, replicas=1)
    await host.settle()
    first = host.names()[0]
    host.mark(phase="Failed", ready=False)
    await host.settle()
    assert len(set(host.names()) - {first}) == 1


async def test_pods_that_end_as_soon_as_they_are_made_are_replaced_ever_more_slowly(host: Keepers) -> None:
    host.make(REPLICA_SET, replicas=1)
    for _ in range(3):
        await host.settle()
        host.mark(phase="Failed", ready=False)
    await host.settle()
    assert len(host.names()) == 2
    await host.advance(5)
    await host.settle()
    assert len(host.names()) == 3


async def test_orphans_count_and_those_whose_labels_change_do_not(host: Keepers) -> None:
    orphan: Obj = {
        "metadata": {"name": "orphan", "namespace": "default", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i:1"}]},
    }
    host.api.create(POD, orphan)
    host.make(REPLICA_SET, replicas=2)
    await host.settle()
    assert len(host.names()) == 2
    assert "orphan" in host.names()
    host.api.patch(POD, "orphan", "default", {"metadata": {"labels": {"app": "debug"}}})
    await host.settle()
    assert len(host.names()) == 3
    assert controller(host.api.get(POD, "orphan", "default")) is None


async def test_min_ready_seconds_are_waited_for(host: Keepers) -> None:
    host.make(REPLICA_SET, replicas=1, minReadySeconds=10)
    await host.settle()
    host.mark()
    await host.settle()
    assert "availableReplicas" not in host.get(REPLICA_SET)["status"]
    seen = Seen(host.get(REPLICA_SET), tuple(host.pods()))
    assert ReplicaSets(lambda _: []).desire(seen, host.clock.now()).requeue_after == 10.0
    await host.advance(10)
    await host.settle()
    assert host.get(REPLICA_SET)["status"]["availableReplicas"] == 1


async def test_a_pass_that_saw_too_little_makes_nothing_twice(host: Keepers) -> None:
    """The names of new Pods follow from what was seen."""
    host.make(REPLICA_SET, replicas=3)
    seen = Seen(host.get(REPLICA_SET), ())
    names = [
        [change.obj["metadata"]["name"] for change in plan.changes if isinstance(change, Create) and change.kind is POD]
        for plan in (ReplicaSets(lambda _: []).desire(seen, host.clock.now()) for _ in range(2))
    ]
    assert names[0] == names[1]
    assert len(set(names[0])) == 3


async def test_what_the_api_refuses_is_told_until_it_no_longer_does(host: Keepers) -> None:
    refuses = True

    def hook(verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
        del new, old
        if refuses and verb == "create" and kind is POD:
            raise errors.Forbidden("exceeded quota: pods")

    host.make(REPLICA_SET, replicas=2)
    host.api.core.admission = [hook]
    handle = telling(ReplicaSets(lambda _: []), StoppingClient(host.api), host.clock)
    for _ in range(2):
        with pytest.raises(errors.Forbidden):
            await handle(Key("default", "web"))
    told = host.get(REPLICA_SET)["status"]["conditions"]
    assert [(each["type"], each["status"], each["reason"], each["message"]) for each in told] == [
        ("ReplicaFailure", "True", "FailedCreate", "exceeded quota: pods")
    ]
    refuses = False
    await host.settle()
    assert "conditions" not in host.get(REPLICA_SET)["status"]
    assert len(host.names()) == 2


@pytest.mark.parametrize("replicas", [pytest.param(3, id="grows"), pytest.param(0, id="shrinks")])
class TestConformance(ReconcilerConformance):
    """Stopped between any two writes it converges."""

    @pytest.fixture
    def scenario(self, replicas: int) -> Scenario:
        async def make() -> World:
            host = Keepers()
            host.make(REPLICA_SET, replicas=2)
            await host.settle(ready=True)
            host.change(REPLICA_SET, {"spec": {"replicas": replicas}})

            def is_settled() -> bool:
                return len(host.pods()) == replicas

            return World(host.api, host.one_pass, is_settled, _nothing)

        return make


async def _nothing(*_: Any) -> None:
    return
