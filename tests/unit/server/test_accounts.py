"""What a Pod is given by its service account, and when it is refused for it."""

from typing import Any

import pytest

from kedge import errors
from kedge.kube.core import KINDS, NAMESPACE, POD, SERVICE_ACCOUNT
from kedge.kube.kinds import Obj
from kedge.kube.service_accounts import PLACE
from kedge.server.accounts import Accounts
from kedge.server.api import Api
from kedge.server.core import Admission
from kedge.store.memory import MemoryLog
from kedge.testing.clock import FakeClock, FakeIds

STEP = {"step": "yes"}
MIRROR = {"kubernetes.io/config.mirror": "x"}


@pytest.fixture
def api() -> Api:
    store, hooks = MemoryLog(), list[Admission]()
    api = Api(store, KINDS, FakeClock(), FakeIds(), admission=hooks)
    hooks.append(Accounts(api, store, FakeIds(), sparing=lambda pod: pod["metadata"].get("labels") == STEP).admit)
    api.create(NAMESPACE, {"metadata": {"name": "default"}})
    return api


def account(api: Api, name: str = "robot", **more: Any) -> str:
    api.create(SERVICE_ACCOUNT, {"metadata": {"name": name, "namespace": "default"}, **more})
    return name


def pod(api: Api, meta: Obj | None = None, **spec: Any) -> Obj:
    containers = [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]
    spec = {"containers": containers, "initContainers": [{"name": "c", "image": "i"}], **spec}
    return api.create(POD, {"metadata": {"name": "p", "namespace": "default", **(meta or {})}, "spec": spec})["spec"]


def mounted(spec: Obj) -> list[list[str]]:
    every = (*spec["containers"], *spec.get("initContainers", ()))
    return [[each["name"] for each in container.get("volumeMounts") or () if each["mountPath"] == PLACE] for container in every]


def test_every_container_is_given_access(api: Api) -> None:
    spec = pod(api, volumes=[{"name": "mine", "emptyDir": {}}])
    (mine, access) = spec["volumes"]
    name = access["name"]
    assert name.startswith("kube-api-access-")
    assert len(name) == len("kube-api-access-") + 5
    assert mounted(spec) == [[name]] * 3
    assert spec["containers"][0]["volumeMounts"] == [{"name": name, "readOnly": True, "mountPath": PLACE}]
    assert mine["name"] == "mine"
    assert access["projected"] == {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
                }
            },
        ],
        "defaultMode": 420,
    }


def test_what_is_at_that_place_already_stays(api: Api) -> None:
    mine = {"name": "mine", "mountPath": PLACE}
    containers = [{"name": "a", "image": "i", "volumeMounts": [mine]}, {"name": "b", "image": "i"}]
    spec = pod(api, volumes=[{"name": "mine", "emptyDir": {}}], containers=containers, initContainers=[])
    assert mounted(spec) == [["mine"], [spec["volumes"][1]["name"]]]
    only = pod(api, {"name": "q"}, volumes=[{"name": "mine", "emptyDir": {}}], containers=containers[:1], initContainers=[])
    assert [each["name"] for each in only["volumes"]] == ["mine"]


def test_a_volume_of_that_name_is_used(api: Api) -> None:
    spec = pod(api, volumes=[{"name": "kube-api-access-mine", "emptyDir": {}}])
    assert [each["name"] for each in spec["volumes"]] == ["kube-api-access-mine"]
    assert mounted(spec) == [["kube-api-access-mine"]] * 3


@pytest.mark.parametrize(
    ("of_account", "of_pod", "given"),
    [(None, None, True), (False, None, False), (True, None, True), (False, True, True), (True, False, False)],
)
def test_who_wants_no_access_gets_none(api: Api, of_account: bool | None, of_pod: bool | None, given: bool) -> None:  # noqa: FBT001
    said: dict[str, dict[str, Any]] = {
        name: {} if value is None else {"automountServiceAccountToken": value}
        for name, value in (("a", of_account), ("p", of_pod))
    }
    spec = pod(api, serviceAccountName=account(api, **said["a"]), **said["p"])
    assert bool(mounted(spec)[0]) is given
    assert ("volumes" in spec) is given


@pytest.mark.parametrize(
    ("name", "of_account", "of_pod", "given"),
    [
        ("default", {}, {}, False),
        ("robot", {}, {}, True),
        ("default", {"automountServiceAccountToken": True}, {}, True),
        ("default", {}, {"automountServiceAccountToken": True}, True),
        ("robot", {"automountServiceAccountToken": False}, {}, False),
    ],
)
def test_a_sparing_pod_has_access_where_somebody_asks_for_it(
    api: Api,
    name: str,
    of_account: Obj,
    of_pod: Obj,
    given: bool,  # noqa: FBT001
) -> None:
    account(api, name, **of_account)
    assert bool(mounted(pod(api, {"labels": STEP}, serviceAccountName=name, **of_pod))[0]) is given


def test_images_are_pulled_with_what_the_account_has(api: Api) -> None:
    name = account(api, imagePullSecrets=[{"name": "registry"}])
    assert pod(api, serviceAccountName=name)["imagePullSecrets"] == [{"name": "registry"}]
    own = [{"name": "own"}]
    assert pod(api, {"name": "q"}, serviceAccountName=name, imagePullSecrets=own)["imagePullSecrets"] == own


def test_an_account_that_is_not_there(api: Api) -> None:
    words = 'pods "p" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found'
    with pytest.raises(errors.Forbidden) as caught:
        pod(api, serviceAccount="nobody")
    assert caught.value.message == words


def test_the_default_account_is_there_as_soon_as_it_is_wanted(api: Api) -> None:
    assert pod(api)["serviceAccountName"] == "default"
    assert api.get(SERVICE_ACCOUNT, "default", "default")


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({}, ""),
        ({"serviceAccountName": "default"}, "a mirror pod may not reference service accounts"),
        ({"imagePullSecrets": [{"name": "s"}]}, "a mirror pod may not reference secrets"),
        (
            {"volumes": [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
            "a mirror pod may not use ServiceAccountToken volume projections",
        ),
    ],
)
def test_a_pod_that_stands_for_a_file_of_its_node_has_no_account(api: Api, spec: Obj, why: str) -> None:
    meta = {"annotations": MIRROR}
    if not why:
        assert "volumes" not in pod(api, meta, nodeName="n")
        return
    with pytest.raises(errors.Forbidden) as caught:
        pod(api, meta, nodeName="n", **spec)
    assert caught.value.message == f'pods "p" is forbidden: {why}'
