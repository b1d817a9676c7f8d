"""Namespaces as tenants: what callers with Kubeflow's own roles may do in which namespace, and what they learn of others."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert
from starlette.applications import Starlette
from tenant_table import EDIT, LAST, VIEW, Row, Things, allows, in_order, table

from kedge.config import Settings
from kedge.db.tables import artifacts
from kedge.errors import Conflict, Forbidden, Unauthorized
from kedge.kube.core import NAMESPACE, POD
from kedge.kube.kinds import Obj
from kedge.manifests import rights
from kedge.pipelines import rest
from kedge.pipelines.kinds import RUN
from kedge.pipelines.operations import Operation
from kedge.pipelines.recurring import RecurringRuns
from kedge.server.auth import User
from kedge.server.callers import authorization
from kedge.server.cluster_callers import READING
from kedge.server.logs import LogOptions
from kedge.standing import Addresses, Standing
from kedge.testing import pipelines
from kedge.testing.runs import Hub, World, hub

Json = dict[str, Any]
ADD = (pipelines.component("add", {"x": pipelines.NUMBER}, {"Output": pipelines.NUMBER}), pipelines.python("add"))
IMPORTED = {"importer": {"artifactUri": {"constant": "s3://b/model"}, "typeSchema": {"schemaTitle": "system.Model"}}}
PIPELINE = pipelines.pipeline(
    {"load": pipelines.task("load"), "s0": pipelines.task("add", x=1, cache=True)},
    {"load": (pipelines.component("load", writes={"artifact": "system.Model"}), IMPORTED), "add": ADD},
)
ROLES: dict[str, dict[str, str]] = {
    "ann": {"team-a": EDIT},
    "vic": {"team-a": VIEW},
    "bob": {"team-b": EDIT},
    "eve": {"team-a": EDIT, "team-b": VIEW},
    "nil": {},
    "adm": {"kedge": EDIT},
}


def run_object(name: str, namespace: str, **spec: Any) -> Obj:
    """A Run as somebody applies it."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": RUN.api_version, "kind": "Run", "metadata": metadata, "spec": {"pipelineSpec": PIPELINE, **spec}}


class Roles:
    """`kedge.server.callers.Callers` for tests: a bearer token is a user's name, and users have roles in namespaces."""

    multi_user = True
    served = ("team-a", "team-b")

    async def caller(self, headers: Mapping[str, str], peer: str) -> User:
        del peer
        if (name := authorization(headers).removeprefix("Bearer ")) not in ROLES:
            raise Unauthorized("nobody knows you")
        return User(name)

    async def check(self, user: User, verb: str, resource: str, namespace: str, name: str = "") -> None:
        del name
        if not namespace and verb in READING:
            return
        role = ROLES[user.name].get(namespace or "kedge", "")
        if not role or not allows(role, f"{verb} {resource}"):
            raise Forbidden(f"{user.name} cannot {verb} {resource} in {namespace!r}")


class Logs:
    """Every step says the same."""

    async def read(self, pod: Obj, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        del pod, container, options
        yield b"2026-11-23T22:36:18.000000000Z a line\n"


class Tenants:
    """A hub with tenants, and requests to it by whoever."""

    def __init__(self, life: Hub, http: httpx.AsyncClient) -> None:
        self.life = life
        self.http = http

    async def ask(self, who: str, method: str, path: str, **more: Any) -> httpx.Response:
        whole = path if path.startswith("/apis/") else f"/apis/v2beta1{path}"
        return await self.http.request(method, whole, headers={"Authorization": f"Bearer {who}"}, **more)

    async def __call__(self, who: str, method: str, path: str, code: int = 200, **more: Any) -> Json:
        found = await self.ask(who, method, path, **more)
        assert found.status_code == code, found.text
        return found.json()

    async def run(self, who: str, namespace: str) -> Json:
        made = await self(who, "POST", "/runs", json={"pipeline_spec": PIPELINE, "namespace": namespace})
        await self.life.end(made["run_id"])
        return await self(who, "GET", f"/runs/{made['run_id']}")

    async def things(self, who: str, namespace: str) -> Things:
        here = {"namespace": namespace}
        run = await self.run(who, namespace)
        body = {"pipeline": {"name": "train", **here}, "pipeline_version": {"pipeline_spec": PIPELINE}}
        pipeline = (await self(who, "POST", "/pipelines/create", json=body))["pipeline_id"]
        version = (await self(who, "GET", f"/pipelines/{pipeline}/versions"))["pipeline_versions"][0]["pipeline_version_id"]
        trigger = {"cron_schedule": {"cron": "0 0 0 1 1 *"}}
        daily = {"display_name": "yearly", **here, "trigger": trigger, "pipeline_version_reference": {"pipeline_id": pipeline}}
        recurring = (await self(who, "POST", "/recurringruns", json=daily))["recurring_run_id"]
        artifact = (await self(who, "GET", "/artifacts", params=here))["artifacts"][0]["artifact_id"]
        entry = (await self(who, "GET", "/cache_entries", params=here))["cache_entries"][0]["cache_fingerprint"]
        experiment = (await self(who, "GET", "/experiments", params=here))["experiments"][0]["experiment_id"]
        ids = (run["run_id"], "s0", "load", "artifact", artifact, pipeline, version, experiment, recurring, entry, "train")
        return Things(namespace, *ids)


@pytest.fixture
async def tenants(tmp_path: Path) -> AsyncGenerator[Tenants]:
    async with hub(World.new(tmp_path / "world"), logs=Logs()) as life:
        for name in ("team-a", "team-b"):
            life.api.create(NAMESPACE, {"metadata": {"name": name}})
        settings = Settings.from_environment(
            {"KEDGE_HOME": str(tmp_path), "KEDGE_CACHE": str(tmp_path), "KEDGE_ARTIFACTS": "s3://b"}
        )
        standing = Standing(settings, life.feature, Addresses("http://kedge", "https://cluster"), life.world.clock)
        app = Starlette(routes=life.feature.routes(Roles(), "1", standing))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kedge") as http:
            yield Tenants(life, http)


# ---- the table


def served(life: Hub) -> list[Operation]:
    return rest.operations(life.feature._endpoints, multi_user=True)  # noqa: SLF001  # what is served is not told otherwise


async def test_every_operation_asks_for_a_right_and_the_documentation_has_them_all(tenants: Tenants) -> None:
    told = {
        f"{one.method} {one.path.replace(':path}', '}')}": [f"{right.verb} {right.resource}" for right in one.rights]
        for one in served(tenants.life)
        if not (one.public or one.summary.startswith("Refused: "))
    }
    assert told == {row.operation: row.rights for row in table()}
    assert all(told.values()), "an operation asks for no right"


@pytest.mark.parametrize("row", table(), ids=lambda row: row.operation)
def test_the_documentation_says_what_kubeflow_s_roles_allow(row: Row) -> None:
    assert row.view is all(allows(VIEW, right) for right in row.rights)
    assert row.edit is all(allows(EDIT, right) for right in row.rights)


@pytest.mark.parametrize(("rules", "column"), [(rights.VIEW, "view"), (rights.EDIT, "edit")])
def test_the_roles_that_kedge_install_brings_allow_the_same(rules: tuple[Obj, ...], column: str) -> None:
    allowed = {f"{verb} {kind}" for rule in rules for kind in rule["resources"] for verb in rule["verbs"]}
    assert {row.operation for row in table() if set(row.rights) <= allowed} == {
        row.operation for row in table() if getattr(row, column)
    }


async def test_roles_and_operations_are_as_the_table_says(tenants: Tenants) -> None:
    things, wrong = await tenants.things("ann", "team-a"), list[str]()
    for row in in_order(table()):
        method, path, more = things.request(row.operation)
        for who, allowed in (("nil", False), ("bob", False), ("vic", row.view), ("ann", row.edit)):
            found = await tenants.ask(who, method, path, **more)
            refused = found.status_code in {401, 403, 404}
            if refused is allowed or found.status_code >= 500:
                wrong.append(f"{who}: {row.operation}: {found.status_code}: {found.text[:300]}")
    assert wrong == []
    assert len({row.operation for row in table()} & set(LAST)) == len(LAST)


async def test_nobody_is_let_in_without_a_token(tenants: Tenants) -> None:
    things = await tenants.things("ann", "team-a")
    for row in table():
        method, path, more = things.request(row.operation)
        assert (await tenants.http.request(method, path, **more)).status_code == 401


async def test_everybody_who_is_known_may_ask_who_they_are_and_where_they_may_look(tenants: Tenants) -> None:
    assert await tenants("eve", "GET", "/caller") == {"name": "eve", "multi_user": True}
    looks = {who: (await tenants(who, "GET", "/caller", params={"view": "FULL"})).get("namespaces") for who in ROLES}
    assert looks == {
        "ann": ["team-a"],
        "vic": ["team-a"],
        "bob": ["team-b"],
        "eve": ["team-a", "team-b"],
        "nil": None,
        "adm": None,
    }
    await tenants("stranger", "GET", "/caller", code=401)


async def test_what_a_namespace_holds_is_told_to_its_own_and_how_the_hub_is_to_who_runs_it(tenants: Tenants) -> None:
    held = {"artifact_id": "1", "namespace": "team-a", "name": "m", "type": "system.Model", "uri": "s3://b/m", "created_at": 1}
    with tenants.life.feature.database.writing() as connection:
        connection.execute(insert(artifacts), [{**held, "size": 5}])
    told = await tenants("vic", "GET", "/status", params={"namespace": "team-a"})
    assert {*told} == {"version", "started_at", "artifacts"}
    assert (told["artifacts"]["number"], told["artifacts"]["bytes"]) == (1, 5)
    assert (await tenants("bob", "GET", "/status", params={"namespace": "team-b"}))["artifacts"]["number"] == 0
    await tenants("bob", "GET", "/status", code=403, params={"namespace": "team-a"})
    await tenants("ann", "GET", "/status", code=400)
    whole = await tenants("adm", "GET", "/status", params={"namespace": "kedge"})
    assert whole["artifact_root"] == "s3://b"
    assert [each["name"] for each in whole["stored"]] == ["history"], "a bucket is not listed, a cluster's nodes are its own"
    assert whole["stored"][0]["bytes"] > 0
    assert whole["disks"][0]["holds"] == ["data"]
    assert whole["hub"]["http"] == "http://kedge"
    assert whole["tasks"] == {"pending": 0, "running": 0}


# ---- what others learn


async def test_what_lies_elsewhere_is_answered_like_what_is_not_there(tenants: Tenants) -> None:
    there, nowhere = await tenants.things("ann", "team-a"), "00000000-0000-0000-0000-000000000000"
    for row in table():
        if "_id}" not in row.operation:
            continue
        method, path, more = there.request(row.operation)
        mine = {there.run_id, there.artifact_id, there.pipeline_id, there.experiment_id, there.recurring_run_id}
        known = next(each for each in mine if each in path)
        hidden = await tenants.ask("bob", method, path, **more)
        absent = await tenants.ask("bob", method, path.replace(known, nowhere), **more)
        assert (hidden.status_code, absent.status_code) == (404, 404), row.operation
        assert hidden.text.replace(known, nowhere) == absent.text, row.operation


async def test_who_may_read_but_not_change_is_told_so(tenants: Tenants) -> None:
    run = await tenants.run("ann", "team-a")
    said = await tenants("vic", "DELETE", f"/runs/{run['run_id']}", code=403)
    assert said["message"] == "vic cannot delete runs in 'team-a'"


@pytest.mark.parametrize("path", ["/runs", "/experiments", "/recurringruns", "/artifacts", "/cache_entries"])
async def test_a_list_is_of_one_namespace(tenants: Tenants, path: str) -> None:
    await tenants.things("ann", "team-a")
    await tenants.things("bob", "team-b")
    for who in ("ann", "adm"):
        assert "namespace: is required" in (await tenants(who, "GET", path, code=400))["message"]
    await tenants("ann", "GET", path, code=403, params={"namespace": "team-b"})
    found = await tenants("ann", "GET", path, params={"namespace": "team-a"})
    listed = next(value for value in found.values() if isinstance(value, list))
    assert listed
    others = await tenants("bob", "GET", path, params={"namespace": "team-b"})
    assert str(listed) != str(next(value for value in others.values() if isinstance(value, list)))


async def test_a_list_of_an_experiment_or_a_run_is_of_its_namespace(tenants: Tenants) -> None:
    things = await tenants.things("ann", "team-a")
    found = await tenants("ann", "GET", "/runs", params={"experiment_id": things.experiment_id})
    assert [run["run_id"] for run in found["runs"]] == [things.run_id]
    await tenants("bob", "GET", "/runs", code=404, params={"experiment_id": things.experiment_id})
    assert (await tenants("ann", "GET", "/artifacts", params={"run_id": things.run_id}))["artifacts"]
    await tenants("bob", "GET", "/artifacts", code=404, params={"run_id": things.run_id})


async def test_links_are_asked_for_by_runs_or_artifacts_and_all_of_them_are_checked(tenants: Tenants) -> None:
    a, b = await tenants.things("ann", "team-a"), await tenants.things("bob", "team-b")
    await tenants("ann", "GET", "/artifact_tasks", code=400, params={"task_ids": "load"})
    await tenants("ann", "GET", "/artifact_tasks", code=404, params={"run_ids": [a.run_id, b.run_id]})
    await tenants("ann", "GET", "/artifact_tasks", code=404, params={"run_ids": a.run_id, "artifact_ids": b.artifact_id})
    both = await tenants("eve", "GET", "/artifact_tasks", params={"run_ids": [a.run_id, b.run_id]})
    assert {link["run_id"] for link in both["artifact_tasks"]} == {a.run_id, b.run_id}


# ---- what one namespace may not use of another


async def test_a_run_uses_neither_the_pipeline_nor_the_experiment_of_another_namespace(tenants: Tenants) -> None:
    there = await tenants.things("ann", "team-a")
    stored = {"pipeline_version_reference": {"pipeline_id": there.pipeline_id}}
    inline: Json = {"pipeline_spec": PIPELINE}
    for more in (stored, inline | {"experiment_id": there.experiment_id}, {"pipeline_version_id": there.pipeline_version_id}):
        said = await tenants("bob", "POST", "/runs", code=404, json={"namespace": "team-b", **more})
        assert "not found" in said["message"]
    await tenants("bob", "POST", "/runs", code=404, json=inline | {"experiment_id": there.experiment_id})
    trigger = {"periodic_schedule": {"interval_second": 3600}}
    daily = {"display_name": "x", "namespace": "team-b", "trigger": trigger}
    await tenants("bob", "POST", "/recurringruns", code=404, json=daily | stored)
    await tenants("bob", "POST", "/recurringruns", code=404, json=daily | inline | {"experiment_id": there.experiment_id})
    mine = await tenants("bob", "POST", "/recurringruns", json=daily | inline)
    for more in (stored, {"experiment_id": there.experiment_id}):
        await tenants("bob", "PATCH", f"/recurringruns/{mine['recurring_run_id']}", code=404, json=more)
    run = await tenants.run("bob", "team-b")
    await tenants("bob", "POST", f"/runs/{run['run_id']}:resume", code=404, json=stored)


async def test_a_run_goes_where_its_experiment_is(tenants: Tenants) -> None:
    made = await tenants("ann", "POST", "/experiments", json={"display_name": "mine", "namespace": "team-a"})
    run = await tenants("ann", "POST", "/runs", json={"pipeline_spec": PIPELINE, "experiment_id": made["experiment_id"]})
    record = tenants.life.feature.history.run(run["run_id"])
    assert record is not None
    assert record.namespace == "team-a"


async def test_a_result_of_one_namespace_is_not_used_in_another(tenants: Tenants) -> None:
    await tenants.run("ann", "team-a")
    there = await tenants.run("bob", "team-b")
    assert tenants.life.states(there["run_id"])["s0"] == "SUCCEEDED"
    again = await tenants.run("ann", "team-a")
    assert tenants.life.states(again["run_id"])["s0"] == "CACHED"


async def test_clearing_a_cache_leaves_the_others(tenants: Tenants) -> None:
    a, b = await tenants.things("ann", "team-a"), await tenants.things("bob", "team-b")
    assert a.cache_fingerprint == b.cache_fingerprint
    await tenants("ann", "DELETE", "/cache_entries", code=400, params={"all": "true"})
    assert (await tenants("ann", "DELETE", "/cache_entries", params={"namespace": "team-a"}))["removed"] == 1
    assert (await tenants("bob", "GET", "/cache_entries", params={"namespace": "team-b"}))["cache_entries"]


async def test_a_run_that_comes_as_a_file_stays_where_its_bringer_may_make_runs(tenants: Tenants) -> None:
    run = await tenants.run("ann", "team-a")
    file = (await tenants.ask("ann", "GET", f"/runs/{run['run_id']}:export")).content
    await tenants("bob", "POST", "/runs:import", code=403, params={"namespace": "team-a"}, content=file)
    await tenants("bob", "POST", "/runs:import", code=400, content=file)
    await tenants("ann", "DELETE", f"/runs/{run['run_id']}")
    brought = await tenants("bob", "POST", "/runs:import", params={"namespace": "team-b"}, content=file)
    record = tenants.life.feature.history.run(brought["run_id"])
    assert record is not None
    assert record.namespace == "team-b"
    assert all(made.namespace == "team-b" for made in tenants.life.made(brought["run_id"]))
    await tenants("ann", "GET", f"/runs/{brought['run_id']}", code=404)
    # Nor does the hub ever delete a Pod for what a file says.
    assert brought["run_id"] not in {attempt.run for attempt, _ in tenants.life.feature.history.ended_pods(0, 100)}


async def test_a_file_takes_over_nothing_of_another_namespace(tenants: Tenants) -> None:
    run = await tenants.run("ann", "team-a")
    file = (await tenants.ask("ann", "GET", f"/runs/{run['run_id']}:export")).content
    await tenants("ann", "DELETE", f"/runs/{run['run_id']}", params={"keep_artifacts": "true"})
    said = await tenants("bob", "POST", "/runs:import", code=400, params={"namespace": "team-b"}, content=file)
    assert "belongs to another namespace" in said["message"]


async def test_an_importer_brings_nothing_of_another_namespace(tenants: Tenants) -> None:
    tenants.life.world.artifacts.owners["s3://b/model"] = "team-b"
    mine = await tenants.run("bob", "team-b")
    assert mine["state"] == "SUCCEEDED"
    there = await tenants.run("ann", "team-a")
    assert there["state"] == "FAILED"
    task = await tenants("ann", "GET", f"/runs/{there['run_id']}/tasks/load")
    assert "s3://b/model belongs to another namespace than 'team-a'" in str(task["error"])


async def test_what_a_record_says_does_not_open_another_s_folder(tenants: Tenants) -> None:
    things = await tenants.things("ann", "team-a")
    await tenants("ann", "GET", f"/artifacts/{things.artifact_id}")
    tenants.life.world.artifacts.owners["s3://b/model"] = "team-b"  # a step may commit any address
    for path in (
        f"/artifacts/{things.artifact_id}/content",
        f"/artifacts/{things.artifact_id}/files",
        f"/runs/{things.run_id}/nodes/load/artifacts/artifact:read",
    ):
        assert "another namespace" in (await tenants("ann", "GET", path, code=403))["message"]


async def test_a_file_with_an_address_of_another_namespace_is_refused(tenants: Tenants) -> None:
    run = await tenants.run("ann", "team-a")
    file = (await tenants.ask("ann", "GET", f"/runs/{run['run_id']}:export")).content
    await tenants("ann", "DELETE", f"/runs/{run['run_id']}")
    tenants.life.world.artifacts.owners["s3://b/model"] = "team-a"
    said = await tenants("bob", "POST", "/runs:import", code=400, params={"namespace": "team-b"}, content=file)
    assert "s3://b/model belongs to another namespace than 'team-b'" in said["message"]


async def test_a_run_object_joins_nothing_of_another_namespace(tenants: Tenants) -> None:
    there = await tenants.things("ann", "team-a")
    tenants.life.api.create(RUN, run_object("sly", "team-b", experimentId=there.experiment_id))
    await tenants.life.until(lambda: tenants.life.api.get(RUN, "sly", "team-b").get("status", {}).get("state") == "FAILED")
    assert "there is no experiment" in str(tenants.life.api.get(RUN, "sly", "team-b")["status"])
    recurring = RecurringRuns(tenants.life.feature.database)
    made = run_object("many", "team-b", recurringRunId=there.recurring_run_id)
    uid = tenants.life.api.create(RUN, made)["metadata"]["uid"]
    await tenants.life.until(lambda: tenants.life.feature.history.run(uid) is not None)
    assert recurring.live(there.recurring_run_id) == 0


async def test_a_pod_of_another_namespace_is_no_step_of_a_run_whatever_it_says(tmp_path: Path) -> None:
    async with hub(World.new(tmp_path / "world"), logs=Logs(), node=False) as life:
        for name in ("team-a", "team-b"):
            life.api.create(NAMESPACE, {"metadata": {"name": name}})
        run = life.api.create(RUN, run_object("mine", "team-a"))["metadata"]["uid"]
        await life.until(lambda: life.api.list(POD, "team-a").items)
        (step,) = life.api.list(POD, "team-a").items
        forged = {key: step["metadata"][key] for key in ("name", "labels", "annotations")}
        spec = {"containers": [{"name": "main", "image": "python:3.11"}]}
        made = life.api.create(POD, {"metadata": {**forged, "namespace": "team-b"}, "spec": spec})
        done = {"state": {"terminated": {"exitCode": 0, "message": '{"kedge": 1, "outputs": {"Output": 666}}'}}}
        ended = {"phase": "Succeeded", "containerStatuses": [{"name": "main", **done}]}
        life.api.patch(POD, made["metadata"]["name"], "team-b", {"status": ended}, type="merge", subresource="status")
        name, controller = made["metadata"]["name"], life.feature.controller
        await life.until(lambda: "Succeeded" in str(controller.pod("team-b", name)))
        for _ in range(50):
            await asyncio.sleep(0)  # whoever looks at Pods has looked
        assert life.states(run)["s0"] in {"PENDING", "RUNNING"}
        assert controller.find(made["metadata"]["uid"]) is None
        assert controller.find(step["metadata"]["uid"]) is not None
        with pytest.raises(Conflict):
            await life.feature.staging.begin(made["metadata"]["uid"])


async def test_a_file_that_names_a_stranger_s_pod_does_not_open_its_log(tenants: Tenants) -> None:
    run = await tenants.run("ann", "team-a")
    record = tenants.life.feature.history.run(run["run_id"])
    assert record is not None
    (step,) = [
        pod for pod in tenants.life.api.list(POD, "team-a").items if pod["metadata"]["annotations"]["kedge.dev/task"] == "s0"
    ]
    assert (await tenants.ask("ann", "GET", f"/runs/{run['run_id']}/tasks/s0/logs")).status_code == 200
    labels = {"metadata": {"labels": {"kedge.dev/run": "another"}}}
    tenants.life.api.patch(POD, step["metadata"]["name"], "team-a", labels, type="merge")
    assert (await tenants.ask("ann", "GET", f"/runs/{run['run_id']}/tasks/s0/logs", params={"container": "x"})).status_code == 404


# ---- what all share


async def test_a_shared_pipeline_is_read_and_run_by_all_and_changed_by_few(tenants: Tenants) -> None:
    body = {"pipeline": {"name": "shared"}, "pipeline_version": {"pipeline_spec": PIPELINE}}
    await tenants("ann", "POST", "/pipelines/create", code=403, json=body)
    made = (await tenants("adm", "POST", "/pipelines/create", json=body))["pipeline_id"]
    assert [one["pipeline_id"] for one in (await tenants("nil", "GET", "/pipelines"))["pipelines"]] == [made]
    assert (await tenants("ann", "GET", "/pipelines", params={"namespace": "team-a"})).get("pipelines") is None
    await tenants("bob", "GET", f"/pipelines/{made}")
    await tenants("bob", "DELETE", f"/pipelines/{made}", code=403)
    stored = {"namespace": "team-b", "pipeline_version_reference": {"pipeline_id": made}}
    run = await tenants("bob", "POST", "/runs", json=stored)
    assert (await tenants.life.end(run["run_id"])).state == "SUCCEEDED"
