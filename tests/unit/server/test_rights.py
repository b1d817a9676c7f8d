"""RBAC over HTTP: what accounts and nodes may do, in a real API server's words, and what its reviews say of it."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from kedge.kube import core as kinds
from kedge.kube.core import POD, SECRET
from kedge.kube.kinds import Obj
from kedge.kube.roles import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, GROUP, ROLE, ROLE_BINDING
from kedge.server import bootstrap
from kedge.server.api import Api
from kedge.server.auth import User
from kedge.server.authorizer import Authorizer
from kedge.server.rights import Asked

ACCOUNT = "system:serviceaccount:default:default"
CORE, RBAC = "/api/v1/namespaces/default", f"/apis/{GROUP}/v1"
ROLES, BINDINGS = f"{RBAC}/namespaces/default/roles", f"{RBAC}/namespaces/default/rolebindings"
REVIEWS = "/apis/authorization.k8s.io/v1"
GROUPS = '(groups=["system:serviceaccounts" "system:serviceaccounts:default" "system:authenticated"])'
Send = Callable[..., Any]


@pytest.fixture
def api(served: Any) -> Api:
    bootstrap.ensure(served.api, storage_class="standard", provisioner="kedge.dev/folder")
    return served.api


@pytest.fixture
async def account(http: httpx.AsyncClient, api: Api) -> dict[str, str]:
    """The headers of the service account ``default/default``."""
    answer = await http.post(f"{CORE}/serviceaccounts/default/token", json={})
    return {"authorization": f"Bearer {answer.json()['status']['token']}"}


def rule(verbs: str, resources: str, group: str = "", **more: Any) -> Obj:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split(), **more}


def give(api: Api, *rules: Obj, name: str = "r") -> None:
    """A Role of ``default``, bound to its account."""
    api.create(ROLE, {"metadata": {"name": name, "namespace": "default"}, "rules": list(rules)})
    subjects = [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]
    reference = {"apiGroup": GROUP, "kind": "Role", "name": name}
    api.create(ROLE_BINDING, {"metadata": {"name": name, "namespace": "default"}, "roleRef": reference, "subjects": subjects})


HERE, EVERYWHERE = 'in the namespace "default"', "at the cluster scope"
REFUSED = {
    ("GET", f"{CORE}/pods"): ("pods", "list", "pods", "", HERE),
    ("GET", "/api/v1/pods"): ("pods", "list", "pods", "", EVERYWHERE),
    ("GET", f"{CORE}/pods?watch=true"): ("pods", "watch", "pods", "", HERE),
    ("GET", f"{CORE}/pods/x"): ('pods "x"', "get", "pods", "", HERE),
    ("GET", f"{CORE}/pods/x/log"): ('pods "x"', "get", "pods/log", "", HERE),
    ("DELETE", f"{CORE}/pods"): ("pods", "deletecollection", "pods", "", HERE),
    ("GET", "/apis/apps/v1/namespaces/default/deployments/d/scale"): (
        'deployments.apps "d"',
        "get",
        "deployments/scale",
        "apps",
        HERE,
    ),
    ("PUT", "/api/v1/namespaces/default"): ('namespaces "default"', "update", "namespaces", "", HERE),
    ("GET", "/apis/foo.bar/v1/things"): ("things.foo.bar", "list", "things", "foo.bar", EVERYWHERE),
    ("GET", "/api/v1/nodes/n"): ('nodes "n"', "get", "nodes", "", EVERYWHERE),
}


@pytest.mark.parametrize("request_", REFUSED, ids=" ".join)
async def test_what_is_not_granted_is_refused(
    http: httpx.AsyncClient, account: dict[str, str], request_: tuple[str, str]
) -> None:
    answer = await http.request(*request_, headers=account)
    what, verb, resource, group, place = REFUSED[request_]
    told = f'{what} is forbidden: User "{ACCOUNT}" cannot {verb} resource "{resource}" in API group "{group}" {place}'
    assert (answer.status_code, answer.json()["message"]) == (403, told)


@pytest.mark.parametrize("path", ["/api", "/apis", "/apis/apps", "/api/v1"])
async def test_everyone_who_is_known_may_discover(http: httpx.AsyncClient, account: dict[str, str], path: str) -> None:
    assert (await http.get(path, headers=account)).status_code in {200, 404}


async def test_a_role_grants_what_it_names_until_it_is_gone(http: httpx.AsyncClient, account: dict[str, str], api: Api) -> None:
    give(
        api,
        rule("get list", "pods"),
        rule("get", "secrets", resourceNames=["mine"]),
        rule("list", "configmaps", resourceNames=["a"]),
    )
    for name in ("mine", "other"):
        api.create(SECRET, {"metadata": {"name": name, "namespace": "default"}})
    answers = {
        path: (await http.get(f"{CORE}/{path}", headers=account)).status_code
        for path in (
            "pods",
            "pods/x",
            "pods/x/log",
            "secrets/mine",
            "secrets/other",
            "secrets",
            "configmaps",
            "configmaps?fieldSelector=metadata.name%3Da",
        )
    }
    assert answers == {
        "pods": 200,
        "pods/x": 404,
        "pods/x/log": 403,
        "secrets/mine": 200,
        "secrets/other": 403,
        "secrets": 403,
        "configmaps": 403,
        "configmaps?fieldSelector=metadata.name%3Da": 200,
    }
    api.delete(ROLE_BINDING, "r", "default")
    assert (await http.get(f"{CORE}/pods", headers=account)).status_code == 403


async def test_a_cluster_role_grants_where_it_is_bound(http: httpx.AsyncClient, account: dict[str, str], api: Api) -> None:
    subjects = [{"kind": "Group", "name": "system:serviceaccounts:default"}]
    bound = {"roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "view"}, "subjects": subjects}
    api.create(ROLE_BINDING, {"metadata": {"name": "v", "namespace": "default"}, **bound})
    found = [(await http.get(path, headers=account)).status_code for path in (f"{CORE}/pods", f"{CORE}/secrets", "/api/v1/pods")]
    assert found == [200, 403, 403]
    api.create(CLUSTER_ROLE_BINDING, {"metadata": {"name": "v"}, **bound})
    assert (await http.get("/api/v1/pods", headers=account)).status_code == 200


async def test_who_was_bound_is_known_again_after_a_restart(account: dict[str, str], api: Api) -> None:
    del account
    give(api, rule("get", "pods"))
    user = User(ACCOUNT, groups=("system:authenticated",))
    decision = Authorizer(api.core).decide(user, Asked("get", "", "pods", "default", "x"))
    words = 'RBAC: allowed by RoleBinding "r/default" of Role "r" to ServiceAccount "default/default"'
    assert (decision.allowed, decision.reason) == (True, words)


# -- giving rights ------------------------------------------------------------------------------------------------------

MANAGE = rule("get list create update patch delete", "roles rolebindings", GROUP)


def role(*rules: Obj) -> Obj:
    return {"metadata": {"name": "e"}, "rules": list(rules)}


def binding(name: str, kind: str = "ClusterRole") -> Obj:
    reference = {"apiGroup": GROUP, "kind": kind, "name": name}
    return {"metadata": {"name": "e"}, "roleRef": reference, "subjects": [{"kind": "User", "name": "u"}]}


async def test_nobody_gives_rights_that_they_do_not_have(http: httpx.AsyncClient, account: dict[str, str], api: Api) -> None:
    give(api, MANAGE, rule("get", "pods"), rule("get", "secrets", resourceNames=["one"]))

    async def told(path: str, obj: Obj) -> tuple[int, str]:
        answer = await http.post(f"{path}?dryRun=All", json=obj, headers=account)
        return answer.status_code, answer.json().get("message", "")

    attempt = f'"e" is forbidden: user "{ACCOUNT}" {GROUPS} is attempting to grant RBAC permissions not currently held:\n'
    roles, bindings = f"roles.{GROUP} {attempt}", f"rolebindings.{GROUP} {attempt}"
    assert await told(ROLES, role(rule("get", "pods"))) == (201, "")
    assert await told(ROLES, role(rule("get", "secrets", resourceNames=["one"]))) == (201, "")
    assert await told(ROLES, role(rule("get list", "secrets pods"), rule("get", "deployments", "apps", resourceNames=["x"]))) == (
        403,
        roles + '{APIGroups:[""], Resources:["pods"], Verbs:["list"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}\n'
        '{APIGroups:["apps"], Resources:["deployments"], ResourceNames:["x"], Verbs:["get"]}',
    )
    assert await told(ROLES, role(rule("get", "secrets", resourceNames=["one", "two"]))) == (
        403,
        roles + '{APIGroups:[""], Resources:["secrets"], ResourceNames:["two"], Verbs:["get"]}',
    )
    assert await told(BINDINGS, binding("r", "Role")) == (201, "")
    assert await told(BINDINGS, binding("system:discovery")) == (201, "")
    assert await told(BINDINGS, binding("nope")) == (404, f'rolebindings.{GROUP} "nope" not found')
    assert await told(BINDINGS, binding("cluster-admin")) == (
        403,
        bindings + '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n{NonResourceURLs:["*"], Verbs:["*"]}',
    )


async def test_a_role_that_says_more_is_refused_and_one_that_says_the_same_is_not(
    http: httpx.AsyncClient, account: dict[str, str], api: Api
) -> None:
    give(api, MANAGE, rule("get", "pods"))
    path, how = f"{ROLES}/r", {**account, "content-type": "application/merge-patch+json"}
    assert (await http.patch(path, json={"metadata": {"labels": {"a": "b"}}}, headers=how)).status_code == 200
    more = {"rules": [MANAGE, rule("delete", "pods")]}
    answer = await http.patch(path, json=more, headers=how)
    assert answer.status_code == 403
    assert answer.json()["message"].endswith('{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}')


@pytest.mark.parametrize("how", [("escalate", ROLES, role(rule("*", "*"))), ("bind", BINDINGS, binding("admin"))])
async def test_who_may_do_so_expressly_gives_what_they_do_not_have(
    http: httpx.AsyncClient, account: dict[str, str], api: Api, how: tuple[str, str, Obj]
) -> None:
    verb, path, obj = how
    give(api, MANAGE, rule(verb, "roles clusterroles", GROUP))
    assert (await http.post(path, json=obj, headers=account)).status_code == 201


# -- reviews ------------------------------------------------------------------------------------------------------------


async def test_reviews_say_what_would_be_decided(http: httpx.AsyncClient, account: dict[str, str], api: Api) -> None:
    give(api, rule("get", "pods"))
    words = 'RBAC: allowed by RoleBinding "r/default" of Role "r" to ServiceAccount "default/default"'

    async def review(kind: str, spec: Obj, headers: dict[str, str] | None = None, place: str = "") -> Any:
        answer = (await http.post(f"{REVIEWS}{place}/{kind}", json={"spec": spec}, headers=headers)).json()
        return answer.get("status") if answer.get("code") is None else answer["message"]

    about = {"namespace": "default", "resource": "pods"}
    get, list_ = ({"resourceAttributes": {**about, "verb": verb}} for verb in ("get", "list"))
    assert await review("subjectaccessreviews", {"user": ACCOUNT, **get}) == {"allowed": True, "reason": words}
    assert await review("subjectaccessreviews", {"user": ACCOUNT, **list_}) == {"allowed": False}
    assert await review("subjectaccessreviews", {"groups": ["system:masters"], **list_}) == {"allowed": True}
    assert await review("selfsubjectaccessreviews", get, account) == {"allowed": True, "reason": words}
    health = {"user": "x", "groups": ["system:authenticated"], "nonResourceAttributes": {"path": "/healthz", "verb": "get"}}
    assert (await review("subjectaccessreviews", health))["allowed"]
    local = "/namespaces/default"
    assert await review("localsubjectaccessreviews", {"user": "x", **list_}, place=local) == {"allowed": False}
    other = {"user": "x", "resourceAttributes": {**about, "namespace": "other", "verb": "get"}}
    assert "must match metadata.namespace" in await review("localsubjectaccessreviews", other, place=local)
    assert "at least one of user or group must be specified" in await review("subjectaccessreviews", get)
    assert "exactly one of nonResourceAttributes or resourceAttributes" in await review("subjectaccessreviews", {"user": "x"})
    assert await review("selfsubjectrulesreviews", {}, account) == "no namespace on request"
    rules = (await review("selfsubjectrulesreviews", {"namespace": "default"}, account))["resourceRules"]
    assert {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]} in rules


# -- acting for others --------------------------------------------------------------------------------------------------

SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@pytest.mark.parametrize(
    ("headers", "info"),
    [
        (
            {"Impersonate-User": "jane", "Impersonate-Group": "dev", "Impersonate-Extra-scopes": "x", "Impersonate-Uid": "7"},
            {"username": "jane", "uid": "7", "groups": ["dev", "system:authenticated"], "extra": {"scopes": ["x"]}},
        ),
        (
            {"Impersonate-User": ACCOUNT},
            {
                "username": ACCOUNT,
                "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
            },
        ),
    ],
)
async def test_the_owner_acts_for_anybody(http: httpx.AsyncClient, api: Api, headers: dict[str, str], info: Obj) -> None:
    del api
    assert (await http.post(SELF, json={}, headers=headers)).json()["status"]["userInfo"] == info


async def test_who_is_acted_for_has_their_own_rights(http: httpx.AsyncClient, api: Api) -> None:
    del api
    answer = await http.get(f"{CORE}/pods", headers={"Impersonate-User": "jane"})
    assert answer.json()["message"].startswith('pods is forbidden: User "jane" cannot list resource "pods"')
    assert (await http.post(SELF, json={}, headers={"Impersonate-Group": "dev"})).status_code == 400
    masters = {"Impersonate-User": "jane", "Impersonate-Group": "system:masters"}
    assert (await http.get(f"{CORE}/pods", headers=masters)).status_code == 200


async def test_others_act_for_those_whom_a_role_names(http: httpx.AsyncClient, account: dict[str, str], api: Api) -> None:
    wanted = {**account, "Impersonate-User": "system:serviceaccount:default:other"}
    answer = await http.get("/api", headers=wanted)
    assert answer.json()["message"] == (
        f'serviceaccounts "other" is forbidden: User "{ACCOUNT}" cannot impersonate resource "serviceaccounts" in API group "" '
        'in the namespace "default"'
    )
    give(api, rule("impersonate", "serviceaccounts", resourceNames=["other"]))
    assert (await http.get("/api", headers=wanted)).status_code == 200
    assert (await http.get("/api", headers={**wanted, "Impersonate-Group": "system:masters"})).status_code == 403


# -- nodes --------------------------------------------------------------------------------------------------------------

NODE = {"Impersonate-User": "system:node:n1", "Impersonate-Group": "system:nodes"}
UNRELATED = "no relationship found between node 'n1' and this object"
LEASES = "/apis/coordination.k8s.io/v1/namespaces"


def pod(name: str, node: str) -> Obj:
    source = {"name": "X", "valueFrom": {"secretKeyRef": {"name": "key", "key": "k"}}}
    container = {"name": "c", "image": "x", "env": [source]}
    volumes = [{"name": "v", "configMap": {"name": "settings"}}]
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": [container], "volumes": volumes},
    }


NODE_ASKS = {
    ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1"): "",
    ("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2"): "can only list/watch pods with spec.nodeName field selector",
    ("GET", f"{CORE}/pods"): "can only list/watch pods with spec.nodeName field selector",
    ("GET", f"{CORE}/secrets/key"): "",
    ("GET", f"{CORE}/secrets/other"): UNRELATED,
    ("GET", f"{CORE}/secrets"): "No Object name found",
    ("GET", f"{CORE}/configmaps/settings"): "",
    ("GET", f"{CORE}/configmaps/other"): UNRELATED,
    ("POST", f"{CORE}/serviceaccounts/default/token"): "node requested token not bound to a pod",
    ("POST", f"{CORE}/serviceaccounts/other/token"): UNRELATED,
    ("GET", "/api/v1/nodes/n1"): "",
    ("GET", "/api/v1/nodes/n2"): "node 'n1' cannot read 'n2', only its own Node object",
    ("GET", "/api/v1/nodes"): "node 'n1' cannot read all nodes, only its own Node object",
    ("PATCH", "/api/v1/nodes/n2/status"): 'node "n1" is not allowed to modify node "n2"',
    ("PATCH", f"{CORE}/pods/elsewhere/status"): UNRELATED,
    ("PATCH", f"{CORE}/pods/here/status"): "",
    ("GET", f"{LEASES}/kube-node-lease/leases/n1"): "",
    ("GET", f"{LEASES}/kube-node-lease/leases/n2"): "can only access node lease with the same name as the requesting node",
    ("GET", f"{LEASES}/default/leases/n1"): 'can only access leases in the "kube-node-lease" system namespace',
    ("GET", "/api/v1/services"): "",
    ("DELETE", "/api/v1/nodes/n1"): "at the cluster scope",
}


@pytest.mark.parametrize("request_", NODE_ASKS, ids=" ".join)
async def test_a_node_may_do_what_concerns_it(http: httpx.AsyncClient, api: Api, request_: tuple[str, str]) -> None:
    api.create(POD, pod("here", "n1"))
    api.create(POD, pod("elsewhere", "n2"))
    method, path = request_
    how = {"content-type": "application/merge-patch+json"} if method == "PATCH" else {}
    body = None if method in {"GET", "DELETE"} else {}
    answer = await http.request(method, path, json=body, headers={**NODE, **how})
    why = NODE_ASKS[request_]
    assert (answer.status_code == 403) == bool(why)
    if why:
        assert answer.json()["message"].endswith(why)


MERGE = {**NODE, "content-type": "application/merge-patch+json"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        (None, "node requested token not bound to a pod"),
        ({"kind": "Secret"}, "node requested token not bound to a pod"),
        ({"apiVersion": ""}, "node requested token not bound to a pod"),
        ({"name": ""}, "node requested token not bound to a pod"),
        ({"uid": ""}, "node requested token with a pod binding without a uid"),
        ({"uid": "other"}, "the UID in the bound object reference (other) does not match the UID in record. "),
        ({"of": "elsewhere"}, "node requested token bound to a pod scheduled on a different node"),
    ],
    ids=str,
)
async def test_a_node_gets_tokens_of_its_own_pods_alone(http: httpx.AsyncClient, api: Api, change: Obj | None, why: str) -> None:
    made = {name: api.create(POD, pod(name, node)) for name, node in (("here", "n1"), ("elsewhere", "n2"))}
    said = dict(change or {})
    meta = made[said.pop("of", "here")]["metadata"]
    reference = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"], **said}
    body = {"spec": {} if change is None else {"boundObjectRef": reference}}
    answer = await http.post(f"{CORE}/serviceaccounts/default/token", json=body, headers=NODE)
    assert answer.status_code == (403 if why else 201)
    assert answer.json().get("message", "").startswith(f'serviceaccounts "default" is forbidden: {why}' if why else "")


MIRROR = {"kubernetes.io/config.mirror": "x"}
WITHOUT = 'pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods'
VOLUME = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, ""),
        ({"annotations": {}}, WITHOUT),
        ({"spec": {"nodeName": "n2"}}, 'node "n1" can only create pods with spec.nodeName set to itself'),
        ({"owner": None}, 'node "n1" can only create pods with an owner reference set to itself'),
        ({"owner": {"name": "n2"}}, 'node "n1" can only create pods with an owner reference set to itself'),
        ({"owner": {"controller": False}}, 'node "n1" can only create pods with a controller owner reference set to itself'),
        ({"owner": {"blockOwnerDeletion": True}}, 'node "n1" must not set blockOwnerDeletion on an owner reference'),
        ({"owner": {"uid": "other"}}, "node n1 UID mismatch: expected other got "),
        ({"spec": {"serviceAccountName": "boss"}}, 'node "n1" can not create pods that reference a service account'),
        ({"spec": VOLUME}, 'node "n1" can not create pods that reference persistentvolumeclaims'),
        ({"spec": {"imagePullSecrets": [{"name": "s"}]}}, 'node "n1" can not create pods that reference secrets'),
        (
            {"spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}},
            'node "n1" can not create pods that reference configmaps',
        ),
    ],
    ids=str,
)
async def test_a_node_makes_no_pods_but_those_that_stand_for_files_of_its_own(
    http: httpx.AsyncClient, api: Api, change: Obj, why: str
) -> None:
    uid = api.create(kinds.NODE, {"metadata": {"name": "n1"}, "spec": {}})["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": True}
    owners = [{**owner, **found}] if (found := change.get("owner", {})) is not None else []
    meta = {"name": "made", "namespace": "default", "ownerReferences": owners, "annotations": change.get("annotations", MIRROR)}
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "x"}], **change.get("spec", {})}
    answer = await http.post(f"{CORE}/pods", json={"metadata": meta, "spec": spec}, headers=NODE)
    assert answer.status_code == (403 if why else 201), answer.text
    assert answer.json().get("message", "").startswith(f'pods "made" is forbidden: {why}' if why else "")
    token = await http.post(f"{CORE}/serviceaccounts/default/token", json={}, headers=NODE)
    assert (token.status_code, token.json()["message"].endswith(UNRELATED)) == (403, True), "it brings its node no account"


KEPT = (
    "node-restriction.kubernetes.io/a",
    "x.node-restriction.kubernetes.io/a",
    "node-role.kubernetes.io/control-plane",
    "k8s.io/a",
)
FREE = (
    "disk",
    "example.com/a",
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "node.kubernetes.io/a",
    "a.kubelet.kubernetes.io/b",
)


async def test_a_node_gives_itself_no_label_that_others_rely_on(http: httpx.AsyncClient, api: Api) -> None:
    async def made(labels: Obj) -> httpx.Response:
        return await http.post(
            "/api/v1/nodes?dryRun=All", json={"metadata": {"name": "n1", "labels": labels}, "spec": {}}, headers=NODE
        )

    refused = await made(dict.fromkeys((*KEPT, *FREE), "x"))
    told = f'nodes "n1" is forbidden: node "n1" is not allowed to set the following labels: {", ".join(sorted(KEPT))}'
    assert (refused.status_code, refused.json()["message"]) == (403, told)
    assert (await made(dict.fromkeys(FREE, "x"))).status_code == 201
    api.create(
        kinds.NODE,
        {"metadata": {"name": "n1", "labels": {KEPT[0]: "y"}}, "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}},
    )
    for change, why in (
        ({"metadata": {"labels": {KEPT[0]: None}}}, f"is not allowed to modify labels: {KEPT[0]}"),
        ({"metadata": {"labels": {KEPT[2]: ""}}}, f"is not allowed to modify labels: {KEPT[2]}"),
        ({"spec": {"taints": None}}, 'node "n1" is not allowed to modify taints'),
        ({"metadata": {"labels": {"disk": "ssd"}}}, ""),
    ):
        answer = await http.patch("/api/v1/nodes/n1", json=change, headers=MERGE)
        assert answer.json().get("message", "") == (f'nodes "n1" is forbidden: {why}' if why else "")
    by_status = await http.patch("/api/v1/nodes/n1/status", json={"metadata": {"labels": {KEPT[2]: ""}}}, headers=MERGE)
    assert by_status.status_code == 403
    other = await http.post("/api/v1/nodes", json={"metadata": {"name": "n2"}, "spec": {}}, headers=NODE)
    assert other.json()["message"] == 'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"'


async def test_a_node_says_how_its_own_pods_and_claims_are_and_no_more(http: httpx.AsyncClient, api: Api) -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    api.create(kinds.PERSISTENT_VOLUME_CLAIM, {"metadata": {"name": "c", "namespace": "default"}, "spec": claim})
    own = pod("here", "n1")
    own["spec"]["volumes"] += [{"name": "w", "persistentVolumeClaim": {"claimName": "c"}}]
    api.create(POD, own)
    api.create(POD, pod("elsewhere", "n2"))
    ready, label = {"status": {"message": "x"}}, {"metadata": {"labels": {"app": "other"}}}
    conditions = {"status": {"conditions": [{"type": "Resizing", "status": "True"}]}}
    for path, change, why in (
        ("pods/here/status", ready, ""),
        ("pods/here/status", label, 'pods "here" is forbidden: node "n1" cannot update labels through pod status'),
        ("pods/elsewhere/status", ready, UNRELATED),
        ("persistentvolumeclaims/c/status", conditions, ""),
        ("persistentvolumeclaims/c/status", {"status": {"phase": "Lost"}}, "other than status.capacity and status.conditions"),
        ("persistentvolumeclaims/c/status", label, "other than status.capacity and status.conditions"),
    ):
        answer = await http.patch(f"{CORE}/{path}", json=change, headers=MERGE)
        assert answer.status_code == (403 if why else 200), answer.text
        assert answer.json().get("message", "").endswith(why)
    assert (await http.delete(f"{CORE}/pods/elsewhere", headers=NODE)).status_code == 403
    assert (await http.delete(f"{CORE}/pods", headers=NODE)).status_code == 403
    assert (await http.post(f"{CORE}/pods/elsewhere/eviction", json={}, headers=NODE)).status_code == 403
    assert (await http.delete(f"{CORE}/pods/here", headers=NODE)).status_code == 200


async def test_a_node_makes_its_own_lease_alone(http: httpx.AsyncClient, api: Api) -> None:
    api.create(kinds.NAMESPACE, {"metadata": {"name": "kube-node-lease"}})
    for name, why in (("n1", ""), ("n2", "can only access node lease with the same name as the requesting node")):
        made = {"metadata": {"name": name}, "spec": {}}
        answer = await http.post(f"{LEASES}/kube-node-lease/leases", json=made, headers=NODE)
        assert answer.json().get("message", "") == (f'leases.coordination.k8s.io "{name}" is forbidden: {why}' if why else "")


# -- what every host begins with ----------------------------------------------------------------------------------------


def test_default_roles_get_back_the_rules_that_they_have_lost(api: Api) -> None:
    found = api.get(CLUSTER_ROLE, "system:basic-user")
    api.update(CLUSTER_ROLE, {**found, "rules": found["rules"][:1]})
    own = api.get(CLUSTER_ROLE, "system:monitoring")
    kept = {**own["metadata"], "annotations": {bootstrap.AUTO_UPDATE: "false"}}
    api.update(CLUSTER_ROLE, {**own, "metadata": kept, "rules": []})
    bootstrap.ensure(api, storage_class="standard", provisioner="kedge.dev/folder")
    assert api.get(CLUSTER_ROLE, "system:basic-user")["rules"] == found["rules"]
    assert api.get(CLUSTER_ROLE, "system:monitoring")["rules"] == []


def test_a_second_start_writes_nothing(api: Api) -> None:
    before = api.core.store.current()
    bootstrap.ensure(api, storage_class="standard", provisioner="kedge.dev/folder")
    assert api.core.store.current() == before
