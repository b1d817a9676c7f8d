# type: ignore
# fmt: off
"""Volumes that are a step's own, as large as a claim says, and gone with its Pod."""

from kedge import dsl
from kedge.dsl import kubernetes


@dsl.component
def work() -> list:
    import os

    with open("/scratch/file", "w") as file:
        file.write("x")
    return os.listdir("/scratch")


@dsl.pipeline
def pipeline():
    for _ in range(2):
        kubernetes.add_ephemeral_volume(
            work(), volume_name="scratch", mount_path="/scratch", access_modes=["ReadWriteOnce"], size="1Gi"
        )


EXPECTED = {"returned": {"work": {"Output": ["file"]}, "work-2": {"Output": ["file"]}}}
