"""A Deployment replaces its Pods step by step, remembers what it was, and says how far it is."""

from typing import Any

import pytest
from keepers import Keepers

from kedge.kube.apps import DEPLOYMENT, REPLICA_SET
from kedge.kube.conditions import find
from kedge.kube.core import POD
from kedge.testing.reconcilers import ReconcilerConformance, Scenario, World


@pytest.fixture
def host() -> Keepers:
    return Keepers()


def _conditions(host: Keepers) -> dict[str, tuple[str, str, str]]:
    found = host.get(DEPLOYMENT)["status"]["conditions"]
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in found}


async def test_its_replica_set_is_made_and_told(host: Keepers) -> None:
    host.make(DEPLOYMENT, replicas=4)
    await host.settle()
    (made,) = host.api.list(REPLICA_SET).items
    name, mark = made["metadata"]["name"], made["metadata"]["labels"]["pod-template-hash"]
    assert name == f"web-{mark}"
    assert made["spec"]["selector"] == {"matchLabels": {"app": "web", "pod-template-hash": mark}}
    assert made["metadata"]["annotations"] == {
        "deployment.kubernetes.io/desired-replicas": "4",
        "deployment.kubernetes.io/max-replicas": "5",
        "deployment.kubernetes.io/revision": "1",
    }
    assert _conditions(host) == {
        "Available": ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
        "Progressing": ("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'),
    }
    await host.settle(ready=True)
    assert _conditions(host) == {
        "Available": ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        "Progressing": ("True", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.'),
    }
    status = {key: value for key, value in host.get(DEPLOYMENT)["status"].items() if key != "conditions"}
    assert status == {
        "observedGeneration": 1,
        "replicas": 4,
        "updatedReplicas": 4,
        "readyReplicas": 4,
        "availableReplicas": 4,
        "terminatingReplicas": 0,
    }


async def test_a_new_template_waits_for_its_pods_and_keeps_to_the_bounds(host: Keepers) -> None:
    """As it was seen on a real cluster: four Pods, a quarter more, a quarter away."""
    host.make(DEPLOYMENT, replicas=4)
    await host.settle(ready=True)
    host.retemplate(DEPLOYMENT, "two")
    await host.settle()
    assert host.sizes() == {"": (3, "1"), "two": (2, "2")}
    await host.settle(ready=True)
    assert host.sizes() == {"": (0, "1"), "two": (4, "2")}
    assert host.get(DEPLOYMENT)["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


async def test_scaled_while_it_is_rolled_both_get_their_share(host: Keepers) -> None:
    host.make(DEPLOYMENT, replicas=4)
    await host.settle(ready=True)
    host.retemplate(DEPLOYMENT, "two")
    await host.settle()
    host.change(DEPLOYMENT, {"spec": {"replicas": 8}})
    await host.settle()
    assert host.sizes() == {"": (6, "1"), "two": (4, "2")}


async def test_a_template_of_before_gets_the_newest_number_and_keeps_its_history(host: Keepers) -> None:
    host.make(DEPLOYMENT, replicas=1)
    await host.settle(ready=True)
    for note in ("two", "three"):
        host.retemplate(DEPLOYMENT, note)
        await host.settle(ready=True)
    host.change(DEPLOYMENT, {"spec": {"template": {"metadata": {"annotations": None}}}})
    await host.settle(ready=True)
    assert host.sizes() == {"": (1, "4"), "two": (0, "2"), "three": (0, "3")}
    first = next(each for each in host.api.list(REPLICA_SET).items if each["spec"]["replicas"])
    assert first["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"


async def test_the_history_is_as_long_as_it_may_be(host: Keepers) -> None:
    host.make(DEPLOYMENT, replicas=1, revisionHistoryLimit=1)
    await host.settle(ready=True)
    for note in ("two", "three", "four"):
        host.retemplate(DEPLOYMENT, note)
        await host.settle(ready=True)
    assert sorted(host.sizes()) == ["four", "three"]


async def test_paused_it_takes_sizes_but_no_template(host: Keepers) -> None:
    host.make(DEPLOYMENT, replicas=2)
    await host.settle(ready=True)
    host.change(DEPLOYMENT, {"spec": {"paused": True, "replicas": 3}})
    host.retemplate(DEPLOYMENT, "two")
    await host.settle(ready=True)
    assert host.sizes() == {"": (3, "1")}
    assert _conditions(host)["Progressing"] == ("Unknown", "DeploymentPaused", "Deployment is paused")
    assert "updatedReplicas" not in host.get(DEPLOYMENT)["status"]
    host.change(DEPLOYMENT, {"spec": {"paused": False}})
    await host.settle(ready=True)
    assert host.sizes() == {"": (0, "1"), "two": (3, "2")}


async def test_recreated_nothing_new_comes_before_the_old_is_gone(host: Keepers) -> None:
    host.make(DEPLOYMENT, replicas=2, strategy={"type": "Recreate"})
    await host.settle(ready=True)
    held = host.names()[0]
    host.api.patch(POD, held, "default", {"metadata": {"finalizers": ["test/holds"]}})
    host.retemplate(DEPLOYMENT, "two")
    await host.settle(ready=True)
    assert host.sizes() == {"": (0, "1")}
    host.api.patch(POD, held, "default", {"metadata": {"finalizers": None}})
    host.bury()
    await host.settle()
    assert host.sizes() == {"": (0, "1"), "two": (2, "2")}


async def test_what_does_not_go_on_is_late(host: Keepers) -> None:
    host.make(DEPLOYMENT, replicas=1, progressDeadlineSeconds=60)
    await host.settle()
    await host.advance(61)
    await host.settle()
    status, reason, message = _conditions(host)["Progressing"]
    assert (status, reason) == ("False", "ProgressDeadlineExceeded")
    assert message.endswith("has timed out progressing.")
    await host.settle(ready=True)
    assert _conditions(host)["Progressing"][:2] == ("True", "NewReplicaSetAvailable")


async def test_a_replica_set_without_an_owner_is_adopted(host: Keepers) -> None:
    host.make(DEPLOYMENT, replicas=1)
    await host.settle(ready=True)
    (made,) = host.api.list(REPLICA_SET).items
    host.api.patch(REPLICA_SET, made["metadata"]["name"], "default", {"metadata": {"ownerReferences": None}})
    await host.settle()
    (after,) = host.api.list(REPLICA_SET).items
    assert after["metadata"]["ownerReferences"] == made["metadata"]["ownerReferences"]


async def test_a_name_that_is_taken_is_got_around(host: Keepers) -> None:
    host.make(DEPLOYMENT, replicas=1)
    await host.settle()
    (made,) = host.api.list(REPLICA_SET).items
    name = made["metadata"]["name"]
    host.api.delete(DEPLOYMENT, "web", "default")
    stranger = {"spec": {"template": {"metadata": {"annotations": {"note": "other"}}}}, "metadata": {"ownerReferences": None}}
    host.api.patch(REPLICA_SET, name, "default", stranger)
    host.api.patch(REPLICA_SET, name, "default", {"metadata": {"labels": {"app": "stranger"}}})
    host.make(DEPLOYMENT, replicas=1)
    await host.settle(ready=True)
    assert host.get(DEPLOYMENT)["status"]["collisionCount"] == 1
    assert len(host.api.list(REPLICA_SET).items) == 2


async def test_replica_sets_that_cannot_make_pods_are_told(host: Keepers) -> None:
    host.make(DEPLOYMENT, replicas=1)
    await host.settle()
    (made,) = host.api.list(REPLICA_SET).items
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
    status = {**made["status"], "conditions": [failure]}
    host.api.update(REPLICA_SET, {**made, "status": status}, subresource="status")
    await host.one_pass()
    assert find(host.get(DEPLOYMENT), "ReplicaFailure")


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
class TestConformance(ReconcilerConformance):
    """Stopped between any two writes it converges."""

    @pytest.fixture
    def scenario(self, strategy: str) -> Scenario:
        async def make() -> World:
            host = Keepers()
            host.make(DEPLOYMENT, replicas=2, strategy={"type": strategy})
            await host.settle(ready=True)
            host.retemplate(DEPLOYMENT, "two")

            async def one_pass(client: Any) -> None:
                await host.one_pass(client)
                host.bury()
                host.mark()

            def is_settled() -> bool:
                return host.sizes() == {"": (0, "1"), "two": (2, "2")} and len(host.pods()) == 2

            return World(host.api, one_pass, is_settled, _nothing)

        return make


async def _nothing(*_: Any) -> None:
    return
