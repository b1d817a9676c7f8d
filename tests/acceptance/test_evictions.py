"""Evictions, budgets and bindings with an unmodified `kubectl`: the same answers on both hosts."""

import json
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hosts import HOSTS
from places import WAIT, Place, place_on

from kedge.client import kubeconfig

Obj = dict[str, Any]
# Answers 429 until it is allowed; kubectl asks again every five seconds.
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


@pytest.fixture(scope="module", params=HOSTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Either host."""
    with place_on(request, tmp_path_factory.mktemp("evictions")) as made:
        yield made


def template(app: str, **spec: Any) -> Obj:
    requests = {"requests": {"cpu": "1m", "memory": "1Mi"}}
    container = {"name": "main", "image": "python:3.11", "command": ["sleep", "3600"], "resources": requests}
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }


def deployment(name: str, replicas: int) -> Obj:
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template(name)}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def budget(app: str, name: str = "", **spec: Any) -> Obj:
    meta = {"name": name or app}
    selector = {"matchLabels": {"app": app}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": {"selector": selector, **spec}}


def names(place: Place, app: str) -> list[str]:
    pods = place.json("get", "pods", "-l", f"app={app}")["items"]
    return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def posted(place: Place, path: str, body: Obj, *, fails: bool = False) -> str:
    file = place.home / "posted.json"
    file.write_text(json.dumps(body))
    return place("create", "--raw", f"/api/v1/namespaces/{place.namespace()}/{path}", "-f", str(file), fails=fails)


def evicted(place: Place, pod: str, *, fails: bool = False, **options: Any) -> str:
    meta = {"name": pod, "namespace": place.namespace()}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta, **options}
    return posted(place, f"pods/{pod}/eviction", body, fails=fails)


def asked(place: Place, pod: str) -> httpx.Response:
    """What an eviction is answered, as it is."""
    access = kubeconfig.load(place.home / "kubeconfig")
    context = ssl.create_default_context(cadata=access.ca)
    headers = {"authorization": f"Bearer {access.token}"}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    path = f"{access.server}/api/v1/namespaces/{place.namespace()}/pods/{pod}/eviction"
    return httpx.post(path, json=body, headers=headers, verify=context, timeout=60)


def numbers(place: Place, name: str) -> tuple[int, ...]:
    status = place.json("get", "pdb", name)["status"]
    return tuple(status[each] for each in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"))


def test_a_budget_counts_and_an_eviction_honours_it(place: Place) -> None:
    place.apply(deployment("web", 2))
    place.apply(budget("web", maxUnavailable=1))
    place("rollout", "status", "deploy/web", WAIT)
    place.found(lambda: numbers(place, "web"), (1, 2, 1, 2))
    heading, row = place("get", "pdb", "web").splitlines()
    assert heading.split("  ")[0] == "NAME"
    assert row.split()[:4] == ["web", "N/A", "1", "1"]
    (condition,) = place.json("get", "pdb", "web")["status"]["conditions"]
    assert [condition[key] for key in ("type", "status", "reason", "message")] == [
        "DisruptionAllowed",
        "True",
        "SufficientPods",
        "",
    ]

    place.apply(budget("web", maxUnavailable=0))
    place.found(lambda: numbers(place, "web"), (0, 2, 2, 2))
    (pod, _) = names(place, "web")
    assert REFUSED in evicted(place, pod, fails=True)
    assert pod in names(place, "web")

    place.apply(budget("web", maxUnavailable=1))
    place.found(lambda: numbers(place, "web"), (1, 2, 1, 2))
    told = json.loads(evicted(place, pod))
    assert (told["kind"], told["status"], told["code"]) == ("Status", "Success", 201)
    place("wait", f"pod/{pod}", "--for=delete", WAIT)
    place("rollout", "status", "deploy/web", WAIT)
    place.found(lambda: numbers(place, "web"), (1, 2, 1, 2))
    assert "disruptedPods" not in place.json("get", "pdb", "web")["status"]


def test_who_is_refused_is_told_which_budget_and_what_it_needs(place: Place) -> None:
    place.apply(
        {"apiVersion": "v1", "kind": "Pod", **template("alone"), "metadata": {"name": "alone", "labels": {"app": "alone"}}}
    )
    place.apply(budget("alone", minAvailable=1))
    place("wait", "pod/alone", "--for=condition=Ready", WAIT)
    place.found(lambda: numbers(place, "alone"), (0, 1, 1, 1))
    told = evicted(place, "alone", fails=True)
    assert REFUSED in told
    answer = asked(place, "alone")
    body = answer.json()
    cause = {"reason": "DisruptionBudget", "message": "The disruption budget alone needs 1 healthy pods and has 1 currently"}
    assert (answer.status_code, body["reason"], body["details"]) == (429, "TooManyRequests", {"causes": [cause]})

    place.apply(budget("alone", "second", minAvailable=0))
    assert "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support." in evicted(
        place, "alone", fails=True
    )
    place("delete", "pdb", "alone", "second")
    assert "name in URL does not match name in Eviction object" in posted(
        place, "pods/alone/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "other"}}, fails=True
    )
    assert "the UID in the precondition (other) does not match" in evicted(
        place, "alone", fails=True, deleteOptions={"preconditions": {"uid": "other"}}
    )
    evicted(place, "alone", deleteOptions={"dryRun": ["All"]})
    assert names(place, "alone") == ["alone"]
    evicted(place, "alone")
    place("wait", "pod/alone", "--for=delete", WAIT)
    assert 'pods "alone" not found' in evicted(place, "alone", fails=True)


def test_a_node_is_drained_as_budgets_allow(place: Place) -> None:
    place.apply(deployment("drained", 2))
    place.apply(budget("drained", minAvailable="100%"))
    place("rollout", "status", "deploy/drained", WAIT)
    place.found(lambda: numbers(place, "drained"), (0, 2, 2, 2))
    (node,) = {pod["spec"]["nodeName"] for pod in place.json("get", "pods", "-l", "app=drained")["items"]}
    drain = ("drain", node, "--pod-selector=app=drained", "--ignore-daemonsets", "--delete-emptydir-data")
    before = names(place, "drained")
    try:
        said = place(*drain, "--timeout=8s", fails=True)
        assert f"node/{node} cordoned" in said
        assert f"will retry after 5s): {REFUSED}" in said
        assert names(place, "drained") == before
        place("delete", "pdb", "drained")
        said = place(*drain, WAIT)
        assert all(f"pod/{pod} evicted" in said for pod in before)
        assert f"node/{node} drained" in said
        place.until("2", "get", "deploy", "drained", "-o", "jsonpath={.status.unavailableReplicas}")
    finally:
        place("uncordon", node)
    place("rollout", "status", "deploy/drained", WAIT)
    place("delete", "deploy", "drained")


@pytest.mark.parametrize("path", ["pods/bound/binding", "bindings"])
def test_a_pod_is_bound_by_hand_once(place: Place, path: str) -> None:
    (node, *_) = [each["metadata"]["name"] for each in place.json("get", "nodes")["items"]]

    def bound(*, fails: bool = False) -> str:
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "bound"}, "target": target}
        return posted(place, path, body, fails=fails)

    assert 'pods "bound" not found' in bound(fails=True)
    place("cordon", node)
    try:
        place.apply({"apiVersion": "v1", "kind": "Pod", **template("bound"), "metadata": {"name": "bound"}})
        where = ("get", "pod", "bound", "-o", "jsonpath={.status.conditions[?(@.type=='PodScheduled')].reason}")
        place.until("Unschedulable", *where)
        assert json.loads(bound())["status"] == "Success"
    finally:
        place("uncordon", node)
    place("wait", "pod/bound", "--for=condition=Ready", WAIT)
    refused = f'Operation cannot be fulfilled on pods/binding "bound": pod bound is already assigned to node "{node}"'
    assert refused in bound(fails=True)
    place("delete", "pod", "bound")
