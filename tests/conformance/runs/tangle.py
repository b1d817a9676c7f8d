"""A run with everything in it, and how it ends whatever happens to its hub or its database meanwhile."""

import asyncio

import pytest

from kedge.artifacts.staging import StagedOutputs, StoredArtifact
from kedge.errors import Conflict
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.pipelines.kinds import RUN
from kedge.pipelines.pages import Query
from kedge.testing import pipelines
from kedge.testing.nodes import Ended, Step, output, raised
from kedge.testing.pipelines import NUMBER, task
from kedge.testing.runs import Hub


def the_run(life: Hub) -> Obj | None:
    return next(iter(life.api.list(RUN, "default").items), None)


async def settled(life: Hub) -> None:
    """Wait until the Run object says how it ended, and nothing waits to be let go."""

    def holds() -> bool:
        run = the_run(life)
        objects = [*life.api.list(RUN, "default").items, *life.api.list(POD, "default").items]
        held = [obj for obj in objects if obj["metadata"].get("finalizers")]
        over = run is None or run.get("status", {}).get("state") in {"SUCCEEDED", "FAILED", "CANCELED"}
        return over and not held

    try:
        await life.until(holds)
    except TimeoutError:
        pods = [(p["metadata"], p["status"].get("phase")) for p in life.api.list(POD, "default").items]
        pytest.fail(f"not settled: {the_run(life)}\n{pods}")


async def behave(step: Step) -> Ended:
    """One step fails once, one is evicted once, one commits over staging, one fails for good, the others add one."""
    await asyncio.sleep(0)
    first = {"flaky": raised("ValueError", "not yet"), "evicted": Ended(137, pod_reason="Evicted")}
    name = step.task.rpartition(".")[2]
    if step.attempt == 0 and name in first:
        return first[name]
    if name == "broken":
        return raised("ValueError", "never")
    if name == "artful":
        return await artful(step)
    return output("Output", int(step.parameters.get("x", 0)) + 1) if step.returns else Ended()


async def artful(step: Step) -> Ended:
    """Commit a parameter and an artifact over staging."""
    model = StoredArtifact("model", f"file:///artifacts/{step.attempt}", "system.Model", {"accuracy": 0.9}, "sha256:00", 3)
    try:
        await step.commit(StagedOutputs(parameters={"size": 3}, artifacts={"model": [model]}))
    except Conflict:
        return Ended(75)
    return Ended()


def tangle() -> Obj:
    """A loop, a condition, retries of both kinds, an artifact, a branch that fails and an exit task."""
    loop: Obj = {
        "componentRef": {"name": "comp-loop"},
        "taskInfo": {"name": "loop"},
        "parameterIterator": {"items": {"raw": "[1, 2, 3]"}, "itemInput": "item"},
        "iteratorPolicy": {"parallelismLimit": 2},
    }
    condition = {"triggerPolicy": {"condition": "inputs.parameter_values['value'] == 2"}}
    last = {"triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}}
    tasks = {
        "flaky": task("add", x=1) | {"retryPolicy": {"maxRetryCount": 1}},
        "evicted": task("add", x=5),
        "artful": task("artful"),
        "uses": task("add", x=("artful", "size")),
        "loop": loop,
        "maybe": task("guarded", value=("flaky", "Output")) | condition,
        "broken": task("add", x=9),
        "after-broken": task("add", x=("broken", "Output")),
        "last": task("note", after=("broken", "loop", "maybe")) | last,
    }
    inner = {"inner": task("add", x="=item"), "second": task("add", x=("inner", "Output"))}
    return pipelines.pipeline(
        tasks,
        {
            "add": (pipelines.component("add", {"x": NUMBER}, {"Output": NUMBER}), pipelines.python("add")),
            "note": (pipelines.component("note"), pipelines.python("note")),
            "artful": (
                pipelines.component("artful", {}, {"size": NUMBER}, writes={"model": "system.Model"}),
                pipelines.python("artful"),
            ),
            "loop": pipelines.dag(inner, {"item": NUMBER}),
            "guarded": pipelines.dag({"yes": task("add", x="=value")}, {"value": NUMBER}),
        },
    )


EXPECTED = {
    **dict.fromkeys(("flaky", "evicted", "artful", "uses", "loop", "maybe", "maybe.yes", "last"), "SUCCEEDED"),
    **{f"loop.{n}{rest}": "SUCCEEDED" for n in range(3) for rest in ("", ".inner", ".second")},
    "": "FAILED",
    "broken": "FAILED",
    "after-broken": "SKIPPED",
}


async def run_tangle(life: Hub) -> None:
    if the_run(life) is None:
        await life.submit(tangle())
    await settled(life)


async def check_tangle(life: Hub) -> None:
    run = the_run(life)
    assert run is not None
    run_id, history = run["metadata"]["uid"], life.feature.history
    assert life.states(run_id) == EXPECTED
    record, evicted = history.run(run_id), history.task(run_id, "evicted")
    assert record is not None
    assert evicted is not None
    assert (record.state, run["status"]["state"]) == ("FAILED", "FAILED")
    assert sorted(map(str, life.pod_uids(run_id))) == sorted(life.world.machine.started), (
        "each attempt began once, and is in the table"
    )
    assert {attempt.task: attempt.number for attempt in history.attempts(run_id)}["flaky"] == 1
    assert evicted.infra_failures == 1
    assert [found.artifact.name for found in history.list_artifacts(Query(), run_id=run_id).items] == ["model"]
