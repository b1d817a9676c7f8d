"""What a task asks of Kubernetes: the names and the behaviour of ``kfp.kubernetes``.

    from kedge import dsl
    from kedge.dsl import kubernetes

    @dsl.pipeline
    def patient(secret: str):
        kubernetes.use_secret_as_env(fetch(), secret, {"password": "PASSWORD"})

Each function adds an option to ``task.platform_config["kubernetes"]`` and returns the task. Names of Secrets, ConfigMaps and
claims may be texts, parameters, outputs of tasks, or texts with those in them. The compiler writes the options beside the
pipeline, in the document's second part; what has no function here (``podAffinity``) may be put into the mapping by hand.

`CreatePVC` and `DeletePVC` are components: they make tasks that have no container, and are carried out by the run's controller.
"""

# ruff: noqa: ARG001, FBT001, FBT002, N802, PLR0917  # the signatures are upstream's
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from .annotations import OutputPath
from .channels import Channel, unwrapped
from .components import ContainerSpec, container_component
from .errors import DslError, TypeMismatch
from .graph import belongs
from .tasks import PipelineTask
from .values import a, shown

__all__ = [
    "CreatePVC",
    "DeletePVC",
    "add_ephemeral_volume",
    "add_node_affinity",
    "add_node_affinity_json",
    "add_node_selector",
    "add_node_selector_json",
    "add_pod_annotation",
    "add_pod_label",
    "add_toleration",
    "add_toleration_json",
    "empty_dir_mount",
    "mount_pvc",
    "set_image_pull_policy",
    "set_image_pull_secrets",
    "set_security_context",
    "set_timeout",
    "use_config_map_as_env",
    "use_config_map_as_volume",
    "use_field_path_as_env",
    "use_secret_as_env",
    "use_secret_as_volume",
]

Text = Union[str, Channel]
_TEXTS = ("STRING", "")
_POLICIES = ("Always", "Never", "IfNotPresent")
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
_AFFINITY = ("requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution")


# ---- Secrets and ConfigMaps


def use_secret_as_env(
    task: PipelineTask, secret_name: Text, secret_key_to_env: Dict[str, str], optional: bool = False
) -> PipelineTask:  # fmt: skip
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
    return _add(task, "secretAsEnv", {**_named(task, "secretName", secret_name), "keyToEnv": keys, "optional": bool(optional)})


def use_secret_as_volume(
    task: PipelineTask, secret_name: Text, mount_path: str, optional: bool = False
) -> PipelineTask:  # fmt: skip
    """Mount a Secret as a folder with a file for each key.

    Args:
        task: The task.
        secret_name: The Secret.
        mount_path: Where the step sees it.
        optional: Whether the step may run without it; the folder is empty then.
    """
    made = {**_named(task, "secretName", secret_name), "mountPath": mount_path, "optional": bool(optional)}
    return _add(task, "secretAsVolume", made)


def use_config_map_as_env(
    task: PipelineTask, config_map_name: Text, config_map_key_to_env: Dict[str, str], optional: bool = False
) -> PipelineTask:  # fmt: skip
    """Set environment variables from a ConfigMap.

    Args:
        task: The task.
        config_map_name: The ConfigMap.
        config_map_key_to_env: For each of its keys the variable that gets the value.
        optional: Whether the step may run without the ConfigMap or a key of it.
    """
    keys = [{"configMapKey": key, "envVar": variable} for key, variable in config_map_key_to_env.items()]
    made = {**_named(task, "configMapName", config_map_name), "keyToEnv": keys, "optional": bool(optional)}
    return _add(task, "configMapAsEnv", made)


def use_config_map_as_volume(
    task: PipelineTask, config_map_name: Text, mount_path: str, optional: bool = False
) -> PipelineTask:  # fmt: skip
    """Mount a ConfigMap as a folder with a file for each key.

    Args:
        task: The task.
        config_map_name: The ConfigMap.
        mount_path: Where the step sees it.
        optional: Whether the step may run without it; the folder is empty then.
    """
    made = {**_named(task, "configMapName", config_map_name), "mountPath": mount_path, "optional": bool(optional)}
    return _add(task, "configMapAsVolume", made)


def use_field_path_as_env(task: PipelineTask, env_name: str, field_path: str) -> PipelineTask:
    """Set an environment variable to a field of the step's Pod, such as ``metadata.name``.

    Args:
        task: The task.
        env_name: The variable.
        field_path: The field, as the downward API names it.
    """
    return _add(task, "fieldPathAsEnv", {"name": env_name, "fieldPath": field_path})


# ---- volumes


@container_component
def CreatePVC(
    name: OutputPath(str),  # pyright: ignore[reportInvalidTypeForm, reportUnknownParameterType]  # upstream's way
    access_modes: List[str],
    size: str,
    pvc_name: Optional[str] = None,
    pvc_name_suffix: Optional[str] = None,
    storage_class_name: Optional[str] = "",
    volume_name: Optional[str] = None,
    annotations: Optional[Dict[str, str]] = None,
    data_source: Optional[Dict[str, str]] = None,
) -> Any:
    """Create a PersistentVolumeClaim, for `mount_pvc` of tasks that follow; its output ``name`` is the claim's name.

    Args:
        name: Where the output would be written, if there were a container.
        access_modes: Such as ``["ReadWriteOnce"]``.
        size: Such as ``"5Gi"``.
        pvc_name: The claim's name.
        pvc_name_suffix: Or what a name that is made for the task ends with.
        storage_class_name: Where the storage comes from; an empty text asks for none, None for the cluster's own choice.
        volume_name: A volume that is there already.
        annotations: Of the claim.
        data_source: What the claim begins with.
    """
    return ContainerSpec("argostub/createpvc")


@container_component
def DeletePVC(pvc_name: str) -> Any:
    """Delete a PersistentVolumeClaim.

    Args:
        pvc_name: Its name; most often the output ``name`` of a `CreatePVC`.
    """
    return ContainerSpec("argostub/deletepvc")


def mount_pvc(task: PipelineTask, pvc_name: Text, mount_path: str, sub_path: str = "") -> PipelineTask:
    """Mount a PersistentVolumeClaim.

    Args:
        task: The task.
        pvc_name: The claim's name; most often the output ``name`` of a `CreatePVC`.
        mount_path: Where the step sees it.
        sub_path: A folder in the volume to mount in place of all of it.

    Examples:
        >>> from kedge import dsl
        >>> from kedge.dsl import kubernetes
        >>> @dsl.component
        ... def write():
        ...     open("/data/x", "w").close()
        >>> @dsl.pipeline
        ... def shared():
        ...     claim = kubernetes.CreatePVC(access_modes=["ReadWriteOnce"], size="1Gi", pvc_name_suffix="-data")
        ...     written = kubernetes.mount_pvc(write(), claim.outputs["name"], "/data")
        ...     kubernetes.DeletePVC(pvc_name=claim.outputs["name"]).after(written)
        >>> [task.name for task in shared.graph.tasks]
        ['createpvc', 'write', 'deletepvc']
    """
    source = _source(task, "pvcNameParameter", pvc_name, _TEXTS)
    # Backends before 2.14 read the name one level higher: the compiler copies what stands under the empty key.
    made = {"pvcNameParameter": source, "mountPath": mount_path, "": source}
    return _add(task, "pvcMount", {**made, "subPath": sub_path} if sub_path else made)


def empty_dir_mount(
    task: PipelineTask, volume_name: str, mount_path: str, medium: Optional[str] = None, size_limit: Optional[str] = None
) -> PipelineTask:
    """Mount a folder that is empty when the step begins and goes with it.

    Args:
        task: The task.
        volume_name: The volume's name in the Pod.
        mount_path: Where the step sees it.
        medium: ``"Memory"`` keeps it in memory.
        size_limit: Such as ``"1Gi"``.
    """
    made = {"volumeName": volume_name, "mountPath": mount_path, "medium": medium, "sizeLimit": size_limit}
    return _add(task, "emptyDirMounts", _stated(made))


def add_ephemeral_volume(
    task: PipelineTask, volume_name: str, mount_path: str, access_modes: List[str], size: str,
    storage_class_name: Optional[str] = None, labels: Optional[Dict[str, str]] = None,
    annotations: Optional[Dict[str, str]] = None,
) -> PipelineTask:  # fmt: skip
    """Mount a volume of its own, whose claim is made with the step's Pod and deleted with it.

    Args:
        task: The task.
        volume_name: The volume's name in the Pod.
        mount_path: Where the step sees it.
        access_modes: Such as ``["ReadWriteOnce"]``.
        size: Such as ``"5Gi"``.
        storage_class_name: Where the storage comes from; None for the cluster's own choice.
        labels: Of the claim.
        annotations: Of the claim.
    """
    made: Dict[str, Any] = {
        "volumeName": volume_name, "mountPath": mount_path, "accessModes": list(access_modes), "size": size
    }  # fmt: skip
    if storage_class_name is None:
        made["defaultStorageClass"] = True
    elif storage_class_name:
        made["storageClassName"] = storage_class_name
    metadata = {key: dict(value) for key, value in (("labels", labels), ("annotations", annotations)) if value}
    return _add(task, "genericEphemeralVolume", {**made, "metadata": metadata} if metadata else made)


# ---- nodes


def add_node_selector(task: PipelineTask, label_key: str, label_value: str) -> PipelineTask:
    """Run only on nodes that have this label; several calls ask for all of theirs."""
    options = _options(task)
    options.setdefault("nodeSelector", {}).setdefault("labels", {})[label_key] = label_value
    return task


def add_node_selector_json(task: PipelineTask, node_selector_json: Union[Channel, Dict[str, str]]) -> PipelineTask:
    """Run only on nodes that have these labels, in place of those of `add_node_selector`.

    Args:
        task: The task.
        node_selector_json: Labels, or a parameter that holds them.
    """
    source = _source(task, "nodeSelectorJson", node_selector_json, ("STRUCT", ""))
    _options(task).setdefault("nodeSelector", {})["nodeSelectorJson"] = source
    return task


def add_toleration(
    task: PipelineTask, key: Optional[str] = None, operator: Optional[str] = None, value: Optional[str] = None,
    effect: Optional[str] = None, toleration_seconds: Optional[int] = None,
) -> PipelineTask:  # fmt: skip
    """Run on nodes with this taint too.

    Args:
        task: The task.
        key: The taint's key; all keys where it is left out, with the operator ``"Exists"``.
        operator: ``"Equal"`` or ``"Exists"``.
        value: The taint's value, for ``"Equal"``.
        effect: ``"NoSchedule"``, ``"PreferNoSchedule"`` or ``"NoExecute"``; all where it is left out.
        toleration_seconds: For ``"NoExecute"``: how long.
    """
    made: Dict[str, Any] = {"key": key, "operator": operator, "value": value, "effect": effect}
    made["tolerationSeconds"] = None if toleration_seconds is None else str(int(toleration_seconds))
    return _add(task, "tolerations", _stated(made))


def add_toleration_json(
    task: PipelineTask, toleration_json: Union[Channel, Dict[str, Any], List[Dict[str, Any]]]
) -> PipelineTask:  # fmt: skip
    """Run on nodes with these taints too.

    Args:
        task: The task.
        toleration_json: A toleration, a list of them, or a parameter that holds one of these.
    """
    given = unwrapped(toleration_json)
    if isinstance(given, Channel):
        return _add(task, "tolerations", {"tolerationJson": _source(task, "tolerationJson", given, ("STRUCT", "LIST", ""))})
    for one in given if isinstance(given, list) else [given]:
        if not isinstance(one, dict):
            raise _error(
                task, f"is given {shown(one)} as a toleration", 'Pass a dict such as {"key": "gpu", "operator": "Exists"}.'
            )
        seconds = one.get("toleration_seconds", one.get("tolerationSeconds"))
        add_toleration(task, one.get("key"), one.get("operator"), one.get("value"), one.get("effect"), seconds)
    return task


def add_node_affinity(
    task: PipelineTask, match_expressions: Optional[List[Dict[str, Any]]] = None,
    match_fields: Optional[List[Dict[str, Any]]] = None, weight: Optional[int] = None,
) -> PipelineTask:  # fmt: skip
    """Run only on nodes that match; with a weight, rather on these than on others.

    Args:
        task: The task.
        match_expressions: On labels: dicts of ``key``, ``operator`` and ``values``.
        match_fields: The same on fields of the node.
        weight: From 1 to 100.
    """
    made: Dict[str, Any] = {}
    for field, terms in (("matchExpressions", match_expressions), ("matchFields", match_fields)):
        if terms:
            made[field] = [_requirement(task, term) for term in terms]
    if weight is not None:
        if type(weight) is not int or not 1 <= weight <= 100:
            raise _error(task, f"is given {shown(weight)} as the weight of a node affinity", "Pass a whole number from 1 to 100.")
        made["weight"] = weight
    return _add(task, "nodeAffinity", made)


def add_node_affinity_json(task: PipelineTask, node_affinity_json: Union[Channel, Dict[str, Any]]) -> PipelineTask:
    """Set the Pod's ``nodeAffinity`` as Kubernetes writes it; takes the place of an earlier one.

    Args:
        task: The task.
        node_affinity_json: The affinity, or a parameter that holds it.
    """
    given = unwrapped(node_affinity_json)
    wrong = next((key for key in given if key not in _AFFINITY), None) if isinstance(given, dict) else None
    if wrong is not None:
        raise _error(
            task, f"is given a node affinity with the key {shown(wrong)}", f'Its keys are "{_AFFINITY[0]}" and "{_AFFINITY[1]}".'
        )
    source = _source(task, "nodeAffinityJson", given, ("STRUCT", ""))
    options = _options(task)
    options["nodeAffinity"] = [one for one in options.get("nodeAffinity", []) if "nodeAffinityJson" not in one]
    return _add(task, "nodeAffinity", {"nodeAffinityJson": source})


# ---- the Pod


def add_pod_label(task: PipelineTask, label_key: str, label_value: str) -> PipelineTask:
    """Give the step's Pod a label."""
    _options(task).setdefault("podMetadata", {}).setdefault("labels", {})[label_key] = label_value
    return task


def add_pod_annotation(task: PipelineTask, annotation_key: str, annotation_value: str) -> PipelineTask:
    """Give the step's Pod an annotation."""
    _options(task).setdefault("podMetadata", {}).setdefault("annotations", {})[annotation_key] = annotation_value
    return task


def set_image_pull_policy(task: PipelineTask, policy: str) -> PipelineTask:
    """Say when the step's image is pulled: ``"Always"``, ``"Never"`` or ``"IfNotPresent"``."""
    if policy not in _POLICIES:
        raise _error(
            task,
            f"is given the image pull policy {shown(policy)}",
            f'Pass "{_POLICIES[0]}", "{_POLICIES[1]}" or "{_POLICIES[2]}".',
        )
    _options(task)["imagePullPolicy"] = policy
    return task


def set_image_pull_secrets(task: PipelineTask, secret_names: List[Text]) -> PipelineTask:
    """Name the Secrets with which the step's image is pulled."""
    for name in secret_names:
        _add(task, "imagePullSecret", _named(task, "secretName", name))
    return task


def set_timeout(task: PipelineTask, seconds: int) -> PipelineTask:
    """End the step, as failed, after so many seconds; 0 takes an earlier limit away."""
    if type(seconds) is not int or seconds < 0:
        raise _error(task, f"is given a timeout of {shown(seconds)} seconds", "Pass a whole number from 0.")
    options = _options(task)
    options.pop("activeDeadlineSeconds", None)
    if seconds:
        options["activeDeadlineSeconds"] = str(seconds)
    return task


def set_security_context(
    task: PipelineTask, run_as_user: Optional[int] = None, run_as_group: Optional[int] = None,
    run_as_non_root: Optional[bool] = None,
) -> PipelineTask:  # fmt: skip
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
                raise _error(task, f"is given {name}={shown(value)}", "Pass a whole number from 0.")
            made[field] = str(value)
    if run_as_non_root is not None:
        if type(run_as_non_root) is not bool:
            raise _error(task, f"is given run_as_non_root={shown(run_as_non_root)}", "Pass True or False.")
        made["runAsNonRoot"] = run_as_non_root
    if not made:
        raise _error(task, "is given a security context that says nothing", "Pass run_as_user, run_as_group or run_as_non_root.")
    _options(task).setdefault("securityContext", {}).update(made)
    return task


# ---- how options are kept


def _options(task: PipelineTask) -> Dict[str, Any]:
    if not _is_task(task):
        raise TypeMismatch(
            f"kedge.dsl.kubernetes is given {shown(task)} as a task.", fix="Pass what calling a component returned."
        )
    task.check_container()
    return task.platform_config.setdefault("kubernetes", {})


def _is_task(value: object) -> bool:
    return isinstance(value, PipelineTask)


def _add(task: PipelineTask, field: str, option: Dict[str, Any]) -> PipelineTask:
    _options(task).setdefault(field, []).append(option)
    return task


def _stated(option: Dict[str, Any]) -> Dict[str, Any]:
    """Without what was left out, or is empty, as protobuf's JSON leaves it out."""
    return {key: value for key, value in option.items() if value not in (None, "")}


def _named(task: PipelineTask, field: str, name: Any) -> Dict[str, Any]:
    """The name of an object, in the newer and, where that can say it, the older spelling."""
    source = _source(task, field, name, _TEXTS)
    made = {f"{field}Parameter": source}
    return {field: name, **made} if isinstance(name, str) and not task.graph.marked_in(name) else made


def _source(task: PipelineTask, field: str, value: Any, types: Tuple[str, ...]) -> Any:
    """Where the value of an option comes from: a channel, which the compiler replaces, or a constant."""
    _options(task)
    value = unwrapped(value)
    if isinstance(value, Channel):
        belongs(value, task.graph, f'Task "{task.name}"')
        if value.type.is_artifact or value.type.name not in types:
            wanted = " or ".join(_KINDS[name] for name in types if name)
            raise TypeMismatch(
                f'Task "{task.name}" gets {value.title}, which is {a(value.type)}, for {field}.', fix=f"Pass {wanted}."
            )
        task.referred.append(value)
        return value
    fits: Callable[[Any], bool] = {"STRING": _is_name, "STRUCT": _is_dict}[types[0]]
    if not fits(value):
        raise _error(task, f"is given {shown(value)} for {field}", f"Pass {_KINDS[types[0]]}, or a parameter that holds one.")
    return {"runtimeValue": {"constant": task.marked(value) if isinstance(value, str) else dict(value)}}


_KINDS = {"STRING": "a text", "STRUCT": "a dict", "LIST": "a list"}


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _requirement(task: PipelineTask, term: Dict[str, Any]) -> Dict[str, Any]:
    key, operator = term.get("key"), term.get("operator")
    if not key or operator not in _OPERATORS:
        known = ", ".join(_OPERATORS)
        raise _error(
            task, f"is given {shown(term)} as a term of a node affinity", f"Give it a key, and one of the operators {known}."
        )
    made = {"key": key, "operator": operator}
    return {**made, "values": list(term["values"])} if term.get("values") else made


def _error(task: PipelineTask, says: str, fix: str) -> DslError:
    return DslError(f'Task "{task.name}" {says}.', fix=fix)
