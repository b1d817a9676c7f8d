"""Probes and lifecycle hooks with an unmodified `kubectl`: a Pod has the same life, and the same is said of it, on both hosts."""

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from ports import free_port
from tests.acceptance.kubectl.conftest import Kubectl, kubectl_of

from kedge.kube.kinds import Obj
from kedge.testing.host import RunningHost

pytestmark = pytest.mark.timeout(300)
PATIENCE = 60.0
TMP = "/tmp"  # noqa: S108  # a container's own
# Answers with the status that stands in /tmp/status, at any address; 200 without that file.
WEB = """
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = int(open("/tmp/status").read()) if os.path.exists("/tmp/status") else 200
        status = {"/moved": 302, "/away": 302}.get(self.path, status)
        print(self.path, self.headers["User-Agent"], self.headers["X-Of"], flush=True)
        self.send_response(status)
        if self.path == "/moved":
            self.send_header("Location", "/here")
        if self.path == "/away":
            self.send_header("Location", "http://elsewhere.example/")
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"""
# A gRPC server at its barest: whatever it is asked, it is SERVING (1), or what its second argument says.
GRPC = r"""
import socketserver, sys
def frame(kind, flags, stream, body):
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body
def text(name, value):
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value
headers = b"\x88" + text(b"content-type", b"application/grpc")
trailers = text(b"grpc-status", b"0")
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        taken = b""
        self.request.sendall(frame(4, 0, 0, b""))
        while b"/grpc.health" not in taken and len(taken) < 100000:
            data = self.request.recv(65536)
            if not data:
                return
            taken += data
            if len(taken) > 120:
                break
        answer = b"\x00\x00\x00\x00\x02\x08" + bytes([int(sys.argv[2])])
        self.request.sendall(frame(4, 1, 0, b"") + frame(1, 4, 1, headers) + frame(0, 0, 1, answer) + frame(1, 5, 1, trailers))
        while self.request.recv(65536):
            pass
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"""
FOR_EVER = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


@pytest.fixture(scope="module")
def kubectl(either_host: RunningHost, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    return kubectl_of(either_host.host.kubeconfig, tmp_path_factory.mktemp("kubectl"))


def pod(name: str, *containers: Obj, **spec: Any) -> Obj:
    small = {"image": "python:3.11", "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}
    made = [{**small, **each} for each in containers]
    spec = {"terminationGracePeriodSeconds": 1, "containers": made, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def shell(script: str = FOR_EVER, **container: Any) -> Obj:
    return {"name": "main", "command": ["sh", "-c", script], **container}


def web(port: int, **container: Any) -> Obj:
    return {
        "name": "main",
        "command": ["python3", "-c", WEB, str(port)],
        "ports": [{"name": "web", "containerPort": port}],
        **container,
    }


def until(found: Callable[[], Any], what: str = "") -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < deadline, what or "it did not come so"
        threading.Event().wait(0.2)
    return value


def status_of(kubectl: Kubectl, name: str) -> Obj:
    return kubectl.json("get", "pod", name)["status"]


def main_of(kubectl: Kubectl, name: str) -> Obj:
    return (status_of(kubectl, name).get("containerStatuses") or [{"ready": False, "restartCount": 0, "state": {}}])[0]


def condition(status: Obj, kind: str) -> tuple[str, str, str]:
    each = next(each for each in status["conditions"] if each["type"] == kind)
    return each["status"], each.get("reason") or "", each.get("message") or ""


def events(kubectl: Kubectl, name: str) -> set[tuple[str, str, str]]:
    found = kubectl.json("get", "events", "--field-selector", f"involvedObject.name={name}")["items"]
    return {(each["type"], each["reason"], each["message"]) for each in found}


def waiting(kubectl: Kubectl, name: str) -> Obj:
    return main_of(kubectl, name)["state"].get("waiting", {})


def told(kubectl: Kubectl, name: str, kind: str, reason: str, message: str) -> None:
    """Wait for an event; its message may be a pattern."""
    until(
        lambda: any(each[:2] == (kind, reason) and re.fullmatch(message, each[2]) for each in events(kubectl, name)),
        f"no {reason} {message}",
    )


def test_readiness_follows_the_answers_over_http(kubectl: Kubectl) -> None:
    probe = {
        "httpGet": {"port": "web", "path": "/healthz?of=pod", "httpHeaders": [{"name": "X-Of", "value": "pod"}]},
        "periodSeconds": 1,
        "failureThreshold": 2,
    }
    kubectl.apply(pod("web", web(free_port(), readinessProbe=probe)))
    kubectl("wait", "pod/web", "--for=condition=Ready", "--timeout=60s")
    assert "/healthz?of=pod kube-probe/1." in kubectl("logs", "web")
    assert kubectl("logs", "web").splitlines()[0].endswith(" pod")
    kubectl("exec", "web", "--", "sh", "-c", "echo 503 > /tmp/status")
    kubectl("wait", "pod/web", "--for=condition=Ready=false", "--timeout=60s")
    status = status_of(kubectl, "web")
    unready = ("False", "ContainersNotReady", "containers with unready status: [main]")
    assert (condition(status, "Ready"), condition(status, "ContainersReady")) == (unready, unready)
    assert (main_of(kubectl, "web")["ready"], main_of(kubectl, "web")["started"]) == (False, True)
    told(kubectl, "web", "Warning", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
    kubectl("exec", "web", "--", "rm", f"{TMP}/status")
    kubectl("wait", "pod/web", "--for=condition=Ready", "--timeout=60s")
    assert main_of(kubectl, "web")["restartCount"] == 0
    kubectl("delete", "pod", "web")


def test_a_failed_liveness_probe_restarts_the_container(kubectl: Kubectl) -> None:
    script = f"test -e /tmp/well && rm /tmp/well; touch /tmp/well; {FOR_EVER}"
    probe = {"exec": {"command": ["sh", "-c", "echo ill; test -e /tmp/well"]}, "periodSeconds": 1, "failureThreshold": 2}
    kubectl.apply(pod("ill", shell(script, livenessProbe=probe)))
    until(lambda: main_of(kubectl, "ill")["state"].get("running"))
    kubectl("exec", "ill", "--", "rm", f"{TMP}/well")
    found = until(lambda: (each := main_of(kubectl, "ill"))["restartCount"] == 1 and each["state"].get("running") and each)
    assert found["lastState"]["terminated"]["exitCode"] == 0
    told(kubectl, "ill", "Warning", "Unhealthy", r"Liveness probe failed: ill\n")
    told(kubectl, "ill", "Normal", "Killing", "Container main failed liveness probe, will be restarted")
    kubectl("delete", "pod", "ill")
    told(kubectl, "ill", "Normal", "Killing", "Stopping container main")


def test_a_container_that_is_not_restarted_ends_of_its_liveness_probe_and_the_last_one_with_its_pod(kubectl: Kubectl) -> None:
    port = free_port()
    probe = {"tcpSocket": {"port": port}, "periodSeconds": 1, "failureThreshold": 1, "terminationGracePeriodSeconds": 2}
    deaf = {"name": "main", "command": ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], "livenessProbe": probe}
    kubectl.apply(pod("once", deaf, restartPolicy="Never", terminationGracePeriodSeconds=3))
    kubectl.apply(pod("beside", deaf, {**shell(), "name": "other"}, restartPolicy="Never", terminationGracePeriodSeconds=300))
    kubectl("wait", "pod/once", "--for=jsonpath={.status.phase}=Failed", "--timeout=60s")
    assert main_of(kubectl, "once")["state"]["terminated"]["exitCode"] == 137
    refused = rf"Liveness probe failed: dial tcp [0-9.]+:{port}: connect: connection refused"
    told(kubectl, "once", "Warning", "Unhealthy", refused)
    told(kubectl, "once", "Normal", "Killing", "Stopping container main")
    ended = until(lambda: main_of(kubectl, "beside")["state"].get("terminated"))
    assert (ended["exitCode"], status_of(kubectl, "beside")["phase"]) == (137, "Running")
    told(kubectl, "beside", "Normal", "Killing", "Container main failed liveness probe")
    kubectl("delete", "pod", "once", "beside")


def test_other_probes_wait_for_the_startup_probe(kubectl: Kubectl) -> None:
    started = {"exec": {"command": ["test", "-e", f"{TMP}/started"]}, "periodSeconds": 1, "failureThreshold": 60}
    never = {"exec": {"command": ["test", "-e", f"{TMP}/alive"]}, "periodSeconds": 1, "failureThreshold": 1}
    kubectl.apply(pod("slow", shell(startupProbe=started, livenessProbe=never, readinessProbe=never)))
    told(kubectl, "slow", "Warning", "Unhealthy", "Startup probe failed: ")
    found = main_of(kubectl, "slow")
    assert (found["started"], found["ready"], found["restartCount"]) == (False, False, 0)
    kubectl("exec", "slow", "--", "touch", f"{TMP}/alive", f"{TMP}/started")
    kubectl("wait", "pod/slow", "--for=condition=Ready", "--timeout=60s")
    assert main_of(kubectl, "slow")["restartCount"] == 0
    kubectl("delete", "pod", "slow")


def test_a_failed_startup_probe_ends_the_container(kubectl: Kubectl) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 2}
    kubectl.apply(pod("stuck", shell(startupProbe=probe)))
    until(lambda: main_of(kubectl, "stuck")["restartCount"] == 1)
    told(kubectl, "stuck", "Normal", "Killing", "Container main failed startup probe, will be restarted")
    kubectl("delete", "pod", "stuck")


def test_sidecars_are_started_when_their_probes_say_so(kubectl: Kubectl) -> None:
    started = {"exec": {"command": ["test", "-e", f"{TMP}/started"]}, "periodSeconds": 1, "failureThreshold": 60}
    ready = {"exec": {"command": ["test", "-e", f"{TMP}/ready"]}, "periodSeconds": 1}
    side = {
        **shell(startupProbe=started, readinessProbe=ready),
        "name": "side",
        "image": "python:3.11",
        "restartPolicy": "Always",
    }
    kubectl.apply(pod("aside", shell(), initContainers=[side]))
    until(lambda: (status_of(kubectl, "aside").get("initContainerStatuses") or [{"state": {}}])[0]["state"].get("running"))
    told(kubectl, "aside", "Warning", "Unhealthy", "Startup probe failed: ")
    assert "running" not in main_of(kubectl, "aside")["state"]
    kubectl("exec", "aside", "-c", "side", "--", "touch", f"{TMP}/started")
    until(lambda: main_of(kubectl, "aside")["ready"])
    assert condition(status_of(kubectl, "aside"), "Ready")[2] == "containers with unready status: [side]"
    kubectl("exec", "aside", "-c", "side", "--", "touch", f"{TMP}/ready")
    kubectl("wait", "pod/aside", "--for=condition=Ready", "--timeout=60s")
    kubectl("delete", "pod", "aside")


def test_redirects_are_followed_to_the_same_host_alone(kubectl: Kubectl) -> None:
    for name in ("moved", "away"):
        probe = {"httpGet": {"port": "web", "path": f"/{name}"}, "periodSeconds": 1}
        kubectl.apply(pod(name, web(free_port(), readinessProbe=probe)))
        kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
    assert "/here" in kubectl("logs", "moved")
    told(kubectl, "away", "Warning", "ProbeWarning", "Readiness probe warning: Probe terminated redirects, Response body: hello")
    kubectl("delete", "pod", "moved", "away")


@pytest.mark.parametrize(("status", "ready"), [("1", True), ("2", False)], ids=["serving", "not serving"])
def test_grpc_servers_are_asked_by_the_health_protocol(kubectl: Kubectl, status: str, *, ready: bool) -> None:
    port, name = free_port(), f"grpc-{status}"
    probe = {"grpc": {"port": port, "service": "of.the.test"}, "periodSeconds": 1, "timeoutSeconds": 5}
    kubectl.apply(pod(name, {"name": "main", "command": ["python3", "-c", GRPC, str(port), status], "readinessProbe": probe}))
    if ready:
        kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
    else:
        unhealthy = r'Readiness probe failed: service unhealthy \(responded with "NOT_SERVING"\)'
        told(kubectl, name, "Warning", "Unhealthy", unhealthy)
    kubectl("delete", "pod", name)


def test_what_a_probe_cannot_do_is_told(kubectl: Kubectl) -> None:
    slow = {"exec": {"command": ["sleep", "20"]}, "periodSeconds": 1}
    unnamed = {"httpGet": {"port": "web"}, "periodSeconds": 1}
    kubectl.apply(pod("odd", shell(readinessProbe=slow), shell(readinessProbe=unnamed, name="other")))
    told(kubectl, "odd", "Warning", "Unhealthy", 'Readiness probe .*: command timed out: "sleep 20" timed out after 1s')
    unknown = 'Readiness probe errored and resulted in unknown state: strconv.Atoi: parsing "web": invalid syntax'
    told(kubectl, "odd", "Warning", "Unhealthy", unknown)
    kubectl("delete", "pod", "odd")


def test_a_pod_is_ready_once_its_readiness_gates_are_open(kubectl: Kubectl) -> None:
    kubectl.apply(pod("gated", shell(), readinessGates=[{"conditionType": "example.com/open"}]))
    until(lambda: main_of(kubectl, "gated")["ready"])
    closed = 'corresponding condition of pod readiness gate "example.com/open" does not exist.'
    assert condition(status_of(kubectl, "gated"), "Ready") == ("False", "ReadinessGatesNotReady", closed)
    assert condition(status_of(kubectl, "gated"), "ContainersReady")[0] == "True"
    for state in ("False", "True"):
        opened = {"status": {"conditions": [{"type": "example.com/open", "status": state}]}}
        kubectl("patch", "pod", "gated", "--subresource=status", "--patch", json.dumps(opened))
        if state == "False":
            said = 'the status of pod readiness gate "example.com/open" is not "True", but False'
            until(lambda said=said: condition(status_of(kubectl, "gated"), "Ready")[2] == said)
    kubectl("wait", "pod/gated", "--for=condition=Ready", "--timeout=60s")
    assert condition(status_of(kubectl, "gated"), "example.com/open")[0] == "True"
    kubectl("delete", "pod", "gated")


def test_hooks_run_after_the_start_and_before_the_end(kubectl: Kubectl) -> None:
    script = "trap 'echo ended after $(cat /tmp/hooks); exit 0' TERM; while :; do sleep 0.1; done"
    hooks = {
        "postStart": {"exec": {"command": ["sh", "-c", "sleep 2; echo started > /tmp/hooks"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "sleep 1; echo stopping >> /tmp/hooks"]}},
    }
    second = {**shell("sleep 1000"), "name": "second"}
    kubectl.apply(pod("hooked", shell(script, lifecycle=hooks), second, terminationGracePeriodSeconds=20))
    until(lambda: main_of(kubectl, "hooked")["state"].get("running"))
    assert kubectl("exec", "hooked", "-c", "main", "--", "cat", f"{TMP}/hooks") == "started\n"
    following = kubectl.start("logs", "-f", "hooked", "-c", "main")
    kubectl("delete", "pod", "hooked")
    assert following.communicate(timeout=60)[0].splitlines()[-1] == "ended after started stopping"


def test_hooks_that_fail_are_told_and_one_after_the_start_ends_the_container(kubectl: Kubectl) -> None:
    kubectl.apply(pod("failing", shell(lifecycle={"postStart": {"exec": {"command": ["false"]}}})))
    told(kubectl, "failing", "Warning", "FailedPostStartHook", "PostStartHook failed")
    told(kubectl, "failing", "Normal", "Killing", "FailedPostStartHook")
    until(lambda: waiting(kubectl, "failing").get("reason") == "PostStartHookError")
    assert waiting(kubectl, "failing")["message"].startswith("Exec lifecycle hook ([false]) for Container")
    until(lambda: main_of(kubectl, "failing")["restartCount"] > 0)
    kubectl("delete", "pod", "failing")
    hooks = {"preStop": {"httpGet": {"port": free_port(), "path": "/bye"}}}
    kubectl.apply(pod("leaving", shell(lifecycle=hooks), terminationGracePeriodSeconds=5))
    kubectl("wait", "pod/leaving", "--for=condition=Ready", "--timeout=60s")
    kubectl("delete", "pod", "leaving")
    told(kubectl, "leaving", "Warning", "FailedPreStopHook", "PreStopHook failed")


def test_a_hook_may_sleep_and_no_longer_than_the_grace_period(kubectl: Kubectl) -> None:
    began = "echo $(date +%s)"
    script = f"trap '{began}; exit 0' TERM; {began}; while :; do sleep 0.1; done"
    hooks = {"preStop": {"sleep": {"seconds": 3}}}
    kubectl.apply(pod("asleep", shell(script, lifecycle=hooks), terminationGracePeriodSeconds=20))
    kubectl("wait", "pod/asleep", "--for=condition=Ready", "--timeout=60s")
    following = kubectl.start("logs", "-f", "asleep")
    kubectl("delete", "pod", "asleep")
    printed = following.communicate(timeout=60)[0].split()
    assert int(printed[-1]) - int(printed[0]) >= 3


def first_held_back(kubectl: Kubectl, name: str) -> Obj:
    """What is told of a container when it waits for a restart.

    A kubelet shows it as ended at first and as waiting when it looks again, for a moment or for long: of which restart that is
    varies, and only who watches is sure to see it.
    """
    watching = kubectl.start("get", "pod", name, "--watch", '--output=jsonpath={.status.containerStatuses[0]}{"\\n"}')
    assert watching.stdout is not None
    try:
        for line in watching.stdout:
            status: Obj = json.loads(line) if line.startswith("{") else {}
            if status.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff":
                return status
    finally:
        watching.terminate()
        watching.communicate(timeout=PATIENCE)
    raise AssertionError("the watch has ended")


def test_a_container_that_keeps_failing_is_held_back(kubectl: Kubectl) -> None:
    kubectl.apply(pod("crash", shell("exit 3")))
    found = first_held_back(kubectl, "crash")
    restarts = found["restartCount"]
    uid = kubectl.json("get", "pod", "crash")["metadata"]["uid"]
    name = f"crash_{kubectl.json('get', 'pod', 'crash')['metadata']['namespace']}({uid})"
    message = f"back-off {10 << (restarts - 1)}s restarting failed container=main pod={name}"
    assert found["state"]["waiting"] == {"reason": "CrashLoopBackOff", "message": message}
    assert (found["lastState"]["terminated"]["exitCode"], found["lastState"]["terminated"]["reason"]) == (3, "Error")
    told(kubectl, "crash", "Warning", "BackOff", re.escape(f"Back-off restarting failed container main in pod {name}"))
    until(lambda: main_of(kubectl, "crash")["restartCount"] > restarts)
    kubectl("delete", "pod", "crash")


def test_a_container_that_needs_more_than_its_memory_is_said_to_have(kubectl: Kubectl) -> None:
    limits = {"resources": {"requests": {"cpu": "1m"}, "limits": {"memory": "64Mi"}}}
    grows = {"name": "main", "command": ["python3", "-c", "x = [bytearray(1 << 20) for _ in range(300)]"], **limits}
    kubectl.apply(pod("large", grows))
    ended = until(lambda: (main_of(kubectl, "large").get("lastState") or {}).get("terminated"))
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
    kubectl("delete", "pod", "large")


def test_a_deployment_goes_on_with_ready_pods_alone(kubectl: Kubectl) -> None:
    probe = {"exec": {"command": ["test", "-e", f"{TMP}/ready"]}, "periodSeconds": 1}
    template = pod("x", shell(f"touch /tmp/ready; {FOR_EVER}", readinessProbe=probe))["spec"]
    labels = {"app": "ready"}
    deployment: Obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "ready"},
        "spec": {
            "replicas": 2,
            "progressDeadlineSeconds": 5,
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": template},
        },
    }
    kubectl.apply(deployment)
    kubectl("rollout", "status", "deployment/ready", "--timeout=60s")
    template["containers"][0]["command"][2] = FOR_EVER
    kubectl.apply(deployment)
    assert "exceeded its progress deadline" in kubectl("rollout", "status", "deployment/ready", "--timeout=60s", fails=True)
    found = kubectl.json("get", "deployment", "ready")["status"]
    assert (found["readyReplicas"], found["availableReplicas"], found["updatedReplicas"]) == (2, 2, 1)
    kubectl("rollout", "undo", "deployment/ready")
    kubectl("rollout", "status", "deployment/ready", "--timeout=60s")
    kubectl("delete", "deployment", "ready")


def test_what_probes_said_outlives_the_host(own_either_host: RunningHost, tmp_path_factory: pytest.TempPathFactory) -> None:
    kubectl = kubectl_of(own_either_host.host.kubeconfig, tmp_path_factory.mktemp("kubectl"))
    rarely = {"exec": {"command": ["true"]}, "periodSeconds": 5}
    kubectl.apply(pod("kept", shell(startupProbe=rarely, readinessProbe=rarely, livenessProbe=rarely)))
    kubectl("wait", "pod/kept", "--for=condition=Ready", "--timeout=60s")
    before = status_of(kubectl, "kept")
    own_either_host.kill()
    own_either_host.start()
    kubectl = kubectl_of(own_either_host.host.kubeconfig, tmp_path_factory.mktemp("kubectl"))
    kubectl("annotate", "pod", "kept", "seen=again")
    after = status_of(kubectl, "kept")
    ready = [each for each in before["conditions"] if each["type"] == "Ready"]
    assert [each for each in after["conditions"] if each["type"] == "Ready"] == ready
    assert main_of(kubectl, "kept") == before["containerStatuses"][0]
    kubectl("delete", "pod", "kept")


WRONG: dict[str, tuple[Obj, str]] = {
    "no handler": ({"livenessProbe": {}}, "livenessProbe: Required value: must specify a handler type"),
    "two handlers": (
        {"readinessProbe": {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}},
        "readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
    ),
    "no command": ({"startupProbe": {"exec": {"command": []}}}, "startupProbe.exec.command: Required value"),
    "port": (
        {"livenessProbe": {"httpGet": {"port": 0}}},
        "livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
    ),
    "name of a port": (
        {"livenessProbe": {"tcpSocket": {"port": "1_"}}},
        'livenessProbe.tcpSocket.port: Invalid value: "1_": must contain only alpha-numeric characters (a-z, 0-9)',
    ),
    "scheme": (
        {"livenessProbe": {"httpGet": {"port": 1, "scheme": "FTP"}}},
        'livenessProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"',
    ),
    "header": (
        {"livenessProbe": {"httpGet": {"port": 1, "httpHeaders": [{"name": "X Of", "value": ""}]}}},
        'livenessProbe.httpGet.httpHeaders: Invalid value: "X Of": a valid HTTP header must consist of alphanumeric',
    ),
    "negative": (
        {"livenessProbe": {"grpc": {"port": 1}, "periodSeconds": -1}},
        "livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
    ),
    "successes": (
        {"livenessProbe": {"grpc": {"port": 1}, "successThreshold": 2}},
        "livenessProbe.successThreshold: Invalid value: 2: must be 1",
    ),
    "grace": (
        {"livenessProbe": {"grpc": {"port": 1}, "terminationGracePeriodSeconds": 0}},
        "livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
    ),
    "grace of readiness": (
        {"readinessProbe": {"grpc": {"port": 1}, "terminationGracePeriodSeconds": 3}},
        "readinessProbe.terminationGracePeriodSeconds: Invalid value: 3: must not be set for readinessProbes",
    ),
    "hook without": ({"lifecycle": {"postStart": {}}}, "lifecycle.postStart: Required value: must specify a handler type"),
    "sleep": (
        {"lifecycle": {"preStop": {"sleep": {"seconds": 9}}}},
        "lifecycle.preStop.sleep: Invalid value: 9: must be non-negative and less than terminationGracePeriodSeconds (1)",
    ),
}


@pytest.mark.parametrize(("fields", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_in_the_same_words(kubectl: Kubectl, fields: Obj, said: str) -> None:
    refused = kubectl.apply(pod("wrong", shell(**fields)), "--dry-run=server", fails=True)
    assert f"spec.containers[0].{said}" in refused


def test_init_containers_that_end_have_no_probes(kubectl: Kubectl) -> None:
    init = {**shell(livenessProbe={"grpc": {"port": 1}}), "name": "init", "image": "python:3.11"}
    refused = kubectl.apply(pod("wrong", shell(), initContainers=[init]), "--dry-run=server", fails=True)
    why = "Forbidden: may not be set for init containers without restartPolicy=Always"
    assert f"spec.initContainers[0].livenessProbe: {why}" in refused
    gates = kubectl.apply(pod("wrong", shell(), readinessGates=[{"conditionType": "a b"}]), "--dry-run=server", fails=True)
    assert 'spec.readinessGates[0].conditionType: Invalid value: "a b": name part must consist of' in gates
