"""Bodies of requests, field by field as KFP v2beta1 has them; a field that is not known is refused.

A body is the whole message, as upstream has it: what was read from the API can be sent back, and what the server alone decides
(ids, times, states) is then passed over. ``null`` is a field that is not there.
"""

from typing import Annotated, Any

import msgspec

from kedge.pipelines.kinds import NAME_LIMIT

Name = Annotated[str, msgspec.Meta(max_length=NAME_LIMIT)]
"""What people choose to call something."""
Decided = Any
"""A field that only the server sets: taken, and passed over."""


class _Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What all bodies have in common."""


class VersionReference(_Body):
    """Which stored pipeline; the newest version when none is named."""

    pipeline_id: str
    pipeline_version_id: str | None = None


class RuntimeConfig(_Body):
    """With which arguments."""

    parameters: dict[str, Any] | None = None
    pipeline_root: str | None = None


class Resumption(_Body):
    """With which pipeline a run goes on, as ``POST /runs/{run_id}:resume`` takes it: the pipeline itself, or a stored one."""

    pipeline_spec: dict[str, Any] | None = None
    pipeline_version_reference: VersionReference | None = None


class Tags(_Body):
    """Which tags of a run are set, as ``POST /runs/{run_id}:tag`` takes them; ``null`` takes one away."""

    tags: dict[str, str | None]


class Run(_Body):
    """What to run, as ``POST /runs`` takes it."""

    display_name: Name | None = None
    description: str | None = None
    experiment_id: str | None = None
    pipeline_spec: dict[str, Any] | None = None
    pipeline_version_reference: VersionReference | None = None
    pipeline_version_id: str | None = None
    runtime_config: RuntimeConfig | None = None
    service_account: str | None = None
    namespace: str | None = None
    tags: dict[str, str] | None = None
    plugins_input: dict[str, Any] | None = None
    run_id: Decided = None
    storage_state: Decided = None
    created_at: Decided = None
    scheduled_at: Decided = None
    finished_at: Decided = None
    state: Decided = None
    error: Decided = None
    run_details: Decided = None
    recurring_run_id: Decided = None
    state_history: Decided = None
    plugins_output: Decided = None
    task_count: Decided = None
    tasks: Decided = None
    name: Decided = None
    pipeline_name: Decided = None
    started_at: Decided = None
    outputs: Decided = None


class CronSchedule(_Body):
    """Moments by a cron expression."""

    cron: str
    start_time: str | None = None
    end_time: str | None = None


class PeriodicSchedule(_Body):
    """Moments at an interval, in seconds."""

    interval_second: int | str
    start_time: str | None = None
    end_time: str | None = None


class Trigger(_Body):
    """When: one of the two."""

    cron_schedule: CronSchedule | None = None
    periodic_schedule: PeriodicSchedule | None = None


class RecurringRun(_Body):
    """What to run when, as ``POST /recurringruns`` takes it; ``PATCH`` changes the fields that are given."""

    display_name: Name | None = None
    description: str | None = None
    experiment_id: str | None = None
    pipeline_spec: dict[str, Any] | None = None
    pipeline_version_reference: VersionReference | None = None
    pipeline_version_id: str | None = None
    runtime_config: RuntimeConfig | None = None
    service_account: str | None = None
    namespace: str | None = None
    tags: dict[str, str] | None = None
    max_concurrency: int | str | None = None
    trigger: Trigger | None = None
    mode: str | int | None = None
    no_catchup: bool | None = None
    plugins_input: dict[str, Any] | None = None
    recurring_run_id: Decided = None
    created_at: Decided = None
    updated_at: Decided = None
    status: Decided = None
    error: Decided = None
    next_run_at: Decided = None
    trigger_in_words: Decided = None


class Experiment(_Body):
    """Body of ``POST /experiments``."""

    display_name: Name | None = None
    description: str | None = None
    namespace: str | None = None
    experiment_id: Decided = None
    created_at: Decided = None
    storage_state: Decided = None
    last_run_created_at: Decided = None


class Pipeline(_Body):
    """A stored pipeline; ``PATCH`` changes the fields that are given."""

    name: Name | None = None
    display_name: Name | None = None
    description: str | None = None
    namespace: str | None = None
    tags: dict[str, str] | None = None
    pipeline_id: Decided = None
    created_at: Decided = None
    error: Decided = None


class Url(_Body):
    """Where a pipeline file is fetched from."""

    pipeline_url: str | None = None


class PipelineVersion(_Body):
    """A version: its pipeline inline, or the address of a file; ``PATCH`` changes the fields that are given."""

    name: Name | None = None
    display_name: Name | None = None
    description: str | None = None
    tags: dict[str, str] | None = None
    pipeline_spec: dict[str, Any] | None = None
    package_url: Url | None = None
    code_source_url: str | None = None
    pipeline_id: Decided = None
    pipeline_version_id: Decided = None
    created_at: Decided = None
    error: Decided = None


class PipelineAndVersion(_Body):
    """Body of ``POST /pipelines/create``."""

    pipeline: Pipeline
    pipeline_version: PipelineVersion
