"""What a PersistentVolumeClaim may be, and how it may change: as on a cluster."""

from typing import Any

import pytest

from kedge.errors import Invalid
from kedge.kube.core import PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.kinds import Obj
from kedge.server.api import Api
from kedge.testing.api import memory_api

SPEC: Obj = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def claim(**spec: Any) -> Obj:
    return {"metadata": {"name": "data", "namespace": "default"}, "spec": {**SPEC, **spec}}


@pytest.fixture
def api() -> Api:
    return memory_api()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"accessModes": []}, "spec.accessModes: Required value: at least 1 access mode is required"),
        (
            {"accessModes": ["Often"]},
            'spec.accessModes: Unsupported value: "Often": supported values: "ReadOnlyMany", "ReadWriteMany"',
        ),
        ({"accessModes": ["ReadWriteOncePod", "ReadOnlyMany"]}, "may not use ReadWriteOncePod with other access modes"),
        ({"resources": {}}, "spec.resources[storage]: Required value"),
        ({"resources": {"requests": {"storage": "0"}}}, 'spec.resources[storage]: Invalid value: "0": must be greater than zero'),
        (
            {"resources": {"requests": {"storage": "-1"}}},
            'spec.resources[storage]: Invalid value: "-1": must be greater than zero',
        ),
        ({"volumeMode": "Tape"}, 'spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"'),
        ({"storageClassName": "No Class"}, "spec.storageClassName: "),
    ],
    ids=["no mode", "mode", "one pod alone", "no size", "nothing", "less", "volume mode", "class"],
)
def test_what_is_no_claim_is_refused_by_field(api: Api, spec: Obj, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        api.create(PERSISTENT_VOLUME_CLAIM, claim(**spec))
    assert message in str(caught.value)


def test_a_claim_is_given_its_defaults(api: Api) -> None:
    made = api.create(PERSISTENT_VOLUME_CLAIM, claim())
    assert (made["spec"]["volumeMode"], made["status"]) == ("Filesystem", {"phase": "Pending"})


def change(api: Api, **spec: Any) -> Obj:
    return api.patch(PERSISTENT_VOLUME_CLAIM, "data", "default", {"spec": spec})


@pytest.mark.parametrize(
    ("phase", "spec", "message"),
    [
        (
            "Bound",
            {"accessModes": ["ReadWriteMany"]},
            "spec: Forbidden: spec is immutable after creation except resources.requests",
        ),
        ("Bound", {"volumeName": "other"}, 'volumeName: "pvc-1" became "other"'),
        (
            "Bound",
            {"resources": {"requests": {"storage": "1Mi"}}},
            "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity",
        ),
        ("Pending", {"resources": {"requests": {"storage": "2Gi"}}}, "spec is immutable after creation"),
    ],
    ids=["modes", "volume", "smaller", "not bound"],
)
def test_what_may_not_change_is_refused_by_field(api: Api, phase: str, spec: Obj, message: str) -> None:
    api.create(PERSISTENT_VOLUME_CLAIM, claim(volumeName="pvc-1"))
    api.patch(
        PERSISTENT_VOLUME_CLAIM,
        "data",
        "default",
        {"status": {"phase": phase, "capacity": {"storage": "1Gi"}}},
        subresource="status",
    )
    with pytest.raises(Invalid) as caught:
        change(api, **spec)
    assert message in str(caught.value)


def test_a_bound_claim_may_grow(api: Api) -> None:
    api.create(PERSISTENT_VOLUME_CLAIM, claim())
    api.patch(PERSISTENT_VOLUME_CLAIM, "data", "default", {"status": {"phase": "Bound"}}, subresource="status")
    assert change(api, resources={"requests": {"storage": "2Gi"}})["spec"]["resources"]["requests"] == {"storage": "2Gi"}


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"persistentVolumeClaim": {}}, "spec.volumes[0].persistentVolumeClaim.claimName: Required value"),
        ({"ephemeral": {}}, "spec.volumes[0].ephemeral.volumeClaimTemplate: Required value"),
        (
            {"ephemeral": {"volumeClaimTemplate": {"spec": {**SPEC, "accessModes": []}}}},
            "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1",
        ),
    ],
    ids=["no name", "no template", "no mode"],
)
def test_a_pods_claims_are_checked_with_it(api: Api, volume: Obj, message: str) -> None:
    spec = {"containers": [{"name": "main", "image": "busybox"}], "volumes": [{"name": "v", **volume}]}
    with pytest.raises(Invalid) as caught:
        api.create(POD, {"metadata": {"name": "p"}, "spec": spec})
    assert message in str(caught.value)
