"""External webhooks are asked before objects are stored, and their answers have the same words on both hosts."""

import secrets
import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import kubeconfigs
import pytest
import webhook_server
from hosts import HOSTS
from webhook_server import Handler, Obj, Webhooks, allowed, denied, patched

from kedge.testing.host import running_host

PROBE = {"matchLabels": {"probe": "yes"}}
NO_PROBE = {"matchExpressions": [{"key": "probe", "operator": "DoesNotExist"}]}
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
SECONDS = 60


class Place:
    """A namespace of one server, and webhooks for what is in it.

    Args:
        server: The API server.
        hooks: What answers.
        name: The namespace's.
    """

    def __init__(self, server: httpx.Client, hooks: Webhooks, name: str) -> None:
        self.server, self.hooks, self.name = server, hooks, name
        self.maps = f"/api/v1/namespaces/{name}/configmaps"

    def hook(self, path: str, handler: Handler, **more: Any) -> Obj:
        """An entry of a configuration; everything about ConfigMaps of the namespace is asked at a path."""
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}
        return {
            "name": f"{path.strip('/')}.webhooks.kedge.dev",
            "clientConfig": self.hooks.at(path, handler),
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.name}},
            "objectSelector": NO_PROBE,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 5,
            **more,
        }

    @contextmanager
    def asking(self, *entries: Obj, mutating: bool = False) -> Generator[None]:
        """Has a configuration, from when the server follows it."""
        kind = "Mutating" if mutating else "Validating"
        path = f"{REGISTRATION}/{kind.lower()}webhookconfigurations"
        probe = self.hook("/probe", allowed(), objectSelector=PROBE)
        name = f"t-{secrets.token_hex(4)}"
        made = self.server.post(path, json={"metadata": {"name": name}, "webhooks": [*entries, probe]})
        assert made.status_code == 201, made.text
        try:
            deadline = time.monotonic() + SECONDS
            while not self.hooks.take("/probe"):
                assert time.monotonic() < deadline, "the configuration is not followed"
                self.create("probe", labels={"probe": "yes"}, params={"dryRun": "All"})
            yield
        finally:
            self.server.delete(f"{path}/{name}")

    def create(self, name: str, *, params: Any = None, data: Any = None, **meta: Any) -> httpx.Response:
        """Make a ConfigMap."""
        obj = {"metadata": {"name": name, **meta}, "data": data or {}}
        return self.server.post(self.maps, json=obj, params=params)


@pytest.fixture(scope="module", params=HOSTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    def filled(server: httpx.Client) -> Iterator[Place]:
        name = f"asked-{secrets.token_hex(4)}"
        with webhook_server.running(tmp_path_factory.mktemp("webhooks")) as hooks:
            server.post("/api/v1/namespaces", json={"metadata": {"name": name}}).raise_for_status()
            made = Place(server, hooks, name)
            deadline = time.monotonic() + SECONDS
            # A cluster's controller puts a ConfigMap of its own into every namespace, which hooks would be asked about.
            while request.param == "cluster" and server.get(f"{made.maps}/kube-root-ca.crt").status_code != 200:
                assert time.monotonic() < deadline, "the namespace has no kube-root-ca.crt"
                threading.Event().wait(0.1)
            yield made
            server.delete(f"/api/v1/namespaces/{name}")

    if request.param == "cluster":
        cluster = request.getfixturevalue("cluster")
        if not cluster.is_here:
            pytest.fail("the webhooks of this test listen on the loopback of the machine that the API server runs on")
        with kubeconfigs.client(cluster.kubeconfig, cluster.context) as server:
            yield from filled(server)
        return
    with running_host() as kedge, kubeconfigs.client(kedge.home / "kubeconfig") as server:
        yield from filled(server)


def test_a_webhook_is_told_all_about_a_write(place: Place) -> None:
    with place.asking(place.hook("/told", allowed())):
        assert place.create("told", params={"fieldManager": "me", "fieldValidation": "Strict"}).status_code == 201
        place.server.patch(
            f"{place.maps}/told", json={"data": {"a": "1"}}, headers={"content-type": "application/merge-patch+json"}
        ).raise_for_status()
        place.server.request(
            "DELETE", f"{place.maps}/told", json={"propagationPolicy": "Background", "apiVersion": "v1", "kind": "DeleteOptions"}
        ).raise_for_status()
    created, updated, deleted = place.hooks.take("/told")
    version = {"group": "", "version": "v1"}
    assert created["uid"] != updated["uid"]
    assert created["query"] == "timeout=5s"
    for asked in (created, updated, deleted):
        assert asked["kind"] == asked["requestKind"] == {**version, "kind": "ConfigMap"}
        assert asked["resource"] == asked["requestResource"] == {**version, "resource": "configmaps"}
        assert (asked["name"], asked["namespace"], asked["dryRun"]) == ("told", place.name, False)
        assert "subResource" not in asked
        assert "system:masters" in asked["userInfo"]["groups"]
        assert asked["userInfo"]["username"]
    assert [asked["operation"] for asked in (created, updated, deleted)] == ["CREATE", "UPDATE", "DELETE"]
    meta = "meta.k8s.io/v1"
    sent = {"kind": "CreateOptions", "apiVersion": meta, "fieldManager": "me", "fieldValidation": "Strict"}
    assert created["options"] == sent
    assert updated["options"] == {"kind": "UpdateOptions", "apiVersion": meta}
    assert deleted["options"] == {"kind": "DeleteOptions", "apiVersion": meta, "propagationPolicy": "Background"}
    assert created["oldObject"] is None
    assert created["object"]["kind"] == "ConfigMap"
    assert created["object"]["metadata"]["uid"]
    assert updated["object"]["data"] == {"a": "1"}
    assert updated["oldObject"]["metadata"]["uid"] == created["object"]["metadata"]["uid"]
    assert deleted["object"] is None
    assert deleted["oldObject"]["data"] == {"a": "1"}


def test_a_dry_run_and_a_deletion_of_many_are_told_as_such(place: Place) -> None:
    with place.asking(place.hook("/many", allowed())):
        place.create("dry", params={"dryRun": "All"}).raise_for_status()
        (asked,) = place.hooks.take("/many")
        assert asked["dryRun"] is True
        assert asked["options"]["dryRun"] == ["All"]
        for name in ("one", "two"):
            place.create(name, labels={"many": "yes"})
        place.hooks.take("/many")
        place.server.delete(place.maps, params={"labelSelector": "many=yes"}).raise_for_status()
        found = place.hooks.take("/many")
    assert sorted(asked["oldObject"]["metadata"]["name"] for asked in found) == ["one", "two"]
    assert {asked["operation"] for asked in found} == {"DELETE"}
    assert not any("name" in asked for asked in found)


def test_subresources_are_asked_about_with_their_own_kinds(place: Place) -> None:
    rule = {"apiGroups": ["apps"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["deployments/*"]}
    deployments = f"/apis/apps/v1/namespaces/{place.name}/deployments"
    labels = {"app": "scaled"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "none"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    merge = {"content-type": "application/merge-patch+json"}
    grown = patched({"op": "replace", "path": "/spec/replicas", "value": 0})
    with place.asking(place.hook("/scale", grown, rules=[rule]), mutating=True):
        place.server.post(deployments, json={"metadata": {"name": "scaled"}, "spec": spec}).raise_for_status()
        place.hooks.take("/scale")
        answer = place.server.patch(f"{deployments}/scaled/scale", json={"spec": {"replicas": 3}}, headers=merge)
        assert answer.json()["spec"].get("replicas", 0) == 0
        asked = next(each for each in place.hooks.take("/scale") if each.get("subResource") == "scale")
    assert asked["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert asked["resource"] == {"group": "apps", "version": "v1", "resource": "deployments"}
    assert asked["requestSubResource"] == "scale"
    assert asked["object"]["spec"] == {"replicas": 3}
    place.server.delete(f"{deployments}/scaled")


@pytest.mark.parametrize(
    ("path", "kind", "subresource"),
    [
        ("pods/asked/eviction", ("policy", "v1", "Eviction"), "eviction"),
        ("pods/asked/binding", ("", "v1", "Binding"), "binding"),
        ("bindings", ("", "v1", "Binding"), None),
    ],
)
def test_what_is_posted_to_end_or_to_bind_a_pod_is_asked_about(
    place: Place, path: str, kind: tuple[str, str, str], subresource: str | None
) -> None:
    resources = ["pods/eviction", "pods/binding", "bindings"]
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": resources}
    core = f"/api/v1/namespaces/{place.name}"
    container = {"name": "c", "image": "python:3.11", "command": ["sleep", "600"]}
    spec = {"containers": [container], "nodeSelector": {"kedge.dev/none": "here"}}
    place.server.post(f"{core}/pods", json={"metadata": {"name": "asked"}, "spec": spec}).raise_for_status()
    group, version, name = kind
    body = {"apiVersion": f"{group}/{version}".strip("/"), "kind": name, "metadata": {"name": "asked"}}
    body |= {"target": {"kind": "Node", "name": "nowhere"}} if name == "Binding" else {}
    with place.asking(place.hook("/posted", denied({"message": "not this one"}), rules=[rule])):
        refused = place.server.post(f"{core}/{path}", json=body).json()
        (asked,) = place.hooks.take("/posted")
    assert refused["message"] == 'admission webhook "posted.webhooks.kedge.dev" denied the request: not this one'
    assert asked["kind"] == {"group": group, "version": version, "kind": name}
    assert (asked.get("subResource"), asked["operation"]) == (subresource, "CREATE")
    assert asked["object"]["metadata"]["name"] == "asked"
    place.server.delete(f"{core}/pods/asked", params={"gracePeriodSeconds": 0})


@pytest.mark.parametrize(
    ("path", "kind", "options"),
    [
        ("pods/nobody/attach?stdin=true&container=c", "PodAttachOptions", {"stdin": True, "container": "c"}),
        ("pods/nobody/exec?stdout=true&command=a&command=b", "PodExecOptions", {"stdout": True, "command": ["a", "b"]}),
        ("pods/nobody/portforward?ports=80", "PodPortForwardOptions", {"ports": [80]}),
        ("pods/nobody/proxy/a/b?c=d", "PodProxyOptions", {"path": "/a/b"}),
        ("services/nobody/proxy/a/", "ServiceProxyOptions", {"path": "/a/"}),
    ],
)
def test_connections_are_asked_about_before_they_are_made(place: Place, path: str, kind: str, options: Obj) -> None:
    resources = ["pods/*", "services/proxy"]
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CONNECT"], "resources": resources}
    hooks = (
        place.hook("/connected", denied({"message": "not here"}), rules=[rule], objectSelector={}),
        place.hook("/labelled", allowed(), rules=[rule], objectSelector=NO_PROBE),
    )
    with place.asking(*hooks):
        refused = place.server.get(f"/api/v1/namespaces/{place.name}/{path}").json()
        (asked,) = place.hooks.take("/connected")
        assert place.hooks.take("/labelled") == []
    assert refused["message"] == 'admission webhook "connected.webhooks.kedge.dev" denied the request: not here'
    assert (asked["operation"], asked["name"], asked.get("options")) == ("CONNECT", "nobody", None)
    assert asked["kind"] == {"group": "", "version": "v1", "kind": kind}
    assert asked["subResource"] == path.partition("?")[0].split("/")[2]
    assert {name: asked["object"].get(name) for name in options} == options


def test_what_webhooks_change_is_defaulted_checked_and_stored(place: Place) -> None:
    services = f"/api/v1/namespaces/{place.name}/services"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["services"]}
    added = patched({"op": "add", "path": "/spec/ports/-", "value": {"name": "more", "port": 81}})
    with place.asking(place.hook("/added", added, rules=[rule]), mutating=True):
        made = place.server.post(services, json={"metadata": {"name": "s"}, "spec": {"ports": [{"name": "one", "port": 80}]}})
    assert [port["port"] for port in made.json()["spec"]["ports"]] == [80, 81]
    assert made.json()["spec"]["ports"][1]["protocol"] == "TCP"  # its default
    assert made.json()["spec"]["ports"][1]["targetPort"] == 81
    broken = patched({"op": "replace", "path": "/spec/ports/0/port", "value": 0})
    with place.asking(place.hook("/broken", broken, rules=[rule]), mutating=True):
        refused = place.server.post(services, json={"metadata": {"name": "r"}, "spec": {"ports": [{"port": 80}]}})
    assert refused.status_code == 422
    assert "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive" in refused.json()["message"]


def test_webhooks_change_one_after_the_other_and_who_wants_to_sees_it_again(place: Place) -> None:
    def letter(name: str) -> Handler:
        def change(request: Obj) -> Any:
            trail = request["object"].get("data", {}).get("trail", "")
            done = {"op": "add", "path": "/data", "value": {"trail": trail + name}}
            return patched(done)(request) if name not in trail else {"allowed": True}

        return change

    first = place.hook("/a", letter("a"), reinvocationPolicy="IfNeeded")
    second, third = place.hook("/b", letter("b")), place.hook("/c", letter("c"), reinvocationPolicy="IfNeeded")
    with place.asking(first, second, third, mutating=True):
        assert place.create("trail").json()["data"] == {"trail": "abc"}
    assert [len(place.hooks.take(path)) for path in ("/a", "/b", "/c")] == [2, 1, 1]


REFUSALS: dict[str, tuple[Obj | None, int, str, str]] = {
    "of-a-controller": (
        {"code": 403, "reason": "Forbidden", "message": "not today"},
        403,
        "Forbidden",
        'admission webhook "refusing.webhooks.kedge.dev" denied the request: not today',
    ),
    "with-details": (
        {"code": 422, "reason": "Invalid", "message": "no", "details": {"causes": [{"field": "data", "message": "bad"}]}},
        422,
        "Invalid",
        'admission webhook "refusing.webhooks.kedge.dev" denied the request: no',
    ),
    "with-a-reason": (
        {"reason": "Gone"},
        400,
        "Gone",
        'admission webhook "refusing.webhooks.kedge.dev" denied the request: Gone',
    ),
    "with-a-good-code": (
        {"code": 200, "message": "no"},
        400,
        "",
        'admission webhook "refusing.webhooks.kedge.dev" denied the request: no',
    ),
    "without-a-word": (None, 400, "", 'admission webhook "refusing.webhooks.kedge.dev" denied the request without explanation'),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_who_is_refused_is_told_by_whom_and_why(place: Place, name: str) -> None:
    status, code, reason, message = REFUSALS[name]
    with place.asking(place.hook("/refusing", denied(status))):
        refused = place.create("refused")
    told = refused.json()
    assert (refused.status_code, told["code"], told.get("reason", ""), told["message"]) == (code, code, reason, message)
    assert told.get("details", {}).get("causes") == (status or {}).get("details", {}).get("causes")


def test_warnings_go_to_the_client(place: Place) -> None:
    with place.asking(place.hook("/warning", allowed(warnings=["old field", "use another"]))):
        made = place.create("warned")
    assert made.headers.get_list("warning", split_commas=True) == ['299 - "old field"', '299 - "use another"']


BAD: dict[str, tuple[Handler, str]] = {
    "another-uid": (allowed(uid="x"), 'received invalid webhook response: expected response.uid="'),
    "no-answer": (
        lambda _request: (200, {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}),
        "received invalid webhook response: webhook response was absent",
    ),
    "an-error": (
        lambda _request: (500, "boom"),
        'failed to call webhook: an error on the server ("boom") has prevented the request from succeeding',
    ),
    "no-path": (lambda _request: (404, "x"), "failed to call webhook: the server could not find the requested resource"),
    "a-patch-of-a-judge": (
        patched({"op": "add", "path": "/data", "value": {}}),
        "received invalid webhook response: validating webhook may not return response.patch",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_answer_fails_the_write_unless_that_is_ignored(place: Place, name: str) -> None:
    handler, why = BAD[name]
    with place.asking(place.hook("/bad", handler)):
        failed = place.create(f"bad-{name}")
    told = failed.json()
    assert (failed.status_code, told["reason"]) == (500, "InternalError")
    assert told["message"].startswith(f'Internal error occurred: failed calling webhook "bad.webhooks.kedge.dev": {why}')
    assert told["details"]["causes"] == [{"message": told["message"].removeprefix("Internal error occurred: ")}]
    with place.asking(place.hook("/bad", handler, failurePolicy="Ignore")):
        assert place.create(f"bad-{name}").status_code == 201


def test_a_webhook_that_cannot_be_reached_fails_the_write(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        url = f"https://127.0.0.1:{taken.getsockname()[1]}/x"
        client = {"url": url, "caBundle": place.hooks.bundle}
        with place.asking(place.hook("/gone", allowed(), clientConfig=client)):
            told = place.create("gone").json()["message"]
    where = url.removeprefix("https://").removesuffix("/x")
    why = f'failed to call webhook: Post "{url}?timeout=5s": dial tcp {where}: connect: connection refused'
    assert told == f'Internal error occurred: failed calling webhook "gone.webhooks.kedge.dev": {why}'


def test_a_webhook_of_an_unknown_authority_is_not_trusted(place: Place) -> None:
    client = {"url": place.hooks.at("/alien", allowed())["url"]}
    with place.asking(place.hook("/alien", allowed(), clientConfig=client)):
        told = place.create("alien").json()["message"]
    assert told.endswith("tls: failed to verify certificate: x509: certificate signed by unknown authority")
    assert place.hooks.take("/alien") == []


def test_a_webhook_that_is_slow_is_not_waited_for_longer_than_it_may_take(place: Place) -> None:
    def slow(_request: Obj) -> Any:
        place.hooks.ended.wait(SECONDS)
        return {"allowed": True}

    with place.asking(place.hook("/slow", slow, timeoutSeconds=1)):
        told = place.create("slow").json()["message"]
    assert told.startswith(
        'Internal error occurred: failed calling webhook "slow.webhooks.kedge.dev": failed to call webhook: Post'
    )
    assert "context deadline exceeded" in told


def test_others_are_served_while_a_webhook_thinks(place: Place) -> None:
    """A webhook may read what is stored, and what is written meanwhile is not lost."""

    def busy(request: Obj) -> Any:
        changed = place.server.patch(
            f"{place.maps}/busy",
            json={"metadata": {"labels": {"meanwhile": "yes"}}},
            headers={"content-type": "application/merge-patch+json"},
        )
        assert changed.status_code == 200
        return {"allowed": True}

    place.create("busy").raise_for_status()
    condition = {"name": "not-the-label", "expression": "!has(object.metadata.labels) && has(object.data)"}
    with place.asking(place.hook("/busy", busy, matchConditions=[condition])):
        merge = {"content-type": "application/merge-patch+json"}
        done = place.server.patch(f"{place.maps}/busy", json={"data": {"a": "1"}}, headers=merge)
    assert done.json()["data"] == {"a": "1"}
    assert done.json()["metadata"]["labels"] == {"meanwhile": "yes"}


def test_conditions_and_selectors_say_what_is_asked_about(place: Place) -> None:
    asked_for = {"name": "wanted", "expression": "request.name.startsWith('ask') && object.metadata.name != 'ask-not'"}
    with place.asking(
        place.hook("/condition", allowed(), matchConditions=[asked_for]),
        place.hook("/selector", allowed(), objectSelector={"matchLabels": {"ask": "yes"}}),
        place.hook("/elsewhere", allowed(), namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "default"}}),
        place.hook(
            "/cluster",
            allowed(),
            rules=[{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["*"], "scope": "Cluster"}],
        ),
    ):
        for name in ("ask", "ask-not", "other"):
            place.create(name, labels={"ask": "yes"} if name == "other" else {}).raise_for_status()
    found = {
        path: [each["name"] for each in place.hooks.take(path)] for path in ("/condition", "/selector", "/elsewhere", "/cluster")
    }
    assert found == {"/condition": ["ask"], "/selector": ["other"], "/elsewhere": [], "/cluster": []}


def test_a_condition_that_has_no_value_fails_the_write(place: Place) -> None:
    condition = {"name": "missing", "expression": "object.data.missing == 'x'"}
    with place.asking(place.hook("/failing", allowed(), matchConditions=[condition])):
        refused = place.create("failing", data={"a": "1"})
    why = "expression 'object.data.missing == 'x'' resulted in error: no such key: missing"
    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
    assert refused.json()["message"] == f'configmaps "failing" is forbidden: {why}'
    assert place.hooks.take("/failing") == []


def test_a_webhook_may_be_behind_a_service(place: Place, tmp_path: Path) -> None:
    """The Service leads to an address and port of its slice; the certificate is for the Service's name."""
    host, name = address_of_this_machine(), f"hook.{place.name}.svc"
    with webhook_server.running(tmp_path, host, name) as behind:
        port = int(behind.address.rpartition(":")[2])
        spec = {"ports": [{"name": "https", "port": 8443, "targetPort": port}]}
        space = f"namespaces/{place.name}"
        made = place.server.post(f"/api/v1/{space}/services", json={"metadata": {"name": "hook"}, "spec": spec})
        assert made.status_code == 201, made.text
        slice_ = {
            "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        }
        sliced = place.server.post(f"/apis/discovery.k8s.io/v1/{space}/endpointslices", json=slice_)
        assert sliced.status_code == 201, sliced.text
        behind.at("/ask", denied({"message": "seen"}))
        service = {"name": "hook", "namespace": place.name, "path": "/ask", "port": 8443}
        client = {"service": service, "caBundle": behind.bundle}
        with place.asking(place.hook("/service", allowed(), clientConfig=client)):
            wanted, deadline = (
                'admission webhook "service.webhooks.kedge.dev" denied the request: seen',
                time.monotonic() + SECONDS,
            )
            while (told := place.create("behind", params={"dryRun": "All"}).json()["message"]) != wanted:
                assert time.monotonic() < deadline, told  # a cluster's proxy needs a moment to follow
        assert behind.take("/ask")[0]["name"] == "behind"
        nobody = {"service": {**service, "name": "nobody"}, "caBundle": behind.bundle}
        with place.asking(place.hook("/nobody", allowed(), clientConfig=nobody)):
            told = place.create("nobody").json()["message"]
    url = f"https://nobody.{place.name}.svc:8443/ask?timeout=5s"
    why = f'failed to call webhook: Post "{url}": service "nobody" not found'
    assert told == f'Internal error occurred: failed calling webhook "nobody.webhooks.kedge.dev": {why}'


def address_of_this_machine() -> str:
    """One that is no loopback address, which a slice may not have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.connect(("192.0.2.1", 9))  # nothing is sent
        return str(found.getsockname()[0])


def test_configurations_are_never_asked_about(place: Place) -> None:
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"], "scope": "Cluster"}
    refusing = place.hook("/all", denied(), rules=[rule], namespaceSelector={"matchLabels": {"none": "such"}})
    path = f"{REGISTRATION}/mutatingwebhookconfigurations"
    with place.asking(refusing):
        name = f"t-{secrets.token_hex(4)}"
        assert place.server.post(path, json={"metadata": {"name": name}}).status_code == 201
        assert place.server.delete(f"{path}/{name}").status_code == 200
