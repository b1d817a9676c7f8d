"""The REST API as a client sees it: every operation, its answers and its refusals."""

import gzip
import io
import json
import re
import tarfile
import zipfile
from typing import Any

import pytest
from rest_client import CHAIN, Json, Rest

from kedge.testing import pipelines
from kedge.testing.nodes import Ended, Step

pytestmark = pytest.mark.usefixtures("either_database")

STORED = {"pipeline_id": "x"}


# ---- requests


async def test_health_tells_the_version(rest: Rest) -> None:
    assert await rest("GET", "/healthz") == {"tag_name": "1.2.3", "multi_user": False, "pipeline_store": "database"}


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "code", "message"),
    [
        ("GET", "/nothing", None, {}, 404, "there is no such operation in the pipelines API"),
        ("PUT", "/runs", {}, {}, 405, "there is GET, POST at this address"),
        ("GET", "/runs", None, {"colour": "red"}, 400, "query parameter 'colour' is not known here; there are page_size"),
        ("GET", "/runs", None, {"page_size": "many"}, 400, "page_size: 'many' is no whole number"),
        ("GET", "/runs", None, {"page_size": "-1"}, 400, "page_size: must not be negative"),
        ("GET", "/runs", None, {"page_token": "x"}, 400, "is none that this server made"),
        ("DELETE", "/pipelines/x", None, {"cascade": "perhaps"}, 400, "cascade: must be true or false"),
        ("POST", "/runs", {"colour": "red"}, {}, 400, "the Run: .* field `colour`.*Fields of the Run: display_name"),
        ("POST", "/runs", {"runtime_config": {"x": 1}}, {}, 400, r"unknown field `x` - at `\$.runtime_config`"),
        ("POST", "/runs", {"display_name": 3}, {}, 400, r"Expected `str.*`, got `int` - at `\$.display_name`"),
        ("POST", "/runs", {"display_name": "x" * 501}, {}, 400, r"length <= 500 - at `\$.display_name`"),
        ("POST", "/experiments", {"display_name": "x" * 501}, {}, 400, r"length <= 500 - at `\$.display_name`"),
        ("POST", "/runs", {}, {}, 400, "pipeline_spec or pipeline_version_reference is required"),
        ("POST", "/runs", {"pipeline_spec": CHAIN, "plugins_input": {"x": 1}}, {}, 400, "there are no plugins here"),
        ("POST", "/runs", {"pipeline_spec": CHAIN, "pipeline_version_reference": STORED}, {}, 400, "exclude each other"),
        ("POST", "/runs", {"pipeline_version_reference": STORED}, {}, 404, "a version of pipeline 'x' not found"),
        ("POST", "/runs", {"pipeline_spec": CHAIN, "experiment_id": "x"}, {}, 404, "experiment 'x' not found"),
        ("POST", "/runs", {"pipeline_spec": CHAIN, "runtime_config": {"parameters": {"y": 1}}}, {}, 400, "'?y'?"),
        ("GET", "/runs/x", None, {}, 404, "run 'x' not found"),
        ("POST", "/runs/x:terminate", None, {}, 404, "run 'x' not found"),
        ("POST", "/runs/x:archive", None, {}, 404, "run 'x' not found"),
        ("POST", "/runs/x:fly", None, {}, 405, "there is DELETE, GET at this address"),
        ("POST", "/workflows", {}, {}, 400, "There is none here"),
        ("GET", "/experiments/x", None, {}, 404, "experiment 'x' not found"),
        ("POST", "/experiments", {}, {}, 400, "display_name must not be empty"),
        ("POST", "/pipelines", {}, {}, 400, "name or display_name is required"),
        ("POST", "/pipelines/upload_version", None, {}, 400, "pipelineid: is required. A version of which pipeline?"),
        ("POST", "/pipelines/upload", {}, {}, 400, "multipart/form-data with the file in the field uploadfile"),
        ("GET", "/pipelines/names/a%2Fb", None, {}, 404, "there is no pipeline named 'a/b'"),
        ("GET", "/artifacts/x", None, {}, 404, "artifact 'x' not found"),
        ("GET", "/apis/v1alpha1/runs/x/nodes/y/log", None, {}, 404, "run 'x' not found"),
    ],
)  # fmt: skip
async def test_what_cannot_be_done_says_why(  # noqa: PLR0917  # a row of the table above
    rest: Rest, method: str, path: str, body: Any, query: Json, code: int, message: str
) -> None:
    said = await rest.refused(method, path, body, code=code, **query)
    assert re.search(message, said), said


async def test_null_is_a_field_that_is_not_there_and_what_was_read_can_be_sent_back(rest: Rest) -> None:
    body = {"pipeline_spec": CHAIN, "display_name": None, "runtime_config": {"parameters": None, "pipeline_root": None}}
    started = await rest("POST", "/runs", body)
    await rest.life.end(started["run_id"])
    again = await rest("POST", "/runs", await rest("GET", f"/runs/{started['run_id']}"))
    assert again["run_id"] != started["run_id"]
    await rest.life.end(again["run_id"])


# ---- runs


async def test_a_run_is_started_shown_listed_archived_and_deleted(rest: Rest) -> None:
    ended = await rest.run(display_name="mine", runtime_config={"parameters": {"start": 3}})
    run = f"/runs/{ended['run_id']}"
    assert (ended["state"], ended["storage_state"], ended["display_name"]) == ("SUCCEEDED", "AVAILABLE", "mine")
    assert ended["outputs"] == {"parameters": {"Output": 5}}
    assert ended["scheduled_at"] == ended["created_at"] <= ended["finished_at"]
    assert [entry["state"] for entry in ended["state_history"]] == ["PENDING", "RUNNING", "SUCCEEDED"]
    details = {task["task_id"] or "root": task for task in ended["run_details"]["task_details"]}
    assert details["root"]["child_tasks"] == [{"task_id": "s0"}, {"task_id": "s1"}]
    assert details["s1"]["state"] == "SUCCEEDED"
    assert details["s1"]["pod_name"]
    listed = await rest("GET", "/runs")
    assert (listed["total_size"], [found["run_id"] for found in listed["runs"]]) == (1, [ended["run_id"]])
    await rest("POST", f"{run}:archive")
    assert (await rest("GET", run))["storage_state"] == "ARCHIVED"
    await rest("POST", f"{run}:unarchive")
    assert (await rest("GET", run))["storage_state"] == "AVAILABLE"
    assert await rest("POST", f"{run}:terminate") == {}, "harmless when it is over"
    await rest("DELETE", run)
    await rest("GET", run, code=404)
    assert await rest("GET", "/runs") == {}, "what is empty is left out"


async def test_pages_of_runs_follow_each_other(rest: Rest) -> None:
    for number in range(3):
        await rest.run(display_name=f"run {number}")
    first = await rest("GET", "/runs", page_size=2, sort_by="display_name asc")
    assert ([run["display_name"] for run in first["runs"]], first["total_size"]) == (["run 0", "run 1"], 3)
    last = await rest("GET", "/runs", page_size=2, page_token=first["next_page_token"])
    assert [run["display_name"] for run in last["runs"]] == ["run 2"]
    assert "next_page_token" not in last


async def test_tasks_nodes_and_their_artifacts(rest: Rest) -> None:
    ended = await rest.run()
    run = f"/runs/{ended['run_id']}"
    tasks = {task["task_id"]: task for task in (await rest("GET", f"{run}/tasks"))["tasks"]}
    assert sorted(tasks) == ["", "s0", "s1"]
    assert (await rest("GET", f"{run}/tasks/s1"))["outputs"] == {
        "parameters": [{"parameter_key": "Output", "value": 2, "type": "OUTPUT"}]
    }
    assert "run {} has no task 'x'. Its steps: s0, s1".format(ended["run_id"]) in await rest.refused(
        "GET", f"{run}/tasks/x", code=404
    )
    pod = tasks["s1"]["attempts"][0]["pod_name"]
    message = await rest.refused("GET", f"{run}/nodes/{pod}/artifacts/model:read", code=404)
    assert message == "task 's1' has no output artifact 'model'. It has: none."


async def test_tasks_come_in_pages_where_one_is_asked_for(rest: Rest) -> None:
    run = f"/runs/{(await rest.run(pipelines.chain(4)))['run_id']}"
    first = await rest("GET", f"{run}/tasks", page_size=2, sort_by="task_id asc")
    assert ([task["task_id"] for task in first["tasks"]], first["total_size"]) == (["", "s0"], 5)
    rest_of = await rest("GET", f"{run}/tasks", page_size=200, page_token=first["next_page_token"])
    assert [task["task_id"] for task in rest_of["tasks"]] == ["s1", "s2", "s3"]
    wanted = json.dumps({"predicates": [{"key": "name", "operation": "EQUALS", "string_value": "s2"}]})
    assert [task["task_id"] for task in (await rest("GET", f"{run}/tasks", filter=wanted))["tasks"]] == ["s2"]


async def test_who_read_or_made_an_artifact(rest: Rest) -> None:
    spec = {"importer": {"artifactUri": {"constant": "s3://b/model"}, "typeSchema": {"schemaTitle": "system.Model"}}}
    load = (pipelines.component("load", writes={"artifact": "system.Model"}), spec)
    use = (pipelines.component("use", reads={"model": "system.Model"}), pipelines.python("use"))
    tasks = {"load": pipelines.task("load"), "use": pipelines.task("use", artifacts={"model": ("load", "artifact")})}
    run = await rest.run(pipelines.pipeline(tasks, {"load": load, "use": use}))
    assert run["state"] == "SUCCEEDED", run
    found = await rest("GET", "/artifact_tasks", run_ids=run["run_id"])
    assert [link["producer"] for link in found["artifact_tasks"]] == [{"task_name": "load"}] * 2
    links = [(link["task_id"], link["key"], link["type"]) for link in found["artifact_tasks"]]
    assert links == [("load", "artifact", "OUTPUT"), ("use", "model", "TASK_OUTPUT_INPUT")]
    artifact = found["artifact_tasks"][0]["artifact_id"]
    shown = await rest("GET", f"/artifacts/{artifact}")
    assert (shown["uri"], shown["type"], shown["schema_title"]) == ("s3://b/model", "Model", "system.Model")
    for kind, task in (("OUTPUT", "load"), ("TASK_OUTPUT_INPUT", "use")):
        found = await rest("GET", "/artifact_tasks", artifact_ids=artifact, type=kind)
        assert [link["task_id"] for link in found["artifact_tasks"]] == [task]
    assert "got 'OUT'" in await rest.refused("GET", "/artifact_tasks", type="OUT")
    given = (await rest("GET", f"/runs/{run['run_id']}/tasks/use"))["inputs"]["artifacts"]
    assert [(each["artifact_key"], each["type"], each["artifacts"]) for each in given] == [
        ("model", "TASK_OUTPUT_INPUT", [{key: shown[key] for key in given[0]["artifacts"][0]}])
    ]
    assert (await rest("GET", "/artifact_tasks", artifact_ids=artifact))["total_size"] == 2
    first = await rest("GET", "/artifact_tasks", artifact_ids=artifact, page_size=1)
    last = await rest("GET", "/artifact_tasks", artifact_ids=artifact, page_token=first["next_page_token"])
    assert [link["task_id"] for link in last["artifact_tasks"]] == ["use"]
    assert "is none that this server made" in await rest.refused("GET", "/artifact_tasks", page_token="WzFd")
    backwards = await rest("GET", "/artifact_tasks", sort_by="artifact_id desc", page_size=1)
    after = await rest("GET", "/artifact_tasks", page_token=backwards["next_page_token"])
    assert [link["task_id"] for page in (backwards, after) for link in page["artifact_tasks"]] == ["use", "load"]
    readers = json.dumps({"predicates": [{"key": "key", "operation": "EQUALS", "string_value": "model"}]})
    assert [link["task_id"] for link in (await rest("GET", "/artifact_tasks", filter=readers))["artifact_tasks"]] == ["use"]
    assert "Fields here: artifact_id, id, run_id" in await rest.refused("GET", "/artifact_tasks", sort_by="key")


async def test_the_tasks_of_a_loop_are_listed_by_what_they_are_in_and_say_where_their_inputs_come_from(rest: Rest) -> None:
    run = f"/runs/{(await rest.run(pipelines.fan(2)))['run_id']}"
    found = {task["task_id"]: task for task in (await rest("GET", f"{run}/tasks"))["tasks"]}
    for above, task in found.items():
        children = [one["task_id"] for one in task.get("child_tasks", [])]
        assert children == [one for one, each in found.items() if each.get("parent_task_id") == above]
        for page in ({}, {"page_size": 50, "sort_by": "task_id"}):
            listed = await rest("GET", f"{run}/tasks", parent_id=above, **page)
            assert sorted(one["task_id"] for one in listed.get("tasks", [])) == sorted(children)


async def test_tasks_speak_kfp_threes_words(rest: Rest) -> None:
    ended = await rest.run()
    run = f"/runs/{ended['run_id']}"
    assert ended["task_count"] == 3
    assert "tasks" not in ended
    full = {task["task_id"]: task for task in (await rest("GET", run, view="FULL"))["tasks"]}
    root, first = full[""], full["s0"]
    assert (root["type"], root["scope_path"], first["type"], first["scope_path"]) == ("ROOT", "root", "RUNTIME", "root.s0")
    assert first["parent_task_id"] == ""
    assert (root["child_tasks"][0], "child_tasks" in first) == ({"task_id": "s0", "name": "s0"}, False)
    assert first["inputs"] == {"parameters": [{"parameter_key": "x", "value": 0, "type": "COMPONENT_INPUT"}]}
    taken = {"type": "TASK_OUTPUT_INPUT", "producer": {"task_name": "s0"}}
    assert full["s1"]["inputs"] == {"parameters": [{"parameter_key": "x", "value": 1, **taken}]}
    assert [one["parent_task_id"] for one in ended["run_details"]["task_details"] if one["task_id"]] == ["", ""]
    assert [(pod["type"], pod["name"]) for pod in first["pods"]] == [("EXECUTOR", first["attempts"][0]["pod_name"])]
    assert [told["state"] for told in first["state_history"]] == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert "view: must be one of DEFAULT, FULL, got 'ALL'" in await rest.refused("GET", run, view="ALL")


async def test_a_task_that_failed_says_why_in_kfp_threes_words(rest: Rest) -> None:
    async def fail(step: Step) -> Ended:
        del step
        return Ended(1, "no")

    rest.life.world.machine.behaviour = fail
    run = await rest.run(pipelines.chain(1))
    task = await rest("GET", f"/runs/{run['run_id']}/tasks/s0")
    assert task["state_history"][-1]["error"] == task["error"]
    assert task["status_metadata"] == {"message": task["error"]["message"]}


async def test_iterations_and_groups_have_kfp_threes_types(rest: Rest) -> None:
    made = pipelines.fan(2)
    dag = made["components"]["comp-loop"]["dag"]
    made["components"]["comp-condition-2"] = {"dag": {"tasks": {"add": pipelines.task("add", x=1)}}}
    dag["tasks"]["condition-2"] = {"componentRef": {"name": "comp-condition-2"}}
    run = await rest.run(made)
    assert run["state"] == "SUCCEEDED", run
    tasks = {task["task_id"]: task for task in (await rest("GET", f"/runs/{run['run_id']}/tasks"))["tasks"]}
    types = {name: (task["type"], task.get("type_attributes")) for name, task in tasks.items()}
    assert types["loop"] == ("LOOP", {"iteration_count": "2"})
    assert types["loop.1"] == ("DAG", {"iteration_index": "1"})
    assert types["loop.0.condition-2"] == ("CONDITION", None)
    assert types["loop.0.condition-2.add"] == ("RUNTIME", None)
    assert tasks["loop.1"]["inputs"]["parameters"] == [{"parameter_key": "item", "value": 1, "type": "ITERATOR_INPUT"}]


async def test_tasks_in_short_say_the_same_without_inputs_and_outputs(rest: Rest) -> None:
    run = await rest.run(pipelines.fan(2))
    whole = (await rest("GET", f"/runs/{run['run_id']}/tasks"))["tasks"]
    short = (await rest("GET", f"/runs/{run['run_id']}/tasks", view="BASIC"))["tasks"]
    assert [task["id"] for task in short] == [task["id"] for task in whole]
    assert any("outputs" in task for task in whole)
    for one, other in zip(short, whole, strict=True):
        assert one == {name: value for name, value in other.items() if name in one}
        assert {"state", "kind", "type", "start_time", "started_at", "finished_at"} < set(one)
        assert not {"inputs", "outputs"} & set(one)
    for query in ({"view": "FULL"}, {"view": "BASIC", "page_size": "2"}, {"view": "BASIC", "parent_id": "loop"}):
        assert (await rest.refused("GET", f"/runs/{run['run_id']}/tasks", **query)).startswith("view: must be BASIC")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/runs/x/tasks"),
        ("POST", "/runs/x/tasks:batchUpdate"),
        ("PATCH", "/runs/x/tasks/y"),
        ("POST", "/artifacts"),
        ("POST", "/artifacts:batchCreate"),
        ("POST", "/artifact_tasks"),
        ("POST", "/artifact_tasks:batchCreate"),
    ],
)
async def test_what_only_upstreams_launcher_writes_is_refused_with_a_way_out(rest: Rest, method: str, path: str) -> None:
    said = await rest.refused(method, path, {})
    assert said.startswith(f"{method} /apis/v2beta1{path}: is how upstream's launcher reports")
    assert said.endswith("import it with dsl.importer.")


# ---- experiments


async def test_an_experiment_is_archived_with_its_runs_and_restored_alone(rest: Rest) -> None:
    made = await rest("POST", "/experiments", {"display_name": "trials", "description": "d"})
    experiment = f"/experiments/{made['experiment_id']}"
    run = await rest.run(experiment_id=made["experiment_id"])
    assert (await rest("GET", "/runs", experiment_id=made["experiment_id"]))["total_size"] == 1
    await rest("POST", f"{experiment}:archive")
    assert (await rest("GET", experiment))["storage_state"] == "ARCHIVED"
    assert (await rest("GET", f"/runs/{run['run_id']}"))["storage_state"] == "ARCHIVED"
    refused = await rest.refused("POST", "/runs", {"pipeline_spec": CHAIN, "experiment_id": made["experiment_id"]})
    assert refused == "experiment 'trials' is archived. Unarchive it first, or choose another."
    assert "Unarchive that first" in await rest.refused("POST", f"/runs/{run['run_id']}:unarchive")
    await rest("POST", f"{experiment}:unarchive")
    assert (await rest("GET", f"/runs/{run['run_id']}"))["storage_state"] == "ARCHIVED"
    await rest("POST", f"/runs/{run['run_id']}:unarchive")
    await rest("DELETE", experiment)
    assert "experiment_id" not in await rest("GET", f"/runs/{run['run_id']}")
    assert [found["display_name"] for found in (await rest("GET", "/experiments"))["experiments"]] == ["Default"]


async def test_names_of_experiments_are_unique(rest: Rest) -> None:
    await rest("POST", "/experiments", {"display_name": "trials"})
    assert "already exists" in await rest.refused("POST", "/experiments", {"display_name": "trials"}, code=409)


# ---- pipelines


async def test_a_pipeline_is_made_changed_found_and_forgotten(rest: Rest) -> None:
    empty = await rest("POST", "/pipelines", {"display_name": "later", "tags": {"team": "red"}})
    pipeline = f"/pipelines/{empty['pipeline_id']}"
    assert await rest("GET", "/pipelines/names/later") == empty
    version = await rest(
        "POST", f"{pipeline}/versions", {"display_name": "one", "pipeline_spec": CHAIN, "code_source_url": "http://c"}
    )
    assert version["pipeline_spec"]["pipelineInfo"] == {"name": "test-pipeline"}
    assert version["code_source_url"] == "http://c"
    changed = await rest("PATCH", pipeline, {"description": "new", "tags": {"team": "blue"}})
    assert changed == {**empty, "description": "new", "tags": {"team": "blue"}}
    changed = await rest(
        "PATCH", f"{pipeline}/versions/{version['pipeline_version_id']}", {"display_name": "uno", "tags": {"a": "b"}}
    )
    assert changed == {**version, "display_name": "uno", "tags": {"a": "b"}}
    assert "may not be changed" in await rest.refused(
        "PATCH", f"{pipeline}/versions/{version['pipeline_version_id']}", {"pipeline_spec": pipelines.chain(3)}
    )
    wanted = json.dumps({"predicates": [{"key": "tags.team", "operation": 1, "stringValue": "blue"}]})
    assert (await rest("GET", "/pipelines", filter=wanted))["total_size"] == 1
    run = await rest.run(None, pipeline_version_reference={"pipeline_id": empty["pipeline_id"]})  # pyright: ignore[reportArgumentType]
    assert run["pipeline_version_reference"]["pipeline_version_id"] == version["pipeline_version_id"]
    assert "still has versions" in await rest.refused("DELETE", pipeline, code=409)
    await rest("DELETE", f"{pipeline}/versions/{version['pipeline_version_id']}")
    await rest("DELETE", pipeline)
    await rest("GET", pipeline, code=404)


async def test_a_pipeline_is_made_with_its_first_version(rest: Rest) -> None:
    body = {"pipeline": {"display_name": "both"}, "pipeline_version": {"display_name": "v1", "pipeline_spec": CHAIN}}
    made = await rest("POST", "/pipelines/create", body)
    versions = await rest("GET", f"/pipelines/{made['pipeline_id']}/versions")
    assert [found["display_name"] for found in versions["pipeline_versions"]] == ["v1"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "one of pipeline_spec and package_url.pipeline_url is required"),
        ({"package_url": {"pipeline_url": "file:///etc/passwd"}}, "is no http or https address"),
        ({"package_url": {"pipeline_url": "http://127.0.0.1:1/x"}}, "cannot be fetched: ConnectError"),
        ({"package_url": {"pipeline_url": "http://169.254.169.254/latest"}}, "leads to 169.254.169.254, which tells of this"),
        ({"package_url": {"pipeline_url": "http://[::ffff:169.254.169.254]/"}}, "leads to 169.254.169.254"),
        ({"package_url": {"pipeline_url": "http://[fd00:ec2::254]/"}}, "leads to fd00:ec2::254"),
        ({"pipeline_spec": {}}, "pipeline_spec"),
        ({"pipeline_spec": CHAIN, "tags": {"": "x"}}, "a name has 1 to 63 characters"),
        ({"pipeline_spec": CHAIN, "tags": {f"t{n}": "x" for n in range(21)}}, "there are 21; at most 20 are kept"),
    ],
)
async def test_a_version_that_cannot_be_stored_says_why(rest: Rest, body: Json, message: str) -> None:
    made = await rest("POST", "/pipelines", {"display_name": "p"})
    assert message in await rest.refused("POST", f"/pipelines/{made['pipeline_id']}/versions", body)


# ---- uploads


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def tarred(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


TEXT = json.dumps(CHAIN).encode()


def _short(value: Any) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("p.yaml", TEXT),
        ("p.json", TEXT),
        ("p.zip", zipped(**{"p.yaml": TEXT})),
        ("p.zip", zipped(**{"folder/pipeline.yaml": TEXT, "other.json": b"{}", "README.md": b"#"})),
        ("p.tar.gz", tarred((member("pipeline.yaml"), TEXT))),
        ("p.tgz", tarred((member("folder", tarfile.DIRTYPE), b""), (member("folder/x.json"), TEXT), (member("notes"), b"n"))),
        ("no-name-at-all", zipped(**{"p.yaml": TEXT})),
    ],
    ids=_short,
)
async def test_every_form_of_a_pipeline_can_be_uploaded(rest: Rest, file: str, content: bytes) -> None:
    made = await rest.upload(file, content, name="mine", tags='{"a": "b"}', description="d")
    assert (made["name"], made["display_name"], made["tags"], made["description"]) == ("mine", "mine", {"a": "b"}, "d")
    version = await rest.upload(file, content, "/pipelines/upload_version", pipelineid=made["pipeline_id"], name="v2")
    assert version["pipeline_spec"]["root"] == CHAIN["root"]


BOMB = b"0" * (70 << 20)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty. Upload the .yaml, .json, .zip or .tar.gz"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"just a text", "not a pipeline"),
        (b"PK\x03\x04broken", "the zip archive cannot be read"),
        (b"\x1f\x8bbroken", "the tar.gz archive cannot be read"),
        (gzip.compress(b"no tar"), "the tar.gz archive cannot be read"),
        (tarred((member("p.yaml"), TEXT))[:-40], "the tar.gz archive cannot be read"),
        (zipped(**{"a.txt": b"x"}), "holds no .yaml or .json file"),
        (zipped(**{"a.yaml": TEXT, "b.yaml": TEXT}), "holds 2 files that could be the pipeline"),
        (zipped(**{"../p.yaml": TEXT}), "'../p.yaml' leaves the archive's folder"),
        (zipped(**{"/p.yaml": TEXT}), "'/p.yaml' leaves the archive's folder"),
        (zipped(**{"a\\..\\..\\p.yaml": TEXT}), "leaves the archive's folder"),
        (zipped(**{"p.yaml": BOMB}), "unpacks to more than 64 MiB"),
        (tarred((member("../p.yaml"), TEXT)), "'../p.yaml' leaves the archive's folder"),
        (tarred((member("p.yaml", tarfile.SYMTYPE, "/etc/passwd"), b"")), "is a link or a device"),
        (tarred((member("p.yaml"), BOMB)), "unpacks to more than 64 MiB"),
        (tarred((member("data.bin"), BOMB), (member("p.yaml"), TEXT)), "unpacks to more than 64 MiB"),
        (tarred(*((member(f"{n}.txt"), b"") for n in range(1001))), "has more than 1000 members"),
    ],
    ids=_short,  # archives hold the time, and processes of one test run must agree on names
)
async def test_an_upload_that_cannot_be_used_says_why(rest: Rest, content: bytes, message: str) -> None:
    refused = await rest.upload("p.zip", content, code=400)
    assert message in refused["message"]
    assert "pipelines" not in await rest("GET", "/pipelines")


async def test_a_body_with_a_key_that_stands_twice_is_refused(rest: Rest) -> None:
    """Of two values it is not clear which was meant, however deep they are."""
    for body, name in (
        ('{"display_name": "a", "display_name": "b"}', "display_name"),
        ('{"runtime_config": {"parameters": {"x": 1, "x": 2}}}', "x"),
    ):
        answer = await rest.http.post("/apis/v2beta1/runs", content=body)
        assert (answer.status_code, answer.json()["message"]) == (
            400,
            f"the Run: the body has the key {name!r} twice in one object. Send it once.",
        )


# ---- before a run


def typed() -> Json:
    """A pipeline with an input of each kind that is easily got wrong."""
    inputs = {
        "count": {"parameterType": "NUMBER_INTEGER"},
        "rate": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5},
        "sizes": {"parameterType": "LIST", "isOptional": True},
    }
    found = pipelines.pipeline({}, {}, name="typed")
    found["root"]["inputDefinitions"] = {"parameters": inputs}
    return found


async def test_a_run_is_validated_without_being_started(rest: Rest) -> None:
    body = {"pipeline_spec": typed(), "runtime_config": {"parameters": {"count": "9007199254740993"}}}
    assert await rest("POST", "/runs:validate", body) == {}
    assert "runs" not in await rest("GET", "/runs")


async def test_every_field_at_fault_is_named_at_once(rest: Rest) -> None:
    config = {"parameters": {"rate": "fast", "sizes": "[1,", "other": 1}}
    archived = (await rest("POST", "/experiments", {"display_name": "old"}))["experiment_id"]
    await rest("POST", f"/experiments/{archived}:archive")
    body = {"pipeline_spec": typed(), "runtime_config": config, "experiment_id": archived}
    for path in ("/runs:validate", "/runs"):
        found = await rest("POST", path, body, code=400)
        (violations,) = [each["field_violations"] for each in found["details"] if "field_violations" in each]
        named = {each["field"]: each["description"] for each in violations}
        parameters = "runtime_config.parameters"
        assert set(named) == {
            f"{parameters}.count",
            f"{parameters}.rate",
            f"{parameters}.sizes",
            f"{parameters}.other",
            "experiment_id",
        }
        assert named[f"{parameters}.count"] == "is missing. Give it a value"
        assert named[f"{parameters}.rate"].startswith("expected a number")
    assert "runs" not in await rest("GET", "/runs")
