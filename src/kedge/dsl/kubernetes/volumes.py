"""Claims and other volumes."""

# ruff: noqa: ARG001, N802, PLR0917  # the signatures are upstream's
from typing import Any, Dict, List, Optional

from kedge.dsl.annotations import OutputPath
from kedge.dsl.components import ContainerSpec, container_component

from .options import TEXTS, Task, Text, add, of_task, source_of, stated


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


def mount_pvc(task: Task, pvc_name: Text, mount_path: str, sub_path: str = "") -> Task:
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
    origin = source_of(task, "pvcNameParameter", pvc_name, TEXTS)
    # Backends before 2.14 read the name one level higher: the compiler copies what stands under the empty key.
    made = {"pvcNameParameter": origin, "mountPath": mount_path, "": origin}
    return add(task, "pvcMount", {**made, "subPath": sub_path} if sub_path else made)


def empty_dir_mount(
    task: Task, volume_name: str, mount_path: str, medium: Optional[str] = None, size_limit: Optional[str] = None
) -> Task:
    """Mount a folder that is empty when the step begins and goes with it.

    Args:
        task: The task.
        volume_name: The volume's name in the Pod.
        mount_path: Where the step sees it.
        medium: ``"Memory"`` keeps it in memory.
        size_limit: Such as ``"1Gi"``.
    """
    made = {"volumeName": volume_name, "mountPath": mount_path, "medium": medium, "sizeLimit": size_limit}
    return add(task, "emptyDirMounts", stated(made))


def enable_shared_memory(task: Task, volume_name: str = "shm", size: str = "") -> Task:
    """Mount a folder in memory at ``/dev/shm``.

    Args:
        task: The task.
        volume_name: The volume's name in the Pod.
        size: Such as ``"1Gi"``; half of the node's memory where it is left out.
    """
    of_task(task)["enabledSharedMemory"] = stated({"volumeName": volume_name, "size": size})
    return task


def add_ephemeral_volume(
    task: Task, volume_name: str, mount_path: str, access_modes: List[str], size: str,
    storage_class_name: Optional[str] = None, labels: Optional[Dict[str, str]] = None,
    annotations: Optional[Dict[str, str]] = None,
) -> Task:  # fmt: skip
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
    return add(task, "genericEphemeralVolume", {**made, "metadata": metadata} if metadata else made)
