"""PersistentVolumes: their phases, what becomes of them when their claim is gone, and when they may go themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from kedge.client.types import Client, Reader, get_or_none
from kedge.control.apply import Change, Delete, Plan, Update, set_status
from kedge.control.controller import Controller, reconcile
from kedge.control.informer import Informer
from kedge.kube import volumes
from kedge.kube.clock import Clock, timestamp
from kedge.kube.core import PERSISTENT_VOLUME_CLAIM
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, annotations_of, is_deleting, key_of, uid_of, without_finalizer
from kedge.kube.storage import PERSISTENT_VOLUME, PROTECTION

_BY_CLAIM = "claim"
_NO_DELETER = "no volume plugin matched"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        volume: The volume.
        claim: The claim that it names, if it is there.
        ours: Whether this host has made its folder.
    """

    volume: Obj
    claim: Obj | None
    ours: bool


class PersistentVolumes:
    """Reconciles one PersistentVolume.

    Args:
        provisioner: Who makes volumes here.
    """

    def __init__(self, provisioner: str) -> None:
        self._provisioner = provisioner

    async def observe(self, reader: Reader, key: str) -> Seen | None:
        """Look at a volume and its claim."""
        volume = await get_or_none(reader, PERSISTENT_VOLUME, key)
        if volume is None:
            return None
        reference: Obj = volume["spec"].get("claimRef") or {}
        claim = None
        if reference:
            claim = await get_or_none(reader, PERSISTENT_VOLUME_CLAIM, reference["name"], reference.get("namespace"))
        return Seen(volume, claim, annotations_of(volume).get(volumes.PROVISIONED_BY) == self._provisioner)

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Its phase, and its end."""
        volume = seen.volume
        phase, message = _phase(seen)
        changes: list[Change] = []
        if phase in {"Released", "Failed"} and seen.ours and _is_deleted_with_claim(volume):
            changes.append(Delete(PERSISTENT_VOLUME, volume))
        if is_deleting(volume) and phase != "Bound":
            return Plan((*changes, Update(PERSISTENT_VOLUME, volume, without_finalizer(volume, PROTECTION))))
        return Plan((set_status(PERSISTENT_VOLUME, volume, _status(volume, phase, message, now)), *changes))


def is_let_go(seen: Seen) -> bool:
    """Whether the folder of a volume is of no use any more."""
    return seen.ours and _phase(seen)[0] != "Bound" and _is_deleted_with_claim(seen.volume)


def _is_deleted_with_claim(volume: Obj) -> bool:
    return volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"


def _phase(seen: Seen) -> tuple[str, str]:
    reference: Obj = seen.volume["spec"].get("claimRef") or {}
    if not reference or not reference.get("uid"):
        return "Available", ""
    if seen.claim is not None and uid_of(seen.claim) == reference["uid"]:
        return "Bound", ""
    if seen.ours or not _is_deleted_with_claim(seen.volume):
        return "Released", ""
    if path := (seen.volume["spec"].get("hostPath") or {}).get("path"):
        return "Failed", f"host_path deleter only supports /tmp/.+ but received provided {path}"
    return "Failed", f'error getting deleter volume plugin for volume "{seen.volume["metadata"]["name"]}": {_NO_DELETER}'


def _status(volume: Obj, phase: str, message: str, now: datetime) -> Obj:
    before: Obj = volume.get("status") or {}
    changed = timestamp(now) if before.get("phase") != phase else before.get("lastPhaseTransitionTime")
    made: Obj = {"phase": phase}
    if changed:
        made["lastPhaseTransitionTime"] = changed
    return made | ({"message": message} if message else {})


def volumes_controller(
    provisioner: str, client: Client, clock: Clock, *, claims: Informer, discard: Callable[[str], None]
) -> tuple[Informer, Controller[str]]:
    """The controller of PersistentVolumes, and what it follows.

    Args:
        provisioner: Who makes volumes here.
        client: Reads and writes objects.
        clock: When phases change.
        claims: Claims; run by whoever made them.
        discard: Removes the folder of a volume that this host has made; harmless where it is gone.
    """
    informer = Informer(client, PERSISTENT_VOLUME, clock)
    informer.index(_BY_CLAIM, _claim_of)
    reconciler = PersistentVolumes(provisioner)

    async def handle(name: str) -> None:
        seen = await reconciler.observe(client, name)
        if seen is not None and is_let_go(seen):
            discard(name)  # before the object: stopped in between, the next pass finds it again
        await reconcile(reconciler, client, name, clock.now())

    controller = Controller[str]("volumes", handle, clock)
    controller.follow(informer, lambda old, new: [(new or old or {})["metadata"]["name"]])

    def of_claim(old: Obj | None, new: Obj | None) -> list[str]:
        return [each["metadata"]["name"] for each in informer.find(_BY_CLAIM, key_of(new or old or {}))]

    controller.follow(claims, of_claim)
    return informer, controller


def _claim_of(volume: Obj) -> list[Key]:
    reference = volume["spec"].get("claimRef")
    return [Key(reference.get("namespace") or "", reference["name"])] if reference else []
