"""How the files of steps come and go on a cluster: by the launcher, and by containers beside an image that holds one program."""

import json
import secrets
import threading
import time
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from access import Cluster
from deployed_s3 import PORT, Asked, DeployedS3, deployed_s3
from images import BUCKET, PYTHON, STATIC
from kedge_image import KEDGE, kedge_image
from slow_link import SlowLink

from kedge.launcher import bundle
from kedge.pipelines.code import Launcher
from kedge.pipelines.compiler import compile_file
from kedge.pipelines.restricted import USER
from kedge.testing.cluster import running_hub
from kedge.testing.host import RunningHost

SOURCE = Path(__file__).parent / "pipelines" / "staging.py"
BEFORE = Path(__file__).parent / "launchers" / "protocol-1.pyz"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
Json = dict[str, Any]
LONGEST = 90.0  # seconds until what is awaited must be so


def until(seen: Callable[[], Any], what: str) -> Any:
    """What a look shows, once it shows something."""
    end = time.monotonic() + LONGEST
    while not (found := seen()):
        assert time.monotonic() < end, f"{LONGEST:.0f} s without {what}"
        threading.Event().wait(0.25)
    return found


@dataclass(frozen=True)
class Site:
    """A hub that works in a namespace of its own.

    Attributes:
        hub: The hub.
        cluster: Where it works.
        namespace: The namespace.
        s3: Where artifacts lie.
        prefix: Below which.
    """

    hub: RunningHost
    cluster: Cluster
    namespace: str
    s3: DeployedS3
    prefix: str

    def begin(self, name: str, **parameters: Any) -> str:
        """Submit one of the pipelines; returns the run's id."""
        return self.hub.client.run(compile_file(SOURCE, pipeline_name=name), parameters=parameters, cache=False)["run_id"]

    def run(self, name: str, **parameters: Any) -> Json:
        """Run one of the pipelines to its end."""
        return self.hub.client.wait(self.begin(name, **parameters))

    def output(self, run: Json) -> Any:
        """What a pipeline has returned."""
        (root,) = [task for task in self.hub.client.tasks(run["run_id"]) if not task["id"]]
        return root["outputs"]["parameters"]["Output"]

    def task(self, run_id: str, name: str) -> Json:
        """The task of that name."""
        return next(task for task in self.hub.client.tasks(run_id) if task.get("name") == name)

    def pods(self, run_id: str) -> list[Json]:
        """The Pods of a run that are there."""
        return self.cluster.get("pods", "--namespace", self.namespace, "--selector", f"kedge.dev/run={run_id}")["items"]


@pytest.fixture(scope="module")
def s3(cluster: Cluster) -> Iterator[DeployedS3]:
    cluster.bring(PYTHON, STATIC)
    with deployed_s3(cluster) as found:
        yield found


@pytest.fixture
def index(cluster: Cluster, tmp_path: Path) -> Iterator[str]:
    """The address of an index of packages that Pods reach, and that has one."""
    folder = tmp_path / "simple" / "tiny"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "WORD = 'tiny'\n")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer((cluster.host, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://{cluster.host}:{server.server_port}/simple"
        server.shutdown()


@contextmanager
def running_site(cluster: Cluster, s3: DeployedS3, labels: dict[str, str] | None = None, **environ: str) -> Generator[Site]:
    prefix = secrets.token_hex(4)
    given = {
        "KEDGE_LISTEN": cluster.host,
        "KEDGE_ARTIFACTS": f"s3://{BUCKET}/{prefix}",
        "KEDGE_STAGER_IMAGE": "python:3.11",
        **s3.environ,
        **environ,
    }
    with (
        cluster.namespace(labels) as namespace,
        running_hub(cluster.kubeconfig, given, context=cluster.context, namespace=namespace) as hub,
    ):
        yield Site(hub, cluster, namespace, s3, prefix)


@pytest.fixture(scope="module")
def site(cluster: Cluster, s3: DeployedS3) -> Iterator[Site]:
    with running_site(cluster, s3) as found:
        yield found


@pytest.fixture(scope="module")
def guarded(cluster: Cluster, s3: DeployedS3) -> Iterator[Site]:
    """In a namespace that enforces the restricted standard, with the stager that is installed."""
    cluster.bring(kedge_image())
    with running_site(cluster, s3, RESTRICTED, KEDGE_STAGER_IMAGE=KEDGE) as found:
        yield found


def ended(pod: Json) -> bool:
    """Whether the container of a Pod's user has ended."""
    return any("terminated" in each["state"] for each in pod["status"].get("containerStatuses", ()) if each["name"] == "main")


def test_files_come_and_go_with_and_without_python(site: Site) -> None:
    run = site.run("carriers", text="some rows")
    assert run["state"] == "SUCCEEDED", run["error"]
    assert site.output(run) == "SOME ROWS 9"


def test_parameters_need_no_store(site: Site) -> None:
    run = site.run("parameters", text="four")
    assert run["state"] == "SUCCEEDED", run["error"]
    assert site.output(run) == 1
    assert not [each for each in site.s3.asked() if run["run_id"] in each.path and each.method == "PUT" and "/size" in each.path]


def test_artifacts_go_between_pods_and_the_store_and_not_through_the_hub(site: Site) -> None:
    run = site.run("carriers")
    assert run["state"] == "SUCCEEDED", run["error"]

    def moved() -> list[Asked]:
        of_run = [each for each in site.s3.asked() if f"/{run['run_id']}/" in each.path and each.path.endswith("/out")]
        return [each for each in of_run if each.method in {"GET", "PUT"}]

    until(lambda: len(moved()) >= 4, "four transfers in the server's log, which is written after they are answered")
    bytes_moved = moved()
    assert [each.method for each in bytes_moved] == ["PUT", "GET", "PUT", "GET"]
    assert {each.client for each in bytes_moved} <= {pod["status"]["podIP"] for pod in site.pods(run["run_id"])}


def test_a_step_whose_sidecar_cannot_collect_fails_although_its_pod_succeeded(site: Site) -> None:
    run_id = site.begin("forgets")
    pod = until(lambda: next((each for each in site.pods(run_id) if ended(each)), None), "an ended Pod")
    run = site.hub.client.wait(run_id)
    assert run["state"] == "FAILED"
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert "output 'size': the command wrote no file" in site.task(run_id, "forget")["error"]["message"]


def test_an_attempt_whose_upload_is_refused_fails_although_its_pod_succeeded(site: Site) -> None:
    run_id = site.begin("waits", seconds=8)
    until(lambda: any(each["status"]["phase"] == "Running" for each in site.pods(run_id)), "a running Pod")
    (listed,) = site.hub.client.step(run_id, "wait")["executor_input"]["outputs"]["artifacts"]["out"]["artifacts"]
    in_the_way = listed["uri"].removeprefix(f"s3://{BUCKET}/").rpartition("/")[0]
    site.s3.store(BUCKET).put(in_the_way, b"a file where the server needs a folder")
    run = site.hub.client.wait(run_id)
    assert run["state"] == "SUCCEEDED", "the second attempt writes elsewhere"
    first, second = site.task(run_id, "wait")["attempts"]
    assert (first["state"], second["state"]) == ("FAILED", "SUCCEEDED")
    assert "output 'out'" in first["error"]["message"]
    assert "409" in first["error"]["message"]
    assert first["error"]["message"].startswith("The step ended with 0, but its outputs could not be collected")


def test_an_upload_that_takes_longer_than_a_pod_usually_has_is_finished(cluster: Cluster, s3: DeployedS3) -> None:
    with (
        SlowLink(cluster.host, (s3.address, PORT)) as link,
        running_site(cluster, s3, AWS_ENDPOINT_URL=f"http://{cluster.host}:{link.port}") as site,
    ):
        link.hold()
        run_id = site.begin("waits")
        assert link.held.wait(LONGEST), "no upload"
        threading.Event().wait(40)  # a Pod usually has 30 s, a real time of the real kubelet
        (pod,) = site.pods(run_id)
        assert ended(pod)
        assert pod["status"]["phase"] == "Running"
        link.release()
        run = site.hub.client.wait(run_id)
        assert run["state"] == "SUCCEEDED", run["error"]


def test_a_cancelled_step_has_30_seconds_whatever_its_uploads_may_take(site: Site) -> None:
    run_id = site.begin("waits", seconds=600)
    until(lambda: any(each["status"]["phase"] == "Running" for each in site.pods(run_id)), "a running Pod")
    site.hub.client.cancel(run_id)
    assert site.hub.client.wait(run_id)["state"] == "CANCELED"
    # Its program does not end when it is told to; it is told after the run's state is written.
    pod = until(lambda: next((each for each in site.pods(run_id) if "deletionTimestamp" in each["metadata"]), None), "a deletion")
    assert pod["spec"]["terminationGracePeriodSeconds"] == 600
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 30


@pytest.mark.parametrize("name", ["carriers", "parameters", "private", "private_of_another"])
def test_steps_run_where_the_restricted_standard_is_enforced(guarded: Site, name: str) -> None:
    run = guarded.run(name)
    assert run["state"] == "SUCCEEDED", run["error"]


def test_a_step_in_a_restricted_namespace_has_a_home_and_its_packages(
    guarded: Site, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINY_INDEX", index)
    run = guarded.run("at_home")
    assert run["state"] == "SUCCEEDED", run["error"]
    assert guarded.output(run) == f"tiny {USER}"


def test_a_file_that_the_stager_may_not_read_fails_the_step_and_says_so(cluster: Cluster, s3: DeployedS3) -> None:
    """The step is root and keeps its file to itself; the stager is not root."""
    with running_site(cluster, s3, KEDGE_STAGER_IMAGE=KEDGE) as site:
        run = site.run("private")
        assert run["state"] == "FAILED"
        said = site.task(run["run_id"], "keep")["error"]["message"]
        assert "/out cannot be read by user 65532, who collects this step's outputs: Permission denied" in said


# ---- who a Pod is


def token(site: Site, pod: Json, audience: str = "kedge") -> str:
    """Another token of a Pod, as its kubelet asks for one when the first is about to end."""
    metadata = pod["metadata"]
    bound = ["--bound-object-kind=Pod", f"--bound-object-name={metadata['name']}", f"--bound-object-uid={metadata['uid']}"]
    return site.cluster.kubectl("create", "token", "default", "-n", site.namespace, *bound, f"--audience={audience}").strip()


def begin_as(site: Site, token: str, pod: Json) -> int:
    """What the hub answers to who asks for the grants of a Pod."""
    body = {"protocol": 1, "podUid": pod["metadata"]["uid"]}
    address = f"{site.hub.host.http}/apis/kedge.dev/v1/staging/begin"
    return httpx.post(address, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=60).status_code


def test_a_pod_is_known_by_any_token_that_is_bound_to_it_and_by_no_other(site: Site) -> None:
    first, second = site.begin("naps", seconds=20), site.begin("naps", seconds=20)
    until(lambda: len([each for run in (first, second) for each in site.pods(run)]) == 2, "two Pods")
    (pod,), (another,) = site.pods(first), site.pods(second)
    until(lambda: begin_as(site, token(site, pod), pod) == 200, "an answer to a Pod's new token")
    assert begin_as(site, token(site, another), pod) == 403
    assert begin_as(site, token(site, pod, "kubernetes"), pod) == 401
    for run in (first, second):
        site.hub.client.cancel(run)


@pytest.mark.soak
@pytest.mark.timeout(1200, func_only=True)
def test_a_step_outlives_its_token(cluster: Cluster, s3: DeployedS3) -> None:
    """The shortest that Kubernetes has, 10 minutes; the kubelet replaces it after 8."""
    with running_site(cluster, s3) as site:
        with shorter_tokens(site):
            run_id = site.begin("naps", seconds=640)
            until(lambda: site.pods(run_id), "a Pod")
        (pod,) = site.pods(run_id)
        (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "kedge-token"]
        assert volume["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"] == 600
        run = site.hub.client.wait(run_id)
        assert run["state"] == "SUCCEEDED", run["error"]
        assert {each["attempt"] for each in site.task(run_id, "nap")["attempts"]} == {0}


@contextmanager
def shorter_tokens(site: Site) -> Generator[None]:
    """Let the tokens of new steps in a namespace be good for 10 minutes."""
    name = f"shorter-tokens-{site.namespace}"
    volume = "object.spec.volumes.map(v, v.name).indexOf('kedge-token')"
    path = f"'/spec/volumes/' + string({volume}) + '/projected/sources/0/serviceAccountToken/expirationSeconds'"
    patch = {"patchType": "JSONPatch", "jsonPatch": {"expression": f"[JSONPatch{{op: 'replace', path: {path}, value: 600}}]"}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    kind, version = "MutatingAdmissionPolicy", "admissionregistration.k8s.io/v1"
    policy = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": "kedge", "expression": "object.spec.volumes.exists(v, v.name == 'kedge-token')"}],
        "mutations": [patch],
    }
    where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": site.namespace}}}
    site.cluster.apply(
        {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": policy},
        {
            "apiVersion": version,
            "kind": f"{kind}Binding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "matchResources": where},
        },
    )
    threading.Event().wait(5)  # until the API server has read its own policy
    try:
        yield
    finally:
        site.cluster.kubectl("delete", f"{kind}Binding,{kind}", name)


# ---- versions


def test_steps_of_the_version_before_finish_after_an_upgrade(cluster: Cluster, s3: DeployedS3) -> None:
    with running_site(cluster, s3) as site:
        # The launcher of the version before, under the name that this version's Pods mount.
        before = Launcher(Launcher.of(bundle.build()).name, BEFORE.read_bytes()).config_map(site.namespace)
        cluster.kubectl("create", "--filename", "-", said=json.dumps(before))
        running, whole = site.begin("naps", seconds=10), site.begin("carriers")
        until(lambda: any(each["status"]["phase"] == "Running" for each in site.pods(running)), "a running Pod")
        site.hub.kill()
        site.hub.start()
        for run_id in (running, whole):
            run = site.hub.client.wait(run_id)
            assert run["state"] == "SUCCEEDED", run["error"]
            assert {attempt["attempt"] for task in site.hub.client.tasks(run_id) for attempt in task.get("attempts", ())} == {0}
