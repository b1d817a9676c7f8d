"""`kedge join` against a real API server, with kubeadm's ways in: a machine becomes a node, and runs the Pods bound to it.

The machine has a network of its own, which leads to the API's address and nowhere else.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from control_plane import ControlPlane, control_plane
from hosts import give_up
from prerequisites import missing
from tests.acceptance.joined_nodes import BEATS, PODS, Cable, Machine, api, machine, pod, until

from kedge.client import kubeconfig
from kedge.client.http import HttpClient
from kedge.kube import yaml
from kedge.kube.clock import SystemClock
from kedge.kube.core import NODE
from kedge.node import certificate

pytestmark = pytest.mark.timeout(300, func_only=True)
NODES = "/api/v1/nodes"
TAINT = {"key": "kedge.dev/joined", "effect": "NoSchedule"}
TOLERANT: dict[str, Any] = {"tolerations": [{"key": "kedge.dev/joined", "operator": "Exists"}]}
WHO_AM_I = """
import json, os, ssl, urllib.error, urllib.request
account = "/var/run/secrets/kubernetes.io/serviceaccount"
address = "https://" + os.environ["KUBERNETES_SERVICE_HOST"] + ":" + os.environ["KUBERNETES_SERVICE_PORT"]
headers = {"Authorization": "Bearer " + open(account + "/token").read()}
request = urllib.request.Request(address + "/api/v1/namespaces/default/secrets", headers=headers)
try:
    urllib.request.urlopen(request, context=ssl.create_default_context(cafile=account + "/ca.crt"))
except urllib.error.HTTPError as error:
    print(json.load(error)["message"], file=open("/dev/termination-log", "w"))
"""


@pytest.fixture(scope="module")
def cable() -> Iterator[Cable]:
    """Leads from machines to the API server."""
    if why := missing():
        give_up(why)
    made = Cable()
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def plane(cable: Cable) -> Iterator[ControlPlane]:
    """A cluster without nodes."""
    with TemporaryDirectory(prefix="kedge-plane-") as folder, control_plane(Path(folder), cable.address) as made:
        yield made


@pytest.fixture(scope="module")
def edge(plane: ControlPlane, cable: Cable) -> Iterator[Machine]:
    """A machine that has joined as ``edge``, with what kubeadm prints."""
    space = cable.plug("edge")
    with machine("ip", "netns", "exec", space) as made:
        made.join(*plane.invitation(), "--node-name=edge", "--label=disk=ssd")
        until(lambda: node(plane, "edge")[0] == "True", within=120)
        yield made


def node(plane: ControlPlane, name: str) -> tuple[str, set[str]]:
    """Whether a node is ready, and its taints."""
    found = plane.admin.get(f"{NODES}/{name}").json()
    conditions = (found.get("status") or {}).get("conditions") if found["kind"] == "Node" else None
    ready = next((each["status"] for each in conditions or () if each["type"] == "Ready"), "")
    return ready, {f"{taint['key']}:{taint['effect']}" for taint in (found.get("spec") or {}).get("taints") or ()}


def phase(plane: ControlPlane, name: str) -> str:
    return plane.admin.get(f"{PODS}/{name}").json().get("status", {}).get("phase", "")


def events(plane: ControlPlane, name: str) -> dict[str, str]:
    """Messages about a Pod, by their reasons."""
    selector = {"fieldSelector": f"involvedObject.name={name}"}
    found = plane.admin.get("/api/v1/namespaces/default/events", params=selector).json()["items"]
    return {each["reason"]: each["message"] for each in found}


def terminated(plane: ControlPlane, name: str) -> dict[str, Any]:
    return plane.admin.get(f"{PODS}/{name}").json()["status"]["containerStatuses"][0]["state"]["terminated"]


def test_a_machine_joins_with_what_kubeadm_prints_and_is_a_node_like_others(plane: ControlPlane, edge: Machine) -> None:
    assert edge.process is not None
    (request,) = plane.admin.get("/apis/certificates.k8s.io/v1/certificatesigningrequests").json()["items"]
    assert request["spec"]["signerName"] == "kubernetes.io/kube-apiserver-client-kubelet"
    assert request["spec"]["username"].startswith("system:bootstrap:")
    assert [each["type"] for each in request["status"]["conditions"]] == ["Approved"]
    until(lambda: node(plane, "edge") == ("True", {"kedge.dev/joined:NoSchedule"}))
    found = plane.admin.get(f"{NODES}/edge").json()
    labels = found["metadata"]["labels"]
    assert (labels["kedge.dev/joined"], labels["disk"], labels["kubernetes.io/hostname"]) == ("true", "ssd", "edge")
    assert found["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("kedge://")
    assert int(found["status"]["allocatable"]["cpu"]) >= 1
    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/edge"
    first = plane.admin.get(lease).json()["spec"]["renewTime"]
    until(lambda: plane.admin.get(lease).json()["spec"]["renewTime"] > first)


def test_it_gets_the_pods_that_tolerate_it_and_no_others(plane: ControlPlane, edge: Machine) -> None:
    assert edge.process is not None
    plane.create(PODS, **pod("ordinary", "true"))
    plane.create("/api/v1/namespaces/default/configmaps", metadata={"name": "words"}, data={"word": "hello"})
    plane.create("/api/v1/namespaces/default/secrets", metadata={"name": "hidden"}, stringData={"word": "secret"})
    volumes = [{"name": "words", "configMap": {"name": "words"}}]
    script = "sleep 1.5; test $(cat /words/word) = hello; test $WORD = secret; echo -n done > /dev/termination-log; exit 3"
    asked = pod("tolerant", script, volumes=volumes, **TOLERANT)
    asked["spec"]["containers"][0] |= {
        "volumeMounts": [{"name": "words", "mountPath": "/words"}],
        "env": [{"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "word"}}}],
    }
    plane.create(PODS, **asked)
    until(lambda: phase(plane, "tolerant") == "Failed")
    done = plane.admin.get(f"{PODS}/tolerant").json()
    assert done["spec"]["nodeName"] == "edge"
    assert done["status"]["hostIP"].startswith("10.199.")
    assert (terminated(plane, "tolerant")["exitCode"], terminated(plane, "tolerant")["message"]) == (3, "done")
    until(lambda: {"Scheduled", "Started"} <= set(events(plane, "tolerant")))
    until(lambda: "FailedScheduling" in events(plane, "ordinary"))
    assert "untolerated taint" in events(plane, "ordinary")["FailedScheduling"]
    assert phase(plane, "ordinary") == "Pending"
    plane.admin.delete(f"{PODS}/ordinary")


def test_its_pods_speak_to_the_api_as_their_service_account(plane: ControlPlane, edge: Machine) -> None:
    assert edge.process is not None
    asked = pod("speaking", "", "edge", **TOLERANT)
    asked["spec"]["containers"][0]["command"] = ["python3", "-c", WHO_AM_I]
    plane.create(PODS, **asked)
    until(lambda: phase(plane, "speaking") in {"Succeeded", "Failed"})
    said = terminated(plane, "speaking")
    assert said["exitCode"] == 0, said
    assert 'User "system:serviceaccount:default:default" cannot list resource "secrets"' in said["message"]


def test_a_job_and_a_deployment_are_kept_by_the_cluster_s_controllers(plane: ControlPlane, edge: Machine) -> None:
    assert edge.process is not None
    template = {"spec": pod("", "true", "edge", **TOLERANT)["spec"]}
    plane.create(
        "/apis/batch/v1/namespaces/default/jobs", metadata={"name": "three"}, spec={"completions": 3, "template": template}
    )
    job = "/apis/batch/v1/namespaces/default/jobs/three"
    until(lambda: (plane.admin.get(job).json().get("status") or {}).get("succeeded") == 3)
    serving = pod("", "sleep 1000", "edge", restartPolicy="Always", **TOLERANT)["spec"]
    labels = {"app": "serving"}
    made = {"replicas": 2, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": serving}}
    plane.create("/apis/apps/v1/namespaces/default/deployments", metadata={"name": "serving"}, spec=made)
    deployment = "/apis/apps/v1/namespaces/default/deployments/serving"
    until(lambda: plane.admin.get(deployment).json()["status"].get("readyReplicas") == 2)
    plane.admin.delete(deployment)
    until(lambda: not plane.admin.get(PODS, params={"labelSelector": "app=serving"}).json()["items"])


def test_logs_and_programs_of_its_pods_are_refused_at_once_by_name(plane: ControlPlane, edge: Machine) -> None:
    assert edge.process is not None
    plane.create(PODS, **pod("silent", "sleep 1000", "edge", **TOLERANT))
    until(lambda: phase(plane, "silent") == "Running")
    for words in (["logs", "silent"], ["exec", "silent", "--", "true"], ["port-forward", "silent", ":80"]):
        said = plane.kubectl(*words)
        assert said.returncode != 0
        assert "kubectl-logs-exec-attach-and-port-forward-do-not-reach-nodes-of-kedge-join" in said.stderr
        assert "no such host" in said.stderr
    plane.admin.delete(f"{PODS}/silent")
    until(lambda: plane.admin.get(f"{PODS}/silent").status_code == 404)


def test_what_lies_elsewhere_is_refused_by_name(plane: ControlPlane, edge: Machine) -> None:
    assert edge.process is not None
    claims = "/api/v1/namespaces/default/persistentvolumeclaims"
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, "storageClassName": ""}
    plane.create(claims, metadata={"name": "data"}, spec=wanted)
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    plane.create(PODS, **pod("claiming", "true", nodeName="edge", volumes=volumes))
    step = pod("step", "true", nodeName="edge")
    step["metadata"]["labels"] = {"kedge.dev/run": "some"}
    plane.create(PODS, **step)
    for name, field in {"claiming": "spec.volumes[0].persistentVolumeClaim", "step": "metadata.labels[kedge.dev/run]"}.items():
        until(lambda name=name: phase(plane, name) == "Failed")
        status = plane.admin.get(f"{PODS}/{name}").json()["status"]
        assert (status["reason"], status["message"].startswith(f"{field}: ")) == ("UnsupportedField", True), status


def test_pods_of_a_daemon_set_that_tolerates_everything_fail_by_name_unless_it_keeps_away(
    plane: ControlPlane, edge: Machine
) -> None:
    assert edge.process is not None
    spec = pod("", "true", restartPolicy="Always", hostNetwork=True, tolerations=[{"operator": "Exists"}])["spec"]
    spec["containers"][0]["securityContext"] = {"privileged": True}
    labels = {"app": "proxy"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    sets = "/apis/apps/v1/namespaces/default/daemonsets"
    plane.create(sets, metadata={"name": "proxy"}, spec={"selector": {"matchLabels": labels}, "template": template})

    def refused() -> Any:
        selector = {"fieldSelector": "reason=UnsupportedField"}
        found = plane.admin.get("/api/v1/namespaces/default/events", params=selector).json()["items"]
        return [each for each in found if "spec.containers[0].securityContext.privileged: " in each["message"]]

    until(refused)
    away = {"matchExpressions": [{"key": "kedge.dev/joined", "operator": "DoesNotExist"}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [away]}}}
    change = {"spec": {"template": {"spec": {"affinity": affinity}}}}
    kept_away = plane.admin.patch(f"{sets}/proxy", json=change, headers={"content-type": "application/merge-patch+json"})
    assert kept_away.is_success, kept_away.text
    until(lambda: plane.admin.get(f"{sets}/proxy").json()["status"]["desiredNumberScheduled"] == 0)
    until(lambda: not plane.admin.get(PODS, params={"labelSelector": "app=proxy"}).json()["items"])
    plane.admin.delete(f"{sets}/proxy")


def test_its_certificate_is_for_that_node_alone_and_the_cluster_renews_it(plane: ControlPlane, edge: Machine) -> None:
    kept = edge.home / "joined" / "node.kubeconfig"
    with api(kept) as own:
        assert own.get(f"{NODES}/edge").status_code == 200
        assert own.get(PODS).status_code == 403
        other = own.post(NODES, json={"metadata": {"name": "other"}, "spec": {}})
        assert "is not allowed to modify node" in other.json()["message"]
        untainted = own.patch(
            f"{NODES}/edge", json={"spec": {"taints": None}}, headers={"content-type": "application/merge-patch+json"}
        )
        assert "is not allowed to modify taints" in untainted.json()["message"]

    async def renew() -> str:
        access = kubeconfig.load(kept)
        async with HttpClient(access) as client:
            another = await certificate.asked(access, "edge", SystemClock())
            assert another.certificate != access.certificate
            client.present(another)
            return (await client.get(NODE, "edge"))["metadata"]["name"]

    assert asyncio.run(renew()) == "edge"


def test_the_name_of_a_node_is_not_given_twice(plane: ControlPlane, edge: Machine, cable: Cable) -> None:
    assert edge.process is not None
    with machine("ip", "netns", "exec", cable.space("edge")) as second:
        second.join(*plane.invitation(), "--node-name=edge")
        assert second.process is not None
        assert second.process.wait(60) == 1
        assert 'node "edge" is there already' in second.said()
        assert not (second.home / "joined" / "node.kubeconfig").exists()


def test_a_machine_joins_with_an_administrator_s_kubeconfig_and_keeps_nothing_of_it(plane: ControlPlane) -> None:
    with machine() as box:
        box.join(f"--kubeconfig={plane.kubeconfig}", "--node-name=box", "--taint=gpu=yes:NoSchedule")
        until(lambda: node(plane, "box")[0] == "True", within=120)
        assert {"kedge.dev/joined:NoSchedule", "gpu:NoSchedule"} <= node(plane, "box")[1]
        kept = kubeconfig.load(box.home / "joined" / "node.kubeconfig")
        assert kept.token is None
        box.stop()
        box.join("--node-name=box")  # it knows where to, and who it is
        until(lambda: box.said().count(f"Joined https://{plane.address} as node box.") == 2)
        box.stop()
        assert plane.admin.delete(f"{NODES}/box").is_success


def test_who_may_not_approve_waits_for_somebody_who_does(plane: ControlPlane, tmp_path: Path) -> None:
    account = {"metadata": {"name": "asking"}}
    plane.create("/api/v1/namespaces/default/serviceaccounts", **account)
    made = plane.create("/api/v1/namespaces/default/serviceaccounts/asking/token", spec={})
    config = yaml.read(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": made["status"]["token"]}
    given = tmp_path / "kubeconfig"
    given.write_text(yaml.write(config))
    with machine() as box:
        box.join(f"--kubeconfig={given}", "--node-name=waiting")
        assert box.process is not None
        assert box.process.wait(60) == 1
        assert 'cannot create resource "certificatesigningrequests"' in box.said()
        subject = {"kind": "ServiceAccount", "name": "asking", "namespace": "default"}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-bootstrapper"}
        bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
        plane.create(bindings, metadata={"name": "asking"}, roleRef=role, subjects=[subject])
        box.join(f"--kubeconfig={given}", "--node-name=waiting")
        until(lambda: "waiting until the request for a certificate is approved" in box.said())
        requests = plane.admin.get("/apis/certificates.k8s.io/v1/certificatesigningrequests").json()["items"]
        (name,) = (each["metadata"]["name"] for each in requests if not each["status"])
        assert plane.kubectl("certificate", "approve", name).returncode == 0
        until(lambda: node(plane, "waiting")[0] == "True", within=120)
        box.stop()
        assert plane.admin.delete(f"{NODES}/waiting").is_success


@pytest.fixture
def neighbour(plane: ControlPlane) -> Iterator[Machine]:
    """Another node. Where no node at all is heard of any more, the cluster takes it for its own fault, and evicts nothing."""
    with machine() as made:
        made.join(*plane.invitation(), "--node-name=neighbour")
        until(lambda: node(plane, "neighbour")[0] == "True", within=120)
        yield made


def test_a_node_whose_link_is_cut_goes_on_and_reconciles_when_it_is_back(
    plane: ControlPlane, edge: Machine, neighbour: Machine, cable: Cable
) -> None:
    assert neighbour.process is not None
    unreachable = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    for name, seconds in (("hasty", 1), ("patient", 3600)):
        tolerations = [*TOLERANT["tolerations"], {**unreachable, "tolerationSeconds": seconds}]
        plane.create(PODS, **pod(name, BEATS, "edge", restartPolicy="Always", tolerations=tolerations))
    until(lambda: all(phase(plane, name) == "Running" for name in ("hasty", "patient")))
    uids = {name: plane.admin.get(f"{PODS}/{name}").json()["metadata"]["uid"] for name in ("hasty", "patient")}

    cable.cut("edge")
    until(lambda: node(plane, "edge")[0] == "Unknown")
    until(lambda: plane.admin.get(f"{PODS}/hasty").json()["metadata"].get("deletionTimestamp"))
    assert "node.kubernetes.io/unreachable:NoExecute" in node(plane, "edge")[1]
    for uid in uids.values():  # nobody has told it anything
        goes_on(edge, uid)

    cable.mend("edge")
    until(lambda: node(plane, "edge") == ("True", {"kedge.dev/joined:NoSchedule"}))
    until(lambda: plane.admin.get(f"{PODS}/hasty").status_code == 404)
    until(lambda: ready(plane, "patient") == "True")
    found = plane.admin.get(f"{PODS}/patient").json()
    assert (found["metadata"]["uid"], found["status"]["containerStatuses"][0]["restartCount"]) == (uids["patient"], 0)
    goes_on(edge, uids["patient"])
    edge.stop()
    goes_on(edge, uids["patient"])
    edge.join(f"https://{plane.address}", "--node-name=edge")
    until(lambda: edge.said().count("Joined ") == 2)
    plane.admin.delete(f"{PODS}/patient")
    until(lambda: plane.admin.get(f"{PODS}/patient").status_code == 404)


def goes_on(where: Machine, uid: str) -> None:
    """Wait until a Pod has shown again that it runs."""
    file = where.home / "joined" / "node" / "pods" / uid / "tmp" / "beats"
    before = file.stat().st_size
    until(lambda: file.stat().st_size > before)


def ready(plane: ControlPlane, name: str) -> str:
    """The condition of a Pod."""
    conditions = plane.admin.get(f"{PODS}/{name}").json()["status"].get("conditions") or []
    return next((each["status"] for each in conditions if each["type"] == "Ready"), "")
