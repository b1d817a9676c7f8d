"""The dashboard of an installed hub, in a browser: two namespaces as tenants, people with tokens, and people behind a proxy."""

import base64
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import axe
import chromium
import httpx
import pytest
from access import Cluster
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from deployed_s3 import DeployedS3
from installed import RESTRICTED, Home, home, volume
from metrics_api import metrics_api
from playwright.sync_api import Browser, Page, StorageState, expect
from slow_link import SlowLink
from visiting import WAIT, Visitor
from watching import Watch

from kedge.client import kubeconfig as kubeconfigs
from kedge.config import Settings
from kedge.pipelines.client import Client
from kedge.pipelines.compiler import compile_file
from kedge.server.cluster_callers import AUDIENCE

ROOT = Path(__file__).resolve().parents[2]
SECRET = "only the proxy knows"
ANN = "ann@example.com"
SOURCE = """
from kedge import dsl
from kedge.dsl import Input, Markdown, Output

@dsl.component
def write(words: str, report: Output[Markdown]):
    print("written here: " + words)
    with open(report.path, "w") as file:
        file.write("# Report\\n\\nIt says *" + words + "*.")

@dsl.component
def read(report: Input[Markdown]) -> int:
    with open(report.path) as file:
        return len(file.read())

@dsl.component
def linger():
    import time
    time.sleep(600)

@dsl.pipeline(name="lingering")
def lingering():
    linger()

@dsl.pipeline(name="shown")
def pipeline(words: str):
    read(report=write(words=words).outputs["report"])
"""
YEARLY = {"display_name": "each year", "trigger": {"cron_schedule": {"cron": "0 0 0 1 1 *"}}, "max_concurrency": "1"}


@dataclass(frozen=True)
class Installed:
    """A hub that serves two namespaces, and what is in the first.

    Attributes:
        place: Where it is installed.
        address: On this machine's loopback, as after ``kubectl port-forward``.
        a: A namespace, with a run, a pipeline and a schedule.
        b: Another, with nothing.
        run: The run's id.
        artifact: The id of its report.
        knows_usage: Whether the cluster's metrics API is the tests' own.
    """

    place: Home
    address: str
    a: str
    b: str
    run: str = ""
    artifact: str = ""
    knows_usage: bool = False

    def token(self, account: str, namespace: str, audience: str = AUDIENCE) -> str:
        asked = ("create", "token", account, "--namespace", namespace, "--audience", audience)
        return self.place.cluster.kubectl(*asked).strip()

    @contextmanager
    def client(self) -> Generator[Client]:
        """An editor's of the first namespace."""
        headers = {"Authorization": f"Bearer {self.token('editor', self.a)}", "X-Kedge-Namespace": self.a}
        with httpx.Client(base_url=self.address, headers=headers, timeout=60, trust_env=False) as http:
            yield Client(self.address, http=http)


def _people(cluster: Cluster, namespace: str) -> None:
    for name, role in (("editor", "kedge-edit"), ("viewer", "kedge-view")):
        cluster.kubectl("create", "serviceaccount", name, "--namespace", namespace)
        subject = f"--serviceaccount={namespace}:{name}"
        cluster.kubectl("create", "rolebinding", name, "--namespace", namespace, "--role", role, subject)


@pytest.fixture(scope="module")
def hub(cluster: Cluster, s3: DeployedS3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "pipeline.py").write_text(SOURCE)
    document = compile_file(folder / "pipeline.py", pipeline_name="pipeline")
    with ExitStack() as stack:
        is_ours = stack.enter_context(metrics_api(cluster))
        place = stack.enter_context(home(cluster, s3, folder))
        a, b = (stack.enter_context(cluster.namespace(RESTRICTED)) for _ in range(2))
        secret = {"stringData": {"KEDGE_TRUSTED_PROXY_SECRET": SECRET}}
        place.kubectl("patch", "secret", "bucket", "--patch", json.dumps(secret))
        place.install("--namespaces", f"{a},{b}", *stack.enter_context(volume(place)))
        for namespace in (a, b):
            _people(cluster, namespace)
        cluster.kubectl("create", "rolebinding", "ann", "--namespace", a, "--role", "kedge-view", "--user", ANN)
        service = cluster.get("service", "kedge", "--namespace", place.name)["spec"]
        link = stack.enter_context(SlowLink("127.0.0.1", (service["clusterIP"], service["ports"][0]["port"])))
        address = f"http://127.0.0.1:{link.port}"
        with Installed(place, address, a, b).client() as client:
            client.upload(document)
            client.create_recurring_run(document, YEARLY, parameters={"words": "scheduled"})
            run = client.run(document, parameters={"words": "of one alone"}, name="of one alone")["run_id"]
            ended = client.wait(run)
            assert ended["state"] == "SUCCEEDED", str(ended["error"]) + place.said()
            (artifact,) = client.artifacts(run)
        yield Installed(place, address, a, b, run, artifact["artifact_id"], is_ours)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if why := chromium.missing() or axe.missing():
        if Settings.from_environment().environ.get("CI", "") not in {"", "0", "false"}:
            pytest.fail(why)
        pytest.skip(why)
    expect.set_options(timeout=WAIT)
    with chromium.launched() as found:
        yield found


@pytest.fixture
def visitor(hub: Installed, browser: Browser, request: pytest.FixtureRequest) -> Generator[Visitor]:
    """Opens pages that nobody is signed in to; whatever is wrong with one fails the test."""
    kept = Settings.from_environment().environ.get("KEDGE_SCREENSHOTS") or str(ROOT / "build" / "screenshots")
    found = Visitor(browser, hub.address, Watch(hub.address), StorageState(), Path(kept, "installed"))
    yield found
    node: Any = request.node
    found.leave(node.name)
    assert not found.watch.faults()


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text(text)


def sign_in(visitor: Visitor, token: str) -> Page:
    """The first page of somebody who has a token."""
    page = visitor.page()
    visitor.watch.expect_answer("/", 401)
    page.goto("/")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    heading(page, "Home")
    return page


def expired(token: str, key: rsa.RSAPrivateKey) -> str:
    """The same token, of a time that is over, signed with the cluster's own key."""
    head, body, _ = token.split(".")
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    content |= {name: content[name] - 7200 for name in ("exp", "iat", "nbf")}
    body = base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
    signature = key.sign(f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_a_token_that_is_none_of_its_own_is_refused_with_what_to_do(visitor: Visitor, hub: Installed) -> None:
    page = visitor.page()
    visitor.watch.expect_answer("/", 401)
    visitor.watch.expect_answer("/sign-in", 401)
    page.goto("/")
    heading(page, "Sign in")
    expect(page.get_by_role("navigation")).to_have_count(0)
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "sign-in")
    wrong = {"no token": "no service account's of this cluster"}
    wrong[hub.token("editor", hub.a, "somebody-else")] = f"is for somebody-else, not for {AUDIENCE}"
    key = hub.place.cluster.kubeconfig.parent / "sa.key"
    if key.exists():  # nobody else has the key of their cluster
        known = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(known, rsa.RSAPrivateKey)
        wrong[expired(hub.token("editor", hub.a), known)] = "the token has expired"
    for token, said in wrong.items():
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text(said)
        expect(page.get_by_role("alert")).to_contain_text("kubectl create token")
        expect(page.get_by_label("Token")).to_have_value("")
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "refused")


def test_somebody_with_a_token_starts_a_run_follows_it_and_looks_at_what_it_made(visitor: Visitor, hub: Installed) -> None:
    page = sign_in(visitor, hub.token("editor", hub.a))
    expect(page.get_by_role("banner")).to_contain_text(f"namespace {hub.a}")
    visitor.photograph(page, "home")
    page.get_by_role("link", name="Pipelines").click()
    page.get_by_role("link", name="shown", exact=True).first.click()
    heading(page, "shown")
    page.get_by_role("link", name="New run").first.click()
    page.get_by_role("textbox", name="words").fill("by hand")
    page.get_by_role("textbox", name="Name", exact=True).fill("by hand")
    page.get_by_role("button", name="Start the run").click()
    heading(page, "by hand")
    page.evaluate("window.loaded = 'once'")
    expect(page.get_by_role("link", name=re.compile("^read .*succeeded"))).to_be_visible(timeout=2 * WAIT)
    expect(page.locator("#run-head .state")).to_have_text("succeeded")
    assert page.evaluate("window.loaded") == "once"
    visitor.photograph(page, "run")
    page.get_by_role("link", name=re.compile("^write .*succeeded")).click()
    panel = page.locator("#panel")
    expect(panel.locator(".log-text")).to_contain_text("written here: by hand")
    expect(panel.get_by_role("region", name="Attempts")).to_contain_text("succeeded")
    panel.get_by_role("region", name="Outputs").get_by_role("link", name="report", exact=True).click()
    expect(page.get_by_role("heading", name="Report", exact=True)).to_be_visible()
    expect(page.locator("em")).to_have_text("by hand")
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "artifact")
    page.get_by_role("navigation", name="Sections").get_by_role("link", name="Artifacts").click()
    expect(page.get_by_role("link", name="report").first).to_be_visible()
    page.get_by_role("navigation", name="Sections").get_by_role("link", name="Schedules").click()
    expect(page.get_by_role("link", name="each year")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    heading(page, "Sign in")


def test_another_namespaces_runs_logs_and_artifacts_are_not_there(visitor: Visitor, hub: Installed) -> None:
    page = sign_in(visitor, hub.token("editor", hub.b))
    for path in ("/", "/runs", "/artifacts", "/schedules", "/pipelines"):
        page.goto(path)
        for word in ("of one alone", "report", "each year", hub.run, hub.artifact):
            expect(page.get_by_role("main")).not_to_contain_text(word)
    for path in (
        f"/runs/{hub.run}",
        f"/runs/{hub.run}/tasks/write",
        f"/runs/{hub.run}/tasks/write/log",
        f"/runs/{hub.run}/export",
        f"/artifacts/{hub.artifact}",
        f"/artifacts/{hub.artifact}/content",
        f"/artifacts/{hub.artifact}/view",
    ):
        visitor.watch.expect_answer(path, 404)
        page.goto(path)
        heading(page, "Not found")
    for path in ("/runs", "/artifacts"):
        visitor.watch.expect_answer(path, 403)
        page.goto(f"{path}?namespace={hub.a}")
        heading(page, "Not allowed")
        expect(page.get_by_role("main")).not_to_contain_text("report")


def test_a_viewer_is_told_what_would_allow_what_is_refused(visitor: Visitor, hub: Installed) -> None:
    page = sign_in(visitor, hub.token("viewer", hub.a))
    page.goto(f"/runs/{hub.run}")
    visitor.watch.expect_answer(f"/runs/{hub.run}/archive", 403)
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_role("alert")).to_contain_text(
        f'User "system:serviceaccount:{hub.a}:viewer" cannot archive resource "runs"'
    )
    expect(page.get_by_role("alert")).to_contain_text(f"--role kedge-edit --serviceaccount={hub.a}:viewer")
    page.goto(f"/artifacts/{hub.artifact}")
    expect(page.get_by_role("heading", name="Report", exact=True)).to_be_visible()


def test_the_trusted_proxys_word_is_enough_and_nobody_elses(visitor: Visitor, hub: Installed) -> None:
    page = visitor.page()
    page.context.set_extra_http_headers({"kubeflow-userid": ANN, "x-kedge-proxy-secret": SECRET})
    page.goto("/")
    heading(page, "Home")
    expect(page.get_by_role("banner")).to_contain_text(ANN)
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
    page.goto(f"/runs/{hub.run}?view=tasks")
    heading(page, "of one alone")
    page.context.set_extra_http_headers({"kubeflow-userid": ANN})
    visitor.watch.expect_answer("/runs", 401)
    page.goto("/runs")
    heading(page, "Sign in")


def test_the_cluster_section_shows_what_hub_and_caller_may_both_see(visitor: Visitor, hub: Installed) -> None:
    cluster, watch = hub.place.cluster, visitor.watch
    subject = f"--serviceaccount={hub.a}:viewer"
    cluster.kubectl("create", "rolebinding", "sees", "--namespace", hub.a, "--clusterrole", "view", subject)
    listed = cluster.get("pods", "--namespace", hub.a, "--selector", f"kedge.dev/run={hub.run}")["items"]
    (pod,) = (each["metadata"]["name"] for each in listed if "-write-" in each["metadata"]["name"])
    pods, one = "/cluster/objects/core/v1/pods", f"/cluster/objects/core/v1/pods/{hub.a}/{pod}"
    page = sign_in(visitor, hub.token("viewer", hub.a))
    page.get_by_role("navigation", name="Sections").get_by_role("link", name="Cluster").click()
    expect(page.get_by_role("region", name="Nodes")).to_contain_text("`kubectl get nodes` shows them")
    expect(page.get_by_role("region", name="What was said lately")).to_contain_text(pod)
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "cluster")
    page.get_by_role("link", name="Pod", exact=True).click()
    page.get_by_role("link", name=pod).click()
    expect(page.get_by_label("The object as YAML")).to_contain_text(f"name: {pod}")
    expect(page.get_by_text(f"kubectl edit pods {pod} --namespace {hub.a}")).to_be_visible()
    assert axe.grave_faults(page) == []
    visitor.photograph(page, "pod")
    page.on("dialog", lambda dialog: dialog.accept())
    watch.expect_answer(f"{one}/delete", 403)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("alert")).to_contain_text(f"viewer may not delete pods in namespace {hub.a}")
    assert cluster.get("pod", pod, "--namespace", hub.a)["metadata"].get("deletionTimestamp") is None
    assert "written here" in page.request.get(f"/cluster/pods/{hub.a}/{pod}/log?container=main").text()
    for path, said in (
        (f"{one}/edit", f"kubectl edit pods {pod} --namespace {hub.a}"),
        (f"{pods}?in={hub.b}", f"viewer may not list pods in namespace {hub.b}"),
        ("/cluster/objects/core/v1/secrets", f"kubectl get secrets --namespace {hub.a}"),
        (f"/cluster/objects/core/v1/secrets/{hub.place.name}/bucket", f"kubectl get secrets bucket --namespace {hub.place.name}"),
        ("/cluster/objects/kedge.dev/v1/runs", f"viewer may not list runs in namespace {hub.a}"),
    ):
        watch.expect_answer(path.partition("?")[0], 403)
        page.goto(path)
        expect(page.get_by_role("alert")).to_contain_text(said)
    other = sign_in(visitor, hub.token("editor", hub.b))
    other.goto("/cluster")
    expect(other.get_by_role("region", name="What was said lately")).to_contain_text(
        f"editor may not list events in namespace {hub.b}"
    )
    watch.expect_answer(one, 403)
    other.goto(one)
    expect(other.get_by_role("alert")).to_contain_text(f"editor may not get pods in namespace {hub.a}")


def test_a_task_shows_what_the_metrics_api_said_of_it(visitor: Visitor, hub: Installed) -> None:
    with hub.client() as client:
        run = client.run(compile_file(hub.place.folder / "pipeline.py", pipeline_name="lingering"))["run_id"]
        deadline = time.monotonic() + 2 * WAIT / 1000
        while not (found := [each for task in client.tasks(run) for each in task.get("attempts", ()) if "resources" in each]):
            assert time.monotonic() < deadline, hub.place.said()
            time.sleep(0.2)  # noqa: TID251  # samples are taken every 15 s
        page = sign_in(visitor, hub.token("viewer", hub.a))
        page.goto(f"/runs/{run}/tasks/linger")
        attempts = page.get_by_role("region", name="Attempts")
        expect(attempts).to_contain_text("samples of the cluster's metrics API (metrics.k8s.io)")
        if hub.knows_usage:
            assert found[0]["resources"]["peak_memory_bytes"] == 48 << 20
            expect(attempts.get_by_role("row").nth(1)).to_contain_text("50.3 MB")
        client.cancel(run)
        assert client.wait(run)["state"] == "CANCELED"


@dataclass(frozen=True)
class Opening:
    """``kedge open`` for a user who may do what two Roles allow, and nothing else in the cluster.

    Attributes:
        hub: What is shown.
        folder: Of this test's own.
        link: The way to the API server.
    """

    hub: Installed
    folder: Path
    link: SlowLink

    def kubeconfig(self) -> Path:
        path = self.folder / "kubeconfig"
        if not path.exists():
            cluster, namespace = self.hub.place.cluster, self.hub.a
            access = kubeconfigs.load(cluster.kubeconfig, context=cluster.context or None)
            token = cluster.kubectl("create", "token", "opener", "--namespace", namespace).strip()
            host = urlsplit(access.server).hostname
            mine = kubeconfigs.Access(
                f"https://127.0.0.1:{self.link.port}", access.ca, token, namespace=namespace, server_name=host
            )
            kubeconfigs.write(path, mine, name="opener")
        return path

    def command(self, *options: str) -> tuple[list[str], dict[str, str]]:
        environ = {**Settings.from_environment().environ, "KEDGE_HOME": str(self.folder), "KUBECONFIG": str(self.kubeconfig())}
        return [sys.executable, "-m", "kedge", "open", *options], environ

    def refused(self, *options: str) -> str:
        argv, environ = self.command(*options)
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    @contextmanager
    def opened(self, *options: str) -> Generator[str]:
        """The link, while the command runs; it is ended by Ctrl-C."""
        argv, environ = self.command(*options)
        with subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield process.stdout.readline().strip()
            finally:
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert said == f"The hub of namespace {self.hub.a}, until Ctrl-C.\n"


@pytest.fixture
def opening(hub: Installed, tmp_path: Path) -> Iterator[Opening]:
    cluster = hub.place.cluster
    cluster.kubectl("create", "serviceaccount", "opener", "--namespace", hub.a)
    server = urlsplit(kubeconfigs.load(cluster.kubeconfig, context=cluster.context or None).server)
    with SlowLink("127.0.0.1", (server.hostname or "", server.port or 443)) as link:
        yield Opening(hub, tmp_path, link)


def allow(hub: Installed, role: str, namespace: str) -> None:
    subject = f"--serviceaccount={hub.a}:opener"
    hub.place.cluster.kubectl("create", "rolebinding", f"opener-{role}", "--namespace", namespace, "--role", role, subject)


def test_kedge_open_forwards_a_port_and_comes_back_when_the_connection_is_cut(
    hub: Installed, opening: Opening, browser: Browser, tmp_path: Path
) -> None:
    assert "its namespace has none" in opening.refused("--print", "--context", "opener")
    allow(hub, "kedge-user", hub.a)
    assert "The Role kedge-proxy of the hub's namespace allows it" in opening.refused("--print", "--context", "opener")
    allow(hub, "kedge-proxy", hub.place.name)
    with opening.opened("--print", "--kubeconfig", str(opening.kubeconfig())) as link:
        address, _, path = link.partition("/sign-in/")
        taken = opening.refused("--print", "--context", "opener", "--port", address.rpartition(":")[2])
        assert "is in use" in taken
        assert "kedge open --port" in taken
        visitor = Visitor(browser, address, Watch(address), StorageState(), tmp_path)
        page, other = visitor.page(), visitor.page()
        page.goto(link)
        heading(page, "Home")
        expect(page.get_by_role("banner")).to_contain_text(f"system:serviceaccount:{hub.a}:kedge-user")
        visitor.watch.expect_answer(f"/sign-in/{path}", 401)
        other.goto(link)
        heading(other, "Who are you?")
        visitor.watch.expect_answer("/apis/v2beta1/runs", 404)
        page.goto("/apis/v2beta1/runs")
        page.goto(f"/runs/{hub.run}/tasks/write")
        expect(page.locator(".log-text")).to_contain_text("written here: of one alone")
        page.goto("/runs")
        page.evaluate("window.loaded = 'once'")
        opening.link.cut()
        with hub.client() as client:
            client.run(
                compile_file(hub.place.folder / "pipeline.py", pipeline_name="pipeline"),
                parameters={"words": "after the cut"},
                name="after the cut",
            )
        expect(page.get_by_role("link", name="after the cut")).to_be_visible()
        assert page.evaluate("window.loaded") == "once"
        visitor.leave("open")
        assert not visitor.watch.faults()
