# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
"""Kubeflow's SDK, as its users call it: KUBECONFIG and a namespace that is not there yet are its arguments.

Beside the kubeconfig lie the definitions of the runtimes, as Kubeflow publishes them.
"""

import json
import sys
from pathlib import Path
from typing import Any

import asked as steps
from asked import Steps, until
from kubeflow.trainer import KubernetesBackendConfig, TrainerClient
from kubernetes import client, config

KUBECONFIG, NAMESPACE = sys.argv[1:]
DEFINITIONS = json.loads((Path(KUBECONFIG).parent / "definitions.json").read_text())
KINDS = {"group": "trainer.kubeflow.org", "version": "v1alpha1"}
api_client = config.new_client_from_config(KUBECONFIG)
core, custom = client.CoreV1Api(api_client), client.CustomObjectsApi(api_client)
extensions = client.ApiextensionsV1Api(api_client)


def told(error: Exception) -> str:
    if isinstance(error, client.ApiException) and error.body:
        return steps.status(error.body if isinstance(error.body, str) else error.body.decode())
    raise error


told_by = Steps(NAMESPACE, told)
step = told_by.step


def defined() -> list[str]:
    """Those of the definitions that were not there before."""
    made = list[str]()
    for each in DEFINITIONS:
        answer = told_by.tried(lambda each=each: extensions.create_custom_resource_definition(each))
        assert not isinstance(answer, str) or answer.startswith("AlreadyExists"), answer
        made += [] if isinstance(answer, str) else [each["metadata"]["name"]]
    for each in DEFINITIONS:
        until(lambda each=each: served(each["spec"]["names"]["plural"]), True)
    return made


def served(plural: str) -> bool:
    return isinstance(told_by.tried(lambda: custom.list_cluster_custom_object(**KINDS, plural=plural)), dict)


def runtime(kind: str, name: str, nodes: int) -> dict[str, Any]:
    """A runtime that the SDK takes for one: it looks for the labels, and for a container of that name."""
    container = {"name": "node", "image": steps.IMAGE}
    template = {
        "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "labels": {"trainer.kubeflow.org/framework": "torch"}},
        "spec": {
            "mlPolicy": {"numNodes": nodes, "torch": {"numProcPerNode": "auto"}},
            "template": {"spec": {"replicatedJobs": [{"name": "node", "template": template}]}},
        },
    }


def shown(found: Any) -> str:
    return f"{found.name} ({found.trainer.framework}, {found.trainer.num_nodes})"


def mine(trainer: TrainerClient) -> list[Any]:
    """A cluster may have others."""
    return [each for each in trainer.list_runtimes() if each.name.startswith(NAMESPACE)]


def asks() -> None:
    """What a user asks who has runtimes of the cluster and of a namespace, one of them in the place of the cluster's."""
    trainer = TrainerClient(KubernetesBackendConfig(namespace=NAMESPACE, config_file=KUBECONFIG))
    mine = (f"{NAMESPACE}-both", f"{NAMESPACE}-own", f"{NAMESPACE}-shared")
    step(
        "`TrainerClient.list_runtimes`", lambda: steps.names(shown(each) for each in trainer.list_runtimes() if each.name in mine)
    )
    step("`TrainerClient.get_runtime` of the cluster", lambda: shown(trainer.get_runtime(f"{NAMESPACE}-shared")))
    step("`TrainerClient.get_runtime` of the namespace", lambda: shown(trainer.get_runtime(f"{NAMESPACE}-both")))


namespace = {"metadata": {"name": NAMESPACE}}
step("create a Namespace", lambda: core.create_namespace(namespace).status.phase)
made = defined()
shared = {**KINDS, "plural": "clustertrainingruntimes"}
own = {**KINDS, "plural": "trainingruntimes", "namespace": NAMESPACE}
custom.create_cluster_custom_object(**shared, body=runtime("ClusterTrainingRuntime", f"{NAMESPACE}-shared", 1))
custom.create_cluster_custom_object(**shared, body=runtime("ClusterTrainingRuntime", f"{NAMESPACE}-both", 1))
custom.create_namespaced_custom_object(**own, body=runtime("TrainingRuntime", f"{NAMESPACE}-both", 2))
custom.create_namespaced_custom_object(**own, body=runtime("TrainingRuntime", f"{NAMESPACE}-own", 3))
try:
    asks()
finally:
    for name in ("shared", "both"):
        custom.delete_cluster_custom_object(**shared, name=f"{NAMESPACE}-{name}")
    for name in made:
        extensions.delete_custom_resource_definition(name)
    core.delete_namespace(NAMESPACE)
told_by.printed()
