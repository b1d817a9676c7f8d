"""Unmodified clients of Kubernetes ask the same of both hosts and are answered what the table of docs/compatibility.md says."""

import json
import secrets
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import go_programs
import pytest
import upstream_cases
from clients import of_kubectl, table
from environments import client_environment
from tests.acceptance.kubectl.conftest import Kubectl, program

from kedge.config import Settings
from kedge.testing.host import RunningHost

pytestmark = pytest.mark.timeout(1800)  # Kubernetes may have to be built first, for its kubectl

Asks = Callable[[Path, str], dict[str, str]]
PROGRAMS = Path(table.__file__).parent


def python(name: str, *requirements: str) -> Asks:
    """A program in Python, with its client alone."""

    def asks(kubeconfig: Path, namespace: str) -> dict[str, str]:
        interpreter = client_environment(name, list(requirements))
        return printed([str(interpreter), str(PROGRAMS / f"{name}_client.py"), str(kubeconfig), namespace], kubeconfig.parent)

    return asks


def printed(argv: list[str], home: Path) -> dict[str, str]:
    """The answers that a program prints."""
    environ = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=500, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def kubectl(find: Callable[[], str]) -> Asks:
    """A `kubectl`."""
    return lambda kubeconfig, namespace: of_kubectl.answers(Kubectl(find(), kubeconfig.parent), namespace)


def go(library: str) -> Asks:
    """The program in Go, with one of its libraries."""

    def asks(kubeconfig: Path, namespace: str) -> dict[str, str]:
        return printed([str(go_programs.compiled("go_clients")), library, str(kubeconfig), namespace], kubeconfig.parent)

    return asks


def kubeflow(kubeconfig: Path, namespace: str) -> dict[str, str]:
    """Kubeflow's SDK, with the definitions of its runtimes."""
    runtimes = [each for each in upstream_cases.definitions() if each["spec"]["names"]["kind"].endswith("TrainingRuntime")]
    (kubeconfig.parent / "definitions.json").write_text(json.dumps(runtimes, default=str))
    return python("kubeflow", "kubeflow==0.5.0")(kubeconfig, namespace)


CLIENTS: dict[str, Asks] = {
    "kubectl": kubectl(program),
    "kubectl 1.36": kubectl(lambda: str(go_programs.kubectl())),
    "Python 30": python("kubernetes", "kubernetes==30.1.0"),
    "Python 35": python("kubernetes", "kubernetes==35.0.0"),
    "kr8s": python("kr8s", "kr8s==0.20.15"),
    "client-go": go("client-go"),
    "controller-runtime": go("controller-runtime"),
    "Kubeflow": kubeflow,
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_is_answered_what_the_table_says(either_host: RunningHost, client: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    shutil.copy(either_host.host.kubeconfig, kubeconfig)
    try:
        told = CLIENTS[client](kubeconfig, f"clients-{secrets.token_hex(4)}")
    except go_programs.NoGo as why:
        go_programs.do_without(why)
    text = table.PAGE.read_text("utf-8")
    if Settings.from_environment().environ.get("KEDGE_TEST_WRITE_TABLES"):
        table.PAGE.write_text(table.written(text, table.merged(table.read(text), client, told)), "utf-8")
        return
    assert told == table.answers(table.read(text), client)


def test_the_table_is_as_it_is_written() -> None:
    """Nobody edits it by hand, and every client has its column."""
    text = table.PAGE.read_text("utf-8")
    assert table.written(text, table.read(text)) == text
    assert tuple(CLIENTS) == table.CLIENTS


def test_a_client_that_is_answered_something_else_than_others_takes_their_place() -> None:
    rows = {"get": table.Row("1", {"kubectl", "Python 35"}), "list": table.Row("a", {"kubectl"})}
    changed = table.merged(rows, "kubectl", {"get": "2"})
    assert changed == {"get": table.Row("2", {"kubectl"})}
    assert list(table.merged(rows, "kubectl", {"get": "1", "create": "x"})) == ["get", "create"]
