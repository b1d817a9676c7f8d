# type: ignore
# fmt: off
"""A container component: values, defaults, addresses, paths, files of outputs and the whole executor input, in command and arguments."""

from kedge import dsl
from kedge.dsl import Artifact, Dataset, Input, Model, Output, OutputPath


@dsl.component
def make(out: Output[Dataset]):
    with open(out.path, "w") as file:
        file.write("rows")


@dsl.container_component
def work(n: int, ratio: float, sure: bool, text: str, l: list, d: dict, table: Input[Dataset], model: Output[Model], said: OutputPath(list), count: OutputPath(int), preset: str = "preset value"):
    script = """
import json, os, sys
n, ratio, sure, text, items, mapping, preset, table, uri, model, model_uri, said, count, whole, both = sys.argv[1:]
whole = json.loads(whole)
assert whole["inputs"]["parameterValues"]["text"] == text, whole
assert whole["outputs"]["parameters"]["said"]["outputFile"] == said
assert whole["inputs"]["artifacts"]["table"]["artifacts"][0]["uri"] == uri
assert whole["outputs"]["artifacts"]["model"]["artifacts"][0]["uri"] == model_uri
os.makedirs(os.path.dirname(said), exist_ok=True)
os.makedirs(os.path.dirname(model), exist_ok=True)
open(model, "w").write("weights of " + open(table).read())
json.dump([n, ratio, sure, text, items, mapping, preset, both], open(said, "w"))
open(count, "w").write("7")
"""
    return dsl.ContainerSpec(
        image="python:3.11",
        command=["python3", "-c", script],
        args=[n, ratio, sure, text, l, d, preset, table.path, table.uri, model.path, model.uri, said, count,
              dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER, f"<{n}|{text}>"],
    )


@dsl.component
def read(model: Input[Model], said: list, count: int) -> list:
    with open(model.path) as file:
        return [*said, count, file.read()]


@dsl.pipeline
def pipeline(text: str) -> list:
    made = make().outputs["out"]
    done = work(n=11, ratio=0.5, sure=True, text=text, l=[1, "b"], d={"k": 1.5}, table=made).outputs
    return read(model=done["model"], said=done["said"], count=done["count"]).output


ARGUMENTS = {"text": "it's \"me\" {{$}}"}
EXPECTED = {
    "outputs": {
        "Output": [
            "11", "0.5", "true", "it's \"me\" {{$}}", '[1,"b"]', '{"k":1.5}', "preset value", "<11|it's \"me\" {{$}}>", 7,
            "weights of rows",
        ]
    }
}
