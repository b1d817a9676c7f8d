"""What keeps Pods running, with an unmodified `kubectl`: the same manifests have the same results on both hosts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hosts import HOSTS
from places import WAIT, Place, place_on

Obj = dict[str, Any]


def notes(place: Place, selector: str) -> dict[str, str]:
    """The annotation ``note`` of each Pod, by its name."""
    found = place.json("get", "pods", "-l", selector)["items"]
    return {pod["metadata"]["name"]: (pod["metadata"].get("annotations") or {}).get("note", "") for pod in found}


@pytest.fixture(scope="module", params=HOSTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Either host."""
    with place_on(request, tmp_path_factory.mktemp("keeping")) as made:
        yield made


def keeper(kind: str, name: str, replicas: int, **spec: Any) -> Obj:
    """Something that keeps Pods which sleep."""
    container = {"name": "main", "image": "python:3.11", "command": ["sleep", "3600"]}
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }
    selector = {"matchLabels": {"app": name}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": selector, "template": template, **spec},
    }


def note(text: str) -> str:
    """A patch that makes another template."""
    return json.dumps({"spec": {"template": {"metadata": {"annotations": {"note": text}}}}})


def test_a_deployment_is_rolled_undone_paused_and_scaled(place: Place) -> None:
    assert "created" in place.apply(keeper("Deployment", "web", 2))
    assert 'deployment "web" successfully rolled out' in place("rollout", "status", "deploy/web", WAIT)
    assert "condition met" in place("wait", "--for=condition=Available", "deploy/web", WAIT)
    heading, row = place("get", "deploy", "web", "-o", "wide").splitlines()
    assert heading.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert (row.split()[:4], row.split()[5:]) == (["web", "2/2", "2", "2"], ["main", "python:3.11", "app=web"])
    place("scale", "deploy/web", "--replicas=3")
    place("rollout", "status", "deploy/web", WAIT)
    place("patch", "deploy", "web", "-p", note("two"))
    place("rollout", "status", "deploy/web", WAIT)
    place.until("3", "get", "deploy", "web", "-o", "jsonpath={.status.replicas}")
    history = place("rollout", "history", "deploy/web").split()
    assert [word for word in history if word.isdecimal()] == ["1", "2"]
    assert "rolled back" in place("rollout", "undo", "deploy/web")
    place("rollout", "status", "deploy/web", WAIT)
    assert [word for word in place("rollout", "history", "deploy/web").split() if word.isdecimal()] == ["2", "3"]
    place("rollout", "pause", "deploy/web")
    place("patch", "deploy", "web", "-p", note("three"))
    told = place("get", "deploy", "web", "-o", "jsonpath={.metadata.annotations.deployment\\.kubernetes\\.io/revision}")
    assert told == "3"
    place("rollout", "resume", "deploy/web")
    place("rollout", "status", "deploy/web", WAIT)
    place("rollout", "restart", "deploy/web")
    place("rollout", "status", "deploy/web", WAIT)
    assert "Scaled up replica set web-" in place("describe", "deploy", "web")
    place("delete", "deploy", "web", "--cascade=foreground", WAIT)
    assert place("get", "deploy,rs,pods", "-l", "app=web", "-o", "name") == ""


def test_a_deployment_that_is_recreated(place: Place) -> None:
    place.apply(keeper("Deployment", "anew", 2, strategy={"type": "Recreate"}))
    place("rollout", "status", "deploy/anew", WAIT)
    place("patch", "deploy", "anew", "-p", note("two"))
    place("rollout", "status", "deploy/anew", WAIT)
    assert sorted(notes(place, "app=anew").values()) == ["two", "two"]
    place("delete", "deploy", "anew", "--wait=false")


def test_the_subresource_scale(place: Place) -> None:
    place.apply(keeper("ReplicaSet", "few", 1))
    refused = place("scale", "rs/few", "--current-replicas=9", "--replicas=2", fails=True)
    assert "Expected replicas to be 9, was 1" in refused
    path = f"/apis/apps/v1/namespaces/{place.namespace()}/replicasets/few/scale"
    place.until("1", "get", "rs", "few", "-o", "jsonpath={.status.replicas}")
    scale = json.loads(place("get", "--raw", path))
    assert (scale["apiVersion"], scale["kind"], scale["spec"]) == ("autoscaling/v1", "Scale", {"replicas": 1})
    assert scale["status"] == {"replicas": 1, "selector": "app=few"}
    patch = ["--subresource=scale", "--type=merge", "-p"]
    assert "must be greater than or equal to 0" in place("patch", "rs", "few", *patch, '{"spec":{"replicas":-1}}', fails=True)
    place("patch", "rs", "few", *patch, '{"spec":{"replicas":2}}')
    place.until("2", "get", "rs", "few", "-o", "jsonpath={.status.readyReplicas}")
    heading, row = place("get", "rs", "few").splitlines()
    assert (heading.split(), row.split()[:4]) == (["NAME", "DESIRED", "CURRENT", "READY", "AGE"], ["few", "2", "2", "2"])
    place("delete", "rs", "few", "--wait=false")


def test_orphaned_pods_stay_and_are_adopted(place: Place) -> None:
    place.apply(keeper("ReplicaSet", "left", 2))
    place.until("2", "get", "rs", "left", "-o", "jsonpath={.status.readyReplicas}")
    names = sorted(notes(place, "app=left"))
    place("delete", "rs", "left", "--cascade=orphan", WAIT)
    owners = "jsonpath={.items[*].metadata.ownerReferences[*].name}"
    place.until("", "get", "pods", "-l", "app=left", "-o", owners)
    place.apply(keeper("ReplicaSet", "left", 2))
    place.until("left left", "get", "pods", "-l", "app=left", "-o", owners)
    assert sorted(notes(place, "app=left")) == names
    place("label", "pod", names[0], "app=out", "--overwrite")
    place.until("2", "get", "rs", "left", "-o", "jsonpath={.status.replicas}")
    place.until("left left", "get", "pods", "-l", "app=left", "-o", owners)
    assert names[0] not in notes(place, "app=left")
    place("delete", "rs", "left", "--wait=false")
    place("delete", "pod", names[0], "--now", "--wait=false")


def test_a_stateful_set_keeps_names_and_order(place: Place) -> None:
    place.apply(keeper("StatefulSet", "db", 2, serviceName="db"))
    place("rollout", "status", "sts/db", WAIT)
    pods = place.json("get", "pods", "-l", "app=db")["items"]
    assert [(pod["metadata"]["name"], pod["spec"]["hostname"], pod["spec"]["subdomain"]) for pod in pods] == [
        ("db-0", "db-0", "db"),
        ("db-1", "db-1", "db"),
    ]
    labels = pods[1]["metadata"]["labels"]
    assert (labels["apps.kubernetes.io/pod-index"], labels["statefulset.kubernetes.io/pod-name"]) == ("1", "db-1")
    place("patch", "sts", "db", "-p", json.dumps({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}}}))
    place("patch", "sts", "db", "-p", note("two"))
    place("rollout", "status", "sts/db", WAIT)
    assert notes(place, "app=db") == {"db-0": "", "db-1": "two"}
    place("patch", "sts", "db", "-p", json.dumps({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}))
    place("rollout", "status", "sts/db", WAIT)
    place.until("two two", "get", "pods", "-l", "app=db", "-o", "jsonpath={.items[*].metadata.annotations.note}")
    assert [word for word in place("rollout", "history", "sts/db").split() if word.isdecimal()] == ["1", "2"]
    place("rollout", "undo", "sts/db")
    place("rollout", "status", "sts/db", WAIT)
    place.until("3", "get", "controllerrevisions", "-o", "jsonpath={.items[?(@.revision==3)].revision}")
    place("scale", "sts/db", "--replicas=1")
    place("wait", "--for=delete", "pod/db-1", WAIT)
    heading, row = place("get", "sts", "db").splitlines()
    assert (heading.split(), row.split()[:2]) == (["NAME", "READY", "AGE"], ["db", "1/1"])
    place("delete", "sts", "db", "--wait=false")


def daemon_set(name: str, **spec: Any) -> Obj:
    made = keeper("DaemonSet", name, 0, **spec)
    del made["spec"]["replicas"]
    return made


def test_a_daemon_set_has_a_pod_on_each_node_that_may_have_one(place: Place) -> None:
    (node,) = place("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split()
    place.apply(daemon_set("watcher"))
    place("rollout", "status", "ds/watcher", WAIT)
    heading, row = place("get", "ds", "watcher").splitlines()
    assert heading.split() == ["NAME", "DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE", "NODE", "SELECTOR", "AGE"]
    assert row.split()[:-1] == ["watcher", "1", "1", "1", "1", "1", "<none>"]
    (pod,) = place.json("get", "pods", "-l", "app=watcher")["items"]
    assert pod["spec"]["nodeName"] == node
    terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]
    assert sorted(each["key"].partition("/")[2] for each in pod["spec"]["tolerations"]) == [
        "disk-pressure",
        "memory-pressure",
        "not-ready",
        "pid-pressure",
        "unreachable",
        "unschedulable",
    ]
    place("delete", "pod", pod["metadata"]["name"], "--now")
    place.until("1", "get", "ds", "watcher", "-o", "jsonpath={.status.numberAvailable}")
    place("patch", "ds", "watcher", "-p", note("two"))
    place("rollout", "status", "ds/watcher", WAIT)
    assert [*notes(place, "app=watcher").values()] == ["two"]
    assert [word for word in place("rollout", "history", "ds/watcher").split() if word.isdecimal()] == ["1", "2"]
    place("rollout", "undo", "ds/watcher")
    place("rollout", "status", "ds/watcher", WAIT)
    place.until("", "get", "pods", "-l", "app=watcher", "-o", "jsonpath={.items[*].metadata.annotations.note}")
    surging = {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}}
    place("patch", "ds", "watcher", "-p", json.dumps({"spec": surging}))
    place("rollout", "restart", "ds/watcher")
    place("rollout", "status", "ds/watcher", WAIT)
    place("patch", "ds", "watcher", "-p", '{"spec":{"template":{"spec":{"nodeSelector":{"there-is":"none"}}}}}')
    place.until("0 0", "get", "ds", "watcher", "-o", "jsonpath={.status.desiredNumberScheduled} {.status.numberMisscheduled}")
    place.until("", "get", "pods", "-l", "app=watcher", "-o", "name")
    place("delete", "ds", "watcher", WAIT)


def test_a_replication_controller_keeps_pods_by_their_labels(place: Place) -> None:
    made = keeper("ReplicationController", "old", 2)
    del made["spec"]["selector"]
    place.apply({**made, "apiVersion": "v1"})
    place.until("2", "get", "rc", "old", "-o", "jsonpath={.status.readyReplicas}")
    heading, row = place("get", "rc", "old", "-o", "wide").splitlines()
    assert heading.split() == ["NAME", "DESIRED", "CURRENT", "READY", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert (row.split()[:4], row.split()[5:]) == (["old", "2", "2", "2"], ["main", "python:3.11", "app=old"])
    place("scale", "rc/old", "--replicas=1")
    place.until("1", "get", "rc", "old", "-o", "jsonpath={.status.replicas}")
    scale = json.loads(place("get", "--raw", f"/api/v1/namespaces/{place.namespace()}/replicationcontrollers/old/scale"))
    assert scale["status"] == {"replicas": 1, "selector": "app=old"}
    (name,) = notes(place, "app=old")
    place("label", "pod", name, "app=out", "--overwrite")
    place.until("1", "get", "rc", "old", "-o", "jsonpath={.status.readyReplicas}")
    assert name not in notes(place, "app=old")
    place("delete", "pod", name, "--now", "--wait=false")
    place("delete", "rc", "old", WAIT)
    place.until("", "get", "pods", "-l", "app=old", "-o", "name")


def test_what_was_applied_and_is_given_no_more_is_pruned(place: Place) -> None:
    for name in ("goes", "stays"):
        place.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"set": "pruned"}}})
    stays = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stays", "labels": {"set": "pruned"}}}
    said = place.apply(stays, "--prune", "-l", "set=pruned")
    assert "configmap/goes pruned" in said
    assert place("get", "configmaps", "-l", "set=pruned", "-o", "name").split() == ["configmap/stays"]
    place("delete", "configmap", "stays")


REFUSED = {
    "DaemonSet": [
        ({"selector": {}}, "spec.selector: Invalid value: {}: empty selector is invalid for daemonset"),
        ({"updateStrategy": {"type": "Foo"}}, 'spec.updateStrategy: Unsupported value: {"Type":"Foo","RollingUpdate":null}'),
        (
            {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}},
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
        ),
        (
            {"updateStrategy": {"rollingUpdate": {"maxSurge": "20%"}}},
            'spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: "20%": may not be set when maxUnavailable is non-zero',
        ),
    ],
    "Deployment": [
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ({"strategy": {"type": "Foo"}}, 'spec.strategy: Unsupported value: {"Type":"Foo","RollingUpdate":null}'),
        ({"progressDeadlineSeconds": 0}, "spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds"),
    ],
    "ReplicaSet": [({"selector": {}}, "spec.selector: Invalid value: {}: empty selector is invalid for deployment")],
    "StatefulSet": [
        (
            {"podManagementPolicy": "Foo"},
            "spec.podManagementPolicy: Invalid value: \"Foo\": must be 'OrderedReady' or 'Parallel'",
        ),
        ({"ordinals": {"start": -1}}, "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0"),
    ],
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_breaks_a_rule_is_refused_in_the_same_words(place: Place, kind: str) -> None:
    for spec, told in REFUSED[kind]:
        bad = keeper(kind, "bad", 1) if kind != "DaemonSet" else daemon_set("bad")
        assert told in place.apply({**bad, "spec": {**bad["spec"], **spec}}, "--dry-run=server", fails=True)
