"""Tags of runs: given with them, changed later, found by; labels of the Run object while there is one, and history after it."""

import json
from pathlib import Path
from typing import Any

import pytest
from rest_client import CHAIN, Json, Rest, serving

from kedge.kube.kinds import Obj
from kedge.pipelines import tags
from kedge.pipelines.kinds import RUN
from kedge.pipelines.pages import Query
from kedge.pipelines.records import RunRecord
from kedge.testing import pipelines
from kedge.testing.nodes import Ended, Step
from kedge.testing.runs import Hub, World, hub, obedient

pytestmark = pytest.mark.usefixtures("either_database")


def label(life: Hub, run: Json | RunRecord, **labels: str | None) -> Obj:
    """What ``kubectl label`` does."""
    name = run.name if isinstance(run, RunRecord) else str(run["name"])
    return life.api.patch(RUN, name, "default", {"metadata": {"labels": labels}})


def labels_of(life: Hub, run: Json) -> Json:
    return life.api.get(RUN, run["name"], "default")["metadata"].get("labels") or {}


async def found(rest: Rest, *predicates: tuple[str, str, str], **query: Any) -> list[str]:
    wanted = [{"operation": operation, "key": key, "string_value": value} for operation, key, value in predicates]
    page = await rest("GET", "/runs", filter=json.dumps({"predicates": wanted}), **query)
    assert page.get("total_size", 0) >= len(page.get("runs", []))
    return sorted(run["display_name"] for run in page.get("runs", []))


async def test_a_run_has_the_tags_it_was_started_with_and_its_object_has_them_as_labels(rest: Rest) -> None:
    run = await rest.run(tags={"team": "a", "example.com/ticket": "KD-7", "draft": ""})
    assert run["tags"] == {"team": "a", "example.com/ticket": "KD-7", "draft": ""}
    assert labels_of(rest.life, run) == run["tags"]
    assert "tags" not in await rest.run()


async def test_runs_are_found_by_their_tags(rest: Rest) -> None:
    for name, given in (
        ("one", {"team": "a", "stage": "dev"}),
        ("two", {"team": "b"}),
        ("three", {"stage": "dev"}),
        ("four", {}),
    ):
        await rest.run(display_name=name, tags=given)
    assert await found(rest, ("EQUALS", "tags.team", "a")) == ["one"]
    assert await found(rest, ("EQUALS", "tags.stage", "dev")) == ["one", "three"]
    assert await found(rest, ("EQUALS", "tags.stage", "dev"), ("EQUALS", "tags.team", "a")) == ["one"]
    assert await found(rest, ("NOT_EQUALS", "tags.team", "a")) == ["four", "three", "two"]
    assert await found(rest, ("IS_SUBSTRING", "tags.team", "")) == ["one", "two"]  # whatever it says
    assert await found(rest, ("EQUALS", "tags.team", "c")) == []
    assert await found(rest, ("EQUALS", "tags.stage", "dev"), sort_by="name asc", page_size=1) == ["one"]


async def test_tags_change_after_the_end_and_the_others_stay(rest: Rest) -> None:
    run = await rest.run(tags={"team": "a", "draft": ""})
    path = f"/runs/{run['run_id']}"
    changed = await rest("POST", path + ":tag", {"tags": {"draft": None, "stage": "prod", "never": None}})
    assert changed["tags"] == {"team": "a", "stage": "prod"}
    assert (await rest("GET", path))["tags"] == labels_of(rest.life, run) == {"team": "a", "stage": "prod"}
    assert await found(rest, ("IS_SUBSTRING", "tags.draft", "")) == []
    assert await found(rest, ("EQUALS", "tags.stage", "prod")) == [run["display_name"]]


async def test_tags_change_when_the_object_of_a_run_is_gone(rest: Rest) -> None:
    run = await rest.run(tags={"team": "a"})
    rest.life.api.delete(RUN, run["name"], "default")
    changed = await rest("POST", f"/runs/{run['run_id']}:tag", {"tags": {"stage": "prod"}})
    assert changed["tags"] == {"team": "a", "stage": "prod"}
    rest.life.api.create(RUN, {"metadata": {"name": run["name"]}, "spec": {"pipelineSpec": pipelines.chain(1)}})
    assert (await rest("POST", f"/runs/{run['run_id']}:tag", {"tags": {"team": None}}))["tags"] == {"stage": "prod"}
    assert labels_of(rest.life, run) == {}, "another run has that name now"


async def test_what_kubectl_labels_is_a_tag_and_what_is_noted_in_labels_is_none(rest: Rest) -> None:
    run = await rest.run(tags={"team": "a"})
    label(rest.life, run, team="b", **{"app.kubernetes.io/managed-by": "flux", "kedge.dev/x": "y"})
    history = rest.life.feature.history
    await rest.life.until(lambda: (now := history.run(run["run_id"])) and now.tags == {"team": "b"}, within=60)
    assert await found(rest, ("EQUALS", "tags.team", "b")) == [run["display_name"]]


async def test_labels_that_changed_while_no_hub_ran_are_taken_over(tmp_path: Path) -> None:
    world = World.new(tmp_path / "world")
    async with hub(world) as life:
        run = await life.submit(CHAIN)
        await life.end(run.id, within=60)
    label(life, run, team="a")
    async with hub(world) as life:
        record = life.feature.history.run(run.id)
        assert record is not None
        assert record.tags == {"team": "a"}


async def test_a_run_that_goes_on_keeps_what_was_noted_of_it_meanwhile(tmp_path: Path) -> None:
    go: list[bool] = []

    async def behaviour(step: Step) -> Ended:
        await life.until(lambda: go, within=60)
        return await obedient(step)

    world = World.new(tmp_path / "world", behaviour)
    async with serving(world) as rest:
        life = rest.life
        started = await rest("POST", "/runs", {"pipeline_spec": CHAIN, "tags": {"team": "a"}})
        path = f"/runs/{started['run_id']}"
        await rest("POST", path + ":tag", {"tags": {"seen": "yes"}})
        assert (await rest("GET", path))["tags"] == {"team": "a", "seen": "yes"}, "it is still on its way"
        await rest("POST", path + ":archive", {})
        go.append(True)
        await life.end(started["run_id"], within=60)
        ended = await rest("GET", path)
        assert ended["tags"] == {"team": "a", "seen": "yes"}
        assert (ended["state"], ended["storage_state"]) == ("SUCCEEDED", "ARCHIVED")


async def test_a_run_that_was_tried_again_keeps_its_tags(tmp_path: Path) -> None:
    failing = [True]

    async def behaviour(step: Step) -> Ended:
        return Ended(1) if failing else await obedient(step)

    async with serving(World.new(tmp_path / "world", behaviour)) as rest:
        run = await rest.run(tags={"team": "a"})
        assert run["state"] == "FAILED"
        failing.clear()
        await rest("POST", f"/runs/{run['run_id']}:retry")
        await rest.life.end(run["run_id"], within=60)
        again = await rest("GET", f"/runs/{run['run_id']}")
        assert (again["state"], again["tags"]) == ("SUCCEEDED", {"team": "a"})


async def test_the_runs_of_a_schedule_have_its_tags(rest: Rest) -> None:
    body = {
        "display_name": "often",
        "pipeline_spec": CHAIN,
        "tags": {"team": "a"},
        "trigger": {"periodic_schedule": {"interval_second": "1"}},
    }
    made = await rest("POST", "/recurringruns", body)
    assert made["tags"] == {"team": "a"}
    history = rest.life.feature.history
    wanted = Query(filter=json.dumps({"predicates": [{"operation": "EQUALS", "key": "tags.team", "string_value": "a"}]}))
    await rest.life.until(lambda: history.list_runs(wanted).items, within=60)
    run = history.list_runs(wanted).items[0]
    assert run.recurring_run_id == made["recurring_run_id"]
    path = f"/recurringruns/{made['recurring_run_id']}"
    assert (await rest("PATCH", path, {"tags": {}})).get("tags") is None
    assert "kedge.dev" in await rest.refused("PATCH", path, {"tags": {"kedge.dev/a": ""}})


async def test_an_exported_run_brings_its_tags(tmp_path: Path) -> None:
    async with serving(World.new(tmp_path / "here")) as rest:
        run = await rest.run(tags={"team": "a"})
        data = (await rest.http.get(f"/apis/v2beta1/runs/{run['run_id']}:export")).content
    async with serving(World.new(tmp_path / "there")) as rest:
        answer = await rest.http.post("/apis/v2beta1/runs:import", content=data)
        assert answer.json()["tags"] == {"team": "a"}
        assert await found(rest, ("EQUALS", "tags.team", "a")) == [run["display_name"]]


async def test_a_deleted_run_leaves_no_tag_behind(rest: Rest) -> None:
    run = await rest.run(tags={"team": "a"})
    await rest("DELETE", f"/runs/{run['run_id']}")
    assert await found(rest, ("EQUALS", "tags.team", "a")) == []
    await rest("POST", f"/runs/{run['run_id']}:tag", {"tags": {"a": "b"}}, code=404)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"a b": "c"}, "tags.a b: name part must be letters, digits"),
        ({"team": "red & blue"}, "tags.team: value must be letters, digits, '-', '_' or '.'"),
        ({"team": "x" * 64}, "tags.team: value must be at most 63 characters, got 64"),
        ({"kedge.dev/run": "x"}, "tags.kedge.dev/run: cannot be set: prefixes that end in kubernetes.io, k8s.io, kedge.dev"),
        ({"app.kubernetes.io/name": "x"}, "cannot be set"),
        ({f"t{number}": "" for number in range(tags.MOST + 1)}, "there are 51; a run has at most 50"),
    ],
    ids=["a name", "a value", "a long value", "Kedge's", "Kubernetes'", "too many"],
)
async def test_what_can_be_no_tag_is_refused_by_its_name(given: Json, said: str, rest: Rest) -> None:
    assert said in await rest.refused("POST", "/runs", {"pipeline_spec": CHAIN, "tags": given})
    assert said in await rest.refused("POST", "/runs:validate", {"pipeline_spec": CHAIN, "tags": given})
    run = await rest.run()
    assert said in await rest.refused("POST", f"/runs/{run['run_id']}:tag", {"tags": given})


async def test_an_older_look_at_an_object_is_never_written_last(rest: Rest) -> None:
    """What is followed is the object as it is, not as it was when somebody saw that it had changed."""
    run = await rest.run(tags={"team": "a"})
    seen = rest.life.api.get(RUN, run["name"], "default")
    await rest("POST", f"/runs/{run['run_id']}:tag", {"tags": {"team": "b"}})
    await rest.life.feature.controller.tagging.follow(seen)
    assert (await rest("GET", f"/runs/{run['run_id']}"))["tags"] == {"team": "b"}
