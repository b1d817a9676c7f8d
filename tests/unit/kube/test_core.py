"""The table of kinds: defaults, rules, and what kubectl shows."""

from typing import Any

import pytest

from kedge.kube import core
from kedge.kube.kinds import Kind, Obj
from kedge.kube.pod_columns import pod_status


def _faults(kind: Kind, new: Obj, old: Obj | None = None) -> dict[str, str]:
    assert kind.validate is not None
    return {cause.field: cause.message for cause in kind.validate(new, old)}


def _pod(**spec: Any) -> Obj:
    return {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "main", "image": "python:3.11"}], **spec}}


def _container(**fields: Any) -> Obj:
    return _pod(containers=[{"name": "main", "image": "python:3.11", **fields}], volumes=[{"name": "v", "emptyDir": {}}])


def test_every_kind_is_named_once() -> None:
    names = [
        name
        for kind in core.KINDS
        for name in (f"{kind.resource} {kind.version}", *(kind.short_names if kind.form is None else ()))
    ]
    assert len(names) == len(set(names))


def test_a_pod_gets_the_defaults_of_a_real_server() -> None:
    pod = _pod(volumes=[{"name": "v"}, {"name": "c", "configMap": {"name": "x"}}])
    pod["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1"}}
    core.POD.default(pod) if core.POD.default else None
    container = pod["spec"]["containers"][0]
    assert pod["spec"]["restartPolicy"] == "Always"
    assert pod["spec"]["terminationGracePeriodSeconds"] == 30
    assert pod["spec"]["serviceAccountName"] == "default"
    assert pod["spec"]["volumes"] == [
        {"name": "v", "emptyDir": {}},
        {"name": "c", "configMap": {"name": "x", "defaultMode": 420}},
    ]
    assert container["terminationMessagePath"] == "/dev/termination-log"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["resources"]["requests"] == {"cpu": "1"}
    assert pod["status"] == {"phase": "Pending"}
    again = {**pod}
    core.POD.default(again) if core.POD.default else None
    assert again == pod


@pytest.mark.parametrize(
    "pod", [_pod(), _container(command=["a"], env=[{"name": "A", "value": ""}]), _pod(restartPolicy="Never")]
)
def test_good_pods(pod: Obj) -> None:
    assert _faults(core.POD, pod) == {}


def test_a_pods_image_may_change_and_its_node_is_set_once() -> None:
    other = _pod(containers=[{"name": "main", "image": "python:3.12"}])
    assert _faults(core.POD, other, _pod()) == {}
    assert _faults(core.POD, _pod(nodeName="a"), _pod()) == {}
    assert "changed: nodeName" in _faults(core.POD, _pod(nodeName="b"), _pod(nodeName="a"))["spec"]


def test_texts_of_a_secret_become_data() -> None:
    secret: Obj = {"stringData": {"a": "hello"}, "data": {"b": "eA=="}}
    core.SECRET.default(secret) if core.SECRET.default else None
    assert secret == {"data": {"a": "aGVsbG8=", "b": "eA=="}, "type": "Opaque"}


@pytest.mark.parametrize(
    ("kind", "new", "old", "field", "message"),
    [
        (
            core.CONFIG_MAP,
            {"data": {"a": ""}, "binaryData": {"a": ""}},
            None,
            "data[a]",
            "duplicate of key present in binaryData",
        ),
        (core.EVENT, {"metadata": {"namespace": "a"}}, None, "involvedObject.namespace", "does not match event.namespace"),
        (
            core.EVENT,
            {"metadata": {"namespace": "a"}, "involvedObject": {"namespace": "b"}},
            None,
            "involvedObject.namespace",
            "does not match event.namespace",
        ),
    ],
)
def test_other_rules(kind: Kind, new: Obj, old: Obj | None, field: str, message: str) -> None:
    assert message in _faults(kind, new, old)[field]


def _status(**status: Any) -> Obj:
    return {"metadata": {}, "spec": {"containers": [{}], "initContainers": [{"name": "i"}]}, "status": status}


_ENDED = {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
_KILLED = {"state": {"terminated": {"exitCode": 137, "signal": 9}}}
_RUNS = {"ready": True, "state": {"running": {}}}
_IS_READY = {"type": "Ready", "status": "True"}


@pytest.mark.parametrize(
    ("pod", "word"),
    [
        (_status(phase="Running"), "Running"),
        (_status(phase="Failed", reason="Evicted"), "Evicted"),
        (_status(phase="Pending", initContainerStatuses=[{"name": "i", "state": {"running": {}}}]), "Init:0/1"),
        (
            _status(phase="Pending", initContainerStatuses=[{"name": "i", "state": {"terminated": {"exitCode": 3}}}]),
            "Init:ExitCode:3",
        ),
        (_status(phase="Pending", containerStatuses=[{"state": {"waiting": {"reason": "ImageRefused"}}}]), "ImageRefused"),
        (_status(phase="Failed", containerStatuses=[{"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]), "Error"),
        (
            _status(phase="Succeeded", containerStatuses=[{"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]),
            "Completed",
        ),
        (_status(phase="Running", containerStatuses=[_ENDED, _RUNS]), "NotReady"),
        (_status(phase="Running", containerStatuses=[_ENDED, _RUNS], conditions=[_IS_READY]), "Running"),
        (_status(phase="Running", containerStatuses=[_ENDED, _KILLED]), "Signal:9"),
        (_status(phase="Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]), "SchedulingGated"),
    ],
)
def test_what_kubectl_says_of_a_pod(pod: Obj, word: str) -> None:
    assert pod_status(pod) == word


@pytest.mark.parametrize("kind", core.KINDS, ids=lambda kind: kind.kind)
def test_columns_bear_an_empty_object(kind: Kind) -> None:
    for column in kind.columns:
        column.value({"metadata": {}})
