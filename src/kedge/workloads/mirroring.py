"""EndpointSlices of the addresses that users themselves write for a Service without a selector, as Endpoints."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from kedge.client.types import Reader, get_or_none
from kedge.control.apply import Change, Create, Delete, Plan, Update
from kedge.kube.endpoint_slices import ENDPOINT_SLICE
from kedge.kube.endpoints import ENDPOINTS
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, annotations_of, is_deleting, labels_of, owner_reference, with_metadata
from kedge.kube.services import SERVICE
from kedge.workloads.backends import TRIGGERED
from kedge.workloads.endpointslices import MANAGED_BY, SERVICE_NAME, prefix

CONTROLLER = "endpointslicemirroring-controller.k8s.io"
SKIPPED = "endpointslice.kubernetes.io/skip-mirror"
_LEADER = "control-plane.alpha.kubernetes.io/leader"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_MOST = 1000  # endpoints of one subset, as Kubernetes has it


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        service: The Service, or ``None``.
        endpoints: The Endpoints of its name, or ``None``.
        slices: The slices that mirror them.
    """

    service: Obj | None
    endpoints: Obj | None
    slices: tuple[Obj, ...]


class MirroredEndpoints:
    """Reconciles the slices that mirror one Endpoints object."""

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look at a Service, its Endpoints and what mirrors them."""
        mine = f"{SERVICE_NAME}={key.name},{MANAGED_BY}={CONTROLLER}"
        slices = (await reader.list(ENDPOINT_SLICE, key.namespace, labels=mine)).items
        service = await get_or_none(reader, SERVICE, key.name, key.namespace)
        return Seen(service, await get_or_none(reader, ENDPOINTS, key.name, key.namespace), tuple(slices))

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """A slice for each subset and family of addresses; none of what is not to be mirrored."""
        del now
        present = [each for each in seen.slices if not is_deleting(each)]
        wanted = list(_wanted(seen.endpoints)) if seen.endpoints is not None and _is_mirrored(seen) else []
        changes: list[Change] = []
        for made in wanted:
            place = next((each for each in present if _is_of(each, made)), None)
            if place is None:
                changes.append(Create(ENDPOINT_SLICE, made))
                continue
            present.remove(place)
            meta = {key: made["metadata"].get(key) for key in ("labels", "annotations", "ownerReferences")}
            changes.append(Update(ENDPOINT_SLICE, place, with_metadata({**place, **_without_metadata(made)}, **meta)))
        changes += [Delete(ENDPOINT_SLICE, each) for each in present]
        return Plan(tuple(changes))


def _is_mirrored(seen: Seen) -> bool:
    if seen.service is None or seen.endpoints is None or is_deleting(seen.endpoints):
        return False
    if seen.service["spec"].get("selector"):
        return False
    return labels_of(seen.endpoints).get(SKIPPED) != "true" and _LEADER not in annotations_of(seen.endpoints)


def _wanted(endpoints: Obj) -> Iterator[Obj]:
    for subset in endpoints.get("subsets") or ():
        by_type: dict[str, list[Obj]] = {}
        for name, ready in (("addresses", True), ("notReadyAddresses", False)):
            for address in subset.get(name) or ():
                by_type.setdefault(f"IPv{ipaddress.ip_address(address['ip']).version}", []).append(
                    _endpoint(address, ready=ready)
                )
        ports = [{"name": "", **port} for port in subset.get("ports") or ()]
        for kind, found in by_type.items():
            made = {"metadata": _metadata(endpoints), "addressType": kind, "endpoints": found[:_MOST], "ports": ports}
            yield {"apiVersion": ENDPOINT_SLICE.api_version, "kind": ENDPOINT_SLICE.kind, **made}


def _metadata(endpoints: Obj) -> Obj:
    meta = endpoints["metadata"]
    notes = {key: text for key, text in annotations_of(endpoints).items() if key not in {TRIGGERED, _APPLIED}}
    made: Obj = {
        "generateName": prefix(meta["name"]),
        "namespace": meta["namespace"],
        "labels": {**labels_of(endpoints), SERVICE_NAME: meta["name"], MANAGED_BY: CONTROLLER},
        "ownerReferences": [owner_reference(ENDPOINTS, endpoints)],
    }
    return made | ({"annotations": notes} if notes else {})


def _endpoint(address: Obj, *, ready: bool) -> Obj:
    made: Obj = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    return made | {key: address[key] for key in ("targetRef", "nodeName", "hostname") if address.get(key)}


def _is_of(slice_: Obj, made: Obj) -> bool:
    return slice_.get("addressType") == made["addressType"] and (slice_.get("ports") or []) == made["ports"]


def _without_metadata(obj: Obj) -> Obj:
    return {key: value for key, value in obj.items() if key != "metadata"}
