"""What a cluster of tests has besides Kubernetes, as most clusters do: a default StorageClass, and a folder that every Pod sees.

Our own cluster's node is this machine, so both are folders here. Another one, of `KEDGE_TEST_KUBECONFIG`, has to bring its own
default class; nothing is shared with it, and tests whose steps leave something in a folder are skipped there.
"""

import json
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any

from access import Cluster

SHARED_LABEL = "kedge.test/shared"
_CLASS = "standard"
_POLICY = "folder-shared-with-tests.kedge.test"
_PROVISIONER = "kedge.test/provisioner"


def share(cluster: Cluster, folder: Path) -> None:
    """Have a folder of this machine in all containers of the namespaces with `SHARED_LABEL`, at the same path.

    Args:
        cluster: Our own.
        folder: The folder.
    """
    rules = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    here = json.dumps(str(folder))
    mount = f'Object.spec.{{}}.volumeMounts{{{{name: "shared-with-tests", mountPath: {here}}}}}'
    lists = [
        f"{kind}: has(object.spec.{kind}) ? object.spec.{kind}.map(each, Object.spec.{kind}{{name: each.name, "
        f"volumeMounts: [{mount.format(kind)}]}}) : []"
        for kind in ("containers", "initContainers")
    ]
    volume = (
        f'volumes: [Object.spec.volumes{{name: "shared-with-tests", hostPath: Object.spec.volumes.hostPath{{path: {here}}}}}]'
    )
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": _POLICY},
        "spec": {
            "matchConstraints": {"resourceRules": [rules]},
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
            "mutations": [
                {
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": {"expression": f"Object{{spec: Object.spec{{{', '.join([*lists, volume])}}}}}"},
                }
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": _POLICY},
        "spec": {
            "policyName": _POLICY,
            "matchResources": {"namespaceSelector": {"matchExpressions": [{"key": SHARED_LABEL, "operator": "Exists"}]}},
        },
    }
    cluster.apply(policy, binding)


@contextmanager
def provisioned(cluster: Cluster, folder: Path, label: str) -> Generator[None]:
    """Have volumes for claims of the class ``standard``, which is the default, in some namespaces.

    Args:
        cluster: Our own.
        folder: Each volume is a folder in it, deleted with its claim.
        label: What `SHARED_LABEL` of those namespaces says.
    """
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": _CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": _PROVISIONER,
        "volumeBindingMode": "Immediate",
    }
    cluster.apply(storage)
    over = Event()
    Thread(target=_provide_until, args=(cluster, folder, label, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _provide_until(cluster: Cluster, folder: Path, label: str, over: Event) -> None:
    """Follow the claims, again where the API server was away: tests restart it."""
    asked = ("get", "pvc", "--all-namespaces", "--watch", "--output-watch-events", "--output=json", "--request-timeout=60s")
    while not over.wait(0.2):
        with suppress(RuntimeError, ValueError), cluster.following(*asked) as changes:
            _provide(cluster, folder, label, changes)


def _provide(cluster: Cluster, folder: Path, label: str, changes: IO[str]) -> None:
    shared: dict[str, bool] = {}
    for line in changes:
        event = json.loads(line)
        claim: dict[str, Any] = event["object"]
        namespace = claim["metadata"]["namespace"]
        if namespace not in shared:
            labels = cluster.get("namespace", namespace)["metadata"].get("labels", {})
            shared[namespace] = labels.get(SHARED_LABEL) == label
        if shared[namespace] and claim["spec"].get("storageClassName") == _CLASS:
            _serve(cluster, folder, event["type"], claim)


def _serve(cluster: Cluster, folder: Path, change: str, claim: dict[str, Any]) -> None:
    name = f"test-{claim['metadata']['uid']}"
    if change == "DELETED":
        cluster.kubectl("delete", "pv", name, "--ignore-not-found", "--wait=false")
        shutil.rmtree(folder / name, ignore_errors=True)
    elif not claim["spec"].get("volumeName"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": name},
                "spec": {
                    "storageClassName": _CLASS,
                    "accessModes": claim["spec"]["accessModes"],
                    "capacity": claim["spec"]["resources"]["requests"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "claimRef": {key: claim["metadata"][key] for key in ("namespace", "name", "uid")},
                    "hostPath": {"path": str(folder / name)},
                },
            }
        )
