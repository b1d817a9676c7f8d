"""Pods reach the API as the clients in them expect it, with an unmodified `kubectl`: the same on both hosts."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from environments import client_environment
from hosts import HOSTS
from places import WAIT, Place, place_on
from tests.acceptance.kubectl.conftest import program

from kedge.testing.host import RunningHost

Obj = dict[str, Any]
pytestmark = pytest.mark.timeout(300)
ROOT_CA = "kube-root-ca.crt"

# As `load_incluster_config()` and `rest.InClusterConfig()` do.
ASK = """
import json, os, ssl, urllib.request
at = '/var/run/secrets/kubernetes.io/serviceaccount/'
read = lambda name: open(at + name).read()
host, port = os.environ['KUBERNETES_SERVICE_HOST'], os.environ['KUBERNETES_SERVICE_PORT']
trust = ssl.create_default_context(cafile=at + 'ca.crt')
headers = {'Authorization': 'Bearer ' + read('token'), 'Content-Type': 'application/json'}
body = json.dumps({'kind': 'SelfSubjectReview', 'apiVersion': 'authentication.k8s.io/v1'}).encode()
path = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
request = urllib.request.Request(f'https://{host}:{port}{path}', body, headers)
user = json.load(urllib.request.urlopen(request, timeout=20, context=trust))['status']['userInfo']
print(user['username'], user['extra']['authentication.kubernetes.io/pod-name'][0], read('namespace'))
"""
LOOK = "import os; print(os.path.exists('/var/run/secrets/kubernetes.io/serviceaccount'))"
CLIENT = """
from kubernetes import client, config
config.load_incluster_config()
print(client.AuthenticationV1Api().create_self_subject_review(client.V1SelfSubjectReview()).status.user_info.username)
"""


@pytest.fixture(scope="module", params=HOSTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Either host."""
    with place_on(request, tmp_path_factory.mktemp("access")) as made:
        yield made


def pod(name: str, script: str, **spec: Any) -> Obj:
    container = {"name": "main", "image": "python:3.11", "command": ["python3", "-c", script]}
    made = {"terminationGracePeriodSeconds": 0, "restartPolicy": "Never", "containers": [container], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": made}


def finished(place: Place, name: str) -> str:
    """What a Pod has printed that ended well."""
    place("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", WAIT)
    return place("logs", name).strip()


@pytest.mark.parametrize("spec", [{}, {"hostNetwork": True}], ids=["own-network", "host-network"])
def test_a_pod_asks_the_api_with_what_it_finds_at_the_usual_place(place: Place, spec: Obj) -> None:
    name = f"asks-{len(spec)}"
    place.apply(pod(name, ASK, **spec))
    space = place.namespace()
    assert finished(place, name) == f"system:serviceaccount:{space}:default {name} {space}"


def test_every_container_has_it_unless_the_pod_or_its_account_says_no(place: Place) -> None:
    place("create", "serviceaccount", "quiet")
    place("patch", "serviceaccount", "quiet", "-p", '{"automountServiceAccountToken": false}')
    cases: dict[str, tuple[Obj, bool]] = {
        "plain": ({}, True),
        "refused": ({"automountServiceAccountToken": False}, False),
        "silent": ({"serviceAccountName": "quiet"}, False),
        "asked": ({"serviceAccountName": "quiet", "automountServiceAccountToken": True}, True),
    }
    for name, (spec, _) in cases.items():
        place.apply(pod(name, LOOK, **spec))
    for name, (_, given) in cases.items():
        assert finished(place, name) == str(given), name
    spec = place.json("get", "pod", "plain")["spec"]
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    assert volume["projected"] == {
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
                }
            },
        ],
    }
    mount = {"name": volume["name"], "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    assert [each["volumeMounts"] for each in spec["containers"]] == [[mount]]


def test_a_pod_of_an_account_that_is_not_there_is_refused(place: Place) -> None:
    said = place.apply(pod("alien", "", serviceAccountName="nobody"), verb="create", fails=True)
    space = place.namespace()
    words = f'pods "alien" is forbidden: error looking up service account {space}/nobody: serviceaccount "nobody" not found'
    assert words in said


def test_images_are_pulled_with_the_secrets_of_the_account(place: Place) -> None:
    account: Obj = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "puller"}}
    place.apply({**account, "imagePullSecrets": [{"name": "registry"}]})
    place.apply(pod("pulled", "", serviceAccountName="puller", schedulerName="nobody"))
    assert place.json("get", "pod", "pulled")["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    place("delete", "pod/pulled", "--grace-period=0")


def test_every_namespace_has_the_authority_of_the_api_again_and_again(place: Place) -> None:
    look = ("get", "configmap", ROOT_CA, "--ignore-not-found", "-o", "jsonpath={.data}")
    place.found(lambda: bool(place(*look)), wanted=True)
    known = place(*look)
    assert list(json.loads(known)) == ["ca.crt"]
    place("patch", "configmap", ROOT_CA, "-p", '{"data": {"ca.crt": "another", "more": "of it"}}')
    place.until(known, *look)
    place("delete", "configmap", ROOT_CA)
    place.until(known, *look)


def test_a_secret_of_an_account_gets_a_token_and_goes_with_it(place: Place) -> None:
    place("create", "serviceaccount", "robot")
    noted = {"kubernetes.io/service-account.name": "robot"}
    secret: Obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "robot", "annotations": noted}}
    place.apply({**secret, "type": "kubernetes.io/service-account-token"})
    place.found(lambda: sorted(place.json("get", "secret", "robot").get("data") or {}), ["ca.crt", "namespace", "token"])
    found = place.json("get", "secret", "robot")
    uid = place("get", "serviceaccount", "robot", "-o", "jsonpath={.metadata.uid}")
    assert found["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == uid
    token = place("get", "secret", "robot", "-o", "go-template={{.data.token|base64decode}}")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    user = place.apply(review, "-o", "jsonpath={.status.user.username}", verb="create")
    assert user == f"system:serviceaccount:{place.namespace()}:robot"
    place("delete", "serviceaccount", "robot")
    place("wait", "--for=delete", "secret/robot", WAIT)


def test_it_is_told_of_each_pod_where_it_runs(place: Place) -> None:
    place.apply(pod("told", ""))
    where = ("get", "events", "--field-selector=involvedObject.name=told,reason=Scheduled", "-o", "jsonpath={.items[*].message}")
    node = place("get", "pod", "told", "-o", "jsonpath={.spec.nodeName}")
    place.until(f"Successfully assigned {place.namespace()}/told to {node}", *where)


def test_a_pod_of_another_scheduler_is_left_to_it(place: Place) -> None:
    place.apply(pod("other", "print('ran')", schedulerName="mine"))
    place.apply(pod("ours", ""))
    finished(place, "ours")
    found = place.json("get", "pod", "other")
    assert (found["status"]["phase"], found["spec"].get("nodeName"), found["status"].get("conditions")) == ("Pending", None, None)
    node = place("get", "pod", "ours", "-o", "jsonpath={.spec.nodeName}")
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    place.apply({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "other"}, "target": target}, verb="create")
    assert finished(place, "other") == "ran"


def test_a_pod_stands_a_silent_node_for_five_minutes(place: Place) -> None:
    mine = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 7}
    place.apply(pod("stands", "", tolerations=[mine]))
    other = {**mine, "key": "node.kubernetes.io/unreachable", "tolerationSeconds": 300}
    assert place.json("get", "pod", "stands")["spec"]["tolerations"] == [mine, other]


def test_the_python_client_finds_the_api_inside_of_a_pod(kedge_host: RunningHost, tmp_path: Path) -> None:
    shutil.copy(kedge_host.host.kubeconfig, tmp_path / "kubeconfig")
    place, python = Place(program(), tmp_path), client_environment("kubernetes", ["kubernetes==35.0.0"])
    container = {"name": "main", "image": "debian:12", "command": [str(python), "-c", CLIENT]}
    place.apply(pod("client", "", containers=[container]))
    assert finished(place, "client") == "system:serviceaccount:default:default"


def test_a_step_of_a_run_has_access_where_its_run_names_an_account(kedge_host: RunningHost, tmp_path: Path) -> None:
    """Others would wait for what they have no use for."""
    shutil.copy(kedge_host.host.kubeconfig, tmp_path / "kubeconfig")
    place = Place(program(), tmp_path)
    place("create", "serviceaccount", "trainer")
    for name, spec in (("step", {}), ("asking-step", {"serviceAccountName": "trainer"})):
        step = pod(name, ASK if spec else LOOK, **spec)
        step["metadata"]["labels"] = {"kedge.dev/run": "a"}
        place.apply(step)
    assert finished(place, "step") == "False"
    assert finished(place, "asking-step") == "system:serviceaccount:default:trainer asking-step default"
