"""The Pods of a StatefulSet keep names, order and claims."""

from typing import Any

import pytest
from keepers import Keepers

from kedge.kube.apps import CONTROLLER_REVISION, STATEFUL_SET
from kedge.kube.core import PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.kinds import Obj
from kedge.testing.reconcilers import ReconcilerConformance, Scenario, World

_CLAIM: Obj = {
    "metadata": {"name": "data", "labels": {"tier": "db"}},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
}


@pytest.fixture
def host() -> Keepers:
    return Keepers()


async def test_pods_come_one_after_the_other_with_an_identity_each(host: Keepers) -> None:
    host.make(STATEFUL_SET, replicas=2, serviceName="svc", volumeClaimTemplates=[_CLAIM])
    await host.settle()
    assert host.names() == ["web-0"]
    host.mark()
    await host.settle()
    assert host.names() == ["web-0", "web-1"]
    pod = host.api.get(POD, "web-1", "default")
    revision = host.get(STATEFUL_SET)["status"]["updateRevision"]
    assert pod["metadata"]["labels"] == {
        "app": "web",
        "apps.kubernetes.io/pod-index": "1",
        "controller-revision-hash": revision,
        "statefulset.kubernetes.io/pod-name": "web-1",
    }
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("web-1", "svc")
    assert pod["spec"]["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-web-1"}}]
    claim = host.api.get(PERSISTENT_VOLUME_CLAIM, "data-web-1", "default")
    assert claim["metadata"]["labels"] == {"app": "web", "tier": "db"}
    assert "ownerReferences" not in claim["metadata"]
    (kept,) = host.api.list(CONTROLLER_REVISION).items
    assert (kept["metadata"]["name"], kept["revision"]) == (revision, 1)
    assert kept["data"]["spec"]["template"]["$patch"] == "replace"


async def test_in_parallel_they_come_and_go_at_once(host: Keepers) -> None:
    host.make(STATEFUL_SET, replicas=3, podManagementPolicy="Parallel", ordinals={"start": 5})
    await host.settle()
    assert host.names() == ["web-5", "web-6", "web-7"]
    host.change(STATEFUL_SET, {"spec": {"replicas": 1}})
    await host.settle()
    assert host.names() == ["web-5"]


async def test_scaled_down_the_last_goes_first_and_each_waits_for_the_one_before(host: Keepers) -> None:
    host.make(STATEFUL_SET, replicas=3)
    await host.settle(ready=True)
    host.api.patch(POD, "web-2", "default", {"metadata": {"finalizers": ["test/holds"]}})
    host.change(STATEFUL_SET, {"spec": {"replicas": 1}})
    await host.settle()
    assert host.names() == ["web-0", "web-1"]
    host.api.patch(POD, "web-2", "default", {"metadata": {"finalizers": None}})
    host.bury()
    await host.settle(ready=True)
    assert host.names() == ["web-0"]


async def test_a_new_template_goes_from_the_last_pod_to_the_partition(host: Keepers) -> None:
    host.make(STATEFUL_SET, replicas=3, updateStrategy={"rollingUpdate": {"partition": 1}})
    await host.settle(ready=True)
    host.retemplate(STATEFUL_SET, "two")
    await host.settle(ready=True)
    notes = {pod["metadata"]["name"]: (pod["metadata"].get("annotations") or {}).get("note") for pod in host.pods()}
    assert notes == {"web-0": None, "web-1": "two", "web-2": "two"}
    status = host.get(STATEFUL_SET)["status"]
    assert (status["currentReplicas"], status["updatedReplicas"]) == (1, 2)
    assert status["currentRevision"] != status["updateRevision"]
    host.api.delete(POD, "web-0", "default", grace_period=0)
    await host.settle(ready=True)
    assert (host.api.get(POD, "web-0", "default")["metadata"].get("annotations") or {}) == {}
    host.change(STATEFUL_SET, {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
    await host.settle(ready=True)
    status = host.get(STATEFUL_SET)["status"]
    assert (status["currentRevision"], status["currentReplicas"]) == (status["updateRevision"], 3)


async def test_an_update_waits_for_a_pod_that_is_not_ready(host: Keepers) -> None:
    host.make(STATEFUL_SET, replicas=2)
    await host.settle(ready=True)
    host.retemplate(STATEFUL_SET, "two")
    await host.one_pass()
    host.bury()
    await host.settle()
    notes = {pod["metadata"]["name"]: (pod["metadata"].get("annotations") or {}).get("note") for pod in host.pods()}
    assert notes == {"web-0": None, "web-1": "two"}


async def test_on_delete_only_what_is_deleted_is_renewed(host: Keepers) -> None:
    host.make(STATEFUL_SET, replicas=2, updateStrategy={"type": "OnDelete"})
    await host.settle(ready=True)
    host.retemplate(STATEFUL_SET, "two")
    await host.settle(ready=True)
    host.api.delete(POD, "web-0", "default", grace_period=0)
    await host.settle(ready=True)
    notes = {pod["metadata"]["name"]: (pod["metadata"].get("annotations") or {}).get("note") for pod in host.pods()}
    assert notes == {"web-0": "two", "web-1": None}


async def test_an_ended_pod_is_made_anew_under_its_name(host: Keepers) -> None:
    host.make(STATEFUL_SET, replicas=1)
    await host.settle(ready=True)
    before = host.api.get(POD, "web-0", "default")["metadata"]["uid"]
    host.mark(phase="Failed", ready=False)
    await host.settle(ready=True)
    assert host.api.get(POD, "web-0", "default")["metadata"]["uid"] == before
    await host.advance(10)  # a Pod that ends as soon as it is made is not made anew as fast as it ends
    await host.settle(ready=True)
    assert host.api.get(POD, "web-0", "default")["metadata"]["uid"] != before


async def test_a_template_of_before_is_the_same_revision_with_a_new_number(host: Keepers) -> None:
    host.make(STATEFUL_SET, replicas=1, revisionHistoryLimit=1)
    await host.settle(ready=True)
    first = host.get(STATEFUL_SET)["status"]["updateRevision"]
    host.retemplate(STATEFUL_SET, "two")
    await host.settle(ready=True)
    host.change(STATEFUL_SET, {"spec": {"template": {"metadata": {"annotations": None}}}})
    await host.settle(ready=True)
    assert host.get(STATEFUL_SET)["status"]["updateRevision"] == first
    numbers = {each["metadata"]["name"]: each["revision"] for each in host.api.list(CONTROLLER_REVISION).items}
    assert numbers[first] == 3
    for note in ("three", "four"):
        host.retemplate(STATEFUL_SET, note)
        await host.settle(ready=True)
    assert len(host.api.list(CONTROLLER_REVISION).items) == 2


async def test_claims_go_with_whom_the_policy_says(host: Keepers) -> None:
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    host.make(STATEFUL_SET, replicas=2, volumeClaimTemplates=[_CLAIM], persistentVolumeClaimRetentionPolicy=policy)
    await host.settle(ready=True)

    def owner(name: str) -> tuple[str, str]:
        (found,) = host.api.get(PERSISTENT_VOLUME_CLAIM, name, "default")["metadata"]["ownerReferences"]
        return found["kind"], found["name"]

    assert [owner(f"data-web-{ordinal}") for ordinal in (0, 1)] == [("StatefulSet", "web")] * 2
    host.change(STATEFUL_SET, {"spec": {"replicas": 1}})
    await host.settle()
    assert [owner(f"data-web-{ordinal}") for ordinal in (0, 1)] == [("StatefulSet", "web"), ("Pod", "web-1")]


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
class TestConformance(ReconcilerConformance):
    """Stopped between any two writes it converges."""

    @pytest.fixture
    def scenario(self, policy: str) -> Scenario:
        async def make() -> World:
            host = Keepers()
            host.make(STATEFUL_SET, replicas=2, podManagementPolicy=policy, volumeClaimTemplates=[_CLAIM])
            await host.settle(ready=True)
            host.retemplate(STATEFUL_SET, "two")
            host.change(STATEFUL_SET, {"spec": {"replicas": 3}})

            async def one_pass(client: Any) -> None:
                await host.one_pass(client)
                host.bury()
                host.mark()

            def is_settled() -> bool:
                notes = [(pod["metadata"].get("annotations") or {}).get("note") for pod in host.pods()]
                return host.names() == ["web-0", "web-1", "web-2"] and notes == ["two"] * 3

            return World(host.api, one_pass, is_settled, _nothing)

        return make


async def _nothing(*_: Any) -> None:
    return
