"""Requests that clients get wrong, and some that look so: what a real API server answers stands in ``raw_answers.json``.

`python tests/acceptance/raw_requests.py KUBECONFIG` asks a server anew. ``{n}`` stands for the path of a namespace of the asker's
own, which has the ConfigMap ``one`` and the Deployment ``d``. They are asked in this order: an apply by force stays.
Where a real API server answers 500 to a client's mistake there is no case: the embedded one says what is wrong.
"""

from typing import Any

JSON, YAML = "application/json", "application/yaml"
MERGE, PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
C, D = "{n}/configmaps", "/apis/apps/v1/namespaces/{namespace}/deployments"
R = "/apis/authorization.k8s.io/v1"
Case = tuple[str, str, Any, str]
"""Method, path, body and its type; of what has no body, what is accepted."""


def config_map(name: str = "one", **meta: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}, "data": {"a": "b"}}


def reads(*lines: str) -> list[Case]:
    """Without bodies: a line each, of a method and a path."""
    return [(*line.split(" ", 1), None, "") for line in lines]  # pyright: ignore[reportReturnType]  # two words each


def writes(method: str, path: str, type_: str, *bodies: Any) -> list[Case]:
    """The same to one path."""
    return [(method, path, body, type_) for body in bodies]


def _scale(name: str, replicas: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"replicas": replicas}}


def _review(**more: Any) -> dict[str, Any]:
    return {"metadata": more, "spec": {"user": "x", "resourceAttributes": {"verb": "get", "namespace": "{namespace}"}}}


def _field_manager(name: str) -> list[Case]:
    return writes("POST", f"{C}?dryRun=All&fieldManager={name}", JSON, config_map("x"))


_ACCESS: dict[str, Any] = {"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {}}
_APPLIED: dict[str, Any] = {"apiVersion": "autoscaling/v1", "kind": "Scale", **_scale("d", 0)}

SAME_WORDS: list[Case] = [
    # what an error is about
    *writes("POST", C, JSON, config_map(), config_map("x", namespace="other"), config_map("one", finalizers=["x"])),
    *writes("POST", "/api/v1/namespaces/nowhere/configmaps", JSON, config_map()),
    *reads(f"GET {C}/nothing", f"GET {D}/nothing", f"DELETE {C}/nothing", "DELETE /api/v1/namespaces/none"),
    *reads(
        "GET {n}/pods/none/log", "GET {n}/services/none/proxy/", "GET {n}/pods/none/proxy/", "GET {n}/pods/none/exec?command=x"
    ),
    *writes("POST", C, "text/plain", b"{}"),
    *writes("PUT", f"{C}/one", JSON, config_map("two"), config_map(namespace="other"), {"metadata": {}}),
    *writes("PUT", f"{C}/one", JSON, config_map(resourceVersion="1")),
    *writes(
        "DELETE",
        f"{C}/one",
        JSON,
        {"propagationPolicy": "Foo"},
        {"dryRun": ["Foo"]},
        {"orphanDependents": True, "propagationPolicy": "Orphan"},
    ),
    *writes("DELETE", f"{C}/one", JSON, {"preconditions": {"uid": "x"}}, {"preconditions": {"resourceVersion": "1"}}),
    *writes("DELETE", f"{C}/one", JSON, {"foo": "bar", "dryRun": ["All"]}),
    *writes("POST", "{n}/pods/none/eviction", JSON, {"metadata": {"name": "none"}}),
    # what is asked for
    *reads(
        *(f"GET {C}?{query}" for query in ("limit=abc", "limit=-1", "limit=1&limit=x", "timeoutSeconds=x", "resourceVersion=abc"))
    ),
    *reads(
        *(f"GET {C}?{query}" for query in ("resourceVersion=999999999", "resourceVersionMatch=Exact", "sendInitialEvents=true"))
    ),
    *reads(f"GET {C}?resourceVersion=1&resourceVersionMatch=Foo", f"GET {C}?resourceVersion=0&resourceVersionMatch=Exact"),
    *reads(
        *(f"GET {C}?watch=1&{query}" for query in ("limit=abc", "timeoutSeconds=x", "sendInitialEvents=true", "labelSelector=!!"))
    ),
    *reads(f"GET {C}?watch=1&resourceVersion=1&resourceVersionMatch=Exact", f"GET {C}?watch=1&fieldSelector=spec.x%3D1"),
    *reads(
        *(
            f"GET {C}?labelSelector={text}"
            for text in ("a%3D%3D%3Db", "!!", "a+in+b", "a+b", "a,", ",a", "a=b+c", "a()", "a+in+(b", "-a")
        )
    ),
    *reads(
        *(
            f"GET {C}?labelSelector={text}"
            for text in ("a%3D%25", "a%3Ex", "a%3E", "a+in+((b))", "a+in+()", "a+in+(b,,)", "x" * 64)
        )
    ),
    *reads(*(f"GET {C}?fieldSelector={text}" for text in ("spec.x%3D1", "metadata.name", "metadata.name%3D%3D%3Da", "a%3D%5Cb"))),
    *reads(
        "GET {n}/pods?fieldSelector=spec.x%3D1",
        "GET /apis/batch/v1/jobs?fieldSelector=spec.x%3D1",
        f"GET {D}?fieldSelector=spec.x%3D1",
    ),
    *reads("GET /api/v1/nodes?fieldSelector=spec.x%3D1", "GET /api/v1/namespaces?fieldSelector=spec.x%3D1"),
    *reads(f"DELETE {C}?labelSelector=!!", f"DELETE {C}?fieldSelector=foo%3Dbar", f"DELETE {C}/one?gracePeriodSeconds=x"),
    (*reads(f"GET {C}?includeObject=Foo")[0][:3], TABLE),
    *writes("POST", f"{C}?dryRun=Foo&fieldValidation=Foo", JSON, config_map("x")),
    *writes("PUT", f"{C}/one?fieldValidation=Foo", JSON, config_map()),
    *writes("PATCH", f"{C}/one?fieldValidation=Foo&force=true", MERGE, {}),
    *writes("PATCH", f"{C}/one?dryRun=Foo", APPLY, config_map()),
    *_field_manager("x" * 200),
    # what is sent
    *writes("POST", C, JSON, config_map(""), config_map("A_b"), {"metadata": {}}, config_map("x" * 300)),
    *writes("POST", C, JSON, *(config_map("y", labels=each) for each in ({"a b": "c"}, {"d": "e f"}, {"g" * 70: "x"}))),
    *writes("POST", C, JSON, config_map("y", annotations={"A B": "c"})),
    *writes(
        "PATCH", f"{C}/one", MERGE, {"metadata": {"name": "x"}}, {"metadata": {"name": None}}, {"metadata": {"namespace": "x"}}
    ),
    *writes("PATCH", f"{C}/one", MERGE, {"metadata": {"uid": "1"}}, {"metadata": {"resourceVersion": "1"}}),
    *writes("PATCH", f"{C}/one?dryRun=All", PATCH, [{"op": "copy", "from": "/data/none", "path": "/data/b"}]),
    *writes("PATCH", f"{C}/one?dryRun=All", PATCH, [{"op": "replace", "path": "/data/none", "value": "z"}]),
    *writes(
        "PATCH",
        f"{C}/one?dryRun=All",
        PATCH,
        [{"op": "test", "path": "/data/none", "value": None}],
        [{"op": "add", "path": "/data"}],
    ),
    *writes("PATCH", f"{C}/one?fieldManager=a", APPLY, config_map("two"), {**config_map(), "data": {"a": "z"}}),
    *writes("PATCH", f"{C}/one?fieldManager=a&force=true", APPLY, config_map("two"), {**config_map(), "metadata": {}}),
    *writes("POST", f"{R}/namespaces/{{namespace}}/localsubjectaccessreviews", JSON, _review(namespace="other"), _review()),
    *writes("POST", "/apis/authentication.k8s.io/v1/tokenreviews", JSON, {"spec": {}}),
    *writes("POST", "{n}/serviceaccounts/default/token", JSON, {"spec": {"expirationSeconds": 5}}),
    *writes(
        "POST",
        "{n}/serviceaccounts/default/token",
        JSON,
        {"spec": {"boundObjectRef": {"kind": "Foo", "apiVersion": "v1", "name": "x"}}},
    ),
    *writes(
        "POST",
        "{n}/serviceaccounts/default/token",
        JSON,
        {"spec": {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "x"}}},
    ),
    *writes("PUT", f"{D}/nothing/scale", JSON, _scale("nothing", 1)),
    *writes("PATCH", f"{C}/one", STRATEGIC, {"kind": "Pod"}),
    *writes("PATCH", f"{C}/nothing?fieldManager=a", APPLY, {**config_map(), "metadata": {}}, config_map("two")),
    *writes("PUT", f"{D}/d/scale", JSON, _scale("d", -1), _scale("e", 0), {"spec": {"replicas": 0}}),
    *writes("PATCH", f"{D}/d/scale", MERGE, {"spec": {"replicas": -1}}),
    *writes("PATCH", f"{D}/d/scale?fieldManager=x", APPLY, _APPLIED),
    *writes("PATCH", f"{D}/d/scale?fieldManager=x&force=true&dryRun=All", APPLY, _APPLIED),
    # where nothing is
    *reads("GET /apis/foo", "GET /apis/foo/v1", "GET /apis/foo/v1/things", "GET /foo", "GET /livez/nope", "GET /livez/ping/x"),
    *reads(*(f"GET /{health}/ping" for health in ("healthz", "livez", "readyz"))),
]

OWN_WORDS: list[Case] = [
    *writes("PATCH", f"{C}/one?fieldValidation=Strict", MERGE, {"foo": 5}),
    *writes("PATCH", f"{C}/one", MERGE, {"kind": "Pod"}, {"apiVersion": "v2"}),
    *writes("PATCH", f"{C}/one", PATCH, [{"op": "foo", "path": "/a"}], [{"path": "/data/a"}], [{"op": "add"}], [5], {}),
    *writes(
        "PATCH", f"{C}/one", PATCH, [{"op": "remove", "path": "/data/zz"}], [{"op": "move", "from": "/x", "path": "/data/a"}]
    ),
    *writes("PATCH", f"{C}/one", PATCH, [{"op": "test", "path": "/data/a", "value": "z"}]),
    *writes("PATCH", f"{C}/one", JSON, {"data": {}}),
    *writes("POST", C, JSON, {"metadata": {"generateName": "A_"}}),
    *writes("PUT", f"{C}/one", JSON, config_map(uid="abc"), {**config_map(), "kind": "Pod"}),
    *writes("DELETE", f"{C}/one", JSON, {"kind": "Foo", "apiVersion": "v1"}),
    *reads(f"GET {C}?limit=1&continue=zzz"),
    *writes("POST", f"{R}/subjectaccessreviews", JSON, _ACCESS),
    *writes("POST", f"{R}/localsubjectaccessreviews", JSON, _review()),
    *reads(
        "GET {n}/foos",
        "GET /apis/apps/v9",
        "GET {n}/pods/x/foo",
        f"GET {C}/one/status",
        "GET {n}/nodes",
        "GET /api/v1/configmaps/one",
    ),
    *reads("GET {n}/finalize", "GET /api/v2", "POST /version", "POST /api/v1/configmaps", f"DELETE {D}/d/scale", f"TRACE {C}"),
    *writes("POST", f"{C}/one", JSON, config_map()),
    *writes("PUT", C, JSON, config_map()),
    *writes("PATCH", C, MERGE, {}),
    *reads(f"OPTIONS {C}", "DELETE /api/v1/namespaces", "DELETE /api/v1/configmaps"),
    *[("GET", path, None, "text/html") for path in ("/api", "/api/v1", "/apis/apps", "/version", f"{C}/one")],
    ("GET", f"{C}/one", None, TABLE.replace("v1", "v2")),
]
"""Those where the embedded server says more, or something else: all but the message is compared."""
