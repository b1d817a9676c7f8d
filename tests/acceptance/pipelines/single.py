# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""The smallest pipeline."""

from kedge import dsl


@dsl.component
def hello(name: str = "world"):
    print(f"hello {name}")


@dsl.pipeline
def pipeline():
    hello()
