"""The Roles list exactly the verbs that the hub uses: what it asks for is compared with what it is granted."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from access import Cluster
from deployed_s3 import deployed_s3
from installed import Home, database, home

from kedge.kube.kinds import Obj
from kedge.pipelines.client import Client
from kedge.pipelines.compiler import compile_file
from kedge.pipelines.documents import Document

WORDS = """
from kedge import dsl
from kedge.dsl import kubernetes
from kedge.dsl import Dataset, Input, Output

@dsl.component
def write(out: Output[Dataset]):
    with open(out.path, "w") as file:
        file.write("x")

@dsl.component
def read(data: Input[Dataset], folder: str) -> int:
    print("read it")
    return 1

@dsl.component
def fail():
    raise SystemExit(3)

@dsl.component
def wait():
    import time
    print("waits", flush=True)
    time.sleep(600)

@dsl.container_component
def shell():
    return dsl.ContainerSpec(image="python:3.11", command=["sh", "-c", "exit 0"])

@dsl.pipeline
def good():
    claim = kubernetes.CreatePVC(pvc_name_suffix="-mine", access_modes=["ReadWriteOnce"], size="1Mi", storage_class_name="none")
    done = read(data=write().outputs["out"], folder="/disk")
    shell().after(done)
    kubernetes.DeletePVC(pvc_name=claim.outputs["name"]).after(done)

@dsl.pipeline
def taken():
    kubernetes.CreatePVC(pvc_name="taken", access_modes=["ReadWriteOnce"], size="1Mi", storage_class_name="none")

@dsl.pipeline
def bad():
    fail().set_retry(1)

@dsl.pipeline
def endless():
    wait()
"""


class Asked(NamedTuple):
    """A right, in the words of a Role."""

    verb: str
    group: str
    resource: str


@pytest.fixture
def place(cluster: Cluster, tmp_path: Path) -> Iterator[Home]:
    if not (cluster.kubeconfig.parent / "audit.log").exists():
        pytest.skip("this cluster keeps no audit log that a test can read")
    with deployed_s3(cluster) as s3, home(cluster, s3, tmp_path) as found:
        yield found


def asked(place: Home) -> dict[Asked, set[str]]:
    """What the hub asked the API server for, and what the authorizer said; what admission refuses is another matter."""
    user = f"system:serviceaccount:{place.name}:kedge"
    found: dict[Asked, set[str]] = {}
    with (place.cluster.kubeconfig.parent / "audit.log").open() as lines:
        for line in lines:
            if user not in line:
                continue
            event = json.loads(line)
            reference = event.get("objectRef") or {}
            if event["user"]["username"] != user or not reference.get("resource"):
                continue
            resource = "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
            right = Asked(event["verb"], reference.get("apiGroup", ""), resource)
            found.setdefault(right, set()).add(event["annotations"]["authorization.k8s.io/decision"])
    return found


def granted(place: Home) -> set[Asked]:
    """What its roles allow."""
    account = {"kind": "ServiceAccount", "name": "kedge", "namespace": place.name}
    bindings: list[Obj] = place.cluster.get("rolebindings", "--namespace", place.name)["items"]
    names = [one["roleRef"]["name"] for one in bindings if account in one.get("subjects", ())]
    rules = [rule for name in names for rule in place.cluster.get("role", name, "--namespace", place.name)["rules"]]
    return {
        Asked(verb, group, resource)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def taken(place: Home, client: Client, document: Document) -> None:
    """A claim is there already that the run was to make."""
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, "storageClassName": "none"}
    obj = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "taken"}, "spec": claim}
    place.cluster.apply(obj, namespace=place.name)
    assert client.wait(client.run(document)["run_id"])["state"] == "FAILED"


def again(place: Home, client: Client, document: Document) -> None:
    """A run is made whose name another one had, of which something is still there."""
    run = {"apiVersion": "kedge.dev/v1", "kind": "Run", "metadata": {"name": "same"}, "spec": {"pipelineSpec": document.json()}}
    place.cluster.apply(run, namespace=place.name)
    place.kubectl("wait", "run.kedge.dev/same", "--for=jsonpath={.status.state}=FAILED", "--timeout=120s")
    first = json.loads(place.kubectl("get", "run.kedge.dev", "same", "--output", "json"))["metadata"]["uid"]
    listed = place.kubectl("get", "pods,configmaps", "--output", "json")
    held = [
        f"{obj['kind'].lower()}/{obj['metadata']['name']}"
        for obj in json.loads(listed)["items"]
        if first in {owner["uid"] for owner in obj["metadata"].get("ownerReferences", ())}
    ]
    assert {name.partition("/")[0] for name in held} == {"pod", "configmap"}
    for name in held:
        place.kubectl("patch", name, "--type=merge", "--patch", '{"metadata": {"finalizers": ["kedge.test/held"]}}')
    place.kubectl("delete", "run.kedge.dev", "same")
    place.cluster.apply(run, namespace=place.name)
    for name in sorted(held):  # the ConfigMaps first: a Pod is made when they are there
        place.kubectl("wait", name, "--for=jsonpath={.metadata.deletionTimestamp}", "--timeout=60s")
        if name.startswith("configmap"):
            place.kubectl("patch", name, "--type=merge", "--patch", '{"metadata": {"finalizers": null}}')
    place.kubectl("wait", "run.kedge.dev/same", "--for=jsonpath={.status.state}=FAILED", "--timeout=120s")
    for name in held:
        if name.startswith("pod"):
            place.kubectl("patch", name, "--type=merge", "--patch", '{"metadata": {"finalizers": null}}')


def test_what_is_granted_is_used_and_what_is_used_is_granted(place: Home) -> None:
    file = place.folder / "pipelines.py"
    file.write_text(WORDS)
    with database(place):
        place.install("--replicas", "2", "--database-secret", "database")
        with place.client() as client:
            runs: dict[str, Any] = {}
            for name in ("good", "bad", "endless"):
                runs[name] = client.run(compile_file(file, pipeline_name=name))["run_id"]
            assert client.wait(runs["good"])["state"] == "SUCCEEDED", client.tasks(runs["good"])
            assert client.wait(runs["bad"])["state"] == "FAILED"
            for _ in client.watch(runs["endless"]):
                if running := [task for task in client.tasks(runs["endless"]) if task["id"] and task["state"] == "RUNNING"]:
                    assert "waits" in next(iter(client.logs(runs["endless"], running[0]["id"], follow=True)))
                    break
            client.cancel(runs["endless"])
            assert client.wait(runs["endless"])["state"] == "CANCELED"
            client.delete(runs["bad"])
            taken(place, client, compile_file(file, pipeline_name="taken"))
            again(place, client, compile_file(file, pipeline_name="bad"))
            rights, used = granted(place), asked(place)
    assert {right for right, decisions in used.items() if "forbid" in decisions} == set()
    assert set(used) - rights == set()
    assert rights - set(used) == set()
