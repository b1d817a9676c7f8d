# type: ignore
# fmt: off
"""A container that writes an ExecutorOutput: it wins over the files of parameters, and adds metadata to artifacts."""

from kedge import dsl
from kedge.dsl import Dataset, Input, Output, OutputPath


@dsl.container_component
def work(count: OutputPath(int), word: OutputPath(str), table: Output[Dataset]):
    script = """
import json, os, sys
count, word, table, output = sys.argv[1:]
for path in (count, table, output):
    os.makedirs(os.path.dirname(path), exist_ok=True)
open(count, "w").write("1")
open(word, "w").write("from the file")
open(table, "w").write("rows")
json.dump({
    "parameterValues": {"count": 2},
    "artifacts": {"table": {"artifacts": [{"name": "table", "metadata": {"rows": 4}}]}},
}, open(output, "w"))
"""
    return dsl.ContainerSpec(
        image="python:3.11", command=["python3", "-c", script],
        args=[count, word, table.path, dsl.PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER],
    )


@dsl.component
def read(count: int, word: str, table: Input[Dataset]) -> str:
    with open(table.path) as file:
        return f"{count} {word} {file.read()} {table.metadata['rows']}"


@dsl.pipeline
def pipeline() -> str:
    made = work().outputs
    return read(count=made["count"], word=made["word"], table=made["table"]).output


EXPECTED = {"outputs": {"Output": "2 from the file rows 4"}}
