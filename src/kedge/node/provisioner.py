"""Binds PersistentVolumeClaims, as a cluster's provisioner does: makes a folder for each, and removes it with the claim.

A claim that a Pod uses stays until the Pod is over (``kubernetes.io/pvc-protection``). Its folder is moved aside before the
claim is let go, so that stopped at any moment nothing is left behind; emptying it takes as long as it takes.
"""

import asyncio
import contextlib
import os
import shutil
from pathlib import Path

from kedge.client.types import Client
from kedge.control.apply import Plan, Update, apply, set_status
from kedge.control.controller import Controller
from kedge.control.followed import Followed, identity
from kedge.control.informer import Informer
from kedge.kube.clock import Clock, Ids
from kedge.kube.core import PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import Key, finalizers, is_deleting, key_of, with_finalizers, with_metadata, without_finalizer
from kedge.node.claims import CLASS, obstacle, uses, volume_name
from kedge.node.events import Events

PROTECTION = "kubernetes.io/pvc-protection"
PROVISIONER = "kedge.dev/folder"
# What a cluster writes on a claim that was given a volume.
_BOUND = {
    "pv.kubernetes.io/bind-completed": "yes",
    "pv.kubernetes.io/bound-by-controller": "yes",
    "volume.kubernetes.io/storage-provisioner": PROVISIONER,
}
_REMOVED = ".removed"


def admit(verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
    """Protect a claim that is being made, and give it the default class: a hook of the server's."""
    if verb != "create" or kind is not PERSISTENT_VOLUME_CLAIM or old is not None:
        return
    if PROTECTION not in finalizers(new):
        new["metadata"]["finalizers"] = [*finalizers(new), PROTECTION]
    if isinstance(spec := new.get("spec"), dict) and spec.get("storageClassName") is None:
        spec["storageClassName"] = CLASS


def desire(claim: Obj, *, used: bool) -> Plan:
    """What has to be written of a claim that can be bound.

    Args:
        claim: The claim.
        used: Whether Pods use it; matters only when it is being deleted.
    """
    if is_deleting(claim):
        if used or PROTECTION not in finalizers(claim):
            return Plan()
        return Plan((Update(PERSISTENT_VOLUME_CLAIM, claim, without_finalizer(claim, PROTECTION)),))
    meta, spec = claim["metadata"], claim["spec"]
    annotations = {**(meta.get("annotations") or {}), **_BOUND}
    after = with_metadata({**claim, "spec": {**spec, "volumeName": volume_name(claim)}}, annotations=annotations)
    if PROTECTION not in finalizers(claim):  # made while no host like this one was there
        after = with_finalizers(after, [*finalizers(claim), PROTECTION])
    status: Obj = {
        **(claim.get("status") or {}),
        "phase": "Bound",
        "accessModes": spec["accessModes"],
        "capacity": {"storage": spec["resources"]["requests"]["storage"]},
    }
    return Plan((Update(PERSISTENT_VOLUME_CLAIM, claim, after), set_status(PERSISTENT_VOLUME_CLAIM, claim, status)))


class Provisioner:
    """Binds claims.

    Args:
        client: The Kubernetes API.
        clock: The time.
        ids: Names of events.
        directory: Where the folders lie.
    """

    def __init__(self, client: Client, clock: Clock, ids: Ids, directory: Path) -> None:
        self._client = client
        self._clock = clock
        self._directory = directory
        self._events = Events(client, clock, ids, "", component=PROVISIONER)
        self._claims = Informer(client, PERSISTENT_VOLUME_CLAIM, clock)
        self._controller = Controller[Key]("claims", self._handle, clock)
        # Pods are followed only while a claim waits for them: most hosts have many more Pods than claims.
        self._awaited: set[Key] = set()
        self._pods = Followed(lambda: Informer(client, POD, clock).keeping(identity), self._look_again)
        self._emptying: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Bind claims until cancelled."""
        self._directory.mkdir(mode=0o711, exist_ok=True)
        (self._directory / _REMOVED).mkdir(mode=0o700, exist_ok=True)
        self._controller.follow(self._claims, lambda old, new: [key_of(new or old or {})])
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._claims.run())
                tasks.create_task(self._sweep())
                tasks.create_task(self._controller.run())
        finally:
            self._pods.follow(wanted=False)
            await self._events.close()

    async def _handle(self, key: Key) -> None:
        claim = self._claims.get(key)
        if claim is None or is_deleting(claim):
            await self._release(key, claim)
        elif why := obstacle(claim):
            self._events.emit(claim, "ProvisioningFailed", why, warning=True)
        else:
            if not claim["spec"].get("volumeName"):
                make_folder(self._directory / volume_name(claim))
            if await apply(self._client, desire(claim, used=False)) and not claim["spec"].get("volumeName"):
                text = f"Successfully provisioned volume {volume_name(claim)}"
                self._events.emit(claim, "ProvisioningSucceeded", text)

    async def _release(self, key: Key, claim: Obj | None) -> None:
        """Let go of a claim that nobody uses."""
        used = claim is not None and await self._is_used(key)
        if claim is not None and not used:
            self._discard(volume_name(claim))
            await apply(self._client, desire(claim, used=False))
        if used:
            self._awaited.add(key)
        else:
            self._awaited.discard(key)
        self._pods.follow(wanted=bool(self._awaited))

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
        task = asyncio.create_task(asyncio.to_thread(remove, place))
        self._emptying.add(task)
        task.add_done_callback(self._emptying.discard)


def make_folder(path: Path) -> None:
    """Make a claim's folder: any user of a Pod may write to it, as to volumes of other provisioners of folders."""
    path.mkdir(exist_ok=True)
    path.chmod(0o777)


def remove(top: Path) -> None:
    """Remove a folder and all that is in it, directories that their owner has closed too; what cannot be removed is left."""
    if os.geteuid() != 0:
        top.chmod(0o700)
        for place, names, _ in os.walk(top):
            for inner in (Path(place, name) for name in names):
                if not inner.is_symlink():
                    with contextlib.suppress(OSError):
                        inner.chmod(0o700)
    shutil.rmtree(top, ignore_errors=True)
