# type: ignore
# fmt: off
"""A run that is not over in time: it fails and says so, what runs is ended, the exit task is not run."""

from kedge import dsl


@dsl.component
def wait():
    import time

    time.sleep(600)


@dsl.component
def after():
    pass


@dsl.pipeline(pipeline_config=dsl.PipelineConfig(active_deadline_seconds=2, ttl_seconds_after_failure=3600))
def pipeline():
    with dsl.ExitHandler(after()):
        with dsl.ParallelFor([1, 2]):
            wait()


EXPECTED = {
    "state": "FAILED",
    "failure": "the run was not over after 2 s, which is all that its pipeline allows (active_deadline_seconds)",
    "tasks": {"after": "CANCELED", "wait": ["CANCELED", "CANCELED"]},
}
