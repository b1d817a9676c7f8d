"""What the REST API answers, as JSON Schema. A field that is not listed here is never answered: tests hold the server to it."""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TIME: Schema = {"type": "string", "format": "date-time"}
NUMBER: Schema = {"type": "integer"}
VALUE: Schema = {"type": ["number", "string"], "description": "A number, or NaN, Infinity or -Infinity as text."}
FLAG: Schema = {"type": "boolean"}
ANY: Schema = {"type": "object"}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
RUN_STATE: Schema = {
    "type": "string",
    "enum": ["PENDING", "RUNNING", "SUCCEEDED", "SKIPPED", "FAILED", "CANCELING", "CANCELED", "PAUSED"],
}
TASK_STATE: Schema = {
    "type": "string",
    "enum": ["PENDING", "RUNNING", "SUCCEEDED", "CACHED", "SKIPPED", "FAILED", "CANCELED"],
}
TASK_TYPE: Schema = {
    "type": "string",
    "enum": ["ROOT", "RUNTIME", "CONDITION_BRANCH", "CONDITION", "LOOP", "EXIT_HANDLER", "IMPORTER", "DAG"],
}
IO_TYPE: Schema = {
    "type": "string",
    "enum": [
        "COMPONENT_DEFAULT_INPUT", "COMPONENT_INPUT", "COLLECTED_INPUTS", "ITERATOR_INPUT", "OUTPUT", "RUNTIME_VALUE_INPUT",
        "TASK_OUTPUT_INPUT",
    ],
}  # fmt: skip
_ARTIFACT_TYPES = [
    "Artifact", "Model", "Dataset", "HTML", "Markdown", "Metric", "ClassificationMetric", "SlicedClassificationMetric",
]  # fmt: skip
STORAGE_STATE: Schema = {"type": "string", "enum": ["AVAILABLE", "ARCHIVED"]}


def ref(name: str) -> Schema:
    """Another schema of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def many(of: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": of}


def by_name(of: Schema) -> Schema:
    """An object with any names."""
    return {"type": "object", "additionalProperties": of}


def fields(required: str = "", /, **properties: Schema) -> Schema:
    """An object with these fields and no others; ``required`` names those that are always there."""
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return made | ({"required": required.split()} if required else {})


def listed(key: str, name: str) -> Schema:
    """A page of a list."""
    return fields(**{key: many(ref(name))}, total_size=NUMBER, next_page_token=TEXT)


_CONFIG = fields(parameters=ANY, pipeline_root=TEXT)
_PRODUCER = fields("task_name", task_name=TEXT, iteration=TEXT)
_COUNTED = fields(number=NUMBER, bytes=NUMBER, counted_at=TIME)
_PROCESS = fields(
    connected=FLAG, pid=NUMBER, memory_bytes=NUMBER, cpu_seconds={"type": "number"}, http=TEXT, https=TEXT, data_dir=TEXT
)
_TASK_REFERENCE = fields("run_id task_id", run_id=TEXT, task_id=TEXT)
_REFERENCE = fields(pipeline_id=TEXT, pipeline_version_id=TEXT)

SCHEMAS: dict[str, Schema] = {
    "Empty": fields(),
    "Error": fields("error code message details", error=TEXT, code=NUMBER, message=TEXT, details=many(ANY)),
    "Document": ANY,
    "Health": fields(commit_sha=TEXT, tag_name=TEXT, multi_user=FLAG, pipeline_store=TEXT),
    "Caller": fields("name multi_user", name=TEXT, groups=many(TEXT), multi_user=FLAG, namespaces=many(TEXT)),
    "Status": fields(
        "version started_at",
        version=TEXT,
        started_at=TIME,
        artifacts=_COUNTED,
        artifact_root=TEXT,
        hub=_PROCESS,
        supervisor=_PROCESS,
        tasks=fields(pending=NUMBER, running=NUMBER),
        pods=fields(waiting=NUMBER, admitted=NUMBER),
        stored=many(fields("name place", name=TEXT, place=TEXT, **_COUNTED["properties"])),
        disks=many(
            fields(
                "place holds total_bytes free_bytes state",
                place=TEXT,
                holds=many(TEXT),
                total_bytes=NUMBER,
                free_bytes=NUMBER,
                state={"type": "string", "enum": ["OK", "SHORT", "FULL"]},
            )
        ),
    ),
    "Failure": fields("code message", code=NUMBER, message=TEXT, details=many(ANY)),
    "Values": fields(parameters=ANY, artifacts=by_name(many(ref("Artifact")))),
    "InputOutputs": fields(
        parameters=many(fields("parameter_key value", parameter_key=TEXT, value={}, type=IO_TYPE, producer=_PRODUCER)),
        artifacts=many(
            fields(
                "artifact_key artifacts",
                artifact_key=TEXT,
                artifacts=many(ref("Artifact")),
                type=IO_TYPE,
                producer=_PRODUCER,
            )
        ),
    ),
    "Artifact": fields(
        artifact_id=TEXT,
        name=TEXT,
        type={"type": "string", "enum": _ARTIFACT_TYPES},
        schema_title=TEXT,
        uri=TEXT,
        metadata=ANY,
        digest=TEXT,
        size=NUMBER,
        namespace=TEXT,
        run_id=TEXT,
        task_id=TEXT,
        created_at=TIME,
    ),
    "LineageEvents": fields("events", events=many(ANY)),
    "Origin": fields(
        artifact_id=TEXT,
        run_id=TEXT,
        run_name=TEXT,
        task_id=TEXT,
        attempt=NUMBER,
        cached_for=_TASK_REFERENCE,
        computed_by=_TASK_REFERENCE,
        pipeline=fields(
            "name digest",
            name=TEXT,
            digest=TEXT,
            pipeline_id=TEXT,
            pipeline_version_id=TEXT,
            version=TEXT,
            code_source_url=TEXT,
        ),
        code=fields(
            "kind",
            kind={"type": "string", "enum": ["python", "container", "importer", "pipeline"]},
            component=TEXT,
            function=TEXT,
            source=TEXT,
            source_digest=TEXT,
            file=TEXT,
            line=NUMBER,
            packages=many(TEXT),
            image=TEXT,
            command=many({}),
            args=many({}),
            project_digest=TEXT,
            checkout=ANY,
        ),
    ),
    "Run": fields(
        "run_id display_name created_at state storage_state",
        run_id=TEXT,
        display_name=TEXT,
        description=TEXT,
        experiment_id=TEXT,
        recurring_run_id=TEXT,
        namespace=TEXT,
        name=TEXT,
        pipeline_name=TEXT,
        pipeline_spec=ANY,
        pipeline_version_reference=_REFERENCE,
        runtime_config=_CONFIG,
        service_account=TEXT,
        tags=TEXTS,
        storage_state=STORAGE_STATE,
        created_at=TIME,
        scheduled_at=TIME,
        started_at=TIME,
        finished_at=TIME,
        state=RUN_STATE,
        state_history=many(fields(update_time=TIME, state=RUN_STATE)),
        error=ref("Failure"),
        outputs=ref("Values"),
        run_details=fields(task_details=many(ref("TaskDetail"))),
        task_count=NUMBER,
        tasks=many(ref("Task")),
    ),
    "Deletion": fields(
        "artifacts bytes kept pending kept_count",
        artifacts=NUMBER,
        bytes=NUMBER,
        kept=many(fields(artifact_id=TEXT, name=TEXT, uri=TEXT, reason=TEXT)),
        kept_count=NUMBER,
        pending=NUMBER,
    ),
    "Resumption": fields(kept=many(TEXT), again=many(fields("task_id reason", task_id=TEXT, reason=TEXT)), dropped=many(TEXT)),
    "TaskDetail": fields(
        "task_id run_id state",
        run_id=TEXT,
        task_id=TEXT,
        display_name=TEXT,
        create_time=TIME,
        start_time=TIME,
        end_time=TIME,
        state=RUN_STATE,
        error=ref("Failure"),
        inputs=by_name(fields(artifact_ids=many(TEXT))),
        outputs=by_name(fields(artifact_ids=many(TEXT))),
        parent_task_id=TEXT,
        pod_name=TEXT,
        child_tasks=many(fields(task_id=TEXT)),
    ),
    "Task": fields(
        "task_id run_id state type",
        task_id=TEXT,
        id=TEXT,
        name=TEXT,
        display_name=TEXT,
        run_id=TEXT,
        parent_task_id=TEXT,
        child_tasks=many(fields("task_id name", task_id=TEXT, name=TEXT)),
        parent=TEXT,
        type=TASK_TYPE,
        scope_path=TEXT,
        type_attributes=fields(iteration_index=TEXT, iteration_count=TEXT),
        pods=many(fields("type", name=TEXT, uid=TEXT, type={"type": "string", "enum": ["EXECUTOR"]})),
        state_history=many(fields("state", state=TASK_STATE, update_time=TIME, error=ref("Failure"))),
        status_metadata=fields(message=TEXT),
        lifecycle_message=TEXT,
        kind=TEXT,
        state=TASK_STATE,
        waiting=TEXT,
        waiting_reason=TEXT,
        iteration_index=NUMBER,
        iterations=NUMBER,
        attempt=NUMBER,
        attempts=many(ref("Attempt")),
        create_time=TIME,
        start_time=TIME,
        end_time=TIME,
        started_at=TIME,
        finished_at=TIME,
        retry_at=TIME,
        inputs=ref("InputOutputs"),
        outputs=ref("InputOutputs"),
        error=ref("Failure"),
        failure=ANY,
        cache_fingerprint=TEXT,
        cached=FLAG,
        cached_from=TEXT,
    ),
    "Attempt": fields(
        "attempt state",
        attempt=NUMBER,
        pod_name=TEXT,
        pod_uid=TEXT,
        state=TASK_STATE,
        create_time=TIME,
        start_time=TIME,
        end_time=TIME,
        error=ref("Failure"),
        resources=fields(cpu_seconds={"type": "number"}, peak_memory_bytes=NUMBER, source=TEXT),
        events=many(ref("PodEvent")),
    ),
    "PodEvent": fields(
        "task_id attempt type count first_seen last_seen",
        task_id=TEXT,
        attempt=NUMBER,
        type=TEXT,
        reason=TEXT,
        message=TEXT,
        source=TEXT,
        count=NUMBER,
        first_seen=TIME,
        last_seen=TIME,
    ),
    "PodEvents": listed("events", "PodEvent"),
    "Tasks": listed("tasks", "Task"),
    "StepPod": fields("executor_input pod", executor_input=ANY, pod=ANY),
    "CacheEntry": fields(
        "cache_fingerprint run_id task_id",
        cache_fingerprint=TEXT,
        pipeline_name=TEXT,
        component=TEXT,
        task_name=TEXT,
        run_id=TEXT,
        task_id=TEXT,
        namespace=TEXT,
        created_at=TIME,
        expires_at=TIME,
        outputs=ref("Values"),
        gone=many(TEXT),
    ),
    "CacheAnswer": fields(
        "answer reason",
        answer={"type": "string", "enum": ["HIT", "MISS", "OFF", "UNKNOWN"]},
        reason=TEXT,
        cache_fingerprint=TEXT,
        cached_from=_TASK_REFERENCE,
        compared_with=_TASK_REFERENCE,
        differences=many(
            fields(
                "part",
                part={
                    "type": "string",
                    "enum": [
                        "input",
                        "artifact",
                        "option",
                        "image",
                        "command",
                        "arguments",
                        "environment",
                        "code",
                        "packages",
                        "platform",
                        "default",
                        "outputs",
                        "resources",
                        "project",
                        "key",
                    ],
                },
                name=TEXT,
                before={},
                now={},
                diff=TEXT,
            )
        ),
    ),
    "CacheEntries": listed("cache_entries", "CacheEntry"),
    "ClearedCache": fields(
        "removed entries", removed=NUMBER, entries=many(fields("count", pipeline_name=TEXT, component=TEXT, count=NUMBER))
    ),
    "ArtifactTask": fields(
        "id artifact_id run_id task_id key type",
        id=TEXT,
        artifact_id=TEXT,
        run_id=TEXT,
        task_id=TEXT,
        key=TEXT,
        type=IO_TYPE,
        producer=_PRODUCER,
    ),
    "ArtifactTasks": listed("artifact_tasks", "ArtifactTask"),
    "ArtifactFiles": fields(
        "files", files={"type": "array", "items": fields("path size sha256", path=TEXT, size=NUMBER, sha256=TEXT)}
    ),
    "Metric": fields(
        "name task_id artifact index value",
        name=TEXT,
        task_id=TEXT,
        attempt=NUMBER,
        artifact=TEXT,
        index=NUMBER,
        value=VALUE,
        count=NUMBER,
        first_step=NUMBER,
        last_step=NUMBER,
        updated_at=TIME,
        min=VALUE,
        max=VALUE,
        points=many(fields("step time value", step=NUMBER, time=TIME, value=VALUE)),
    ),
    "Metrics": fields("metrics", metrics=many(ref("Metric"))),
    "NodeArtifact": fields(data=TEXT),
    "Pipeline": fields(
        "pipeline_id name created_at",
        pipeline_id=TEXT,
        name=TEXT,
        display_name=TEXT,
        description=TEXT,
        namespace=TEXT,
        tags=TEXTS,
        created_at=TIME,
    ),
    "PipelineVersion": fields(
        "pipeline_id pipeline_version_id name created_at",
        pipeline_id=TEXT,
        pipeline_version_id=TEXT,
        name=TEXT,
        display_name=TEXT,
        description=TEXT,
        tags=TEXTS,
        code_source_url=TEXT,
        package_url=fields(pipeline_url=TEXT),
        pipeline_spec=ANY,
        created_at=TIME,
    ),
    "Experiment": fields(
        "experiment_id display_name created_at storage_state",
        experiment_id=TEXT,
        display_name=TEXT,
        description=TEXT,
        namespace=TEXT,
        storage_state=STORAGE_STATE,
        created_at=TIME,
        last_run_created_at=TIME,
    ),
    "RecurringRun": fields(
        "recurring_run_id display_name created_at status mode trigger max_concurrency",
        recurring_run_id=TEXT,
        display_name=TEXT,
        description=TEXT,
        experiment_id=TEXT,
        namespace=TEXT,
        pipeline_spec=ANY,
        pipeline_version_reference=_REFERENCE,
        runtime_config=_CONFIG,
        service_account=TEXT,
        tags=TEXTS,
        max_concurrency=TEXT,
        trigger=fields(
            cron_schedule=fields(cron=TEXT, start_time=TIME, end_time=TIME),
            periodic_schedule=fields(interval_second=TEXT, start_time=TIME, end_time=TIME),
        ),
        trigger_in_words=TEXT,
        mode={"type": "string", "enum": ["ENABLE", "DISABLE"]},
        status={"type": "string", "enum": ["ENABLED", "DISABLED"]},
        no_catchup=FLAG,
        created_at=TIME,
        updated_at=TIME,
        next_run_at=TIME,
        error=ref("Failure"),
    ),
    "Moments": fields(
        "trigger_in_words time_zone moments local_moments",
        trigger_in_words=TEXT,
        time_zone=TEXT,
        moments=many(TIME),
        local_moments=many(TIME),
    ),
    "Runs": listed("runs", "Run"),
    "Artifacts": listed("artifacts", "Artifact"),
    "Pipelines": listed("pipelines", "Pipeline"),
    "PipelineVersions": listed("pipeline_versions", "PipelineVersion"),
    "Experiments": listed("experiments", "Experiment"),
    "RecurringRuns": fields(
        recurring_runs=many(ref("RecurringRun")),
        recurringRuns=many(ref("RecurringRun")),
        total_size=NUMBER,
        next_page_token=TEXT,
    ),
}
