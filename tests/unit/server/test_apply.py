"""Server-side apply over HTTP: what a request adds to the rules, with the answers of a real API server (1.36)."""

import json
from typing import Any

import httpx
import pytest

from kedge.kube.core import CONFIG_MAP
from kedge.server.api import Api

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
YAML = {"content-type": "application/apply-patch+yaml"}


def config(data: Any = None, **meta: Any) -> dict[str, Any]:
    obj: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", **meta}}
    return obj if data is None else {**obj, "data": data}


async def apply(http: httpx.AsyncClient, obj: Any, query: str = "fieldManager=a", path: str = f"{CONFIG_MAPS}/c") -> Any:
    content = obj if isinstance(obj, str) else json.dumps(obj)
    answer = await http.patch(f"{path}?{query}", headers=YAML, content=content)
    return answer.status_code, answer.json()


def owners(obj: Any) -> dict[str, Any]:
    return {f"{each['manager']} {each['operation']}": each["fieldsV1"] for each in obj["metadata"].get("managedFields", [])}


async def test_an_object_is_made_and_made_no_second_time(http: httpx.AsyncClient) -> None:
    code, made = await apply(http, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  a: b\n")
    assert (code, made["data"], owners(made)) == (201, {"a": "b"}, {"a Apply": {"f:data": {"f:a": {}}}})
    assert await apply(http, config({"a": "b"})) == (200, made)


async def test_a_conflict_names_each_field_and_nothing_else(http: httpx.AsyncClient) -> None:
    await http.post(CONFIG_MAPS, json=config({"a": "b"}), headers={"user-agent": "poster/1.0 (x)"})
    code, refused = await apply(http, config({"a": "c"}))
    assert (code, refused["reason"]) == (409, "Conflict")
    assert refused["message"] == 'Apply failed with 1 conflict: conflict with "poster" using v1: .data.a'
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "poster" using v1', "field": ".data.a"}
    assert refused["details"] == {"causes": [cause]}
    code, taken = await apply(http, config({"a": "c"}), "fieldManager=a&force=true")
    assert (code, owners(taken)) == (200, {"a Apply": {"f:data": {"f:a": {}}}, "poster Update": {"f:data": {}}})


async def test_a_dry_run_writes_nothing(http: httpx.AsyncClient, api: Api) -> None:
    code, made = await apply(http, config({"a": "b"}), "fieldManager=a&dryRun=All")
    assert (code, made["data"]) == (201, {"a": "b"})
    assert not api.list(CONFIG_MAP, "default").items
    await apply(http, config({"a": "b"}))
    before = api.get(CONFIG_MAP, "c", "default")
    code, changed = await apply(http, config({"a": "c"}), "fieldManager=a&dryRun=All")
    assert (code, changed["data"]) == (200, {"a": "c"})
    assert api.get(CONFIG_MAP, "c", "default") == before


@pytest.mark.parametrize(
    ("obj", "query", "code", "message"),
    [
        (config(), "", 422, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'),
        (config(), f"fieldManager={'z' * 129}", 422, "fieldManager: Too long: may not be more than 128 bytes"),
        (config(), "fieldManager=z%07", 422, "invalid character U+0007 (at position 1)"),
        (config(managedFields=[]), "fieldManager=a", 400, "metadata.managedFields must be nil"),
        ("a: [", "fieldManager=a", 400, "error decoding YAML: "),
        ("hello", "fieldManager=a", 400, "error decoding YAML: an object is expected, got str"),
        ("", "fieldManager=a", 400, "an object is expected, got NoneType"),
        ({"metadata": {"name": "c"}}, "fieldManager=a", 400, "invalid object type: /, Kind="),
        ({**config(), "kind": "Secret"}, "fieldManager=a", 400, "invalid object type: /v1, Kind=Secret"),
        ({**config(), "metadata": {}}, "fieldManager=a", 400, "(c based on URL) was undeterminable: name must be provided"),
        ({**config(), "metadata": 3}, "fieldManager=a", 400, ".metadata: expected map, got &{3}"),
        (config(name="d"), "fieldManager=a", 400, "the name of the object (d) does not match the name on the URL (c)"),
        (config(namespace="x"), "fieldManager=a", 400, "does not match the namespace sent on the request"),
        (
            {**config(), "foo": 1},
            "fieldManager=a&fieldValidation=Ignore",
            400,
            "failed to create typed patch object (/c; /v1, Kind=ConfigMap): .foo: field not declared in schema",
        ),
        (config(finalizers=["x/z", "x/z"]), "fieldManager=a", 400, '.metadata.finalizers: duplicate entries for key [="x/z"]'),
        (config({"a": 1}), "fieldManager=a", 400, ".data.a: expected string, got &value.valueUnstructured{Value:1}"),
        (config({"a": "b"}, uid="1"), "fieldManager=a", 409, "it does not exist"),
    ],
)
async def test_configurations_that_are_refused(http: httpx.AsyncClient, obj: Any, query: str, code: int, message: str) -> None:
    found, refused = await apply(http, obj, query)
    assert (found, message in refused["message"]) == (code, True), refused


async def test_force_is_for_apply_alone(http: httpx.AsyncClient) -> None:
    await http.post(CONFIG_MAPS, json=config())
    answer = await http.patch(
        f"{CONFIG_MAPS}/c?force=true", content="{}", headers={"content-type": "application/merge-patch+json"}
    )
    assert (answer.status_code, answer.json()["details"]["kind"]) == (422, "PatchOptions")
    assert "force: Forbidden: may not be specified for non-apply patch" in answer.json()["message"]


async def test_preconditions_of_an_apply(http: httpx.AsyncClient) -> None:
    await apply(http, config({"a": "b"}, resourceVersion="7"))  # of what is not there it asks nothing
    code, refused = await apply(http, config({"a": "c"}, resourceVersion="1"))
    assert (code, "the object has been modified" in refused["message"]) == (409, True)
    code, refused = await apply(http, config({"a": "c"}, uid="1"))
    assert (code, "metadata.uid" in refused["message"]) == (422, True)


@pytest.mark.parametrize("nothing", [[], [{}]])
async def test_a_client_may_clear_the_record_and_set_it(http: httpx.AsyncClient, nothing: Any) -> None:
    merge = {"content-type": "application/merge-patch+json"}
    await apply(http, config({"a": "b"}))
    answer = await http.patch(f"{CONFIG_MAPS}/c", json={"metadata": {"managedFields": nothing}}, headers=merge)
    assert "managedFields" not in answer.json()["metadata"]
    answer = await http.patch(f"{CONFIG_MAPS}/c", json={"data": {"c": "d"}}, headers=merge)
    assert "managedFields" not in answer.json()["metadata"]
    entry = {
        "manager": "q",
        "operation": "Update",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {}}},
    }
    answer = await http.patch(f"{CONFIG_MAPS}/c", json={"metadata": {"managedFields": [entry]}}, headers=merge)
    assert owners(answer.json()) == {"q Update": {"f:data": {"f:a": {}}}}
    wrong = {**entry, "operation": "Own"}
    answer = await http.patch(f"{CONFIG_MAPS}/c", json={"metadata": {"managedFields": [wrong]}}, headers=merge)
    assert owners(answer.json()) == {"q Update": {"f:data": {"f:a": {}}}}


async def test_a_replacement_keeps_the_record_that_it_does_not_send(http: httpx.AsyncClient) -> None:
    await apply(http, config({"a": "b", "c": "d"}))
    answer = await http.put(f"{CONFIG_MAPS}/c", json=config({"a": "x", "c": "d"}), headers={"user-agent": "putter/2"})
    assert owners(answer.json()) == {"a Apply": {"f:data": {"f:c": {}}}, "putter Update": {"f:data": {"f:a": {}}}}
    again = await http.put(f"{CONFIG_MAPS}/c", json=config({"a": "x", "c": "d"}), headers={"user-agent": "other/2"})
    assert again.json() == answer.json()


async def test_kubectl_takes_over_from_its_client_side(http: httpx.AsyncClient) -> None:
    annotation = "kubectl.kubernetes.io/last-applied-configuration"
    last = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1","b":"2"}}'
    obj = config({"a": "1", "b": "2"}, annotations={annotation: last})
    await http.post(f"{CONFIG_MAPS}?fieldManager=kubectl-client-side-apply", json=obj)
    code, refused = await apply(http, config({"a": "9", "b": "2"}), "fieldManager=other")
    assert (code, refused["details"]["causes"][0]["field"]) == (409, ".data.a")
    code, moved = await apply(http, config({"a": "9", "b": "2"}), "fieldManager=kubectl")
    assert (code, moved["data"]) == (200, {"a": "9", "b": "2"})
    told = '{"apiVersion":"v1","data":{"a":"9","b":"2"},"kind":"ConfigMap","metadata":{"name":"c"}}\n'
    assert moved["metadata"]["annotations"][annotation] == told
    # What somebody changed since is no longer as the file said.
    await http.patch(f"{CONFIG_MAPS}/c", json={"data": {"b": "x"}}, headers={"content-type": "application/merge-patch+json"})
    code, refused = await apply(http, config({"a": "9", "b": "3"}), "fieldManager=kubectl")
    assert (code, [cause["field"] for cause in refused["details"]["causes"]]) == (409, [".data.b"])


async def test_writes_of_this_process_are_recorded_once_somebody_applied(http: httpx.AsyncClient, api: Api) -> None:
    api.create(CONFIG_MAP, config({"a": "b"}, namespace="default"))
    assert "managedFields" not in api.get(CONFIG_MAP, "c", "default")["metadata"]
    code, taken = await apply(http, config({"a": "c"}), "fieldManager=a&force=true")
    assert (code, owners(taken)) == (
        200,
        {"a Apply": {"f:data": {"f:a": {}}}, "before-first-apply Update": {"f:data": {}}},
    )
    api.patch(CONFIG_MAP, "c", "default", {"data": {"z": "1"}})
    found = owners(api.get(CONFIG_MAP, "c", "default"))
    assert found["kedge Update"] == {"f:data": {"f:z": {}}}


async def test_a_status_is_applied_apart(http: httpx.AsyncClient) -> None:
    path = "/apis/kedge.dev/v1/namespaces/default/widgets/w"
    widget = {"apiVersion": "kedge.dev/v1", "kind": "Widget", "metadata": {"name": "w", "labels": {"l": "1"}}}
    code, refused = await apply(http, {**widget, "status": {"ready": 1}}, path=f"{path}/status")
    assert (code, refused["reason"]) == (404, "NotFound")
    code, made = await apply(http, {**widget, "spec": {"size": 3}, "status": {"ready": 9}}, path=path)
    assert (code, "status" in made, made["metadata"]["generation"]) == (201, False, 1)
    code, told = await apply(http, {**widget, "spec": {"size": 4}, "status": {"ready": 1}}, path=f"{path}/status")
    assert (code, told["spec"], told["status"], told["metadata"]["generation"]) == (200, {"size": 3}, {"ready": 1}, 1)
    entries = {each.get("subresource", ""): each["fieldsV1"] for each in told["metadata"]["managedFields"]}
    assert entries == {
        "": {"f:metadata": {"f:labels": {"f:l": {}}}, "f:spec": {"f:size": {}}},
        "status": {"f:status": {"f:ready": {}}},
    }
    code, changed = await apply(http, {**widget, "spec": {"size": 4}}, path=path)
    assert (changed["spec"], changed["status"], changed["metadata"]["generation"]) == ({"size": 4}, {"ready": 1}, 2)
