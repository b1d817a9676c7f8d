"""What is used of a quota is what is stored, whatever is written; and what counts towards which name."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge import errors
from kedge.kube import quotas
from kedge.kube.core import CONFIG_MAP, KINDS, NAMESPACE, PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key
from kedge.kube.resource_quotas import RESOURCE_QUOTA
from kedge.kube.services import SERVICE
from kedge.server.api import Api
from kedge.server.core import Admission
from kedge.server.quotas import Quotas
from kedge.store.memory import MemoryLog
from kedge.testing.clock import FakeClock, FakeIds

HARD = {"pods": "3", "count/pods": "4", "requests.memory": "3Gi", "configmaps": "2", "count/secrets": "0"}
QUOTA = Key("default", "all")


def served() -> tuple[Api, Quotas]:
    store = MemoryLog()
    counted = Quotas(store)
    hooks: list[Admission] = [counted.admit]
    api = Api(store, KINDS, FakeClock(), FakeIds(), admission=hooks)
    api.create(NAMESPACE, {"metadata": {"name": "default"}})
    return api, counted


def quota(name: str = "all", **spec: Any) -> Obj:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"hard": HARD, **spec}}


def pod(name: str, memory: str) -> Obj:
    resources = {"requests": {"memory": memory}, "limits": {"memory": memory}}
    container = {"name": "c", "image": "i:1", "resources": resources}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [container]}}


def shown(used: Any) -> dict[str, str]:
    return {name: str(amount) for name, amount in sorted(used.items()) if amount.value}


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(["create", "delete", "end", "map", "unmap"]), st.integers(0, 4)), max_size=25))
def test_what_is_used_is_what_is_stored(steps: list[tuple[str, int]]) -> None:
    api, counted = served()
    api.create(RESOURCE_QUOTA, quota())
    for verb, number in steps:
        name = f"p{number}"
        try:
            match verb:
                case "create":
                    api.create(POD, pod(name, "1Gi"))
                case "delete":
                    api.delete(POD, name, "default", grace_period=0)
                case "end":
                    ended = {**api.get(POD, name, "default"), "status": {"phase": "Succeeded"}}
                    api.update(POD, ended, subresource="status")
                case "map":
                    api.create(CONFIG_MAP, {"metadata": {"name": name, "namespace": "default"}})
                case _:
                    api.delete(CONFIG_MAP, name, "default")
        except (errors.NotFound, errors.AlreadyExists):
            continue
        except errors.Forbidden as refused:
            assert "exceeded quota: all, requested: " in str(refused)  # noqa: PT017  # the rest goes on
        pods, maps = api.list(POD).items, api.list(CONFIG_MAP).items
        alive = [each for each in pods if each["status"]["phase"] == "Pending"]
        assert len(alive) <= 3
        assert len(pods) <= 4
        assert len(maps) <= 2
        wanted = {"pods": len(alive), "count/pods": len(pods), "configmaps": len(maps)}
        memory = {"requests.memory": f"{len(alive)}Gi"} if alive else {}
        assert shown(counted.used(QUOTA)) == {name: str(number) for name, number in wanted.items() if number} | memory
        assert shown(counted.used(QUOTA)) == shown(Quotas(api.core.store).used(QUOTA))


def test_a_claim_that_grows_and_a_service_that_opens_are_counted() -> None:
    api, counted = served()
    gold = "gold.storageclass.storage.k8s.io"
    hard = {
        "requests.storage": "2Gi",
        f"{gold}/persistentvolumeclaims": "1",
        f"{gold}/requests.storage": "9Gi",
        "services.nodeports": "1",
    }
    api.create(RESOURCE_QUOTA, quota(hard=hard))
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}}
    claim = api.create(PERSISTENT_VOLUME_CLAIM, {"metadata": {"name": "a", "namespace": "default"}, "spec": spec})
    claim = api.update(PERSISTENT_VOLUME_CLAIM, {**claim, "status": {"phase": "Bound"}}, subresource="status")
    larger = {**claim, "spec": {**claim["spec"], "resources": {"requests": {"storage": "3Gi"}}}}
    with pytest.raises(
        errors.Forbidden, match=r"requested: requests.storage=2Gi, used: requests.storage=1Gi, limited: requests.storage=2Gi"
    ):
        api.update(PERSISTENT_VOLUME_CLAIM, larger)
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    inner = {"ports": ports, "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"]}
    service = api.create(SERVICE, {"metadata": {"name": "s", "namespace": "default"}, "spec": inner})
    with pytest.raises(errors.Forbidden, match=r"requested: services.nodeports=2, used: services.nodeports=0"):
        api.update(SERVICE, {**service, "spec": {**service["spec"], "type": "NodePort"}})
    assert shown(counted.used(QUOTA)) == {
        f"{gold}/persistentvolumeclaims": "1",
        f"{gold}/requests.storage": "1Gi",
        "requests.storage": "1Gi",
    }


AFFINE = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "k", "namespaces": ["other"]}]}}
SCOPES: dict[str, tuple[Obj, Obj, bool]] = {
    "a deadline": ({"scopes": ["Terminating"]}, {"activeDeadlineSeconds": 5}, True),
    "no deadline": ({"scopes": ["NotTerminating"]}, {}, True),
    "asks for something": ({"scopes": ["NotBestEffort"]}, {}, True),
    "asks for nothing": ({"scopes": ["BestEffort"]}, {}, False),
    "other namespaces": ({"scopes": ["CrossNamespacePodAffinity"]}, {"affinity": AFFINE}, True),
    "its own namespace": ({"scopes": ["CrossNamespacePodAffinity"]}, {}, False),
    "any class": ({"scopes": ["PriorityClass"]}, {"priorityClassName": "high"}, True),
    "no class": ({"scopes": ["PriorityClass"]}, {}, False),
}


@pytest.mark.parametrize("case", SCOPES)
def test_scopes(case: str) -> None:
    spec, more, wanted = SCOPES[case]
    made = pod("p", "1Mi")
    assert quotas.is_about(quota(**spec), "pods", {**made, "spec": {**made["spec"], **more}}) is wanted


def test_extended_resources_are_counted_by_what_is_requested() -> None:
    made = pod("p", "1Mi")
    made["spec"]["containers"][0]["resources"] = {"requests": {"nvidia.com/gpu": 2}, "limits": {"nvidia.com/gpu": 2}}
    assert shown(quotas.usage(quota(hard={"requests.nvidia.com/gpu": "4"}), "pods", made)) == {"requests.nvidia.com/gpu": "2"}
