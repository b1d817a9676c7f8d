"""EndpointSlices: the addresses behind a Service in objects of bounded size, with Kubernetes' defaults, rules and columns."""

from collections.abc import Iterator

from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.columns import some, tolerant
from kedge.kube.endpoints import is_here
from kedge.kube.kinds import Column, Kind, Obj
from kedge.kube.schemas import CoreSchema

_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")


def _default(slice_: Obj) -> None:
    """Fill in what a real API server fills in."""
    for _, port in faults.objects(slice_.get("ports")):
        port["name"] = port.get("name") or ""
        port["protocol"] = port.get("protocol") or "TCP"
    for _, endpoint in faults.objects(slice_.get("endpoints")):
        endpoint.setdefault("conditions", {})
    slice_.setdefault("endpoints", [])


def _validate(slice_: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule; the type of addresses may not change."""
    found = list(_slice_faults(slice_))
    if old is not None and old.get("addressType") != slice_.get("addressType"):
        found.append(faults.invalid("addressType", slice_.get("addressType"), "field is immutable"))
    return found


def _slice_faults(slice_: Obj) -> Iterator[Cause]:
    if not (kind := slice_.get("addressType")):
        yield faults.required("addressType")
    elif kind not in _ADDRESS_TYPES:
        yield faults.unsupported("addressType", kind, _ADDRESS_TYPES)
    names = set[str]()
    for index, port in faults.objects(slice_.get("ports")):
        if name := port.get("name"):
            yield from faults.label(f"ports[{index}].name", name)
        if (name := port.get("name") or "") in names:
            yield faults.duplicate(f"ports[{index}].name", name)
        names.add(name)
        yield from faults.one_of(port, "protocol", f"ports[{index}]", faults.PROTOCOLS)
        if "port" in port:
            yield from faults.port(f"ports[{index}].port", port["port"])
    yield from _endpoint_faults(slice_)


def _endpoint_faults(slice_: Obj) -> Iterator[Cause]:
    kind = slice_.get("addressType")
    for index, endpoint in faults.objects(slice_.get("endpoints")):
        at = f"endpoints[{index}].addresses"
        if not endpoint.get("addresses"):
            yield faults.required(at, "must contain at least 1 address")
        for place, address in enumerate(endpoint.get("addresses") or ()):
            if kind in {"IPv4", "IPv6"}:
                yield from faults.reachable(f"{at}[{place}]", address, here=is_here(slice_, endpoint))
            else:
                yield from faults.subdomain(f"{at}[{place}]", address)


def _slice_ports(slice_: Obj) -> str:
    ports = slice_.get("ports")
    if not ports:
        return "<unset>"
    return some(["*" if port.get("port") is None else str(port["port"]) for port in ports], "<unset>")


def _slice_addresses(slice_: Obj) -> str:
    return some([each for endpoint in slice_.get("endpoints") or () for each in endpoint.get("addresses") or ()], "<unset>")


ENDPOINT_SLICE = Kind(
    "EndpointSlice",
    "endpointslices",
    group="discovery.k8s.io",
    counted=True,
    schema=CoreSchema("EndpointSlice"),
    default=_default,
    validate=_validate,
    columns=tolerant(
        Column("AddressType", lambda slice_: slice_.get("addressType"), description="IPv4, IPv6 or FQDN."),
        Column("Ports", _slice_ports, description="Their ports."),
        Column("Endpoints", _slice_addresses, description="Their addresses."),
    ),
)
