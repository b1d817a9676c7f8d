"""What people do in a Pod that runs, with unmodified clients and on both hosts: exec, cp, attach, port-forward."""

import contextlib
import hashlib
import http.client
import os
import re
import subprocess
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from environments import client_environment
from hosts import HOSTS
from places import place_on
from terminals import PATIENCE, Terminal
from tests.acceptance.kubectl.conftest import EARLY, Kubectl

IMAGE = "python:3.11"
# kubectl's two ways: WebSockets, and SPDY as versions before 1.31 have it.
WAYS = {
    "websocket": {},
    "spdy": {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"},
}
# Serves a file at any port that is free, and says at which.
SERVER = """
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="/tmp")
with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
    print("at", server.server_port, flush=True)
    server.serve_forever()
"""


class Streaming(Kubectl):
    """A `kubectl` that is given input, and speaks one way or the other."""

    way: str = "websocket"

    def run(self, *arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        """Run a command; what it printed stays bytes, and apart."""
        argv = [self.program, *arguments]
        done = subprocess.run(argv, env=self.environ, input=stdin, capture_output=True, check=False, timeout=110)
        done.stderr = EARLY.sub("", done.stderr.decode()).encode()
        return done

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": os.defpath, "HOME": str(self.home), "KUBECONFIG": str(self.home / "kubeconfig"), **WAYS[self.way]}

    def terminal(self, *arguments: str) -> Terminal:
        """A command at a terminal."""
        return Terminal([self.program, *arguments], self.environ)


@pytest.fixture(scope="module", params=HOSTS)
def pods(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streaming]:
    """A `kubectl` for either host, with Pods that run."""
    with place_on(request, tmp_path_factory.mktemp("streams")) as place:
        yield _with_pods(Streaming(place.program, place.home))


def _with_pods(kubectl: Streaming) -> Streaming:
    main = {"name": "main", "image": IMAGE, "command": ["sleep", "100000"], "env": [{"name": "WHO", "value": "me"}]}
    side = {"name": "side", "image": IMAGE, "command": ["sleep", "100000"], "env": [{"name": "WHO", "value": "side"}]}
    web = {"name": "main", "image": IMAGE, "command": ["python3", "-c", SERVER]}
    shell = {"name": "main", "image": IMAGE, "command": ["sh"], "stdin": True, "tty": True}
    for name, containers in {"plain": [main], "two": [main, side], "web": [web], "shell": [shell]}.items():
        kubectl.apply(pod(name, *containers))
    kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    return kubectl


@pytest.fixture(params=WAYS)
def kubectl(pods: Streaming, request: pytest.FixtureRequest) -> Streaming:
    pods.way = request.param
    return pods


def pod(name: str, *containers: Any, **spec: Any) -> Any:
    # They ask for next to nothing: with what is assumed of a container that states nothing, the last would wait for their turn.
    small = [{**each, "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}} for each in containers]
    spec = {"terminationGracePeriodSeconds": 1, **spec}  # a shell at a terminal does not end when it is asked to
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": small, **spec}}


def test_a_command_has_the_containers_environment_its_own_streams_and_exit_code(kubectl: Streaming) -> None:
    done = kubectl.run("exec", "-i", "plain", "--", "sh", "-c", "echo $WHO; cat; echo err >&2; exit 3", stdin=b"a\x00b\xff")
    assert (done.stdout, done.returncode) == (b"me\na\x00b\xff", 3)
    assert done.stderr.splitlines() == [b"err", b"command terminated with exit code 3"]


def test_the_container_is_the_named_one_or_the_default(kubectl: Streaming) -> None:
    assert kubectl.run("exec", "two", "-c", "side", "--", "sh", "-c", "echo $WHO").stdout == b"side\n"
    done = kubectl.run("exec", "two", "--", "sh", "-c", "echo $WHO")
    assert (done.stdout, done.stderr) == (b"me\n", b'Defaulted container "main" out of: main, side\n')
    kubectl("annotate", "pod", "two", "kubectl.kubernetes.io/default-container=side", "--overwrite")
    assert kubectl.run("exec", "two", "--", "sh", "-c", "echo $WHO").stdout == b"side\n"
    kubectl("annotate", "pod", "two", "kubectl.kubernetes.io/default-container-")


def test_what_cannot_be_executed_says_why(kubectl: Streaming) -> None:
    for arguments, said in {
        ("exec", "plain", "-c", "other", "--", "true"): "container other is not valid for pod plain",
        ("exec", "plain", "--", "no-such-program"): "no-such-program",
        ("exec", "absent", "--", "true"): 'pods "absent" not found',
    }.items():
        done = kubectl.run(*arguments)
        assert done.returncode == 1
        assert said in done.stderr.decode()


def test_who_may_read_may_not_therefore_run(kubectl: Streaming) -> None:
    who = f"jane-{kubectl.way}"
    run = ("exec", "plain", f"--as={who}", "--", "true")
    for name, verb in (("reads", "get"), ("runs", "create")):
        role = f"{name}-{kubectl.way}"
        kubectl("create", "role", role, f"--verb={verb}", "--resource=pods,pods/exec")
        if verb == "create":
            refused = kubectl.run(*run)
            assert refused.returncode == 1
            assert f'User "{who}" cannot create resource "pods/exec" in API group "" in the namespace' in refused.stderr.decode()
        kubectl("create", "rolebinding", role, f"--role={role}", f"--user={who}")
    wait_until(lambda: kubectl.run(*run).returncode == 0)


def test_a_terminal_has_a_size_and_ctrl_c(kubectl: Streaming) -> None:
    shell = kubectl.terminal("exec", "-it", "plain", "--", "sh")
    shell.type("tty; stty size\r", "33 99")
    shell.resize(20, 70)
    shell.type("until stty size | grep '20 70'; do :; done; echo ne''w\r", "new")
    shell.type("sh -c 'echo re\"\"ady; exec sleep 1000'\r", "ready")
    shell.type("\x03", "^C")
    shell.type("\recho co''de $?\r", "code")
    shell.type("exit 7\r", "command terminated with exit code 7")
    assert shell.ends() == 7


def test_a_command_ends_when_its_client_is_gone(kubectl: Streaming) -> None:
    command = ["exec", "plain", "--", "sh", "-c", "echo $$ > /tmp/pid; echo begun; exec sleep 1000"]
    with subprocess.Popen([kubectl.program, *command], env=kubectl.environ, stdout=subprocess.PIPE) as begun:
        assert begun.stdout is not None
        assert begun.stdout.readline() == b"begun\n"
        begun.kill()
    wait_until(lambda: kubectl.run("exec", "plain", "--", "sh", "-c", "kill -0 $(cat /tmp/pid)").returncode != 0)


def test_ten_megabytes_are_copied_there_and_back(kubectl: Streaming, tmp_path: Path) -> None:
    size = 10 << 20
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_bytes(os.urandom(1 << 20) * (size >> 20))
    for source, target in ((str(sent), "web:/tmp/big"), ("web:/tmp/big", str(back))):
        done = kubectl.run("cp", source, target)
        assert done.returncode == 0, done.stderr
    assert digest(back.read_bytes()) == digest(sent.read_bytes())


def test_many_commands_run_side_by_side(kubectl: Streaming) -> None:
    def one(number: int) -> bytes:
        return kubectl.run("exec", "-i", "plain", "--", "sh", "-c", f"cat; echo {number}", stdin=b"x" * 300_000).stdout

    with ThreadPoolExecutor(8) as pool:
        for number, found in enumerate(pool.map(one, range(16))):
            assert found == b"x" * 300_000 + b"%d\n" % number


@contextlib.contextmanager
def forwarding(kubectl: Streaming, *arguments: str) -> Generator[Any]:
    """`kubectl port-forward`; gives its ports here, by number there, and a function that waits for what it says."""
    with subprocess.Popen(
        [kubectl.program, "port-forward", *arguments],
        env=kubectl.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        said: list[str] = []
        output = process.stdout
        assert output is not None
        reading = threading.Thread(target=lambda: said.extend(output), daemon=True)
        reading.start()

        def heard(pattern: str) -> str:
            wait_until(lambda: re.search(pattern, "".join(said)))
            return "".join(said)

        try:
            yield heard
        finally:
            process.terminate()
            reading.join(PATIENCE)


def test_a_port_is_forwarded_byte_by_byte_for_many_at_once(kubectl: Streaming) -> None:
    port = re.findall(r"at (\d+)", kubectl("logs", "web"))[-1]
    made = "head -c 10485760 /dev/urandom > /tmp/random; sha256sum < /tmp/random"
    expected = kubectl.run("exec", "web", "--", "sh", "-c", made).stdout.decode().split()[0]

    with forwarding(kubectl, "web", f":{port}", ":1") as heard:
        here = re.findall(r"Forwarding from 127.0.0.1:(\d+) -> (\d+)", heard(r"127.0.0.1:\d+ -> 1\n"))
        ports = {there: mine for mine, there in here}

        def fetched(path: str) -> bytes:
            with urlopen(f"http://127.0.0.1:{ports[port]}/{path}", timeout=PATIENCE) as answer:
                return answer.read()

        assert digest(fetched("random")) == expected
        with ThreadPoolExecutor(4) as pool:
            assert {digest(each) for each in pool.map(fetched, ["random"] * 4)} == {expected}
        with pytest.raises(http.client.HTTPException), urlopen(f"http://127.0.0.1:{ports['1']}/", timeout=PATIENCE):
            pass
        assert "failed to connect to localhost:1" in heard("error forwarding port 1 to pod")


def test_who_attaches_sits_at_the_containers_terminal(kubectl: Streaming) -> None:
    for word in ("first", "again"):  # the shell outlives who was attached
        shell = kubectl.terminal("attach", "-it", "shell")
        shell.type(f"echo {word} $((40 + 2))\r", f"{word} 42")
        shell.type("until stty size | grep '33 99'; do :; done; echo s''ized\r", "sized")
        shell.leave()


def test_an_input_that_is_once_ends_with_who_wrote_it(kubectl: Streaming) -> None:
    name = f"once-{kubectl.way}"
    container = {"name": "main", "image": IMAGE, "command": ["sort"], "stdin": True, "stdinOnce": True}
    kubectl.apply(pod(name, container, restartPolicy="Never"))
    kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    assert kubectl.run("attach", "-i", name, stdin=b"b\na\n").stdout == b"a\nb\n"
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=60s")
    assert kubectl("logs", name) == "a\nb\n"


def test_kubectl_run_is_attached(kubectl: Streaming) -> None:
    done = kubectl.run(
        "run", f"run-{kubectl.way}", "-i", "--rm", "--restart=Never", f"--image={IMAGE}", "--", "cat", stdin=b"in\n"
    )
    assert done.returncode == 0
    assert b"in\n" in done.stdout


# Runs under the client's interpreter. Arguments: kubeconfig, port of the Pod ``web``, namespace.
CLIENT = """
import sys

from kubernetes import client, config
from kubernetes.stream import portforward, stream

config.load_kube_config(sys.argv[1])
api = client.CoreV1Api()
streams = dict(stderr=True, stdin=True, stdout=True, tty=False)

done = stream(api.connect_get_namespaced_pod_exec, "plain", sys.argv[3], command=["sh", "-c", "echo $WHO"], **streams)
assert done == "me\\n", done

command = ["sh", "-c", "read line; echo got $line; echo err >&2; exit 5"]
open_ = stream(api.connect_get_namespaced_pod_exec, "plain", sys.argv[3], command=command, _preload_content=False, **streams)
open_.write_stdin("typed\\n")
open_.run_forever(timeout=60)
assert (open_.read_stdout(), open_.read_stderr(), open_.returncode) == ("got typed\\n", "err\\n", 5)

binary = stream(
    api.connect_get_namespaced_pod_exec, "plain", sys.argv[3], command=["sh", "-c", "printf '\\\\377\\\\000'"],
    binary=True, _preload_content=False, **streams,
)
binary.run_forever(timeout=60)
assert binary.read_stdout() == b"\\xff\\x00"

attached = stream(api.connect_get_namespaced_pod_attach, "shell", sys.argv[3], stdin=True, stdout=True, tty=True, stderr=False,
                  _preload_content=False)
seen = ""
while "six 6" not in seen:  # a container runtime passes input on before it passes output back
    attached.write_stdin("echo six $((2 * 3))\\n")
    seen += attached.read_stdout(timeout=2) or ""
attached.close()

port = int(sys.argv[2])
forwarded = portforward(api.connect_get_namespaced_pod_portforward, "web", sys.argv[3], ports=f"{port},1")
socket = forwarded.socket(port)
socket.settimeout(60)
socket.sendall(b"GET /answer HTTP/1.0\\r\\n\\r\\n")
answer = b""
while not answer.endswith(b"x" * 1000000):  # not to its end: the client may lose what came last before that
    piece = socket.recv(65536)
    assert piece, answer[:1000]
    answer += piece
assert b"200 OK" in answer.partition(b"\\r\\n\\r\\n")[0]
assert "failed to connect to localhost:1" in forwarded.error(1), forwarded.error(1)
"""


def test_the_python_client_streams_too(pods: Streaming) -> None:
    pods.way = "websocket"
    port = re.findall(r"at (\d+)", pods("logs", "web"))[-1]
    pods("exec", "web", "--", "sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x > /tmp/answer")
    python = client_environment("kubernetes", ["kubernetes==35.0.0"])
    namespace = pods("config", "view", "--minify", "-o", "jsonpath={..namespace}")
    done = subprocess.run(
        [python, "-c", CLIENT, str(pods.home / "kubeconfig"), port, namespace],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.05)
