"""Ingress, IngressClass and NetworkPolicy: kept with Kubernetes' defaults, rules and columns.

Nothing of this host acts on them: what they ask for is done by a cluster's own parts.
"""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.columns import some, tolerant
from kedge.kube.kinds import Column, Kind, Obj
from kedge.kube.schemas import CoreSchema

GROUP = "networking.k8s.io"
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_DIRECTIONS = ("Ingress", "Egress")
_PROTOCOLS = ("TCP", "UDP", "SCTP")


def _default_ingress(ingress: Obj) -> None:
    ingress["status"] = {"loadBalancer": {}, **(ingress.get("status") or {})}


def _validate_ingress(ingress: Obj, old: Obj | None) -> list[Cause]:
    spec = ingress.get("spec") or {}
    return [] if old is not None and spec == old.get("spec") else list(_ingress_faults(spec))


def _ingress_faults(spec: Obj) -> Iterator[Cause]:
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield faults.invalid("spec", None, "either `defaultBackend` or `rules` must be specified")
    if (backend := spec.get("defaultBackend")) is not None:
        yield from _backend_faults(backend, "spec.defaultBackend")
    for index, rule in faults.objects(spec.get("rules")):
        at = f"spec.rules[{index}]"
        if host := rule.get("host"):
            if faults.is_address(host):
                yield faults.invalid(f"{at}.host", host, "must be a DNS name, not an IP address")
            else:
                yield from faults.subdomain(f"{at}.host", host, wildcard=True)
        if (http := rule.get("http")) is not None:
            if not http.get("paths"):
                yield faults.required(f"{at}.http.paths")
            for place, path in faults.objects(http.get("paths")):
                yield from _path_faults(path, f"{at}.http.paths[{place}]")
    if name := spec.get("ingressClassName"):
        yield from faults.subdomain("spec.ingressClassName", name)


def _path_faults(path: Obj, at: str) -> Iterator[Cause]:
    kind, value = path.get("pathType"), path.get("path") or ""
    if not kind:
        yield faults.required(f"{at}.pathType", "pathType must be specified")
        return
    if kind not in _PATH_TYPES:
        yield faults.unsupported(f"{at}.pathType", kind, _PATH_TYPES)
    elif kind != "ImplementationSpecific" or value:
        if not value.startswith("/"):
            yield faults.invalid(f"{at}.path", value, "must be an absolute path")
        if kind != "ImplementationSpecific":
            for part in ("//", "/./", "/../", "%2f", "%2F"):
                if part in value:
                    yield faults.invalid(f"{at}.path", value, f"must not contain '{part}'")
    yield from _backend_faults(path.get("backend") or {}, f"{at}.backend")


def _backend_faults(backend: Obj, at: str) -> Iterator[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if resource is not None and service is not None:
        yield faults.invalid(at, "", "cannot set both resource and service backends")
    elif resource is None and service is None:
        yield faults.required(at, "resource or service backend is required")
    elif service is not None:
        if not service.get("name"):
            yield faults.required(f"{at}.service.name")
        else:
            yield from faults.label(f"{at}.service.name", service["name"])
        port = service.get("port") or {}
        if port.get("name") and port.get("number"):
            yield faults.invalid(at, "", "cannot set both port name & port number")
        elif not port.get("name") and not port.get("number"):
            yield faults.required(at, "port name or number is required")
        elif name := port.get("name"):
            yield from faults.port_name(f"{at}.service.port.name", name)
        else:
            yield from faults.port(f"{at}.service.port.number", port.get("number"))


def _validate_class(class_: Obj, old: Obj | None) -> list[Cause]:
    found = list(_class_faults(class_.get("spec") or {}))
    before, after = ((each or {}).get("spec", {}).get("controller") for each in (old, class_))
    if old is not None and before != after:
        found.append(faults.invalid("spec.controller", after, "field is immutable"))
    return found


def _class_faults(spec: Obj) -> Iterator[Cause]:
    controller = spec.get("controller") or ""
    if not controller:
        yield faults.required("spec.controller")
    elif "/" not in controller.strip("/"):
        yield faults.invalid("spec.controller", controller, 'must be a domain-prefixed path (such as "acme.io/foo")')
    if (parameters := spec.get("parameters")) is not None:
        for key in ("kind", "name"):
            if not parameters.get(key):
                yield faults.required(f"spec.parameters.{key}")


def _default_policy(policy: Obj) -> None:
    spec = policy.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for key in ("ingress", "egress"):
        for _, rule in faults.objects(spec.get(key)):
            for _, port in faults.objects(rule.get("ports")):
                port["protocol"] = port.get("protocol") or "TCP"


def _validate_policy(policy: Obj, old: Obj | None) -> list[Cause]:
    spec = policy.get("spec") or {}
    return [] if old is not None and spec == old.get("spec") else list(_policy_faults(spec))


def _policy_faults(spec: Obj) -> Iterator[Cause]:
    yield from faults.selector("spec.podSelector", spec.get("podSelector"))
    for key, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in faults.objects(spec.get(key)):
            at = f"spec.{key}[{index}]"
            for place, port in faults.objects(rule.get("ports")):
                yield from _policy_port_faults(port, f"{at}.ports[{place}]")
            for place, peer in faults.objects(rule.get(peers)):
                yield from _peer_faults(peer, f"{at}.{peers}[{place}]")
    for index, direction in enumerate(spec.get("policyTypes") or ()):
        if direction not in _DIRECTIONS:
            yield faults.unsupported(f"spec.policyTypes[{index}]", direction, _DIRECTIONS)


def _policy_port_faults(port: Obj, at: str) -> Iterator[Cause]:
    number, end = port.get("port"), port.get("endPort")
    yield from faults.one_of(port, "protocol", at, _PROTOCOLS)
    if number is not None:
        yield from faults.port_or_name(f"{at}.port", number)
    if end is None:
        return
    if number is None:
        yield faults.invalid(f"{at}.endPort", end, "may not be specified when `port` is not specified")
    elif isinstance(number, str):
        yield faults.invalid(f"{at}.endPort", end, "may not be specified when `port` is non-numeric")
    elif end < number:
        yield faults.invalid(f"{at}.endPort", number, "must be greater than or equal to `port`")


def _peer_faults(peer: Obj, at: str) -> Iterator[Cause]:
    others = [key for key in ("podSelector", "namespaceSelector") if peer.get(key) is not None]
    for key in others:
        yield from faults.selector(f"{at}.{key}", peer[key])
    block = peer.get("ipBlock")
    if block is not None:
        yield from _block_faults(block, f"{at}.ipBlock")
    if not others and block is None:
        yield faults.required(at, "must specify a peer")
    elif others and block is not None:
        yield faults.forbidden(at, "may not specify both ipBlock and another peer")


def _block_faults(block: Obj, at: str) -> Iterator[Cause]:
    outer = faults.network(block.get("cidr"))
    if not block.get("cidr"):
        yield faults.required(f"{at}.cidr")
    elif outer is None:
        yield faults.invalid(f"{at}.cidr", block["cidr"], faults.CIDR_RULE)
    for index, text in enumerate(block.get("except") or ()):
        inner: Any = faults.network(text)
        if inner is None:
            yield faults.invalid(f"{at}.except[{index}]", text, faults.CIDR_RULE)
        elif outer is not None and not (inner.version == outer.version and inner != outer and inner.subnet_of(outer)):
            yield faults.invalid(f"{at}.except[{index}]", text, "must be a strict subset of `cidr`")


def _spec(obj: Obj) -> Obj:
    return obj.get("spec") or {}


def _hosts(ingress: Obj) -> str:
    return some([rule["host"] for _, rule in faults.objects(_spec(ingress).get("rules")) if rule.get("host")], "*")


def _addresses(ingress: Obj) -> str:
    found = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(str(each.get("ip") or each.get("hostname") or "") for each in found)


def _parameters(class_: Obj) -> str:
    found = _spec(class_).get("parameters")
    if not found:
        return "<none>"
    kind = f"{found['kind']}.{found['apiGroup']}" if found.get("apiGroup") else found["kind"]
    return f"{kind}/{found['name']}"


def _pod_selector(policy: Obj) -> str:
    selector = _spec(policy).get("podSelector") or {}
    texts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    words = {"In": "in", "NotIn": "notin"}
    for _, term in faults.objects(selector.get("matchExpressions")):
        if term.get("operator") in words:
            texts.append(f"{term['key']} {words[term['operator']]} ({','.join(sorted(term.get('values') or ()))})")
        else:
            texts.append(("" if term.get("operator") == "Exists" else "!") + str(term.get("key")))
    return ",".join(texts) or "<none>"


INGRESS = Kind(
    "Ingress",
    "ingresses",
    group=GROUP,
    short_names=("ing",),
    subresources=("status",),
    schema=CoreSchema("Ingress"),
    default=_default_ingress,
    validate=_validate_ingress,
    columns=tolerant(
        Column("Class", lambda obj: _spec(obj).get("ingressClassName") or "<none>", description="Who acts on it."),
        Column("Hosts", _hosts, description="Names that it is for."),
        Column("Address", _addresses, description="Where it is reached."),
        Column("Ports", lambda obj: "80, 443" if _spec(obj).get("tls") else "80", description="Its ports."),
    ),
)
INGRESS_CLASS = Kind(
    "IngressClass",
    "ingressclasses",
    group=GROUP,
    namespaced=False,
    counted=True,
    schema=CoreSchema("IngressClass"),
    validate=_validate_class,
    columns=tolerant(
        Column("Controller", lambda obj: _spec(obj).get("controller"), description="What acts on it."),
        Column("Parameters", _parameters, description="More about it."),
    ),
)
NETWORK_POLICY = Kind(
    "NetworkPolicy",
    "networkpolicies",
    group=GROUP,
    short_names=("netpol",),
    counted=True,
    schema=CoreSchema("NetworkPolicy"),
    default=_default_policy,
    validate=_validate_policy,
    columns=tolerant(Column("Pod-Selector", _pod_selector, description="The Pods that it is for.")),
)
KINDS = (INGRESS, INGRESS_CLASS, NETWORK_POLICY)
