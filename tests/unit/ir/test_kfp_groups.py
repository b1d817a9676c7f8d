"""Groups whose tasks kfp's compiler has put into another's are given them back, where there is no doubt whose they are."""

import copy
from typing import Any

from kedge.pipelines import kfp_groups

Json = dict[str, Any]


def task(component: str, *takes: str, after: str = "") -> Json:
    made: Json = {"componentRef": {"name": component}}
    if takes:
        made["inputs"] = {"parameters": {f"i{number}": {"componentInputParameter": name} for number, name in enumerate(takes)}}
    return {**made, "dependentTasks": [after]} if after else made


def group(inputs: str, outputs: str, **tasks: Json) -> Json:
    selectors = {name: {"valueFromParameter": {"producerSubtask": name, "outputParameterKey": "x"}} for name in outputs.split()}
    made: Json = {"inputDefinitions": {"parameters": {name: {"parameterType": "STRING"} for name in inputs.split()}}}
    dag = {**({"outputs": {"parameters": selectors}} if selectors else {}), **({"tasks": tasks} if tasks else {})}
    return {**made, "dag": dag} if dag else made


def pipeline(mixed: Json, emptied: Json, **more: Json) -> Json:
    groups = {"comp-condition-2": mixed, "comp-condition-2-2": emptied, **more}
    used = {task["componentRef"]["name"] for one in groups.values() for task in one.get("dag", {}).get("tasks", {}).values()}
    return {
        "root": {"dag": {"tasks": {name: task(name) for name in groups}}},
        "components": {**{name: {"executorLabel": name} for name in used}, **groups},
    }


def separated(made: Json) -> tuple[bool, list[str], list[str]]:
    """Whether anything was done; the names of the tasks of the sub-pipeline's group, and of those of the empty one."""
    done = kfp_groups.separate(made)
    found = [made["components"][name].get("dag", {}).get("tasks", {}) for name in ("comp-condition-2", "comp-condition-2-2")]
    return done, sorted(found[0]), sorted(found[1])


def test_by_what_they_take() -> None:
    mixed = group("a both", "", theirs=task("x", "a", "both"), mine=task("y", "both", "b"))
    assert separated(pipeline(mixed, group("both b", ""))) == (True, ["theirs"], ["mine"])


def test_by_what_is_taken_from_them_and_by_their_neighbours() -> None:
    mixed = group("a", "theirs", theirs=task("x"), mine=task("y"), first=task("z"), between=task("w", after="first"))
    mixed["dag"]["tasks"]["mine"]["dependentTasks"] = ["between"]
    assert separated(pipeline(mixed, group("a", "mine"))) == (True, ["theirs"], ["between", "first", "mine"])


def test_by_another_copy_of_the_sub_pipeline() -> None:
    mixed = group("a", "theirs", theirs=task("x"), other=task("y"), mine=task("z"))
    copied = group("a", "theirs", theirs=task("v"), other=task("w"))
    made = pipeline(mixed, group("a", ""), **{"comp-condition-2-3": copied})
    assert separated(made) == (True, ["other", "theirs"], ["mine"])


def test_the_last_one_is_of_the_group_that_has_none() -> None:
    mixed = group("a", "theirs", theirs=task("x"), mine=task("y"))
    assert separated(pipeline(mixed, group("", ""))) == (True, ["theirs"], ["mine"])


def test_in_each_copy_of_a_pipeline_that_was_taken_in_several_times() -> None:
    copies: Json = {}
    for number in (3, 5):
        copies[f"middle-{number}"] = group("", "", sub=task(f"sub-{number}"), group=task(f"comp-condition-2-{number + 1}"))
        copies[f"sub-{number}"] = group("", "", group=task(f"comp-condition-2-{number}"))
        copies[f"comp-condition-2-{number}"] = group("a", "theirs", theirs=task(f"x{number}", "a"), mine=task(f"y{number}"))
        copies[f"comp-condition-2-{number + 1}"] = group("", "mine")
    made = pipeline(group("a", "theirs", theirs=task("x", "a")), group("a", "theirs", theirs=task("z", "a")), **copies)
    assert kfp_groups.separate(made)
    found = {name: list(one["dag"]["tasks"]) for name, one in made["components"].items() if name in copies and "cond" in name}
    assert found == {
        "comp-condition-2-3": ["theirs"], "comp-condition-2-4": ["mine"],
        "comp-condition-2-5": ["theirs"], "comp-condition-2-6": ["mine"],
    }  # fmt: skip


def test_a_group_that_contains_itself_is_left_to_the_checks() -> None:
    inner = group("", "", me=task("comp-loop"), empty=task("comp-condition-2-2"), other=task("comp-condition-2-3"))
    made = pipeline(
        group("", "", x=task("y")), group("", "mine"), **{"comp-loop": inner, "comp-condition-2-3": group("", "mine")}
    )
    del made["root"]["dag"]["tasks"]["comp-condition-2-2"], made["root"]["dag"]["tasks"]["comp-condition-2-3"]
    assert not kfp_groups.separate(made)


def test_where_there_is_a_doubt_nothing_is_changed() -> None:
    doubt = pipeline(group("a", "theirs", theirs=task("x"), one=task("y"), two=task("z")), group("a", ""))
    both = pipeline(group("a", "", one=task("x", "a", "b"), two=task("y", "a")), group("b", ""))
    lost = pipeline(group("a", "theirs", theirs=task("x"), mine=task("y")), group("", ""))
    lost["components"]["comp-of-a-task-that-another-lies-upon"] = {"executorLabel": "z"}
    two = pipeline(group("a", "theirs", theirs=task("x"), mine=task("y")), group("", ""), **{"comp-condition-2-3": group("", "")})
    for made in (doubt, both, lost, two):
        before = copy.deepcopy(made)
        assert not kfp_groups.separate(made)
        assert made == before
