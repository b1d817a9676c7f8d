"""Runs from beginning to end over the real server and a real history."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from kedge.artifacts.staging import StagedOutputs, StoredArtifact
from kedge.errors import Conflict, Invalid
from kedge.kube.core import CONFIG_MAP, POD
from kedge.kube.kinds import Obj
from kedge.pipelines.controller import Limits
from kedge.pipelines.engine.types import State
from kedge.pipelines.kinds import RUN, TRACKING_FINALIZER
from kedge.testing import pipelines
from kedge.testing.nodes import Ended, Step, output, raised
from kedge.testing.pipelines import NUMBER, TEXT, component, container, python, task
from kedge.testing.runs import World, hub, obedient

pytestmark = pytest.mark.usefixtures("either_database")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.new(tmp_path / "world")


def one_step(**more: Any) -> Obj:
    """A pipeline of one Python step, from ``x`` to ``Output``."""
    step = (component("add", {"x": NUMBER}, {"Output": NUMBER}), python("add"))
    return pipelines.pipeline({"add": task("add", x=1) | more}, {"add": step}, outputs={"Output": (NUMBER, "add", "Output")})


async def forever(step: Step) -> Ended:
    await asyncio.Event().wait()
    return Ended()


# ---- the ordinary way


async def test_a_chain_hands_values_on_and_gives_out_the_last(world: World) -> None:
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(3), {"start": 4})
        ended = await life.end(run.id)
        assert ended.state == "SUCCEEDED"
        assert ended.outputs is not None
        assert ended.outputs.parameters == {"Output": 7}
        assert sorted(map(str, life.pod_uids(run.id))) == sorted(world.machine.started)


async def test_a_finished_run_leaves_its_object_with_the_result_and_nothing_held(world: World) -> None:
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(2))
        await life.end(run.id)
        obj = life.api.get(RUN, run.name, "default")
        status = obj["status"]
        assert (status["state"], status["tasks"]) == ("SUCCEEDED", {"total": 2, "finished": 2, "succeeded": 2})
        assert status["startTime"] <= status["completionTime"]
        assert "finalizers" not in obj["metadata"]
        for pod in life.api.list(POD, "default").items:
            assert "finalizers" not in pod["metadata"]
            assert [owner["uid"] for owner in pod["metadata"]["ownerReferences"]] == [run.id]


async def test_the_object_of_a_run_counts_only_what_holds_now(world: World) -> None:
    """A step that was running when its run's object was written is not running any more when the run is over."""
    seen = asyncio.Event()

    async def when_seen(step: Step) -> Ended:
        await seen.wait()
        return await obedient(step)

    world.machine.behaviour = when_seen
    async with hub(world) as life:
        run = await life.submit(one_step())
        await life.until(lambda: life.api.get(RUN, run.name, "default").get("status", {}).get("tasks", {}).get("running"))
        seen.set()
        await life.end(run.id)
        assert life.api.get(RUN, run.name, "default")["status"]["tasks"] == {"total": 1, "finished": 1, "succeeded": 1}


async def test_a_run_from_kubectl_apply_is_the_same_as_one_from_rest(world: World) -> None:
    async with hub(world) as life:
        spec = {"pipelineSpec": pipelines.chain(2), "parameters": {"start": 1}}
        made = life.api.create(
            RUN, {"apiVersion": "kedge.dev/v1", "kind": "Run", "metadata": {"name": "mine", "namespace": "default"}, "spec": spec}
        )
        await life.until(lambda: life.feature.controller.worker(made["metadata"]["uid"]))
        ended = await life.end(made["metadata"]["uid"])
        assert (ended.state, ended.name, ended.display_name) == ("SUCCEEDED", "mine", "mine")


async def test_the_source_of_a_component_used_many_times_is_stored_once(world: World) -> None:
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(20))
        await life.end(run.id)
        code = life.api.get(CONFIG_MAP, f"{run.name}-code", "default")
        assert len(code["data"]) == 1
        (key,) = code["data"]
        pod = life.api.list(POD, "default").items[0]
        assert {"name": f"{run.name}-code", "items": [{"key": key, "path": key}], "defaultMode": 420} in [
            volume.get("configMap") for volume in pod["spec"]["volumes"]
        ]


async def test_a_loop_makes_no_more_waiting_pods_than_there_is_room_for(world: World) -> None:
    async with hub(world, limits=Limits(waiting_pods=5), node=False) as life:
        run = await life.submit(pipelines.fan(30))
        await life.until(lambda: len(life.api.list(POD, "default").items) == 5)
        await asyncio.sleep(0.05)
        assert len(life.api.list(POD, "default").items) == 5
        assert life.states(run.id)["loop"] == "RUNNING"
    async with hub(world, limits=Limits(waiting_pods=5)) as life:
        assert (await life.end(run.id)).state == "SUCCEEDED"
        assert len(world.machine.started) == 30


async def test_steps_commit_parameters_and_artifacts_over_staging(world: World) -> None:
    async def train(step: Step) -> Ended:
        given = await_input(step)
        if step.task == "use":
            assert given["inputs"]["artifacts"]["model"]["artifacts"][0]["uri"].endswith("/train/0/model")
            return Ended()
        (place,) = given["outputs"]["artifacts"]["model"]["artifacts"]
        model = StoredArtifact("model", place["uri"], "system.Model", {"framework": "x"}, "sha256:ab", 7)
        await step.commit(StagedOutputs(parameters={"score": 0.5}, artifacts={"model": [model]}))
        return Ended()

    def await_input(step: Step) -> Any:
        return step.told["executorInput"]

    world.machine.behaviour = train
    steps = {
        "train": (component("train", {}, {"score": "NUMBER_DOUBLE"}, writes={"model": "system.Model"}), python("train")),
        "use": (component("use", {}, {}, reads={"model": "system.Model"}), python("use")),
    }
    tasks = {"train": task("train"), "use": task("use", artifacts={"model": ("train", "model")})}
    async with hub(world) as life:
        run = await life.submit(pipelines.pipeline(tasks, steps))
        assert (await life.end(run.id)).state == "SUCCEEDED"
        made = life.feature.history.edges(run.id)
        assert sorted((edge.task, edge.direction, edge.key) for edge in made) == [
            ("train", "output", "model"),
            ("use", "input", "model"),
        ]
        record = life.feature.history.artifact(made[0].artifact)
        assert record is not None
        assert (record.artifact.digest, record.artifact.size, record.artifact.metadata) == ("sha256:ab", 7, {"framework": "x"})


async def test_project_code_is_kept_once_and_named_in_every_steps_code(world: World) -> None:
    async with hub(world) as life:
        platforms = {"kedge": {"config": {"project": {"digest": "d1", "archive": "UEsF"}}}}
        run = await life.submit(pipelines.chain(2), platforms=platforms)
        await life.end(run.id)
        code = life.api.get(CONFIG_MAP, f"{run.name}-code", "default")
        assert world.artifacts.projects == ["d1"]
        assert '"project":{"digest":"d1","uri":"file:///artifacts/projects/d1"}' in next(iter(code["data"].values()))


# ---- containers of other images


async def test_a_container_with_nothing_to_stage_runs_untouched(world: World) -> None:
    steps = {"say": (component("say", {"word": TEXT}), container("alpine", ["echo", "{{$.inputs.parameters['word']}}"]))}
    async with hub(world) as life:
        run = await life.submit(pipelines.pipeline({"say": task("say", word="hi")}, steps))
        assert (await life.end(run.id)).state == "SUCCEEDED"
        (pod,) = life.api.list(POD, "default").items
        assert pod["spec"]["containers"][0]["command"] == ["echo", "hi"]
        assert "initContainers" not in pod["spec"]


async def test_a_sidecars_commit_counts_only_once_the_command_has_ended_with_zero(world: World) -> None:
    committed = asyncio.Event()

    async def sidecar(step: Step) -> Ended:
        await step.commit(StagedOutputs(texts={"n": "7\n"}))
        committed.set()
        await asyncio.sleep(0.05)
        return Ended(3) if step.task == "bad" else Ended()

    world.machine.behaviour = sidecar
    command = ["sh", "-c", "echo 7 > {{$.outputs.parameters['n'].output_file}}"]
    steps = {name: (component(name, {}, {"n": NUMBER}), container("alpine", command)) for name in ("good", "bad")}
    async with hub(world) as life:
        run = await life.submit(pipelines.pipeline({"good": task("good"), "bad": task("bad")}, steps))
        await committed.wait()
        assert life.states(run.id)["good"] in {"PENDING", "RUNNING"}
        assert (await life.end(run.id)).state == "FAILED"
        assert life.states(run.id) == {"": "FAILED", "good": "SUCCEEDED", "bad": "FAILED"}
        good, bad = life.feature.history.task(run.id, "good"), life.feature.history.task(run.id, "bad")
        assert good is not None
        assert good.outputs is not None
        assert good.outputs.parameters == {"n": 7}
        assert bad is not None
        assert bad.failure is not None
        assert (bad.failure.reason, bad.failure.exit_code) == ("ExitCode", 3)


# ---- failures


async def test_a_step_that_raises_fails_the_run_with_its_message(world: World) -> None:
    async def bad(step: Step) -> Ended:
        return raised("ValueError", "no such column")

    world.machine.behaviour = bad
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(2))
        ended = await life.end(run.id)
        assert ended.state == "FAILED"
        assert ended.failure is not None
        assert (ended.failure.kind, ended.failure.reason, ended.failure.task) == ("user", "StepRaised", "s0")
        assert ended.failure.message.startswith("ValueError: no such column\nTraceback")
        assert life.states(run.id) == {"": "FAILED", "s0": "FAILED", "s1": "SKIPPED"}
        assert life.api.get(RUN, run.name, "default")["status"]["message"] == ended.failure.message


async def test_a_pod_whose_container_has_failed_is_not_deleted_before_its_log_was_read(world: World) -> None:
    """A kubelet tells of the container's end a moment before the Pod's."""
    async with hub(world, node=False) as life:
        run = await life.submit(pipelines.chain(1))
        await life.until(lambda: life.api.list(POD, "default").items)
        (pod,) = life.api.list(POD, "default").items
        ended = {"name": "main", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}
        status = {"phase": "Running", "containerStatuses": [ended]}
        life.api.patch(POD, pod["metadata"]["name"], "default", {"status": status}, subresource="status")
        assert (await life.end(run.id)).state == "FAILED"
        (left,) = life.api.list(POD, "default").items
        assert "deletionTimestamp" not in left["metadata"]
        assert "finalizers" not in left["metadata"]


async def test_outputs_that_do_not_fit_are_refused_to_the_step_and_fail_it(world: World) -> None:
    told: list[str] = []

    async def wrong(step: Step) -> Ended:
        try:
            await step.commit(StagedOutputs(parameters={"a": "text", "b": 1}))
        except Invalid as error:
            told.append(str(error))
        return Ended(1)

    world.machine.behaviour = wrong
    steps = {"two": (component("two", {}, {"a": NUMBER, "b": NUMBER}), python("two"))}
    async with hub(world) as life:
        run = await life.submit(pipelines.pipeline({"two": task("two")}, steps))
        ended = await life.end(run.id)
        assert ended.failure is not None
        assert ended.failure.reason == "OutputInvalid"
        assert told == [ended.failure.message]
        assert "'a'" in told[0]


MODEL = {"name": "model", "uri": "file:///artifacts/model", "type": "system.Model", "digest": "sha256:00", "size": 3}
TRAINING = {"train": (component("train", {}, {}, writes={"model": "system.Model"}), python("train"))}


async def artful(step: Step) -> Ended:
    return Ended(message=json.dumps({"kedge": 1, "outputs": {}, "artifacts": {"model": [MODEL]}}))


async def test_artifacts_may_come_with_the_message(world: World) -> None:
    world.machine.behaviour = artful
    async with hub(world) as life:
        run = await life.submit(pipelines.pipeline({"train": task("train")}, TRAINING))
        assert (await life.end(run.id)).state == "SUCCEEDED"
        (record,) = life.feature.history.artifacts_at("file:///artifacts/model")
        made = record.artifact
        assert (made.type, made.digest, made.size) == ("system.Model", "sha256:00", 3)


async def test_artifacts_in_the_message_that_are_not_there_fail_the_step(world: World) -> None:
    world.machine.behaviour = artful
    world.artifacts.gone = {"file:///artifacts/model"}
    async with hub(world) as life:
        run = await life.submit(pipelines.pipeline({"train": task("train")}, TRAINING))
        failure = (await life.end(run.id)).failure
        assert failure is not None
        assert failure.reason == "OutputInvalid"
        assert failure.message == "output 'model': nothing lies at file:///artifacts/model."


async def test_a_step_that_ends_well_without_committing_has_failed(world: World) -> None:
    async def silent(step: Step) -> Ended:
        return Ended()

    world.machine.behaviour = silent
    async with hub(world) as life:
        run = await life.submit(one_step())
        ended = await life.end(run.id)
        assert ended.failure is not None
        assert ended.failure.reason == "OutputsNotCommitted"


async def test_the_users_retries_and_the_infrastructures_are_counted_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kedge.pipelines.engine.machine._INFRA_BACKOFF", 0.0)
    ends = [Ended(137, pod_reason="Evicted"), raised("ValueError", "one"), Ended(1, pod_reason="NodeLost"), output("Output", 5)]

    async def in_turn(step: Step) -> Ended:
        return ends[step.attempt]

    world.machine.behaviour = in_turn
    async with hub(world) as life:
        run = await life.submit(one_step(retryPolicy={"maxRetryCount": 1}))
        assert (await life.end(run.id)).state == "SUCCEEDED"
        attempts = life.feature.history.attempts(run.id, "add")
        assert [(a.state.value, a.failure.kind if a.failure else "") for a in attempts] == [
            ("FAILED", "infra"),
            ("FAILED", "user"),
            ("FAILED", "infra"),
            ("SUCCEEDED", ""),
        ]


async def test_a_retry_waits_for_its_backoff(world: World) -> None:
    async def once(step: Step) -> Ended:
        return raised("ValueError", "first") if step.attempt == 0 else output("Output", 1)

    world.machine.behaviour = once
    async with hub(world) as life:
        run = await life.submit(one_step(retryPolicy={"maxRetryCount": 1, "backoffDuration": "0.3s"}))
        assert (await life.end(run.id)).state == "SUCCEEDED"
        first, second = life.feature.history.attempts(run.id, "add")
        assert first.finished_at is not None
        assert (second.created_at - first.finished_at).total_seconds() >= 0.3


async def test_a_pod_deleted_by_somebody_is_the_infrastructures_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kedge.pipelines.engine.machine._INFRA_BACKOFF", 0.0)

    async def hang_once(step: Step) -> Ended:
        return await forever(step) if step.attempt == 0 else output("Output", 1)

    world.machine.behaviour = hang_once
    async with hub(world) as life:
        run = await life.submit(one_step())
        await life.until(lambda: life.states(run.id).get("add") == "RUNNING")
        (pod,) = life.api.list(POD, "default").items
        life.api.delete(POD, pod["metadata"]["name"], "default", grace_period=0)
        assert (await life.end(run.id)).state == "SUCCEEDED"
        first, second = life.feature.history.attempts(run.id, "add")
        assert first.failure is not None
        assert (first.failure.kind, first.failure.reason, second.state) == ("infra", "PodDeleted", State.SUCCEEDED)


async def test_a_pod_that_the_server_refuses_is_the_steps_failure(world: World) -> None:
    steps = {"bad": (component("bad"), container("alpine", ["true"], env=[{"name": "1=bad", "value": "x"}]))}
    async with hub(world) as life:
        run = await life.submit(pipelines.pipeline({"bad": task("bad")}, steps))
        ended = await life.end(run.id)
        assert ended.failure is not None
        assert ended.failure.reason == "PodRefused"
        assert "env" in ended.failure.message


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"pipelineSpec": {"pipelineInfo": {"name": "p"}, "root": {"dag": {}}, "schemaVersion": "2.1.0", "nonsense": 1}},
            "nonsense",
        ),
        ({"pipelineDigest": "sha256:none"}, "names no stored pipeline"),
        ({"pipelineSpec": one_step(), "parameters": {"nope": 1}}, "there is no parameter 'nope'"),
    ],
    ids=["not valid", "not stored", "unknown parameter"],
)
async def test_a_run_that_cannot_begin_says_why(world: World, spec: Obj, message: str) -> None:
    async with hub(world) as life:
        life.api.create(RUN, {"metadata": {"name": "bad", "namespace": "default"}, "spec": spec})
        await life.until(lambda: life.api.get(RUN, "bad", "default").get("status", {}).get("state") == "FAILED")
        assert message in life.api.get(RUN, "bad", "default")["status"]["message"]


# ---- the cache


async def test_a_second_run_takes_everything_from_the_cache(world: World) -> None:
    async with hub(world) as life:
        first = await life.submit(pipelines.chain(3, cache=True))
        await life.end(first.id)
        second = await life.submit(pipelines.chain(3, cache=True))
        ended = await life.end(second.id)
        assert ended.outputs is not None
        assert ended.outputs.parameters == {"Output": 3}
        assert set(life.states(second.id).values()) == {"SUCCEEDED", "CACHED"}
        assert len(world.machine.started) == 3
        cached = life.feature.history.task(second.id, "s1")
        assert cached is not None
        assert cached.cached_from == f"{first.id}/s1"


async def test_a_run_without_cache_runs_everything(world: World) -> None:
    async with hub(world) as life:
        await life.end((await life.submit(pipelines.chain(2, cache=True))).id)
        await life.end((await life.submit(pipelines.chain(2, cache=True), cache=False)).id)
        assert len(world.machine.started) == 4


@pytest.mark.parametrize(("digest", "third_time"), [("sha256:00", "SUCCEEDED"), ("", "CACHED")], ids=["bytes", "only metadata"])
async def test_a_hit_whose_artifacts_are_gone_is_a_miss(world: World, digest: str, third_time: str) -> None:
    async def make(step: Step) -> Ended:
        (place,) = step.told["executorInput"]["outputs"]["artifacts"]["data"]["artifacts"]
        await step.commit(StagedOutputs(artifacts={"data": [StoredArtifact("data", place["uri"], "system.Dataset", {}, digest)]}))
        return Ended()

    world.machine.behaviour = make
    steps = {"make": (component("make", writes={"data": "system.Dataset"}), python("make"))}
    pipeline = pipelines.pipeline({"make": task("make", cache=True)}, steps)
    async with hub(world) as life:
        first = await life.submit(pipeline)
        await life.end(first.id)
        second = await life.submit(pipeline)
        await life.end(second.id)
        assert life.states(second.id)["make"] == "CACHED"
        (edge,) = life.feature.history.edges(second.id)
        record = life.feature.history.artifact(edge.artifact)
        assert record is not None
        assert record.run == first.id
        world.artifacts.gone.add(record.artifact.uri)
        third = await life.submit(pipeline)
        await life.end(third.id)
        assert life.states(third.id)["make"] == third_time


# ---- ending runs


async def test_cancelling_stops_what_runs_and_refuses_what_comes_late(world: World) -> None:
    refused: list[str] = []

    async def late(step: Step) -> Ended:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            try:
                await step.commit(StagedOutputs(parameters={"a": 1, "b": 2}))
            except Conflict as error:
                refused.append(str(error))
            raise
        return Ended()

    world.machine.behaviour = late
    steps = {"two": (component("two", {}, {"a": NUMBER, "b": NUMBER}), python("two"))}
    async with hub(world) as life:
        run = await life.submit(pipelines.pipeline({"two": task("two")}, steps))
        await life.until(lambda: life.states(run.id).get("two") == "RUNNING")
        await life.feature.controller.cancel(run.id, "changed my mind")
        ended = await life.end(run.id)
        assert (ended.state, ended.cancel_reason) == ("CANCELED", "changed my mind")
        assert life.states(run.id) == {"": "CANCELED", "two": "CANCELED"}
        await life.until(lambda: not life.api.list(POD, "default").items)
        assert len(refused) == 1
        assert "not wanted any more" in refused[0]


async def test_deleting_the_object_cancels_and_keeps_the_history(world: World) -> None:
    world.machine.behaviour = forever
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(2))
        await life.until(lambda: life.states(run.id).get("s0") == "RUNNING")
        life.api.delete(RUN, run.name, "default")
        ended = await life.end(run.id)
        assert ended.state == "CANCELED"
        await life.until(lambda: not life.api.list(RUN, "default").items)
        await life.until(lambda: not life.api.list(POD, "default").items)
        assert life.feature.history.run(run.id) is not None


async def test_setting_terminate_with_kubectl_cancels(world: World) -> None:
    world.machine.behaviour = forever
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(2))
        life.api.patch(RUN, run.name, "default", {"spec": {"terminate": True}})
        assert (await life.end(run.id)).state == "CANCELED"


async def test_deleting_a_run_that_goes_on_forgets_it(world: World) -> None:
    world.machine.behaviour = forever
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(2))
        await life.until(lambda: life.states(run.id).get("s0") == "RUNNING")
        await life.feature.deletions.delete(run.id)
        assert life.feature.history.run(run.id) is None
        assert life.feature.history.tasks(run.id) == []
        await life.until(lambda: not life.api.list(RUN, "default").items)


async def test_a_finished_run_object_goes_after_its_time_and_its_history_stays(world: World) -> None:
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(1), ttlSecondsAfterFinished=0)
        await life.end(run.id)
        await life.until(lambda: not life.api.list(RUN, "default").items)
        assert life.feature.history.run(run.id) is not None


# ---- restarts


async def test_a_step_that_ends_while_the_hub_is_down_counts_once(world: World) -> None:
    go = asyncio.Event()

    async def slow(step: Step) -> Ended:
        await go.wait()
        return await obedient(step)

    world.machine.behaviour = slow
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(2))
        await life.until(lambda: life.states(run.id).get("s0") == "RUNNING")
        (uid,) = world.machine.started
    world.machine.ended[uid] = output("Output", 1)  # its process ended; no hub was there to see it
    go.set()
    async with hub(world) as life:
        ended = await life.end(run.id)
        assert ended.outputs is not None
        assert ended.outputs.parameters == {"Output": 2}
        assert world.machine.started.count(uid) == 1
        assert len(world.machine.started) == 2


async def test_the_pod_of_a_run_that_nobody_knows_is_ended_and_let_go(world: World) -> None:
    world.machine.behaviour = forever
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(1))
        await life.until(lambda: life.states(run.id).get("s0") == "RUNNING")
    api = world.api()
    api.patch(RUN, run.name, "default", {"metadata": {"finalizers": None}})
    api.delete(RUN, run.name, "default")
    async with hub(world) as life:
        await life.until(lambda: not life.api.list(POD, "default").items)
        record = life.feature.history.run(run.id)
        assert record is not None
        assert record.failure is not None
        assert (record.state, record.failure.reason) == ("FAILED", "RunLost")
        assert life.states(run.id) == {"": "CANCELED", "s0": "CANCELED"}


async def test_a_lost_history_begins_anew_with_the_pods_that_there_are(world: World) -> None:
    world.machine.behaviour = forever
    async with hub(world) as life:
        run = await life.submit(pipelines.chain(1))
        await life.until(lambda: life.states(run.id).get("s0") == "RUNNING")
    for file in world.folder.iterdir():
        file.unlink()
    (uid,) = world.machine.started
    world.machine.ended[uid] = output("Output", 1)
    async with hub(world) as life:
        await life.until(lambda: life.feature.history.run(run.id))
        assert (await life.end(run.id)).state == "SUCCEEDED"
        assert world.machine.started == [uid]


@pytest.mark.parametrize("either_database", ["sqlite"], indirect=True)  # a server's disk is another matter
async def test_a_full_disk_makes_a_run_wait_and_go_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async with hub(world) as life:
        database = life.feature.database
        run = await life.submit(pipelines.chain(30))
        await life.until(lambda: life.states(run.id).get("s3") == "SUCCEEDED")
        with database.reading() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        await life.until(lambda: any("the disk is full" in getattr(line, "error", "") for line in caplog.records))
        with database.reading() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        ended = await life.end(run.id, within=60)
        assert ended.state == "SUCCEEDED"
        assert sorted(map(str, life.pod_uids(run.id))) == sorted(world.machine.started)


async def test_a_pod_is_held_until_its_result_is_recorded(world: World) -> None:
    async with hub(world, node=False) as life:
        await life.submit(pipelines.chain(1))
        await life.until(lambda: life.api.list(POD, "default").items)
        (pod,) = life.api.list(POD, "default").items
        assert pod["metadata"]["finalizers"] == [TRACKING_FINALIZER]
