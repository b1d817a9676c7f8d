"""EndpointSlices: the addresses behind a Service, at most a hundred in each, with what is known of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from kedge.client.types import Reader, get_or_none
from kedge.control.apply import Change, Create, Delete, Plan, Update
from kedge.kube.core import NODE
from kedge.kube.endpoint_slices import ENDPOINT_SLICE
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, is_deleting, labels_of, owner_reference, owners, with_metadata
from kedge.kube.names import subdomain_fault
from kedge.kube.pods import is_ready
from kedge.kube.services import SERVICE
from kedge.workloads import backends

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
_RESERVED = frozenset({SERVICE_NAME, MANAGED_BY, backends.IS_HEADLESS})
_MOST = 100  # endpoints of one slice, Kubernetes' default
_MISSING_NODE = 5.0  # seconds after which a node that is not known is looked for again
_ZONE = "topology.kubernetes.io/zone"
_TYPE = "IPv4"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        service: The Service.
        slices: Its slices that this controller made.
        pods: The Pods that its selector matches.
        zones: By node that is there, its zone, ``""`` for none.
        trigger: When what is new of them happened.
    """

    service: Obj
    slices: tuple[Obj, ...]
    pods: tuple[Obj, ...]
    zones: Mapping[str, str]
    trigger: datetime | None = None


@dataclass(slots=True)
class _Filled:
    """A slice as it is, and what it shall hold."""

    before: Obj | None
    ports: list[Obj]
    endpoints: list[Obj]

    @property
    def room(self) -> int:
        return _MOST - len(self.endpoints)


class SlicesOfServices:
    """Reconciles the EndpointSlices of one Service.

    Args:
        behind: Says which Pods a Service's selector matches.
    """

    def __init__(self, behind: backends.Behind) -> None:
        self._behind = behind
        self._triggers = backends.Triggers()

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look at a Service, its Pods, their nodes and its slices. Those of one that is gone go with their owner."""
        service = await get_or_none(reader, SERVICE, key.name, key.namespace)
        if service is None:
            self._triggers.forget(key)
            return None
        if is_deleting(service) or not backends.selected(service):
            return None  # what goes in the foreground waits for its slices: a new one would keep it
        mine = f"{SERVICE_NAME}={key.name},{MANAGED_BY}={CONTROLLER}"
        slices = (await reader.list(ENDPOINT_SLICE, key.namespace, labels=mine)).items
        pods = tuple(self._behind(service))
        zones = await _zones(reader, {pod["spec"].get("nodeName") or "" for pod in pods} - {""})
        return Seen(service, tuple(slices), pods, zones, self._triggers.earliest(service, pods))

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Decide what each slice holds: an endpoint stays where it is, and a new one goes where there is room."""
        del now
        missing = any(not _is_known(seen, pod) for pod in seen.pods)
        present = [each for each in seen.slices if not is_deleting(each)]
        changes = list(_changes(seen, present))
        return Plan(tuple(changes), requeue_after=_MISSING_NODE if missing else None)


async def _zones(reader: Reader, names: Iterable[str]) -> dict[str, str]:
    zones: dict[str, str] = {}
    for name in names:
        if (node := await get_or_none(reader, NODE, name)) is not None:
            zones[name] = labels_of(node).get(_ZONE, "")
    return zones


def _is_known(seen: Seen, pod: Obj) -> bool:
    """Whether a Pod's node is there, where that matters: a Service that publishes all its Pods does not ask."""
    node = pod["spec"].get("nodeName")
    return not node or node in seen.zones or bool(seen.service["spec"].get("publishNotReadyAddresses"))


def _changes(seen: Seen, present: list[Obj]) -> Iterable[Change]:
    filled = [_Filled(each, each.get("ports") or [], []) for each in present if each.get("addressType") == _TYPE]
    wanted = _wanted(seen)
    for ports, endpoints in wanted:
        _fill([each for each in filled if each.ports == ports], filled, ports, endpoints)
    holding = [each for each in filled if each.endpoints]
    empty = next((each for each in filled if each.before is not None and not each.endpoints), None)
    if not holding:
        # A Service without endpoints keeps one slice that says so.
        holding = [_Filled(empty.before if empty is not None else None, [], [])]
    kept = {id(each.before) for each in holding}
    for each in holding:
        yield from _written(seen, each)
    for slice_ in present:
        if id(slice_) not in kept:
            yield Delete(ENDPOINT_SLICE, slice_)


def _wanted(seen: Seen) -> list[tuple[list[Obj], dict[str, Obj]]]:
    """The endpoints by the ports that they have, those by what identifies them."""
    found: list[tuple[list[Obj], dict[str, Obj]]] = []
    for pod in seen.pods:
        if not backends.reachable(pod, leaving=True) or not _is_known(seen, pod):
            continue
        ports = backends.ports_of(seen.service, pod)
        endpoints = next((held for same, held in found if same == ports), None)
        if endpoints is None:
            endpoints = {}
            found.append((ports, endpoints))
        endpoints[pod["metadata"]["uid"]] = _endpoint(seen, pod)
    return found


def _fill(slices: list[_Filled], all_: list[_Filled], ports: list[Obj], endpoints: dict[str, Obj]) -> None:
    left = dict(endpoints)
    for each in slices:
        for old in (each.before or {}).get("endpoints") or ():
            uid = (old.get("targetRef") or {}).get("uid", "")
            if each.room and uid in left:
                each.endpoints.append(left.pop(uid))
    for uid in list(left):
        # The fullest that has room: few slices, and few of them written.
        place = max((each for each in slices if each.room), key=lambda each: len(each.endpoints), default=None)
        if place is None:
            place = _Filled(None, ports, [])
            slices.append(place)
            all_.append(place)
        place.endpoints.append(left.pop(uid))


def _endpoint(seen: Seen, pod: Obj) -> Obj:
    service = seen.service
    serving, terminating = is_ready(pod), is_deleting(pod)
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    made: Obj = {
        "addresses": backends.addresses(pod)[:1],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": backends.target_of(pod),
    }
    if name := backends.hostname(service, pod):
        made["hostname"] = name
    if node := pod["spec"].get("nodeName"):
        made["nodeName"] = node
        if zone := seen.zones.get(node):
            made["zone"] = zone
    return made


def _written(seen: Seen, filled: _Filled) -> Iterable[Change]:
    service, before = seen.service, filled.before
    labels = _labels(service)
    if before is None:
        meta: Obj = {
            "generateName": prefix(service["metadata"]["name"]),
            "namespace": service["metadata"]["namespace"],
            "labels": labels,
            "ownerReferences": [owner_reference(SERVICE, service)],
        }
        slice_ = {"metadata": meta, "addressType": _TYPE, "endpoints": filled.endpoints, "ports": filled.ports}
        yield Create(ENDPOINT_SLICE, with_metadata(slice_, annotations=backends.triggered(slice_, seen.trigger)))
        return
    owner = owner_reference(SERVICE, service)
    same = dict(labels_of(before)) == labels and owner in owners(before)
    if same and (before.get("endpoints") or []) == filled.endpoints and (before.get("ports") or []) == filled.ports:
        return  # the time alone is no news
    references = [*(each for each in owners(before) if each["uid"] != owner["uid"]), owner]
    after = {**before, "endpoints": filled.endpoints, "ports": filled.ports}
    notes = backends.triggered(before, seen.trigger)
    yield Update(ENDPOINT_SLICE, before, with_metadata(after, labels=labels, ownerReferences=references, annotations=notes))


def _labels(service: Obj) -> dict[str, str]:
    labels = {key: text for key, text in labels_of(service).items() if key not in _RESERVED}
    if backends.is_headless(service):
        labels[backends.IS_HEADLESS] = ""
    return labels | {SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: CONTROLLER}


def prefix(name: str) -> str:
    """The beginning of the names of a Service's slices."""
    return name if subdomain_fault(f"{name}-a") else f"{name}-"
