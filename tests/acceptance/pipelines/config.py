# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""What is said about a run as a whole."""

from kedge import dsl


@dsl.component
def hello():
    pass


@dsl.pipeline(pipeline_config=dsl.PipelineConfig(ttl_seconds_after_finished=60, active_deadline_seconds=600))
def pipeline():
    """Say hello.

    To everybody.
    """
    hello()
