"""Objects, good and bad, of Kubernetes' own kinds: what a real API server makes of each stands in ``rules_answers.json``.

`python tests/acceptance/rules_requests.py KUBECONFIG` asks a server anew. All requests are dry runs: none leaves anything.
"""

from typing import Any

import types_cases

Obj = dict[str, Any]
CORE = "/api/v1/namespaces/{namespace}"
NETWORKING = "/apis/networking.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def named(name: str = "x", **parts: Any) -> Obj:
    """An object of a name."""
    return {"metadata": {"name": name}, **parts}


def _service(name: str = "s", **spec: Any) -> Obj:
    return named(name, spec=spec)


_PORT: Obj = {"port": 80}
_NAMES = [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]
_SERVICES: dict[str, Obj] = {
    "a port": _service(ports=[_PORT]),
    "headless": _service(ports=[_PORT], clusterIP="None"),
    "headless without ports": _service(clusterIP="None", selector={"a": "b"}),
    "node port": _service(ports=[{"port": 80, "nodePort": 30567}], type="NodePort"),
    "balanced without node ports": _service(ports=[_PORT], type="LoadBalancer", allocateLoadBalancerNodePorts=False),
    "external name": _service(type="ExternalName", externalName="a.b.c"),
    "external name with ports": _service(type="ExternalName", externalName="a.b.c", ports=[_PORT]),
    "affinity": _service(ports=[_PORT], sessionAffinity="ClientIP"),
    "no ports": _service(selector={"a": "b"}),
    "no spec": named(),
    "name that begins with a digit": _service("1abc", ports=[_PORT]),
    "name with a dot": _service("a.b", ports=[_PORT]),
    "port 0": _service(ports=[{"port": 0}]),
    "port 70000": _service(ports=[{"port": 70000}]),
    "target without port": _service(ports=[{"targetPort": 1}]),
    "target 70000": _service(ports=[{"port": 1, "targetPort": 70000}]),
    "named target": _service(ports=[{"port": 1, "targetPort": "http"}]),
    "badly named target": _service(ports=[{"port": 1, "targetPort": "HTTP_"}]),
    "long target": _service(ports=[{"port": 1, "targetPort": "abcdefghijklmnopq"}]),
    "target of dashes": _service(ports=[{"port": 1, "targetPort": "-a--b"}]),
    "target of digits": _service(ports=[{"port": 1, "targetPort": "123"}]),
    "protocol": _service(ports=[{"port": 1, "protocol": "HTTP"}]),
    "two ports without names": _service(ports=[{"port": 1}, {"port": 2}]),
    "two ports of one name": _service(ports=_NAMES),
    "one port twice": _service(ports=[{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]),
    "badly named port": _service(ports=[{"port": 1, "name": "A_"}]),
    "type": _service(ports=[_PORT], type="Foo"),
    "affinity that is none": _service(ports=[_PORT], sessionAffinity="Foo"),
    "affinity of no time": _service(
        ports=[_PORT], sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 0}}
    ),
    "settings of no affinity": _service(ports=[_PORT], sessionAffinityConfig={"clientIP": {"timeoutSeconds": 10}}),
    "node port of a cluster address": _service(ports=[{"port": 1, "nodePort": 30001}]),
    "address out of range": _service(ports=[_PORT], clusterIP="1.2.3.4"),
    "address that is none": _service(ports=[_PORT], clusterIP="foo"),
    "address": _service(ports=[_PORT], clusterIP="10.96.7.7"),
    "two addresses": _service(ports=[_PORT], clusterIP="10.96.7.7", clusterIPs=["10.96.7.8"]),
    "list of addresses alone": _service(ports=[_PORT], clusterIPs=["10.96.7.7"]),
    "family": _service(ports=[_PORT], ipFamilies=["IPv6"]),
    "both families": _service(ports=[_PORT], ipFamilyPolicy="RequireDualStack"),
    "both families where there are": _service(ports=[_PORT], ipFamilyPolicy="PreferDualStack"),
    "policy": _service(ports=[_PORT], ipFamilyPolicy="Foo"),
    "no external name": _service(type="ExternalName"),
    "external name with an address": _service(type="ExternalName", externalName="a.b.c", clusterIP="10.96.1.1"),
    "bad external name": _service(type="ExternalName", externalName="A_b"),
    "headless with node ports": _service(type="NodePort", clusterIP="None", ports=[_PORT]),
    "internal traffic": _service(ports=[_PORT], internalTrafficPolicy="Foo"),
    "external traffic of a cluster address": _service(ports=[_PORT], externalTrafficPolicy="Local"),
    "external traffic": _service(ports=[{"port": 80, "nodePort": 30568}], type="NodePort", externalTrafficPolicy="Foo"),
    "external address": _service(ports=[_PORT], externalIPs=["a"]),
    "selector": _service(ports=[_PORT], selector={"a b": "c"}),
    "distribution": _service(ports=[_PORT], trafficDistribution="Foo"),
    "protocol of an application": _service(ports=[{"port": 1, "appProtocol": "a b"}]),
    "class of a balancer": _service(ports=[_PORT], loadBalancerClass="x"),
    "sources": _service(ports=[_PORT], loadBalancerSourceRanges=["1.2.3.4"]),
    "health check": _service(ports=[_PORT], healthCheckNodePort=30000),
    "node ports of a balancer": _service(ports=[_PORT], allocateLoadBalancerNodePorts=True),
}

_ENDPOINTS: dict[str, Obj] = {
    "an address": named(subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1}]}]),
    "port 0": named(subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 0}]}]),
    "nothing": named(subsets=[{}]),
}
_SLICES: dict[str, Obj] = {
    "an address": named(addressType="IPv4", endpoints=[{"addresses": ["10.0.0.1"]}], ports=[{"port": 1}]),
    "everything wrong": named(addressType="Foo", endpoints=[{"addresses": []}], ports=[{"port": 1, "protocol": "x"}]),
    "no type": named(endpoints=[]),
}
_VOLUME: Obj = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
_VOLUMES: dict[str, Obj] = {
    "a path": named(spec=_VOLUME),
    "a class and a claim": named(
        spec={**_VOLUME, "storageClassName": "standard", "claimRef": {"name": "a", "namespace": "{namespace}"}}
    ),
    "nothing": named(spec={}),
    "no capacity": named(spec={**_VOLUME, "capacity": {}}),
    "two types": named(spec={**_VOLUME, "nfs": {"server": "a", "path": "/"}}),
    "mode": named(spec={**_VOLUME, "accessModes": ["Foo"]}),
    "policy": named(spec={**_VOLUME, "persistentVolumeReclaimPolicy": "Foo"}),
    "volume mode": named(spec={**_VOLUME, "volumeMode": "Foo"}),
    "local": named(spec={"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "local": {"path": "/x"}}),
}
_CLASSES: dict[str, Obj] = {
    "a provisioner": named(provisioner="x.y/z"),
    "nothing": named(),
    "everything wrong": named(provisioner="x y", reclaimPolicy="Foo", volumeBindingMode="Foo"),
}


def _limits(*limits: Obj) -> Obj:
    return named(spec={"limits": list(limits)})


_LIMITS: dict[str, Obj] = {
    "least and most": _limits({"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "100m"}}),
    "each type": _limits(
        {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "500m"}},
        {"type": "Pod", "max": {"memory": "1Gi"}},
        {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}},
    ),
    "everything wrong": _limits(
        {"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "2"}},
        {"type": "Container"},
        {"type": "Foo"},
        {"type": "Pod", "default": {"cpu": "1"}},
        {"type": "PersistentVolumeClaim"},
    ),
    "defaults over the most": _limits(
        {
            "type": "Container",
            "max": {"cpu": "1"},
            "default": {"cpu": "2"},
            "defaultRequest": {"cpu": "3"},
            "maxLimitRequestRatio": {"cpu": "0.5"},
        }
    ),
}
_QUOTAS: dict[str, Obj] = {
    "counts": named(spec={"hard": {"pods": "1", "requests.cpu": "1", "count/configmaps": "5"}}),
    "everything wrong": named(spec={"hard": {"foo": "1", "pods": "1.5", "requests.cpu": "-1"}}),
    "scopes": named(spec={"hard": {"pods": "1", "services": "1"}, "scopes": ["Foo", "Terminating", "NotTerminating"]}),
    "scope of services": named(spec={"hard": {"services": "1"}, "scopes": ["BestEffort"]}),
}
_PRIORITIES: dict[str, Obj] = {
    "a value": named(value=10),
    "too much": named(value=1_000_000_001),
    "name of the system": named("system-x", value=1),
    "policy": named(value=1, preemptionPolicy="x"),
    "no value": named(),
}
_SCALED: Obj = {"scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}, "maxReplicas": 3}
_CPU: Obj = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
_SCALERS: dict[str, Obj] = {
    "a target": named(spec=_SCALED),
    "everything wrong": named(spec={"maxReplicas": 0, "minReplicas": 5}),
    "nothing": named(),
    "a metric": named(spec={**_SCALED, "metrics": [_CPU]}),
    "bad metrics": named(
        spec={
            **_SCALED,
            "metrics": [
                {"type": "Foo"},
                {"type": "Resource"},
                {"type": "Resource", "resource": {"name": "", "target": {"type": "X"}}},
            ],
        }
    ),
    "down to none": named(spec={**_SCALED, "minReplicas": 0}),
    "behaviour": named(spec={**_SCALED, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 10}}}),
}
_BACKEND: Obj = {"service": {"name": "s", "port": {"number": 80}}}
_PATH: Obj = {"path": "/", "pathType": "Prefix", "backend": _BACKEND}
_INGRESSES: dict[str, Obj] = {
    "a path": named(
        spec={"ingressClassName": "k", "tls": [{"hosts": ["a.b"]}], "rules": [{"host": "a.b", "http": {"paths": [_PATH]}}]}
    ),
    "nothing": named(),
    "a backend": named(spec={"defaultBackend": _BACKEND}),
    "no type of a path": named(spec={"rules": [{"host": "A_", "http": {"paths": [{"path": "x", "backend": {}}]}}]}),
    "everything wrong": named(
        spec={
            "rules": [
                {
                    "host": "1.2.3.4",
                    "http": {
                        "paths": [
                            {"path": "x//y", "pathType": "Exact", "backend": {"service": {"name": "", "port": {}}}},
                            {"pathType": "Foo", "backend": _BACKEND},
                        ]
                    },
                }
            ]
        }
    ),
    "hosts": named(spec={"rules": [{"host": "*.a.b"}, {"host": "*a"}, {"http": {}}]}),
}
_INGRESS_CLASSES: dict[str, Obj] = {
    "a controller": named(spec={"controller": "a.b/c"}),
    "nothing": named(),
    "everything wrong": named(spec={"controller": "abc", "parameters": {"kind": "", "name": ""}}),
}
_PEERS = [
    {"ipBlock": {"cidr": "x"}, "podSelector": {}},
    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}},
]
_POLICIES: dict[str, Obj] = {
    "a selector": named(spec={"podSelector": {"matchLabels": {"a": "b"}}}),
    "nothing": named(),
    "egress": named(spec={"podSelector": {}, "egress": [{}]}),
    "everything wrong": named(
        spec={"podSelector": {}, "policyTypes": ["Foo"], "ingress": [{"from": [{}], "ports": [{"port": 0, "protocol": "x"}]}]}
    ),
    "blocks and ends": named(
        spec={
            "podSelector": {},
            "ingress": [{"from": _PEERS, "ports": [{"port": 5, "endPort": 3}, {"endPort": 3}, {"port": "http", "endPort": 3}]}],
        }
    ),
}
_BUDGETS: dict[str, Obj] = {
    "at least one": named(spec={"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}),
    "nothing": named(),
    "both": named(spec={"minAvailable": 1, "maxUnavailable": 1}),
    "too many percent": named(spec={"minAvailable": "150%"}),
    "fewer than none": named(spec={"minAvailable": -1}),
    "no number": named(spec={"minAvailable": "foo"}),
    "policy": named(spec={"unhealthyPodEvictionPolicy": "foo"}),
}
_RULE: Obj = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


def _role(*rules: Obj, name: str = "x") -> Obj:
    return named(name, rules=list(rules))


_ROLES: dict[str, Obj] = {
    "a rule": _role(_RULE),
    "no rules": _role(),
    "no verbs": _role({"apiGroups": [""], "resources": ["pods"], "verbs": []}),
    "no resources": _role({"apiGroups": [""], "verbs": ["get"]}),
    "no groups": _role({"resources": ["pods"], "verbs": ["get"]}),
    "paths": _role({"nonResourceURLs": ["/x"], "verbs": ["get"]}),
}
_CLUSTER_ROLES: dict[str, Obj] = {
    "a rule": _role(_RULE),
    "paths": _role({"nonResourceURLs": ["/x*y"], "verbs": ["get"]}),
    "paths and resources": _role({"nonResourceURLs": ["/x"], **_RULE}),
    "verbs alone": _role({"verbs": ["get"]}),
    "name with a slash": _role(_RULE, name="a:b/c"),
    "name with a space": _role(_RULE, name="A:b c"),
    "aggregated of nothing": named(aggregationRule={"clusterRoleSelectors": []}),
}
_REF: Obj = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}


def _binding(reference: Obj, *subjects: Obj) -> Obj:
    return named(roleRef=reference, subjects=list(subjects))


_BINDINGS: dict[str, Obj] = {
    "an account": _binding(_REF, {"kind": "ServiceAccount", "name": "b"}),
    "each kind": _binding(
        _REF,
        {"kind": "ServiceAccount", "name": "b", "namespace": "{namespace}"},
        {"kind": "User", "name": "u"},
        {"kind": "Group", "name": "g"},
    ),
    "no role": named(),
    "role without a group": _binding({"kind": "Role", "name": "r"}),
    "kind of role": _binding({**_REF, "kind": "Foo"}),
    "group of role": _binding({**_REF, "apiGroup": "x"}),
    "role without a name": _binding({**_REF, "name": ""}),
    "kind of subject": _binding(_REF, {"kind": "Foo", "name": "x"}),
    "subject without a name": _binding(_REF, {"kind": "User", "name": ""}),
    "group of an account": _binding(_REF, {"kind": "ServiceAccount", "name": "b", "namespace": "x", "apiGroup": "x"}),
    "name of an account": _binding(_REF, {"kind": "ServiceAccount", "name": "B_", "namespace": "x"}),
    "group of a user": _binding(_REF, {"kind": "User", "name": "b", "apiGroup": "x"}),
}
_CLUSTER_BINDINGS: dict[str, Obj] = {
    "a role": _binding(_REF),
    "account without a namespace": _binding({**_REF, "kind": "ClusterRole"}, {"kind": "ServiceAccount", "name": "b"}),
}
_NAMES_OF_KEYS = {
    "a space": "a b",
    "a folder": "a/b",
    "the folder above": "../../x",
    "dots": "..",
    "one dot": ".",
    "a node's own": "..data",
}
_CONFIG_MAPS: dict[str, Obj] = {
    **{f"key of {name}": named(data={key: "1"}) for name, key in _NAMES_OF_KEYS.items()},
    "long key": named(data={"a" * 254: "1"}),
    "key of bytes": named(binaryData={"../x": "MQ=="}),
}
_SECRETS: dict[str, Obj] = {
    "key": named(data={"../../x": "MQ=="}, type="Opaque"),
    "key of text": named(stringData={"a b": "1"}, type="Opaque"),
}


def _pod(**spec: Any) -> Obj:
    return named(spec={"containers": [{"name": "c", "image": "i"}], **spec})


def _in_volume(**source: Any) -> Obj:
    return _pod(volumes=[{"name": "v", **source}])


def _item(path: str, **more: Any) -> list[Obj]:
    return [{"key": "k", "path": path, **more}]


_PODS: dict[str, Obj] = {
    "path out of a ConfigMap's volume": _in_volume(configMap={"name": "c", "items": _item("../x")}),
    "path out of it on the way": _in_volume(configMap={"name": "c", "items": _item("a/../../x")}),
    "path of the machine": _in_volume(configMap={"name": "c", "items": _item("/x")}),
    "path of the machine and out": _in_volume(configMap={"name": "c", "items": _item("/../x")}),
    "path that a node keeps": _in_volume(configMap={"name": "c", "items": _item("..data")}),
    "no path": _in_volume(configMap={"name": "c", "items": [{"key": "k", "path": ""}]}),
    "path out of a Secret's volume": _in_volume(secret={"secretName": "s", "items": _item("../x")}),
    "mode of a Secret's file": _in_volume(secret={"secretName": "s", "items": _item("x", mode=0o4755)}),
    "path out of a projected volume": _in_volume(projected={"sources": [{"configMap": {"name": "c", "items": _item("../x")}}]}),
    "path of a projected Secret": _in_volume(projected={"sources": [{"secret": {"name": "s", "items": _item("/x")}}]}),
    "path of a token": _in_volume(projected={"sources": [{"serviceAccountToken": {"path": "../x"}}]}),
    "path of a fact": _in_volume(downwardAPI={"items": [{"path": "../x", "fieldRef": {"fieldPath": "metadata.name"}}]}),
    "path of a projected fact": _in_volume(
        projected={"sources": [{"downwardAPI": {"items": [{"path": "../x", "fieldRef": {"fieldPath": "metadata.name"}}]}}]}
    ),
    "no path of a fact": _in_volume(downwardAPI={"items": [{"path": "", "fieldRef": {"fieldPath": "metadata.name"}}]}),
    "no path of a token": _in_volume(projected={"sources": [{"serviceAccountToken": {"path": ""}}]}),
    "node": _pod(nodeName="A_"),
    "address of another name": _pod(hostAliases=[{"ip": "x"}]),
    "another name": _pod(hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b\nc"]}]),
    "hostname": _pod(hostname="a b\n127.0.0.9 evil"),
    "subdomain": _pod(subdomain="A_"),
    "account that is not there": _pod(serviceAccountName="nobody"),
    "account by its old name": _pod(serviceAccount="nobody"),
}

_RULES: dict[str, dict[str, Obj]] = {
    f"{CORE}/configmaps": _CONFIG_MAPS,
    f"{CORE}/secrets": _SECRETS,
    f"{CORE}/pods": _PODS,
    f"{CORE}/services": _SERVICES,
    f"{CORE}/endpoints": _ENDPOINTS,
    "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices": _SLICES,
    "/api/v1/persistentvolumes": _VOLUMES,
    "/apis/storage.k8s.io/v1/storageclasses": _CLASSES,
    f"{CORE}/limitranges": _LIMITS,
    f"{CORE}/resourcequotas": _QUOTAS,
    "/apis/scheduling.k8s.io/v1/priorityclasses": _PRIORITIES,
    "/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers": _SCALERS,
    f"{NETWORKING}/namespaces/{{namespace}}/ingresses": _INGRESSES,
    f"{NETWORKING}/ingressclasses": _INGRESS_CLASSES,
    f"{NETWORKING}/namespaces/{{namespace}}/networkpolicies": _POLICIES,
    "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets": _BUDGETS,
    f"{RBAC}/namespaces/{{namespace}}/roles": _ROLES,
    f"{RBAC}/namespaces/{{namespace}}/rolebindings": _BINDINGS,
    f"{RBAC}/clusterroles": _CLUSTER_ROLES,
    f"{RBAC}/clusterrolebindings": _CLUSTER_BINDINGS,
}
CASES = {path: _RULES.get(path, {}) | types_cases.ROWS.get(path, {}) for path in _RULES | types_cases.ROWS}
