"""Every fault of `docs/failures.md`, brought about on a real Kubernetes: what it costs, and what is shown of it, and how soon.

Those that the embedded host knows too are brought about there as well.
"""

import http.server
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from access import Cluster
from components import API_PORT, NODE_IP
from failures import ELSEWHERE_ONLY, ROWS
from faults import IMAGE, SHOWN_SECONDS, SLEEP, Hub, Json, Watched, python, until
from hosts import Hubs
from played import PlayedNode, played_node
from witness import witness

from kedge.testing import pipelines
from kedge.testing.host import running_host

PULL_SECONDS = 12
"""How long the hub of these tests waits for an image."""
RETRIES_SECONDS = 1 + 2 + 4
SPECIAL: dict[str, dict[str, str]] = {
    "plain": {},
    "quota": {},
    "stated": {},
    "limits": {},
    "restricted": {"pod-security.kubernetes.io/enforce": "restricted"},
    "webhook": {"kedge.dev/test-webhook": "yes"},
    "policy": {"kedge.dev/test-policy": "yes"},
}


@dataclass(frozen=True)
class Place:
    """Where runs of these tests go.

    Attributes:
        hub: The hub.
        cluster: The cluster.
        namespaces: By what is special about them.
    """

    hub: Hub
    cluster: Cluster
    namespaces: dict[str, str]

    def begin(self, container: Json, options: Json | None = None, where: str = "plain", **spec: Any) -> Watched:
        return self.hub.begin(self.namespaces[where], container, options, **spec)

    def delete(self, pod: str, *more: str) -> None:
        self.cluster.kubectl("delete", "pod", pod, "--namespace", self.namespaces["plain"], "--wait=false", *more)


@pytest.fixture(scope="module")
def place(cluster: Cluster, hubs: Hubs) -> Iterator[Place]:
    """A hub against the cluster."""
    with ExitStack() as stack:
        namespaces = {name: stack.enter_context(cluster.namespace(labels)) for name, labels in SPECIAL.items()}
        seen = ",".join(namespaces.values())
        environ = {"KEDGE_WATCH_NAMESPACES": seen, "KEDGE_IMAGE_PULL_TIMEOUT": f"{PULL_SECONDS}s"}
        kedge = stack.enter_context(hubs.start(environ))
        yield Place(Hub(kedge, cluster, stack.enter_context(witness(cluster))), cluster, namespaces)


@pytest.fixture(scope="module")
def embedded() -> Iterator[Place]:
    """The embedded host."""
    with running_host() as kedge:
        cluster = Cluster(Path(kedge.host.kubeconfig))
        with witness(cluster) as heard:
            yield Place(Hub(kedge, cluster, heard), cluster, {"plain": "default"})


@pytest.fixture(params=["embedded", "cluster"])
def anywhere(request: pytest.FixtureRequest) -> Place:
    """Both, one after another."""
    return request.getfixturevalue("embedded" if request.param == "embedded" else "place")


def both(*faults: str) -> list[Any]:
    """The parameters of a test over both hosts: a fault that the embedded host does not know is left out there."""
    return [
        pytest.param(fault, host, id=f"{fault}-{host}")
        for fault in faults
        for host in ("embedded", "cluster")
        if host == "cluster" or fault not in ELSEWHERE_ONLY
    ]


@pytest.fixture
def node(cluster: Cluster) -> Iterator[PlayedNode]:
    with played_node(cluster) as played:
        yield played


@pytest.fixture(scope="module")
def registry(cluster: Cluster) -> Iterator[str]:
    """The address of a registry that has no image; the node is this machine, so that it may be reached without TLS."""
    if f"https://{NODE_IP}:{API_PORT}" not in cluster.kubectl("config", "view", "--minify"):
        pytest.skip("a node elsewhere reaches no registry of this machine without TLS")

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(404)

        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's word
            del format, args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"localhost:{server.server_port}"
        server.shutdown()


# ---- before a step begins


def test_an_image_that_is_not_there_is_named_at_once_and_fails_the_step_after_a_time(place: Place, registry: str) -> None:
    run = place.begin(pipelines.container(f"{registry}/none:1", ["true"]))
    run.known(ROWS["image-missing"])
    run.shows(ROWS["image-missing"])
    run.shows(ROWS["image-missing-for-too-long"], within=PULL_SECONDS + SHOWN_SECONDS)


def test_a_registry_that_is_away_costs_an_attempt_of_the_infrastructures_after_a_time(place: Place, node: PlayedNode) -> None:
    """In a kubelet's words: a node may have a mirror, which has no such image whatever has become of the registry."""
    fault = "registry-away-for-too-long"
    run = place.begin(pipelines.container("registry.example.com/none:1", ["true"]), node.options)
    said = (
        'Back-off pulling image "registry.example.com/none:1": ErrImagePull: failed to pull and unpack image '
        '"registry.example.com/none:1": failed to do request: dial tcp 10.0.0.9:443: connect: connection refused'
    )
    node.waits(run.namespace, run.pod(), "ImagePullBackOff", said)
    pod = run.known(ROWS[fault])
    _ended_once(run, fault, pod, within=PULL_SECONDS + SHOWN_SECONDS)


CANNOT_BEGIN: dict[str, tuple[Json, Json]] = {
    "image-name-invalid": (pipelines.container("NOT//A NAME", ["true"]), {}),
    "unschedulable": (python("pass"), {"nodeSelector": {"labels": {"kedge.dev/no-such": "node"}}}),
    "claim-missing": (python("pass"), {"pvcMount": [{"constant": "nothing", "mountPath": "/data"}]}),
    "secret-missing": (
        python("pass"),
        {"secretAsEnv": [{"secretName": "nothing", "keyToEnv": [{"secretKey": "key", "envVar": "KEY"}]}]},
    ),
    "secret-volume-missing": (python("pass"), {"secretAsVolume": [{"secretName": "nothing", "mountPath": "/secret"}]}),
    "command-missing": (pipelines.container(IMAGE, ["/no/such/program"]), {}),
}


@pytest.mark.parametrize(("fault", "anywhere"), both(*CANNOT_BEGIN), indirect=["anywhere"])
def test_what_keeps_a_step_from_beginning_is_shown(anywhere: Place, fault: str) -> None:
    run = anywhere.begin(*CANNOT_BEGIN[fault])
    run.known(ROWS[fault])
    run.shows(ROWS[fault])


# ---- what the API server does not take


def test_a_quota_makes_a_step_wait_and_it_begins_when_there_is_room(place: Place) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}}
    place.cluster.apply(quota, namespace=place.namespaces["quota"])
    where = ("--namespace", place.namespaces["quota"])
    until(lambda: place.cluster.get("resourcequota", "few", *where).get("status", {}).get("used"), "the quota's status", 60)
    first = place.begin(python("import time; time.sleep(25)"), where="quota")
    first.pod()
    second = place.begin(python("pass"), where="quota")
    second.shows(ROWS["quota-exceeded"])
    assert second.ends() == "SUCCEEDED"
    (attempt,) = (second.task() or {})["attempts"]
    assert attempt["attempt"] == 0


REFUSED: dict[str, tuple[str, Json | None, Json, Json]] = {
    "quota-of-what-is-not-stated": (
        "stated",
        {"kind": "ResourceQuota", "metadata": {"name": "cpu"}, "spec": {"hard": {"limits.cpu": "1"}}},
        python("pass"),
        {},
    ),
    "limit-range": (
        "limits",
        {
            "kind": "LimitRange",
            "metadata": {"name": "small"},
            "spec": {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]},
        },
        python("pass", resources={"resourceMemoryLimit": "1Gi"}),
        {},
    ),
    "pod-security": ("restricted", None, python("pass"), {"securityContext": {"runAsUser": 0}}),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_step_that_a_rule_of_its_namespace_forbids_fails_at_once(place: Place, fault: str) -> None:
    where, rule, container, options = REFUSED[fault]
    if rule is not None:
        place.cluster.apply({"apiVersion": "v1", **rule}, namespace=place.namespaces[where])
        kind, name = rule["kind"], rule["metadata"]["name"]
        place.cluster.kubectl("wait", "--for=create", f"{kind}/{name}", "--namespace", place.namespaces[where], "--timeout=60s")
    run = place.begin(container, options, where)
    run.shows(ROWS[fault])


def test_a_service_account_that_is_missing_is_waited_for_as_long_as_the_infrastructure_is(place: Place) -> None:
    run = place.begin(python("pass"), serviceAccountName="nobody")
    run.shows(ROWS["service-account-missing"], within=RETRIES_SECONDS + SHOWN_SECONDS)


def test_a_webhook_that_is_away_makes_a_step_wait_until_it_is_there(place: Place) -> None:
    name = f"kedge-test-{secrets.token_hex(4)}"
    hook = {
        "name": "none.kedge.dev",
        "clientConfig": {"url": f"https://{place.cluster.host}:1/"},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "namespaceSelector": {"matchLabels": {"kedge.dev/test-webhook": "yes"}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 2,
    }
    kind = "ValidatingWebhookConfiguration"
    place.cluster.apply(
        {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "webhooks": [hook]}
    )
    try:
        run = place.begin(python("pass"), where="webhook")
        run.shows(ROWS["webhook-away"])
    finally:
        place.cluster.kubectl("delete", kind, name)
    assert run.ends() == "SUCCEEDED"


def test_a_policy_that_denies_a_step_fails_it_at_once(place: Place) -> None:
    name = f"kedge-test-{secrets.token_hex(4)}"
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    where = {"namespaceSelector": {"matchLabels": {"kedge.dev/test-policy": "yes"}}}
    version = "admissionregistration.k8s.io/v1"
    policy = {
        "apiVersion": version,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [pods]},
            "validations": [{"expression": "false", "message": "No Pods here.", "reason": "Forbidden"}],
        },
    }
    binding = {
        "apiVersion": version,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": where},
    }
    place.cluster.apply(policy, binding)
    try:
        until(lambda: _denied(place, name), "the policy to hold", 60)
        run = place.begin(python("pass"), where="policy")
        run.shows(ROWS["policy-denies"])
    finally:
        place.cluster.kubectl("delete", "ValidatingAdmissionPolicyBinding", name)
        place.cluster.kubectl("delete", "ValidatingAdmissionPolicy", name)


def _denied(place: Place, name: str) -> bool | None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "try"}}
    spec = {"nodeSelector": {"kedge.dev/no-such": "node"}, "containers": [{"name": "main", "image": "python:3.11"}]}
    try:
        place.cluster.apply({**pod, "spec": spec}, namespace=place.namespaces["policy"])
    except RuntimeError as error:
        return name in str(error)
    place.cluster.kubectl("delete", "pod", "try", "--namespace", place.namespaces["policy"])
    return None


# ---- while a step runs


ENDED: dict[str, tuple[Json, Json]] = {
    "out-of-memory": (python("x = bytearray(500 << 20)", resources={"resourceMemoryLimit": "64Mi"}), {}),
    "too-long": (python(SLEEP), {"activeDeadlineSeconds": 3}),
    "too-much-on-disk": (
        python(f"open('/scratch/x', 'wb').write(bytes(20 << 20)); {SLEEP}"),
        {"emptyDirMounts": [{"volumeName": "scratch", "mountPath": "/scratch", "sizeLimit": "1Mi"}]},
    ),
}


@pytest.mark.parametrize(("fault", "anywhere"), both(*ENDED), indirect=["anywhere"])
def test_what_ended_a_step_is_shown(anywhere: Place, fault: str) -> None:
    run = anywhere.begin(*ENDED[fault])
    run.known(ROWS[fault], within=150)  # the kubelet measures disks once a minute
    run.shows(ROWS[fault], within=SHOWN_SECONDS + 30)  # and ends what ran within its grace period


def test_an_evicted_step_is_tried_again_at_the_infrastructures_cost(place: Place) -> None:
    run = place.begin(python(SLEEP))
    pod = run.pod(running=True)
    eviction = f'{{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{pod}","namespace":"{run.namespace}"}}}}'
    path = f"/api/v1/namespaces/{run.namespace}/pods/{pod}/eviction"
    place.cluster.kubectl("create", "--raw", path, "--filename", "-", said=eviction)
    run.known(ROWS["evicted"])
    _ended_once(run, "evicted", pod)


def _ended_once(run: Watched, fault: str, pod: str, within: float = SHOWN_SECONDS + 30) -> None:
    """One attempt failed; the next one is about to begin, or has begun already."""
    run.shows(ROWS[fault], pod, within, states=("RUNNING",))


def test_a_pod_that_somebody_deletes_is_made_again(anywhere: Place) -> None:
    run = anywhere.begin(python(SLEEP))
    pod = run.pod(running=True)
    anywhere.delete(pod, "--grace-period=1")
    _ended_once(run, "pod-deleted", pod)
    assert run.pod(1, running=True) != pod


def test_a_pod_that_is_deleted_before_it_runs_is_made_again(anywhere: Place) -> None:
    run = anywhere.begin(python("pass"), {"nodeSelector": {"labels": {"kedge.dev/no-such": "node"}}})
    pod = run.known(ROWS["pod-deleted-before-it-ran"])
    anywhere.delete(pod)
    run.shows(ROWS["pod-deleted-before-it-ran"], pod)


def test_the_infrastructure_may_fail_only_so_often(anywhere: Place) -> None:
    row = ROWS["infrastructure-fails-again-and-again"]
    run = anywhere.begin(python(SLEEP))
    pod = ""
    for number in range(row.infra):
        pod = run.pod(number, running=True)
        anywhere.delete(pod, "--grace-period=1")
    run.shows(row, pod, within=SHOWN_SECONDS + 30)


# ---- nodes


def test_a_node_that_is_drained_moves_its_steps(place: Place, node: PlayedNode) -> None:
    run = place.begin(python(SLEEP), node.options)
    pod = run.pod()
    node.begin(run.namespace, pod)
    drain = ("drain", node.name, "--force", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=10s")
    with pytest.raises(RuntimeError, match="context deadline exceeded"):  # nothing ends the Pod yet
        place.cluster.kubectl(*drain)
    run.known(ROWS["node-drained"])
    node.end(run.namespace, pod)
    _ended_once(run, "node-drained", pod)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (
            "evicted-by-the-node",
            {"reason": "Evicted", "message": "The node was low on resource: memory. Threshold quantity: 100Mi, available: 9Mi."},
        ),
        ("node-shut-down", {"reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."}),
    ],
)
def test_a_step_that_its_node_ends_for_the_nodes_own_sake_goes_on_elsewhere(
    place: Place, node: PlayedNode, fault: str, status: dict[str, Any]
) -> None:
    run = place.begin(python(SLEEP), node.options)
    pod = run.pod()
    node.begin(run.namespace, pod)
    node.end(run.namespace, pod, **status)
    run.known(ROWS[fault])
    _ended_once(run, fault, pod)


def test_a_node_that_has_no_room_after_all_costs_an_attempt_of_the_infrastructures(place: Place, node: PlayedNode) -> None:
    run = place.begin(python(SLEEP), node.options)
    pod = run.pod()
    said = "Node didn't have enough resource: cpu, requested: 1000, used: 4000, capacity: 4000"
    node.refuse(run.namespace, pod, "OutOfcpu", said)
    run.known(ROWS["node-full"])
    _ended_once(run, "node-full", pod)


def test_a_node_that_is_deleted_loses_its_steps_which_go_on_elsewhere(place: Place, node: PlayedNode) -> None:
    run = place.begin(python(SLEEP), node.options)
    pod = run.pod()
    node.begin(run.namespace, pod)
    node.leave()
    run.known(ROWS["node-deleted"], within=150)  # the garbage collector waits for nodes that come back
    _ended_once(run, "node-deleted", pod)


def test_a_node_that_falls_silent_is_named_and_its_steps_go_on_elsewhere(place: Place, node: PlayedNode) -> None:
    run = place.begin(python(SLEEP), node.options)
    pod = run.pod()
    node.begin(run.namespace, pod)
    until(lambda: (run.task() or {}).get("state") == "RUNNING" or None, "the step to run", 60)
    node.fall_silent()
    run.known(ROWS["node-silent"], within=120)
    run.shows(ROWS["node-silent"], pod)
    run.known(ROWS["node-given-up"])
    run.shows(ROWS["node-given-up"], pod)
    _ended_once(run, "node-lost", pod, within=30 + 10 + SHOWN_SECONDS)


def test_a_namespace_that_is_deleted_ends_its_runs_and_leaves_their_history(cluster: Cluster, hubs: Hubs) -> None:
    with (
        cluster.namespace() as doomed,
        hubs.start({"KEDGE_WATCH_NAMESPACES": doomed}) as kedge,
        witness(cluster) as heard,
    ):
        run = Hub(kedge, cluster, heard).begin(doomed, python(SLEEP))
        run.pod(running=True)
        cluster.kubectl("delete", "namespace", doomed, "--wait=false")
        assert run.ends() == "CANCELED"
        run.shows(ROWS["namespace-deleted"])
        cluster.kubectl("wait", "--for=delete", f"namespace/{doomed}", "--timeout=60s")


def test_every_row_of_the_table_is_brought_about() -> None:
    text = Path(__file__).read_text("utf-8") + Path(__file__).with_name("test_api_server.py").read_text("utf-8")
    assert [fault for fault in ROWS if f'"{fault}"' not in text] == []
