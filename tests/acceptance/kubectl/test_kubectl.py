"""What people do with `kubectl`, unmodified, on each kind."""

import json
import time
from typing import Any

import pytest

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"app": "web"}},
    "spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "python:3.11", "command": ["sleep", "1"], "env": [{"name": "A", "value": "b"}]}],
    },
}


def meta(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": "default"}


OBJECTS: dict[str, tuple[str, Any]] = {
    "Pod": ("pods", POD),
    "ConfigMap": ("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("c"), "data": {"a": "b"}}),
    "Secret": ("secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": meta("s"), "data": {"a": "Yg=="}}),
    "ServiceAccount": ("serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("a")}),
    "Namespace": ("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}}),
    "Lease": (
        "leases",
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta("l"), "spec": {"holderIdentity": "me"}},
    ),
    "Event": (
        "events",
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": meta("e"),
            "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
            "reason": "Started",
            "message": "It began.",
            "type": "Normal",
            "firstTimestamp": "2026-01-01T00:00:00Z",
            "lastTimestamp": "2026-01-01T00:00:00Z",
            "count": 1,
        },
    ),
    "Widget": ("widgets", {"apiVersion": "kedge.dev/v1", "kind": "Widget", "metadata": meta("w"), "spec": {"size": 3}}),
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_the_life_of_an_object(kubectl: Any, kind: str) -> None:
    plural, obj = OBJECTS[kind]
    name = obj["metadata"]["name"]
    assert "created" in kubectl.apply(obj)
    assert "unchanged" in kubectl.apply(obj)
    assert name in kubectl("get", plural)
    assert name in kubectl("get", plural, "-o", "wide")
    assert f"name: {name}" in kubectl("get", plural, name, "-o", "yaml")
    assert kubectl("get", plural, "-o", "custom-columns=N:.metadata.name", "--no-headers", "--chunk-size=1").split()
    assert name in kubectl("describe", plural, name)
    assert "labeled" in kubectl("label", plural, name, "tier=front")
    assert "annotated" in kubectl("annotate", plural, name, "note=hello")
    assert f"{name}\n" in kubectl("get", plural, "-l", "tier=front", "-o", "custom-columns=N:.metadata.name")
    patch = json.dumps([{"op": "remove", "path": "/metadata/labels/tier"}])
    assert "patched" in kubectl("patch", plural, name, "--type=json", "-p", patch)
    assert "patched" in kubectl("patch", plural, name, "--type=merge", "-p", '{"metadata":{"labels":{"x":"y"}}}')
    changed = {**obj, "metadata": {**obj["metadata"], "labels": {"app": "other"}}}
    assert "configured" in kubectl.apply(changed)
    labels = kubectl.json("get", plural, name)["metadata"]["labels"]
    assert (labels["app"], labels["x"]) == ("other", "y")
    assert kubectl.apply(changed, verb="diff") == ""
    assert "deleted" in kubectl("delete", plural, name)
    assert "NotFound" in kubectl("get", plural, name, fails=True)


def test_apply_removes_what_is_no_longer_in_the_file(kubectl: Any) -> None:
    obj = OBJECTS["ConfigMap"][1]
    kubectl.apply({**obj, "data": {"a": "b", "c": "d"}})
    kubectl.apply(obj)
    assert kubectl.json("get", "cm", "c")["data"] == {"a": "b"}
    kubectl("delete", "cm", "c")


def test_edit(kubectl: Any) -> None:
    kubectl.apply(OBJECTS["Widget"][1])
    assert "edited" in kubectl("edit", "widget", "w")
    assert kubectl.json("get", "widget", "w")["spec"]["size"] == 4
    kubectl("delete", "widget", "w")


def test_a_mistyped_field_is_refused(kubectl: Any) -> None:
    widget = {**OBJECTS["Widget"][1], "spec": {"sizes": 3}}
    assert 'unknown field "spec.sizes"' in kubectl.apply(widget, fails=True)
    sound: Any = POD["spec"]
    containers = sound["containers"]
    for spec, path in (
        ({"contianers": containers}, "spec.contianers"),
        ({"containers": [{**containers[0], "comand": ["x"]}]}, "spec.containers[0].comand"),
    ):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta("p"), "spec": spec}
        assert f'strict decoding error: unknown field "{path}"' in kubectl.apply(pod, fails=True)
        assert f'strict decoding error: unknown field "{path}"' in kubectl.apply(pod, verb="create", fails=True)
    warned = kubectl.apply(pod, "--validate=warn")
    assert 'Warning: unknown field "spec.containers[0].comand"' in warned
    assert "comand" not in json.dumps(kubectl.json("get", "pod", "p")["spec"])
    kubectl("delete", "pod", "p", "--now")


def test_explain_knows_the_whole_pod(kubectl: Any) -> None:
    told = kubectl("explain", "pod.spec.affinity.podAntiAffinity")
    assert "requiredDuringSchedulingIgnoredDuringExecution" in told
    assert "<[]PodAffinityTerm>" in told
    assert "DNS label" in kubectl("explain", "pod.spec.containers.name")
    assert "<Quantity>" in kubectl("explain", "pod.spec.containers.env.valueFrom.resourceFieldRef")


@pytest.mark.parametrize(
    ("path", "texts"),
    [
        ("pod.spec.containers", ["The image that it runs.", "Whether it has a terminal.", "What runs; at least one."]),
        ("service.spec.ports", ["Number or name of the port of the Pods; as port when left out."]),
        ("persistentvolumeclaim", ["A request for storage that outlives the Pods that mount it."]),
        ("job.spec.template.spec.volumes.configMap", ["Name of the ConfigMap.", "Which keys appear as files"]),
        ("jobset.spec.replicatedJobs.template.spec", ["How many Pods run at one time; 1 when left out."]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_explain_says_what_kinds_and_fields_are(kubectl: Any, path: str, texts: list[str]) -> None:
    told = kubectl("explain", path)
    assert [text for text in texts if text not in " ".join(told.split())] == []
    assert "<no description>" not in told
    assert "<empty>" not in told


def test_what_is_sent_as_protobuf(kubectl: Any) -> None:
    kubectl("create", "namespace", "team-b")
    kubectl("create", "configmap", "c", "--from-literal=a=b", "-n", "team-b")
    kubectl("create", "secret", "generic", "s", "--from-literal=p=q", "-n", "team-b")
    kubectl("create", "secret", "docker-registry", "d", "--docker-username=u", "--docker-password=p", "-n", "team-b")
    kubectl("create", "serviceaccount", "a", "-n", "team-b")
    assert kubectl.json("get", "cm", "c", "-n", "team-b")["data"] == {"a": "b"}
    assert kubectl.json("get", "secret", "s", "-n", "team-b")["data"] == {"p": "cQ=="}
    assert kubectl("create", "token", "a", "-n", "team-b", "--audience=kedge", "--duration=10m").count(".") == 2
    assert "created" in kubectl("create", "configmap", "dry", "--dry-run=server")
    assert 'namespaces "nowhere" not found' in kubectl("create", "configmap", "c", "-n", "nowhere", fails=True)
    assert '"c" already exists' in kubectl("create", "configmap", "c", "-n", "team-b", fails=True)
    kubectl("delete", "namespace", "team-b")


def test_a_review_is_created_after_kubectl_has_checked_it(kubectl: Any) -> None:
    # A review cannot be patched, so kubectl checks it by itself, against OpenAPI v2 in protobuf.
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "nobody's"}}
    assert "tokenreview" in kubectl.apply(review, verb="create")
    misspelt = {**review, "spec": {"tokn": "nobody's"}}
    assert 'unknown field "tokn"' in kubectl.apply(misspelt, verb="create", fails=True)


def test_replace_and_delete_by_file_and_selector(kubectl: Any) -> None:
    obj = OBJECTS["ConfigMap"][1]
    kubectl.apply(obj, verb="create")
    assert "replaced" in kubectl.apply({**obj, "data": {"x": "y"}}, verb="replace")
    assert "deleted" in kubectl.apply(obj, verb="delete")
    for name in ("one", "two"):
        kubectl("create", "configmap", name)
        kubectl("label", "cm", name, "go=yes")
    assert kubectl("delete", "cm", "-l", "go=yes").count("deleted") == 2


def test_logs_wait_and_watch(kubectl: Any) -> None:
    kubectl.apply(POD)
    assert "condition met" in kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=60s")
    assert kubectl("logs", "p", "--tail=2") == "main line 9\nmain line 10\n"
    assert kubectl("logs", "-l", "app=web", "--tail=1") == "main line 10\n"
    assert "not found" in kubectl("logs", "p", "--previous", fails=True)
    assert "container x is not valid" in kubectl("logs", "p", "-c", "x", fails=True)
    with kubectl.start("logs", "-f", "p") as following, kubectl.start("get", "pods", "-w") as watching:
        try:
            read_until(watching, "Running")
            read_until(following, "main line 10")
            kubectl("label", "pod", "p", "seen=yes")
            kubectl("delete", "pod", "p")
            read_until(following, "more")
            read_until(watching, "Terminating")
            assert following.wait(60) == 0
        finally:
            watching.terminate()
            following.kill()


def read_until(process: Any, word: str) -> None:
    deadline = time.monotonic() + 60
    while (line := process.stdout.readline()) and time.monotonic() < deadline:
        if word in line:
            return
    pytest.fail(f"{process.args}: ended without {word!r}")


def test_who_i_am_and_what_there_is(kubectl: Any) -> None:
    assert "kedge-owner" in kubectl("auth", "whoami")
    assert kubectl("auth", "can-i", "create", "pods").strip() == "yes"
    assert "*.*" in kubectl("auth", "can-i", "--list")
    resources = kubectl("api-resources")
    assert all(kind in resources for kind in OBJECTS)
    assert "kedge.dev/v1" in kubectl("api-versions")
    assert "Server Version: v1.36" in kubectl("version")
    assert "The image that it runs." in kubectl("explain", "pod.spec.containers.image")
    assert "How large." in kubectl("explain", "widget.spec.size")
    assert kubectl("get", "--raw", "/readyz") == "ok"


def test_a_categories_word_finds_pods_and_widgets(kubectl: Any) -> None:
    kubectl.apply(OBJECTS["Widget"][1])
    assert "widget.kedge.dev/w" in kubectl("get", "all")
    kubectl("delete", "wd", "w")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("get", "deployments"), "the server doesn't have a resource type"),
        (("exec", "p", "--", "ls"), "this host runs no Pods"),
        (("get", "pods", "--field-selector=spec.colour=red"), "field label not supported: spec.colour"),
        (("delete", "namespace", "default"), "this namespace may not be deleted"),
    ],
)
def test_what_is_refused_says_why(kubectl: Any, arguments: tuple[str, ...], message: str) -> None:
    kubectl.apply(POD)
    assert message in kubectl(*arguments, fails=True)


def test_without_a_token_nothing_is_told(kubectl: Any) -> None:

    assert "the token is not known here" in kubectl("--token=wrong", "get", "pods", fails=True)
