"""The controllers of what Services lead to, wired: which change of what makes which of them look again."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

from kedge import errors
from kedge.client.types import Client
from kedge.control.controller import Controller, Reconciler, reconcile
from kedge.control.informer import Informer
from kedge.kube.clock import Clock
from kedge.kube.core import POD
from kedge.kube.endpoint_slices import ENDPOINT_SLICE
from kedge.kube.endpoints import ENDPOINTS
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, key_of, labels_of
from kedge.kube.services import SERVICE
from kedge.workloads import backends, endpoints, endpointslices, mirroring
from kedge.workloads.keeping import itself

_BY_NAMESPACE = "namespace"
_TERMINATING = "NamespaceTerminating"

S = TypeVar("S")


class Reaching:
    """The controllers of Endpoints and EndpointSlices, and what they follow.

    Args:
        client: Reads and writes objects.
        clock: For delays.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._services = Informer(client, SERVICE, clock)
        self._pods = Informer(client, POD, clock).keeping(backends.glimpse)
        self._endpoints, self._slices = (Informer(client, kind, clock) for kind in (ENDPOINTS, ENDPOINT_SLICE))
        for informer in (self._services, self._pods):
            informer.index(_BY_NAMESPACE, lambda obj: [key_of(obj).namespace])
        older = self._controller("endpoints", endpoints.EndpointsOfServices(self._behind))
        older.follow(self._services, itself)
        older.follow(self._pods, self._services_of)
        older.follow(self._endpoints, _left)
        newer = self._controller("endpointslices", endpointslices.SlicesOfServices(self._behind))
        newer.follow(self._services, itself)
        newer.follow(self._pods, self._services_of)
        newer.follow(self._slices, lambda old, new: _of_slice(old, new, endpointslices.CONTROLLER))
        mirrors = self._controller("endpointslicemirroring", mirroring.MirroredEndpoints())
        mirrors.follow(self._services, itself)
        mirrors.follow(self._endpoints, itself)
        mirrors.follow(self._slices, lambda old, new: _of_slice(old, new, mirroring.CONTROLLER))
        self.controllers: tuple[Controller[Key], ...] = (older, newer, mirrors)

    @property
    def informers(self) -> tuple[Informer, ...]:
        """What must run beside the controllers."""
        return self._services, self._pods, self._endpoints, self._slices

    def _controller(self, name: str, reconciler: Reconciler[Key, S]) -> Controller[Key]:
        return Controller(name, _unless_emptied(reconciler, self._client, self._clock), self._clock)

    def _behind(self, service: Obj) -> Iterable[Obj]:
        found = self._pods.find(_BY_NAMESPACE, key_of(service).namespace)
        return [pod for pod in found if backends.matches(service, pod)]

    def _services_of(self, old: Obj | None, new: Obj | None) -> set[Key]:
        if old is not None and new is not None and _without_version(old) == _without_version(new):
            return set()
        changed = [pod for pod in (old, new) if pod is not None]
        services = self._services.find(_BY_NAMESPACE, key_of(changed[0]).namespace)
        return {key_of(service) for service in services for pod in changed if backends.matches(service, pod)}


def _unless_emptied(reconciler: Reconciler[Key, S], client: Client, clock: Clock) -> Callable[[Key], Awaitable[float | None]]:
    """One pass of a reconciler. What a namespace that is emptied refuses is no news."""

    async def handle(key: Key) -> float | None:
        try:
            _, again = await reconcile(reconciler, client, key, clock.now())
        except errors.Forbidden as error:
            if any(cause.reason == _TERMINATING for cause in error.causes):
                return None
            raise
        return again

    return handle


def _left(old: Obj | None, new: Obj | None) -> list[Key]:
    """Endpoints that are gone, and those of a Service that a controller before this one may have left behind."""
    if new is None:
        return [key_of(old)] if old is not None else []
    return [key_of(new)] if old is None and endpoints.MANAGED_BY in labels_of(new) else []


def _of_slice(old: Obj | None, new: Obj | None, controller: str) -> Iterator[Key]:
    for obj in (old, new):
        labels = labels_of(obj) if obj is not None else {}
        if obj is not None and labels.get(endpointslices.MANAGED_BY) == controller and labels.get(endpointslices.SERVICE_NAME):
            yield Key(key_of(obj).namespace, labels[endpointslices.SERVICE_NAME])


def _without_version(pod: Obj) -> Obj:
    return {**pod, "metadata": {key: value for key, value in pod["metadata"].items() if key != "resourceVersion"}}
