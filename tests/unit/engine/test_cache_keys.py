"""What changes a cache key and what does not."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from kedge.pipelines.engine import cache
from kedge.pipelines.engine.types import RunStarted, Values
from kedge.pipelines.spec import Component, TaskConfigField, TaskConfigPassthrough


def spec(build: Any) -> Any:
    component = build.step(
        {
            "n": "NUMBER_INTEGER",
            "o": {"parameterType": "STRING", "defaultValue": "x", "isOptional": True},
            "@d": "system.Dataset",
        },
        {"out": "NUMBER_INTEGER"},
    )
    tasks = {
        "make": build.task("make"),
        "use": build.task("use", {"n": build.outer("n"), "@d": build.artifact("make")}, cachingOptions={"enableCache": True}),
    }
    made = build.pipeline(
        build.dag(tasks, {"n": "NUMBER_INTEGER"}), {"make": build.step({}, {"@data": "system.Dataset"}), "use": component}
    )
    made["deploymentSpec"]["executors"]["use"] = {
        "container": {"image": "i", "command": ["c"], "args": ["a"], "env": [{"name": "E", "value": "1"}]}
    }
    return made


def key(world: Any, made: Any, *, n: int = 1, artifact: Any = None, platforms: Any = None, **run: Any) -> str:
    data = artifact
    ready = world(
        made, lambda step: Values({}, {"data": [data]}) if step.task == "make" else Values({"out": 1}), parameters={"n": n}, **run
    )
    if platforms:
        ready.pipeline.platforms.update(platforms)
    ready.tell(RunStarted(ready.now))
    ready.deliver(ready.events()[0]())
    return ready["use"].cache_key


def _executor(made: Any) -> Any:
    return made["deploymentSpec"]["executors"]["use"]["container"]


def _rename(made: Any) -> None:
    """Give the component, its executor and the task that uses it other names."""
    made["components"]["other"] = {**made["components"].pop("use"), "executorLabel": "e2"}
    made["deploymentSpec"]["executors"]["e2"] = made["deploymentSpec"]["executors"].pop("use")
    made["root"]["dag"]["tasks"]["use"]["componentRef"]["name"] = "other"


CHANGES: dict[str, tuple[bool, Callable[[Any], None]]] = {
    "image": (True, lambda s: _executor(s).update(image="j")),
    "command": (True, lambda s: _executor(s).update(command=["d"])),
    "a function's place in its file": (False, lambda s: _executor(s).update(command=["# kedge: file=p.py line=9\nc"])),
    "arguments": (True, lambda s: _executor(s).update(args=[])),
    "environment": (True, lambda s: _executor(s).update(env=[{"name": "E", "value": "2"}])),
    "default": (True, lambda s: s["components"]["use"]["inputDefinitions"]["parameters"]["o"].update(defaultValue="y")),
    "output-type": (
        True,
        lambda s: s["components"]["use"]["outputDefinitions"]["parameters"]["out"].update(parameterType="STRING"),
    ),
    "resources": (False, lambda s: _executor(s).update(resources={"resourceCpuLimit": "2"})),
    "names": (False, _rename),
    "display-name": (False, lambda s: s["root"]["dag"]["tasks"]["use"].update(taskInfo={"name": "shown"})),
    "pipeline-name": (False, lambda s: s["pipelineInfo"].update(name="q")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_counts_in_the_pipeline(build: Any, world: Any, make_artifact: Any, change: str) -> None:
    counts, apply = CHANGES[change]
    before, after = spec(build), copy.deepcopy(spec(build))
    apply(after)
    data = make_artifact("d")
    assert (key(world, before, artifact=data) != key(world, after, artifact=data)) == counts


def test_what_counts_in_the_run(build: Any, world: Any, make_artifact: Any) -> None:
    """An artifact counts by its content and metadata; by its address only where the content has no digest."""
    made, data = spec(build), make_artifact("d")
    base = key(world, made, artifact=data)
    moved = type(data)("other", "s3://elsewhere", data.type, digest=data.digest)
    changed = make_artifact("d", "sha256:other")
    noted = type(data)(data.name, data.uri, data.type, metadata={"rows": 1}, digest=data.digest)
    unknown = [type(data)("d", uri, data.type) for uri in ("s3://a", "s3://b")]
    assert key(world, made, artifact=moved) == base
    assert key(world, made, n=2, artifact=data) != base
    assert key(world, made, artifact=changed) != base
    assert key(world, made, artifact=noted) != base
    assert key(world, made, artifact=unknown[0]) != key(world, made, artifact=unknown[1])
    assert key(world, made, artifact=data, project_digest="sha256:code") != base
    assert key(world, made, artifact=data, id="another-run", display_name="x") == base


@pytest.mark.parametrize(("option", "counts"), [("secretAsEnv", True), ("tolerations", False)])
def test_values_of_platform_options_count_where_the_option_does(option: str, counts: bool) -> None:  # noqa: FBT001
    first, second = (cache.key("", Component(), Values(options={f"{option} {{}}": value}), "") for value in ("a", "b"))
    assert (first != second) == counts


def test_what_a_component_is_told_to_hand_on_counts() -> None:
    told = Component(task_config_passthroughs=[TaskConfigPassthrough(TaskConfigField.KUBERNETES_TOLERATIONS)])
    first, second = (cache.key("", told, Values(options={"tolerations {}": value}), "") for value in ("a", "b"))
    assert first != second


@pytest.mark.parametrize(("option", "counts"), [("pvcMount", True), ("nodeSelector", False)])
def test_which_platform_options_count(build: Any, world: Any, make_artifact: Any, option: str, counts: bool) -> None:  # noqa: FBT001
    made, data = spec(build), make_artifact("d")
    options = {"kubernetes": {"deploymentSpec": {"executors": {"use": {option: [{"x": 1}]}}}}}
    empty = {"kubernetes": {"deploymentSpec": {"executors": {"use": {}}}}}
    assert (key(world, made, artifact=data, platforms=options) != key(world, made, artifact=data, platforms=empty)) == counts
