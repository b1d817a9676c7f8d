"""What bounds others, with an unmodified `kubectl`: limits, quotas and priorities refuse and fill in the same on both hosts."""

from collections.abc import Iterator
from typing import Any

import pytest
from hosts import HOSTS
from places import Place, place_on

Obj = dict[str, Any]


@pytest.fixture(scope="module", params=HOSTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Either host."""
    with place_on(request, tmp_path_factory.mktemp("admission")) as made:
        yield made


def pod(name: str, requests: Obj | None = None, limits: Obj | None = None, **spec: Any) -> Obj:
    """A Pod that sleeps."""
    resources = {key: value for key, value in (("requests", requests), ("limits", limits)) if value}
    container = {"name": "c", "image": "python:3.11", "command": ["sleep", "3600"], "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }


def claim(name: str, size: str) -> Obj:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "storageClassName": "nobody"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def bounds(kind: str, name: str, **spec: Any) -> Obj:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def test_a_limit_range_fills_in_and_bounds(place: Place) -> None:
    container = {"type": "Container", "default": {"memory": "64Mi"}, "defaultRequest": {"cpu": "100m"}, "max": {"memory": "1Gi"}}
    ratio = {"type": "Pod", "maxLimitRequestRatio": {"memory": "2"}, "max": {"cpu": "2"}}
    storage = {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}
    place.apply(bounds("LimitRange", "small", limits=[container, storage]))
    place.apply(pod("filled"))
    found = place.json("get", "pod", "filled")
    (made,) = found["spec"]["containers"]
    assert made["resources"] == {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}}
    assert found["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container c; memory limit for container c"
    )
    assert found["status"]["qosClass"] == "Burstable"
    told = place.apply(pod("big", limits={"memory": "2Gi"}), fails=True)
    assert 'pods "big" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi' in told
    said = "storage usage per PersistentVolumeClaim is"
    told = place.apply(claim("little", "512Mi"), fails=True)
    assert f'persistentvolumeclaims "little" is forbidden: minimum {said} 1Gi, but request is 512Mi' in told
    told = place.apply(claim("large", "3Gi"), fails=True)
    assert f'persistentvolumeclaims "large" is forbidden: maximum {said} 2Gi, but request is 3Gi' in told
    place.apply(bounds("LimitRange", "small", limits=[ratio]))
    assert 'pods "steep" is forbidden: [' in (told := place.apply(pod("steep", {"memory": "1Mi"}, {"memory": "3Mi"}), fails=True))
    assert "maximum cpu usage per Pod is 2.  No limit is specified" in told
    assert "memory max limit to request ratio per Pod is 2, but provided ratio is 3.000000" in told
    place("delete", "limitrange", "small")
    place("delete", "pod", "filled", "--now", "--wait=false")


def test_a_quota_counts_and_leaves_no_room_for_more(place: Place) -> None:
    hard = {"pods": "1", "requests.memory": "128Mi", "limits.cpu": "2", "count/jobs.batch": "1", "services.nodeports": "1"}
    place.apply(bounds("ResourceQuota", "few", hard=hard))
    used = ["get", "resourcequota", "few", "-o", "jsonpath={.status.used}"]
    place.until('{"count/jobs.batch":"0","limits.cpu":"0","pods":"0","requests.memory":"0","services.nodeports":"0"}', *used)
    told = place.apply(pod("vague"), fails=True)
    assert 'pods "vague" is forbidden: failed quota: few: must specify limits.cpu for: c; requests.memory for: c' in told
    place.apply(pod("first", {"memory": "64Mi"}, {"cpu": "500m"}))
    place.until(
        '{"count/jobs.batch":"0","limits.cpu":"500m","pods":"1","requests.memory":"64Mi","services.nodeports":"0"}', *used
    )
    told = place.apply(pod("second", {"memory": "100Mi"}, {"cpu": "500m"}), fails=True)
    assert (
        'pods "second" is forbidden: exceeded quota: few, requested: pods=1,requests.memory=100Mi, used: '
        "pods=1,requests.memory=64Mi, limited: pods=1,requests.memory=128Mi"
    ) in told
    place("delete", "pod", "first", "--now")
    place.until('{"count/jobs.batch":"0","limits.cpu":"0","pods":"0","requests.memory":"0","services.nodeports":"0"}', *used)
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    told = place.apply(bounds("Service", "open", type="NodePort", ports=ports), fails=True)
    assert (
        'services "open" is forbidden: exceeded quota: few, requested: services.nodeports=2, used: services.nodeports=0' in told
    )
    place.apply(bounds("Service", "shut", ports=ports[:1]))
    place("create", "job", "one", "--image=python:3.11", "--", "sleep", "0")
    told = place("create", "job", "two", "--image=python:3.11", "--", "sleep", "0", fails=True)
    assert 'jobs.batch "two" is forbidden: exceeded quota: few, requested: count/jobs.batch=1, used: count/jobs.batch=1' in told
    shown = place("describe", "resourcequota", "few")
    assert ["count/jobs.batch", "1", "1"] in [line.split() for line in shown.splitlines()]
    place("delete", "job/one", "service/shut", "resourcequota/few")


def test_a_quota_with_scopes_is_about_some_pods_alone(place: Place) -> None:
    place.apply(bounds("ResourceQuota", "best", hard={"pods": "0"}, scopes=["BestEffort"]))
    critical = {"scopeName": "PriorityClass", "operator": "In", "values": ["system-cluster-critical"]}
    place.apply(bounds("ResourceQuota", "urgent", hard={"pods": "0"}, scopeSelector={"matchExpressions": [critical]}))
    for name in ("best", "urgent"):
        place.until("0", "get", "resourcequota", name, "-o", "jsonpath={.status.used.pods}")
    told = place.apply(pod("free"), fails=True)
    assert 'pods "free" is forbidden: exceeded quota: best, requested: pods=1, used: pods=0, limited: pods=0' in told
    urgent = pod("urgent", {"memory": "1Mi"}, priorityClassName="system-cluster-critical")
    assert 'pods "urgent" is forbidden: exceeded quota: urgent, requested: pods=1' in place.apply(urgent, fails=True)
    place.apply(pod("other", {"memory": "1Mi"}))
    assert place("get", "resourcequota", "best", "-o", "jsonpath={.status.used.pods}") == "0"
    place("delete", "resourcequota", "best", "urgent")
    place("delete", "pod", "other", "--now", "--wait=false")


def test_pods_have_the_priority_of_the_class_that_they_name(place: Place) -> None:
    shown = ["-o", "jsonpath={.spec.priorityClassName} {.spec.priority} {.spec.preemptionPolicy}"]
    place.apply(pod("plain"))
    assert place("get", "pod", "plain", *shown) == " 0 PreemptLowerPriority"
    place.apply(pod("critical", priorityClassName="system-cluster-critical"))
    assert place("get", "pod", "critical", *shown) == "system-cluster-critical 2000000000 PreemptLowerPriority"
    told = place.apply(pod("lost", priorityClassName="nobody"), fails=True)
    assert 'pods "lost" is forbidden: no PriorityClass with name nobody was found' in told
    told = place.apply(pod("sure", priority=7), fails=True)
    assert (
        'pods "sure" is forbidden: the integer value of priority (7) must not be provided in pod spec; '
        "priority admission controller computed 0 from the given PriorityClass name"
    ) in told
    told = place.apply(pod("calm", preemptionPolicy="Never"), fails=True)
    assert "the string value of PreemptionPolicy (Never) must not be provided in pod spec" in told
    place("delete", "pods", "--all", "--now", "--wait=false")


@pytest.fixture
def default_class(place: Place) -> Iterator[str]:
    """A class that Pods have which name none; gone afterwards, because there may be one alone."""
    made = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "usual"}, "value": 5}
    place.apply({**made, "globalDefault": True, "preemptionPolicy": "Never"})
    yield "usual"
    place("delete", "priorityclass", "usual")


def test_one_class_is_the_default(place: Place, default_class: str) -> None:
    shown = ["-o", "jsonpath={.spec.priorityClassName} {.spec.priority} {.spec.preemptionPolicy}"]
    place.apply(pod("usual"))
    assert place("get", "pod", "usual", *shown) == f"{default_class} 5 Never"
    told = place("create", "priorityclass", "another", "--global-default", "--value=9", fails=True)
    assert "PriorityClass usual is already marked as default. Only one default can exist" in told
    place("delete", "pod", "usual", "--now", "--wait=false")
