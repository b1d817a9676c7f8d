"""The Pods of steps."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kedge.artifacts.store import ArtifactStore
from kedge.errors import PipelineError
from kedge.dsl import template
from kedge.kube import names, pods
from kedge.kube.kinds import Obj
from kedge.pipelines import code, documents, ir
from kedge.pipelines.engine.types import Artifact, Inputs
from kedge.pipelines.records import RunRecord, Spec
from kedge.pipelines.steps import (
    OUTPUTS,
    STEP_LIMIT,
    Steps,
    Surroundings,
    code_document,
    must_ask,
    pod_name,
    staged_path,
)
from kedge.pipelines.templates import PythonStep
from kedge.testing import pipelines
from kedge.testing.pipelines import NUMBER, TEXT, component, container, python, task

DIGEST = "d" * 64
RUN = RunRecord(
    id="11111111-2222-4333-8444-555555555555",
    namespace="team-a",
    name="penguins-x7k2p",
    display_name="Penguins",
    pipeline_name="Penguins of Palmer",
    spec_digest="sha256:x",
    parameters={},
    pipeline_root="file:///artifacts/penguins/",
    created_at=datetime(2026, 11, 23, 9, 5, 7, tzinfo=UTC),
)


def steps(name: str, part: tuple[Obj, Obj], *, project: bool = False, run: RunRecord = RUN, grants: Any = must_ask) -> Steps:
    whole = pipelines.pipeline({name: task(name)}, {name: part})
    platforms = {"kedge": {"config": {"project": {"digest": DIGEST, "archive": ""}}}} if project else {}
    # Only the component's shape matters here, so the pipeline is not checked: its task is given nothing.
    del whole["root"]["dag"]["tasks"][name]
    pipeline = ir.read(documents.Document(whole, platforms))
    around = Surroundings("http://127.0.0.1:8080", "kedge-launcher-0", grants=grants)
    made = Steps(pipeline, run, Spec("sha256:x", whole, platforms), around)
    _, places = code.config_maps(run, code.documents(pipeline, None))
    made.place_code(places)
    return made


def pod_of(name: str, part: tuple[Obj, Obj], inputs: Inputs | None = None, **more: Any) -> Obj:
    made = steps(name, part, **more)
    pod = made.pod(made.plan(f"comp-{name}", f"exec-{name}"), name, 0, inputs or Inputs())
    assert pods.validate_pod(pod, None) == []
    return pod


def told(pod: Obj) -> Obj:
    env = pod["spec"]["containers"][0].get("env") or pod["spec"]["initContainers"][0]["env"]
    return json.loads(next(variable["value"] for variable in env if variable["name"] == "KEDGE_STEP").replace("$$", "$"))


def test_a_python_step_is_one_container_with_the_launcher() -> None:
    pod = pod_of("add", (component("add", {"x": NUMBER}, {"Output": NUMBER}), python("add", ["pandas==2.2"])), Inputs({"x": 4}))
    (main,) = pod["spec"]["containers"]
    assert (main["name"], main["image"]) == ("main", "python:3.11")
    assert (main["command"], main["args"]) == (["python3", "/kedge/launcher/launcher.pyz"], ["run"])
    assert {mount["name"]: mount["mountPath"] for mount in main["volumeMounts"]} == {
        "kedge-launcher": "/kedge/launcher",
        "kedge-code": "/kedge/code",
        "kedge-token": "/var/run/secrets/kedge.dev",
    }
    metadata = pod["metadata"]
    assert metadata["labels"] == {
        "kedge.dev/run": RUN.id,
        "kedge.dev/pipeline": names.shorten("Penguins of Palmer"),
        "app.kubernetes.io/managed-by": "kedge",
    }
    assert json.loads(metadata["annotations"]["kedge.dev/python"]) == {
        "packages": ["pandas==2.2"],
        "indexUrls": [],
        "trustedHosts": [],
    }
    assert (metadata["annotations"]["kedge.dev/task"], metadata["annotations"]["kedge.dev/attempt"]) == ("add", "0")
    assert metadata["finalizers"] == ["kedge.dev/tracking"]
    # Not blockOwnerDeletion, for which some clusters demand the right to update the run's finalizers.
    assert metadata["ownerReferences"] == [
        {"apiVersion": "kedge.dev/v1", "kind": "Run", "name": RUN.name, "uid": RUN.id, "controller": True}
    ]
    assert pod["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize(("line", "told"), [("run(['pip', 'install', 'six'])", True), ("pipe = scipy.uvw", None)])
def test_a_step_that_names_an_installer_is_told_apart(line: str, told: bool | None) -> None:  # noqa: FBT001  # a table
    command = template.command(template.render(()), f"def add():\n    {line}\n")
    part = component("add", {}, {}), {"container": {"image": "python:3", "command": command, "args": template.arguments("add")}}
    assert json.loads(pod_of("add", part)["metadata"]["annotations"]["kedge.dev/python"]).get("installs") is told


def test_parameters_alone_need_no_call_and_travel_in_the_variable() -> None:
    pod = pod_of("add", (component("add", {"x": NUMBER}, {"Output": NUMBER}), python("add")), Inputs({"x": 4}))
    step = told(pod)
    assert (step["begin"], step["terminationMessage"], step["run"], step["attempt"]) == (False, True, RUN.id, 0)
    assert step["executorInput"] == {
        "inputs": {"parameterValues": {"x": 4}},
        "outputs": {
            "parameters": {"Output": {"outputFile": f"{OUTPUTS}/parameters/Output"}},
            "outputFile": f"{OUTPUTS}/executor_output.json",
        },
    }


@pytest.mark.parametrize(
    ("outputs", "writes", "expects", "message"),
    [
        ({}, {}, "nothing", False),
        ({"a": NUMBER}, {}, "message", True),
        ({"a": NUMBER, "b": NUMBER}, {}, "message", True),
        ({"a": NUMBER}, {"m": "system.Model"}, "message", False),
        ({}, {"m": "system.Model"}, "message", False),
    ],
    ids=["none", "one parameter", "two parameters", "parameter and artifact", "artifact"],
)
def test_what_makes_a_python_step_a_success(outputs: Obj, writes: Obj, expects: str, *, message: bool) -> None:
    made = steps("s", (component("s", {}, outputs, writes=writes), python("s")))
    plan = made.plan("comp-s", "exec-s")
    assert (plan.expects, plan.begin, plan.staged) == (expects, bool(writes), False)
    assert told(made.pod(plan, "s", 0, Inputs()))["terminationMessage"] is message


def test_a_step_whose_artifacts_lie_in_a_folder_is_told_where_and_asks_nobody() -> None:
    part = component("train", reads={"data": "system.Dataset"}, writes={"model": "system.Model"}), python("train")
    made = steps("train", part, project=True, grants=ArtifactStore(Path("/artifacts"), Path("/projects")).grants_in_place)
    plan = made.plan("comp-train", "exec-train")

    def given(uri: str) -> Obj:
        return told(made.pod(plan, "train", 0, Inputs(artifacts={"data": [Artifact("data", uri, "system.Dataset", id="a1")]})))

    step = given("file:///artifacts/data")
    written = f"/artifacts/penguins/{RUN.id}/train/0/model"
    assert (step["begin"], step["terminationMessage"]) == (False, True)
    assert step["grants"] == {
        "inputs": {"data": [{"uri": "file:///artifacts/data", "path": "/artifacts/data"}]},
        "outputs": {"model": [{"uri": f"file://{written}", "path": written}]},
        "project": {"path": f"/projects/{DIGEST}"},
        "user": os.geteuid(),
    }
    # One of them must be signed, shortly before it is used.
    step = given("s3://bucket/data")
    assert (step["begin"], step.get("grants"), step["terminationMessage"]) == (True, None, False)


def test_artifacts_are_addressed_by_run_task_and_attempt() -> None:
    part = (component("train", reads={"data": "system.Dataset"}, writes={"model": "system.Model"}), python("train"))
    made = steps("train", part)
    data = Artifact("data", "s3://bucket/data.csv", "system.Dataset", metadata={"rows": 3}, id="a1")
    given = made.executor_input(made.plan("comp-train", "exec-train"), "loop.3.train", 2, Inputs(artifacts={"data": [data]}))
    (model,) = given["outputs"]["artifacts"]["model"]["artifacts"]
    assert model["uri"] == f"file:///artifacts/penguins/{RUN.id}/loop.3.train/2/model"
    assert model["type"]["schemaTitle"] == "system.Model"
    (read,) = given["inputs"]["artifacts"]["data"]["artifacts"]
    assert (read["uri"], read["metadata"]) == ("s3://bucket/data.csv", {"rows": 3})


def test_large_inputs_are_fetched_instead() -> None:
    pod = pod_of("add", (component("add", {"x": TEXT}, {"Output": NUMBER}), python("add")), Inputs({"x": "y" * STEP_LIMIT}))
    step = told(pod)
    assert (step.get("executorInput"), step["begin"], step["terminationMessage"]) == (None, True, True)


def test_project_code_needs_a_grant() -> None:
    assert told(pod_of("add", (component("add"), python("add")), project=True))["begin"]
    assert not told(pod_of("add", (component("add"), python("add"))))["begin"]


def test_a_container_without_files_is_the_users_own() -> None:
    args = ["{{$.inputs.parameters['word']}}", "{{$.pipeline_job_name}}", '{"IfPresent": {"InputName": "no", "Then": ["-x"]}}']
    env = [{"name": "WORD", "value": "<{{$.inputs.parameters['word']}}>"}]
    pod = pod_of(
        "say", (component("say", {"word": TEXT}), container("alpine", ["echo"], args, env=env)), Inputs({"word": "{{$.x}} hi"})
    )
    assert pod["spec"]["containers"] == [
        {
            "name": "main",
            "image": "alpine",
            "command": ["echo"],
            "args": ["{{$$.x}} hi", "Penguins"],  # the kubelet makes one dollar of two
            "env": [{"name": "WORD", "value": "<{{$$.x}} hi>"}],
        }
    ]
    assert "volumes" not in pod["spec"]


def test_a_container_with_files_is_staged_around_its_untouched_command() -> None:
    command = [
        "cp",
        "{{$.inputs.artifacts['data'].path}}",
        "{{$.outputs.artifacts['out'].path}}",
        "{{$.outputs.parameters['n'].output_file}}",
    ]
    part = (
        component("copy", {}, {"n": NUMBER}, reads={"data": "system.Dataset"}, writes={"out": "system.Dataset"}),
        container("busybox", command),
    )
    pod = pod_of("copy", part, Inputs(artifacts={"data": [Artifact("data", "s3://b/data.csv")]}))
    spec = pod["spec"]
    assert [(c["name"], c["args"], c.get("restartPolicy")) for c in spec["initContainers"]] == [
        ("stage-out", ["stage-out"], "Always"),
        ("stage-in", ["stage-in"], None),
    ]
    (main,) = spec["containers"]
    assert main["command"] == [
        "cp",
        "/kedge/staging/inputs/data/0/data.csv",
        "/kedge/staging/outputs/artifacts/out",
        "/kedge/staging/outputs/parameters/n",
    ]
    assert main["volumeMounts"] == [{"name": "kedge-staging", "mountPath": "/kedge/staging"}]
    step = told(pod)
    assert step["begin"]
    assert step["executorInput"]["inputs"]["artifacts"]["data"]["artifacts"][0]["customPath"] == main["command"][1]
    assert spec["terminationGracePeriodSeconds"] == 600, "the sidecar's budget for uploads"


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (
            {"resourceCpuLimit": "2", "resourceMemoryRequest": "1Gi"},
            {"limits": {"cpu": "2"}, "requests": {"memory": "1Gi"}},
        ),
        ({"cpuLimit": 1.5, "memoryLimit": 2}, {"limits": {"cpu": "1.5", "memory": "2G"}}),
        ({"resourceCpuLimit": "{{$.inputs.parameters['word']}}"}, {"limits": {"cpu": "4"}}),
        ({"accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "1"}}, {"limits": {"nvidia.com/gpu": "1"}}),
        ({}, None),
    ],
    ids=["quantities", "older numbers", "from a parameter", "accelerator", "none"],
)
def test_resources(resources: Obj, expected: Obj | None) -> None:
    for executor in (python("s"), container("alpine", ["true"])):
        executor["container"]["resources"] = resources
        pod = pod_of("s", (component("s", {"word": TEXT}), executor), Inputs({"word": "4"}))
        assert pod["spec"]["containers"][0].get("resources") == expected


def test_a_placeholder_of_nothing_is_named() -> None:
    part = (component("say"), container("alpine", ["echo", "{{$.inputs.parameters['missing']}}"]))
    with pytest.raises(PipelineError, match="missing"):
        pod_of("say", part)


def test_names_of_pods_are_deterministic_distinct_and_fit() -> None:
    long = RunRecord(**{**{f: getattr(RUN, f) for f in RUN.__struct_fields__}, "name": "a" * 60})
    tasks = ["train", "loop.1.train", "loop.2.train", "Train", "x" * 100, "größe"]
    for run in (RUN, long):
        found = [pod_name(run, name, attempt) for name in tasks for attempt in (0, 1, 12)]
        assert len(set(found)) == len(found)
        assert all(len(name) <= 63 for name in found)
        assert found == [pod_name(run, name, attempt) for name in tasks for attempt in (0, 1, 12)]


def test_a_run_of_the_same_name_has_other_pods() -> None:
    other = RunRecord(**{**{f: getattr(RUN, f) for f in RUN.__struct_fields__}, "id": "other"})
    assert pod_name(RUN, "train", 0) != pod_name(other, "train", 0)


def test_source_code_is_spread_over_config_maps_that_a_server_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "SHARD_LIMIT", 1000)
    maps, places = code.config_maps(RUN, {f"k{n}": "x" * 300 for n in range(7)})
    assert [made["metadata"]["name"] for made in maps] == [f"{RUN.name}-code", f"{RUN.name}-code-1", f"{RUN.name}-code-2"]
    for key, name in places.items():
        assert f"{key}.json" in next(made["data"] for made in maps if made["metadata"]["name"] == name)


def test_the_service_account_is_the_runs() -> None:
    run = RunRecord(**{**{f: getattr(RUN, f) for f in RUN.__struct_fields__}, "service_account": "trainer"})
    assert pod_of("s", (component("s"), python("s")), run=run)["spec"]["serviceAccountName"] == "trainer"


@pytest.mark.parametrize(
    ("uri", "name"), [("s3://b/run/data.csv", "data.csv"), ("hf://org/model/", "model"), ("hf://org/..", "in"), ("", "in")]
)
def test_an_input_of_a_staged_step_keeps_the_name_that_its_address_ends_in_if_that_is_one(uri: str, name: str) -> None:
    assert staged_path("inputs", "in", 0, uri) == f"/kedge/staging/inputs/in/0/{name}"


def test_the_launcher_is_told_what_a_function_wants_installed() -> None:
    """No cluster's node installs it."""
    step = PythonStep("f", "def f(): pass", packages=("tiny==1.0",), index_urls=("https://index",), trusted_hosts=("index",))
    told = json.loads(code_document(step, None))
    assert (told["packages"], told["indexUrls"], told["trustedHosts"]) == (["tiny==1.0"], ["https://index"], ["index"])
