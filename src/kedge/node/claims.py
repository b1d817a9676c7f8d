"""The claims of Pods: whether they are there and bound, and which folder each is.

A claim is a folder of the data directory, named by the claim's uid, which the API makes: no name that somebody chooses is ever
part of its path. `provisioner` makes and removes the folders.
"""

from collections.abc import Iterator
from pathlib import Path

from kedge.client.types import Client, get_or_none
from kedge.errors import AlreadyExists, BadRequest, Forbidden, Invalid, NotFound
from kedge.kube.claims import ONE_POD
from kedge.kube.core import PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import annotations_of, controller, is_deleting, labels_of, owner_reference, uid_of, with_metadata
from kedge.kube.pods import is_over
from kedge.kube.storage import LATER, PERSISTENT_VOLUME, STORAGE_CLASS
from kedge.kube.volumes import SELECTED_NODE, path_of
from kedge.node.env import MissingError
from kedge.node.network import RUN
from kedge.node.scheduling import Fault

CLASS = "standard"
"""The class of volumes that every host has, and the default: folders of this host."""
PROVISIONER = "kedge.dev/folder"
"""Who makes the volumes of that class, and of others that name it."""


def claim_names(pod: Obj) -> Iterator[str]:
    """The names of the claims that a Pod mounts.

    Examples:
        >>> volumes = [{"name": "a", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "b", "ephemeral": {}}]
        >>> list(claim_names({"metadata": {"name": "p"}, "spec": {"volumes": volumes}}))
        ['data', 'p-b']
    """
    for volume in pod["spec"].get("volumes") or ():
        if name := claim_name(pod, volume):
            yield name


def claim_name(pod: Obj, volume: Obj) -> str:
    """The name of the claim that is a volume of a Pod; empty for volumes of other kinds."""
    if "ephemeral" in volume:
        return f"{pod['metadata']['name']}-{volume['name']}"
    return (volume.get("persistentVolumeClaim") or {}).get("claimName") or ""


def uses(pod: Obj, claim: str) -> bool:
    """Whether a Pod that has a node and is not over mounts a claim of its namespace."""
    return bool(pod["spec"].get("nodeName")) and not is_over(pod) and claim in claim_names(pod)


def volume_name(claim: Obj) -> str:
    """The name of a claim's volume, which is that of its folder too."""
    return f"pvc-{uid_of(claim)}"


def obstacle(claim: Obj, class_: Obj | None = None) -> str:
    """Why no volume can be made for a claim, and what to do; empty when one can.

    Args:
        claim: The claim.
        class_: The StorageClass that it names, where there is one.

    Examples:
        >>> obstacle({"spec": {"storageClassName": "gp3"}})[:95]
        'storageclass.storage.k8s.io "gp3" not found. This host has one, standard: make the claim anew w'
    """
    spec = claim["spec"]
    anew = "make the claim anew without"
    # CreatePVC asks for no class unless it is told one: a pipeline is not to need a volume that somebody has prepared here.
    by_run = not spec.get("storageClassName") and RUN in labels_of(claim)
    if not by_run and (why := _class_obstacle(spec.get("storageClassName"), class_)):
        return why
    if spec.get("volumeMode") == "Block":
        return f"spec.volumeMode: this host has folders only, no block devices. Use Filesystem: {anew} volumeMode."
    named = spec.get("volumeName")
    if named and named != volume_name(claim):
        return f'persistentvolume "{named}" not found: this host makes a folder for each claim. Use no other: {anew} volumeName.'
    for field in ("selector", "dataSource", "dataSourceRef", "volumeAttributesClassName"):
        if spec.get(field):
            return f"spec.{field}: this host only makes new, empty folders for claims: {anew} {field}."
    return ""


def _class_obstacle(name: str | None, class_: Obj | None) -> str:
    if name == "":
        return "no persistent volumes available for this claim and no storage class is set"
    if name not in {None, CLASS} and class_ is None:
        return (
            f'storageclass.storage.k8s.io "{name}" not found. This host has one, {CLASS}: make the claim anew without '
            f"storageClassName, or with storageClassName: {CLASS}."
        )
    if class_ is not None and class_["provisioner"] != PROVISIONER:
        return (
            f"Waiting for a volume to be created either by the external provisioner '{class_['provisioner']}' or manually by the "
            "system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly "
            "registered."
        )
    return ""


class Claims:
    """Looks at the claims of Pods.

    Args:
        client: The Kubernetes API.
        directory: Where the folders lie.
        node: Where Pods are given to, for claims that wait for their first one.
    """

    kinds: tuple[Kind, ...] = (PERSISTENT_VOLUME_CLAIM,)

    def __init__(self, client: Client, directory: Path, *, node: str = "") -> None:
        self._client = client
        self._directory = directory
        self._node = node

    def concerns(self, pod: Obj) -> bool:
        """Whether a Pod mounts claims."""
        return any(True for _ in claim_names(pod))

    async def fault(self, pod: Obj) -> Fault | None:
        """Why a Pod must wait for its claims; those of its own (``ephemeral``) are made when they are not there yet."""
        for volume in pod["spec"].get("volumes") or ():
            if name := claim_name(pod, volume):
                found, message = await self._find(pod, volume)
                if found is None:
                    return Fault(f'persistentvolumeclaim "{name}" not found', message)
                if message:
                    return Fault(message, await self._help(found))
                if ONE_POD in found["spec"]["accessModes"] and (other := await self._other_user(found, pod)):
                    reason = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
                    return Fault(f"1 {reason}", f"Claim {name} is free when Pod {other} has ended.", until_pods_change=True)
        return None

    async def folder(self, pod: Obj, volume: Obj) -> Path:
        """The folder that is a volume of a Pod.

        Raises:
            MissingError: The claim is not there, or is not bound yet.
        """
        name = claim_name(pod, volume)
        # The Pod is on the node, so the claim stays until it ends, deleted or not: refusing would let each wait for the other.
        found, message = await self._find(pod, volume, on_node=True)
        if found is None:
            raise MissingError(f'persistentvolumeclaim "{name}" not found. {message}')
        if message:
            raise MissingError(f"{message}. {await self._help(found)}")
        path = self._directory / volume_name(found)
        if (named := found["spec"].get("volumeName")) not in {None, volume_name(found)}:
            return await self._given(named)
        if not path.is_dir():
            raise MissingError(
                f"the folder of persistentvolumeclaim {name}, {path}, is gone. Bring it back, or make the claim anew."
            )
        return path

    async def _given(self, name: str) -> Path:
        """The folder of a volume that somebody else has made."""
        volume = await get_or_none(self._client, PERSISTENT_VOLUME, name)
        if volume is None:
            raise MissingError(f'persistentvolume "{name}" not found. Its claim has lost it: make the claim anew.')
        if not (path := path_of(volume)):
            raise MissingError(f'persistentvolume "{name}": this host mounts volumes of the kinds hostPath and local only.')
        return _there(name, Path(path), make=(volume["spec"].get("hostPath") or {}).get("type") == "DirectoryOrCreate")

    async def _find(self, pod: Obj, volume: Obj, *, on_node: bool = False) -> tuple[Obj | None, str]:
        """The claim of a volume, and why it cannot be mounted, or what would help where it is not there."""
        name, meta = claim_name(pod, volume), pod["metadata"]
        try:
            found = await self._client.get(PERSISTENT_VOLUME_CLAIM, name, meta["namespace"])
        except NotFound:
            if "ephemeral" not in volume:
                return None, "The Pod starts when the claim is there: kubectl apply it, or correct claimName."
            return None, await self._make(pod, volume)
        if "ephemeral" in volume and (controller(found) or {}).get("uid") != meta["uid"]:
            reason = (
                f"PVC {meta['namespace']}/{name} was not created for pod {meta['namespace']}/{meta['name']} (pod is not owner)"
            )
            return found, reason
        if is_deleting(found) and not on_node:
            return found, f'persistentvolumeclaim "{name}" is being deleted'
        if (found.get("status") or {}).get("phase") != "Bound":
            await self._select(found)
            return found, "pod has unbound immediate PersistentVolumeClaims"
        return found, ""

    async def _select(self, claim: Obj) -> None:
        """Tell of a claim that has waited for its first Pod where that is."""
        class_ = await self._class(claim)
        if class_ is None or class_.get("volumeBindingMode") != LATER or SELECTED_NODE in annotations_of(claim):
            return
        chosen = {**annotations_of(claim), SELECTED_NODE: self._node}
        await self._client.update(PERSISTENT_VOLUME_CLAIM, with_metadata(claim, annotations=chosen))

    async def _class(self, claim: Obj) -> Obj | None:
        name = claim["spec"].get("storageClassName")
        return await get_or_none(self._client, STORAGE_CLASS, name) if name else None

    async def _make(self, pod: Obj, volume: Obj) -> str:
        """Make the claim of an ephemeral volume, which is its Pod's and goes with it."""
        template = volume["ephemeral"]["volumeClaimTemplate"]
        meta = template.get("metadata") or {}
        claim: Obj = {
            "metadata": {
                "name": claim_name(pod, volume),
                "namespace": pod["metadata"]["namespace"],
                "ownerReferences": [owner_reference(POD, pod)],
                **{field: meta[field] for field in ("labels", "annotations") if meta.get(field)},
            },
            "spec": template["spec"],
        }
        try:
            await self._client.create(PERSISTENT_VOLUME_CLAIM, claim)
        except AlreadyExists:
            pass
        except (Invalid, BadRequest, Forbidden, NotFound) as error:
            return f"It cannot be made for the volume {volume['name']}: {error}"
        return f"It is being made for the volume {volume['name']}."

    async def _other_user(self, claim: Obj, pod: Obj) -> str:
        """Another Pod that uses a claim, or nothing."""
        page = await self._client.list(POD, claim["metadata"]["namespace"])
        for other in page.items:
            if uid_of(other) != uid_of(pod) and uses(other, claim["metadata"]["name"]):
                return f"{other['metadata']['namespace']}/{other['metadata']['name']}"
        return ""

    async def _help(self, claim: Obj) -> str:
        """What would help a Pod whose claim is there and cannot be mounted."""
        name = claim["metadata"]["name"]
        if is_deleting(claim):
            return "It goes when no Pod uses it any more; make it anew then."
        if (claim.get("status") or {}).get("phase") == "Bound":
            return f"Delete the claim {name}, or give the Pod another name."
        if why := obstacle(claim, await self._class(claim)):
            return f"Claim {name} cannot be bound: {why}"
        return f"Claim {name} is not bound yet."


def _there(name: str, path: Path, *, make: bool) -> Path:
    """The folder of a volume, as its kind says: made where that is asked for."""
    if make:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not path.exists():
        raise MissingError(f'persistentvolume "{name}": {path} is not there on this machine. Make it.')
    return path
