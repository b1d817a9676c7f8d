"""The REST API over HTTP, as `kedge.Client` and other clients call it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from kedge.artifacts.staging import StagedOutputs, StoredArtifact
from kedge.errors import BadRequest, NotFound, PipelineError, Unauthorized, Unavailable
from kedge.kube.kinds import Obj
from kedge.pipelines.client import Client
from kedge.pipelines.documents import Document
from kedge.server.auth import Authenticator
from kedge.server.callers import OwnerCallers
from kedge.server.logs import LogOptions
from kedge.testing import pipelines
from kedge.testing.nodes import Ended, Step, output
from kedge.testing.pipelines import TEXT, component, python, task
from kedge.testing.runs import Hub, World, hub

pytestmark = pytest.mark.usefixtures("either_database")

TOKEN = "the-owner's-token"


class Logs:
    """Logs that are the Pod's task, twice."""

    async def read(self, pod: Obj, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        assert options.tail is None
        if container != "main":
            raise BadRequest(f"container {container!r} is not valid for pod {pod['metadata']['name']}")
        time = "2026-11-23T22:36:18.000000000Z " if options.timestamps else ""
        for number in range(2):
            yield f"{time}{pod['metadata']['annotations']['kedge.dev/task']} line {number}\n".encode()


@contextlib.asynccontextmanager
async def served(life: Hub) -> AsyncGenerator[str]:
    """Serve a hub's REST API, and say where."""
    authenticator = Authenticator(TOKEN, None, life.api)  # type: ignore[arg-type]  # no Pod asks here
    app = Starlette(routes=life.feature.routes(OwnerCallers(authenticator), "1.2.3"))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn tells it no other way
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        life.feature.close_streams()
        server.should_exit = True
        await task


class Api:
    """A client whose calls do not hold up the hub, which lives on this loop."""

    def __init__(self, life: Hub, address: str) -> None:
        self.life = life
        self.address = address
        self.client = Client(address, TOKEN)

    async def __call__(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(call, *args, **kwargs)

    async def raw(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}", **kwargs.pop("headers", {})}
        async with httpx.AsyncClient(base_url=self.address, headers=headers, timeout=60) as client:
            return await client.request(method, f"/apis/v2beta1{path}", **kwargs)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.new(tmp_path / "world")


@pytest.fixture
async def api(world: World) -> AsyncGenerator[Api]:
    async with hub(world, logs=Logs()) as life, served(life) as address:
        made = Api(life, address)
        yield made
        made.client.close()


async def test_a_run_is_started_watched_and_read(api: Api) -> None:
    run = await api(api.client.run, pipelines.chain(3), parameters={"start": 2}, name="mine")
    assert (run["display_name"], run["state"]) == ("mine", "RUNNING")
    changes = await api(lambda: list(api.client.watch(run["run_id"])))
    ended = changes[-1]["run"]
    assert (ended["state"], ended["outputs"]) == ("SUCCEEDED", {"parameters": {"Output": 5}})
    assert {change["task_id"] for change in changes[:-1]} == {"", "s0", "s1", "s2"}
    assert {change["task_id"]: change["state"] for change in changes[:-1]} == dict.fromkeys(("", "s0", "s1", "s2"), "SUCCEEDED")
    read = await api(api.client.get, run["run_id"])
    assert read["pipeline_spec"]["pipelineInfo"] == {"name": "test-pipeline"}
    assert [entry["state"] for entry in read["state_history"]] == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert read["runtime_config"]["parameters"] == {"start": 2}
    assert (await api(api.client.get, "mine"))["run_id"] == run["run_id"]
    assert [found["run_id"] for found in await api(api.client.list)] == [run["run_id"]]
    assert (await api(api.client.wait, run["run_id"]))["state"] == "SUCCEEDED"


async def test_a_task_shows_inputs_outputs_and_attempts(api: Api) -> None:
    run = await api(api.client.run, pipelines.chain(2))
    await api(api.client.wait, run["run_id"])
    found = await api(api.client.task, run["run_id"], "s1")
    (attempt,) = found["attempts"]
    assert (found["type"], found["kind"], found["state"], found["parent_task_id"]) == ("RUNTIME", "step", "SUCCEEDED", "")
    assert (found["inputs"], found["outputs"]) == ({"parameters": {"x": 1}}, {"parameters": {"Output": 2}})
    assert (attempt["attempt"], attempt["state"]) == (0, "SUCCEEDED")
    assert attempt["pod_uid"] in api.life.world.machine.started
    assert found["create_time"] <= found["start_time"] <= found["end_time"]
    with pytest.raises(NotFound, match=r"has no task 'nope'\. Its steps: s0, s1"):
        await api(api.client.task, run["run_id"], "nope")


async def test_tasks_and_groups_are_shown_by_what_people_call_them(api: Api) -> None:
    spec = pipelines.chain(2)
    spec["root"]["dag"]["tasks"]["s1"]["taskInfo"] = {"name": "The second step"}
    run = await api(api.client.run, spec)
    changes = await api(lambda: list(api.client.watch(run["run_id"])))
    assert {change["display_name"] for change in changes if change.get("id") == "s1"} == {"The second step"}
    shown = {task["id"]: task.get("display_name") for task in await api(api.client.tasks, run["run_id"])}
    assert shown == {"": None, "s0": "add", "s1": "The second step"}
    assert (await api(api.client.task, run["run_id"], "s1"))["display_name"] == "The second step"
    details = (await api.raw("GET", f"/runs/{run['run_id']}")).json()["run_details"]["task_details"]
    assert {task["display_name"] for task in details} == {"root", "add", "The second step"}


async def test_a_pipeline_with_platform_options_travels_nested(api: Api) -> None:
    platforms = {"kedge": {"config": {"project": {"digest": "d", "archive": ""}}}}
    run = await api(api.client.run, Document(pipelines.chain(1), platforms))
    await api(api.client.wait, run["run_id"])
    read = await api(api.client.get, run["run_id"])
    assert read["pipeline_spec"]["platform_spec"] == {"platforms": platforms}
    assert api.life.world.artifacts.projects == ["d"]


def changed(**more: Any) -> Obj:
    return pipelines.chain(1) | more


typed = (component("say", {"level": TEXT}), python("say"))
literal = pipelines.pipeline(
    {"say": task("say", level="=level")},
    {"say": typed},
    inputs={"level": {"parameterType": TEXT, "literals": ["low", "high"]}, "n": {"parameterType": "NUMBER_INTEGER"}},
)


@pytest.mark.parametrize(
    ("pipeline", "parameters", "message"),
    [
        (literal, {"level": "low", "n": 1, "nope": 2}, r"there is no parameter 'nope' \(there is level, n\)"),
        (literal, {"level": "low"}, "the parameter 'n' is missing. Give it a value"),
        (literal, {"level": "low", "n": "many"}, r"the parameter 'n': expected an integer \(such as 5\), got text \(many\)"),
        (literal, {"level": "middle", "n": 1}, r"the parameter 'level': expected one of low, high, got text \(middle\)"),
        (changed(schemaVersion="3.0"), {}, "schemaVersion is '3.0'; Kedge reads '2.1.0'"),
        (changed(nonsense=1), {}, "nonsense"),
        ({"root": {}, "pipelineInfo": {"name": "x"}}, {}, "schemaVersion is missing"),
        ({"hello": 1}, {}, "not a pipeline: the key root is missing"),
    ],
    ids=[
        "unknown parameter",
        "missing argument",
        "wrong type",
        "wrong literal",
        "newer IR",
        "unknown field",
        "no version",
        "no IR",
    ],
)
async def test_a_run_that_cannot_begin_is_refused_with_what_to_do(api: Api, pipeline: Obj, parameters: Obj, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        await api(api.client.run, pipeline, parameters=parameters)
    assert await api(api.client.list) == []


@pytest.mark.parametrize(
    ("platforms", "message"),
    [
        (
            {"kubernetes": {"deploymentSpec": {"executors": {"exec-add": {"secretsAsEnv": []}}}}},
            "there is no option `secretsAsEnv`",
        ),
        ({"nomad": {"deploymentSpec": {}}}, "platforms.nomad: is not known here; there are kubernetes and kedge"),
    ],
    ids=["option", "platform"],
)
async def test_platform_options_that_are_not_known_are_refused(api: Api, platforms: Obj, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        await api(api.client.run, Document(pipelines.chain(1), platforms))


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "message"),
    [
        ("POST", "/runs", {"nonsense": 1}, 400, "unknown field `nonsense`"),
        ("POST", "/runs", {}, 400, "pipeline_spec or pipeline_version_reference is required"),
        ("POST", "/runs", {"pipeline_spec": []}, 400, "Expected `object | null`, got `array` - at `$.pipeline_spec`"),
        ("POST", "/runs", {"pipeline_version_reference": {"pipeline_id": "x"}}, 404, "a version of pipeline 'x' not found"),
        ("GET", "/runs/nope", None, 404, "run 'nope' not found"),
        ("GET", "/runs/nope/tasks", None, 404, "run 'nope' not found"),
        ("POST", "/runs/nope:terminate", None, 404, "run 'nope' not found"),
        ("POST", "/runs/nope:explode", None, 405, "there is DELETE, GET at this address"),
        ("DELETE", "/runs/nope", None, 404, "run 'nope' not found"),
        ("GET", "/runs?page_size=x", None, 400, "page_size: 'x' is no whole number"),
        ("GET", "/runs?colour=red", None, 400, "query parameter 'colour' is not known here"),
        ("GET", "/pipelines/nope", None, 404, "pipeline 'nope' not found"),
        ("GET", "/experiments/nope", None, 404, "experiment 'nope' not found"),
        ("GET", "/artifacts/nope", None, 404, "artifact 'nope' not found"),
        ("GET", "/nothing/here", None, 404, "no such operation"),
        ("POST", "/experiments", {"display_name": ""}, 400, "display_name must not be empty"),
    ],
)
async def test_errors_have_kfps_shape_and_say_what(  # noqa: PLR0917  # the table's columns
    api: Api, method: str, path: str, body: Any, code: int, message: str
) -> None:
    response = await api.raw(method, path, json=body)
    found = response.json()
    assert response.status_code == code
    assert message in found["message"]
    assert found["error"] == found["message"]
    assert set(found) == {"error", "code", "message", "details"}


@pytest.mark.parametrize("header", [{"Authorization": "Bearer wrong"}, {"Authorization": ""}], ids=["wrong", "none"])
async def test_without_the_token_nobody_is_let_in(api: Api, header: dict[str, str]) -> None:
    response = await api.raw("GET", "/runs", headers=header)
    assert response.status_code == 401
    assert TOKEN not in response.text
    with Client(api.address, "wrong") as stranger, pytest.raises(Unauthorized):
        await api(stranger.list)


async def test_healthz_is_open_and_says_which_version(api: Api) -> None:
    response = await api.raw("GET", "/healthz", headers={"Authorization": ""})
    assert response.json() == {"tag_name": "1.2.3", "multi_user": False, "pipeline_store": "database"}


async def test_cancelling_and_deleting(api: Api) -> None:
    async def forever(step: Step) -> Ended:
        await asyncio.Event().wait()
        return Ended()

    api.life.world.machine.behaviour = forever
    run = await api(api.client.run, pipelines.chain(1))
    await api(api.client.cancel, run["run_id"])
    await api(api.client.cancel, run["run_id"])
    ended = await api(api.client.wait, run["run_id"])
    assert (ended["state"], ended["error"]["message"]) == ("CANCELED", "The run was cancelled.")
    await api(api.client.delete, run["run_id"])
    assert await api(api.client.list) == []


async def test_a_watch_that_begins_late_tells_everything_and_ends(api: Api) -> None:
    run = await api(api.client.run, pipelines.chain(2))
    await api(api.client.wait, run["run_id"])
    changes = await api(lambda: list(api.client.watch(run["run_id"])))
    assert [change.get("task_id") for change in changes[:-1]] == ["", "s0", "s1"]
    assert changes[-1]["run"]["state"] == "SUCCEEDED"


async def test_no_reason_is_told_for_a_step_that_starts_at_once(api: Api) -> None:
    run = await api(api.client.run, pipelines.chain(3))
    changes = await api(lambda: list(api.client.watch(run["run_id"])))
    assert {change["task_id"] for change in changes[:-1]} == {"", "s0", "s1", "s2"}
    assert not any("waiting_reason" in change for change in changes)


async def test_logs_of_steps(api: Api) -> None:
    run = await api(api.client.run, pipelines.chain(1))
    await api(api.client.wait, run["run_id"])
    assert await api(lambda: list(api.client.logs(run["run_id"], "s0"))) == ["s0 line 0", "s0 line 1"]
    assert await api(lambda: list(api.client.logs(run["run_id"], "s0", follow=True, attempt=0))) == ["s0 line 0", "s0 line 1"]
    response = await api.raw("GET", f"/runs/{run['run_id']}/tasks/s0/logs?container=nope")
    assert (response.status_code, "not valid" in response.json()["message"]) == (400, True)


async def test_followed_logs_wait_for_the_step_to_begin(api: Api) -> None:
    go = asyncio.Event()

    async def wait(step: Step) -> Ended:
        if step.task == "s0":
            await go.wait()
        return output("Output", 1)

    api.life.world.machine.behaviour = wait
    run = await api(api.client.run, pipelines.chain(2))
    following = asyncio.create_task(api(lambda: list(api.client.logs(run["run_id"], "s1", follow=True))))
    await asyncio.sleep(0.05)
    assert not following.done()
    go.set()
    assert await following == ["s1 line 0", "s1 line 1"]


async def test_the_log_of_a_step_that_did_not_run_is_empty_and_says_why(api: Api) -> None:
    first = await api(api.client.run, pipelines.chain(1, cache=True))
    await api(api.client.wait, first["run_id"])
    second = await api(api.client.run, pipelines.chain(1, cache=True))
    await api(api.client.wait, second["run_id"])
    assert await api(lambda: list(api.client.logs(second["run_id"], "s0"))) == []
    response = await api.raw("GET", f"/runs/{second['run_id']}/tasks/s0/logs")
    assert response.json()["message"] == f"step 's0' did not run here: its outputs are those of {first['run_id']}/s0."


async def test_stored_pipelines_are_run_in_their_newest_version(api: Api) -> None:
    stored = await api(api.client.upload, pipelines.chain(1), name="adder")
    again = await api(api.client.upload, pipelines.chain(2), name="adder")
    assert again["pipeline_id"] == stored["pipeline_id"]
    assert [found["name"] for found in await api(api.client.pipelines)] == ["adder"]
    versions = await api(api.client.versions, stored["pipeline_id"])
    assert len(versions) == 2
    run = await api(api.client.run_stored, stored["pipeline_id"])
    ended = await api(api.client.wait, run["run_id"])
    assert ended["outputs"] == {"parameters": {"Output": 2}}
    assert ended["pipeline_version_reference"]["pipeline_version_id"] == versions[0]["pipeline_version_id"]
    old = await api(api.client.run_stored, stored["pipeline_id"], versions[1]["pipeline_version_id"])
    assert (await api(api.client.wait, old["run_id"]))["outputs"] == {"parameters": {"Output": 1}}
    await api(api.client.delete_pipeline, stored["pipeline_id"])
    with pytest.raises(NotFound):
        await api(api.client.pipeline, "adder")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.yaml", b"a: [", "not YAML"),
        ("p.yaml", b"hello: 1", "the key root is missing"),
        ("p.zip", b"PK", "expected a mapping with the key root"),
    ],
)
async def test_an_upload_that_is_no_pipeline_is_refused(api: Api, name: str, content: bytes, message: str) -> None:
    response = await api.raw("POST", "/pipelines/upload", files={"uploadfile": (name, content)})
    assert response.status_code == 400
    assert message in response.json()["message"]


async def test_experiments(api: Api) -> None:
    made = (await api.raw("POST", "/experiments", json={"display_name": "mine"})).json()
    listed = (await api.raw("GET", "/experiments")).json()
    assert {found["display_name"] for found in listed["experiments"]} == {"Default", "mine"}
    run = (
        await api.raw("POST", f"/runs?experiment_id={made['experiment_id']}", json={"pipeline_spec": pipelines.chain(1)})
    ).json()
    found = (await api.raw("GET", f"/runs?experiment_id={made['experiment_id']}")).json()
    assert [one["run_id"] for one in found["runs"]] == [run["run_id"]]
    await api.raw("POST", f"/experiments/{made['experiment_id']}:archive")
    assert (await api.raw("GET", f"/experiments/{made['experiment_id']}")).json()["storage_state"] == "ARCHIVED"


async def test_artifacts_are_listed_and_read_as_data_that_nobody_trusts(api: Api) -> None:
    async def make(step: Step) -> Ended:
        (place,) = step.told["executorInput"]["outputs"]["artifacts"]["page"]["artifacts"]
        await step.commit(
            StagedOutputs(artifacts={"page": [StoredArtifact("page", place["uri"], "system.HTML", {}, "sha256:0", 9)]})
        )
        return Ended()

    api.life.world.machine.behaviour = make
    steps = {"make": (component("make", writes={"page": "system.HTML"}), python("make"))}
    run = await api(api.client.run, pipelines.pipeline({"make": task("make")}, steps))
    await api(api.client.wait, run["run_id"])
    (artifact,) = await api(api.client.artifacts, run["run_id"])
    assert (artifact["schema_title"], artifact["size"], artifact["task_id"]) == ("system.HTML", 9, "make")
    assert await api(api.client.read_artifact, artifact["artifact_id"], "a/b") == f"{artifact['uri']}/a/b".encode()
    response = await api.raw("GET", f"/artifacts/{artifact['artifact_id']}/content")
    assert response.headers["content-security-policy"].startswith("sandbox")
    assert response.headers["content-disposition"] == 'attachment; filename="page"'
    assert response.headers["x-content-type-options"] == "nosniff"
    whole = artifact["uri"].encode() + b"/"
    for asked, shown in {
        "bytes=0-3": (206, whole[:4], f"bytes 0-3/{len(whole)}"),
        "bytes=-4": (206, whole[-4:], f"bytes {len(whole) - 4}-{len(whole) - 1}/{len(whole)}"),
        "bytes=5-999": (206, whole[5:], f"bytes 5-{len(whole) - 1}/{len(whole)}"),
        "bytes=999-1000": (200, whole, None),
        "bytes=4-2": (200, whole, None),
        "bytes=0-1,3-4": (200, whole, None),
        "lines=1-2": (200, whole, None),
    }.items():
        response = await api.raw("GET", f"/artifacts/{artifact['artifact_id']}/content", headers={"range": asked})
        assert (response.status_code, response.content, response.headers.get("content-range")) == shown
        assert response.headers["content-security-policy"].startswith("sandbox")
    api.life.world.artifacts.gone.add(artifact["uri"])
    with pytest.raises(NotFound, match="is gone"):
        await api(api.client.read_artifact, artifact["artifact_id"])


async def forever(step: Step) -> Ended:
    del step
    await asyncio.Event().wait()
    return Ended()


async def test_who_stops_looking_on_leaves_nothing_that_waits_for_them(api: Api) -> None:
    def waiting() -> int:
        return sum(getattr(task.get_coro(), "__qualname__", "") == "Event.wait" for task in asyncio.all_tasks())

    def look_on(run_id: str) -> None:
        next(change for change in api.client.watch(run_id) if change.get("state") == "RUNNING")

    api.life.world.machine.behaviour = forever
    run = await api(api.client.run, pipelines.chain(1))
    before = waiting()
    for _ in range(5):
        await api(look_on, run["run_id"])
    await api.life.until(lambda: waiting() <= before)


async def test_streams_end_when_the_host_stops(api: Api) -> None:
    api.life.world.machine.behaviour = forever
    run = await api(api.client.run, pipelines.chain(1))
    watching = asyncio.create_task(api(lambda: list(api.client.watch(run["run_id"]))))
    await api.life.until(lambda: api.life.states(run["run_id"]).get("s0") == "RUNNING")
    api.life.feature.close_streams()
    assert "run" not in (await watching)[-1]


async def test_a_host_that_is_not_there_is_named(world: World) -> None:
    with (
        Client("http://127.0.0.1:9") as client,
        pytest.raises(Unavailable, match=r"127.0.0.1:9 does not answer .* See `kedge status`"),
    ):
        client.list()
