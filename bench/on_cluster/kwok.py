"""Nodes and Pods that are simulated: kwok answers for the kubelet, and a stand-in for the launcher.

kwok lets Pods run and end without a process; what a launcher would have told the hub is told by `stand_in`, under tokens that are
signed with the cluster's own key, so that the hub checks what it always checks.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

from go_programs import installed
from place import Hub, Place

from kedge.kube.kinds import Obj

VERSION = "v0.7.0"
NODES = 10
LABEL = ("kedge.test/simulated", "true")
_ANNOTATION = "kedge.test/simulated"
RUN_SECONDS = 5  # longer than the stand-in ever takes to commit
_CONTAINERS = """{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: %(ready)s
  restartCount: 0
  state:
    %(state)s
{{ end }}"""


@contextlib.contextmanager
def simulated_nodes(place: Place) -> Generator[None]:
    """Have nodes that only seem to run their Pods, for Pods that ask for them by `LABEL`."""
    program = installed("kwok", "sigs.k8s.io/kwok/cmd/kwok", VERSION)
    names = [f"simulated-{number}" for number in range(NODES)]
    place.cluster.kubectl("delete", "nodes", "-l", "=".join(LABEL), "--wait")  # what a run that was killed has left
    place.cluster.apply(*map(_node, names))
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "kwok.yaml")
        config.write_text("\n---\n".join(json.dumps(stage) for stage in _stages()))
        argv = [
            str(program),
            "--kubeconfig",
            str(place.cluster.kubeconfig),
            "--config",
            str(config),
            "--node-lease-duration-seconds=200",
        ]
        argv += ["--manage-all-nodes=false", f"--manage-nodes-with-annotation-selector={_ANNOTATION}=true", "-v=ERROR"]
        with Path(folder, "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
            try:
                for name in names:
                    place.cluster.kubectl("wait", f"node/{name}", "--for=condition=Ready", "--timeout=60s")
                yield
            finally:
                process.terminate()
                process.wait(20)
                place.cluster.kubectl("delete", "nodes", "-l", "=".join(LABEL), "--wait=false")


@contextlib.contextmanager
def stand_in(place: Place, hub: Hub) -> Generator[None]:
    """Commit for every Pod of the hub's namespace that runs."""
    key = place.cluster.kubeconfig.parent / "sa.key"
    assert key.exists(), f"{key} is not there: only a cluster of our own lets others sign tokens"
    argv = [
        sys.executable,
        str(Path(__file__).with_name("stand_in.py")),
        str(place.cluster.kubeconfig),
        hub.namespace,
        hub.http,
        str(key),
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield
            assert process.poll() is None, "the stand-in has ended"
        finally:
            process.terminate()
            process.wait(20)


def placed(spec: Obj) -> Obj:
    """A Pod's spec that asks for one of these nodes."""
    key, value = LABEL
    return {**spec, "nodeSelector": {key: value}, "tolerations": [{"key": key, "operator": "Exists"}]}


def _node(name: str) -> Obj:
    key, value = LABEL
    room = {"cpu": "10000", "memory": "100Ti", "pods": "100000"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {key: value}, "annotations": {_ANNOTATION: "true"}},
        "spec": {"taints": [{"key": key, "effect": "NoSchedule"}]},
        "status": {"capacity": room, "allocatable": room},
    }


def _stages() -> list[Obj]:
    ready = (
        'conditions:\n- type: Ready\n  status: "True"\n  reason: KubeletReady\n'
        "  lastHeartbeatTime: {{ Now | Quote }}\n  lastTransitionTime: {{ Now | Quote }}\n"
    )
    began = _CONTAINERS % {"ready": "true", "state": "running: {startedAt: {{ Now | Quote }}}"}
    ended = _CONTAINERS % {
        "ready": "false",
        "state": "terminated: {exitCode: 0, reason: Completed, startedAt: {{ Now | Quote }}, finishedAt: {{ Now | Quote }}}",
    }
    running = f"phase: Running\nstartTime: {{{{ Now | Quote }}}}\ncontainerStatuses:{began}"
    alive = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
    return [
        _stage(
            "node-ready",
            ("v1", "Node"),
            [{"key": '.status.conditions.[] | select( .type == "Ready" ) | .status', "operator": "NotIn", "values": ["True"]}],
            ready,
        ),
        _stage("pod-runs", ("v1", "Pod"), [alive, {"key": ".status.startTime", "operator": "DoesNotExist"}], running),
        _stage(
            "pod-ends",
            ("v1", "Pod"),
            [alive, _phase("Running")],
            f"phase: Succeeded\ncontainerStatuses:{ended}",
            delay=RUN_SECONDS * 1000,
        ),
        _stage("pod-goes", ("v1", "Pod"), [{"key": ".metadata.deletionTimestamp", "operator": "Exists"}], None),
    ]


def _phase(phase: str) -> Obj:
    return {"key": ".status.phase", "operator": "In", "values": [phase]}


def _stage(name: str, kind: tuple[str, str], when: list[Obj], status: str | None, *, delay: int = 0) -> Obj:
    spec: Obj = {
        "resourceRef": {"apiGroup": kind[0], "kind": kind[1]},
        "selector": {"matchExpressions": when},
        "next": {"delete": True} if status is None else {"statusTemplate": status},
    }
    if delay:
        spec["delay"] = {"durationMilliseconds": delay}
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}
