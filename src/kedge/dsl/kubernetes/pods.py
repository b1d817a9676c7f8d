"""The Pod as a whole: its metadata, its image, its time, as whom it runs, and containers beside the step's own."""

# ruff: noqa: FBT001, PLR0917  # the signatures are upstream's
from typing import Any, Dict, List, Optional

from kedge.dsl.tasks import PipelineTask
from kedge.dsl.values import shown

from .options import Task, Text, add, error, named, of_task

_POLICIES = ("Always", "Never", "IfNotPresent")


def add_pod_label(task: Task, label_key: str, label_value: str) -> Task:
    """Give the step's Pod a label."""
    of_task(task).setdefault("podMetadata", {}).setdefault("labels", {})[label_key] = label_value
    return task


def add_pod_annotation(task: Task, annotation_key: str, annotation_value: str) -> Task:
    """Give the step's Pod an annotation."""
    of_task(task).setdefault("podMetadata", {}).setdefault("annotations", {})[annotation_key] = annotation_value
    return task


def set_priority_class(task: Task, name: str) -> Task:
    """Name the PriorityClass of the step's Pod. Upstream has no such option."""
    of_task(task)["priorityClassName"] = _given(task, "priority class", name)
    return task


def set_scheduler(task: Task, name: str) -> Task:
    """Name the scheduler that gives the step's Pod to a node, in place of the cluster's own. Upstream has no such option."""
    of_task(task)["schedulerName"] = _given(task, "scheduler", name)
    return task


def _given(task: PipelineTask, what: str, name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise error(task, f"is given {shown(name)} as {what}", "Pass its name.")
    return name


def set_image_pull_policy(task: Task, policy: str) -> Task:
    """Say when the step's image is pulled: ``"Always"``, ``"Never"`` or ``"IfNotPresent"``."""
    if policy not in _POLICIES:
        raise error(
            task,
            f"is given the image pull policy {shown(policy)}",
            f'Pass "{_POLICIES[0]}", "{_POLICIES[1]}" or "{_POLICIES[2]}".',
        )
    of_task(task)["imagePullPolicy"] = policy
    return task


def set_image_pull_secrets(task: Task, secret_names: List[Text]) -> Task:
    """Name the Secrets with which the step's image is pulled."""
    for name in secret_names:
        add(task, "imagePullSecret", named(task, "secretName", name))
    return task


def set_timeout(task: Task, seconds: int) -> Task:
    """End the step, as failed, after so many seconds; 0 takes an earlier limit away."""
    if type(seconds) is not int or seconds < 0:
        raise error(task, f"is given a timeout of {shown(seconds)} seconds", "Pass a whole number from 0.")
    found = of_task(task)
    found.pop("activeDeadlineSeconds", None)
    if seconds:
        found["activeDeadlineSeconds"] = str(seconds)
    return task


def set_security_context(
    task: Task, run_as_user: Optional[int] = None, run_as_group: Optional[int] = None,
    run_as_non_root: Optional[bool] = None,
) -> Task:  # fmt: skip
    """Say as whom the step runs.

    Args:
        task: The task.
        run_as_user: The user's id.
        run_as_group: The group's id.
        run_as_non_root: Whether it must not be root.
    """
    made: Dict[str, Any] = {}
    for name, field, value in (("run_as_user", "runAsUser", run_as_user), ("run_as_group", "runAsGroup", run_as_group)):
        if value is not None:
            if type(value) is not int or value < 0:
                raise error(task, f"is given {name}={shown(value)}", "Pass a whole number from 0.")
            made[field] = str(value)
    if run_as_non_root is not None:
        if type(run_as_non_root) is not bool:
            raise error(task, f"is given run_as_non_root={shown(run_as_non_root)}", "Pass True or False.")
        made["runAsNonRoot"] = run_as_non_root
    if not made:
        raise error(task, "is given a security context that says nothing", "Pass run_as_user, run_as_group or run_as_non_root.")
    of_task(task).setdefault("securityContext", {}).update(made)
    return task


def add_init_container(
    task: Task, name: str, image: str, command: Optional[List[str]] = None, args: Optional[List[str]] = None,
    env: Optional[Dict[str, str]] = None, volume_mounts: Optional[Dict[str, str]] = None, restart_policy: Optional[str] = None,
    resource_requests: Optional[Dict[str, str]] = None, resource_limits: Optional[Dict[str, str]] = None,
) -> Task:  # fmt: skip
    """Run a container before the step; with the restart policy ``"Always"`` beside it, until it has ended.

    Args:
        task: The task.
        name: Unique in the Pod.
        image: The container image.
        command: The entry point; the image's own if left out.
        args: What follows it.
        env: Environment variables.
        volume_mounts: For each volume of the task, by name, where the container sees it.
        restart_policy: ``"Always"`` makes it a sidecar.
        resource_requests: Such as ``{"memory": "128Mi"}``.
        resource_limits: Likewise.
    """
    found = of_task(task).setdefault("initContainers", [])
    if not name or not image or any(one["name"] == name for one in found):
        raise error(
            task, f"is given an init container {shown(name)} of image {shown(image)}", "Give each a name of its own and an image."
        )
    if restart_policy not in (None, "Always"):
        raise error(
            task, f"is given an init container with restart_policy={shown(restart_policy)}", 'Pass "Always", or leave it out.'
        )
    for path in (volume_mounts or {}).values():
        if not path.startswith("/"):
            raise error(task, f"is given an init container with a volume at {shown(path)}", "Pass a path that begins with /.")
    made: Dict[str, Any] = {"name": name, "image": image, "command": list(command or ()), "args": list(args or ())}
    made["env"] = [{"name": key, "value": value} for key, value in (env or {}).items()]
    made["volumeMounts"] = [{"volumeName": volume, "mountPath": path} for volume, path in (volume_mounts or {}).items()]
    sides = (("requests", resource_requests), ("limits", resource_limits))
    made["resources"] = {side: dict(given) for side, given in sides if given}
    made["restartPolicy"] = restart_policy
    found.append({key: value for key, value in made.items() if value})
    return task
