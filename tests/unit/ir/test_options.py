"""Reading the options for Kubernetes: older spellings, and what is refused, with its place."""

from typing import Any

import pytest

from kedge.errors import PipelineError
from kedge.pipelines import documents, ir, platform_spec
from kedge.testing import pipelines

Json = dict[str, Any]
PLACE = "the pipeline: platforms.kubernetes.deploymentSpec.executors.exec-add"


def read(options: Any, label: str = "exec-add", **more: Any) -> Any:
    platforms = {"kubernetes": {"deploymentSpec": {"executors": {label: options}}, **more}}
    return platform_spec.of(ir.read(documents.Document(pipelines.chain(2), platforms)), label)


def test_older_spellings_mean_the_newer() -> None:
    constant = {"runtimeValue": {"constant": "x"}}
    older: Json = {
        "secretAsEnv": [{"secretName": "x", "keyToEnv": [{"secretKey": "k", "envVar": "V"}]}],
        "configMapAsVolume": [{"configMapName": "x", "mountPath": "/m"}],
        "imagePullSecret": [{"secretName": "x"}],
        "pvcMount": [{"constant": "x", "mountPath": "/m"}],
    }
    newer: Json = {
        "secretAsEnv": [{"secretNameParameter": constant, "keyToEnv": [{"secretKey": "k", "envVar": "V"}], "optional": False}],
        "configMapAsVolume": [{"configMapName": "y", "configMapNameParameter": constant, "mountPath": "/m"}],
        "imagePullSecret": [{"secretNameParameter": constant}],
        "pvcMount": [{"constant": "x", "pvcNameParameter": constant, "mountPath": "/m"}],
    }
    assert read(older) == read(newer)


def test_numbers_are_read_as_protobuf_writes_them() -> None:
    found = read(
        {
            "activeDeadlineSeconds": "60",
            "securityContext": {"runAsUser": "0", "runAsNonRoot": None},
            "nodeAffinity": [{"weight": 4.0, "matchExpressions": [{"key": "a", "operator": "Exists"}]}],
        }
    )
    assert (found.active_deadline_seconds, found.security_context.run_as_user, found.node_affinity[0].weight) == (60, 0, 4)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"activeDeadlineSeconds": -1}, "activeDeadlineSeconds: must be 0 (nothing said) or more, got -1."),
        ({"resourceTtlOnSuccess": "soon"}, "resourceTtlOnSuccess: expected `int`, got `str`."),
    ],
    ids=["negative", "a-text"],
)
def test_times_of_a_run_are_whole_numbers_from_zero(given: Json, problem: str) -> None:
    with pytest.raises(PipelineError) as caught:
        read({}, pipelineConfig=given)
    assert str(caught.value).startswith(f"the pipeline: platforms.kubernetes.pipelineConfig.{problem}")


def named(source: Json) -> Json:
    return {"secretAsVolume": [{"secretNameParameter": source, "mountPath": "/m"}]}


REFUSED: dict[str, tuple[Any, str]] = {
    "unknown": ({"secretsAsEnv": []}, ": there is no option `secretsAsEnv`. Correct it, or compile the pipeline again."),
    "unknown-inside": (
        {"emptyDirMounts": [{"volumeName": "v", "mountPath": "/m", "colour": "red"}]},
        ".emptyDirMounts[0]: there is no option `colour`. Correct it, or compile the pipeline again.",
    ),
    "missing": (
        {"secretAsVolume": [{"mountPath": "/m"}]},
        ".secretAsVolume[0]: is missing the required field `secretNameParameter`. Correct it, or compile the pipeline again.",
    ),
    "type": (
        {"pvcMount": 3},
        ".pvcMount: expected `array`, got `int`. Correct it, or compile the pipeline again.",
    ),
    "no-mapping": ([], ": must be a mapping, got []. Compile the pipeline again."),
    "deadline": ({"activeDeadlineSeconds": -1}, ".activeDeadlineSeconds: must be 0 (no limit) or more."),
    "policy": ({"imagePullPolicy": "Maybe"}, ".imagePullPolicy: must be one of Always, Never, IfNotPresent, got 'Maybe'."),
    "label": (
        {"podMetadata": {"labels": {"kedge.dev/run": "x"}}},
        ".podMetadata.labels: 'kedge.dev/run' is one of Kedge's own names. Use another prefix.",
    ),
    "topology": (
        {"podAffinity": [{"weight": 4}]},
        ".podAffinity[0].topologyKey: is missing. Name the node's label, such as kubernetes.io/hostname.",
    ),
    "weight": ({"nodeAffinity": [{"weight": 0}]}, ".nodeAffinity[0].weight: must be from 1 to 100, got 0."),
    "no-source": (
        named({}),
        ".secretAsVolume: must have one of taskOutputParameter, runtimeValue, componentInputParameter. Compile the pipeline",
    ),
    "no-input": (
        named({"componentInputParameter": "x"}),
        ".secretAsVolume: the DAG around task 's0' has no input 'x' (there is start). Compile the pipeline again.",
    ),
    "no-expression": (
        named({"componentInputParameter": "start", "parameterExpressionSelector": '0parseJson(string_value)["login"]'}),
        ".secretAsVolume.parameterExpressionSelector: unexpected 'parseJson' at column 2",
    ),
    "no-task": (
        named({"taskOutputParameter": {"producerTask": "x", "outputParameterKey": "y"}}),
        ".secretAsVolume: there is no task 'x' beside task 's0' (there is s0, s1).",
    ),
    "no-output": (
        named({"taskOutputParameter": {"producerTask": "s0", "outputParameterKey": "y"}}),
        ".secretAsVolume: the task 's0' has no output 'y' among its parameters (there is Output).",
    ),
    "not-awaited": (
        named({"taskOutputParameter": {"producerTask": "s1", "outputParameterKey": "Output"}}),
        ".secretAsVolume: task 's0' takes a value of task 's1' and does not wait for it. Add it to dependentTasks.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_cannot_be_meant_are_refused(case: str) -> None:
    options, message = REFUSED[case]
    with pytest.raises(PipelineError) as caught:
        read(options)
    assert str(caught.value).startswith(PLACE + message)


def test_options_beside_those_of_executors() -> None:
    assert read({}, pipelineConfig={"resourceTtlOnCompletion": 3}, platform="kubernetes") is not None
    with pytest.raises(PipelineError, match=r"platforms.kubernetes.pipelineConfig.ttl: is not known here; there are activeDead"):
        read({}, pipelineConfig={"ttl": 3})
    with pytest.raises(PipelineError, match=r"executors.exec-nothing: there is no executor 'exec-nothing' \(there is exec-add\)"):
        read({}, label="exec-nothing")


@pytest.mark.parametrize(
    ("workspace", "message"),
    [
        ({}, "platforms.kubernetes.pipelineConfig.workspace: is missing the required field `size`."),
        (
            {"size": "1Gi", "kubernetes": {"pvcSpecPatch": {"volumeName": "v"}}},
            "platforms.kubernetes.pipelineConfig.workspace.kubernetes.pvcSpecPatch: there is no option `volumeName`.",
        ),
    ],
    ids=["size", "patch"],
)
def test_a_workspace_that_cannot_be_made_is_refused(workspace: Json, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        read({}, pipelineConfig={"workspace": workspace})
    assert message in str(caught.value)


def test_a_workspace_that_there_is_not_is_missed_before_the_run() -> None:
    pipeline = pipelines.chain(1)
    pipeline["root"]["dag"]["tasks"]["s0"]["inputs"]["parameters"]["more"] = {
        "runtimeValue": {"constant": ["{{$.workspace_path}}/notes"]}
    }
    pipeline["components"]["comp-add"]["inputDefinitions"]["parameters"]["more"] = {"parameterType": "LIST"}
    with pytest.raises(
        PipelineError, match=r"root.dag.tasks.s0.inputs.parameters.more: names the workspace, and the pipeline has"
    ):
        ir.read(documents.Document(pipeline))
    options = {"kubernetes": {"pipelineConfig": {"workspace": {"size": "1Gi"}}}}
    assert ir.read(documents.Document(pipeline, options)).workspace.size == "1Gi"


@pytest.mark.parametrize("kubernetes", [[1], "x", 3, {"deploymentSpec": []}, {"deploymentSpec": {"executors": 3}}])
def test_options_that_are_no_mappings_are_refused(kubernetes: Any) -> None:
    with pytest.raises(PipelineError, match=r"platforms\.kubernetes.*: must be a mapping"):
        ir.read(documents.Document(pipelines.chain(1), {"kubernetes": kubernetes}))
