# type: ignore
# fmt: off
"""Every placeholder of the job and the task, alone and inside of texts, lists and mappings."""

from kedge import dsl


@dsl.component
def alone(name: str, resource: str, run: str, task: str, task_id: str, root: str, created: str, scheduled: str, inside: str, l: list, d: dict) -> list:
    import datetime
    import uuid

    uuid.UUID(run), uuid.UUID(task_id)
    at = [datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (created, scheduled)]
    return [
        name.startswith("placeholders_of_the_job by "), bool(resource), task, run != task_id, "://" in root, at[0] <= at[1],
        inside == f"<{name}|{run}|{task}|{root}>", l == [name, f"{run}/x", [task]], d == {"k": {"n": name, "t": f"at {created}"}},
        not any("{{" in text for text in (name, resource, run, task, task_id, root, created, scheduled, inside)),
    ]


@dsl.pipeline
def pipeline() -> list:
    return alone(
        name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER, resource=dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER, run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        task=dsl.PIPELINE_TASK_NAME_PLACEHOLDER, task_id=dsl.PIPELINE_TASK_ID_PLACEHOLDER, root=dsl.PIPELINE_ROOT_PLACEHOLDER,
        created=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER, scheduled=dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER,
        inside=f"<{dsl.PIPELINE_JOB_NAME_PLACEHOLDER}|{dsl.PIPELINE_JOB_ID_PLACEHOLDER}|{dsl.PIPELINE_TASK_NAME_PLACEHOLDER}|"
        f"{dsl.PIPELINE_ROOT_PLACEHOLDER}>",
        l=[dsl.PIPELINE_JOB_NAME_PLACEHOLDER, f"{dsl.PIPELINE_JOB_ID_PLACEHOLDER}/x", [dsl.PIPELINE_TASK_NAME_PLACEHOLDER]],
        d={"k": {"n": dsl.PIPELINE_JOB_NAME_PLACEHOLDER, "t": f"at {dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER}"}},
    ).output


EXPECTED = {"outputs": {"Output": [True, True, "alone", True, True, True, True, True, True, True]}}
