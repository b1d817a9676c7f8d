"""The API over HTTP: what a client sees, and what bad input gets."""

import json
from typing import Any

import httpx
import pytest

from kedge.kube.core import CONFIG_MAP, POD

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
WIDGETS = "/apis/kedge.dev/v1/namespaces/default/widgets"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
C = {"metadata": {"name": "c"}, "data": {"a": "1"}}


async def test_the_life_of_an_object(http: httpx.AsyncClient) -> None:
    created = await http.post(CONFIG_MAPS, json=C)
    assert created.status_code == 201
    assert created.headers["content-type"] == "application/json"
    obj = created.json()
    assert (await http.get(f"{CONFIG_MAPS}/c")).json() == obj
    listed = (await http.get("/api/v1/configmaps")).json()
    assert (listed["kind"], listed["apiVersion"], listed["items"]) == ("ConfigMapList", "v1", [obj])
    obj["data"] = {"a": "2"}
    assert (await http.put(f"{CONFIG_MAPS}/c", json=obj)).json()["data"] == {"a": "2"}
    headers = {"content-type": "application/merge-patch+json"}
    patched = await http.patch(f"{CONFIG_MAPS}/c", content='{"data":{"b":"3"}}', headers=headers)
    assert patched.json()["data"] == {"a": "2", "b": "3"}
    deleted = await http.delete(f"{CONFIG_MAPS}/c")
    assert (deleted.status_code, deleted.json()["status"]) == (200, "Success")
    assert deleted.json()["details"] == {"name": "c", "kind": "configmaps", "uid": obj["metadata"]["uid"]}
    gone = await http.get(f"{CONFIG_MAPS}/c")
    assert gone.status_code == 404
    assert gone.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "c" not found',
        "reason": "NotFound",
        "code": 404,
        "details": {"kind": "configmaps", "name": "c"},
    }


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (("GET", "/api/v1/nothings", None), (404, "the server does not have a resource 'nothings' in v1")),
        (("GET", "/apis/apps/v1/deployments", None), (404, "the server does not have a resource 'deployments' in apps/v1")),
        (("GET", "/apis/apps", None), (404, "the server does not have the API group 'apps'")),
        (("GET", "/apis/apps/v1", None), (404, "the server does not have the API group 'apps'")),
        (("GET", "/api/v2", None), (404, "in version 'v2'")),
        (("GET", "/api/v1/watch/pods", None), (404, "Add ?watch=true")),
        (("GET", "/api/v1/pods/p", None), (404, "pods live in namespaces; use /api/v1/namespaces/NAMESPACE/pods/p.")),
        (("GET", "/api/v1/namespaces/default/nodes", None), (404, "could not find the requested resource")),
        (("GET", f"{PODS}/p/log/x", None), (404, "could not find the requested resource")),
        (("POST", f"{PODS}/p/exec?command=ls", None), (404, "pods/exec: commands cannot be run in a Pod here yet")),
        (("GET", f"{PODS}/p/portforward", None), (404, "reach them on localhost")),
        (("POST", f"{PODS}/p/eviction", {}), (404, "Pods are not evicted here: delete the Pod instead.")),
        (("GET", f"{PODS}?colour=red", None), (400, "query parameter 'colour' is not supported here")),
        (("GET", f"{PODS}?limit=x", None), (400, "query parameter 'limit': must be a whole number of at least 0, got 'x'")),
        (("GET", f"{PODS}?limit=-1", None), (400, "at least 0, got '-1'")),
        (("GET", f"{PODS}?watch=perhaps", None), (400, "query parameter 'watch': must be true or false, got 'perhaps'")),
        (("GET", f"{PODS}?labelSelector=a=(", None), (400, "label selector")),
        (("GET", f"{PODS}?fieldSelector=spec.x=1", None), (400, "field label not supported: spec.x")),
        (("GET", f"{PODS}?continue=x", None), (400, "the continue token cannot be read")),
        (("GET", f"{PODS}?resourceVersion=99999", None), (410, "too large resource version: 99999")),
        (("GET", f"{PODS}?resourceVersionMatch=About", None), (400, "must be Exact or NotOlderThan")),
        (("GET", f"{PODS}?watch=1&resourceVersion=99999", None), (410, "too large resource version: 99999")),
        (("GET", f"{PODS}?watch=1&resourceVersion=abc", None), (410, "not one of this server's")),
        (("POST", CONFIG_MAPS, "{"), (400, "the body is not JSON")),
        (("POST", CONFIG_MAPS, "[" * 100_000), (400, "")),
        (("POST", CONFIG_MAPS, '{"metadata":' + '{"a":' * 100_000 + "1" + "}" * 100_001), (400, "")),
        (("POST", CONFIG_MAPS, "[]"), (400, "the body must be a ConfigMap object, got list")),
        (("POST", CONFIG_MAPS, "null"), (400, "the body must be a ConfigMap object")),
        (("POST", CONFIG_MAPS, '{"metadata":null}'), (422, "metadata.name: is required")),
        (("POST", CONFIG_MAPS, "\ud800"), (400, "the body is not JSON")),
        (("POST", "/api/v1/configmaps", C), (400, "configmaps are created in a namespace")),
        (("POST", f"{CONFIG_MAPS}/c", C), (405, "objects are created in their collection")),
        (("POST", f"{CONFIG_MAPS}?dryRun=Some", C), (400, "query parameter 'dryRun': must be All, got 'Some'")),
        (("POST", f"{CONFIG_MAPS}?fieldValidation=Lax", C), (400, "must be Ignore, Warn or Strict")),
        (("PUT", f"{CONFIG_MAPS}/c", C), (404, 'configmaps "c" not found')),
        (("PUT", CONFIG_MAPS, C), (405, "PUT is not supported on configmaps without a name")),
        (("PUT", f"{CONFIG_MAPS}/c/status", C), (404, "no such subresource is served here")),
        (("OPTIONS", CONFIG_MAPS, None), (405, "OPTIONS is not supported on configmaps")),
        (("POST", "/api", None), (405, "this path can only be read")),
        (("DELETE", f"{CONFIG_MAPS}/c", {"propagationPolicy": "Sideways"}), (400, "must be Background, Foreground or Orphan")),
        (("DELETE", f"{CONFIG_MAPS}/c", {"gracePeriodSeconds": "1"}), (400, "DeleteOptions.gracePeriodSeconds: must be int")),
        (("DELETE", f"{CONFIG_MAPS}/c", {"colour": "red"}), (400, "DeleteOptions.colour is not supported")),
        (("DELETE", f"{CONFIG_MAPS}/c", []), (400, "must be a DeleteOptions object")),
        (("GET", "/apis/authentication.k8s.io/v1/tokenreviews", None), (405, "do not support 'list'. They support create")),
        (("GET", f"{PODS}/p/log?tailLines=x", None), (404, 'pods "p" not found')),
        (("GET", "/openapi/v4", None), (404, "OpenAPI is at /openapi/v2 and /openapi/v3")),
        (("GET", "/openapi/v3/apis/nothing/v1", None), (404, "does not have the API group")),
        (("GET", f"{PODS}/%00", None), (404, "not found")),
        (("POST", PODS, {"metadata": {"name": "p"}}), (422, "spec: is required")),
        (("POST", PODS, {"metadata": {"name": "p"}, "spec": {"containers": "x"}}), (422, "spec.containers: must be a list")),
        (
            ("POST", PODS, {"metadata": {"name": "p"}, "spec": {"containers": ["x"]}}),
            (422, "spec.containers[0]: must be an object"),
        ),
        (("POST", "/api/v1/namespaces", {"metadata": {"name": "a.b"}}), (422, "metadata.name")),
        (("POST", "/api/v1/namespaces", {"metadata": {"name": "a"}, "spec": []}), (422, "spec: must be an object, got a list")),
        (("POST", "/api/v1/namespaces/default/events", {"metadata": {"name": "e"}}), (422, "involvedObject: is required")),
    ],
    ids=lambda value: " ".join(map(str, value[:2]))[:70],
)
async def test_bad_input_is_refused_by_name(
    http: httpx.AsyncClient, request_: tuple[str, str, Any], refusal: tuple[int, str]
) -> None:
    (method, path, body), (code, message) = request_, refusal
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else None if body is None else json.dumps(body)
    answer = await http.request(method, path, content=content)
    assert (answer.status_code, answer.json()["kind"], answer.json()["code"]) == (code, "Status", code)
    assert message in answer.json()["message"]


async def test_a_body_over_the_limit_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post(CONFIG_MAPS, content=b" " * (3 << 20) + b"{}")
    assert (answer.status_code, answer.json()["reason"]) == (413, "RequestEntityTooLarge")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("application/apply-patch+yaml", "server-side apply is not served here yet"),
        ("application/json", "a patch of type 'application/json' cannot be read here"),
        ("text/plain", "a patch of type 'text/plain'"),
    ],
)
async def test_forms_of_patches_that_are_refused(http: httpx.AsyncClient, form: str, message: str) -> None:
    await http.post(CONFIG_MAPS, json=C)
    answer = await http.patch(f"{CONFIG_MAPS}/c?force=true&fieldManager=x", content="{}", headers={"content-type": form})
    assert answer.status_code == 415
    assert message in answer.json()["message"]


@pytest.mark.parametrize("content", ["3", "null", "[]", '"x"'])
@pytest.mark.parametrize("form", ["merge-patch", "json-patch", "strategic-merge-patch"])
async def test_a_patch_of_the_wrong_shape_is_never_a_5xx(http: httpx.AsyncClient, content: str, form: str) -> None:
    await http.post(CONFIG_MAPS, json=C)
    headers = {"content-type": f"application/{form}+json"}
    answer = await http.patch(f"{CONFIG_MAPS}/c", content=content, headers=headers)
    assert answer.status_code in {400, 422} or (form, content) == ("json-patch", "[]")


async def test_a_body_in_another_form_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post(CONFIG_MAPS, content="a: b", headers={"content-type": "application/yaml"})
    assert (answer.status_code, answer.json()["reason"]) == (415, "UnsupportedMediaType")


async def test_an_answer_in_another_form_is_refused_before_anything_is_done(http: httpx.AsyncClient) -> None:
    answer = await http.post(CONFIG_MAPS, json=C, headers={"accept": "application/vnd.kubernetes.protobuf"})
    assert (answer.status_code, answer.json()["reason"]) == (406, "NotAcceptable")
    assert (await http.get(f"{CONFIG_MAPS}/c")).status_code == 404


async def test_a_dry_run_writes_nothing(http: httpx.AsyncClient) -> None:
    answer = await http.post(f"{CONFIG_MAPS}?dryRun=All", json=C)
    assert answer.json()["metadata"]["uid"]
    assert (await http.get(f"{CONFIG_MAPS}/c")).status_code == 404
    await http.post(CONFIG_MAPS, json=C)
    await http.put(f"{CONFIG_MAPS}/c?dryRun=All", json={**C, "data": {"a": "2"}})
    await http.delete(f"{CONFIG_MAPS}/c?dryRun=All")
    assert (await http.get(f"{CONFIG_MAPS}/c")).json()["data"] == {"a": "1"}


@pytest.mark.parametrize(
    ("validation", "code", "warning"),
    [
        ("Strict", 400, None),
        ("Warn", 201, '299 - "unknown field \\"spec.colour\\""'),
        ("", 201, '299 - "unknown field \\"spec.colour\\""'),
        ("Ignore", 201, None),
    ],
)
async def test_unknown_fields(http: httpx.AsyncClient, validation: str, code: int, warning: str | None) -> None:
    widget = {"metadata": {"name": "w"}, "spec": {"size": 1, "colour": "red"}}
    answer = await http.post(f"{WIDGETS}?fieldValidation={validation}", json=widget)
    assert (answer.status_code, answer.headers.get("warning")) == (code, warning)
    if validation == "Strict":
        assert 'strict decoding error: unknown field "spec.colour"' in answer.json()["message"]


TYPOS = {
    "spec.contianers": {"spec": {"contianers": []}},
    "spec.containers[0].imagePullPolcy": {"spec": {"containers": [{"name": "a", "image": "b", "imagePullPolcy": "Never"}]}},
    "spec.volumes[0].emptyDir.size": {
        "spec": {"containers": [{"name": "a", "image": "b"}], "volumes": [{"name": "v", "emptyDir": {"size": 1}}]}
    },
    "metadata.lables": {"metadata": {"name": "p", "lables": {}}, "spec": {"containers": [{"name": "a", "image": "b"}]}},
    "sepc": {"spec": {"containers": [{"name": "a", "image": "b"}]}, "sepc": {}},
}


@pytest.mark.parametrize("path", TYPOS)
async def test_a_misspelt_field_of_a_core_kind_is_named_and_not_stored(http: httpx.AsyncClient, path: str) -> None:
    pod = {"metadata": {"name": "p"}, **TYPOS[path]}
    pods = "/api/v1/namespaces/default/pods"
    refused = await http.post(f"{pods}?fieldValidation=Strict", json=pod)
    assert refused.status_code == 400
    assert f'strict decoding error: unknown field "{path}"' in refused.json()["message"]
    if path == "spec.contianers":
        return  # without it there is no Pod
    warned = await http.post(f"{pods}?fieldValidation=Warn", json=pod)
    assert (warned.status_code, warned.headers["warning"]) == (201, f'299 - "unknown field \\"{path}\\""')
    assert path.rpartition(".")[2] not in warned.text
    ignored = await http.put(f"{pods}/p?fieldValidation=Ignore", json={**pod, "spec": {**warned.json()["spec"], "nonsense": 1}})
    assert (ignored.status_code, ignored.headers.get("warning")) == (200, None)
    assert "nonsense" not in ignored.text


@pytest.mark.parametrize(
    ("container", "field", "message"),
    [
        (
            {"ports": [{"containerPort": "http"}]},
            "spec.containers[0].ports[0].containerPort",
            "must be a whole number, got a string",
        ),
        ({"securityContext": {"privileged": "yes"}}, "spec.containers[0].securityContext.privileged", "must be true or false"),
        ({"livenessProbe": []}, "spec.containers[0].livenessProbe", "must be an object, got a list"),
        ({"volumeMounts": {"name": "a"}}, "spec.containers[0].volumeMounts", "must be a list, got an object"),
    ],
)
async def test_a_value_of_the_wrong_type_is_named(http: httpx.AsyncClient, container: Any, field: str, message: str) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "b", **container}]}}
    answer = await http.post("/api/v1/namespaces/default/pods", json=pod)
    causes = answer.json()["details"]["causes"]
    assert (answer.status_code, [cause["field"] for cause in causes]) == (422, [field])
    assert message in causes[0]["message"]


async def test_nulls_are_no_values(http: httpx.AsyncClient) -> None:
    answer = await http.post(WIDGETS, json={"metadata": {"name": "w", "creationTimestamp": None}, "spec": {"size": None}})
    assert answer.json()["spec"] == {}


async def test_nulls_in_what_the_schema_leaves_open_are_values(http: httpx.AsyncClient) -> None:
    """It is the user's own, as the arguments of a run are."""
    own = {"a": None, "b": [{"c": None}]}
    answer = await http.post(WIDGETS, json={"metadata": {"name": "w"}, "spec": {"size": None, "own": own}})
    assert answer.json()["spec"] == {"own": own}


async def test_a_collection_is_deleted_by_selector(http: httpx.AsyncClient) -> None:
    for name, labels in (("a", {"go": "yes"}), ("b", {}), ("c", {"go": "yes"})):
        await http.post(CONFIG_MAPS, json={"metadata": {"name": name, "labels": labels}})
    deleted = (await http.delete(CONFIG_MAPS, params={"labelSelector": "go"})).json()
    assert [each["metadata"]["name"] for each in deleted["items"]] == ["a", "c"]
    assert [each["metadata"]["name"] for each in (await http.get(CONFIG_MAPS)).json()["items"]] == ["b"]


async def test_pages_and_exact_versions(http: httpx.AsyncClient) -> None:
    for name in "abc":
        await http.post(CONFIG_MAPS, json={"metadata": {"name": name}})
    first = (await http.get(f"{CONFIG_MAPS}?limit=2")).json()
    assert first["metadata"]["continue"]
    await http.delete(f"{CONFIG_MAPS}/c")
    rest = await http.get(CONFIG_MAPS, params={"limit": 2, "continue": first["metadata"]["continue"]})
    assert [each["metadata"]["name"] for each in rest.json()["items"]] == ["c"]
    exact = {"resourceVersion": first["metadata"]["resourceVersion"], "resourceVersionMatch": "Exact"}
    assert len((await http.get(CONFIG_MAPS, params=exact)).json()["items"]) == 3


async def test_tables(http: httpx.AsyncClient, make_pod: Any) -> None:
    await http.post(PODS, json=make_pod())
    table = (await http.get(PODS, headers={"accept": TABLE})).json()
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    names = [column["name"] for column in table["columnDefinitions"]]
    assert (names[:3], names[-1]) == (["Name", "Ready", "Status"], "Age")
    (row,) = table["rows"]
    assert (row["cells"][:3], row["cells"][-1]) == (["p", "0/1", "Pending"], "0s")
    assert row["object"]["kind"] == "PartialObjectMetadata"
    whole = (await http.get(f"{PODS}/p?includeObject=Object", headers={"accept": TABLE})).json()
    assert whole["rows"][0]["object"]["kind"] == "Pod"


async def test_metadata_alone(http: httpx.AsyncClient) -> None:
    await http.post(CONFIG_MAPS, json=C)
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    listed = (await http.get(CONFIG_MAPS, headers={"accept": accept})).json()
    assert listed["kind"] == "PartialObjectMetadataList"
    assert set(listed["items"][0]) == {"kind", "apiVersion", "metadata"}


async def test_discovery_in_both_forms(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api")).json()["versions"] == ["v1"]
    groups = [group["name"] for group in (await http.get("/apis")).json()["groups"]]
    assert groups == ["coordination.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "kedge.dev"]
    assert (await http.get("/apis/kedge.dev")).json()["preferredVersion"]["groupVersion"] == "kedge.dev/v1"
    resources = {each["name"]: each for each in (await http.get("/api/v1")).json()["resources"]}
    assert resources["pods"]["shortNames"] == ["po"]
    assert resources["pods/log"]["verbs"] == ["get"]
    assert resources["serviceaccounts/token"]["kind"] == "TokenRequest"
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    whole = await http.get("/apis", headers={"accept": accept})
    assert whole.headers["content-type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    assert [item["metadata"]["name"] for item in whole.json()["items"]] == groups
    core = (await http.get("/api", headers={"accept": accept})).json()
    assert core["items"][0]["versions"][0]["version"] == "v1"


async def test_openapi_says_that_the_server_validates(http: httpx.AsyncClient) -> None:
    index = (await http.get("/openapi/v3")).json()["paths"]
    document = (await http.get(index["api/v1"]["serverRelativeURL"])).json()
    change = document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert change["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "Pod"}
    assert "fieldValidation" in [parameter["name"] for parameter in change["parameters"]]
    pods = document["components"]["schemas"]["io.k8s.api.core.v1.Pod"]
    assert "containers" in pods["properties"]["spec"]["properties"]
    other = (await http.get(index["apis/kedge.dev/v1"]["serverRelativeURL"])).json()
    assert "dev.kedge.v1.Widget" in other["components"]["schemas"]
    assert "io.k8s.api.core.v1.Secret" in (await http.get("/openapi/v2")).json()["definitions"]


async def test_what_anyone_may_read(http: httpx.AsyncClient) -> None:
    http.headers.pop("authorization")
    for path in ("/healthz", "/livez", "/readyz"):
        assert (await http.get(path)).text == "ok"
    assert (await http.get("/version")).json()["gitVersion"] == "v1.32.0+kedge.1.2.3"
    assert (await http.get("/openid/v1/jwks")).json()["keys"][0]["crv"] == "P-256"
    assert (await http.get("/.well-known/openid-configuration")).json()["issuer"] == "https://127.0.0.1:1"
    for path in ("/api", "/apis", PODS, "/openapi/v2", "/openapi/v3"):
        answer = await http.get(path)
        assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")


async def test_a_defect_tells_nothing(http: httpx.AsyncClient, served: Any, caplog: Any) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("inner secret")

    served.api.core.admission = (broken,)
    answer = await http.post(CONFIG_MAPS, json=C)
    assert answer.status_code == 500
    assert "inner secret" not in answer.text
    assert "inner secret" in caplog.text


async def test_a_log(http: httpx.AsyncClient, served: Any, make_pod: Any) -> None:
    served.api.create(POD, make_pod())
    options = "tailLines=2&timestamps=true&sinceSeconds=60&limitBytes=5&previous=false&insecureSkipTLSVerifyBackend=true"
    answer = await http.get(f"{PODS}/p/log?container=main&{options}")
    assert (answer.status_code, answer.text) == (200, "one\ntwo\nthree\n")
    assert answer.headers["content-type"].startswith("text/plain")
    (asked,) = served.logs.asked
    assert (asked.tail, asked.timestamps, asked.limit_bytes, asked.follow) == (2, True, 5, False)
    assert asked.since.isoformat() == "2025-12-31T23:59:00+00:00"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "a container name must be specified for pod p, choose one of: [main side]"),
        ("container=x", "container x is not valid for pod p"),
        ("container=main&previous=true", "container main has no previous instance"),
        ("container=main&sinceTime=now", "query parameter 'sinceTime': must be an RFC 3339 time, got 'now'"),
        ("container=main&sinceTime=2026-01-01T00:00:00Z&sinceSeconds=1", "at most one of"),
        ("container=main&colour=red", "query parameter 'colour' is not supported here"),
    ],
)
async def test_logs_that_cannot_be_read(http: httpx.AsyncClient, served: Any, make_pod: Any, query: str, message: str) -> None:
    obj = make_pod()
    obj["spec"]["containers"].append({"name": "side", "image": "python:3.11"})
    served.api.create(POD, obj)
    answer = await http.get(f"{PODS}/p/log?{query}")
    assert answer.status_code == 400
    assert message in answer.json()["message"]


async def test_a_followed_log_ends_when_the_reader_goes(served: Any, call: Any, make_pod: Any) -> None:
    served.api.create(POD, make_pod())
    reading = call(f"{PODS}/p/log?follow=True")
    assert await reading.head() == 200
    assert await reading.line() == b"one"
    await reading.leave()
    assert served.logs.closed.is_set()


async def test_a_watch(served: Any, call: Any) -> None:
    served.api.create(CONFIG_MAP, C)
    watching = call(f"{CONFIG_MAPS}?watch=true")
    assert await watching.head() == 200
    kind, obj = await watching.event()
    assert (kind, obj["metadata"]["name"]) == ("ADDED", "c")
    served.api.patch(CONFIG_MAP, "c", "default", {"data": {"a": "2"}})
    kind, obj = await watching.event()
    assert (kind, obj["data"]) == ("MODIFIED", {"a": "2"})


async def test_a_watch_from_a_version_and_one_from_now(served: Any, call: Any) -> None:
    version = served.api.create(CONFIG_MAP, C)["metadata"]["resourceVersion"]
    after = call(f"{CONFIG_MAPS}?watch=true&resourceVersion={version}")
    now = call(f"{CONFIG_MAPS}?watch=true&sendInitialEvents=false")
    assert [await each.head() for each in (after, now)] == [200, 200]
    served.api.delete(CONFIG_MAP, "c", "default")
    for each in (after, now):
        assert (await each.event())[0] == "DELETED"


async def test_a_watch_in_place_of_a_list(served: Any, call: Any) -> None:
    served.api.create(CONFIG_MAP, C)
    options = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    watching = call(f"{CONFIG_MAPS}?watch=true&{options}")
    await watching.head()
    assert (await watching.event())[0] == "ADDED"
    kind, obj = await watching.event()
    assert (kind, obj["metadata"]["annotations"]) == ("BOOKMARK", {"k8s.io/initial-events-end": "true"})


async def test_a_host_that_stops_ends_its_watches(served: Any, call: Any) -> None:
    watching = call(f"{CONFIG_MAPS}?watch=true")
    await watching.head()
    served.streams.close()
    assert await watching.line() == b""
    late = call(f"{CONFIG_MAPS}?watch=true")
    await late.head()
    assert await late.line() == b""


async def test_reviews(http: httpx.AsyncClient, served: Any) -> None:
    me = (await http.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json={})).json()
    assert me["status"]["userInfo"] == {"username": "kedge-owner", "groups": ["system:masters", "system:authenticated"]}
    may = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert (await http.post(path, json=may)).json()["status"] == {"allowed": True}
    rules = (await http.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", json={"spec": {"namespace": "x"}})).json()
    assert rules["status"]["resourceRules"][0]["verbs"] == ["*"]
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    given = (await http.post(path, json={"spec": {"audiences": ["kedge"]}})).json()
    for audience, known in (("kedge", True), ("other", False)):
        asked = {"spec": {"token": given["status"]["token"], "audiences": [audience]}}
        review = (await http.post("/apis/authentication.k8s.io/v1/tokenreviews", json=asked)).json()
        assert review["status"]["authenticated"] is known


async def test_an_account_may_only_ask_about_itself(http: httpx.AsyncClient) -> None:
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    token = (await http.post(path, json={})).json()["status"]["token"]
    http.headers["authorization"] = f"Bearer {token}"
    refused = await http.get(PODS)
    assert refused.status_code == 403
    expected = (
        'User "system:serviceaccount:default:default" cannot list resource "pods" in API group "" in the namespace "default"'
    )
    assert expected in refused.json()["message"]
    me = (await http.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json={})).json()
    assert me["status"]["userInfo"]["username"] == "system:serviceaccount:default:default"
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert (await http.post(path, json={"spec": {}})).json()["status"]["allowed"] is False


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({"host": "evil.example"}, "Host 'evil.example' is not a name of this host"),
        ({"host": "evil.example:1"}, "Host 'evil.example:1'"),
        ({"host": "[::1"}, "Host"),
        ({"origin": "https://evil.example"}, "Origin 'https://evil.example' is another site"),
        ({"origin": "http://localhost:2"}, "is another site"),
        ({"origin": "null"}, "is another site"),
    ],
)
async def test_requests_that_a_foreign_page_could_send_are_refused(
    http: httpx.AsyncClient, headers: dict[str, str], word: str
) -> None:
    answer = await http.get("/version", headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")
    assert word in answer.json()["message"]


@pytest.mark.parametrize("headers", [{"host": "127.0.0.1:1"}, {"host": "[::1]:1"}, {"origin": "http://localhost:1"}])
async def test_requests_of_this_machine_pass(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await http.get("/version", headers=headers)).status_code == 200
