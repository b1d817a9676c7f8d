"""Tells the Pods' network what Services there are, and which endpoints are ready: from EndpointSlices, whoever wrote them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from kedge.client.types import Reader
from kedge.control.informer import Informer
from kedge.kube.clock import Clock
from kedge.kube.endpoint_slices import ENDPOINT_SLICE
from kedge.kube.kinds import Obj
from kedge.kube.services import SERVICE

_OWNER = "kubernetes.io/service-name"
# Changes that come so soon after one another are told together.
_GATHER_SECONDS = 0.02
_STICKY_SECONDS = 10800
_PORT = ("name", "port", "protocol", "nodePort")

Tell = Callable[[list[dict[str, Any]]], Awaitable[None]]


class ServiceTable:
    """Watches, and tells.

    Args:
        reader: Of the Kubernetes API.
        clock: For pauses between attempts.
        tell: Called with the whole table after each change.
    """

    def __init__(self, reader: Reader, clock: Clock, tell: Tell) -> None:
        self._clock = clock
        self._tell = tell
        self._services = Informer(reader, SERVICE, clock).keeping(_of_service)
        self._slices = Informer(reader, ENDPOINT_SLICE, clock).keeping(_of_slice)
        self._changed = asyncio.Event()
        for informer in (self._services, self._slices):
            informer.on_change(lambda _old, _new: self.refresh())

    def refresh(self) -> None:
        """Tell the table again, soon."""
        self._changed.set()

    async def all(self) -> list[Obj]:
        """All Services, once they have been read."""
        await self._services.synced()
        return self._services.items()

    async def run(self) -> None:
        """Watch and tell, for ever."""
        async with asyncio.TaskGroup() as group:
            for informer in (self._services, self._slices):
                group.create_task(informer.run())
            await self._services.synced()
            await self._slices.synced()
            while True:
                await self._changed.wait()
                await self._clock.sleep(_GATHER_SECONDS)
                self._changed.clear()
                await self._tell(table(self._services.items(), self._slices.items()))


def table(services: Iterable[Obj], slices: Iterable[Obj]) -> list[dict[str, Any]]:
    """What the network is told: see `kedge.network.protocol`.

    Args:
        services: All Services.
        slices: All EndpointSlices; those of no Service, or of another family of addresses, count for nothing.
    """
    behind: dict[tuple[str, str], list[Obj]] = {}
    for each in slices:
        meta = each["metadata"]
        name = (meta.get("labels") or {}).get(_OWNER)
        if name and each.get("addressType") == "IPv4":
            behind.setdefault((meta["namespace"], name), []).append(each)
    return [_entry(each, behind.get((each["metadata"]["namespace"], each["metadata"]["name"]), [])) for each in services]


def _entry(service: Obj, slices: list[Obj]) -> dict[str, Any]:
    meta, spec = service["metadata"], service.get("spec") or {}
    endpoints: dict[tuple[str, str], dict[str, Any]] = {}
    for slice_ in slices:
        numbers: dict[str, int] = {each.get("name") or "": each["port"] for each in slice_.get("ports") or () if each.get("port")}
        for endpoint in slice_.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            for address in endpoint["addresses"]:
                key = (
                    address,
                    str((endpoint.get("targetRef") or {}).get("uid")),
                )  # Pods of the machine's network share the first
                found = endpoints.setdefault(key, {"ip": address, "hostname": endpoint.get("hostname") or "", "ports": {}})
                found["ports"].update(numbers)
    ports: list[Obj] = spec.get("ports") or []
    sticky = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds") or _STICKY_SECONDS
    return {
        "namespace": meta["namespace"],
        "name": meta["name"],
        "clusterIP": spec.get("clusterIP") or "",
        "externalName": spec.get("externalName") or "" if spec.get("type") == "ExternalName" else "",
        "ports": [{"name": "", "protocol": "TCP", **{name: each[name] for name in _PORT if each.get(name)}} for each in ports],
        "endpoints": [endpoints[key] for key in sorted(endpoints)],
        "affinity": sticky if spec.get("sessionAffinity") == "ClientIP" else 0,
    }


def _of_service(service: Obj) -> Obj:
    meta = service["metadata"]
    kept = {name: meta[name] for name in ("name", "namespace", "uid", "resourceVersion") if name in meta}
    return {"metadata": kept, "spec": service.get("spec") or {}}


def _of_slice(each: Obj) -> Obj:
    meta = each["metadata"]
    kept = {name: meta[name] for name in ("name", "namespace", "uid", "resourceVersion", "labels") if name in meta}
    return {"metadata": kept, **{name: each[name] for name in ("addressType", "endpoints", "ports") if name in each}}
