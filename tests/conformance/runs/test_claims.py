"""Claims of pipelines: made and deleted by tasks without a Pod, over the real server and a real history."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kedge.kube.core import PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.kinds import Obj
from kedge.manifests import hub as installed
from kedge.manifests.options import Options
from kedge.pipelines.claims import MAKER_ANNOTATION
from kedge.pipelines.engine.types import State
from kedge.testing import pipelines
from kedge.testing.pipelines import TEXT, component, container, python, task
from kedge.testing.runs import Hub, World, hub

pytestmark = pytest.mark.usefixtures("either_database")

_OPTIONAL = {
    **{name: {"parameterType": TEXT, "isOptional": True} for name in ("pvc_name", "pvc_name_suffix", "volume_name")},
    **{name: {"parameterType": "STRUCT", "isOptional": True} for name in ("annotations", "data_source")},
    "storage_class_name": {"parameterType": TEXT, "isOptional": True, "defaultValue": ""},
}
CREATE = (component("createpvc", {"access_modes": "LIST", "size": TEXT}, {"name": TEXT}), container("argostub/createpvc", []))
CREATE[0]["inputDefinitions"]["parameters"].update(_OPTIONAL)
DELETE = (component("deletepvc", {"pvc_name": TEXT}), container("argostub/deletepvc", []))
USE = (component("use"), python("use"))
INSTALLED = Options("default", "kedge:1", "s3://bucket/ml", "1.0")
ASKED: dict[str, Any] = {"access_modes": ["ReadWriteOnce"], "size": "1Gi"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.new(tmp_path / "world")


def make(*, cache: bool = False, **given: Any) -> Obj:
    """A pipeline that makes a claim and gives out its name."""
    tasks = {"make": task("createpvc", cache=cache, **{**ASKED, **given})}
    return pipelines.pipeline(tasks, {"createpvc": CREATE}, outputs={"name": (TEXT, "make", "name")})


def remove(name: str, *, cache: bool = False) -> Obj:
    return pipelines.pipeline({"remove": task("deletepvc", cache=cache, pvc_name=name)}, {"deletepvc": DELETE})


def claims(life: Hub) -> dict[str, Obj]:
    return {found["metadata"]["name"]: found for found in life.api.list(PERSISTENT_VOLUME_CLAIM, "default").items}


async def ended(life: Hub, pipeline: Mapping[str, Any], **asked: Any) -> Any:
    return await life.end((await life.submit(pipeline, **asked)).id)


async def test_a_claim_is_made_as_it_is_asked_for_and_outlives_its_run(world: World) -> None:
    source = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}
    more: Obj = {"storage_class_name": "fast", "volume_name": "v", "annotations": {"a": "b"}, "data_source": source}
    async with hub(world) as life:
        run = await ended(life, make(pvc_name="data", **more))
        assert (run.state, run.outputs.parameters) == ("SUCCEEDED", {"name": "data"})
        found = claims(life)["data"]
        assert found["spec"]["accessModes"] == ["ReadWriteOnce"]
        assert found["spec"]["resources"] == {"requests": {"storage": "1Gi"}}
        assert (found["spec"]["storageClassName"], found["spec"]["volumeName"]) == ("fast", "v")
        assert found["spec"]["dataSource"] == source
        assert found["metadata"]["annotations"] == {"a": "b", MAKER_ANNOTATION: f"{run.id}/make"}
        assert "ownerReferences" not in found["metadata"]
        assert world.machine.started == []


async def test_names_that_are_made_differ_between_runs_and_end_as_asked(world: World) -> None:
    async with hub(world) as life:
        made = [(await ended(life, make(pvc_name_suffix="-data", cache=True))).outputs.parameters["name"] for _ in range(2)]
        plain = (await ended(life, make())).outputs.parameters["name"]
        assert set(claims(life)) == {*made, plain}
        assert len({*made, plain}) == 3
        assert all(name.startswith("test-pipeline-") and name.endswith("-data") for name in made)
        assert claims(life)[plain]["spec"]["storageClassName"] == ""


async def test_steps_mount_it_and_it_is_deleted_after_them(world: World) -> None:
    tasks = {
        "make": task("createpvc", **ASKED, pvc_name_suffix="-x"),
        "use": task("use", after=["make"]),
        "remove": task("deletepvc", after=["use"], pvc_name=("make", "name")),
    }
    pipeline = pipelines.pipeline(tasks, {"createpvc": CREATE, "deletepvc": DELETE, "use": USE})
    source = {"taskOutputParameter": {"producerTask": "make", "outputParameterKey": "name"}}
    options = {"exec-use": {"pvcMount": [{"mountPath": "/data", "pvcNameParameter": source}]}}
    async with hub(world) as life:
        run = await ended(life, pipeline, platforms={"kubernetes": {"deploymentSpec": {"executors": options}}})
        assert run.state == "SUCCEEDED"
        (pod,) = life.api.list(POD, "default").items
        (volume,) = [each for each in pod["spec"]["volumes"] if "persistentVolumeClaim" in each]
        name = next(t for t in life.feature.history.tasks(run.id) if t.id == "make").outputs.parameters["name"]  # type: ignore[union-attr]
        assert volume["persistentVolumeClaim"] == {"claimName": name}
        stored = life.feature.history.task(run.id, "use")
        assert stored is not None
        assert stored.inputs is not None
        assert list(stored.inputs.options.values()) == [name], "a hub that starts anew makes the same Pod"
        assert stored.inputs.parameters == {}
        assert claims(life) == {}


async def test_a_claim_of_somebody_else_is_not_taken(world: World) -> None:
    async with hub(world) as life:
        assert (await ended(life, make(pvc_name="data"))).state == "SUCCEEDED"
        run = await ended(life, make(pvc_name="data"))
        assert run.state == "FAILED"
        assert "PersistentVolumeClaim default/data is there already, and this task has not made it." in run.failure.message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pvc_name": "a", "pvc_name_suffix": "-b"}, "CreatePVC is given pvc_name and pvc_name_suffix. Leave one of them out."),
        ({"size": ""}, "size must be a text that is not empty, got ''."),
        ({"pvc_name": "No Name"}, "metadata.name"),
    ],
    ids=["two names", "no size", "no name"],
)
async def test_what_is_no_claim_fails_the_task_and_says_why(world: World, given: Obj, message: str) -> None:
    async with hub(world) as life:
        run = await ended(life, make(**given))
        assert run.state == "FAILED"
        assert message in run.failure.message
        assert claims(life) == {}


async def test_deleting_what_is_gone_is_no_failure(world: World) -> None:
    async with hub(world) as life:
        assert (await ended(life, remove("nothing"))).state == "SUCCEEDED"


async def test_a_named_claim_is_found_in_the_cache_as_long_as_it_is_there(world: World) -> None:
    async with hub(world) as life:

        async def state(pipeline: Obj) -> State:
            run = await ended(life, pipeline)
            return next(found.state for found in life.feature.history.tasks(run.id) if found.id)

        assert await state(make(pvc_name="data", cache=True)) is State.SUCCEEDED
        assert await state(make(pvc_name="data", cache=True)) is State.CACHED
        assert await state(remove("data", cache=True)) is State.SUCCEEDED
        assert claims(life) == {}
        assert await state(make(pvc_name="data", cache=True)) is State.SUCCEEDED
        # Deleting is never taken from the cache: the claim is there again.
        assert await state(remove("data", cache=True)) is State.SUCCEEDED
        assert claims(life) == {}


# ---- what is no pipeline's


async def refused_for_the_hubs(life: Hub, pipeline: Obj, **asked: Any) -> None:
    """The claim of an installation is there, and a run that asks for it fails with that and leaves it alone."""
    (claim,) = (each for each in installed.objects(INSTALLED, ()) if each["kind"] == PERSISTENT_VOLUME_CLAIM.kind)
    life.api.create(PERSISTENT_VOLUME_CLAIM, claim)
    run = await ended(life, pipeline, **asked)
    assert run.state == "FAILED"
    assert "PersistentVolumeClaim default/kedge-data is a Kedge hub's own" in run.failure.message
    assert set(claims(life)) == {"kedge-data"}
    assert life.api.list(POD, "default").items == []


async def test_the_history_of_an_installed_hub_is_not_deleted(world: World) -> None:
    async with hub(world) as life:
        await refused_for_the_hubs(life, remove("kedge-data"))


async def test_the_history_of_an_installed_hub_is_not_copied(world: World) -> None:
    source = {"kind": "PersistentVolumeClaim", "name": "kedge-data"}
    async with hub(world) as life:
        await refused_for_the_hubs(life, make(pvc_name="copy", data_source=source))


async def test_the_history_of_an_installed_hub_is_not_mounted(world: World) -> None:
    pipeline = pipelines.pipeline({"use": task("use")}, {"use": USE})
    options = {"exec-use": {"pvcMount": [{"mountPath": "/data", "constant": "kedge-data"}]}}
    async with hub(world) as life:
        await refused_for_the_hubs(life, pipeline, platforms={"kubernetes": {"deploymentSpec": {"executors": options}}})


@pytest.mark.parametrize("name", ["../pods/x", "../../other/persistentvolumeclaims/x", "x?y"])
async def test_what_is_no_name_is_not_deleted(world: World, name: str) -> None:
    async with hub(world) as life:
        run = await ended(life, remove(name))
        assert run.state == "FAILED"
        assert "is no name of a PersistentVolumeClaim" in run.failure.message


# ---- workspaces


def shared(**given: Obj) -> tuple[Obj, Obj]:
    """A pipeline of a step that uses the workspace, another one of the same component, and one that has nothing to do with it."""
    look = (component("look", {"where": TEXT}), container("busybox", ["ls", "{{$.inputs.parameters['where']}}"]))
    tasks = {"use": task("look", where="{{$.workspace_path}}/notes"), "other": task("look", where="elsewhere"), **given}
    platforms = {"kubernetes": {"pipelineConfig": {"workspace": {"size": "1Gi", "kubernetes": {"pvcSpecPatch": {}}}}}}
    return pipelines.pipeline(tasks, {"look": look}), platforms


async def test_the_workspace_is_mounted_where_it_is_used_and_goes_with_its_run(world: World) -> None:
    pipeline, platforms = shared()
    async with hub(world) as life:
        run = await ended(life, pipeline, platforms=platforms)
        assert run.state == "SUCCEEDED"
        ((name, claim),) = claims(life).items()
        assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
        assert claim["spec"]["resources"] == {"requests": {"storage": "1Gi"}}
        assert [owner["uid"] for owner in claim["metadata"]["ownerReferences"]] == [run.id]
        pods = {pod["metadata"]["annotations"]["kedge.dev/task"]: pod["spec"] for pod in life.api.list(POD, "default").items}
        volume = {"name": "kedge-workspace", "persistentVolumeClaim": {"claimName": name}}
        assert pods["use"]["volumes"] == [volume]
        assert pods["use"]["containers"][0]["volumeMounts"] == [{"name": "kedge-workspace", "mountPath": "/kfp-workspace"}]
        assert pods["use"]["containers"][0]["command"] == ["ls", "/kfp-workspace/notes"]
        assert "volumes" not in pods["other"]


async def test_a_claim_as_the_patch_says(world: World) -> None:
    pipeline, platforms = shared()
    patch = {"accessModes": ["ReadWriteMany"], "storageClassName": "fast"}
    platforms["kubernetes"]["pipelineConfig"]["workspace"]["kubernetes"]["pvcSpecPatch"] = patch
    async with hub(world) as life:
        await ended(life, pipeline, platforms=platforms)
        ((_, claim),) = claims(life).items()
        assert (claim["spec"]["accessModes"], claim["spec"]["storageClassName"]) == (["ReadWriteMany"], "fast")


async def test_what_a_step_leaves_in_the_workspace_is_not_taken_from_the_cache(world: World) -> None:
    cached: dict[str, Obj] = {
        "use": task("look", cache=True, where="{{$.workspace_path}}"),
        "other": task("look", cache=True, where="x"),
    }
    pipeline, platforms = shared(**cached)
    async with hub(world) as life:
        for expected in (State.SUCCEEDED, State.CACHED):
            run = await ended(life, pipeline, platforms=platforms)
            states = {found.id: found.state for found in life.feature.history.tasks(run.id)}
            assert (states["use"], states["other"]) == (State.SUCCEEDED, expected)
