"""Options for Kubernetes on the Pods of steps."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kedge.errors import PipelineError
from kedge.kube import pods
from kedge.kube.kinds import Obj
from kedge.pipelines import code, documents, ir
from kedge.pipelines.engine.machine import Engine
from kedge.pipelines.engine.types import RunStarted, StartStep
from kedge.pipelines.records import RunRecord, Spec
from kedge.pipelines.steps import Steps, Surroundings
from kedge.testing import pipelines
from kedge.testing.pipelines import TEXT, component, container, python, task

NOW = datetime(2026, 11, 24, tzinfo=UTC)
RUN = RunRecord(
    id="11111111-2222-4333-8444-555555555555",
    namespace="team-a",
    name="penguins-x7k2p",
    display_name="Penguins",
    pipeline_name="Penguins",
    spec_digest="sha256:x",
    parameters={"given": "from-input", "json": {"disk": "ssd"}, "list": [{"key": "a", "operator": "Exists"}], "none": None},
    pipeline_root="file:///artifacts/penguins/",
    created_at=NOW,
)
INPUTS: Obj = {
    "given": {"parameterType": TEXT},
    "json": {"parameterType": "STRUCT"},
    "list": {"parameterType": "LIST"},
    "none": {"parameterType": "STRUCT", "isOptional": True},
}
PYTHON = (component("look"), python("look"))
BARE = (component("look"), container("busybox", ["true"]))
STAGED = (component("look", writes={"data": "system.Dataset"}), container("busybox", ["true"]))


def pod_of(options: Obj, part: Any = PYTHON) -> Obj:
    """The Pod of a run's only step, as engine and steps make it."""
    whole = pipelines.pipeline({"look": task("look")}, {"look": part}, inputs=INPUTS)
    platforms = {"kubernetes": {"deploymentSpec": {"executors": {"exec-look": options}}}}
    pipeline = ir.read(documents.Document(whole, platforms))
    steps = Steps(pipeline, RUN, Spec.of(whole, platforms), Surroundings("http://127.0.0.1:8080", "kedge-launcher-0"))
    steps.place_code(code.config_maps(RUN, code.documents(pipeline, None))[1])
    step = Engine(pipeline, RUN.info()).handle(RunStarted(NOW))
    (start,) = [each for each in step.instructions if isinstance(each, StartStep)]
    pod = steps.pod(steps.plan(start.component, start.executor), start.task, start.attempt, start.inputs)
    assert pods.validate_pod(pod, None) == []
    return pod


def main(pod: Obj) -> Obj:
    return pod["spec"]["containers"][0]


def named(value: Any) -> Obj:
    return {"runtimeValue": {"constant": value}}


@pytest.mark.parametrize("part", [PYTHON, BARE, STAGED], ids=["python", "bare", "staged"])
def test_variables_and_files_are_the_users_containers_alone(part: Any) -> None:
    pod = pod_of(
        {
            "secretAsEnv": [
                {"secretNameParameter": {"componentInputParameter": "given"}, "keyToEnv": [{"secretKey": "k", "envVar": "V"}]}
            ],
            "configMapAsVolume": [{"configMapNameParameter": named("c"), "mountPath": "/c", "optional": True}],
        },
        part,
    )
    reference = {"name": "from-input", "key": "k", "optional": False}
    assert main(pod)["env"][-1] == {"name": "V", "valueFrom": {"secretKeyRef": reference}}
    assert pod["spec"]["volumes"][-1] == {"name": "option-config-0", "configMap": {"name": "c", "optional": True}}
    assert main(pod)["volumeMounts"][-1] == {"name": "option-config-0", "mountPath": "/c"}
    for ours in pod["spec"].get("initContainers", ()):
        assert "/c" not in [mount["mountPath"] for mount in ours["volumeMounts"]]
        assert "V" not in [variable["name"] for variable in ours["env"]]


def test_one_step_s_options_do_not_reach_another() -> None:
    first = pod_of({"emptyDirMounts": [{"volumeName": "a", "mountPath": "/a"}]})
    second = pod_of({"emptyDirMounts": [{"volumeName": "b", "mountPath": "/b"}]})
    assert [volume["name"] for volume in first["spec"]["volumes"] if "emptyDir" in volume] == ["a"]
    assert [volume["name"] for volume in second["spec"]["volumes"] if "emptyDir" in volume] == ["b"]


def test_a_claim_that_is_mounted_twice_is_one_volume() -> None:
    source = {"pvcNameParameter": named("data")}
    pod = pod_of({"pvcMount": [{**source, "mountPath": "/a", "subPath": "x"}, {**source, "mountPath": "/b"}]})
    (claim,) = [volume for volume in pod["spec"]["volumes"] if "persistentVolumeClaim" in volume]
    assert claim == {"name": "option-claim-0", "persistentVolumeClaim": {"claimName": "data"}}
    assert main(pod)["volumeMounts"][-2:] == [
        {"name": "option-claim-0", "mountPath": "/a", "subPath": "x"},
        {"name": "option-claim-0", "mountPath": "/b"},
    ]


def test_volumes_of_a_pod_s_own() -> None:
    pod = pod_of(
        {
            "genericEphemeralVolume": [
                {
                    "volumeName": "own",
                    "mountPath": "/own",
                    "accessModes": ["ReadWriteOnce"],
                    "size": "1Gi",
                    "defaultStorageClass": True,
                    "metadata": {"labels": {"a": "b"}},
                }
            ],
            "enabledSharedMemory": {"size": "1Gi"},
        }
    )
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": claim}
    assert pod["spec"]["volumes"][-2:] == [
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        {"name": "own", "ephemeral": {"volumeClaimTemplate": template}},
    ]


def test_two_volumes_of_one_name_are_refused() -> None:
    mounts = [{"volumeName": "a", "mountPath": "/a"}, {"volumeName": "a", "mountPath": "/b", "medium": "Memory"}]
    with pytest.raises(PipelineError, match="two volumes of the step are named 'a'"):
        pod_of({"emptyDirMounts": mounts})


@pytest.mark.parametrize("part", [PYTHON, STAGED], ids=["python", "staged"])
def test_containers_before_a_step_and_beside_it(part: Any) -> None:
    first = {"name": "first", "image": "busybox", "args": ["x"], "volumeMounts": [{"volumeName": "data", "mountPath": "/in"}]}
    beside = {
        "name": "beside",
        "image": "busybox",
        "env": [{"name": "A", "value": "b"}],
        "restartPolicy": "Always",
        "resources": {"limits": {"memory": "128Mi"}},
        "volumeMounts": [{"volumeName": "scratch", "mountPath": "/scratch"}],
    }
    mounts = {
        "pvcMount": [{"pvcNameParameter": named("data"), "mountPath": "/data"}],
        "emptyDirMounts": [{"volumeName": "scratch", "mountPath": "/tmp/x"}],
    }
    pod = pod_of({**mounts, "initContainers": [first, beside]}, part)
    assert pod["spec"]["initContainers"][:2] == [
        {**first, "volumeMounts": [{"name": "option-claim-0", "mountPath": "/in"}]},
        {**beside, "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]},
    ]


def test_an_init_container_mounts_volumes_of_the_step_only() -> None:
    mount = {"volumeName": "nothing", "mountPath": "/in"}
    with pytest.raises(PipelineError, match=r"the init container 'a' mounts 'nothing', which is no volume of the step \(it has"):
        pod_of({"initContainers": [{"name": "a", "image": "busybox", "volumeMounts": [mount]}]})


def test_where_a_step_runs() -> None:
    required, preferred = (f"{kind}DuringSchedulingIgnoredDuringExecution" for kind in ("required", "preferred"))
    expression = {"key": "disk", "operator": "In", "values": ["ssd"]}
    by_name = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}
    json = {required: {"nodeSelectorTerms": [by_name]}, preferred: [{"weight": 1, "preference": {}}]}
    spec = pod_of(
        {
            "nodeSelector": {"labels": {"a": "b"}, "nodeSelectorJson": {"componentInputParameter": "json"}},
            "tolerations": [
                {"key": "k", "operator": "Equal", "value": "v", "effect": "NoExecute", "tolerationSeconds": "5"},
                {"tolerationJson": {"componentInputParameter": "list"}},
                {"tolerationJson": {"componentInputParameter": "none"}},
                {"tolerationJson": named({"operator": "Exists"})},
            ],
            "nodeAffinity": [
                {"matchExpressions": [expression]},
                {"matchExpressions": [expression], "weight": 4},
                {},
                {"nodeAffinityJson": named(json)},
                {"nodeAffinityJson": {"componentInputParameter": "none"}},
            ],
            "podAffinity": [
                {"topologyKey": "zone", "matchPodLabels": {"a": "b"}, "namespaces": ["x"]},
                {"topologyKey": "zone", "matchPodExpressions": [expression], "anti": True, "weight": 9},
                {"podAffinityJson": named({"topologyKey": "rack"})},
                {"podAffinityJson": {"componentInputParameter": "none"}, "anti": True},
            ],
        }
    )["spec"]
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert spec["tolerations"] == [
        {"key": "k", "operator": "Equal", "value": "v", "effect": "NoExecute", "tolerationSeconds": 5},
        {"key": "a", "operator": "Exists"},
        {"operator": "Exists"},
    ]
    term = {"matchExpressions": [expression]}
    beside = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}, "namespaces": ["x"]}
    away = {"weight": 9, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": term}}
    assert spec["affinity"] == {
        "nodeAffinity": {
            required: {"nodeSelectorTerms": [term, by_name]},
            preferred: [{"weight": 4, "preference": term}, {"weight": 1, "preference": {}}],
        },
        "podAffinity": {required: [beside, {"topologyKey": "rack"}]},
        "podAntiAffinity": {preferred: [away]},
    }


def test_the_pod_as_a_whole() -> None:
    pod = pod_of(
        {
            "podMetadata": {"labels": {"team": "blue"}, "annotations": {"note": "x"}},
            "imagePullPolicy": "Never",
            "imagePullSecret": [{"secretName": "a"}, {"secretNameParameter": {"componentInputParameter": "given"}}],
            "activeDeadlineSeconds": "60",
            "securityContext": {"runAsUser": "0", "runAsNonRoot": False},
        }
    )
    assert pod["metadata"]["labels"]["team"] == "blue"
    assert pod["metadata"]["labels"]["kedge.dev/run"] == RUN.id
    assert pod["metadata"]["annotations"]["note"] == "x"
    assert pod["spec"]["imagePullSecrets"] == [{"name": "a"}, {"name": "from-input"}]
    assert pod["spec"]["activeDeadlineSeconds"] == 60
    assert main(pod)["imagePullPolicy"] == "Never"
    assert main(pod)["securityContext"] == {"runAsUser": 0, "runAsNonRoot": False}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"pvcMount": [{"pvcNameParameter": {"componentInputParameter": "none"}, "mountPath": "/a"}]},
            "pvcMount: must be the name of a PersistentVolumeClaim, got None. Give the task another value.",
        ),
        (
            {"nodeSelector": {"nodeSelectorJson": {"componentInputParameter": "list"}}},
            "nodeSelector: must be a mapping of labels",
        ),
        ({"tolerations": [{"tolerationJson": {"componentInputParameter": "given"}}]}, "tolerations: must be a toleration such"),
        ({"nodeAffinity": [{"nodeAffinityJson": {"componentInputParameter": "json"}}]}, "nodeAffinity: must be a mapping with"),
    ],
    ids=["name", "selector", "toleration", "affinity"],
)
def test_a_value_that_is_not_what_the_option_needs_is_refused(options: Obj, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        pod_of(options)
