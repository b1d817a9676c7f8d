# type: ignore
# fmt: off
"""After the last try the step fails, with what its last try said."""

from kedge import dsl


@dsl.component
def bad(folder: str):
    import os

    with open(f"{folder}/tries", "a") as file:
        file.write("x")
    size = os.path.getsize(f"{folder}/tries")
    raise ValueError(f"try {size} fails")


@dsl.pipeline
def pipeline(folder: str):
    bad(folder=folder).set_retry(2)


ARGUMENTS = {"folder": ""}
EXPECTED = {"state": "FAILED", "failure": "try 3 fails", "tasks": {"bad": "FAILED"}}
