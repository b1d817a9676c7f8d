"""What the server has, in the two forms in which clients ask: group by group, or all at once (aggregated, v2)."""

import platform
from typing import Any

from kedge.kube.kinds import Kind, Obj
from kedge.server.registry import Registry

# The Kubernetes release whose API is spoken; clients compare minor versions and warn when they are more than one apart.
MAJOR, MINOR = "1", "36"

SUBRESOURCES: dict[str, tuple[tuple[str, ...], tuple[str, str, str] | None]] = {
    "status": (("get", "patch", "update"), None),
    "finalize": (("update",), None),
    "log": (("get",), None),
    "scale": (("get", "patch", "update"), ("autoscaling", "v1", "Scale")),
    "exec": (("create", "get"), ("", "v1", "PodExecOptions")),
    "attach": (("create", "get"), ("", "v1", "PodAttachOptions")),
    "portforward": (("create", "get"), ("", "v1", "PodPortForwardOptions")),
    "eviction": (("create",), ("policy", "v1", "Eviction")),
    "binding": (("create",), ("", "v1", "Binding")),
    "token": (("create",), ("authentication.k8s.io", "v1", "TokenRequest")),
}
"""What may be done with each subresource, and which kind travels there when it is not the object's own."""


def version(kedge_version: str) -> Obj:
    """The body of ``/version``.

    Args:
        kedge_version: Stands after the ``+``, where Kubernetes' distributions put their own.
    """
    return {
        "major": MAJOR,
        "minor": MINOR,
        "gitVersion": f"v{MAJOR}.{MINOR}.0+kedge.{kedge_version}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": platform.python_implementation(),
        "platform": f"{platform.system().lower()}/{platform.machine()}",
    }


def core_versions(address: str) -> Obj:
    """The body of ``/api``."""
    servers = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": servers}


def group_list(registry: Registry) -> Obj:
    """The body of ``/apis``."""
    groups = [_group(registry, name) for name in registry.groups if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(registry: Registry, name: str) -> Obj:
    """The body of ``/apis/GROUP``."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(registry, name)}


def _group(registry: Registry, name: str) -> Obj:
    versions = [{"groupVersion": f"{name}/{each}", "version": each} for each in registry.versions(name)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resource_list(registry: Registry, group_name: str, group_version: str) -> Obj:
    """The body of ``/api/v1`` and ``/apis/GROUP/VERSION``."""
    resources: list[Obj] = []
    for kind in registry.of(group_name, group_version):
        resource: Obj = {
            "name": kind.plural,
            "singularName": kind.singular or kind.kind.lower(),
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": sorted(kind.verbs),
        }
        if kind.short_names:
            resource["shortNames"] = list(kind.short_names)
        if kind.categories:
            resource["categories"] = list(kind.categories)
        resources.append(resource)
        for name in kind.subresources:
            verbs, travels = SUBRESOURCES.get(name, (("get",), None))
            sub: Obj = {
                "name": f"{kind.plural}/{name}",
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": travels[2] if travels else kind.kind,
                "verbs": list(verbs),
            }
            if travels:
                sub |= {"group": travels[0], "version": travels[1]} if travels[0] else {}
            resources.append(sub)
    place = f"{group_name}/{group_version}" if group_name else group_version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": place, "resources": resources}


def aggregated(registry: Registry, form: str, *, core: bool) -> Obj:
    """The body of ``/api`` or ``/apis`` for clients that ask for everything at once.

    Args:
        registry: What is served.
        form: ``v2`` or ``v2beta1``.
        core: The core group alone, or all others.
    """
    items: list[Obj] = []
    for name, versions in registry.groups.items():
        if bool(name) == core:
            continue
        listed = [
            {"version": each, "resources": [_aggregated_resource(kind) for kind in kinds], "freshness": "Current"}
            for each, kinds in versions.items()
        ]
        meta = {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None}
        items.append({"metadata": meta, "versions": listed})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": f"apidiscovery.k8s.io/{form}", "metadata": {}, "items": items}


def _aggregated_resource(kind: Kind) -> Obj:
    resource: dict[str, Any] = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular or kind.kind.lower(),
        "verbs": sorted(kind.verbs),
    }
    if kind.short_names:
        resource["shortNames"] = list(kind.short_names)
    if kind.categories:
        resource["categories"] = list(kind.categories)
    subresources: list[Obj] = []
    for name in kind.subresources:
        verbs, travels = SUBRESOURCES.get(name, (("get",), None))
        of = travels or (kind.group, kind.version, kind.kind)
        response = {"group": of[0], "version": of[1], "kind": of[2]}
        subresources.append({"subresource": name, "responseKind": response, "verbs": list(verbs)})
    if subresources:
        resource["subresources"] = subresources
    return resource
