"""What this host alone answers of streams and of the proxy: they are guarded, and ephemeral containers are refused."""

import contextlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Generator, Iterator

import pytest
from tests.acceptance.kubectl.conftest import Kubectl

from kedge.kube.core import POD
from kedge.testing.host import RunningHost, running_host

PATIENCE = 60.0
ECHO = """
import http.server
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Set-Cookie', 'kedge=stolen')
        self.send_header('X-Seen', ' '.join(sorted(name.lower() for name in self.headers)))
        self.end_headers()
http.server.HTTPServer(('', 8080), Echo).serve_forever()
"""


@pytest.fixture(scope="module")
def kedge() -> Iterator[RunningHost]:
    with running_host() as host:
        container = {"name": "main", "image": "python:3.11", "command": ["sleep", "100000"]}
        spec = {"terminationGracePeriodSeconds": 1, "containers": [container]}
        path = POD.path("default")
        answer = host_post(host, path, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "plain"}, "spec": spec})
        assert answer == 201
        yield host


@contextlib.contextmanager
def trusting(kedge: RunningHost) -> Generator[http.client.HTTPSConnection]:
    """A connection of its own."""
    trust = ssl.create_default_context(cafile=str(kedge.home / "pki" / "ca.crt"))
    connection = http.client.HTTPSConnection(kedge.host.https.removeprefix("https://"), timeout=PATIENCE, context=trust)
    try:
        yield connection
    finally:
        connection.close()


def host_post(kedge: RunningHost, path: str, obj: object) -> int:
    headers = {"Authorization": f"Bearer {kedge.host.token}", "Content-Type": "application/json"}
    with trusting(kedge) as connection:
        connection.request("POST", path, json.dumps(obj), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


@pytest.mark.parametrize(
    ("headers", "code", "said"),
    [
        ({"Authorization": "Bearer wrong"}, 401, "the token is not known here"),
        ({"Origin": "https://elsewhere.example"}, 403, "is another site"),
        ({"Host": "elsewhere.example"}, 403, "is not a name of this host"),
        ({"Upgrade": ""}, 400, "Upgrade request required"),
        ({"Sec-WebSocket-Protocol": "v9.channel.k8s.io"}, 400, "none of the protocols v9.channel.k8s.io is spoken here"),
    ],
    ids=["token", "page", "name", "no-upgrade", "protocol"],
)
def test_a_websocket_is_guarded_like_every_request(kedge: RunningHost, headers: dict[str, str], code: int, said: str) -> None:
    given = {
        "Authorization": f"Bearer {kedge.host.token}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    with trusting(kedge) as connection:
        connection.request(
            "GET",
            "/api/v1/namespaces/default/pods/plain/exec?command=true&stdout=true",
            headers={name: value for name, value in given.items() if value},
        )
        answer = connection.getresponse()
        told = json.loads(answer.read())
    assert (answer.status, told["code"]) == (code, code)
    assert said in told["message"]


def test_a_copy_with_a_container_more_stands_in_for_an_ephemeral_one(
    kedge: RunningHost, kubectl_program: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("debug")
    (home / "kubeconfig").write_bytes((kedge.home / "kubeconfig").read_bytes())
    kubectl = Kubectl(kubectl_program, home)
    debug = ("debug", "plain", "--image=python:3.11", "--container=look")
    refused = "no container can be added to a Pod that runs here. Look into one by kubectl exec -it POD -- sh"
    assert refused in kubectl(*debug, "--", "true", fails=True)
    kubectl(*debug, "--copy-to=copy", "--share-processes=false", "--", "sh", "-c", "echo looked; exec sleep 3600")
    kubectl("wait", "pod/copy", "--for=condition=Ready", "--timeout=60s")
    assert kubectl("logs", "copy", "-c", "look") == "looked\n"


def test_a_proxied_pod_sees_neither_token_nor_cookies_and_sets_none(kedge: RunningHost) -> None:
    container = {"name": "main", "image": "python:3.11", "command": ["python3", "-c", ECHO]}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "echo"}, "spec": spec}
    assert host_post(kedge, POD.path("default"), pod) == 201
    headers = {"Authorization": f"Bearer {kedge.host.token}", "Cookie": "kedge=secret", "X-Own": "yes"}
    deadline = time.monotonic() + PATIENCE
    while True:
        with trusting(kedge) as connection:
            connection.request("GET", POD.path("default", "echo:8080") + "/proxy/", headers=headers)
            answer = connection.getresponse()
            said = answer.read()
        if answer.status == 200:
            break
        assert time.monotonic() < deadline, said
        threading.Event().wait(0.2)
    seen = (answer.getheader("X-Seen") or "").split()
    assert "x-own" in seen
    assert not {"authorization", "cookie"} & set(seen)
    assert answer.getheader("Set-Cookie") is None
