"""Pods find each other by Kubernetes' names and do not collide on ports, with an unmodified `kubectl`: the same on both hosts."""

import base64
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import HOSTS
from places import WAIT, Place, place_on

Obj = dict[str, Any]
pytestmark = pytest.mark.timeout(300)

# As torchrun's store does: the first binds every address, all of them connect to it by its name.
MEET = """
import os, socket, time
me = int(os.environ['JOB_COMPLETION_INDEX'])
own = socket.create_server(('0.0.0.0', 29500))
if me == 0:
    for _ in range(2):
        connection, _ = own.accept()
        print('met', connection.recv(99).decode(), flush=True)
else:
    deadline = time.monotonic() + 60
    while True:
        try:
            met = socket.create_connection(('train-0.train', 29500), 20)
            break
        except OSError as error:
            assert time.monotonic() < deadline, error
            time.sleep(0.2)
    met.sendall(socket.gethostname().encode())
"""
SERVE = """
import http.server, socket
class Say(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(socket.gethostname().encode())
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(('', 8080), Say).serve_forever()
"""
ASK = """
import socket, urllib.request
address = socket.gethostbyname('web')
print(len({urllib.request.urlopen('http://web', timeout=20).read() for _ in range(40)}))
print(socket.gethostbyaddr(address)[0] == 'web.' + open('/etc/resolv.conf').read().split('search ')[1].split()[0])
print(socket.gethostbyname('kubernetes.default.svc') == socket.gethostbyname('kubernetes.default.svc.cluster.local.'))
"""


@pytest.fixture(scope="module", params=HOSTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Either host."""
    with place_on(request, tmp_path_factory.mktemp("networks")) as made:
        yield made


def container(script: str, **more: Any) -> Obj:
    return {"name": "main", "image": "python:3.11", "command": ["python3", "-c", script], **more}


def pod(name: str, script: str, **spec: Any) -> Obj:
    made = {"terminationGracePeriodSeconds": 0, "restartPolicy": "Never", "containers": [container(script)], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": made}


def service(name: str, **spec: Any) -> Obj:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def finished(place: Place, name: str) -> list[str]:
    """What a Pod has printed that ended well."""
    place("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", WAIT)
    return place("logs", name).splitlines()


def test_workers_of_a_job_bind_the_same_port_and_meet_by_name(place: Place) -> None:
    place.apply(
        service("train", clusterIP="None", publishNotReadyAddresses=True, selector={"batch.kubernetes.io/job-name": "train"})
    )
    template = {"subdomain": "train", "restartPolicy": "Never", "containers": [container(MEET)]}
    spec = {"completions": 3, "parallelism": 3, "completionMode": "Indexed", "backoffLimit": 0, "template": {"spec": template}}
    place.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train"}, "spec": spec})
    place("wait", "--for=condition=Complete", "job/train", "--timeout=100s")
    first = place("get", "pods", "-l", "batch.kubernetes.io/job-completion-index=0", "-o", "jsonpath={.items[0].metadata.name}")
    assert sorted(place("logs", first).splitlines()) == ["met train-1", "met train-2"]


def test_a_service_is_found_by_its_name_and_balances_over_pods_that_are_ready(place: Place) -> None:
    template = {"terminationGracePeriodSeconds": 0, "containers": [container(SERVE)]}
    spec: Obj = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}}
    spec["template"] = {"metadata": {"labels": {"app": "web"}}, "spec": template}
    place.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
    place.apply(service("web", selector={"app": "web"}, ports=[{"port": 80, "targetPort": 8080}]))
    place("rollout", "status", "deployment/web", WAIT)
    addresses = place("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.podIP}").split()
    assert len(set(addresses)) == 2, "two Pods share an address"
    # Until both listen, who asks may be refused: a Pod without a readiness probe is ready at once.
    place.apply(pod("client", f"import time; time.sleep(2)\n{ASK}"))
    assert finished(place, "client") == ["2", "True", "True"]
    inside = f"/api/v1/namespaces/{place.namespace()}"
    names = place("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].metadata.name}").split()
    for path in ("services/web/proxy/", "services/http:web:80/proxy/some/where?a=b"):
        assert place("get", "--raw", f"{inside}/{path}") in names
    assert place("get", "--raw", f"{inside}/pods/{names[0]}:8080/proxy/") == names[0]
    said = place("get", "--raw", f"{inside}/services/web:81/proxy/", fails=True)
    assert 'no service port 81 found for service "web"' in said


def test_a_pod_has_the_names_that_kubernetes_gives_it(place: Place) -> None:
    show = "import os, socket; print(socket.gethostname(), os.environ['IP'] == socket.gethostbyname(socket.gethostname()))\n"
    show += "print(open('/etc/resolv.conf').read())\nprint(open('/etc/hosts').read())"
    spec = {"hostname": "one", "subdomain": "train"}
    env = [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    place.apply(pod("named", "", **spec, containers=[container(show, env=env)]))
    first, *lines = finished(place, "named")
    namespace = place.namespace()
    domains = [f"{namespace}.svc.cluster.local", "svc.cluster.local", "cluster.local"]
    address = place("get", "pod", "named", "-o", "jsonpath={.status.podIP}")
    assert first == "one True"
    assert next(line.split()[1:4] for line in lines if line.startswith("search")) == domains
    assert "options ndots:5" in lines
    assert f"{address}\tone.train.{namespace}.svc.cluster.local\tone" in lines


def test_two_pods_listen_at_the_same_port_of_their_own_loopback(place: Place) -> None:
    local = SERVE.replace("('', 8080)", "('127.0.0.1', 8080)")
    for name in ("left", "right"):
        place.apply(pod(name, local))
    place("wait", "--for=condition=Ready", "pod/left", "pod/right", WAIT)
    ask = (
        "import time, urllib.request\n"
        "for _ in range(100):\n"
        "    try: print(urllib.request.urlopen('http://127.0.0.1:8080', timeout=20).read().decode()); break\n"
        "    except OSError: time.sleep(0.2)"
    )
    for name in ("left", "right"):
        assert place("exec", name, "--", "python3", "-c", ask).strip() == name


def test_a_pod_asks_the_api_by_its_service_with_its_own_token(place: Place) -> None:
    ask = (
        "import json, socket, ssl, urllib.request\n"
        "token, trust = open('/token/token').read(), ssl.create_default_context(cafile='/trust/ca')\n"
        "def ask(host, path, body=None):\n"
        "    headers = {'Authorization': 'Bearer ' + token, 'Content-Type': 'application/json'}\n"
        "    request = urllib.request.Request('https://' + host + path, body, headers)\n"
        "    return json.load(urllib.request.urlopen(request, timeout=20, context=trust))\n"
        "for host in ('kubernetes.default.svc', 'kubernetes.default'):\n"
        "    print(ask(host, '/version')['major'])\n"
        "whole = 'kubernetes.default.svc.cluster.local'\n"  # which a certificate that an API server makes itself does not name
        "print(socket.gethostbyname(whole) == socket.gethostbyname('kubernetes.default.svc'))\n"
        "body = json.dumps({'kind': 'SelfSubjectReview', 'apiVersion': 'authentication.k8s.io/v1'}).encode()\n"
        "review = ask('kubernetes.default.svc', '/apis/authentication.k8s.io/v1/selfsubjectreviews', body)\n"
        "print(review['status']['userInfo']['username'])"
    )
    cluster = place.json("config", "view", "--minify", "--raw")["clusters"][0]["cluster"]
    if "certificate-authority" in cluster:
        trust = Path(cluster["certificate-authority"]).read_text()
    else:
        trust = base64.b64decode(cluster["certificate-authority-data"]).decode()
    place.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "trust"}, "data": {"ca": trust}})
    volumes: list[Obj] = [
        {"name": "trust", "configMap": {"name": "trust"}},
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    ]
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("trust", "token")]
    place.apply(pod("asker", "", containers=[container(ask, volumeMounts=mounts)], volumes=volumes))
    major = place.json("version")["serverVersion"]["major"]
    assert finished(place, "asker") == [major, major, "True", f"system:serviceaccount:{place.namespace()}:default"]


def test_a_pod_adds_names_and_domains_to_those_that_it_has(place: Place) -> None:
    show = "import socket; print(socket.gethostbyname('one.example'), socket.gethostbyname('two'))\n"
    show += "print(open('/etc/resolv.conf').read())"
    aliases = [{"ip": "10.9.8.7", "hostnames": ["one.example", "two"]}]
    config = {"searches": ["team.example"], "options": [{"name": "ndots", "value": "2"}, {"name": "single-request"}]}
    place.apply(pod("added", show, hostAliases=aliases, dnsConfig=config))
    first, *lines = finished(place, "added")
    assert first == "10.9.8.7 10.9.8.7"
    domains = next(line for line in lines if line.startswith("search")).split()[1:]
    assert (domains[0], domains[-1]) == (f"{place.namespace()}.svc.cluster.local", "team.example")
    assert sorted(next(line for line in lines if line.startswith("options")).split()[1:]) == ["ndots:2", "single-request"]
    server = next(line for line in lines if line.startswith("nameserver")).split()[1]
    only = {"nameservers": [server], "searches": ["svc.cluster.local"]}
    ask = "import socket; print(socket.gethostbyname('kubernetes.default'), open('/etc/resolv.conf').read().split())"
    place.apply(pod("only", ask, dnsPolicy="None", dnsConfig=only))
    address = place("get", "service", "kubernetes", "--namespace=default", "-o", "jsonpath={.spec.clusterIP}")
    assert finished(place, "only") == [f"{address} ['search', 'svc.cluster.local', 'nameserver', '{server}']"]


def test_services_are_told_by_variables_where_the_pod_wants_them(place: Place) -> None:
    ports = [{"name": "sql-in", "port": 5432}, {"name": "talk", "port": 53, "protocol": "UDP"}]
    place.apply(service("my-db", selector={"app": "none"}, ports=ports))
    place.apply(service("headless", clusterIP="None", selector={"app": "none"}, ports=[{"port": 1}]))
    show = "import os; print(*sorted(f'{k}={v}' for k, v in os.environ.items() if k.startswith(('MY_DB', 'HEADLESS', 'SAID'))))"
    show += "; print(os.environ['KUBERNETES_SERVICE_HOST'], os.environ['KUBERNETES_SERVICE_PORT_HTTPS'])"
    env = [{"name": "SAID", "value": "at $(MY_DB_SERVICE_HOST)"}, {"name": "MY_DB_PORT", "value": "mine"}]
    place.apply(pod("told", "", containers=[container(show, env=env)]))
    place.apply(pod("untold", "", containers=[container(show)], enableServiceLinks=False))
    own = place("get", "service", "kubernetes", "--namespace=default", "-o", "jsonpath={.spec.clusterIP}")
    address = place("get", "service", "my-db", "-o", "jsonpath={.spec.clusterIP}")
    wanted = [
        "MY_DB_PORT=mine",
        f"MY_DB_PORT_53_UDP=udp://{address}:53",
        f"MY_DB_PORT_53_UDP_ADDR={address}",
        "MY_DB_PORT_53_UDP_PORT=53",
        "MY_DB_PORT_53_UDP_PROTO=udp",
        f"MY_DB_PORT_5432_TCP=tcp://{address}:5432",
        f"MY_DB_PORT_5432_TCP_ADDR={address}",
        "MY_DB_PORT_5432_TCP_PORT=5432",
        "MY_DB_PORT_5432_TCP_PROTO=tcp",
        f"MY_DB_SERVICE_HOST={address}",
        "MY_DB_SERVICE_PORT=5432",
        "MY_DB_SERVICE_PORT_SQL_IN=5432",
        "MY_DB_SERVICE_PORT_TALK=53",
        f"SAID=at {address}",
    ]
    assert finished(place, "told") == [" ".join(sorted(wanted)), f"{own} 443"]
    assert finished(place, "untold") == ["", f"{own} 443"]


def test_only_the_first_process_is_told_to_end(place: Place) -> None:
    """It says itself what becomes of those that it has started."""
    script = (
        "import os, signal, subprocess, sys, time\n"
        "child = 'import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print(\"child\", flush=True)));'\n"
        "subprocess.Popen([sys.executable, '-c', child + 'open(\"/tmp/up\", \"w\"); time.sleep(600)'])\n"
        "def end(*_):\n"
        "    time.sleep(1); print('first', flush=True); os._exit(3)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "while True: time.sleep(1)"
    )
    up = {"exec": {"command": ["python3", "-c", "import os, sys; sys.exit(os.path.exists('/tmp/up'))"]}}
    probe = {**up, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 20}
    main = container(script, livenessProbe=probe)
    place.apply(pod("family", "", terminationGracePeriodSeconds=30, containers=[main]))
    place("wait", "--for=jsonpath={.status.phase}=Failed", "pod/family", "--timeout=100s")
    assert place("logs", "family") == "first\n"


def served(place: Place, name: str, replicas: int = 2) -> list[str]:
    """Names of Pods that listen at 8080 and are ready."""
    ready = {"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 1}
    template = {"terminationGracePeriodSeconds": 0, "containers": [container(SERVE, readinessProbe=ready)]}
    spec: Obj = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}}
    spec["template"] = {"metadata": {"labels": {"app": name}}, "spec": template}
    place.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})
    place("rollout", "status", f"deployment/{name}", WAIT)
    return place("get", "pods", "-l", f"app={name}", "-o", "jsonpath={.items[*].metadata.name}").split()


# What a client asks for may be told to it a moment later than it is stored.
PATIENT = """
import os, time, urllib.request
def ask(url):
    deadline = time.monotonic() + 60
    while True:
        try:
            return urllib.request.urlopen(url, timeout=20).read().decode()
        except OSError:
            assert time.monotonic() < deadline, url
            time.sleep(0.2)
"""


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_a_port_of_the_node_leads_to_a_service(place: Place, kind: str) -> None:
    names = served(place, "outside")
    place.apply(service("outside", type=kind, selector={"app": "outside"}, ports=[{"port": 80, "targetPort": 8080}]))
    number = place("get", "service", "outside", "-o", "jsonpath={.spec.ports[0].nodePort}")
    shown = place("get", "service", "outside", "--no-headers").split()
    assert (shown[1], shown[3]) == (kind, "<pending>" if kind == "LoadBalancer" else "<none>")
    ask = f"{PATIENT}\nprint(*sorted({{ask('http://' + os.environ['HOST'] + ':{number}/') for _ in range(30)}}))"
    env = [{"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]
    place.apply(pod("visitor", "", hostNetwork=True, containers=[container(ask, env=env)]))
    assert finished(place, "visitor") == [" ".join(sorted(names))]
    place("delete", "pod/visitor", "service/outside", "deployment/outside", "--now")


def test_a_client_stays_with_the_endpoint_that_it_has_got(place: Place) -> None:
    names = served(place, "sticky")
    ports = [{"port": 80, "targetPort": 8080}]
    place.apply(service("sticky", selector={"app": "sticky"}, sessionAffinity="ClientIP", ports=ports))
    place.apply(pod("regular", f"{PATIENT}\nprint(*{{ask('http://sticky/') for _ in range(30)}})"))
    (found,) = finished(place, "regular")
    assert found in names
    place("delete", "pod/regular", "service/sticky", "deployment/sticky", "--now")


def test_a_pod_sends_datagrams_to_the_outside_and_asks_resolvers_there(place: Place) -> None:
    """What is outside is stood for by an address of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
        outside.connect(("192.0.2.1", 9))  # nothing is sent: the kernel says from where it would be
        own = outside.getsockname()[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
        outside.bind((own, 0))
        outside.settimeout(60)
        ask = (
            "import socket\nsock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nsock.settimeout(60)\n"
            f"sock.sendto(b'anybody?', {outside.getsockname()!r})\nprint(sock.recv(99).decode())\n"
            "print(open('/etc/resolv.conf').read().split())"
        )
        place.apply(pod("caller-outside", ask, dnsPolicy="None", dnsConfig={"nameservers": [own]}))
        data, sender = outside.recvfrom(99)
        assert data == b"anybody?"
        outside.sendto(b"I am here", sender)
        assert finished(place, "caller-outside") == ["I am here", f"['nameserver', '{own}']"]


def test_a_service_passes_datagrams_on_and_another_is_a_name_for_somewhere_else(place: Place) -> None:
    echo = (
        "import socket\nsock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nsock.bind(('0.0.0.0', 5353))\n"
        "while True:\n    data, sender = sock.recvfrom(99); sock.sendto(b'back ' + data, sender)"
    )
    made = pod("echo", echo)
    place.apply({**made, "metadata": {"name": "echo", "labels": {"app": "echo"}}})
    place.apply(service("echo", selector={"app": "echo"}, ports=[{"port": 53, "targetPort": 5353, "protocol": "UDP"}]))
    target = "echo." + place.namespace() + ".svc.cluster.local"
    place.apply(service("alias", type="ExternalName", externalName=target))
    place("wait", "--for=condition=Ready", "pod/echo", WAIT)
    ask = (
        "import socket, time\nsock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nsock.settimeout(1)\n"
        "for name in ('echo', 'alias'):\n"
        "    deadline = time.monotonic() + 60\n"
        "    while True:\n"
        "        try:\n"
        "            sock.sendto(name.encode(), (name, 53)); print(sock.recv(99).decode()); break\n"
        "        except OSError:\n"
        "            assert time.monotonic() < deadline, name\n"
        "            time.sleep(0.2)"
    )
    place.apply(pod("caller", ask))
    assert finished(place, "caller") == ["back echo", "back alias"]
