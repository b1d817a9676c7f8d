"""The API over HTTP: what a client sees, and what bad input gets."""

import json
import re
from typing import Any

import httpx
import pytest

from kedge.kube.core import CONFIG_MAP, POD
from kedge.server import bootstrap
from kedge.server.api import Api

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
        (
            ("GET", "/api/v1/nothings", None),
            (404, "the server could not find the requested resource: there are no 'nothings' in v1"),
        ),
        (("GET", "/api/v2", None), (404, "in version 'v2'")),
        (("GET", "/api/v1/watch/pods", None), (404, "Add ?watch=true")),
        (("GET", "/api/v1/pods/p", None), (404, "pods live in namespaces; use /api/v1/namespaces/NAMESPACE/pods/p.")),
        (("GET", "/api/v1/namespaces/default/nodes", None), (404, "could not find the requested resource")),
        (("GET", f"{PODS}/p/log/x", None), (404, "could not find the requested resource")),
        (("POST", f"{PODS}/p/exec?command=ls", None), (404, 'pods "p" not found')),
        (("GET", f"{PODS}/p/portforward", None), (404, 'pods "p" not found')),
        (("GET", "/api/v1/nodes/n/proxy", None), (404, "Nodes are not proxied here")),
        (("PATCH", f"{PODS}/p/ephemeralcontainers", {}), (404, "kubectl debug POD --copy-to=NAME")),
        (("POST", f"{PODS}/p/eviction", {}), (404, 'pods "p" not found')),
        (
            ("POST", f"{PODS}/p/eviction", {"metadata": {"name": "q"}}),
            (400, "name in URL does not match name in Eviction object"),
        ),
        (("GET", f"{PODS}/p/eviction", None), (405, "pods/eviction cannot be read")),
        (("POST", f"{PODS}/p/binding", {"target": {}}), (422, "target.name: Required value")),
        (("GET", f"{PODS}?dryRun=All", None), (400, "query parameter 'dryRun' is not supported here")),
        (("GET", f"{PODS}?limit=x", None), (400, 'strconv.ParseInt: parsing "x": invalid syntax')),
        (("GET", f"{PODS}?limit={1 << 63}", None), (400, 'parsing "9223372036854775808": value out of range')),
        (("GET", f"{PODS}?labelSelector=a=(", None), (400, "unable to parse requirement: found '(', expected: identifier")),
        (("GET", f"{PODS}?fieldSelector=spec.x=1", None), (400, "field label not supported: spec.x")),
        (("GET", f"{PODS}?continue=x", None), (400, "the continue token cannot be read")),
        (("GET", f"{PODS}?resourceVersion=99999", None), (504, "Too large resource version: 99999")),
        (("GET", f"{PODS}?resourceVersionMatch=About", None), (422, 'Unsupported value: "About"')),
        (("GET", f"{PODS}?watch=1&resourceVersion=abc", None), (400, "invalid resource version")),
        (("POST", CONFIG_MAPS, "{"), (400, "the body is not JSON")),
        (("POST", CONFIG_MAPS, "[" * 100_000), (400, "")),
        (("POST", CONFIG_MAPS, '{"metadata":' + '{"a":' * 100_000 + "1" + "}" * 100_001), (400, "")),
        (("POST", CONFIG_MAPS, "[]"), (400, "the object provided is unrecognized (must be of type ConfigMap)")),
        (("POST", CONFIG_MAPS, "null"), (422, "metadata.name: Required value")),
        (("POST", CONFIG_MAPS, '{"metadata":null}'), (422, "metadata.name: Required value")),
        (("POST", CONFIG_MAPS, "\ud800"), (400, "the body is not JSON")),
        (("POST", "/api/v1/configmaps", C), (405, "configmaps are created in a namespace")),
        (("POST", f"{CONFIG_MAPS}/c", C), (405, "objects are created in their collection")),
        (("POST", f"{CONFIG_MAPS}?dryRun=Some", C), (422, 'dryRun: Unsupported value: ["Some"]')),
        (("POST", f"{CONFIG_MAPS}?fieldValidation=Lax", C), (422, 'fieldValidation: Unsupported value: "Lax"')),
        (("PUT", f"{CONFIG_MAPS}/c", C), (404, 'configmaps "c" not found')),
        (("PUT", CONFIG_MAPS, C), (405, "PUT is not supported on configmaps without a name")),
        (("PUT", f"{CONFIG_MAPS}/c/status", C), (404, "there is no configmaps/status.")),
        (("OPTIONS", CONFIG_MAPS, None), (405, "OPTIONS is not supported on configmaps")),
        (("POST", "/api", None), (405, "this path can only be read")),
        (
            ("DELETE", f"{CONFIG_MAPS}/c", {"propagationPolicy": "Sideways"}),
            (422, 'propagationPolicy: Unsupported value: "Sideways"'),
        ),
        (("DELETE", f"{CONFIG_MAPS}/c", {"gracePeriodSeconds": "1"}), (400, "DeleteOptions.gracePeriodSeconds: must be int")),
        (("DELETE", f"{CONFIG_MAPS}/c", {"colour": "red"}), (404, 'configmaps "c" not found')),
        (("DELETE", f"{CONFIG_MAPS}/c", {"kind": "Pod"}), (400, "must be a DeleteOptions object, or empty; got kind 'Pod'")),
        (("DELETE", f"{CONFIG_MAPS}/c", []), (400, "must be a DeleteOptions object")),
        (("GET", "/apis/authentication.k8s.io/v1/tokenreviews", None), (405, "do not support 'list'. They support create")),
        (("GET", f"{PODS}/p/log?tailLines=x", None), (404, 'pods "p" not found')),
        (("GET", "/openapi/v4", None), (404, "OpenAPI is at /openapi/v2 and /openapi/v3")),
        (("GET", "/openapi/v3/apis/nothing/v1", None), (404, "there is no API group")),
        (("GET", f"{PODS}/%00", None), (404, "not found")),
        (("POST", PODS, {"metadata": {"name": "p"}}), (422, "spec.containers: Required value")),
        (("POST", PODS, {"metadata": {"name": "p"}, "spec": {"containers": "x"}}), (400, "of type []v1.Container")),
        (
            ("POST", PODS, {"metadata": {"name": "p"}, "spec": {"containers": ["x"]}}),
            (400, "PodSpec.spec.containers of type v1.Container"),
        ),
        (("POST", "/api/v1/namespaces", {"metadata": {"name": "a.b"}}), (422, "metadata.name")),
        (("POST", "/api/v1/namespaces", {"metadata": {"name": "a"}, "spec": []}), (400, "cannot unmarshal array into Go struct")),
        (
            ("POST", "/api/v1/namespaces/default/events", {"metadata": {"name": "e"}, "involvedObject": {"namespace": "other"}}),
            (422, 'involvedObject.namespace: Invalid value: "other": does not match event.namespace'),
        ),
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


@pytest.mark.parametrize("path", ["/apis/apps", "/apis/apps/v1", "/apis/apps/v1/deployments", "/readyz/nothing", "/livez/ping/x"])
async def test_nothing_is_served_where_no_api_begins(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (404, "text/plain")


async def test_a_body_over_the_limit_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post(CONFIG_MAPS, content=b" " * (3 << 20) + b"{}")
    assert (answer.status_code, answer.json()["reason"]) == (413, "RequestEntityTooLarge")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("application/apply-patch+cbor", "application/apply-patch+yaml"),
        ("application/json", "a patch of type 'application/json' cannot be read here"),
        ("text/plain", "a patch of type 'text/plain'"),
    ],
)
async def test_forms_of_patches_that_are_refused(http: httpx.AsyncClient, form: str, message: str) -> None:
    await http.post(CONFIG_MAPS, json=C)
    answer = await http.patch(f"{CONFIG_MAPS}/c?fieldManager=x", content="{}", headers={"content-type": form})
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
    answer = await http.post(CONFIG_MAPS, content="a: b", headers={"content-type": "application/toml"})
    assert (answer.status_code, answer.json()["reason"]) == (415, "UnsupportedMediaType")


async def test_a_review_has_no_table(http: httpx.AsyncClient) -> None:
    asked = {"spec": {"nonResourceAttributes": {"path": "/healthz", "verb": "get"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = await http.post(path, json=asked, headers={"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
    assert (answer.status_code, answer.json()["reason"]) == (406, "NotAcceptable")
    either = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    assert (await http.post(path, json=asked, headers={"accept": either})).status_code == 201


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
        assert answer.json()["message"] == (
            'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.colour"'
        )


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
    ("spec", "field", "message"),
    [
        ({"size": "big"}, "spec.size", "must be a whole number, got a string"),
        ({"tags": {}}, "spec.tags", "must be a list, got an object"),
        ([], "spec", "must be an object, got a list"),
    ],
)
async def test_a_value_of_the_wrong_type_is_named(http: httpx.AsyncClient, spec: Any, field: str, message: str) -> None:
    answer = await http.post(WIDGETS, json={"metadata": {"name": "p"}, "spec": spec})
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


async def test_a_list_whose_beginning_was_forgotten_says_how_to_go_on(http: httpx.AsyncClient, served: Any) -> None:
    for name in "abcd":
        await http.post(CONFIG_MAPS, json={"metadata": {"name": name}})
    first = (await http.get(f"{CONFIG_MAPS}?limit=2")).json()
    await http.delete(f"{CONFIG_MAPS}/c")
    served.api.core.store.compact(served.api.core.store.current())
    gone = await http.get(CONFIG_MAPS, params={"limit": 1, "continue": first["metadata"]["continue"]})
    assert (gone.status_code, gone.json()["reason"]) == (410, "Expired")
    assert gone.json()["message"].startswith("The provided continue parameter is too old to display a consistent list result")
    rest = await http.get(CONFIG_MAPS, params={"limit": 1, "continue": gone.json()["metadata"]["continue"]})
    assert [each["metadata"]["name"] for each in rest.json()["items"]] == ["d"]
    version = first["metadata"]["resourceVersion"]
    old = await http.get(CONFIG_MAPS, params={"resourceVersion": version, "resourceVersionMatch": "Exact"})
    assert (old.status_code, old.json()["message"][:55]) == (410, "The resourceVersion for the provided list is too old. L")
    watched = await http.get(CONFIG_MAPS, params={"resourceVersion": version, "watch": "1"})
    assert (watched.status_code, watched.json()["type"]) == (200, "ERROR")
    told = watched.json()["object"]
    assert (told["code"], told["reason"]) == (410, "Expired")
    assert told["message"].startswith(f"too old resource version: {version} (")


async def test_a_watch_from_a_revision_that_is_to_come_says_so(http: httpx.AsyncClient) -> None:
    told = (await http.get(f"{PODS}?watch=1&resourceVersion=99999")).json()
    assert (told["type"], told["object"]["code"]) == ("ERROR", 410)
    assert "too large resource version: 99999" in told["object"]["message"]


async def test_tables(http: httpx.AsyncClient, make_pod: Any) -> None:
    await http.post(PODS, json=make_pod())
    table = (await http.get(PODS, headers={"accept": TABLE})).json()
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    names = [column["name"] for column in table["columnDefinitions"]]
    wide = ["IP", "Node", "Nominated Node", "Readiness Gates"]
    assert names == ["Name", "Ready", "Status", "Restarts", "Age", *wide]  # as a cluster: those of -o wide are last
    (row,) = table["rows"]
    assert row["cells"][:5] == ["p", "0/1", "Pending", "0", "0s"]
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
    assert {"coordination.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "kedge.dev"} <= set(groups)
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
    schemas = document["components"]["schemas"]
    (spec,) = schemas["io.k8s.api.core.v1.Pod"]["properties"]["spec"]["allOf"]
    assert "containers" in schemas[spec["$ref"].rpartition("/")[2]]["properties"]
    other = (await http.get(index["apis/kedge.dev/v1"]["serverRelativeURL"])).json()
    assert "dev.kedge.v1.Widget" in other["components"]["schemas"]
    assert "io.k8s.api.core.v1.Secret" in (await http.get("/openapi/v2")).json()["definitions"]


async def test_warnings_fit_into_a_head_whatever_a_field_is_called(http: httpx.AsyncClient, make_pod: Any) -> None:
    odd = {"a\r\nSet-Cookie: b": 1, "\u00e9\x00\u2028": 2, **{f"{number}-{'x' * 500}": 3 for number in range(2000)}}
    answer = await http.post("/api/v1/namespaces/default/pods", json={**make_pod(), **odd})
    assert answer.status_code == 201
    warnings = answer.headers.get_list("warning")
    assert warnings[:2] == ['299 - "unknown field \\"a??Set-Cookie: b\\""', '299 - "unknown field \\"???\\""']
    assert 1000 < sum(map(len, warnings)) < 5000
    assert all(each.isprintable() for each in warnings)


async def test_openapi_tells_of_all_that_discovery_does(http: httpx.AsyncClient) -> None:
    methods = {"get": "get", "list": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete"}
    for place in (await http.get("/openapi/v3")).json()["paths"]:
        document = (await http.get(f"/openapi/v3/{place}")).json()
        for resource in (await http.get(f"/{place}")).json()["resources"]:
            plural, _, subresource = resource["name"].partition("/")
            collection = f"/{place}/{'namespaces/{namespace}/' if resource['namespaced'] else ''}{plural}"
            for verb in resource["verbs"]:
                if verb in {"watch", "deletecollection"}:
                    continue
                of_all = not subresource and verb in {"list", "create"}
                path = collection if of_all else "/".join([collection, "{name}", *filter(None, [subresource])])
                found = document["paths"][path]
                assert methods[verb] in found, (path, verb)
                told = {each["name"] for each in found["parameters"] if each["in"] == "path"}
                assert told == set(re.findall(r"{(\w+)}", path))
    connected = (await http.get("/openapi/v3/api/v1")).json()["paths"]
    command = connected["/api/v1/namespaces/{namespace}/pods/{name}/exec"]["get"]
    assert command["x-kubernetes-action"] == "connect"
    assert command["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "PodExecOptions"}
    assert "/api/v1/namespaces/{namespace}/services/{name}/proxy/{path}" in connected


async def test_what_anyone_may_read(http: httpx.AsyncClient) -> None:
    http.headers.pop("authorization")
    for path in ("/healthz", "/livez", "/readyz"):
        assert (await http.get(path)).text == "ok"
    for path in ("/version", "/version/"):  # the second is kr8s's
        assert (await http.get(path)).json()["gitVersion"] == "v1.36.0+kedge.1.2.3"
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


def bound(pod: Any) -> Any:
    pod["spec"]["nodeName"] = "here"
    return pod


async def test_a_log(http: httpx.AsyncClient, served: Any, make_pod: Any) -> None:
    served.api.create(POD, bound(make_pod()))
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
        ("container=main&limit=1", "query parameter 'limit' is not supported here"),
    ],
)
async def test_logs_that_cannot_be_read(http: httpx.AsyncClient, served: Any, make_pod: Any, query: str, message: str) -> None:
    obj = bound(make_pod())
    obj["spec"]["containers"].append({"name": "side", "image": "python:3.11"})
    served.api.create(POD, obj)
    answer = await http.get(f"{PODS}/p/log?{query}")
    assert answer.status_code == 400
    assert message in answer.json()["message"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("tailLines=-1", "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("limitBytes=0", "limitBytes: Invalid value: 0: must be greater than 0"),
        ("sinceSeconds=0", "sinceSeconds: Invalid value: 0: must be greater than 0"),
        (
            "sinceTime=2026-01-01T00:00:00Z&sinceSeconds=1",
            ": Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
    ],
)
async def test_options_of_logs_that_are_out_of_bounds(
    http: httpx.AsyncClient, served: Any, make_pod: Any, query: str, message: str
) -> None:
    served.api.create(POD, bound(make_pod()))
    answer = await http.get(f"{PODS}/p/log?{query}")
    assert answer.status_code == 422
    assert answer.json()["message"] == f'PodLogOptions "p" is invalid: {message}'


async def test_a_pod_without_a_node_has_an_empty_log(http: httpx.AsyncClient, served: Any, make_pod: Any) -> None:
    served.api.create(POD, make_pod())
    answer = await http.get(f"{PODS}/p/log?follow=true")
    assert (answer.status_code, answer.text) == (200, "")


async def test_a_followed_log_ends_when_the_reader_goes(served: Any, call: Any, make_pod: Any) -> None:
    served.api.create(POD, bound(make_pod()))
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
    now = call(f"{CONFIG_MAPS}?watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan")
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


async def test_an_account_without_a_role_may_only_ask_about_itself(http: httpx.AsyncClient, api: Api) -> None:
    bootstrap.ensure(api, storage_class="standard", provisioner="kedge.dev/folder")
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
    asked = {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "default"}}}
    assert (await http.post(path, json=asked)).json()["status"]["allowed"] is False


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


async def test_a_field_that_is_there_twice_is_told_of_a_patch_too(http: httpx.AsyncClient) -> None:
    await http.post(CONFIG_MAPS, json=C)
    headers = {"content-type": "application/merge-patch+json"}
    text = '{"data":{"a":"1"},"metadata":{"ownerReferences":[{"uid":"1","uid":"2"}]},"data":{"a":"2"}}'
    answer = await http.patch(f"{CONFIG_MAPS}/c?fieldValidation=Strict", content=text, headers=headers)
    assert (answer.status_code, answer.json()["details"]["causes"][0]["field"]) == (422, "patch")
    told = 'strict decoding error: duplicate field "metadata.ownerReferences[0].uid", duplicate field "data"'
    assert told in answer.json()["message"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (
            '"nothing":{"a":1,"a":2},"nodeName":"a","nodeName":"b"',
            'unknown field "spec.nothing", duplicate field "spec.nodeName"',
        ),
        (
            '"nothing":1,"nodeName":"a","nothing":2,"nodeName":"b"',
            'unknown field "spec.nothing", duplicate field "spec.nodeName"',
        ),
        ('"nodeName":"a","nothing":1,"nodeName":"b"', 'unknown field "spec.nothing", duplicate field "spec.nodeName"'),
        ('"nodeName":"a","nodeName":"b","nothing":1', 'duplicate field "spec.nodeName", unknown field "spec.nothing"'),
    ],
)
async def test_what_is_wrong_with_fields_is_told_in_their_order(http: httpx.AsyncClient, query: str, told: str) -> None:
    content = f'{{"metadata":{{"name":"p"}},"spec":{{{query}}}}}'
    path = "/api/v1/namespaces/default/pods?fieldValidation=Strict"
    answer = await http.post(path, content=content, headers={"content-type": "application/json"})
    assert answer.json()["message"].endswith(f"strict decoding error: {told}")


async def test_a_key_that_stands_twice_in_what_is_applied_is_told_with_its_line(http: httpx.AsyncClient) -> None:
    content = "\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: b\n  a: c\n"
    headers = {"content-type": "application/apply-patch+yaml"}
    answer = await http.patch(f"{CONFIG_MAPS}/c?fieldManager=x&fieldValidation=Strict", content=content, headers=headers)
    assert answer.status_code == 400
    assert 'line 7: key "a" already set in map' in answer.json()["message"]


@pytest.mark.parametrize("how", ["merge-patch+json", "apply-patch+yaml"])
async def test_changes_do_not_make_an_object_larger_than_what_is_sent_at_once(http: httpx.AsyncClient, how: str) -> None:
    await http.post(CONFIG_MAPS, json={"metadata": {"name": "c"}, "data": {"a": "x" * 1_000_000}})
    content = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"b": "x" * 2_500_000}})
    headers = {"content-type": f"application/{how}"}
    answer = await http.patch(f"{CONFIG_MAPS}/c?fieldManager=x", content=content, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (413, "RequestEntityTooLarge")
    assert (await http.get(f"{CONFIG_MAPS}/c")).json()["data"].keys() == {"a"}


async def test_what_is_in_all_namespaces_is_not_deleted_at_once(http: httpx.AsyncClient) -> None:
    await http.post(CONFIG_MAPS, json=C)
    answer = await http.delete("/api/v1/configmaps")
    assert (answer.status_code, answer.json()["reason"]) == (405, "MethodNotAllowed")
    assert (await http.get(f"{CONFIG_MAPS}/c")).status_code == 200


@pytest.mark.parametrize("wrong", [{"apiVersion": ""}, {"kind": ""}, {"name": ""}, {"uid": ""}, {"kind": "Event"}])
async def test_owners_are_named_in_full_and_are_no_events(http: httpx.AsyncClient, wrong: dict[str, str]) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b", **wrong}
    answer = await http.post(CONFIG_MAPS, json={"metadata": {"name": "c", "ownerReferences": [owner]}})
    assert answer.status_code == 422
    assert answer.json()["details"]["causes"][0]["field"].startswith("metadata.ownerReferences")


async def test_what_an_event_says_stays_but_for_its_series(http: httpx.AsyncClient) -> None:
    events = "/apis/events.k8s.io/v1/namespaces/default/events"
    said = {"eventTime": "2026-01-02T03:04:05.000006Z", "type": "Normal", "reason": "Looked", "action": "Looking", "note": "a"}
    by = {"reportingController": "example.com/looker", "reportingInstance": "one", "regarding": {"namespace": "default"}}
    event = {"metadata": {"name": "e"}, **said, **by}
    assert (await http.post(events, json=event)).status_code == 201
    headers = {"content-type": "application/merge-patch+json"}
    series = {"count": 2, "lastObservedTime": "2026-01-02T03:05:05.000006Z"}
    assert (await http.patch(f"{events}/e", json={"series": series}, headers=headers)).status_code == 200
    refused = (await http.patch(f"{events}/e", json={"note": "b", "action": "c"}, headers=headers)).json()
    assert [cause["field"] for cause in refused["details"]["causes"]] == ["message", "action"]
    core = await http.patch("/api/v1/namespaces/default/events/e", json={"message": "b"}, headers=headers)
    assert core.status_code == 200
