"""What people do to the host's node with `kubectl`, unmodified, and what becomes of Pods."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.kubectl.conftest import Kubectl

from kedge.testing.host import RunningHost, running_host

NAME = "this-machine"


@pytest.fixture(scope="module")
def labelled() -> Iterator[RunningHost]:
    """A host whose node has a label by setting."""
    with running_host({"KEDGE_NODE_LABELS": "zone=a"}) as kedge:
        yield kedge


@pytest.fixture
def kubectl(labelled: RunningHost, kubectl_program: str, tmp_path: Path) -> Kubectl:
    """A `kubectl` for that host."""
    (tmp_path / "kubeconfig").write_bytes((labelled.home / "kubeconfig").read_bytes())
    return Kubectl(kubectl_program, tmp_path)


def run(kubectl: Kubectl, name: str, **spec: Any) -> None:
    overrides = json.dumps({"spec": spec})
    kubectl("run", name, "--image=debian:12", "--restart=Never", f"--overrides={overrides}", "--", "true")


def ends(kubectl: Kubectl, name: str) -> None:
    kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")


def warnings(kubectl: Kubectl, pod: str) -> str:
    """What is said of a Pod that cannot be scheduled, once it is: `kubectl wait` waits for no Event that is not there yet."""
    chosen = f"--field-selector=reason=FailedScheduling,involvedObject.name={pod}"
    while not (found := kubectl("get", "events", chosen, "--no-headers", "--ignore-not-found")):
        pass  # the test's own time limit
    return found


def waits(kubectl: Kubectl, name: str) -> str:
    """Why a Pod is not scheduled, as `describe` tells it."""
    kubectl("wait", f"pod/{name}", "--for=condition=PodScheduled=false", "--timeout=60s")
    warnings(kubectl, name)
    shown = kubectl("describe", "pod", name)
    assert re.search(r"^Node: +<none>$", shown, re.MULTILINE)
    assert re.search(r"PodScheduled +False", shown)
    found = re.search(r"Warning +FailedScheduling .*default-scheduler +(.*)", shown)
    assert found is not None, shown
    return found[1]


def test_the_node_is_listed_and_described(kubectl: Kubectl) -> None:
    heads, row = kubectl("get", "nodes", "-o", "wide").splitlines()
    assert set(heads.split()) >= {"STATUS", "ROLES", "VERSION", "INTERNAL-IP", "OS-IMAGE", "CONTAINER-RUNTIME"}
    assert row.split()[:3] == [NAME, "Ready", "<none>"]
    shown = kubectl("describe", "node", NAME)
    for line in (
        r"zone=a",
        r"Unschedulable: +false",
        r"HolderIdentity: +this-machine",
        r"MemoryPressure +(False|True) ",
        r"pods: +\d+",
    ):
        assert re.search(line, shown), shown


def test_a_cordoned_node_takes_pods_again_when_it_is_uncordoned(kubectl: Kubectl) -> None:
    assert "cordoned" in kubectl("cordon", NAME)
    assert "Ready,SchedulingDisabled" in kubectl("get", "nodes")
    run(kubectl, "later")
    assert waits(kubectl, "later").startswith("0/1 nodes are available: 1 node(s) were unschedulable. this-machine is cordoned;")
    kubectl("uncordon", NAME)
    ends(kubectl, "later")


def test_a_taint_keeps_pods_away_until_it_is_taken_away(kubectl: Kubectl) -> None:
    kubectl("taint", "node", NAME, "gpu=yes:NoSchedule")
    run(kubectl, "plain")
    told = waits(kubectl, "plain")
    assert "1 node(s) had untolerated taint {gpu: yes}." in told
    run(kubectl, "special", tolerations=[{"key": "gpu", "operator": "Exists"}])
    ends(kubectl, "special")
    fix = re.search(r"kubectl (taint node .*-)\.", told)
    assert fix is not None
    kubectl(*fix[1].split())  # what the message says
    ends(kubectl, "plain")
    refused = kubectl("patch", "node", NAME, "-p", '{"spec": {"taints": [{"key": "a", "effect": "Never"}]}}', fails=True)
    assert "metadata.taints[0].effect" in refused


def test_a_label_lets_a_pod_run_and_stays_over_a_restart(kubectl: Kubectl, labelled: RunningHost) -> None:
    run(kubectl, "picky", nodeSelector={"disk": "ssd", "zone": "a"})
    told = waits(kubectl, "picky")
    assert "1 node(s) didn't match Pod's node affinity/selector. this-machine is not labelled disk=ssd: " in told
    fix = re.search(r"kubectl (label node .*)\.", told)
    assert fix is not None
    kubectl(*fix[1].split())
    ends(kubectl, "picky")
    labelled.stop()
    labelled.start()
    assert kubectl.json("get", "node", NAME)["metadata"]["labels"]["disk"] == "ssd"
    run(kubectl, "again", nodeSelector={"disk": "ssd"})
    ends(kubectl, "again")


def test_an_affinity_that_cannot_be_meant_is_refused(kubectl: Kubectl) -> None:
    term = {"matchExpressions": [{"key": "disk", "operator": "Near"}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    overrides = json.dumps({"spec": {"affinity": {"nodeAffinity": required}}})
    refused = kubectl("run", "odd", "--image=debian:12", f"--overrides={overrides}", "--", "true", fails=True)
    assert "nodeSelectorTerms[0].matchExpressions[0].operator" in refused


PIPELINE = """
from kedge import dsl
from kedge.dsl import kubernetes

@dsl.component
def hello() -> str:
    return "hi"

@dsl.pipeline
def picky() -> str:
    task = hello()
    kubernetes.add_node_selector(task, "step-disk", "ssd")
    {more}
    return task.output
"""
WHY = (
    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. "
    "this-machine is not labelled step-disk=ssd: kubectl label node this-machine step-disk=ssd."
)


def submit(kedge: RunningHost, folder: Path, name: str, more: str = "") -> str:
    """Start a run of the pipeline; returns its id once its step says why it waits."""
    (folder / "picky.py").write_text(PIPELINE.format(more=more))
    kedge.cli("run", str(folder / "picky.py"), "--name", name, "--no-cache", "--no-wait", check=True)
    run = str(kedge.client.get(name)["run_id"])
    for task in kedge.client.watch(run):
        if WHY in task.get("waiting_reason", ""):
            assert task["state"] == "PENDING"
            break
    return run


def test_a_step_that_no_node_may_run_says_why_everywhere_and_runs_once_the_node_is_labelled(
    kubectl: Kubectl, labelled: RunningHost, tmp_path: Path
) -> None:
    run = submit(labelled, tmp_path, "picky")
    assert WHY in labelled.cli("runs", "show", "picky", check=True).stdout
    (step,) = [task for task in labelled.client.tasks(run) if task["id"] == "hello"]
    assert (step["state"], WHY in step["waiting_reason"]) == ("PENDING", True)
    assert WHY in warnings(kubectl, step["attempts"][0]["pod_name"])
    kubectl("label", "node", NAME, "step-disk=ssd")
    try:
        assert labelled.client.wait(run)["state"] == "SUCCEEDED"
    finally:
        kubectl("label", "node", NAME, "step-disk-")


def test_a_step_that_no_node_may_run_ends_with_its_time(labelled: RunningHost, tmp_path: Path) -> None:
    run = submit(labelled, tmp_path, "timed", "kubernetes.set_timeout(task, 2)")
    ended = labelled.client.wait(run)
    assert ended["state"] == "FAILED"
    told = labelled.cli("runs", "show", run).stderr
    assert "The step ran longer than it may: The Pod could not be scheduled for 2 seconds: " in told
    assert WHY in told


def test_a_step_that_no_node_may_run_ends_with_its_run(kubectl: Kubectl, labelled: RunningHost, tmp_path: Path) -> None:
    run = submit(labelled, tmp_path, "cancelled")
    pod = labelled.client.tasks(run)[-1]["attempts"][0]["pod_name"]
    labelled.cli("cancel", run, check=True)
    assert labelled.client.wait(run)["state"] == "CANCELED"
    kubectl("wait", f"pod/{pod}", "--for=delete", "--timeout=60s")
