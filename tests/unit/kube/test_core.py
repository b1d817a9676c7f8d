"""The table of kinds: defaults, rules, and what kubectl shows."""

from typing import Any

import pytest

from kedge.kube import core
from kedge.kube.columns import pod_status
from kedge.kube.kinds import Kind, Obj


def _faults(kind: Kind, new: Obj, old: Obj | None = None) -> dict[str, str]:
    assert kind.validate is not None
    return {cause.field: cause.message for cause in kind.validate(new, old)}


def _pod(**spec: Any) -> Obj:
    return {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "main", "image": "python:3.11"}], **spec}}


def _container(**fields: Any) -> Obj:
    return _pod(containers=[{"name": "main", "image": "python:3.11", **fields}], volumes=[{"name": "v", "emptyDir": {}}])


def test_every_kind_is_named_once() -> None:
    names = [name for kind in core.KINDS for name in (kind.resource, *kind.short_names)]
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


@pytest.mark.parametrize(
    ("pod", "field", "message"),
    [
        ({"metadata": {}}, "spec", "is required, and must be an object"),
        (_pod(containers=[]), "spec.containers", "is required: a Pod has at least one container"),
        (_pod(containers=[{"image": "x"}]), "spec.containers[0].name", "is required"),
        (_pod(containers=[{"name": "Main", "image": "x"}]), "spec.containers[0].name", "must be lower-case"),
        (_pod(containers=[{"name": "a", "image": "x"}] * 2), "spec.containers[1].name", "must be unique, 'a' is there twice"),
        (_pod(initContainers=[{"name": "main", "image": "x"}]), "spec.containers[0].name", "must be unique"),
        (_pod(containers=[{"name": "a"}]), "spec.containers[0].image", "is required"),
        (_pod(restartPolicy="never"), "spec.restartPolicy", "must be Always or OnFailure or Never, got 'never'"),
        (_pod(activeDeadlineSeconds=0), "spec.activeDeadlineSeconds", "must be a whole number >= 1, got 0"),
        (_pod(terminationGracePeriodSeconds="3"), "spec.terminationGracePeriodSeconds", "must be a whole number >= 0, got '3'"),
        (_container(command="sleep 1"), "spec.containers[0].command", "must be a list of strings, got 'sleep 1'"),
        (_container(args=[1]), "spec.containers[0].args", "must be a list of strings"),
        (_container(restartPolicy="Always"), "spec.containers[0].restartPolicy", "may be set on init containers only"),
        (_container(env=[{"value": "x"}]), "spec.containers[0].env[0].name", "is required"),
        (_container(env=[{"name": "1A"}]), "spec.containers[0].env[0].name", "not start with a digit"),
        (
            _container(env=[{"name": "A", "value": 1}]),
            "spec.containers[0].env[0].value",
            "must be a string, got 1: put it in quotes",
        ),
        (
            _container(env=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {}}}]),
            "spec.containers[0].env[0].valueFrom",
            "may not be set together with value",
        ),
        (
            _container(volumeMounts=[{"name": "w", "mountPath": "/a"}]),
            "spec.containers[0].volumeMounts[0].name",
            "names no volume of spec.volumes: 'w'",
        ),
        (_container(volumeMounts=[{"name": "v"}]), "spec.containers[0].volumeMounts[0].mountPath", "is required"),
        (
            _container(volumeMounts=[{"name": "v", "mountPath": "/a"}] * 2),
            "spec.containers[0].volumeMounts[1].mountPath",
            "must be unique, '/a' is there twice",
        ),
        (
            _container(volumeMounts=[{"name": "v", "mountPath": "/a", "subPath": "../x"}]),
            "spec.containers[0].volumeMounts[0].subPath",
            "must be a path inside the volume",
        ),
        (
            _container(resources={"requests": {"cpu": "lots"}}),
            "spec.containers[0].resources.requests[cpu]",
            "must be a quantity such as 500m, 2 or 1.5Gi, got 'lots'",
        ),
        (
            _container(resources={"requests": {"cpu": 2}, "limits": {"cpu": 1}}),
            "spec.containers[0].resources.requests[cpu]",
            "must be at most the limit, 1, got 2",
        ),
        (
            _pod(volumes=[{"name": "v", "emptyDir": {}, "secret": {}}]),
            "spec.volumes[0]",
            "may have one source only, got emptyDir, secret",
        ),
        (_pod(volumes=[{"name": "v"}, {"name": "v"}]), "spec.volumes[1].name", "must be unique"),
    ],
)
def test_bad_pods_name_the_field(pod: Obj, field: str, message: str) -> None:
    assert message in _faults(core.POD, pod)[field]


def test_a_pod_is_fixed_when_it_is_created() -> None:
    changed = _pod(restartPolicy="Never")
    message = _faults(core.POD, changed, _pod())["spec.restartPolicy"]
    assert message == "may not be changed: a Pod's restartPolicy is fixed when it is created. Delete the Pod and create it anew"


def test_a_pods_image_may_change_and_its_node_is_set_once() -> None:
    other = _pod(containers=[{"name": "main", "image": "python:3.12"}])
    assert _faults(core.POD, other, _pod()) == {}
    assert _faults(core.POD, _pod(nodeName="a"), _pod()) == {}
    assert "the Pod is bound to 'a'" in _faults(core.POD, _pod(nodeName="b"), _pod(nodeName="a"))["spec.nodeName"]


def test_texts_of_a_secret_become_data() -> None:
    secret: Obj = {"stringData": {"a": "hello"}, "data": {"b": "eA=="}}
    core.SECRET.default(secret) if core.SECRET.default else None
    assert secret == {"data": {"a": "aGVsbG8=", "b": "eA=="}, "type": "Opaque"}


@pytest.mark.parametrize(
    ("kind", "new", "old", "field", "message"),
    [
        (core.CONFIG_MAP, {"data": {"a": 1}}, None, "data[a]", "must be a string, got 1: put it in quotes"),
        (core.CONFIG_MAP, {"data": []}, None, "data", "must be an object, got list"),
        (core.CONFIG_MAP, {"binaryData": {"a": "?"}}, None, "binaryData[a]", "must be base64"),
        (core.CONFIG_MAP, {"data": {"a": ""}, "binaryData": {"a": ""}}, None, "binaryData[a]", "is also in data"),
        (core.CONFIG_MAP, {"data": {"a": "x" * (2 << 20)}}, None, "data", "must be at most 1048576 bytes together, got 2097152"),
        (
            core.CONFIG_MAP,
            {"data": {"a": "2"}, "immutable": True},
            {"data": {"a": "1"}, "immutable": True},
            "data",
            "is immutable",
        ),
        (core.SECRET, {"type": "b"}, {"type": "a"}, "type", "may not be changed from 'a'"),
        (core.EVENT, {}, None, "involvedObject", "is required"),
        (
            core.EVENT,
            {"metadata": {"namespace": "a"}, "involvedObject": {"namespace": "b"}},
            None,
            "involvedObject.namespace",
            "must be the event's own, 'a', got 'b'",
        ),
    ],
)
def test_other_rules(kind: Kind, new: Obj, old: Obj | None, field: str, message: str) -> None:
    assert message in _faults(kind, new, old)[field]


def _status(**status: Any) -> Obj:
    return {"metadata": {}, "spec": {"containers": [{}], "initContainers": [{"name": "i"}]}, "status": status}


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
    ],
)
def test_what_kubectl_says_of_a_pod(pod: Obj, word: str) -> None:
    assert pod_status(pod) == word


@pytest.mark.parametrize("kind", core.KINDS, ids=lambda kind: kind.kind)
def test_columns_bear_an_empty_object(kind: Kind) -> None:
    for column in kind.columns:
        column.value({"metadata": {}})
