"""Claims with an unmodified `kubectl`, on a whole host."""

import re
from typing import Any

CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def pod(name: str, script: str, **volume: Any) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "main", "image": "busybox", "command": ["sh", "-c", script]}
    spec: dict[str, Any] = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    spec["volumes"] = [{"name": "data", **(volume or {"persistentVolumeClaim": {"claimName": "data"}})}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_the_life_of_a_claim(cluster: Any) -> None:
    assert "created" in cluster.apply(CLAIM)
    cluster("wait", "pvc/data", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
    assert "unchanged" in cluster.apply(CLAIM)
    volume = cluster.json("get", "pvc", "data")["spec"]["volumeName"]
    heading, row = cluster("get", "pvc").splitlines()
    assert heading.split()[:6] == ["NAME", "STATUS", "VOLUME", "CAPACITY", "ACCESS", "MODES"]
    assert row.split()[:7] == ["data", "Bound", volume, "1Gi", "RWO", "standard", "<unset>"]
    assert "Filesystem" in cluster("get", "persistentvolumeclaims", "-o", "wide")
    assert "accessModes" in cluster("explain", "pvc.spec")

    cluster.apply(pod("writer", "echo hello > /data/greeting"))
    cluster("wait", "pod/writer", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    cluster.apply(pod("reader", "cat /data/greeting; sleep 600"))
    cluster("wait", "pod/reader", "--for=condition=Ready", "--timeout=60s")
    assert cluster("logs", "reader") == "hello\n"
    described = cluster("describe", "pvc", "data")
    assert ("StorageClass:  standard" in described, "ProvisioningSucceeded" in described) == (True, True)
    assert re.search(r"Used By: +reader", described)

    bigger = {**CLAIM, "spec": {**CLAIM["spec"], "resources": {"requests": {"storage": "2Gi"}}}}
    assert "configured" in cluster.apply(bigger)
    cluster("wait", "pvc/data", "--for=jsonpath={.status.capacity.storage}=2Gi", "--timeout=60s")
    assert "field can not be less than status.capacity" in cluster.apply(CLAIM, fails=True)

    assert "deleted" in cluster("delete", "pvc", "data", "--wait=false")
    assert cluster("get", "pvc", "data").splitlines()[1].split()[1] == "Terminating"
    cluster("delete", "pod", "reader")
    cluster("wait", "pvc/data", "--for=delete", "--timeout=60s")


def test_an_ephemeral_volume_goes_with_its_pod(cluster: Any) -> None:
    template = {"spec": CLAIM["spec"]}
    cluster.apply(pod("scratch", "echo > /data/x; sleep 600", ephemeral={"volumeClaimTemplate": template}))
    cluster("wait", "pod/scratch", "--for=condition=Ready", "--timeout=60s")
    assert cluster("get", "pvc", "scratch-data", "--no-headers").split()[1] == "Bound"
    cluster("delete", "pod", "scratch")
    cluster("wait", "pvc/scratch-data", "--for=delete", "--timeout=60s")


def test_a_claim_that_cannot_be_bound_says_what_to_do(cluster: Any) -> None:
    cluster.apply({**CLAIM, "metadata": {"name": "fast"}, "spec": {**CLAIM["spec"], "storageClassName": "fast"}})
    cluster.apply(pod("waiting", "true", persistentVolumeClaim={"claimName": "fast"}))
    cluster("wait", "pod/waiting", "--for=condition=PodScheduled=False", "--timeout=60s")
    told = 'storageclass.storage.k8s.io "fast" not found. This host has one, standard'
    assert told in " ".join(cluster("describe", "pvc", "fast").split())
    assert told in " ".join(cluster("describe", "pod", "waiting").split())
    assert cluster("get", "pvc", "fast", "--no-headers").split()[1] == "Pending"
    cluster("delete", "pod/waiting", "pvc/fast")
