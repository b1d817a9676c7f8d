"""Images as containers of a real runtime of this machine, on a whole host, with an unmodified `kubectl`."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import container_runtime
import images
import pytest
from container_runtime import Runtime
from image_registry import LOGIN, registry
from terminals import Terminal

from kedge.testing.host import RunningHost, running_host

pytestmark = pytest.mark.timeout(1800)  # nerdctl has to be built first, once for a machine
IMAGE = "kedge.test/shell:1"
GO_LOGS = 'time="noon" level=error msg="a line as many programs in Go log it"'
SHELL = replace(images.SHELL, names=(IMAGE,))
PYTHON = replace(container_runtime.PYTHON, names=("kedge.test/python:1",))


@dataclass
class Place:
    """A host with a container runtime, and a `kubectl` for it."""

    host: RunningHost
    runtime: Runtime
    kubectl: Any

    def run(self, spec: dict[str, Any], phase: str = "", name: str = "pod", **metadata: Any) -> dict[str, Any]:
        """Make a Pod and wait until it is in a phase; returns its status."""
        self.kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec})
        return self.wait(name, phase) if phase else {}

    def wait(self, name: str, phase: str) -> dict[str, Any]:
        """The status of a Pod once it is in a phase."""
        self.kubectl("wait", f"pod/{name}", f"--for=jsonpath={{.status.phase}}={phase}", "--timeout=60s")
        return self.kubectl.json("get", "pod", name)["status"]

    def logged(self, name: str, container: str) -> str:
        """What a container of a Pod has written; nothing before it has begun."""
        statuses = self.kubectl.json("get", "pod", name)["status"].get("containerStatuses", [])
        begun = any(each["name"] == container and "waiting" not in each["state"] for each in statuses)
        return self.kubectl("logs", name, "-c", container) if begun else ""


def until(holds: Callable[[], Any]) -> Any:
    """What something says once it says yes."""
    deadline = time.monotonic() + 60
    while not (found := holds()):
        assert time.monotonic() < deadline, "not within 60 s"
        threading.Event().wait(0.1)
    return found


@pytest.fixture(scope="module", params=["podman", "rootless_podman", "docker", "nerdctl"])
def runtime(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    with getattr(container_runtime, request.param)([SHELL, PYTHON]) as found:
        yield found


@pytest.fixture(scope="module")
def kedge_host(runtime: Runtime) -> Iterator[RunningHost]:
    """A host that finds the runtime by itself."""
    with running_host(runtime.environ) if runtime.user is None else runtime.user.host(runtime.environ) as host:
        yield host


@pytest.fixture
def place(runtime: Runtime, kedge_host: RunningHost, cluster: Any) -> Iterator[Place]:
    """The host without a Pod, before and after; of what its Pods were, nothing is left in the runtime."""
    yield Place(kedge_host, runtime, cluster)
    cluster("delete", "pods", "--all", "--grace-period=1")
    until(lambda: not runtime.containers())


def container(script: str = "", name: str = "main", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, **({"command": ["sh", "-c", script]} if script else {}), **fields}


def spec_of(*containers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, "containers": list(containers), **fields}


def test_an_image_that_the_host_does_not_know_runs_as_a_container(place: Place) -> None:
    info = place.kubectl.json("get", "nodes")["items"][0]["status"]["nodeInfo"]
    assert re.fullmatch(r"kedge://.+\+podman\.[\d.]+|(docker|containerd)://[\d.]+\S*", info["containerRuntimeVersion"])
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "word"}, "stringData": {"word": "hushhush"}}
    place.kubectl.apply(secret)
    script = (
        'echo "$A|$HOME|$B|$0|$1"; pwd; hostname; cat /etc/group | head -1; echo $SECRET; '
        'echo "$C" >&2; echo told > /said; exit 3'
    )
    main = container(
        env=[
            {"name": "A", "value": "two\nlines"},
            {"name": "HOME", "value": "/root"},
            {"name": "B", "value": "$(A)!"},
            {"name": "C", "value": f"no\n{GO_LOGS}"},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "word", "key": "word"}}},
        ],
        command=["sh", "-c"],
        args=[script, "zero", "$(HOME)"],
        workingDir="/var",
        terminationMessagePath="/said",
    )
    status = place.run(spec_of(main), "Failed")
    found = status["containerStatuses"][0]
    ended = found["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "told\n")
    assert found["imageID"].startswith(("kedge.test/shell@sha256:", "sha256:"))
    logged = place.kubectl("logs", "pod").splitlines()
    written = ["two", "lines|/root|two", "lines!|zero|/root", "/var", "pod", "root:x:0:", "no", GO_LOGS, "***"]
    assert sorted(logged) == sorted(written)
    events = place.kubectl.json("get", "events", "--field-selector", "involvedObject.name=pod")["items"]
    told = f'Container image "{IMAGE}" already present on machine and can be accessed by the pod'
    assert ("Pulled", told) in {(each["reason"], each["message"]) for each in events}


def test_volumes_are_mounted_in_all_containers_of_a_pod(place: Place) -> None:
    apply = place.kubectl.apply
    apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"a": "from conf", "b": "other"}})
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "kept"}, "spec": claim})
    volumes = [
        {"name": "shared", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "conf", "configMap": {"name": "conf", "items": [{"key": "a", "path": "in/a"}]}},
        {"name": "me", "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}},
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    ]
    first = container(
        "echo first > /shared/word; echo kept > /kept/word; id -u",
        name="first",
        securityContext={"runAsUser": 65534},
        volumeMounts=[{"name": "shared", "mountPath": "/shared", "subPath": "deep/er"}, {"name": "kept", "mountPath": "/kept"}],
    )
    main = container(
        "exec 2>&1; cat /all/deep/er/word /conf/in/a /me/name /kept/word /word; echo; test -s /token/token && echo token; "
        "df /memory | tail -1 | cut -d' ' -f1; echo x > /conf/in/a; echo x > /kept/word; touch /memory/x && echo written",
        volumeMounts=[
            {"name": "shared", "mountPath": "/all"},
            {"name": "shared", "mountPath": "/word", "subPath": "deep/er/word"},
            {"name": "memory", "mountPath": "/memory"},
            {"name": "conf", "mountPath": "/conf"},
            {"name": "me", "mountPath": "/me"},
            {"name": "kept", "mountPath": "/kept", "readOnly": True},
            {"name": "token", "mountPath": "/token"},
        ],
    )
    place.run(spec_of(main, initContainers=[first], volumes=volumes), "Succeeded")
    assert place.kubectl("logs", "pod", "-c", "first") == "65534\n"
    logged = place.kubectl("logs", "pod", "-c", "main")
    assert "first\nfrom confpodkept\nfirst\n\ntoken\ntmpfs\n" in logged
    assert logged.count("Read-only file system") == 2
    assert "written\n" in logged


def test_security_contexts_are_the_runtimes_to_keep(place: Place) -> None:
    script = "exec 2>&1; id -u; id -g; id -G; grep -E 'CapBnd|NoNewPrivs' /proc/self/status; touch /x"
    own = {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}
    shared = {"runAsUser": 1234, "runAsGroup": 2345, "supplementalGroups": [77], "fsGroup": 88, "runAsNonRoot": True}
    place.run(spec_of(container(script, securityContext=own), securityContext=shared), "Failed")
    logged = place.kubectl("logs", "pod").split()
    assert logged[:2] == ["1234", "2345"]
    assert {"77", "88", "NoNewPrivs:", "0000000000000001"} <= set(logged)
    assert "Read-only file system" in " ".join(logged)
    place.run(spec_of(container("true"), securityContext={"runAsNonRoot": True}), name="root")
    said = waiting(place, "root", "CreateContainerConfigError")
    assert re.fullmatch(
        r'container has runAsNonRoot and image will run as root \(pod: "root_default\([0-9a-f-]{36}\)", container: main\)', said
    )


def waiting(place: Place, name: str, reason: str) -> str:
    """What a Pod's container says that waits for a reason."""

    def said() -> str | None:
        status = place.kubectl.json("get", "pod", name)["status"].get("containerStatuses") or [{}]
        wait = (status[0].get("state") or {}).get("waiting") or {}
        return wait.get("message") if wait.get("reason") == reason else None

    return until(said)


def test_a_container_that_uses_up_its_memory_is_told_of_as_on_a_cluster(place: Place) -> None:
    """Where the kernel does not count it, for an ordinary user's runtime has no cgroups, it is looked at; and that is told."""
    status = place.run(spec_of(container("tail /dev/zero", resources={"limits": {"memory": "24Mi", "cpu": "1"}})), "Failed")
    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    told = "limits.memory is looked at ten times a second and limits.cpu is not kept"
    if not place.runtime.keeps_limits:
        until(lambda: told in events_of(place, "pod").get("LimitsNotKept", ""))
    assert (told in place.host.cli("doctor").stdout) != place.runtime.keeps_limits


def events_of(place: Place, name: str) -> dict[str, str]:
    """What was told of a Pod, by the reasons."""
    listed = place.kubectl.json("get", "events", "--field-selector", f"involvedObject.name={name}")["items"]
    return {each["reason"]: each["message"] for each in listed}


def test_what_containers_have_written_goes_with_its_volume_whoever_it_belongs_to(place: Place) -> None:
    """An ordinary user's containers hand out ids that nobody on the machine may remove the files of, but by the runtime."""
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    place.kubectl.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "mine"}, "spec": claim})
    script = "for at in /out/a /mine/a; do mkdir -p $at/b; touch $at/b/c; chown -R 4242 $at; chmod -R 700 $at; done"
    volumes = [KEPT, {"name": "mine", "persistentVolumeClaim": {"claimName": "mine"}}]
    main = container(script, volumeMounts=[OUT, {"name": "mine", "mountPath": "/mine"}])
    place.run(spec_of(main, volumes=volumes), "Succeeded")
    uid = place.kubectl.json("get", "pod", "pod")["metadata"]["uid"]
    folder = place.kubectl.json("get", "pvc", "mine")["spec"]["volumeName"]
    assert (place.host.home / "claims" / folder / "a/b/c").exists()
    place.kubectl("delete", "pod/pod", "pvc/mine")
    until(lambda: not (place.host.home / "node/pods" / uid).exists())
    until(lambda: not list((place.host.home / "claims").rglob(folder)))


def test_a_container_has_its_grace_period_and_no_longer(place: Place) -> None:
    place.run(
        spec_of(container("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.1; done")), "Running", finalizers=["a.b/c"]
    )
    until(lambda: "up" in place.kubectl("logs", "pod"))
    place.kubectl("delete", "pod", "pod", "--wait=false")
    ended = place.wait("pod", "Failed")["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], place.kubectl("logs", "pod")) == (7, "up\nbye\n")
    place.run(
        spec_of(container("trap '' TERM; echo up; while :; do sleep 1; done")), "Running", name="deaf", finalizers=["a.b/c"]
    )
    until(lambda: "up" in place.kubectl("logs", "deaf"))
    place.kubectl("delete", "pod", "deaf", "--grace-period=1", "--wait=false")
    assert place.wait("deaf", "Failed")["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
    for name in ("pod", "deaf"):
        place.kubectl("patch", "pod", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


@pytest.mark.parametrize(
    ("image", "policy", "reason", "said"),
    [
        (
            "kedge.test/none:1",
            "Never",
            "ErrImageNeverPull",
            'Container image "kedge.test/none:1" is not present with pull policy of Never',
        ),
        ("localhost:1/none:1", "IfNotPresent", "ErrImagePull", "connection refused"),
        ("localhost:1/none:1", "Always", "ImagePullBackOff", 'Back-off pulling image "localhost:1/none:1": ErrImagePull: '),
        ("A b", "Always", "InvalidImageName", 'Failed to apply default image tag "A b": couldn\'t parse image name "A b"'),
    ],
    ids=["never", "unreachable", "backing off", "no name"],
)
def test_an_image_that_cannot_be_had_is_told_of_as_on_a_cluster(
    place: Place, image: str, policy: str, reason: str, said: str
) -> None:
    main = {**container("true"), "image": image, "imagePullPolicy": policy}
    place.run(spec_of(main, container("echo beside", name="beside")), name="none")
    assert said in waiting(place, "none", reason)
    assert until(lambda: place.logged("none", "beside")) == "beside\n"  # the others do not wait for it
    assert place.kubectl.json("get", "pod", "none")["status"]["phase"] in {"Pending", "Running"}


def test_the_containers_of_a_pod_share_its_own_network(place: Place) -> None:
    serve = container("mkdir /www; echo served > /www/x; httpd -f -p 18380 -h /www", name="serve")
    ask = container(
        "until wget -qO- localhost:18380/x 2>/dev/null; do sleep 0.1; done; hostname; grep -c '^10.244.*pod' /etc/hosts",
        name="ask",
    )
    place.run(spec_of(ask, serve), "Running")
    own = place.runtime.joins_networks  # otherwise the Pod has the machine's
    until(lambda: place.logged("pod", "ask") == f"served\npod\n{int(own)}\n")
    assert place.kubectl.json("get", "pod", "pod")["status"]["podIP"].startswith("10.244." if own else "127.")


def test_pods_that_share_the_machines_network_have_other_ports_and_find_no_names(place: Place) -> None:
    if place.runtime.joins_networks:
        return
    ports = [{"containerPort": 18381}]
    place.run(spec_of(container("sleep 1000", ports=ports)), "Running")
    place.run(spec_of(container("sleep 1000", ports=ports)), name="second")
    told = until(lambda: events_of(place, "second").get("PortTaken"))
    assert "port 18381/TCP is declared by Pod default/pod too" in told
    place.run(
        spec_of(container('echo "$MASTER_ADDR"', env=[{"name": "MASTER_ADDR", "value": "a.b.svc"}])), "Succeeded", name="meets"
    )
    assert place.kubectl("logs", "meets") == "127.0.0.1\n"
    status = place.run(spec_of(container("wget http://web.default.svc/")), "Failed", name="speaks")
    assert status["reason"] == "NetworkNotSupported"


def test_a_program_that_is_not_in_the_image_is_named_and_containers_are_started_again(place: Place) -> None:
    status = place.run(spec_of(container(command=["/nope"])), "Failed")
    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)
    assert "/nope" in ended["message"]
    place.run(spec_of(container("exit 4"), restartPolicy="OnFailure"), name="again")
    count = "{.status.containerStatuses[0].restartCount}"
    place.kubectl("wait", "pod/again", f"--for=jsonpath={count}=1", "--timeout=60s")
    last = place.kubectl.json("get", "pod", "again")["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert last["exitCode"] == 4


def test_killed_hosts_find_their_containers_again_and_none_is_left_or_doubled(place: Place) -> None:
    host, kubectl, runtime = place.host, place.kubectl, place.runtime
    place.run(
        spec_of(container("echo up; while [ ! -e /out/end ]; do sleep 0.1; done; exit 5", volumeMounts=[OUT]), volumes=[KEPT]),
        "Running",
    )
    place.run(spec_of(container("echo up; sleep 600")), "Running", name="cut")
    before = runtime.containers()
    assert len(before) == 2
    kill_all(host)
    host.start()
    kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")
    assert sorted(runtime.containers()) == sorted(before)
    pod = kubectl.json("get", "pod", "pod")
    volume = host.home / "node" / "pods" / pod["metadata"]["uid"] / "out.volume"
    (volume / "end").touch()
    status = place.wait("pod", "Failed")["containerStatuses"][0]
    assert (status["state"]["terminated"]["exitCode"], status["restartCount"]) == (5, 0)
    stand = standing_for(host, kubectl.json("get", "pod", "cut")["metadata"]["uid"])
    kill_all(host)
    os.kill(stand, signal.SIGKILL)
    assert runtime.containers()
    host.start()
    assert place.wait("cut", "Failed")["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
    until(lambda: not runtime.containers())


KEPT = {"name": "out", "emptyDir": {}}
OUT = {"name": "out", "mountPath": "/out"}


def test_programs_are_run_in_containers(place: Place) -> None:
    kubectl = place.kubectl
    place.run(spec_of(container("sleep 1000")), "Running")
    assert kubectl("exec", "pod", "--", "sh", "-c", "hostname; cat /proc/1/comm") == "pod\nsleep\n"
    failing = "sh", "-c", "echo no >&2; exit 9"
    assert kubectl("exec", "pod", "--", *failing, fails=True) == "no\ncommand terminated with exit code 9\n"
    assert subprocess.run(kubectl_of(place, "exec", "pod", "--", *failing), check=False, capture_output=True).returncode == 9
    (kubectl.home / "file").write_text("copied\n")
    kubectl("cp", str(kubectl.home / "file"), "pod:/var/file")
    assert kubectl("exec", "pod", "--", "cat", "/var/file") == "copied\n"


def test_a_program_in_a_container_goes_on_whatever_else_ends(place: Place) -> None:
    """Other programs in it, and other Pods, whose ends have the host look for what is left of them."""
    place.run(spec_of(container("sleep 1000")), "Running")
    script = "echo up; until test -e /var/enough; do sleep 0.1; done; echo to the end"
    asked = kubectl_of(place, "exec", "pod", "--", "sh", "-c", script)
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) as going_on:
        assert going_on.stdout is not None
        assert going_on.stdout.readline() == "up\n"
        try:
            for _ in range(2):
                place.kubectl("exec", "pod", "--", "true")
                place.run(spec_of(container("true")), "Succeeded", name="other")
                place.kubectl("delete", "pod", "other", "--now")
            place.kubectl("exec", "pod", "--", "touch", "/var/enough")
            assert going_on.communicate(timeout=60)[0] == "to the end\n"
        finally:
            going_on.kill()
    assert going_on.returncode == 0


def test_who_attaches_to_a_container_is_read_by_it(place: Place) -> None:
    listens = spec_of(container("echo up; read word; echo got $word", stdin=True))
    if not place.runtime.passes_input:
        assert "stdin is not passed on" in place.run(listens, "Failed")["message"]
        return
    place.run(listens, "Running")
    attach = kubectl_of(place, "attach", "-i", "pod")
    said = subprocess.run(attach, input=b"word\n", check=True, stdout=subprocess.PIPE, timeout=60).stdout
    assert said.endswith(b"got word\n")


def test_a_terminal_is_the_containers_own(place: Place) -> None:
    """What is typed, Ctrl-C and the keys too that would let go of a runtime's container, reaches its programs untouched."""
    if not place.runtime.passes_input:
        place.run(spec_of(container("tty; sleep 1000", tty=True)), "Running")
        until(lambda: raw_log(place, "pod").startswith(b"/dev/"))
        sits = sit(place, "exec", "-it", "pod", "--", "sh")
        sits.type("exit 7\r", "command terminated with exit code 7")
        assert sits.ends() == 7
        return
    place.run(spec_of(container(command=["sh"], stdin=True, tty=True)), "Running")
    sits = sit(place, "attach", "-it", "pod")
    sits.type("echo lo''gged\r", "logged")
    sits.leave()
    sits = sit(place, "exec", "-it", "pod", "--", "sh")
    sits.type("exit 7\r", "command terminated with exit code 7")
    assert sits.ends() == 7
    sits = terminal(place, "attach", "-it", "pod")  # the shell outlives who was attached
    sits.type("exit 3\r", "exit 3")
    sits.ends()
    ended = place.wait("pod", "Failed")["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (3, "Error")
    assert b"\r\nlogged\r\n" in raw_log(place, "pod")
    place.run(spec_of(container("tty", tty=True)), "Succeeded", name="quiet")
    assert re.fullmatch(rb"/dev/\S+\r\n", raw_log(place, "quiet"))


def sit(place: Place, *way: str) -> Terminal:
    """A shell at a terminal, whose size, keys and bytes are as they should be."""
    sits = terminal(place, *way)
    sits.type("tty; until stty size 2>&1 | grep '33 99'; do sleep 0.1; done\r", "/dev/")
    sits.wait("\n33 99\r\n")
    sits.resize(20, 70)
    sits.type("until stty size 2>&1 | grep '20 70'; do sleep 0.1; done; echo ne''w\r", "new")
    sits.type("sh -c 'echo re\"\"ady; exec sleep 1000'\r", "ready")
    sits.type("\x03", "^C")
    sits.type("echo co''de $?\r", "code 130")
    sits.type("stty raw -echo; printf '\\033[1mbold\\n'; head -c 6 | od -An -tx1; stty -raw echo\r", "\x1b[1mbold\n")
    sits.type("\x10\x11\x03\u00fc\x04", " 10 11 03 c3 bc 04")
    return sits


def raw_log(place: Place, pod: str) -> bytes:
    return subprocess.run(kubectl_of(place, "logs", pod), check=True, stdout=subprocess.PIPE).stdout


def kubectl_of(place: Place, *arguments: str) -> list[str]:
    kubectl = place.kubectl
    return [kubectl.program, "--kubeconfig", str(kubectl.home / "kubeconfig"), *arguments]


def terminal(place: Place, *arguments: str) -> Terminal:
    return Terminal(kubectl_of(place, *arguments), {"PATH": os.defpath, "HOME": str(place.kubectl.home)})


def test_kubectl_run_sits_at_a_terminal_and_goes_with_its_pod(place: Place) -> None:
    if not place.runtime.passes_input:
        pytest.skip("nerdctl passes no terminal on, which another test shows")
    words = ["run", "console", "-it", "--rm", "--restart=Never", f"--image={IMAGE}", "--", "sh", "-c"]
    sits = terminal(place, *words, "read line; echo got $line; exit 5")
    sits.wait("see a command prompt")
    sits.type("hello\r", "got hello")
    assert sits.ends() == 5
    assert 'pod "console" deleted' in sits.seen


def test_bytes_that_a_command_is_given_stay_as_they_are(place: Place) -> None:
    """The keys that let go of a container are among them."""
    place.run(spec_of(container("sleep 1000")), "Running")
    data = bytes(range(256)) * 40 + b"\x10\x11" * 100
    done = subprocess.run(kubectl_of(place, "exec", "-i", "pod", "--", "cat"), input=data, check=True, stdout=subprocess.PIPE)
    assert done.stdout == data


def kill_all(host: RunningHost) -> None:
    """End a hub and its supervisor as `kill -9` does."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(host.home / "node" / "supervisor.sock"))
        connection.sendall(b'{"op": "hello"}\n')
        with connection.makefile() as answers:
            supervisor = int(json.loads(answers.readline())["pid"])
    host.kill()
    os.kill(supervisor, signal.SIGKILL)


def standing_for(host: RunningHost, uid: str) -> int:
    """The process that stands for the container of a Pod."""
    lines = (host.home / "node" / "containers.jsonl").read_text().splitlines()
    return next(record["pid"] for record in map(json.loads, lines) if record["id"].startswith(uid) and record.get("pid"))


PIPELINE = """
from kedge import dsl
from kedge.dsl import Dataset, Input, Output, kubernetes

@dsl.component(base_image="kedge.test/python:1")
def make(text: str, data: Output[Dataset]) -> int:
    import os, sys
    with open(data.path, "w") as file:
        file.write(text + " " + str(os.path.exists("/etc/of-the-image")))
    os.chmod(data.path, 0o600)
    return len(text)

@dsl.container_component
def shout(data: Input[Dataset], loud: Output[Dataset], said: dsl.OutputPath(str)):
    script = 'mkdir -p "$(dirname "$1")" && tr a-z A-Z < "$0" > "$1" && cat "$1" > "$2"'
    return dsl.ContainerSpec("kedge.test/shell:1", ["sh", "-c", script, data.path, loud.path, said])

@dsl.component(base_image="kedge.test/python:1")
def end(data: Input[Dataset], said: str, length: int) -> str:
    with open(data.path) as file:
        return file.read() + "|" + said + "|" + str(length)

@dsl.pipeline
def images() -> str:
    made = make(text="quiet")
    kubernetes.set_security_context(made, run_as_user=4242)
    loud = shout(data=made.outputs["data"])
    return end(data=loud.outputs["loud"], said=loud.outputs["said"], length=made.outputs["Output"]).output
"""


def test_steps_in_images_have_their_files_staged_as_processes_have(place: Place) -> None:
    file = place.host.home / "pipeline.py"  # which the host's user may read
    file.write_text(PIPELINE)
    done = place.host.cli("run", str(file), "-o", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    tasks = {task["id"]: task for task in json.loads(done.stdout)["tasks"]}
    assert tasks[""]["outputs"]["parameters"] == {"Output": "QUIET TRUE|QUIET TRUE|5"}
    assert {task.get("attempt", 0) for task in tasks.values()} == {0}


def test_an_image_is_pulled_with_the_logins_of_its_pod(place: Place) -> None:
    with registry(SHELL.layout()) as address:
        image = f"{address}/team/shell:1"
        login = {"auth": base64.b64encode(":".join(LOGIN).encode()).decode()}
        config = json.dumps({"auths": {address: login}})
        kind = "kubernetes.io/dockerconfigjson"
        place.kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "login"},
                "type": kind,
                "stringData": {".dockerconfigjson": config},
            }
        )
        main = {**container("echo pulled"), "image": image}
        place.run(spec_of(main), name="stranger")
        assert re.search("unauthorized|no basic auth credentials", waiting(place, "stranger", "ErrImagePull"))
        place.run(spec_of(main, imagePullSecrets=[{"name": "login"}, {"name": "none"}]), "Succeeded", name="friend")
        assert place.kubectl("logs", "friend") == "pulled\n"
        listed = place.kubectl.json("get", "events", "--field-selector", "involvedObject.name=friend")["items"]
        told = {each["reason"]: each["message"] for each in listed}
        assert told["Pulling"] == f'Pulling image "{image}"'
        assert re.fullmatch(
            rf'Successfully pulled image "{image}" in \S+ \(\S+ including waiting\)\. Image size: \d+ bytes\.', told["Pulled"]
        )
        said = "Unable to retrieve some image pull secrets (none); attempting to pull the image may not succeed."
        assert told["FailedToRetrieveImagePullSecret"] == said
        uid = place.kubectl.json("get", "pod", "friend")["metadata"]["uid"]
        assert not list((place.host.home / "node" / "pods" / uid).rglob("config.json"))


def test_doctor_and_a_class_say_what_runs_what(place: Place) -> None:
    tool = r"container runtime\s+(podman|docker|nerdctl) \S+ \(\S+\)"
    said = place.host.cli("doctor").stdout
    assert re.search(rf"{tool}: runs (all )?images", said)
    assert ("Pods with its containers share this machine's network" in said) != place.runtime.joins_networks
    status = place.run(spec_of(container("true"), runtimeClassName="process"), "Failed")
    assert (status["reason"], "this host is to run its Pods as processes" in status["message"]) == ("ImageNotSupported", True)
