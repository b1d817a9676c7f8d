# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""A pipeline that makes artifacts, waits to be told to go on, and makes one more."""

from kedge import dsl
from kedge.dsl import HTML, Dataset, Input, Markdown, Metrics, Model, Output, SlicedClassificationMetrics


@dsl.component
def judge(facts: Output[Metrics], classes: Output[SlicedClassificationMetrics], gone: Output[Dataset], rows: Output[Dataset], parquet: str, model: Output[Model]):
    import base64

    facts.log_metric("first", 1)
    for name, right in (("north", 40), ("south", 30)):
        classes.load_confusion_matrix(name, ["cat", "dog"], [[right, 50 - right], [5, 45]])
        classes.load_roc_readings(name, [[1.0, 0.0, 0.0], [0.5, right / 50, 0.1], [0.0, 1.0, 1.0]])
    with open(gone.path, "w") as file:
        file.write("a,b\n1,2\n")
    with open(rows.path, "wb") as file:
        file.write(base64.b64decode(parquet))
    with open(model.path, "w") as file:
        file.write("weights of a model")


@dsl.component
def follow(flag: str, model: Input[Model], card: Output[Markdown]):
    """Ends when there is a file."""
    import os
    import time

    while not os.path.exists(flag):
        time.sleep(0.1)
    with open(card.path, "w") as file:
        file.write("# What came later\n")


@dsl.component
def report(folder: str, name: str, page: Output[HTML]):
    import shutil

    shutil.copy(folder + "/" + name, page.path)


@dsl.pipeline(name="reports")
def reports(folder: str):
    report(folder=folder, name="plotly.html").set_display_name("plotly").set_caching_options(False)


@dsl.pipeline(name="drawn")
def drawn(flag: str, parquet: str):
    follow(flag=flag, model=judge(parquet=parquet).set_caching_options(False).outputs["model"]).set_caching_options(False)
