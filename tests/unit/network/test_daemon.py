"""A real network of Pods: its namespaces, names, Services and ways out, as processes in them see it; as root and as nobody."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.supervisor.conftest import PATIENCE, Client, wait_until

from kedge.network import protocol

_NOBODY = 65534
_FILES = "+dac_read_search,+dac_override"  # the interpreter may lie where only root looks; nothing else of root is kept
_PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
_SERVE = (
    "import socket; s = socket.create_server(('', 29500)); print('up', flush=True)\n"
    "while True: c = s.accept()[0]; c.sendall(b'from {}'); c.close()"
)
_RESOLV = "search team.svc.cluster.local svc.cluster.local cluster.local\nnameserver {}\noptions ndots:5\n"


class Network:
    """Speaks to the network of a supervisor's directory."""

    def __init__(self, supervisor: Client) -> None:
        self.supervisor = supervisor
        place = str(supervisor.directory)
        started = [*supervisor.prefix, sys.executable, "-m", "kedge.network.daemon", place, supervisor.hello["users"]]
        self.refusal = subprocess.run(started, capture_output=True, text=True, check=False).stdout
        if self.refusal:
            return
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        fd = os.open(place, os.O_RDONLY)
        self.socket.connect(f"/proc/self/fd/{fd}/{protocol.SOCKET}")
        os.close(fd)
        self.file = self.socket.makefile("rb")

    def ask(self, op: str, **what: Any) -> dict[str, Any]:
        self.socket.sendall(protocol.encode({"op": op, **what}))
        return json.loads(self.file.readline())

    def run(self, pod: str, script: str, *, wait: bool = True) -> str:
        """Run Python in a Pod; returns what it has printed."""
        given = self.ask("give", pod=pod, ports=[])
        supervisor, container = self.supervisor, f"{pod}/main/0"
        resolv = supervisor.pods / "resolv.conf"
        resolv.write_text(_RESOLV.format(protocol.RESOLVER))
        spec: dict[str, Any] = {
            "network": {"path": given["path"], "inode": given["inode"], "hostname": pod},
            "mounts": [{"source": str(resolv), "target": "/etc/resolv.conf", "readonly": True}],
        }
        if wait:
            supervisor.run(container, _PYTHON, "-c", script, **spec)
        else:
            supervisor.start(container, _PYTHON, "-c", script, **spec)
            wait_until(lambda: "up" in supervisor.output(container))
        return supervisor.output(container).strip()


@pytest.fixture(params=["root", "nobody"])
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    """A network, made by root and by a user without rights."""
    if sys.platform != "linux":
        pytest.skip("there are no network namespaces on this system")
    nobody = request.param == "nobody"
    if nobody and (os.geteuid() != 0 or not shutil.which("setpriv")):
        pytest.skip("needs root, to become somebody else, and setpriv")
    place = Path(tempfile.mkdtemp(prefix="kedge-"))
    place.chmod(0o777)
    who = ("setpriv", "--reuid", str(_NOBODY), "--regid", str(_NOBODY), "--clear-groups")
    supervisor = Client(place / "node", *((*who, "--inh-caps", _FILES, "--ambient-caps", _FILES) if nobody else ()))
    made = Network(supervisor)
    try:
        if made.refusal:
            pytest.skip(f"this machine does not allow it: {made.refusal}")
        yield made
        made.ask("quit")
        made.file.close()
        made.socket.close()
        wait_until(lambda: not (supervisor.directory / protocol.SOCKET).exists())  # it ends, though the supervisor is still there
    finally:
        supervisor.end()
        shutil.rmtree(place, ignore_errors=True)  # the network takes its socket away itself, perhaps just now


def service(address: str, *pods: dict[str, Any], hostnames: bool = False) -> dict[str, Any]:
    endpoints = [
        {"ip": pod["address"], "hostname": f"pod-{number}" if hostnames else "", "ports": {"store": 29500}}
        for number, pod in enumerate(pods)
    ]
    ports = [{"name": "store", "port": 80, "protocol": "TCP"}]
    return {
        "namespace": "team",
        "name": "head" if hostnames else "web",
        "clusterIP": address,
        "ports": ports,
        "endpoints": endpoints,
    }


def test_pods_bind_the_same_port_and_find_each_other_by_name(network: Network) -> None:
    network.ask("hello", ports=[])
    pods = [network.ask("give", pod=name, ports=[]) for name in ("one", "two")]
    for name in ("one", "two"):
        assert network.run(name, _SERVE.format(name), wait=False) == "up"
    table = [service("None", *pods, hostnames=True), service("10.96.0.77", *pods)]
    assert network.ask("table", services=table) == {"faults": []}
    script = (
        "import socket\n"
        "def ask(*to): return socket.create_connection(to, 20).recv(99).decode()\n"
        "print(socket.gethostname(), ask('pod-0.head', 29500), ask('pod-1.head.team', 29500))\n"
        "print(sorted({ask('web', 80) for _ in range(4)}))\n"
        "print(socket.gethostbyaddr('10.96.0.77')[0])"
    )
    said = network.run("client", script).splitlines()
    assert said == ["client from one from two", "['from one', 'from two']", "web.team.svc.cluster.local"]


def test_a_service_without_endpoints_refuses_and_a_name_that_is_not_there_is_unknown(network: Network) -> None:
    network.ask("hello", ports=[])
    network.ask("table", services=[service("10.96.0.77")])
    script = (
        "import socket\n"
        "for name in ('web', 'nobody'):\n"
        "    try: socket.create_connection((name, 80), 20)\n"
        "    except OSError as error: print(type(error).__name__)"
    )
    assert network.run("client", script).split() == ["ConnectionRefusedError", "gaierror"]


def test_names_are_answered_while_pods_and_services_come_and_go(network: Network) -> None:
    """What a Pod knows of the way to its resolver must hold: a bridge without an address of its own changes it with its links."""
    network.ask("hello", ports=[])
    pod = network.ask("give", pod="one", ports=[])
    script = (
        "import socket\nprint('up', flush=True)\n"
        "for _ in range(300): socket.gethostbyname('web')\n"
        "print({line.split()[3] for line in open('/proc/net/arp') if line.startswith('10.244.0.1 ')})"
    )
    network.ask("table", services=[service("10.96.0.77", pod)])
    network.run("client", script, wait=False)
    for number in range(100):
        network.ask("give", pod=f"other-{number}", ports=[])
        network.ask("table", services=[service("10.96.0.77", *([pod] if number % 2 else []))])
        network.ask("drop", pod=f"other-{number}")
    network.supervisor.hear("exited", "client/main/0")
    assert network.supervisor.output("client/main/0").splitlines() == ["up", "{'0a:58:0a:f4:00:01'}"]


def test_a_pod_reaches_ports_of_the_host_on_its_own_loopback_and_what_is_outside(network: Network) -> None:
    """What is outside is stood for by an address of this machine: the way out leads through its network all the same."""
    with socket.create_server(("", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                connection.sendall(b"the host")
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        network.ask("hello", ports=[port])
        script = "import socket\nfor to in {!r}: print(socket.create_connection((to, {}), 20).recv(99).decode())"
        own = own_address()
        said = network.run("client", script.format(["127.0.0.1", *([own] if own else [])], port))
        assert said.splitlines() == ["the host"] * (2 if own else 1)


def test_datagrams_leave_and_come_back_whatever_their_size(network: Network) -> None:
    """As a program of the machine's: it is refused at a port that nobody has, and may send to very many places."""
    own = own_address()
    if not own:
        pytest.skip("this machine has no address but its loopback's")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        outside.bind((own, 0))
        closed.bind((own, 0))
        nobodys = closed.getsockname()[1]
        closed.close()

        def answer() -> None:
            while (got := outside.recvfrom(1 << 16))[0] != b"end":
                outside.sendto(got[0][::-1], got[1])

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        assert network.ask("hello", ports=[])["wayOutUdp"] == ""
        script = (
            "import socket\n"
            "def to(port):\n"
            "    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "    sock.settimeout({0})\n"
            "    sock.connect(({1!r}, port))\n"
            "    return sock\n"
            "one, two, none = to({2}), to({2}), to({3})\n"
            "for size in (1, 1472, 20000, 60000):\n"
            "    sent = bytes(n % 251 for n in range(size))\n"
            "    one.send(sent)\n"
            "    two.send(b'2' + sent)\n"
            "    print(one.recv(65536) == sent[::-1], two.recv(65536) == sent[::-1] + b'2')\n"
            "one.setsockopt(socket.IPPROTO_UDP, 103, 1000)\n"  # UDP_SEGMENT: one call, a datagram for each 1000 bytes
            "one.send(b'a' * 1000 + b'b' * 10)\n"
            "print(sorted(len(one.recv(65536)) for _ in range(2)))\n"
            "none.send(b'anybody?')\n"
            "try: none.recv(1)\n"
            "except OSError as error: print(type(error).__name__)\n"
            "many = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "for port in range(20000, 22000): many.sendto(b'', ({1!r}, port))\n"
            "two.settimeout(1)\n"
            "for _ in range(60):\n"  # datagrams may be lost among so many
            "    try: two.send(b'still'); print(two.recv(9).decode()); break\n"
            "    except TimeoutError: pass"
        )
        said = network.run("client", script.format(PATIENCE, own, outside.getsockname()[1], nobodys))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", outside.getsockname())
        answering.join(PATIENCE)
    assert said.splitlines() == ["True True"] * 4 + ["[10, 1000]", "ConnectionRefusedError", "llits"]


def own_address() -> str:
    """An address of this machine's that is not its loopback; empty where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(sock.getsockname()[0])


def test_a_program_outside_reaches_a_pod_through_a_socket_that_is_handed_over(network: Network) -> None:
    network.ask("hello", ports=[])
    pod = network.ask("give", pod="one", ports=[])
    network.run("one", _SERVE.format("one"), wait=False)
    network.socket.sendall(protocol.encode({"op": "socket", "pod": ""}))
    _, (fd,), _, _ = socket.recv_fds(network.socket, 4096, 1)
    with socket.socket(fileno=fd) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((pod["address"], 29500))
        assert sock.recv(99) == b"from one"


def test_a_port_of_the_host_leads_into_a_pod_and_is_refused_where_it_is_taken(network: Network) -> None:
    network.ask("hello", ports=[])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    network.ask("give", pod="one", ports=[[port, 29500]])
    network.run("one", _SERVE.format("one"), wait=False)
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        assert sock.recv(99) == b"from one"
    refused = network.ask("give", pod="two", ports=[[port, 29500]])
    assert refused == {"error": f"[Errno 98] hostPort {port} of 127.0.0.1: Address already in use"}


def test_a_network_is_kept_until_it_is_dropped_and_then_refused_by_name(network: Network) -> None:
    network.ask("hello", ports=[])
    pod = network.ask("give", pod="one", ports=[])
    assert network.ask("give", pod="one", ports=[]) == pod
    network.ask("drop", pod="one")
    spec = {"path": pod["path"], "inode": pod["inode"], "hostname": "one"}
    ended = network.supervisor.run("one/main/0", "true", network=spec)
    assert ended["reason"] == "RunContainerError"
    assert "the Pod's network is gone" in ended["message"]
