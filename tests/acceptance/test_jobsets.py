"""JobSets with an unmodified `kubectl` on a whole host: what a training of two parts looks like."""

import re
from typing import Any

import pytest
from tests.acceptance.kubectl.conftest import Kubectl, kubectl_of

from kedge.kube.kinds import Obj
from kedge.testing.host import RunningHost

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def kubectl(kedge_host: RunningHost, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    return kubectl_of(kedge_host.host.kubeconfig, tmp_path_factory.mktemp("kubectl"))


def part(name: str, command: str, pods: int = 1, **more: Any) -> Obj:
    container = {"name": "node", "image": "python:3.11", "command": ["python3", "-c", command]}
    pod = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    job = {"parallelism": pods, "completions": pods, "backoffLimit": 0, "template": {"spec": pod}}
    return {"name": name, "template": {"spec": job}, **more}


def jobset(name: str, *parts: Obj, **spec: Any) -> Obj:
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": name},
        "spec": {"replicatedJobs": list(parts), **spec},
    }


SAY = "import os; print('node', os.environ['JOB_COMPLETION_INDEX'])"


def test_a_training_runs_after_its_data_is_there(kubectl: Kubectl) -> None:
    after = [{"name": "data", "status": "Complete"}]
    kubectl.apply(jobset("train", part("data", "print('fetched')"), part("node", SAY, pods=2, dependsOn=after)))
    kubectl("wait", "jobset/train", "--for=condition=Completed", "--timeout=100s")
    heading, row = kubectl("get", "jobset", "train").splitlines()
    assert heading.split() == ["NAME", "TERMINALSTATE", "RESTARTS", "COMPLETED", "SUSPENDED", "AGE"]
    assert re.fullmatch(r"train +Completed +0 +True +(false)? +\d+m?\d*s", row)
    status = kubectl.json("get", "jobset", "train")["status"]
    assert [(each["name"], each["succeeded"]) for each in status["replicatedJobsStatus"]] == [("data", 1), ("node", 1)]
    node = "jobset.sigs.k8s.io/jobset-name=train,jobset.sigs.k8s.io/replicatedjob-name in (node)"
    said = kubectl("logs", "-l", node, "--tail=-1")
    assert sorted(said.splitlines()) == ["node 0", "node 1"]
    assert kubectl("get", "service", "train", "-o", "jsonpath={.spec.clusterIP}") == "None"
    kubectl("delete", "jobset", "train")
    kubectl("wait", "pod", "-l", "jobset.sigs.k8s.io/jobset-name=train", "--for=delete", "--timeout=60s")
    assert "train" not in kubectl("get", "jobs,services", "-o", "name")


def test_parts_share_a_claim_that_goes_with_the_training(kubectl: Kubectl) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    policy = {"templates": [{"metadata": {"name": "initializer"}, "spec": spec}]}
    write, read = part("data", "open('/workspace/x', 'w').write('fetched')"), part("node", "print(open('/workspace/x').read())")
    for each in (write, read):
        (container,) = each["template"]["spec"]["template"]["spec"]["containers"]
        container["volumeMounts"] = [{"name": "initializer", "mountPath": "/workspace"}]
    after = [{"name": "data", "status": "Complete"}]
    kubectl.apply(jobset("tune", write, {**read, "dependsOn": after}, volumeClaimPolicies=[policy]))
    kubectl("wait", "jobset/tune", "--for=condition=Completed", "--timeout=100s")
    assert kubectl("logs", "-l", "jobset.sigs.k8s.io/replicatedjob-name=node,jobset.sigs.k8s.io/jobset-name=tune") == "fetched\n"
    assert kubectl("get", "pvc", "initializer-tune", "--no-headers").split()[1] == "Bound"
    kubectl("delete", "jobset", "tune")
    kubectl("wait", "pvc/initializer-tune", "--for=delete", "--timeout=60s")


def test_a_part_that_fails_begins_all_of_it_anew_and_then_fails_it(kubectl: Kubectl) -> None:
    policy = {"maxRestarts": 1}
    kubectl.apply(jobset("again", part("bad", "raise SystemExit(3)"), part("good", SAY), failurePolicy=policy))
    kubectl("wait", "jobset/again", "--for=condition=Failed", "--timeout=100s")
    status = kubectl.json("get", "jobset", "again")["status"]
    assert (status["restarts"], status["terminalState"]) == (1, "Failed")
    (condition,) = [each for each in status["conditions"] if each["type"] == "Failed"]
    assert condition["reason"] == "ReachedMaxRestarts"
    assert condition["message"].endswith("(first failed job: again-bad-0)")
    assert "ReachedMaxRestarts" in kubectl("describe", "jobset", "again")
    kubectl("delete", "jobset", "again")


def test_it_is_suspended_and_resumed(kubectl: Kubectl) -> None:
    kubectl.apply(jobset("paused", part("node", "import time; time.sleep(600)"), suspend=True))
    kubectl("wait", "jobset/paused", "--for=condition=Suspended", "--timeout=60s")
    assert kubectl("get", "jobset", "paused", "--no-headers").split()[2:3] == ["true"]
    kubectl("patch", "jobset", "paused", "--type=merge", "-p", '{"spec": {"suspend": false}}')
    ready = "--for=jsonpath={.status.replicatedJobsStatus[0].ready}=1"
    kubectl("wait", "jobset/paused", ready, "--timeout=60s")
    assert "immutable" in kubectl(
        "patch", "jobset", "paused", "--type=merge", "-p", '{"spec": {"network": {"subdomain": "other"}}}', fails=True
    )
    kubectl("delete", "jobset", "paused")
