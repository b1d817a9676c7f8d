"""Services, with Kubernetes' defaults, rules and columns."""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.columns import tolerant
from kedge.kube.kinds import Column, Kind, Obj
from kedge.kube.schemas import CoreSchema

HEADLESS = "None"
OWN = ("default", "kubernetes")
"""Namespace and name of the Service of the API itself."""
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
EXTERNAL = frozenset({"NodePort", "LoadBalancer"})
_AFFINITIES = ("ClientIP", "None")
_TRAFFIC = ("Cluster", "Local")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_AFFINITY_SECONDS = 10800
_DAY = 86400
_ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'"


# -- defaults -----------------------------------------------------------------------------------------------------------


def _default(service: Obj) -> None:
    """Fill in what a real API server fills in; addresses and node ports are given by the host's allocator."""
    service["status"] = {"loadBalancer": {}, **(service.get("status") or {})}
    spec = service.setdefault("spec", {})
    spec["type"] = spec.get("type") or "ClusterIP"
    for _, port in faults.objects(spec.get("ports")):
        port["protocol"] = port.get("protocol") or "TCP"
        if port.get("targetPort") in {None, 0, ""}:
            port["targetPort"] = port.get("port", 0)
    _default_affinity(spec)
    if spec["type"] in EXTERNAL:
        spec["externalTrafficPolicy"] = spec.get("externalTrafficPolicy") or "Cluster"
    if spec["type"] != "ExternalName":
        spec["internalTrafficPolicy"] = spec.get("internalTrafficPolicy") or "Cluster"
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def _default_affinity(spec: Obj) -> None:
    spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
    if spec["sessionAffinity"] == "ClientIP":
        client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        client.setdefault("timeoutSeconds", _AFFINITY_SECONDS)
    else:
        spec.pop("sessionAffinityConfig", None)


def carry(new: Obj, old: Obj) -> None:
    """Keep in an update what the host has given a Service, where its sender left it out; drop what its new type has not.

    Args:
        new: The next spec; changed in place.
        old: The spec that is stored.
    """
    _follow_address(new, old)
    if _has_address(old) and _has_address(new):
        if not new.get("clusterIP") and not new.get("clusterIPs"):
            new["clusterIP"], new["clusterIPs"] = old.get("clusterIP"), old.get("clusterIPs")
    elif _has_address(old) and new.get("clusterIP") == old.get("clusterIP"):
        for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            new.pop(key, None)
    if _has_address(old) and _has_address(new):
        for key in ("ipFamilies", "ipFamilyPolicy"):
            if not new.get(key) and old.get(key):
                new[key] = old[key]
    if new["type"] in EXTERNAL:
        _keep_node_ports(new, old)
    else:
        _drop_node_ports(new, old)
    _drop_others(new, old)


def _follow_address(new: Obj, old: Obj) -> None:
    """The list of addresses follows the address, where only that was changed."""
    if new.get("clusterIP") != old.get("clusterIP") and new.get("clusterIPs") == old.get("clusterIPs"):
        new["clusterIPs"] = [new["clusterIP"]] if new.get("clusterIP") else None
    if not new.get("clusterIPs"):
        new.pop("clusterIPs", None)
    if not new.get("clusterIP"):
        new.pop("clusterIP", None)


def _has_address(spec: Obj) -> bool:
    return spec.get("type") != "ExternalName"


def _place(port: Obj) -> tuple[Any, Any]:
    return port.get("protocol") or "TCP", port.get("port")


def _keep_node_ports(new: Obj, old: Obj) -> None:
    known = {_place(port): port["nodePort"] for _, port in faults.objects(old.get("ports")) if port.get("nodePort")}
    taken = {port["nodePort"] for _, port in faults.objects(new.get("ports")) if port.get("nodePort")}
    for _, port in faults.objects(new.get("ports")):
        if not port.get("nodePort") and (found := known.get(_place(port))) and found not in taken:
            port["nodePort"] = found


def _drop_node_ports(new: Obj, old: Obj) -> None:
    if old.get("type") not in EXTERNAL:
        return
    before = {port.get("nodePort") for _, port in faults.objects(old.get("ports"))}
    for _, port in faults.objects(new.get("ports")):
        if port.get("nodePort") in before:
            port.pop("nodePort", None)


def _drop_others(new: Obj, old: Obj) -> None:
    """Fields of the old type that its sender did not touch."""
    dropped: list[str] = []
    if new["type"] not in EXTERNAL:
        dropped.append("externalTrafficPolicy")
    if new["type"] != "LoadBalancer":
        dropped += ["allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort"]
    if new["type"] == "ExternalName":
        dropped.append("internalTrafficPolicy")
    for key in dropped:
        if new.get(key) == old.get(key):
            new.pop(key, None)


# -- rules --------------------------------------------------------------------------------------------------------------


def _validate(service: Obj, old: Obj | None) -> list[Cause]:
    """Name each field that breaks a rule; for a change, also each field that may not change."""
    spec = service.get("spec") or {}
    if old is not None and spec == old.get("spec"):
        return []
    found = list(_name_faults(service)) if old is None else list(_change_faults(spec, old.get("spec") or {}))
    return found + list(_spec_faults(spec))


def _name_faults(service: Obj) -> Iterator[Cause]:
    name = service["metadata"]["name"]
    if "." in name:
        yield faults.invalid("metadata.name", name, "must not contain dots")
    elif len(name) > 63:
        yield faults.invalid("metadata.name", name, "must be no more than 63 characters")


def _change_faults(new: Obj, old: Obj) -> Iterator[Cause]:
    if not (_has_address(old) and _has_address(new)):
        return
    before, after = old.get("clusterIPs") or [], new.get("clusterIPs") or []
    if before and before[:1] != after[:1]:
        yield faults.invalid("spec.clusterIPs[0]", after, "may not change once set")


def _spec_faults(spec: Obj) -> Iterator[Cause]:
    kind = spec.get("type")
    external_name = kind == "ExternalName"
    if not spec.get("ports") and not external_name and spec.get("clusterIP") != HEADLESS:
        yield faults.required("spec.ports")
    yield from faults.one_of(spec, "type", "spec", _TYPES)
    if external_name:
        name = (spec.get("externalName") or "").removesuffix(".")
        yield from faults.subdomain("spec.externalName", name) if name else [faults.required("spec.externalName")]
    yield from _port_faults(spec)
    yield from faults.labels("spec.selector", spec.get("selector"))
    yield from _affinity_faults(spec)
    yield from _address_faults(spec)
    yield from _traffic_faults(spec)
    yield from _balancer_faults(spec)


def _port_faults(spec: Obj) -> Iterator[Cause]:
    ports = list(faults.objects(spec.get("ports")))
    names, places, nodes = set[str](), set[tuple[Any, Any]](), set[tuple[Any, Any]]()
    for index, port in ports:
        at = f"spec.ports[{index}]"
        yield from _port_name_faults(port, at, names, several=len(ports) > 1)
        yield from faults.port(f"{at}.port", port.get("port"))
        if port.get("protocol") not in faults.PROTOCOLS:
            yield faults.unsupported(f"{at}.protocol", port.get("protocol"), faults.PROTOCOLS)
        yield from faults.port_or_name(f"{at}.targetPort", port.get("targetPort"))
        if protocol := port.get("appProtocol"):
            yield from faults.qualified(f"{at}.appProtocol", protocol)
        if spec.get("type") not in EXTERNAL and port.get("nodePort"):
            yield faults.forbidden(f"{at}.nodePort", f"may not be used when `type` is '{spec.get('type')}'")
        if node := port.get("nodePort"):
            if (port.get("protocol"), node) in nodes:
                yield faults.duplicate(f"{at}.nodePort", node)
            nodes.add((port.get("protocol"), node))
        if _place(port) in places:
            shown = {"Name": "", "Protocol": port.get("protocol"), "AppProtocol": None, "Port": port.get("port")}
            yield faults.duplicate(at, {**shown, "TargetPort": 0, "NodePort": 0})
        places.add(_place(port))


def _port_name_faults(port: Obj, at: str, names: set[str], *, several: bool) -> Iterator[Cause]:
    if not (name := port.get("name")):
        if several:
            yield faults.required(f"{at}.name")
        return
    yield from faults.label(f"{at}.name", name)
    if name in names:
        yield faults.duplicate(f"{at}.name", name)
    names.add(name)


def _affinity_faults(spec: Obj) -> Iterator[Cause]:
    yield from faults.one_of(spec, "sessionAffinity", "spec", _AFFINITIES)
    seconds = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
    if seconds is not None and not 0 < seconds <= _DAY:
        at = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        yield faults.invalid(at, seconds, f"must be greater than 0 and less than {_DAY}")


def _address_faults(spec: Obj) -> Iterator[Cause]:
    addresses, first = spec.get("clusterIPs") or [], spec.get("clusterIP")
    if spec.get("type") == "ExternalName":
        if addresses:
            yield faults.forbidden("spec.clusterIPs", "may not be set for ExternalName services")
        return
    if addresses and not first:
        yield faults.invalid("spec.clusterIPs", addresses, "must be empty when `clusterIP` is not specified")
    elif addresses and addresses[0] != first:
        yield faults.invalid("spec.clusterIPs", addresses, "first value must match `clusterIP`")
    elif addresses and first == HEADLESS:
        if spec.get("type") in EXTERNAL:
            yield faults.invalid("spec.clusterIPs[0]", HEADLESS, f"may not be set to 'None' for {spec['type']} services")
    else:
        for index, address in enumerate(addresses):
            yield from faults.address(f"spec.clusterIPs[{index}]", address)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        yield from faults.reachable(f"spec.externalIPs[{index}]", address)
    yield from _family_faults(spec)


def _family_faults(spec: Obj) -> Iterator[Cause]:
    """This host has one family of addresses; a headless Service whose endpoints somebody else writes may have any."""
    yield from faults.one_of(spec, "ipFamilyPolicy", "spec", _POLICIES)
    if spec.get("clusterIP") == HEADLESS and not spec.get("selector"):
        return
    if spec.get("ipFamilyPolicy") == "RequireDualStack":
        why = "this cluster is not configured for dual-stack services"
        yield faults.invalid("spec.ipFamilyPolicy", "RequireDualStack", why)
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family != "IPv4":
            yield faults.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")


def _traffic_faults(spec: Obj) -> Iterator[Cause]:
    yield from faults.one_of(spec, "internalTrafficPolicy", "spec", _TRAFFIC)
    if (policy := spec.get("externalTrafficPolicy")) is not None:
        if spec.get("type") not in EXTERNAL and not spec.get("externalIPs"):
            yield faults.invalid("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services")
        else:
            yield from faults.one_of(spec, "externalTrafficPolicy", "spec", _TRAFFIC)
    yield from faults.one_of(spec, "trafficDistribution", "spec", _DISTRIBUTIONS)


def _balancer_faults(spec: Obj) -> Iterator[Cause]:
    balanced = spec.get("type") == "LoadBalancer"
    if ranges := spec.get("loadBalancerSourceRanges"):
        if not balanced:
            yield faults.forbidden("spec.LoadBalancerSourceRanges", _ONLY_BALANCED)
        for index, each in enumerate(ranges):
            if faults.network(each) is None:
                yield faults.invalid(f"spec.LoadBalancerSourceRanges[{index}]", each, faults.CIDR_RULE)
    if not balanced:
        for key in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if spec.get(key) is not None:
                yield faults.forbidden(f"spec.{key}", _ONLY_BALANCED)
    if (number := spec.get("healthCheckNodePort")) and not (balanced and spec.get("externalTrafficPolicy") == "Local"):
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield faults.invalid("spec.healthCheckNodePort", number, why)


# -- columns ------------------------------------------------------------------------------------------------------------


def _spec(service: Obj) -> Obj:
    return service.get("spec") or {}


def _type(service: Obj) -> str:
    return _spec(service).get("type") or ""


def _cluster_address(service: Obj) -> str:
    return _spec(service).get("clusterIP") or "<none>"


def _external_address(service: Obj) -> str:
    spec = _spec(service)
    if spec.get("type") == "ExternalName":
        return spec.get("externalName") or ""
    balanced = spec.get("type") == "LoadBalancer"
    given: list[str] = [str(each.get("ip") or each.get("hostname")) for each in _ingress(service)] if balanced else []
    return ",".join([*given, *(spec.get("externalIPs") or ())]) or ("<pending>" if balanced else "<none>")


def _ingress(service: Obj) -> list[Obj]:
    return ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []


def _service_ports(service: Obj) -> str:
    texts = [
        f"{port['port']}:{port['nodePort']}/{port['protocol']}" if port.get("nodePort") else f"{port['port']}/{port['protocol']}"
        for port in _spec(service).get("ports") or ()
    ]
    return ",".join(texts) or "<none>"


def _selector(service: Obj) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((_spec(service).get("selector") or {}).items())) or "<none>"


SERVICE = Kind(
    "Service",
    "services",
    short_names=("svc",),
    categories=("all",),
    subresources=("status",),
    counted=False,
    schema=CoreSchema("Service"),
    field_selectors=("spec.clusterIP", "spec.type"),
    default=_default,
    validate=_validate,
    columns=tolerant(
        Column("Type", _type, description="How it is reached."),
        Column("Cluster-IP", _cluster_address, description="Its address for Pods; None for a headless one."),
        Column("External-IP", _external_address, description="Its address from outside."),
        Column("Port(s)", _service_ports, description="Its ports."),
        Column("Selector", _selector, priority=1, description="The Pods behind it."),
    ),
)
