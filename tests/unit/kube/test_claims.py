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
        ({"accessModes": []}, "spec.accessModes: at least 1 access mode is required: ReadWriteOnce, ReadOnlyMany"),
        ({"accessModes": ["Often"]}, "spec.accessModes[0]: must be ReadWriteOnce or "),
        ({"accessModes": ["ReadWriteOncePod", "ReadOnlyMany"]}, "may not use ReadWriteOncePod with other access modes"),
        ({"resources": {}}, "spec.resources.requests[storage]: is required, such as 1Gi"),
        ({"resources": {"requests": {"storage": "much"}}}, "spec.resources.requests[storage]: must be a quantity"),
        ({"resources": {"requests": {"storage": "0"}}}, "spec.resources.requests[storage]: must be greater than zero, got 0"),
        ({"volumeMode": "Tape"}, "spec.volumeMode: must be Filesystem or Block, got 'Tape'"),
        ({"storageClassName": "No Class"}, "spec.storageClassName: "),
    ],
    ids=["no mode", "mode", "one pod alone", "no size", "no quantity", "nothing", "volume mode", "class"],
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
        ("Bound", {"accessModes": ["ReadWriteMany"]}, "spec.accessModes: is immutable after creation"),
        ("Bound", {"volumeName": "other"}, "spec.volumeName: is immutable after creation"),
        ("Bound", {"resources": {"requests": {"storage": "1Mi"}}}, "can not be less than before, 1Gi, got 1Mi"),
        ("Pending", {"resources": {"requests": {"storage": "2Gi"}}}, "may grow only when the claim is bound"),
    ],
    ids=["modes", "volume", "smaller", "not bound"],
)
def test_what_may_not_change_is_refused_by_field(api: Api, phase: str, spec: Obj, message: str) -> None:
    api.create(PERSISTENT_VOLUME_CLAIM, claim(volumeName="pvc-1"))
    api.patch(PERSISTENT_VOLUME_CLAIM, "data", "default", {"status": {"phase": phase}}, subresource="status")
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
        ({"persistentVolumeClaim": {}}, "spec.volumes[0].persistentVolumeClaim.claimName: is required"),
        ({"ephemeral": {}}, "spec.volumes[0].ephemeral.volumeClaimTemplate: is required"),
        (
            {"ephemeral": {"volumeClaimTemplate": {"spec": {**SPEC, "accessModes": []}}}},
            "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes: at least 1",
        ),
    ],
    ids=["no name", "no template", "no mode"],
)
def test_a_pods_claims_are_checked_with_it(api: Api, volume: Obj, message: str) -> None:
    spec = {"containers": [{"name": "main", "image": "busybox"}], "volumes": [{"name": "v", **volume}]}
    with pytest.raises(Invalid) as caught:
        api.create(POD, {"metadata": {"name": "p"}, "spec": spec})
    assert message in str(caught.value)
