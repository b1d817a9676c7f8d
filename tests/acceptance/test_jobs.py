"""Jobs with an unmodified `kubectl`: the same manifest leads to the same on both hosts."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from objects import listed
from tests.acceptance.kubectl.conftest import Kubectl, kubectl_of

from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.testing.host import RunningHost

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def kubectl(either_host: RunningHost, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    return kubectl_of(either_host.host.kubeconfig, tmp_path_factory.mktemp("kubectl"))


def job(name: str, command: str, **spec: Any) -> Obj:
    container = {"name": "main", "image": "python:3.11", "command": ["python3", "-c", command]}
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"spec": pod}, **spec},
    }


def conditions(found: Obj) -> list[tuple[str, str, str]]:
    return [(each["type"], each["reason"], each.get("message", "")) for each in found["status"].get("conditions", ())]


def numbers(found: Obj) -> Obj:
    return {key: value for key, value in found["status"].items() if key not in {"conditions", "startTime", "completionTime"}}


DONE = "Reached expected number of succeeded pods"
NOTHING = {"ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}


def test_a_job_runs_to_its_end_and_kubectl_shows_it(kubectl: Kubectl) -> None:
    assert "job.batch/hello created" in kubectl.apply(job("hello", "print('hello')", completions=2, parallelism=2))
    kubectl("wait", "job/hello", "--for=condition=Complete", "--timeout=100s")
    found = kubectl.json("get", "job", "hello")
    assert conditions(found) == [
        ("SuccessCriteriaMet", "CompletionsReached", DONE),
        ("Complete", "CompletionsReached", DONE),
    ]
    assert numbers(found) == {**NOTHING, "succeeded": 2}
    heading, row = kubectl("get", "jobs", "hello").splitlines()
    assert heading.split() == ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"]
    assert re.fullmatch(r"hello +Complete +2/2 +\d+m?\d*s +\d+m?\d*s", row)
    heading, row = kubectl("get", "job.batch/hello", "-o", "wide").splitlines()
    assert heading.split()[4:] == ["AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    uid = found["metadata"]["uid"]
    assert row.split()[5:] == ["main", "python:3.11", f"batch.kubernetes.io/controller-uid={uid}"]
    assert kubectl("logs", "-l", "batch.kubernetes.io/job-name=hello") == "hello\nhello\n"
    assert kubectl("logs", "job/hello").endswith("hello\n")
    described = kubectl("describe", "job", "hello")
    assert re.search(r"Pods Statuses: +0 Active \(0 Ready\) / 2 Succeeded / 0 Failed", described)
    assert re.search(r"Normal +Completed +\S+ +job-controller +Job completed", described)
    assert "unchanged" in kubectl.apply(job("hello", "print('hello')", completions=2, parallelism=2))
    kubectl("delete", "job", "hello")
    kubectl("wait", "pod", "-l", "job-name=hello", "--for=delete", "--timeout=60s")


def test_the_pods_of_an_indexed_job_know_their_index(kubectl: Kubectl) -> None:
    say = "import os, socket; print(os.environ['JOB_COMPLETION_INDEX'], socket.gethostname())"
    kubectl.apply(job("indexed", say, completions=3, parallelism=3, completionMode="Indexed"))
    kubectl("wait", "job/indexed", "--for=condition=Complete", "--timeout=100s")
    found = kubectl.json("get", "job", "indexed")
    assert numbers(found) == {**NOTHING, "succeeded": 3, "completedIndexes": "0-2"}
    pods = kubectl.json("get", "pods", "-l", "job-name=indexed")["items"]
    said = dict[str, str]()
    for pod in pods:
        index = pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]
        assert pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] == index
        assert re.fullmatch(rf"indexed-{index}-[a-z0-9]{{5}}", pod["metadata"]["name"])
        assert pod["spec"]["hostname"] == f"indexed-{index}"
        said[index] = kubectl("logs", pod["metadata"]["name"]).split()[0]
    assert said == {"0": "0", "1": "1", "2": "2"}
    kubectl("delete", "job", "indexed")


def test_a_job_that_fails_says_why(kubectl: Kubectl) -> None:
    rules = [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]
    kubectl.apply(job("failing", "raise SystemExit(3)", backoffLimit=0))
    kubectl.apply(job("policy", "raise SystemExit(42)", podFailurePolicy={"rules": rules}))
    for name in ("failing", "policy"):
        kubectl("wait", f"job/{name}", "--for=condition=Failed", "--timeout=100s")
    said = "Job has reached the specified backoff limit"
    found = kubectl.json("get", "job", "failing")
    assert conditions(found) == [
        ("FailureTarget", "BackoffLimitExceeded", said),
        ("Failed", "BackoffLimitExceeded", said),
    ]
    assert numbers(found) == {**NOTHING, "failed": 1}
    assert kubectl("get", "job", "failing", "--no-headers").split()[1:3] == ["Failed", "0/1"]
    (pod,) = kubectl("get", "pods", "-l", "job-name=policy", "-o", "name").split()
    (_, reason, message) = conditions(kubectl.json("get", "job", "policy"))[-1]
    namespace = found["metadata"]["namespace"]
    rule = "failed with exit code 42 matching FailJob rule at index 0"
    expected = f"Container main for pod {namespace}/{pod.removeprefix('pod/')} {rule}"
    assert (reason, message) == ("PodFailurePolicy", expected)
    kubectl("delete", "job", "failing", "policy")


def test_a_job_is_suspended_and_resumed(kubectl: Kubectl) -> None:
    kubectl.apply(job("paused", "import time; time.sleep(600)", suspend=True))
    kubectl("wait", "job/paused", "--for=condition=Suspended", "--timeout=60s")
    assert kubectl("get", "job", "paused", "--no-headers").split()[1:3] == ["Suspended", "0/1"]
    kubectl("patch", "job", "paused", "-p", json.dumps({"spec": {"suspend": False}}))
    kubectl("wait", "job/paused", "--for=jsonpath={.status.ready}=1", "--timeout=60s")
    assert conditions(kubectl.json("get", "job", "paused")) == [("Suspended", "JobResumed", "Job resumed")]
    kubectl("patch", "job", "paused", "-p", json.dumps({"spec": {"suspend": True}}))
    kubectl("wait", "pod", "-l", "job-name=paused", "--for=delete", "--timeout=60s")
    kubectl("wait", "job/paused", "--for=jsonpath={.status.terminating}=0", "--timeout=60s")
    found = kubectl.json("get", "job", "paused")
    assert (conditions(found), numbers(found)) == ([("Suspended", "JobSuspended", "Job suspended")], NOTHING)
    kubectl("delete", "job", "paused")


def test_what_breaks_a_rule_is_refused_with_the_field_named(kubectl: Kubectl) -> None:
    refused: list[tuple[Callable[[], str], str]] = [
        (
            lambda: kubectl.apply(job("bad", "", parallelism=-1), verb="create", fails=True),
            "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            lambda: kubectl.apply(job("bad", "", backoffLimitPerIndex=1), verb="create", fails=True),
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
        ),
        (
            lambda: kubectl("patch", "job", "good", "-p", '{"spec": {"completions": 2}}', fails=True),
            "spec.completions: Invalid value: 2: field is immutable",
        ),
    ]
    kubectl.apply(job("good", "", suspend=True))
    for ask, message in refused:
        assert message in ask()
    kubectl("delete", "job", "good")


def test_each_pod_is_counted_once_however_often_the_host_is_killed(
    own_host: RunningHost, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Pods go on and end while nobody looks; whoever comes back counts each once."""
    kubectl = kubectl_of(own_host.host.kubeconfig, tmp_path_factory.mktemp("kubectl"))
    kubectl.apply(job("killed", "import time; time.sleep(1)", completions=8, parallelism=4))
    for _ in range(3):
        own_host.kill()
        own_host.start()
    kubectl("wait", "job/killed", "--for=condition=Complete", "--timeout=100s")
    assert numbers(kubectl.json("get", "job", "killed")) == {**NOTHING, "succeeded": 8}
    pods = listed(own_host, POD)
    assert [pod["status"]["phase"] for pod in pods] == ["Succeeded"] * 8
    assert not any(pod["metadata"].get("finalizers") for pod in pods)
