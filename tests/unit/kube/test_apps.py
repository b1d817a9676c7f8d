"""What an API server fills in and refuses of Deployments, ReplicaSets and StatefulSets: as kube-apiserver 1.36 was seen to."""

from typing import Any

import pytest

from kedge import errors
from kedge.kube import apps, patches
from kedge.kube.core import KINDS
from kedge.kube.kinds import Kind, Obj
from kedge.kube.merging import MergeKeys
from kedge.kube.schemas import CoreSchema
from kedge.server.api import Api
from kedge.testing.api import memory_api

_KINDS: dict[str, Kind] = {kind.kind: kind for kind in apps.KINDS}
_ALL = ("Deployment", "ReplicaSet", "StatefulSet")
_MISMATCH = "`selector` does not match template `labels`"


@pytest.fixture
def api() -> Api:
    return memory_api((*KINDS, *apps.KINDS))


def minimal(kind: str, changes: dict[str, Any] | None = None) -> Obj:
    """The smallest object of a kind, and what is changed in it by dotted paths; ``None`` takes a field away."""
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    obj: Obj = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "x", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    for path, value in (changes or {}).items():
        *parents, leaf = path.split(".")
        at: Any = obj
        for key in parents:
            at = at[int(key)] if isinstance(at, list) else at.setdefault(key, {})
        if value is None:
            del at[leaf]
        else:
            at[leaf] = value
    return obj


def test_defaults_of_a_deployment(api: Api) -> None:
    made = api.create(apps.DEPLOYMENT, minimal("Deployment"))
    spec = {key: value for key, value in made["spec"].items() if key not in {"selector", "template"}}
    assert spec == {
        "replicas": 1,
        "progressDeadlineSeconds": 600,
        "revisionHistoryLimit": 10,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    }
    assert made["spec"]["template"]["spec"] == {
        "containers": [
            {
                "name": "c",
                "image": "i:1",
                "imagePullPolicy": "IfNotPresent",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }


def test_defaults_of_a_stateful_set(api: Api) -> None:
    claim = {"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}}}
    changes = {"spec.volumeClaimTemplates": [claim], "spec.updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}}}
    made = api.create(apps.STATEFUL_SET, minimal("StatefulSet", changes))
    spec = {key: value for key, value in made["spec"].items() if key not in {"selector", "template"}}
    assert spec == {
        "replicas": 1,
        "podManagementPolicy": "OrderedReady",
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "revisionHistoryLimit": 10,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "volumeClaimTemplates": [
            {
                **claim,
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "spec": {**claim["spec"], "volumeMode": "Filesystem"},
                "status": {"phase": "Pending"},
            }
        ],
    }


_OF_ALL: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"spec.selector": None}, [("spec.selector", "Required value"), ("spec.template.metadata.labels", _MISMATCH)]),
    ({"spec.selector": {}}, [("spec.selector", "Invalid value: {}: empty selector is invalid for ")]),
    ({"spec.selector.matchLabels.a": "c"}, [("spec.template.metadata.labels", f'Invalid value: {{"a":"b"}}: {_MISMATCH}')]),
    (
        {"spec.selector": {"matchExpressions": [{"key": "a", "operator": "Foo"}]}},
        [
            ("spec.selector.matchExpressions[0].operator", 'Invalid value: "Foo": not a valid selector operator'),
            ("spec.selector", 'Invalid value: {"matchExpressions":[{"key":"a","operator":"Foo"}]}'),
        ],
    ),
    ({"spec.replicas": -1}, [("spec.replicas", "Invalid value: -1: must be greater than or equal to 0")]),
    (
        {"spec.template": None},
        [("spec.template.metadata.labels", f"Invalid value: null: {_MISMATCH}"), ("spec.template.spec.containers", "Required")],
    ),
    (
        {"spec.template.spec.restartPolicy": "Never"},
        [("spec.template.spec.restartPolicy", 'Unsupported value: "Never": supported values: "Always"')],
    ),
    ({"spec.template.spec.activeDeadlineSeconds": 5}, [("spec.template.spec.activeDeadlineSeconds", "Forbidden: active")]),
    ({"spec.minReadySeconds": -1}, [("spec.minReadySeconds", "Invalid value: -1: must be greater than or equal to 0")]),
    (
        {"spec.template.metadata.labels.x": "in valid"},
        [("spec.template.labels", 'Invalid value: "in valid": a valid label must')],
    ),
]
_OF_ONE: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("Deployment", {"spec.strategy.type": "Foo"}, [("spec.strategy", 'Unsupported value: {"Type":"Foo","RollingUpdate":null}')]),
    (
        "Deployment",
        {"spec.strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}},
        [("spec.strategy.rollingUpdate", "Forbidden: may not be specified when strategy `type` is 'Recreate'")],
    ),
    (
        "Deployment",
        {"spec.strategy.rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}},
        [("spec.strategy.rollingUpdate.maxUnavailable", 'Invalid value: "0%": may not be 0 when `maxSurge` is 0')],
    ),
    (
        "Deployment",
        {"spec.strategy.rollingUpdate": {"maxUnavailable": "101%"}},
        [("spec.strategy.rollingUpdate.maxUnavailable", 'Invalid value: "101%": must not be greater than 100%')],
    ),
    (
        "Deployment",
        {"spec.strategy.rollingUpdate": {"maxSurge": "-5%"}},
        [("spec.strategy.rollingUpdate.maxSurge", 'Invalid value: "-5%": a valid percent string must be')],
    ),
    (
        "Deployment",
        {"spec.progressDeadlineSeconds": 10, "spec.minReadySeconds": 10},
        [("spec.progressDeadlineSeconds", "Invalid value: 10: must be greater than minReadySeconds")],
    ),
    ("StatefulSet", {"spec.updateStrategy.type": "Foo"}, [("spec.updateStrategy", "must be 'RollingUpdate' or 'OnDelete'")]),
    (
        "StatefulSet",
        {"spec.updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}},
        [("spec.updateStrategy.rollingUpdate", 'Invalid value: {"Partition":1,"MaxUnavailable":null}: only allowed for')],
    ),
    ("StatefulSet", {"spec.podManagementPolicy": "Foo"}, [("spec.podManagementPolicy", "must be 'OrderedReady' or 'Parallel'")]),
    ("StatefulSet", {"spec.ordinals": {"start": -1}}, [("spec.ordinals.start", "must be greater than or equal to 0")]),
    (
        "StatefulSet",
        {"spec.persistentVolumeClaimRetentionPolicy": {"whenScaled": "Foo"}},
        [("spec.persistentVolumeClaimRetentionPolicy.whenScaled", 'supported values: "Retain", "Delete"')],
    ),
    ("StatefulSet", {"spec.serviceName": "Bad_Name"}, [("spec.serviceName", 'Invalid value: "Bad_Name": a lowercase RFC 1123')]),
    ("StatefulSet", {"metadata.name": "a.b"}, [("metadata.name", 'Invalid value: "a.b": must not contain dots')]),
    (
        "StatefulSet",
        {"spec.template.spec.containers.0.volumeMounts": [{"name": "d", "mountPath": "/d"}]},
        [("spec.template.spec.containers[0].volumeMounts[0].name", "")],
    ),
]
_CASES = [(kind, changes, told) for changes, told in _OF_ALL for kind in _ALL] + _OF_ONE


@pytest.mark.parametrize(
    ("kind", "changes", "told"), [pytest.param(*case, id=f"{case[0]}: {next(iter(case[1]))}") for case in _CASES]
)
def test_what_breaks_a_rule_is_named(api: Api, kind: str, changes: dict[str, Any], told: list[tuple[str, str]]) -> None:
    with pytest.raises(errors.Invalid) as refused:
        api.create(_KINDS[kind], minimal(kind, changes))
    causes = {cause.field: cause.message for cause in refused.value.causes}
    assert causes.keys() == {field for field, _ in told}
    assert [message in causes[field] for field, message in told] == [True] * len(told)


@pytest.mark.parametrize("kind", _ALL)
def test_a_selector_stays_as_it_is(api: Api, kind: str) -> None:
    made = api.create(_KINDS[kind], minimal(kind, {"spec.template.metadata.labels": {"a": "b", "c": "d"}}))
    changed = {**made, "spec": {**made["spec"], "selector": {"matchLabels": {"c": "d"}}}}
    with pytest.raises(errors.Invalid) as refused:
        api.update(_KINDS[kind], changed)
    (cause,) = refused.value.causes
    if kind == "StatefulSet":
        assert (cause.field, "updates to statefulset spec for fields other than" in cause.message) == ("spec", True)
    else:
        assert cause.message == 'Invalid value: {"matchLabels":{"c":"d"}}: field is immutable'


def test_a_status_says_nothing_impossible(api: Api) -> None:
    made = api.create(apps.REPLICA_SET, minimal("ReplicaSet"))
    with pytest.raises(errors.Invalid, match=r"cannot be greater than status\.replicas"):
        api.update(apps.REPLICA_SET, {**made, "status": {"replicas": 1, "readyReplicas": 2}}, subresource="status")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"revision": -1, "data": {}}, "revision: Invalid value: -1"),
        ({"revision": 1}, "data: Required value: data is mandatory"),
    ],
)
def test_rules_of_revisions(api: Api, fields: Obj, told: str) -> None:
    with pytest.raises(errors.Invalid, match=told):
        api.create(apps.CONTROLLER_REVISION, {"metadata": {"name": "r", "namespace": "default"}, **fields})


def test_the_first_strategic_patch_of_a_kind_merges_as_any_other() -> None:
    keys = MergeKeys(CoreSchema("StatefulSet"), {})
    env = {"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": "1"}]}]}}}}
    patched = patches.apply(minimal("StatefulSet"), env, "strategic", keys)
    (container,) = patched["spec"]["template"]["spec"]["containers"]
    assert container == {"name": "c", "image": "i:1", "env": [{"name": "A", "value": "1"}]}
