"""Endpoints: the addresses behind a Service in one object, with Kubernetes' defaults, rules and columns."""

from collections.abc import Iterator

from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.columns import some, tolerant
from kedge.kube.kinds import Column, Kind, Obj
from kedge.kube.schemas import CoreSchema
from kedge.kube.services import OWN


def _default(endpoints: Obj) -> None:
    """Fill in the protocol of ports."""
    for _, subset in faults.objects(endpoints.get("subsets")):
        for _, port in faults.objects(subset.get("ports")):
            port["protocol"] = port.get("protocol") or "TCP"


def _validate(endpoints: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule."""
    if old is not None and endpoints.get("subsets") == old.get("subsets"):
        return []
    return list(_subset_faults(endpoints))


def _subset_faults(endpoints: Obj) -> Iterator[Cause]:
    for index, subset in faults.objects(endpoints.get("subsets")):
        at = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            yield faults.required(at, "must specify `addresses` or `notReadyAddresses`")
        for key in ("addresses", "notReadyAddresses"):
            for place, address in faults.objects(subset.get(key)):
                yield from faults.reachable(f"{at}.{key}[{place}].ip", address.get("ip") or "", here=is_here(endpoints, address))
        ports = list(faults.objects(subset.get("ports")))
        for place, port in ports:
            if len(ports) > 1 and not port.get("name"):
                yield faults.required(f"{at}.ports[{place}].name")
            elif name := port.get("name"):
                yield from faults.label(f"{at}.ports[{place}].name", name)
            yield from faults.port(f"{at}.ports[{place}].port", port.get("port"))
            yield from faults.one_of(port, "protocol", f"{at}.ports[{place}]", faults.PROTOCOLS)


def is_here(owner: Obj, endpoint: Obj) -> bool:
    """Whether an endpoint may be at this machine's loopback: a Pod of the machine's network is, and so is the host's own API."""
    meta = owner["metadata"]
    return (endpoint.get("targetRef") or {}).get("kind") == "Pod" or (meta.get("namespace"), meta.get("name")) == OWN


def _endpoints(endpoints: Obj) -> str:
    """Addresses with their ports, port by port, as far as there is room."""
    texts: list[str] = []
    for _, subset in faults.objects(endpoints.get("subsets")):
        addresses = [each["ip"] for each in subset.get("addresses") or ()]
        if ports := subset.get("ports") or ():
            texts += [f"{address}:{port['port']}" for port in ports for address in addresses]
        else:
            texts += addresses
    return some(texts, "<none>")


ENDPOINTS = Kind(
    "Endpoints",
    "endpoints",
    short_names=("ep",),
    deprecated="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    schema=CoreSchema("Endpoints"),
    default=_default,
    validate=_validate,
    columns=tolerant(Column("Endpoints", _endpoints, description="Addresses that are ready, with their ports.")),
)
