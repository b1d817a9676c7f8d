"""Secrets, ConfigMaps and fields of the Pod as variables and files."""

# ruff: noqa: FBT001, FBT002  # the signatures are upstream's
from typing import Dict

from .options import Task, Text, add, named


def use_secret_as_env(
    task: Task, secret_name: Text, secret_key_to_env: Dict[str, str], optional: bool = False
) -> Task:  # fmt: skip
    """Set environment variables from a Secret.

    Args:
        task: The task.
        secret_name: The Secret.
        secret_key_to_env: For each of its keys the variable that gets the value.
        optional: Whether the step may run without the Secret or a key of it.

    Examples:
        >>> from kedge import dsl
        >>> from kedge.dsl import kubernetes
        >>> @dsl.component
        ... def fetch() -> str:
        ...     import os
        ...     return os.environ["USER_NAME"]
        >>> @dsl.pipeline
        ... def careful(secret: str) -> str:
        ...     task = fetch().set_caching_options(False)
        ...     return kubernetes.use_secret_as_env(task, secret, {"user": "USER_NAME"}).output
    """
    keys = [{"secretKey": key, "envVar": variable} for key, variable in secret_key_to_env.items()]
    return add(task, "secretAsEnv", {**named(task, "secretName", secret_name), "keyToEnv": keys, "optional": bool(optional)})


def use_secret_as_volume(
    task: Task, secret_name: Text, mount_path: str, optional: bool = False
) -> Task:  # fmt: skip
    """Mount a Secret as a folder with a file for each key.

    Args:
        task: The task.
        secret_name: The Secret.
        mount_path: Where the step sees it.
        optional: Whether the step may run without it; the folder is empty then.
    """
    made = {**named(task, "secretName", secret_name), "mountPath": mount_path, "optional": bool(optional)}
    return add(task, "secretAsVolume", made)


def use_config_map_as_env(
    task: Task, config_map_name: Text, config_map_key_to_env: Dict[str, str], optional: bool = False
) -> Task:  # fmt: skip
    """Set environment variables from a ConfigMap.

    Args:
        task: The task.
        config_map_name: The ConfigMap.
        config_map_key_to_env: For each of its keys the variable that gets the value.
        optional: Whether the step may run without the ConfigMap or a key of it.
    """
    keys = [{"configMapKey": key, "envVar": variable} for key, variable in config_map_key_to_env.items()]
    made = {**named(task, "configMapName", config_map_name), "keyToEnv": keys, "optional": bool(optional)}
    return add(task, "configMapAsEnv", made)


def use_config_map_as_volume(
    task: Task, config_map_name: Text, mount_path: str, optional: bool = False
) -> Task:  # fmt: skip
    """Mount a ConfigMap as a folder with a file for each key.

    Args:
        task: The task.
        config_map_name: The ConfigMap.
        mount_path: Where the step sees it.
        optional: Whether the step may run without it; the folder is empty then.
    """
    made = {**named(task, "configMapName", config_map_name), "mountPath": mount_path, "optional": bool(optional)}
    return add(task, "configMapAsVolume", made)


def use_field_path_as_env(task: Task, env_name: str, field_path: str) -> Task:
    """Set an environment variable to a field of the step's Pod, such as ``metadata.name``.

    Args:
        task: The task.
        env_name: The variable.
        field_path: The field, as the downward API names it.
    """
    return add(task, "fieldPathAsEnv", {"name": env_name, "fieldPath": field_path})
