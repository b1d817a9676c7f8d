"""Objects of Kubernetes' own kinds with values of a wrong type, for `rules_cases`, and patches that would make such."""

from typing import Any

from kedge.kube.patches import CONTENT_TYPES

Obj = dict[str, Any]
CORE = "/api/v1/namespaces/{namespace}"
APPS = "/apis/apps/v1/namespaces/{namespace}"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"


def _object(**parts: Any) -> Obj:
    return {"metadata": {"name": "x"}, **parts}


def _meta(**parts: Any) -> Obj:
    return {"metadata": {"name": "x", **parts}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}


def _pod(**spec: Any) -> Obj:
    return _object(spec={"containers": [{"name": "c", "image": "x:1"}], **spec})


def _container(**parts: Any) -> Obj:
    return _object(spec={"containers": [{"name": "c", "image": "x:1", **parts}]})


def _deployment(**spec: Any) -> Obj:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
    return _object(spec={"selector": {"matchLabels": {"a": "b"}}, "template": template, **spec})


def _surge(value: Any) -> Obj:
    return _deployment(strategy={"rollingUpdate": {"maxSurge": value}})


def _port(**parts: Any) -> Obj:
    return _object(spec={"ports": [{"port": 80, **parts}]})


def _definition(schema: Obj) -> Obj:
    return _object(spec={"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]})


def _lease(time: Any) -> Obj:
    return _object(spec={"renewTime": time})


_TIMES = (
    *(5, [], {}, "", "x", "2026-01-01", "2026-1-1T00:00:00Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00"),
    *("2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01T00:61:00Z", "2026-01-01T00:00:00Zx"),
    "2026-01-01T00:00:00+0100",
)
_MICRO_TIMES = (5, [], "", "x", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.1234567Z")
_NO_PORTS = ({}, [], True, 1.5, 3_000_000_000)
_NO_QUANTITIES = ({}, [], True, "", "a b", "1Q", "1.1.1", "1e", "1ee3", "1KB")
_NO_BASE64 = ("*", "YQ", "YQ=", "YQ===", "YWJjYQ==x", "YW=j", "Y Q=", "=", "YWJjZ", "YWJj-_==", "é", {}, True, 5)
_UNREADABLE: dict[str, Any] = {
    "a list": [],
    "a text": "x",
    "a number": 5,
    "a fraction": 1.5,
    "true": True,
    "a version that is a number": {"apiVersion": 5, "kind": "ConfigMap"},
    "a version that is an object": {"apiVersion": {}, "kind": "ConfigMap", "metadata": {"name": "what makes it long"}},
    "a kind that is a number": {"apiVersion": "v1", "kind": 5},
    "a version of three parts": {"apiVersion": "a/b/c", "kind": "ConfigMap"},
    "another kind": {"apiVersion": "v1", "kind": "Pod"},
    "another kind of no version": {"kind": "Pod"},
    "another group's kind": {"apiVersion": "apps/v1", "kind": "Deployment"},
    "a list of its kind": {"apiVersion": "v1", "kind": "ConfigMapList", "items": []},
    "nulls for version and kind": {"apiVersion": None, "kind": None, "metadata": {"name": "x"}},
}
_PODS: dict[str, Any] = {
    "an object for a list": _pod(containers={}),
    "a text for an object": _pod(containers=["x"]),
    "a text for a boolean": _pod(hostNetwork="true"),
    "a number in a map of texts": _pod(nodeSelector={"a": 1}),
    "a number for a named text": _pod(restartPolicy=5),
    "a list for a named text": _pod(dnsPolicy=[]),
    "a text for a long number": _pod(activeDeadlineSeconds="x"),
    "a number that is too long": _pod(activeDeadlineSeconds=10**20),
    "a text for a port": _container(ports=[{"containerPort": "80"}]),
    "a text for a list of texts": _container(command="x"),
    "a number in a list of texts": _container(command=[1]),
    "a boolean for a text": _container(env=[{"name": "A", "value": True}]),
    "a number for a map of quantities": _container(resources={"limits": 5}),
    "a number for an embedded object": _container(livenessProbe={"httpGet": 5}),
    "a number for an embedded name": _container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": 5, "key": "a"}}}]),
    "a number for a medium": _pod(volumes=[{"name": "v", "emptyDir": {"medium": 5}}]),
    "a text for a mode": _pod(volumes=[{"name": "v", "secret": {"defaultMode": "0644"}}]),
    "a text for a time that a probe takes": _container(livenessProbe={"periodSeconds": "5"}),
    "metadata that is a text": {**_pod(), "metadata": "x"},
    "a name that is a number": _meta(name=5),
    "a label that is a number": _meta(labels={"a": 5}),
    "labels that are a list": _meta(labels=[]),
    "a generation that is a text": _meta(generation="5"),
    "finalizers that are a text": _meta(finalizers="x"),
    "an owner whose controller is a text": _meta(ownerReferences=[{"controller": "yes"}]),
    "an owner whose uid is a number": _meta(ownerReferences=[{"uid": 5}]),
    "managers that are a text": _meta(managedFields="x"),
    "two faults": {"spec": {"containers": [{"name": 5, "image": 7}]}, "metadata": {"name": 5}},
    "a fault after which is a quantity that is none": {**_container(resources={"limits": {"cpu": "x"}}), "metadata": {"name": 5}},
    "a null for a container": _pod(containers=None),
    **{f"creationTimestamp {value!r}": _meta(creationTimestamp=value) for value in _TIMES},
    **{f"port of a probe {value!r}": _container(readinessProbe={"tcpSocket": {"port": value}}) for value in _NO_PORTS},
    **{f"limit {value!r}": _container(resources={"limits": {"memory": value}}) for value in _NO_QUANTITIES},
}
_DEPLOYMENTS: dict[str, Any] = {
    **{f"replicas {value!r}": _deployment(replicas=value) for value in ("3", 1.5, True, 3_000_000_000, 1000.0)},
    **{f"maxSurge {value!r}": _surge(value) for value in _NO_PORTS},
    "paused that is a text": _deployment(paused="yes"),
    "selector that is a list": _deployment(selector=[]),
    "template that is a text": _deployment(template="x"),
    "spec that is a list": _object(spec=[]),
}
_MAPS: dict[str, Any] = {
    **{f"body that is {name}": body for name, body in _UNREADABLE.items()},
    "data of a number": _object(data={"a": 1}),
    "data of an object": _object(data={"a": {"b": "c"}}),
    "data that is a list": _object(data=[]),
    "data of null": _object(data={"a": None}),
    "immutable that is a text": _object(immutable="x"),
    "a fault beside a field that nobody knows": _object(data={"a": 5}, foo="x"),
}
ROWS: dict[str, dict[str, Any]] = {
    f"{CORE}/configmaps": _MAPS,
    f"{CORE}/pods": _PODS,
    f"{CORE}/secrets": {
        **{f"base64 {value!r}": _object(data={"a": value}) for value in (*_NO_BASE64, "YQ\n==")},
        "type that is a number": _object(type=5),
    },
    f"{CORE}/services": {f"targetPort {value!r}": _port(targetPort=value) for value in _NO_PORTS},
    f"{CORE}/persistentvolumeclaims": {"modes of numbers": _object(spec={"accessModes": [5]})},
    f"{CORE}/limitranges": {"max that is a number": _object(spec={"limits": [{"max": 5}]})},
    f"{CORE}/resourcequotas": {"hard that is true": _object(spec={"hard": {"pods": True}})},
    f"{APPS}/deployments": _DEPLOYMENTS,
    "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases": {
        f"renewTime {value!r}": _lease(value) for value in (*_MICRO_TIMES, "2026-01-01T00:00:00.123456Z")
    },
    "/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers": {
        "metrics that are an object": _object(spec={"metrics": {}}),
        "type of a metric that is a number": _object(spec={"metrics": [{"type": 5}]}),
    },
    "/apis/scheduling.k8s.io/v1/priorityclasses": {"value that is too large": _object(value=3_000_000_000)},
    "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles": {
        "verbs that are a text": _object(rules=[{"verbs": "get"}])
    },
    f"{AUTHORIZATION}/subjectaccessreviews": {"extra that is a text": {"spec": {"extra": {"a": "x"}}}},
    f"{CORE}/serviceaccounts/default/token": {"audiences that are a text": {"spec": {"audiences": "x"}}},
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": {
        "group that is a number": _object(spec={"group": 5}),
        "type of a property that is a number": _definition({"properties": {"a": {"type": 5}}}),
        "type of an item that is a list": _definition({"items": {"items": {"type": []}}}),
        "other properties that are a text": _definition({"additionalProperties": "x"}),
    },
}

_TO_TEXT = "into Go struct field ServiceAccount.automountServiceAccountToken of type bool"
_LABEL = "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"
_TYPED = "failed to create typed patch object (/default; /v1, Kind=ServiceAccount): "
MERGE, STRATEGIC, OPERATIONS = "merge", "strategic", "json"
# How the ServiceAccount `default` is changed, and what is said of it: a code and the end of the message.
CHANGES: list[tuple[str, Any, int, str]] = [
    ("", {"automountServiceAccountToken": "x"}, 400, f"json: cannot unmarshal string {_TO_TEXT}"),
    ("", {"metadata": {"name": "default", "labels": {"a": 5}}}, 400, _LABEL),
    (MERGE, {"automountServiceAccountToken": "x"}, 422, f'}}": json: cannot unmarshal string {_TO_TEXT}'),
    (MERGE, {"metadata": {"labels": {"a": 5}}}, 422, f'}}": {_LABEL}'),
    (MERGE, {"metadata": {"creationTimestamp": "x"}}, 422, 'cannot parse "x" as "2006"'),
    (MERGE, {"kind": 5}, 422, "json: cannot unmarshal number into Go struct field .kind of type string"),
    (MERGE, [], 400, "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"),
    (OPERATIONS, [{"op": "add", "path": "/metadata/labels", "value": {"a": 5}}], 422, f'}}": {_LABEL}'),
    (OPERATIONS, {}, 400, "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
    (OPERATIONS, [{"op": 5}], 400, "json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string"),
    (STRATEGIC, {"metadata": {"labels": {"a": 5}}}, 422, '"map[metadata:map[labels:map[a:5]]]": cannot convert int64 to string'),
    (STRATEGIC, {"automountServiceAccountToken": "x"}, 422, "unrecognized type: bool"),
    (STRATEGIC, {"metadata": {"labels": "x"}}, 422, '"map[metadata:map[labels:x]]": cannot restore map from string'),
    (STRATEGIC, {"metadata": "x"}, 422, "cannot restore struct from: string"),
    (STRATEGIC, {"imagePullSecrets": {}}, 422, "cannot restore slice from map"),
    (STRATEGIC, {"kind": "Pod", "metadata": {"labels": {"a": "b"}}}, 200, ""),
    (STRATEGIC, 5, 400, "json: cannot unmarshal number into Go value of type map[string]interface {}"),
    (
        "apply",
        {"metadata": {"labels": {"a": 5}}},
        0,
        f"{_TYPED}.metadata.labels.a: expected string, got &value.valueUnstructured{{Value:5}}",
    ),
    ("apply", {"automountServiceAccountToken": "x"}, 0, f"{_TYPED}.automountServiceAccountToken: expected boolean, got &{{x}}"),
    ("apply", {"imagePullSecrets": {"a": ["b"]}}, 0, f"{_TYPED}.imagePullSecrets: expected list, got &{{map[a:[b]]}}"),
    ("apply", {"imagePullSecrets": ["x"]}, 0, f"{_TYPED}.imagePullSecrets[0]: expected map, got &{{x}}"),
]
FORMS = {"": "application/json", "apply": "application/apply-patch+yaml", **{kind: form for form, kind in CONTENT_TYPES.items()}}
