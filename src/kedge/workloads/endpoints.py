"""Endpoints: the addresses behind a Service in the older of the two kinds, for those who still read it."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kedge.client.types import Reader, get_or_none
from kedge.control.apply import Create, Delete, Plan, Update
from kedge.kube.endpoints import ENDPOINTS
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, is_deleting, labels_of, with_metadata
from kedge.kube.pods import is_ready
from kedge.kube.services import SERVICE
from kedge.workloads import backends

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
_CONTROLLER = "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
_MOST = 1000  # addresses in one object, as Kubernetes has it

Address = tuple[str, str]  # the IP and the uid of its Pod: Pods of the host's network share the first


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        service: The Service, or ``None`` where it is gone.
        found: The Endpoints of its name, or ``None``.
        pods: The Pods that its selector matches.
        trigger: When what is new of them happened.
    """

    service: Obj | None
    found: Obj | None
    pods: tuple[Obj, ...] = ()
    trigger: datetime | None = None


class EndpointsOfServices:
    """Reconciles the Endpoints of one Service.

    Args:
        behind: Says which Pods a Service's selector matches.
    """

    def __init__(self, behind: backends.Behind) -> None:
        self._behind = behind
        self._triggers = backends.Triggers()

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look at a Service, its Pods and its Endpoints."""
        service = await get_or_none(reader, SERVICE, key.name, key.namespace)
        found = await get_or_none(reader, ENDPOINTS, key.name, key.namespace)
        if service is None:
            self._triggers.forget(key)
            return Seen(None, found)
        if not backends.selected(service):
            return None
        pods = tuple(self._behind(service))
        return Seen(service, found, pods, self._triggers.earliest(service, pods))

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Decide what the Endpoints say."""
        del now
        service, found = seen.service, seen.found
        if service is None:
            return Plan((Delete(ENDPOINTS, found),)) if found is not None else Plan()
        subsets, cut = _cut(_subsets(service, seen.pods))
        labels = _labels(service)
        if found is None:
            notes = _notes({"metadata": {}}, seen.trigger, cut=cut)
            meta = {"name": service["metadata"]["name"], "namespace": service["metadata"]["namespace"], "labels": labels}
            made = with_metadata({"metadata": meta}, annotations=notes)
            return Plan((Create(ENDPOINTS, made | ({"subsets": subsets} if subsets else {})),))
        if is_deleting(found):
            return Plan()
        same = (found.get("subsets") or []) == subsets and dict(labels_of(found)) == labels
        if same and (OVER_CAPACITY in (found["metadata"].get("annotations") or {})) == cut:
            return Plan()  # the time alone is no news
        after = with_metadata(found, labels=labels, annotations=_notes(found, seen.trigger, cut=cut))
        after = {key: value for key, value in after.items() if key != "subsets"} | ({"subsets": subsets} if subsets else {})
        return Plan((Update(ENDPOINTS, found, after),))


def _labels(service: Obj) -> dict[str, str]:
    labels = {key: text for key, text in labels_of(service).items() if key != backends.IS_HEADLESS}
    if backends.is_headless(service):
        labels[backends.IS_HEADLESS] = ""
    return labels | {MANAGED_BY: _CONTROLLER}


def _notes(found: Obj, trigger: datetime | None, *, cut: bool) -> dict[str, str] | None:
    notes = dict(backends.triggered(found, trigger) or {})
    notes.pop(OVER_CAPACITY, None)
    return (notes | ({OVER_CAPACITY: "truncated"} if cut else {})) or None


# -- subsets ------------------------------------------------------------------------------------------------------------


def _subsets(service: Obj, pods: Iterable[Obj]) -> list[Obj]:
    """Addresses and ports in as few subsets as say the same: each has addresses that all have all of its ports."""
    all_are_ready: bool = service["spec"].get("publishNotReadyAddresses") or False
    addresses: dict[Address, Obj] = {}
    ready: dict[Address, bool] = {}
    holders: dict[tuple[tuple[str, Any], ...], set[Address]] = {}
    for pod in pods:
        if not backends.reachable(pod, leaving=all_are_ready):
            continue
        made = _address(service, pod)
        key = (made["ip"], made["targetRef"]["uid"])
        ports = [_port(port) for port in backends.ports_of(service, pod)]
        if not ports and not backends.takes_any_port(service):
            continue
        addresses[key], ready[key] = made, all_are_ready or is_ready(pod)
        for port in ports or [{}]:
            holders.setdefault(tuple(sorted(port.items())), set()).add(key)
    shared: dict[tuple[Address, ...], list[Obj]] = {}
    for port, keys in holders.items():
        listed = shared.setdefault(tuple(sorted(keys, key=_order)), [])
        if port:
            listed.append(dict(port))
    return [_subset(keys, ports, addresses, ready) for keys, ports in sorted(shared.items())]


def _subset(keys: Iterable[Address], ports: list[Obj], addresses: dict[Address, Obj], ready: dict[Address, bool]) -> Obj:
    made: Obj = {}
    for name, wanted in (("addresses", True), ("notReadyAddresses", False)):
        if listed := [addresses[key] for key in keys if ready[key] is wanted]:
            made[name] = listed
    if ports:
        made["ports"] = sorted(ports, key=lambda port: (port.get("name", ""), port["port"], port["protocol"]))
    return made


def _address(service: Obj, pod: Obj) -> Obj:
    made: Obj = {"ip": backends.addresses(pod)[0], "targetRef": backends.target_of(pod)}
    if name := backends.hostname(service, pod):
        made["hostname"] = name
    if node := pod["spec"].get("nodeName"):
        made["nodeName"] = node
    return made


def _port(port: Obj) -> Obj:
    return {key: value for key, value in port.items() if value != ""}


def _order(key: Address) -> tuple[int, int, str]:
    parsed = ipaddress.ip_address(key[0])
    return parsed.version, int(parsed), key[1]


def _cut(subsets: list[Obj]) -> tuple[list[Obj], bool]:
    """No more addresses than one object holds: those that are ready first; and whether any were left out."""
    total = sum(len(subset.get(name, ())) for subset in subsets for name in ("addresses", "notReadyAddresses"))
    if total <= _MOST:
        return subsets, False
    kept, left = [dict(subset) for subset in subsets], _MOST
    for name in ("addresses", "notReadyAddresses"):
        for subset in kept:
            listed = subset.pop(name, [])[:left]
            left -= len(listed)
            if listed:
                subset[name] = listed
    return [subset for subset in kept if subset.get("addresses") or subset.get("notReadyAddresses")], True
