# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""Artifact types of one's own, and types that fit each other."""

from kedge import dsl
from kedge.dsl import Artifact, Input, Output


class Chart(Artifact):
    schema_title = "google.Chart"
    schema_version = "0.0.2"


@dsl.component
def draw(chart: Output[dsl.Artifact]):
    pass


@dsl.component
def anything(item: Input[Artifact]):
    pass


@dsl.component
def model(item: Input[dsl.Model]):
    pass


@dsl.pipeline
def pipeline():
    drawn = draw()
    model(item=drawn.outputs["chart"])
    anything(item=dsl.importer(artifact_uri="gs://a/b", artifact_class=Chart).output)
