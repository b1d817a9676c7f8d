"""`kedge join`: another machine becomes a node of a host, and runs the Pods that are given to it."""

import asyncio
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from tests.acceptance.joined_nodes import PODS, Machine, api, invitation, machine, pod, until
from tests.acceptance.kubectl.conftest import program

from kedge.client import kubeconfig
from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access
from kedge.joined import Invitation, Joining
from kedge.kube.clock import SystemClock
from kedge.kube.core import NODE
from kedge.testing.clock import FakeClock
from kedge.testing.host import RunningHost, new_home, settings_of

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def kedge() -> Iterator[RunningHost]:
    """A host that other machines may join."""
    with new_home() as home:
        made = RunningHost(settings_of(home, {}), options=["--listen=127.0.0.1:0"])
        try:
            made.start()
            yield made
        finally:
            made.cli("down")


@pytest.fixture(scope="module")
def owner(kedge: RunningHost) -> Iterator[httpx.Client]:
    """The owner's client."""
    with api(Path(kedge.host.kubeconfig)) as made:
        yield made


@pytest.fixture(scope="module")
def edge(kedge: RunningHost, owner: httpx.Client) -> Iterator[Machine]:
    """A machine that has joined as ``edge``."""
    with machine() as made:
        made.join(*invitation(kedge), "--node-name=edge", "--label=disk=ssd", "--taint=edge=yes:NoSchedule")
        until(lambda: ready(owner, "edge") == "True")
        yield made


def ready(owner: httpx.Client, node: str) -> str:
    answer = owner.get(f"/api/v1/nodes/{node}")
    conditions = (answer.json().get("status") or {}).get("conditions") or [] if answer.is_success else []
    return next((each["status"] for each in conditions if each["type"] == "Ready"), "")


def phase(owner: httpx.Client, name: str) -> str:
    return owner.get(f"{PODS}/{name}").json().get("status", {}).get("phase", "")


def test_a_machine_joins_with_a_token_and_runs_the_pods_that_choose_it(owner: httpx.Client, edge: Machine) -> None:
    node = owner.get("/api/v1/nodes/edge").json()
    assert node["metadata"]["labels"]["disk"] == "ssd"
    assert node["spec"]["taints"] == [{"key": "edge", "value": "yes", "effect": "NoSchedule"}]
    made = owner.post("/api/v1/namespaces/default/configmaps", json={"metadata": {"name": "words"}, "data": {"word": "hello"}})
    assert made.status_code == 201
    tolerant = {"tolerations": [{"key": "edge", "operator": "Exists"}]}
    volumes = [{"name": "words", "configMap": {"name": "words"}}]
    asked = pod("there", "sleep 1; test $(cat /words/word) = hello", "edge", volumes=volumes, **tolerant)
    asked["spec"]["containers"][0]["volumeMounts"] = [{"name": "words", "mountPath": "/words"}]
    assert owner.post(PODS, json=asked).status_code == 201
    until(lambda: phase(owner, "there") == "Succeeded")
    done = owner.get(f"{PODS}/there").json()
    assert (done["spec"]["nodeName"], done["status"]["hostIP"]) == ("edge", "127.0.0.1")
    assert owner.post(PODS, json=pod("here", "true")).status_code == 201
    until(lambda: phase(owner, "here") == "Succeeded")
    assert owner.get(f"{PODS}/here").json()["spec"]["nodeName"] == "this-machine"
    assert edge.process is not None


def test_a_daemon_set_has_a_pod_on_this_machine_and_on_those_that_joined_and_are_tolerated(
    owner: httpx.Client, edge: Machine
) -> None:
    assert edge.process is not None
    sets = "/apis/apps/v1/namespaces/default/daemonsets"
    template = pod("", "sleep 3600")
    template = {"metadata": {"labels": {"app": "daemon"}}, "spec": {**template["spec"], "restartPolicy": "Always"}}
    spec = {"selector": {"matchLabels": {"app": "daemon"}}, "template": template}
    assert owner.post(sets, json={"metadata": {"name": "daemon"}, "spec": spec}).status_code == 201

    def places() -> list[str]:
        found = owner.get(PODS, params={"labelSelector": "app=daemon"}).json()["items"]
        return sorted(each["spec"].get("nodeName", "") for each in found if each["status"].get("phase") == "Running")

    until(lambda: places() == ["this-machine"])
    tolerates = {"spec": {"template": {"spec": {"tolerations": [{"key": "edge", "operator": "Exists"}]}}}}
    merge = {"Content-Type": "application/merge-patch+json"}
    assert owner.patch(f"{sets}/daemon", json=tolerates, headers=merge).status_code == 200
    until(lambda: places() == ["edge", "this-machine"])
    owner.delete(f"{sets}/daemon")
    until(lambda: not owner.get(PODS, params={"labelSelector": "app=daemon"}).json()["items"])


def test_a_pod_of_a_joined_node_reaches_the_api_at_the_address_for_other_machines(
    kedge: RunningHost, owner: httpx.Client, edge: Machine
) -> None:
    assert edge.process is not None
    ask = (
        "import os, ssl, urllib.request\n"
        "at = '/var/run/secrets/kubernetes.io/serviceaccount/'\n"
        "where = os.environ['KUBERNETES_SERVICE_HOST'] + ':' + os.environ['KUBERNETES_SERVICE_PORT']\n"
        "headers = {'Authorization': 'Bearer ' + open(at + 'token').read()}\n"
        "asked = urllib.request.Request('https://' + where + '/api/v1/namespaces/default/pods', headers=headers)\n"
        "try: urllib.request.urlopen(asked, timeout=20, context=ssl.create_default_context(cafile=at + 'ca.crt'))\n"
        "except urllib.error.HTTPError as error: print(where, error.read().decode())"
    )
    asked = pod("asks", "", "edge", tolerations=[{"key": "edge", "operator": "Exists"}])
    asked["spec"]["containers"][0]["command"] = [sys.executable, "-c", ask]
    assert owner.post(PODS, json=asked).status_code == 201
    until(lambda: phase(owner, "asks") == "Succeeded")
    where, _, said = owner.get(f"{PODS}/asks/log").text.partition(" ")
    assert f"https://{where}" == kedge.host.outside
    assert 'pods is forbidden: User \\"system:serviceaccount:default:default\\" cannot list resource' in said


def test_a_node_s_certificate_is_for_that_node_alone(owner: httpx.Client, edge: Machine) -> None:
    secret = {"metadata": {"name": "mine"}, "data": {}}
    assert owner.post("/api/v1/namespaces/default/secrets", json=secret).status_code == 201
    with api(edge.home / "joined" / "node.kubeconfig") as node:
        assert node.get("/api/v1/nodes/edge").status_code == 200
        for path, why in {
            "/api/v1/nodes/this-machine": "node 'edge' cannot read 'this-machine', only its own Node object",
            "/api/v1/namespaces/default/secrets/mine": "no relationship found between node 'edge' and this object",
            PODS: "can only list/watch pods with spec.nodeName field selector",
            "/apis/apps/v1/deployments": 'User "system:node:edge" cannot list resource "deployments" in API group "apps"',
        }.items():
            refused = node.get(path)
            assert (refused.status_code, why in refused.json()["message"]) == (403, True), refused.text
        other = node.post("/api/v1/nodes", json={"metadata": {"name": "other"}, "spec": {}})
        assert other.status_code == 403
        assert 'node "edge" is not allowed to modify node "other"' in other.json()["message"]
        elsewhere = node.post(PODS, json=pod("sneaky", "true", nodeName="this-machine"))
        assert (elsewhere.status_code, "can only create mirror pods" in elsewhere.json()["message"]) == (403, True)
        label = {"metadata": {"labels": {"node-restriction.kubernetes.io/trusted": "yes"}}}
        headers = {"content-type": "application/merge-patch+json"}
        assert node.patch("/api/v1/nodes/edge", json=label, headers=headers).status_code == 403
        untainted = node.patch("/api/v1/nodes/edge", json={"spec": {"taints": None}}, headers=headers)
        assert "is not allowed to modify taints" in untainted.json()["message"]


def test_other_machines_find_the_kubernetes_api_and_nothing_else(kedge: RunningHost, edge: Machine) -> None:
    del edge
    trusted = ssl.create_default_context(cafile=str(kedge.home / "pki" / "ca.crt"))
    with httpx.Client(base_url=kedge.host.outside, verify=trusted, timeout=60) as stranger:
        assert stranger.get("/api/v1/nodes").status_code == 401
        assert [stranger.get(path).status_code for path in ("/", "/runs", "/apis/v2beta1/runs")] == [404, 404, 404]
        assert stranger.get("/version", headers={"origin": "https://example.com"}).status_code == 403
        info = stranger.get("/api/v1/namespaces/kube-public/configmaps/cluster-info").json()
        assert "BEGIN CERTIFICATE" not in info["data"]["kubeconfig"]  # base64
        assert "token" not in info["data"]["kubeconfig"]


def test_a_token_is_for_one_machine_and_the_hash_for_one_host(kedge: RunningHost, edge: Machine) -> None:
    del edge
    server, *rest = invitation(kedge)
    wrong = [*rest[:-1], "sha256:" + "0" * 64]
    with machine() as first:
        first.join(server, *wrong, "--node-name=first")
        assert first.process is not None
        assert first.process.wait(60) == 1
        assert "Either this is another server, or the host has a new authority" in first.said()
    with machine() as taken:
        taken.join(server, *rest, "--node-name=edge")
        assert taken.process is not None
        assert taken.process.wait(60) == 1
        assert 'node "edge": it is there already' in taken.said()
    with machine() as second:
        second.join(server, *rest, "--node-name=second")
        until(lambda: "Joined " in second.said())
    with machine() as third:
        third.join(server, *rest, "--node-name=third")
        assert third.process is not None
        assert third.process.wait(60) == 1
        assert "the join token is not known, has been used, or has ended. Make another on the host: kedge invite." in third.said()


def test_an_agent_that_is_started_again_needs_no_token_and_takes_its_pods_over(
    kedge: RunningHost, owner: httpx.Client, edge: Machine
) -> None:
    tolerant = {"tolerations": [{"key": "edge", "operator": "Exists"}]}
    script = "until test -e /tmp/go; do sleep 0.1; done"
    assert owner.post(PODS, json=pod("lasting", script, "edge", **tolerant)).status_code == 201
    until(lambda: phase(owner, "lasting") == "Running")
    edge.stop()
    edge.join(kedge.host.outside, "--node-name=edge")
    until(lambda: edge.said().count("Joined ") == 2)
    uid = owner.get(f"{PODS}/lasting").json()["metadata"]["uid"]
    (edge.home / "joined" / "node" / "pods" / uid / "tmp" / "go").touch()
    until(lambda: phase(owner, "lasting") == "Succeeded")
    assert owner.get(f"{PODS}/lasting").json()["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_certificate_is_renewed_while_the_node_runs(edge: Machine, tmp_path: Path) -> None:
    access = kubeconfig.load(edge.home / "joined" / "node.kubeconfig")
    settings = replace(settings_of(edge.home, {}), home=tmp_path)
    shown: list[Access] = []

    async def renewed(days: int) -> None:
        clock = FakeClock(SystemClock().now() + timedelta(days=days))
        async with HttpClient(access) as client:
            joining = Joining(settings, Invitation(access.server, "", "", "edge", {}), access, client, clock)
            renewing = asyncio.create_task(joining.renew(client.present, shown.append))
            async with asyncio.timeout(60):
                while not clock.sleeping():  # noqa: ASYNC110  # another API is waited for
                    await asyncio.sleep(0.01)
            assert (await client.get(NODE, "edge"))["metadata"]["name"] == "edge"
            renewing.cancel()

    asyncio.run(renewed(days=300))
    assert shown == []
    asyncio.run(renewed(days=340))
    (another,) = shown
    assert another.certificate not in {None, access.certificate}
    assert kubeconfig.load(tmp_path / "node.kubeconfig") == another


def test_pods_of_a_joined_node_find_the_api_by_the_usual_variables(
    kedge: RunningHost, owner: httpx.Client, edge: Machine
) -> None:
    assert edge.process is not None
    script = "printf %s https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT > /dev/termination-log"
    assert owner.post(PODS, json=pod("finding", script, "edge", tolerations=[{"operator": "Exists"}])).status_code == 201
    until(lambda: phase(owner, "finding") == "Succeeded")
    ended = owner.get(f"{PODS}/finding").json()["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["message"] == kedge.host.outside


def test_logs_programs_and_ports_of_a_joined_node_s_pods_are_reached_over_connections_of_its_own(
    kedge: RunningHost, owner: httpx.Client, edge: Machine
) -> None:
    assert edge.process is not None
    serve = "import http.server as h; h.ThreadingHTTPServer(('127.0.0.1', 18231), h.SimpleHTTPRequestHandler).serve_forever()"
    talking = pod("talking", f'echo begun; exec python3 -c "{serve}"', "edge", tolerations=[{"operator": "Exists"}])
    assert owner.post(PODS, json=talking).status_code == 201
    until(lambda: phase(owner, "talking") == "Running")
    until(lambda: owner.get(f"{PODS}/talking/log").text == "begun\n")
    with owner.stream("GET", f"{PODS}/talking/log", params={"follow": "true"}) as followed:
        assert next(followed.iter_lines()) == "begun"
    missing = owner.get(f"{PODS}/talking/log", params={"previous": "true"})
    assert (missing.status_code, "previous terminated container" in missing.json()["message"]) == (400, True), missing.text

    kubectl = [program(), "--kubeconfig", kedge.host.kubeconfig]
    argv = [*kubectl, "exec", "-i", "talking", "--"]
    command = ["sh", "-c", "cat; echo more >&2; exit 3"]
    shown = subprocess.run([*argv, *command], input="words", capture_output=True, text=True, timeout=60, check=False)
    assert (shown.returncode, shown.stdout) == (3, "words"), shown
    assert "more" in shown.stderr
    forward = [*kubectl, "port-forward", "pod/talking", ":18231"]
    with subprocess.Popen(forward, stdout=subprocess.PIPE, text=True) as forwarding:
        assert forwarding.stdout is not None
        address = forwarding.stdout.readline().split()[2]  # Forwarding from 127.0.0.1:PORT -> 18231
        assert httpx.get(f"http://{address}/", timeout=60).status_code == 200
        forwarding.terminate()
