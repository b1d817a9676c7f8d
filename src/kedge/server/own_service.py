"""The Service ``kubernetes``, by which Pods find this API: made at every start, and again whenever it is deleted.

As on a real API server, whose reconciler makes it anew, and gives its endpoints back what somebody has written over; the
Service's own fields are put right at a start alone.
"""

import asyncio

from kedge.errors import NotFound
from kedge.kube.endpoint_slices import ENDPOINT_SLICE
from kedge.kube.endpoints import ENDPOINTS
from kedge.kube.kinds import Kind, Obj
from kedge.kube.services import OWN, SERVICE
from kedge.server.allocations import API_SERVER
from kedge.server.api import Api
from kedge.server.core import Target, key
from kedge.store.types import Record, Store

_NAMESPACE, _NAME = OWN


class OwnService:
    """Keeps it while a host runs.

    Args:
        api: The server.
        store: Its store, which tells of changes.
        host: The IP at which the API is served.
        number: The port, which may be another one after each start.
    """

    def __init__(self, api: Api, store: Store, host: str, number: int) -> None:
        self._api = api
        self._service, *self._endpoints = _wanted(host, number)
        self._set(*self._service)
        self._keep()
        for kind, _ in (self._service, *self._endpoints):
            place = key(Target(kind, _NAMESPACE, _NAME))
            store.subscribe(place, lambda record, place=place: self._changed(record, place))

    def _changed(self, record: Record, place: str) -> None:
        """Look again once the write is done that this is told of."""
        if record.key == place:
            asyncio.get_running_loop().call_soon(self._keep)

    def _keep(self) -> None:
        kind, service = self._service
        if self._found(kind) is None:
            self._api.create(kind, service)
        for kind, obj in self._endpoints:
            self._set(kind, obj)

    def _set(self, kind: Kind, wanted: Obj) -> None:
        found = self._found(kind)
        if found is None:
            self._api.create(kind, wanted)
        elif any(found.get(key) != value for key, value in wanted.items() if key != "metadata"):
            self._api.update(kind, {**found, **wanted, "metadata": {**found["metadata"], "labels": wanted["metadata"]["labels"]}})

    def _found(self, kind: Kind) -> Obj | None:
        try:
            return self._api.get(kind, _NAME, _NAMESPACE)
        except NotFound:
            return None


def _wanted(host: str, number: int) -> list[tuple[Kind, Obj]]:
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": number}
    spec = {"clusterIP": API_SERVER, "ports": [port], "sessionAffinity": "None", "type": "ClusterIP"}
    ports = [{"name": "https", "port": number, "protocol": "TCP"}]
    endpoints: list[Obj] = [{"addresses": [host], "conditions": {"ready": True}}]
    return [
        (SERVICE, {"metadata": _meta(component="apiserver", provider="kubernetes"), "spec": spec}),
        (
            ENDPOINTS,
            {
                "metadata": _meta(**{"endpointslice.kubernetes.io/skip-mirror": "true"}),
                "subsets": [{"addresses": [{"ip": host}], "ports": ports}],
            },
        ),
        (
            ENDPOINT_SLICE,
            {
                "metadata": _meta(**{"kubernetes.io/service-name": _NAME}),
                "addressType": "IPv4",
                "endpoints": endpoints,
                "ports": ports,
            },
        ),
    ]


def _meta(**labels: str) -> Obj:
    return {"name": _NAME, "namespace": _NAMESPACE, "labels": labels}
