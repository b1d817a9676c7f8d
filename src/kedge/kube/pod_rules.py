"""The rules of what a Pod says, in the words and at the places of a real API server."""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import container_rules, faults, placement, probes, security_rules, volume_rules
from kedge.kube.kinds import Obj

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTIONS = ("PreemptLowerPriority", "Never")
_SERVERS, _SEARCHES, _SEARCH_LETTERS = 3, 32, 2048


def spec_faults(spec: Obj, path: str = "spec") -> Iterator[Cause]:
    """What is wrong with a Pod's spec, or with that of a template.

    Args:
        spec: The spec.
        path: Where it stands.
    """
    volumes, found = volume_rules.faults_of(spec.get("volumes"), f"{path}.volumes")
    yield from found
    yield from container_rules.faults_of(spec, volumes, path)
    yield from faults.not_negative(spec, path, "terminationGracePeriodSeconds")
    yield from faults.one_of(spec, "restartPolicy", path, _RESTART_POLICIES)
    yield from faults.one_of(spec, "dnsPolicy", path, _DNS_POLICIES)
    yield from faults.labels(f"{path}.nodeSelector", spec.get("nodeSelector"))
    yield from security_rules.pod_faults(spec, path)
    yield from placement.affinity_faults(spec, f"{path}.affinity")
    yield from _dns_faults(spec, f"{path}.dnsConfig")
    yield from probes.gate_faults(spec, f"{path}.readinessGates")
    yield from _scheduling_gate_faults(spec, f"{path}.schedulingGates")
    yield from placement.spread_faults(spec, f"{path}.topologySpreadConstraints")
    yield from _host_user_faults(spec, path)
    yield from _name_faults(spec, path)
    yield from placement.toleration_faults(spec, f"{path}.tolerations")
    yield from _alias_faults(spec, f"{path}.hostAliases")
    for key in ("priorityClassName", "runtimeClassName"):
        if value := spec.get(key):
            yield from faults.subdomain(f"{path}.{key}", value)
    yield from faults.one_of(spec, "preemptionPolicy", path, _PREEMPTIONS)


def _name_faults(spec: Obj, path: str) -> Iterator[Cause]:
    for key in ("serviceAccountName", "nodeName"):
        if value := spec.get(key):
            yield from faults.subdomain(f"{path}.{key}", value)
    yield from faults.between(f"{path}.activeDeadlineSeconds", spec.get("activeDeadlineSeconds"), 1)
    for key in ("hostname", "subdomain"):
        if value := spec.get(key):
            yield from faults.label(f"{path}.{key}", value)


def _dns_faults(spec: Obj, at: str) -> Iterator[Cause]:
    config: Any = spec.get("dnsConfig")
    servers, searches = ((config or {}).get(key) or [] for key in ("nameservers", "searches"))
    if spec.get("dnsPolicy") == "None":
        if config is None:
            yield faults.required(at, "must provide `dnsConfig` when `dnsPolicy` is None")
        elif not servers:
            yield faults.required(f"{at}.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
    if len(servers) > _SERVERS:
        yield faults.invalid(f"{at}.nameservers", servers, f"must not have more than {_SERVERS} nameservers")
    for index, server in enumerate(servers):
        yield from faults.address(f"{at}.nameservers[{index}]", server)
    yield from _search_faults(searches, f"{at}.searches")
    for index, option in faults.objects((config or {}).get("options")):
        if not option.get("name"):
            yield faults.required(f"{at}.options[{index}]", "must not be empty")


def _search_faults(searches: list[str], at: str) -> Iterator[Cause]:
    if len(searches) > _SEARCHES:
        yield faults.invalid(at, searches, f"must not have more than {_SEARCHES} search paths")
    if len(" ".join(searches)) > _SEARCH_LETTERS:
        why = f"must not have more than {_SEARCH_LETTERS} characters (including spaces) in the search list"
        yield faults.invalid(at, searches, why)
    for index, search in enumerate(searches):
        if search != ".":
            yield from faults.subdomain(f"{at}[{index}]", search.removesuffix("."), underscores=True)


def _scheduling_gate_faults(spec: Obj, at: str) -> Iterator[Cause]:
    seen = set[str]()
    for index, gate in faults.objects(spec.get("schedulingGates")):
        name = gate.get("name") or ""
        yield from faults.qualified(f"{at}[{index}]", name)
        if name in seen:
            yield faults.duplicate(f"{at}[{index}]", name)
        seen.add(name)


def _host_user_faults(spec: Obj, path: str) -> Iterator[Cause]:
    if spec.get("hostUsers") is False:
        for key, place in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
            if spec.get(key):
                yield faults.forbidden(f"{path}.{place}", "when `pod.Spec.HostUsers` is false")


def _alias_faults(spec: Obj, at: str) -> Iterator[Cause]:
    for index, alias in faults.objects(spec.get("hostAliases")):
        yield from faults.address(f"{at}[{index}].ip", alias.get("ip") or "")
        for place, name in enumerate(alias.get("hostnames") or ()):
            yield from faults.subdomain(f"{at}[{index}].hostnames[{place}]", name)


def pod_faults(spec: Obj) -> Iterator[Cause]:
    """What is wrong with the spec of a Pod alone, and would be right in a template."""
    for key in ("containers", "initContainers", "ephemeralContainers"):
        for index, container in faults.objects(spec.get(key)):
            if (image := container.get("image") or "") != image.strip():
                why = "must not have leading or trailing whitespace"
                yield faults.invalid(f"spec.{key}[{index}].image", image, why)


def new_pod_faults(spec: Obj) -> Iterator[Cause]:
    """What is wrong with the spec of a Pod as it is made, and would be right later."""
    if spec.get("ephemeralContainers"):
        yield faults.forbidden("spec.ephemeralContainers", "cannot be set on create")
    if spec.get("nodeName") and spec.get("schedulingGates"):
        yield faults.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")
