"""What goes along the edges of pipelines, wherever a task is."""

from typing import Any

from kedge.display.faces import Faces
from kedge.display.graph import Bundles
from kedge.display.wires import Blueprint, Wire, said
from kedge.kube.clock import SystemClock

NUMBER = {"parameters": {"Output": {"parameterType": "NUMBER_DOUBLE"}}}


def made_by(task: str, key: str = "Output") -> dict[str, Any]:
    return {"taskOutputParameter": {"producerTask": task, "outputParameterKey": key}}


def inner(name: str) -> dict[str, Any]:
    return {"componentInputParameter": name}


def task(component: str, **parameters: Any) -> dict[str, Any]:
    return {"componentRef": {"name": component}, "inputs": {"parameters": parameters}}


PIPELINE: dict[str, Any] = {
    "root": {
        "dag": {
            "tasks": {
                "load": task("load"),
                "train": {
                    "componentRef": {"name": "train"},
                    "inputs": {
                        "artifacts": {"table": {"taskOutputArtifact": {"producerTask": "load", "outputArtifactKey": "data"}}}
                    },
                },
                "sub": task("sub", scale=made_by("train")),
                "each": {
                    **task("body", items=made_by("load", "names")),
                    "parameterIterator": {"items": {"inputParameter": "items"}, "itemInput": "item"},
                },
                "end": {"componentRef": {"name": "end"}, "dependentTasks": ["sub"]},
            }
        }
    },
    "components": {
        "load": {
            "outputDefinitions": {
                "artifacts": {"data": {"artifactType": {"schemaTitle": "system.Dataset"}}},
                "parameters": {"names": {"parameterType": "LIST"}},
            }
        },
        "train": {"outputDefinitions": NUMBER},
        "sub": {"dag": {"tasks": {"use": task("use", by=inner("scale"), fixed={"runtimeValue": {}})}}},
        "body": {
            "dag": {
                "tasks": {"read": task("use", name={"componentInputParameter": "item"}), "show": task("use", x=made_by("read"))}
            }
        },
        "use": {"outputDefinitions": NUMBER},
    },
}
BLUEPRINT = Blueprint(PIPELINE)


def test_an_edge_says_the_output_its_type_and_what_it_is_called_where_it_goes() -> None:
    assert BLUEPRINT.between("load", "train") == "data (Dataset) as table"
    assert BLUEPRINT.between("sub", "end") == "only one after the other"
    assert BLUEPRINT.between("each.3.read", "each.3.show") == "Output (number) as x"


def test_what_comes_from_further_out_is_followed_to_the_task_that_made_it() -> None:
    assert BLUEPRINT.wires("sub.use") == [Wire("train", "Output", "by", "number")]


def test_an_item_of_a_loop_comes_from_the_task_that_made_the_list() -> None:
    assert BLUEPRINT.wires("each.3.read") == [Wire("load", "names", "name", "list")]
    assert BLUEPRINT.wires("each.3.show") == [Wire("each.3.read", "Output", "x", "number")]


def test_what_nobody_made_has_no_wire_and_what_is_not_there_none_either() -> None:
    assert BLUEPRINT.wires("load") == []
    assert BLUEPRINT.wires("nowhere.at.all") == []


def test_many_values_are_counted() -> None:
    wires = [Wire("a", f"out{number}", f"out{number}", "") for number in range(7)]
    assert said(wires) == "out0, out1, out2, out3 and 3 more"


def test_a_task_among_too_many_is_told_of_with_the_bundles_that_it_is_in() -> None:
    tasks = {f"w{number}": {"componentRef": {"name": "w"}, "dependentTasks": ["a"]} for number in range(900)}
    pipeline = {"root": {"dag": {"tasks": {"a": {"componentRef": {"name": "a"}}, **tasks}}}, "components": {}}
    around = Bundles(pipeline).around("w5")
    assert around
    assert all("w5" in box.tasks for box in around)
    faces = Faces([{"id": "w5", "name": "w5", "parent": "", "kind": "step", "state": "RUNNING"}])
    face = faces.of_box(around[-1], SystemClock().now())
    assert (face.state, face.detail) == ("RUNNING", f"0 of {len(around[-1].tasks)} · 1 running")
    assert Bundles(PIPELINE).around("train") == []
