# type: ignore
# fmt: off
"""A step that takes longer than its timeout fails, is tried again as often as it may be, and what does not need it goes on."""

from kedge import dsl
from kedge.dsl import kubernetes


@dsl.component
def sleep(seconds: int) -> int:
    import time

    time.sleep(seconds)
    return seconds


@dsl.pipeline
def pipeline():
    kubernetes.set_timeout(sleep(seconds=600), 1)
    kubernetes.set_timeout(sleep(seconds=600), 1).set_retry(1, backoff_duration="0s")
    kubernetes.set_timeout(sleep(seconds=0), 100)


EXPECTED = {"state": "FAILED", "failure": "The step ran longer than it may", "tasks": {"sleep": "FAILED", "sleep-2": "FAILED", "sleep-3": "SUCCEEDED"}}
