# type: ignore
# fmt: off
"""PipelineConfig, a name and a description: the run is as any other."""

from kedge import dsl


@dsl.component
def name(run: str) -> str:
    return run.split(" ")[0]


@dsl.pipeline(
    name="whole-run-options", display_name="With options", description="Every option of @pipeline",
    pipeline_config=dsl.PipelineConfig(ttl_seconds_after_finished=3600, active_deadline_seconds=300),
)
def pipeline() -> str:
    return name(run=dsl.PIPELINE_JOB_NAME_PLACEHOLDER).output


EXPECTED = {"outputs": {"Output": "whole_run_options"}}
