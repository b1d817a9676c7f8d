# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""Artifacts in and out, by object, by path and by return value; importers."""

from typing import List, Optional

from kedge import dsl
from kedge.dsl import HTML, ClassificationMetrics, Dataset, Input, InputPath, Markdown, Metrics, Model, Output, OutputPath


@dsl.component
def make(table: Output[Dataset], report: Output[HTML], card: Output[Markdown], size: OutputPath(int), other: OutputPath("Model")):
    pass


@dsl.component
def learn(table: Input[Dataset], path: InputPath("Dataset"), metrics: Output[Metrics], matrix: Output[ClassificationMetrics]) -> Model:
    return Model(uri=dsl.get_uri("model"))


@dsl.component
def anything(item: Input[dsl.Artifact], model: Optional[Input[Model]] = None) -> str:
    return item.uri


@dsl.component
def collect(tables: List[Dataset]) -> int:
    return len(tables)


@dsl.pipeline
def pipeline(uri: str = "gs://bucket/data", given: Optional[Input[Dataset]] = None) -> Model:
    imported = dsl.importer(artifact_uri="gs://bucket/fixed", artifact_class=Dataset, reimport=True, metadata={"rows": 3, "from": {"a": "b"}})
    named = dsl.importer(artifact_uri=uri, artifact_class=Model)
    made = make()
    learnt = learn(table=made.outputs["table"], path=imported.output)
    anything(item=made.outputs["report"], model=named.output)
    anything(item=learnt.outputs["metrics"])
    anything(item=learnt.outputs["Output"], model=learnt.outputs["Output"])
    described = dsl.importer(artifact_uri=uri, artifact_class=Dataset, metadata={"size": made.outputs["size"], "word": "x"})
    anything(item=described.output)
    return learnt.outputs["Output"]
