"""Binds PersistentVolumeClaims, as a cluster does: to a volume that fits, else to one that it makes, which is a folder here.

A claim that a Pod uses stays until the Pod is over (``kubernetes.io/pvc-protection``). Its folder is moved aside before the
claim is let go, so that stopped at any moment nothing is left behind; emptying it takes as long as it takes.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path

from kedge.client.types import Client, get_or_none
from kedge.control.apply import Plan, Update, apply, set_status
from kedge.control.controller import Controller
from kedge.control.followed import Followed, identity
from kedge.control.informer import Informer
from kedge.errors import AlreadyExists
from kedge.kube import volumes
from kedge.kube.clock import Clock, Ids
from kedge.kube.core import PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import (
    Key,
    annotations_of,
    finalizers,
    is_deleting,
    key_of,
    with_finalizers,
    with_metadata,
    without_finalizer,
)
from kedge.kube.storage import LATER, PERSISTENT_VOLUME, STORAGE_CLASS
from kedge.node.claims import CLASS, PROVISIONER, obstacle, uses, volume_name
from kedge.node.events import Events
from kedge.node.persistent_volumes import volumes_controller
from kedge.node.removing import remove

PROTECTION = "kubernetes.io/pvc-protection"
_PROVISIONED = "volume.kubernetes.io/storage-provisioner"
_LOST = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
_REMOVED = ".removed"


def admit(verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
    """Protect a claim that is being made, and give it the default class: a hook of the server's."""
    if verb != "create" or kind is not PERSISTENT_VOLUME_CLAIM or old is not None:
        return
    if PROTECTION not in finalizers(new):
        new["metadata"]["finalizers"] = [*finalizers(new), PROTECTION]
    if isinstance(spec := new.get("spec"), dict) and spec.get("storageClassName") is None:
        spec["storageClassName"] = CLASS


def desire(claim: Obj, volume: Obj, *, chosen: bool = True) -> Plan:
    """What has to be written of a claim and of the volume that it gets; the volume first, as on a cluster.

    Args:
        claim: The claim.
        volume: Its volume, as it is.
        chosen: Whether it was chosen for the claim, which itself named none.
    """
    meta, spec, has = claim["metadata"], claim["spec"], volume["spec"]
    held = volume
    if not (has.get("claimRef") or {}).get("uid"):
        noted = {**annotations_of(volume), **({} if has.get("claimRef") else {volumes.BY_CONTROLLER: "yes"})}
        held = with_metadata({**volume, "spec": {**has, "claimRef": volumes.reference_to(claim)}}, annotations=noted or None)
    ours = annotations_of(volume).get(volumes.PROVISIONED_BY) == PROVISIONER
    if ours:  # a folder has as much room as is asked for
        held = {**held, "spec": {**held["spec"], "capacity": {"storage": spec["resources"]["requests"]["storage"]}}}
    annotations = {**annotations_of(claim), volumes.COMPLETED: "yes"}
    if chosen and not spec.get("volumeName"):
        annotations[volumes.BY_CONTROLLER] = "yes"
    if ours:
        annotations[_PROVISIONED] = PROVISIONER
    after = with_metadata({**claim, "spec": {**spec, "volumeName": volume["metadata"]["name"]}}, annotations=annotations)
    if PROTECTION not in (meta.get("finalizers") or []):  # made while no host like this one was there
        after = with_finalizers(after, [*finalizers(claim), PROTECTION])
    status: Obj = {
        **(claim.get("status") or {}),
        "phase": "Bound",
        "accessModes": held["spec"]["accessModes"],
        "capacity": held["spec"]["capacity"],
    }
    of_claim = (Update(PERSISTENT_VOLUME_CLAIM, claim, after), set_status(PERSISTENT_VOLUME_CLAIM, claim, status))
    return Plan((Update(PERSISTENT_VOLUME, volume, held), *of_claim))


def volume_of(claim: Obj, path: Path, class_: Obj | None, node: str) -> Obj:
    """The volume that is a folder of this host.

    Args:
        claim: Whose it is.
        path: The folder.
        class_: Its StorageClass.
        node: Where the folder is.
    """
    spec = claim["spec"]
    made: Obj = {
        "accessModes": spec["accessModes"],
        "capacity": {"storage": spec["resources"]["requests"]["storage"]},
        "claimRef": volumes.reference_to(claim),
        "persistentVolumeReclaimPolicy": (class_ or {}).get("reclaimPolicy") or "Delete",
        "storageClassName": CLASS if spec.get("storageClassName") is None else spec["storageClassName"],
        "volumeMode": "Filesystem",
        "hostPath": {"path": str(path), "type": ""},
    }
    if node:
        expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
        made["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
    return {"metadata": {"name": volume_name(claim), "annotations": {volumes.PROVISIONED_BY: PROVISIONER}}, "spec": made}


class Provisioner:
    """Binds claims.

    Args:
        client: The Kubernetes API.
        clock: The time.
        ids: Names of events.
        directory: Where the folders lie.
        node: The node that has them.
        environ: What folders are removed with, see `removing`.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        ids: Ids,
        directory: Path,
        *,
        node: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._environ = environ or {}
        self._client = client
        self._clock = clock
        self._directory = directory
        self._node = node
        self._events = Events(client, clock, ids, "", component=PROVISIONER)
        self._claims = Informer(client, PERSISTENT_VOLUME_CLAIM, clock)
        self._controller = Controller[Key]("claims", self._handle, clock)
        self._volumes, self._phases = volumes_controller(PROVISIONER, client, clock, claims=self._claims, discard=self._discard)
        # Pods are followed only while a claim waits for them: most hosts have many more Pods than claims.
        self._awaited: set[Key] = set()
        self._pods = Followed(lambda: Informer(client, POD, clock).keeping(identity), self._look_again)
        self._emptying: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Bind claims until cancelled."""
        self._directory.mkdir(mode=0o711, exist_ok=True)
        (self._directory / _REMOVED).mkdir(mode=0o700, exist_ok=True)
        self._controller.follow(self._claims, lambda old, new: [key_of(new or old or {})])
        self._controller.follow(self._volumes, self._concerned)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._claims.run())
                tasks.create_task(self._volumes.run())
                tasks.create_task(self._phases.run())
                tasks.create_task(self._sweep())
                tasks.create_task(self._controller.run())
        finally:
            self._pods.follow(wanted=False)
            await self._events.close()

    async def _handle(self, key: Key) -> None:
        claim = self._claims.get(key)
        if claim is None or is_deleting(claim):
            await self._release(key, claim)
            return
        page = await self._client.list(PERSISTENT_VOLUME)
        if named := claim["spec"].get("volumeName"):
            await self._bind_named(claim, next((each for each in page.items if each["metadata"]["name"] == named), None))
            return
        name = claim["spec"].get("storageClassName")
        class_ = await get_or_none(self._client, STORAGE_CLASS, name) if name else None
        if (class_ or {}).get("volumeBindingMode") == LATER and volumes.SELECTED_NODE not in annotations_of(claim):
            self._events.emit(claim, LATER, "waiting for first consumer to be created before binding")
        elif (found := volumes.best(page.items, claim)) is not None:
            await apply(self._client, desire(claim, found))
        else:
            await self._provision(claim, class_)

    async def _bind_named(self, claim: Obj, volume: Obj | None) -> None:
        """Bind a claim to the volume that it names, or see whether it still has it."""
        bound = (claim.get("status") or {}).get("phase") == "Bound"
        name = claim["spec"]["volumeName"]
        if volume is None and name == volume_name(claim) and (self._directory / name).is_dir():
            await self._make(claim, None)  # one that was bound before this host had volumes to look at
        elif volume is None and bound:
            self._events.emit(claim, "ClaimLost", _LOST, warning=True)
            await apply(self._client, Plan((set_status(PERSISTENT_VOLUME_CLAIM, claim, {**claim["status"], "phase": "Lost"}),)))
        elif volume is None:
            self._events.emit(claim, "ProvisioningFailed", obstacle(claim), warning=True)
        elif volume["spec"].get("claimRef") and not volumes.is_held_by(volume, claim):
            text = f'volume "{name}" already bound to a different claim.'
            self._events.emit(claim, "FailedBinding", text, warning=True)
        elif not bound and (why := volumes.misfit(volume, claim)):
            self._events.emit(claim, "VolumeMismatch", f'Cannot bind to requested volume "{name}": {why}', warning=True)
        else:
            await apply(self._client, desire(claim, volume, chosen=False))

    async def _provision(self, claim: Obj, class_: Obj | None) -> None:
        """Make a volume for a claim."""
        if why := obstacle(claim, class_):
            reason = "FailedBinding" if claim["spec"].get("storageClassName") == "" else "ProvisioningFailed"
            if class_ is not None and class_["provisioner"] != PROVISIONER:
                reason = "ExternalProvisioning"
            self._events.emit(claim, reason, why, warning=reason == "ProvisioningFailed")
            return
        make_folder(self._directory / volume_name(claim))
        await self._make(claim, class_)
        self._events.emit(claim, "ProvisioningSucceeded", f"Successfully provisioned volume {volume_name(claim)}")

    async def _make(self, claim: Obj, class_: Obj | None) -> None:
        wanted = volume_of(claim, self._directory / volume_name(claim), class_, self._node)
        try:
            volume = await self._client.create(PERSISTENT_VOLUME, wanted)
        except AlreadyExists:
            volume = await self._client.get(PERSISTENT_VOLUME, volume_name(claim))
        await apply(self._client, desire(claim, volume))

    async def _release(self, key: Key, claim: Obj | None) -> None:
        """Let go of a claim that nobody uses."""
        used = claim is not None and await self._is_used(key)
        if claim is not None and not used:
            volume = await get_or_none(self._client, PERSISTENT_VOLUME, volume_name(claim))
            if (volume or {"spec": {}})["spec"].get("persistentVolumeReclaimPolicy", "Delete") == "Delete":
                self._discard(volume_name(claim))
            if PROTECTION in finalizers(claim):
                change = Update(PERSISTENT_VOLUME_CLAIM, claim, without_finalizer(claim, PROTECTION))
                await apply(self._client, Plan((change,)))
        if used:
            self._awaited.add(key)
        else:
            self._awaited.discard(key)
        self._pods.follow(wanted=bool(self._awaited))

    def _concerned(self, old: Obj | None, new: Obj | None) -> list[Key]:
        """The claim of a volume, and all that have none yet."""
        del old
        name = (new or {"metadata": {"name": ""}})["metadata"]["name"]
        return [
            key_of(claim) for claim in self._claims.items() if (claim["spec"].get("volumeName") or name) == name or new is None
        ]

    async def _is_used(self, key: Key) -> bool:
        page = await self._client.list(POD, key.namespace)
        return any(uses(pod, key.name) for pod in page.items)

    def _look_again(self, old: Obj | None, new: Obj | None) -> None:
        namespace = key_of(new or old or {}).namespace
        for key in self._awaited:
            if key.namespace == namespace:
                self._controller.queue.add(key)

    # -- folders --------------------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        """Remove folders of claims that went while nobody looked, and what was being removed when the host ended."""
        await self._claims.synced()
        there = {volume_name(claim) for claim in self._claims.items()}
        there |= {volume["metadata"]["name"] for volume in (await self._client.list(PERSISTENT_VOLUME)).items}
        for place in self._directory.iterdir():
            if place.name.startswith("pvc-") and place.name not in there:
                self._discard(place.name)
        for place in (self._directory / _REMOVED).iterdir():
            self._empty(place)

    def _discard(self, name: str) -> None:
        aside = self._directory / _REMOVED / name
        with contextlib.suppress(FileNotFoundError):
            (self._directory / name).rename(aside)
            self._empty(aside)

    def _empty(self, place: Path) -> None:
        task = asyncio.create_task(asyncio.to_thread(remove, place, self._environ))
        self._emptying.add(task)
        task.add_done_callback(self._emptying.discard)


def make_folder(path: Path) -> None:
    """Make a claim's folder: any user of a Pod may write to it, as to volumes of other provisioners of folders."""
    path.mkdir(exist_ok=True)
    path.chmod(0o777)
