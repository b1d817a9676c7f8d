"""Requests as raw HTTP, on the embedded host and on a real API server: what is kept of them, and what is answered."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import kubeconfigs
import pytest
import raw_requests
import yaml
from hosts import HOSTS
from raw_cases import OWN_WORDS, SAME_WORDS

pytestmark = pytest.mark.timeout(300, func_only=True)
APPS = "/apis/apps/v1"
BATCH, NETWORKING = "/apis/batch/v1", "/apis/networking.k8s.io/v1"
LEASES = "/apis/coordination.k8s.io/v1"
JSON, YAML = {"content-type": "application/json"}, "application/yaml"
APPLY = {"content-type": "application/apply-patch+yaml"}
MERGE = {"content-type": "application/merge-patch+json"}
STRATEGIC = {"content-type": "application/strategic-merge-patch+json"}


@dataclass(frozen=True)
class Server:
    """An API server, as its administrator, and a namespace of ours in it."""

    http: httpx.Client
    namespace: str

    def path(self, plural: str, name: str = "", root: str = "/api/v1") -> str:
        """Of a collection in the namespace, or of an object."""
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def asked(self, method: str, path: str, code: int = 200, **more: Any) -> Any:
        """The JSON of an answer with that status."""
        answer = self.http.request(method, path, **more)
        assert answer.status_code == code, answer.text
        return answer.json()

    def made(self, plural: str, obj: Any, root: str = "/api/v1", **params: str) -> Any:
        """An object as it is after it was created."""
        return self.asked("POST", self.path(plural, root=root), 201, json=obj, params=params)


@pytest.fixture(scope="module", params=HOSTS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "embedded":
        client = kubeconfigs.client(Path(request.getfixturevalue("kedge_host").host.kubeconfig))
    else:
        cluster = request.getfixturevalue("cluster")
        client = kubeconfigs.client(cluster.kubeconfig, cluster.context)
    name = f"test-{secrets.token_hex(4)}"
    with client as http:
        assert http.post("/api/v1/namespaces", json={"metadata": {"name": name}}).status_code == 201
        yield Server(http, name)
        http.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="module")
def place(server: Server) -> Iterator[str]:
    """A namespace with what the requests of `raw_cases` are about."""
    with raw_requests.place(server.http) as name:
        yield name


def service(name: str, *ports: Any) -> Any:
    return {"metadata": {"name": name}, "spec": {"clusterIP": "None", "ports": list(ports)}}


def deployment(name: str, resources: Any = None) -> Any:
    container = {"name": "main", "image": "busybox", "resources": resources or {}}
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {"metadata": {"name": name}, "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}}


def resources_of(obj: Any) -> Any:
    return obj["spec"]["template"]["spec"]["containers"][0]["resources"]


# ---- what is kept


def test_quantities_are_kept_in_kubernetes_own_form(server: Server) -> None:
    given = {"requests": {"cpu": 0.5, "memory": "1024Mi"}, "limits": {"cpu": "1000m", "memory": "2048Mi"}}
    usual = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}}
    made = server.made("deployments", deployment("sized", given), APPS)
    assert resources_of(made) == usual
    there = server.path("deployments", "sized", APPS)
    again = server.asked("PATCH", there, json=deployment("sized", given), headers=STRATEGIC)
    assert (resources_of(again), again["metadata"]["generation"]) == (usual, 1)
    quota = server.made(
        "resourcequotas", {"metadata": {"name": "much"}, "spec": {"hard": {"services": 1000, "requests.storage": "1024Gi"}}}
    )
    assert quota["spec"]["hard"] == {"services": "1k", "requests.storage": "1Ti"}


def test_managers_that_write_a_quantity_in_two_ways_do_not_agree(server: Server) -> None:
    base = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "shared"}}
    there = server.path("resourcequotas", "shared")
    for manager, memory, code in (("a", "1024Mi", 201), ("a", "1024Mi", 200), ("b", "1Gi", 200), ("a", "1024Mi", 409)):
        body = json.dumps({**base, "spec": {"hard": {"requests.storage": memory}}})
        answer = server.http.patch(there, params={"fieldManager": manager}, content=body, headers=APPLY)
        assert answer.status_code == code, answer.text
        assert server.asked("GET", there)["spec"]["hard"] == {"requests.storage": "1Gi"}


def test_a_strategic_patch_leaves_ports_that_differ_in_their_protocol_alone(server: Server) -> None:
    both = [{"name": each, "port": 53, "protocol": each.upper()} for each in ("tcp", "udp")]
    server.made("services", service("dns", *both))
    change = {"spec": {"ports": [{"name": "web", "port": 80}]}}
    patched = server.asked("PATCH", server.path("services", "dns"), json=change, headers=STRATEGIC)
    assert {(port["name"], port["port"], port["protocol"]) for port in patched["spec"]["ports"]} == {
        ("tcp", 53, "TCP"),
        ("udp", 53, "UDP"),
        ("web", 80, "TCP"),
    }


# ---- what is answered


def test_what_few_write_is_replaced_without_its_version_and_what_many_write_is_not(server: Server) -> None:
    server.made("deployments", deployment("plain"), APPS)
    grown = {**deployment("plain"), "metadata": {"name": "plain", "labels": {"a": "b"}}}
    replaced = server.asked("PUT", server.path("deployments", "plain", APPS), json=grown)
    assert replaced["metadata"]["labels"] == {"a": "b"}
    server.made("leases", {"metadata": {"name": "mine"}, "spec": {"holderIdentity": "a"}}, LEASES)
    refused = server.asked("PUT", server.path("leases", "mine", LEASES), 422, json={"metadata": {"name": "mine"}})
    cause = {
        "reason": "FieldValueInvalid",
        "message": "Invalid value: 0: must be specified for an update",
        "field": "metadata.resourceVersion",
    }
    assert refused["details"]["causes"] == [cause]


def test_a_field_that_is_there_twice_is_refused_or_told(server: Server) -> None:
    body, there = '{"metadata":{"name":"twice"},"data":{"a":"1","b": "1","a":"2"}}', server.path("configmaps")
    refused = server.asked("POST", there, 400, content=body, headers=JSON, params={"fieldValidation": "Strict"})
    head = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
    assert refused["message"] == f'{head}strict decoding error: duplicate field "data.a"'
    warned = server.http.post(there, content=body, headers=JSON)
    assert (warned.status_code, warned.headers["warning"]) == (201, r'299 - "duplicate field \"data.a\""')
    assert warned.json()["data"] == {"a": "2", "b": "1"}
    ignored = server.http.post(there, content=body.replace("twice", "thrice"), headers=JSON, params={"fieldValidation": "Ignore"})
    assert (ignored.status_code, ignored.headers.get("warning")) == (201, None)


def test_objects_are_read_and_written_as_yaml_too(server: Server) -> None:
    text = "metadata:\n  name: written\ndata:\n  a: 'yes'\n"
    made = server.http.post(server.path("configmaps"), content=text, headers={"content-type": YAML, "accept": YAML})
    assert (made.status_code, made.headers["content-type"]) == (201, YAML)
    assert yaml.safe_load(made.text)["data"] == {"a": "yes"}
    listed = server.http.get(server.path("configmaps"), headers={"accept": f"{YAML}, application/json"})
    assert "written" in [each["metadata"]["name"] for each in yaml.safe_load(listed.text)["items"]]
    missing = server.http.get(server.path("configmaps", "none"), headers={"accept": YAML})
    assert (missing.status_code, yaml.safe_load(missing.text)["reason"]) == (404, "NotFound")
    watched = server.http.get(server.path("configmaps"), params={"watch": "1"}, headers={"accept": YAML})
    assert watched.status_code == 406
    alien = server.asked("POST", server.path("configmaps"), 415, content="<a/>", headers={"content-type": "text/xml"})
    assert alien["message"].startswith("the body of the request was in an unknown format - accepted media types include: ")


def test_options_that_kubernetes_does_not_have_are_passed_over(server: Server) -> None:
    listed = server.asked("GET", server.path("configmaps"), params={"colour": "red", "shardSelector": ""})
    assert listed["kind"] == "ConfigMapList"
    gone = {"ignoreStoreReadErrorWithClusterBreakingPotential": "false"}
    server.made("configmaps", {"metadata": {"name": "short"}})
    server.asked("DELETE", server.path("configmaps", "short"), params=gone)


def test_labels_are_compared_as_numbers(server: Server) -> None:
    for name, size in (("small", "3"), ("large", "12"), ("odd", "many")):
        server.made("secrets", {"metadata": {"name": name, "labels": {"size": size}}})
    for selector, names in (("size>3", ["large"]), ("size<12,size>0", ["small"])):
        listed = server.asked("GET", server.path("secrets"), params={"labelSelector": selector})
        assert [each["metadata"]["name"] for each in listed["items"]] == names
    server.asked("GET", server.path("secrets"), 400, params={"labelSelector": "size>many"})


def test_fields_that_are_left_out_can_be_selected_by(server: Server) -> None:
    server.made("deployments", deployment("none"), APPS)
    container = {"name": "main", "image": "busybox"}
    waits = {"containers": [container], "schedulingGates": [{"name": "example.com/wait"}]}
    server.made("pods", {"metadata": {"name": "waits"}, "spec": waits})
    there = server.path("pods")
    for selector, names in (
        ("spec.hostNetwork=false,status.nominatedNodeName=", ["waits"]),
        ("spec.hostNetwork=true", []),
        ("status.nominatedNodeName=elsewhere", []),
    ):
        listed = server.asked("GET", there, params={"fieldSelector": selector})
        assert [each["metadata"]["name"] for each in listed["items"]] == names
    spec = server.asked("GET", server.path("pods", "waits"))["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    assert server.asked("GET", "/api/v1/nodes", params={"fieldSelector": "spec.unschedulable=false"})["items"]


def test_only_those_kinds_count_their_changes_that_do_so_on_a_cluster(server: Server) -> None:
    service_made = server.made("services", service("uncounted", {"port": 80}))
    quota = server.made("resourcequotas", {"metadata": {"name": "uncounted"}, "spec": {"hard": {"pods": "1000"}}})
    claim_spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    claim = server.made("persistentvolumeclaims", {"metadata": {"name": "uncounted"}, "spec": claim_spec})
    policy = server.made("networkpolicies", {"metadata": {"name": "counted"}, "spec": {"podSelector": {}}}, NETWORKING)
    found = [each["metadata"].get("generation") for each in (service_made, quota, claim, policy)]
    assert found == [None, None, None, 1]
    assert server.http.delete("/api/v1/namespaces", params={"labelSelector": "none=such"}).status_code == 405


def test_who_writes_the_status_of_a_builtin_kind_may_annotate_it(server: Server) -> None:
    server.made("deployments", deployment("noted"), APPS)
    job_spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}}}
    cron_job = {"metadata": {"name": "noted"}, "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job_spec}}}
    server.made("cronjobs", cron_job, BATCH)
    change = {"metadata": {"annotations": {"a": "b"}, "labels": {"c": "d"}}}
    for plural, root, labels in (("cronjobs", BATCH, {"c": "d"}), ("deployments", APPS, None)):
        path = server.path(plural, "noted", root)
        meta = server.asked("PATCH", f"{path}/status", json=change, headers=MERGE)["metadata"]
        assert (meta["annotations"]["a"], meta.get("labels")) == ("b", labels)


def test_a_watch_may_be_asked_for_by_its_name_alone(server: Server) -> None:
    query = "watch=&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    answer = server.http.get(f"{server.path('endpoints')}?{query}")
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.text.splitlines()[-1])["type"] == "BOOKMARK"


def test_a_token_is_bound_to_a_secret(server: Server) -> None:
    server.made("secrets", {"metadata": {"name": "holds"}})
    account = server.made("serviceaccounts", {"metadata": {"name": "bound"}})["metadata"]["name"]
    request = {"spec": {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "holds"}}}
    path = f"{server.path('serviceaccounts', account)}/token"
    made = server.asked("POST", path, 201, json=request)
    review = {"spec": {"token": made["status"]["token"]}}
    reviewed = server.asked("POST", "/apis/authentication.k8s.io/v1/tokenreviews", 201, json=review)
    assert reviewed["status"]["authenticated"] is True
    refused = server.asked(
        "POST", path, 400, json={"spec": {"boundObjectRef": {"kind": "Job", "apiVersion": "batch/v1", "name": "x"}}}
    )
    assert refused["message"] == "cannot bind token to object of type batch/v1, Kind=Job"


def test_autoscalers_are_read_and_written_as_version_1_too(server: Server) -> None:
    old, new = "/apis/autoscaling/v1", "/apis/autoscaling/v2"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    first = {"scaleTargetRef": target, "maxReplicas": 3, "targetCPUUtilizationPercentage": 70}
    made = server.made("horizontalpodautoscalers", {"metadata": {"name": "web"}, "spec": first}, old)
    assert made["spec"] == {**first, "minReplicas": 1}
    there = server.path("horizontalpodautoscalers", "web", new)
    share = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    assert server.asked("GET", there)["spec"]["metrics"] == [{"type": "Resource", "resource": share}]
    queue = {"metric": {"name": "queued"}, "target": {"type": "AverageValue", "averageValue": "30"}}
    metrics = [{"type": "Pods", "pods": queue}, {"type": "Resource", "resource": share}]
    server.asked("PATCH", there, json={"spec": {"metrics": metrics}}, headers=MERGE)
    shown = server.asked("GET", server.path("horizontalpodautoscalers", "web", old))
    assert shown["spec"]["targetCPUUtilizationPercentage"] == 70
    told = json.loads(shown["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"])
    assert told == [{"type": "Pods", "pods": {"metricName": "queued", "targetAverageValue": "30"}}]
    shown["spec"]["maxReplicas"] = 4
    server.asked("PUT", server.path("horizontalpodautoscalers", "web", old), json=shown)
    after = server.asked("GET", there)
    assert (after["spec"]["maxReplicas"], after["spec"]["metrics"]) == (4, metrics)
    assert "annotations" not in after["metadata"]
    wrong = {"metadata": {"name": "none"}, "spec": {"scaleTargetRef": target, "maxReplicas": 0}}
    refused = server.asked("POST", server.path("horizontalpodautoscalers", root=old), 422, json=wrong)
    assert "spec.maxReplicas" in [cause["field"] for cause in refused["details"]["causes"]]


def test_a_table_of_pods_has_the_columns_of_a_cluster(server: Server) -> None:
    gated = {"containers": [{"name": "main", "image": "busybox"}], "schedulingGates": [{"name": "example.com/wait"}]}
    gated["readinessGates"] = [{"conditionType": "example.com/ready"}]
    server.made("pods", {"metadata": {"name": "shown"}, "spec": gated})
    as_table = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    table = server.asked("GET", server.path("pods", "shown"), headers=as_table)
    cells = dict(zip([each["name"] for each in table["columnDefinitions"]], table["rows"][0]["cells"], strict=True))
    del cells["Age"]
    assert cells == {
        "Name": "shown",
        "Ready": "0/1",
        "Status": "SchedulingGated",
        "Restarts": "0",
        "IP": "<none>",
        "Node": "<none>",
        "Nominated Node": "<none>",
        "Readiness Gates": "0/1",
    }


KNOWN: dict[str, raw_requests.Answer] = json.loads(raw_requests.ANSWERS.read_text())


def test_what_clients_get_wrong_is_answered_as_by_a_real_api_server(server: Server, place: str) -> None:
    found = {raw_requests.title(case): raw_requests.ask(server.http, place, case) for case in SAME_WORDS}
    told = {title: answer for title, answer in found.items() if answer != KNOWN[title]}
    assert told == {title: KNOWN[title] for title in told}


def test_what_is_said_better_is_the_same_but_for_its_words(server: Server, place: str) -> None:
    found = {raw_requests.title(case): raw_requests.ask(server.http, place, case) for case in OWN_WORDS}
    told = {title: raw_requests.without_words(answer) for title, answer in found.items()}
    assert told == {title: raw_requests.without_words(KNOWN[title]) for title in told}
    for title, answer in found.items():
        if KNOWN[title]["message"].startswith(("the server could not find", "the server does not allow")):
            assert answer["message"].startswith(KNOWN[title]["message"]), "clients know these sentences"


def scale(replicas: int) -> Any:
    return {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "held"}, "spec": {"replicas": replicas}}


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet"])
def test_a_scale_is_applied_and_whose_number_it_is_is_told(server: Server, kind: str) -> None:
    path = server.path(f"{kind.lower()}s", "held", APPS)

    def applied(part: str, body: Any, manager: str, code: int = 200, **more: str) -> Any:
        params = {"fieldManager": manager, **more}
        return server.asked("PATCH", path + part, code, content=json.dumps(body), headers=APPLY, params=params)

    def owners() -> Any:
        found: set[str] = set()
        for entry in server.asked("GET", path)["metadata"]["managedFields"]:
            if "f:replicas" in entry["fieldsV1"].get("f:spec", {}):
                found.add(" ".join(filter(None, (entry["manager"], entry["operation"], entry.get("subresource")))))
        return found

    gated = {"schedulingGates": [{"name": "example.com/wait"}], "containers": [{"name": "main", "image": "busybox"}]}
    spec = {"selector": {"matchLabels": {"app": kind}}, "template": {"metadata": {"labels": {"app": kind}}, "spec": gated}}
    spec |= {"serviceName": "held"} if kind == "StatefulSet" else {}
    whole = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "held"}, "spec": spec}
    applied("", {**whole, "spec": {**spec, "replicas": 1}}, "owner", 201)
    applied("/scale", scale(1), "x")
    assert owners() == {"owner Apply", "x Apply scale"}  # they agree
    refused = applied("/scale", scale(0), "x", 409)
    assert refused["message"] == 'Apply failed with 1 conflict: conflict with "owner": .spec.replicas'
    assert applied("/scale", scale(0), "x", force="true")["spec"] == {}
    assert owners() == {"x Apply scale"}
    server.asked("PATCH", f"{path}/scale", json={"spec": {"replicas": 1}}, headers=MERGE, params={"fieldManager": "p"})
    assert owners() == {"p Update scale"}
    cause = {"reason": "FieldManagerConflict", "field": ".spec.replicas"}
    cause["message"] = 'conflict with "p" with subresource "scale" using autoscaling/v1'
    assert applied("/scale", scale(0), "x", 409)["details"] == {"causes": [cause]}
    told = applied("", {**whole, "spec": {**spec, "replicas": 2}}, "owner", 409)["message"]
    assert told.endswith('conflict with "p" with subresource "scale" using apps/v1: .spec.replicas')
    applied("", whole, "owner")
    assert server.asked("GET", path)["spec"]["replicas"] == 1
    assert owners() == {"p Update scale"}


@pytest.mark.parametrize("health", ["healthz", "livez", "readyz"])
def test_checks_of_health_are_told_and_left_out(server: Server, health: str) -> None:
    lines = server.http.get(f"/{health}", params={"verbose": "", "exclude": "ping"}).text.splitlines()
    assert lines[0] == "[+]ping excluded: ok"
    assert lines[-1] == f"{health} check passed"
    assert 'no matches for "nothing"' in server.http.get(f"/{health}?verbose&exclude=nothing").text
