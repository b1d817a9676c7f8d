"""``kubectl logs`` with all that it can be asked for, and consoles of containers: the same on both hosts."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hosts import HOSTS
from places import SECONDS, WAIT, Place, place_on

Obj = dict[str, Any]
IMAGE = "python:3.11"
LINES = "".join(f"line {number}\n" for number in range(1, 6))


@pytest.fixture(scope="module", params=HOSTS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Either host, with a Pod that has said what it has to say."""
    with place_on(request, tmp_path_factory.mktemp("logs")) as made:
        first = container("first", "echo from first")
        main = container("main", "for number in 1 2 3 4 5; do echo line $number; done; exec sleep 3600")
        side = container("side", "echo from side >&2; exec sleep 3600")
        made.apply(pod("talk", main, side, initContainers=[first]))
        made("wait", "pod/talk", "--for=condition=Ready", WAIT)
        made.until("from side\n", "logs", "talk", "-c", "side")
        made.until(LINES, "logs", "talk", "-c", "main")
        yield made


def container(name: str, command: str, **more: Any) -> Obj:
    requests = {"requests": {"cpu": "1m", "memory": "1Mi"}}
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", command], "resources": requests, **more}


def pod(name: str, *containers: Obj, **spec: Any) -> Obj:
    spec = {"terminationGracePeriodSeconds": 1, "containers": list(containers), **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def raw(place: Place, name: str, query: str) -> str:
    """What the API server says to a request that kubectl would not send."""
    return place("get", "--raw", f"/api/v1/namespaces/{place.namespace()}/pods/{name}/log?{query}", fails=True)


def test_each_container_has_its_own(place: Place) -> None:
    assert place("logs", "talk") == f'Defaulted container "main" out of: main, side, first (init)\n{LINES}'
    assert place("logs", "talk", "-c", "first") == "from first\n"
    said = place("logs", "talk", "--all-containers", "--prefix")
    assert sorted(said.splitlines()) == sorted(
        ["[pod/talk/first] from first", "[pod/talk/side] from side", *(f"[pod/talk/main] {line}" for line in LINES.splitlines())]
    )
    said = place("logs", "-l", "app=talk", "--all-containers", "--prefix", "--tail=1")
    assert sorted(said.splitlines()) == ["[pod/talk/first] from first", "[pod/talk/main] line 5", "[pod/talk/side] from side"]


def test_a_part_can_be_asked_for(place: Place) -> None:
    talk = ("logs", "talk", "-c", "main")
    assert place(*talk, "--tail=2") == "line 4\nline 5\n"
    assert place(*talk, "--tail=0") == ""
    assert place(*talk, "--tail=-1") == LINES
    assert place(*talk, "--limit-bytes=10") == LINES[:10]
    assert place(*talk, "--since=1h") == LINES
    assert place(*talk, "--since-time=2999-01-01T00:00:00Z") == ""
    stamped = place(*talk, "--timestamps").splitlines()
    assert [line.partition(" ")[2] for line in stamped] == LINES.splitlines()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d)", line.split(" ")[0]) for line in stamped)
    began = stamped[0].split(" ")[0]
    assert place(*talk, f"--since-time={began}") == LINES


def test_what_cannot_be_read_says_why(place: Place) -> None:
    assert "container nope is not valid for pod talk" in place("logs", "talk", "-c", "nope", fails=True)
    assert 'pods "absent" not found' in place("logs", "absent", fails=True)
    said = place("logs", "talk", "-c", "main", "--previous", fails=True)
    assert 'previous terminated container "main" in pod "talk" not found' in said
    chosen = "a container name must be specified for pod talk, choose one of: [first main side]"
    assert chosen in raw(place, "talk", "")
    for query, fault in {
        "tailLines=-1": "tailLines: Invalid value: -1: must be greater than or equal to 0",
        "limitBytes=0": "limitBytes: Invalid value: 0: must be greater than 0",
        "sinceSeconds=0": "sinceSeconds: Invalid value: 0: must be greater than 0",
    }.items():
        assert f'PodLogOptions "talk" is invalid: {fault}' in raw(place, "talk", f"container=main&{query}")
    both = raw(place, "talk", "container=main&sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z")
    assert "at most one of `sinceTime` or `sinceSeconds` may be specified" in both


def test_a_container_that_waits_is_refused_with_its_reason(place: Place) -> None:
    place.apply(pod("initial", container("main", "true"), initContainers=[container("first", "exec sleep 3600")]))
    place("wait", "pod/initial", "--for=jsonpath={.status.initContainerStatuses[0].state.running.startedAt}", WAIT)
    waits = 'container "main" in pod "initial" is waiting to start: PodInitializing'
    assert waits in place("logs", "initial", "-c", "main", fails=True)
    volume = {"name": "settings", "configMap": {"name": "absent"}}
    mount = {"name": "settings", "mountPath": "/settings"}
    place.apply(pod("lacking", container("main", "true", volumeMounts=[mount]), volumes=[volume]))
    place.until(
        "ContainerCreating", "get", "pod", "lacking", "-o", "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    )
    waits = 'container "main" in pod "lacking" is waiting to start: ContainerCreating'
    assert waits in place("logs", "lacking", fails=True)
    place.apply(pod("nowhere", container("main", "true"), nodeSelector={"there": "is-none"}))
    assert place("logs", "nowhere") == ""
    place("delete", "pod", "initial", "lacking", "nowhere", "--force")


def test_a_log_is_followed_to_its_end(place: Place) -> None:
    counting = "for number in 1 2 3 4 5 6 7 8; do echo $number; sleep 0.5; done"
    place.apply(pod("counting", container("main", counting), restartPolicy="Never"))
    place("wait", "pod/counting", "--for=condition=Ready", WAIT)
    assert place("logs", "-f", "counting") == "1\n2\n3\n4\n5\n6\n7\n8\n"
    assert place("logs", "counting", "--tail=3") == "6\n7\n8\n"
    place("delete", "pod", "counting")


def test_the_instance_before_has_its_log_too(place: Place) -> None:
    counted = "echo x >> /kept/tries; echo try $(wc -l < /kept/tries); test $(wc -l < /kept/tries) -gt 1 && exec sleep 3600"
    mount = {"name": "kept", "mountPath": "/kept"}
    again = container("main", f"{counted}; exit 1", volumeMounts=[mount])
    place.apply(pod("again", again, volumes=[{"name": "kept", "emptyDir": {}}]))
    place.until("1", "get", "pod", "again", "-o", "jsonpath={.status.containerStatuses[0].restartCount}")
    place.until("try 2\n", "logs", "again")
    assert place("logs", "again", "--previous") == "try 1\n"

    place.apply(pod("failing", container("main", "echo one; exit 1")))
    state = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    place.until("CrashLoopBackOff", "get", "pod", "failing", "-o", state)
    place.until("one\n", "logs", "failing")  # a kubelet that takes a container away has no log for a moment
    place.until("one\n", "logs", "failing", "--previous")
    place("delete", "pod", "again", "failing", "--force")


def test_kubectl_run_sits_at_a_terminal_of_the_containers_own(place: Place) -> None:
    """What is typed reaches the container, whose terminal answers; with its end the Pod goes."""
    argv = [place.program, "run", "console", "-it", "--rm", "--restart=Never", f"--image={IMAGE}", "--", "sh", "-c"]
    pid, fd = pty.fork()
    if not pid:
        env = {"PATH": os.defpath, "HOME": str(place.home), "KUBECONFIG": str(place.home / "kubeconfig")}
        os.execve(place.program, [*argv, "echo rea''dy; read line; tty; echo got $line"], env)  # noqa: S606  # that is the point
    seen = b""
    typed = False
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if not select.select([fd], [], [], 0.2)[0]:
            continue
        try:
            seen += os.read(fd, 65536)
        except OSError:  # it has ended
            break
        if not typed and (b"ready" in seen or b"pressing enter" in seen):
            typed = True
            os.write(fd, b"hello\r")
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seen
    assert b"/dev/" in seen
    assert b"got hello" in seen
    assert b'pod "console" deleted' in seen


def test_an_input_that_is_once_ends_with_who_wrote_it(place: Place) -> None:
    place.apply(pod("sorts", container("main", "exec sort", stdin=True, stdinOnce=True), restartPolicy="Never"))
    place("wait", "pod/sorts", "--for=condition=Ready", WAIT)
    env = {"PATH": os.defpath, "HOME": str(place.home), "KUBECONFIG": str(place.home / "kubeconfig")}
    argv = [place.program, "attach", "-i", "sorts"]
    done = subprocess.run(argv, env=env, input=b"b\na\n", capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    place("wait", "pod/sorts", "--for=jsonpath={.status.phase}=Succeeded", WAIT)
    assert place("logs", "sorts") == "a\nb\n"
    place("delete", "pod", "sorts")
