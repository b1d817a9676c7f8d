"""Every `kubectl` command that the documentation shows does what it says, on both hosts."""

import re
import secrets
import shlex
from collections.abc import Iterator
from pathlib import Path

import blocks
import pytest
from tests.acceptance.kubectl.conftest import Kubectl, kubectl_of

from kedge.kube.core import POD
from kedge.kube.crds import crd
from kedge.kube.yaml import write
from kedge.pipelines.kinds import RUN
from kedge.testing.host import RunningHost

ROOT = Path(__file__).parents[2]
PIPELINE = """
from kedge import dsl

@dsl.component
def speak():
    print("as documented")

@dsl.pipeline
def documented():
    speak()
"""
# Words that stand in prose without what they are about -> the command that somebody would type.
COMPLETED = {
    "kubectl": "kubectl version",
    "kubectl label": "kubectl label node this-machine documented=yes --dry-run=server",
    "kubectl label node": "kubectl label node this-machine documented=yes --dry-run=server",
    "kubectl drain": "kubectl drain this-machine --force --ignore-daemonsets --delete-emptydir-data --dry-run=server",
    "kubectl cordon": "kubectl cordon this-machine --dry-run=server",
    "kubectl explain": "kubectl explain pods",
    "kubectl get": "kubectl get pods",
    "kubectl logs": "kubectl logs POD",
    "kubectl describe pod": "kubectl describe pod POD",
    "kubectl taint": "kubectl taint node this-machine documented=yes:NoSchedule --dry-run=server",
}
# What only a cluster needs, with what the embedded host says.
CLUSTER_ONLY = {"kubectl apply --server-side --force-conflicts --filename chart/crds": "It needs no definition: remove it"}
# As one way among others, without what it would lead to; tests/cluster/test_install.py applies and deletes what is meant,
# tests/cluster/test_joining_a_cluster.py approves; tests/acceptance/kubectl/test_streams.py and test_evictions.py speak to Pods.
NAMED = {
    "kubectl exec",
    "kubectl debug POD",
    "kubectl debug --copy-to",
    "kubectl attach",
    "kubectl run -it",
    "kubectl port-forward",
    "kubectl port-forward service/kedge 8080:http",
    "kubectl apply",
    "kubectl certificate approve",
    "kubectl delete --kustomize",
}


def documented() -> list[str]:
    """The commands in the pages for users, each once: in prose between backticks, in consoles after a ``$``."""
    found: dict[str, None] = {}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = re.sub(r"\\\n\s*", "", page.read_text("utf-8"))  # lines that go on
        found.update(
            dict.fromkeys(re.findall(r"`(kubectl\b[^`\n]*)`", text) + re.findall(r"^\$ (kubectl\b.*)$", text, re.MULTILINE))
        )
    return [command for command in found if command not in NAMED]


def printed() -> dict[str, str]:
    """What the pages say that commands print."""
    consoles = [block for page in blocks.pages() for block in blocks.blocks(page) if block.language == "console"]
    return {command: shown for block in consoles for command, shown in block.typed if shown and command.startswith("kubectl ")}


class Place:
    """Where commands are tried: one host, with a run that has ended.

    Attributes:
        kubectl: Speaks to it.
        is_cluster: Whether it is a real one.
    """

    def __init__(self, kedge: RunningHost, kubectl: Kubectl, run_file: Path) -> None:
        self.kubectl = kubectl
        self._home = run_file.parent
        run_file.write_text(PIPELINE)
        (self._home / "ca.crt").write_text("a certificate")
        (self._home / "chart" / "crds").mkdir(parents=True)
        (self._home / "chart" / "crds" / "runs.yaml").write_text(write(crd(RUN)))
        kedge.cli("run", str(run_file), check=True)
        (self._node, *_) = kubectl("get", "nodes", "-o", "name").split()
        self.is_cluster = self._node != "node/this-machine"
        self._pod = (
            kubectl("get", POD.plural, "-l", "kedge.dev/pipeline=documented", "-o", "name").split()[0].removeprefix("pod/")
        )

    def words(self, command: str) -> list[str]:
        """A command with names of this place in place of the documentation's."""
        text = COMPLETED.get(command, command).replace("…", "x").replace("POD", self._pod).replace(" NAME ", " default ")
        words = shlex.split(text.replace("this-machine", self._node.removeprefix("node/")))[1:]
        words = [str(self._home / word) if word in {"ca.crt", "chart/crds"} else word for word in words]
        if words[:2] == ["create", "namespace"]:
            return [*words[:2], f"documented-{secrets.token_hex(4)}"]
        if "--namespace" in words:  # the one that the host works in
            place = words.index("--namespace")
            words[place : place + 2] = []
        if words[:1] == ["create"] and words[1] in {"rolebinding", "secret"}:
            words[2 if words[1] == "rolebinding" else 3] += f"-{secrets.token_hex(4)}"
        return words


@pytest.fixture(scope="module")
def place(either_host: RunningHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("documented")
    made = Place(either_host, kubectl_of(either_host.host.kubeconfig, home), home / "pipeline.py")
    yield made
    for kind in ("namespaces", "secrets", "rolebindings"):
        for name in made.kubectl("get", kind, "-o", "name").split():
            if re.search(r"/(documented|bucket|database|ann)-[0-9a-f]{8}$", name):
                made.kubectl("delete", name, "--wait=false")


@pytest.mark.acceptance
@pytest.mark.parametrize("command", documented())
def test_a_documented_command_works(place: Place, command: str) -> None:
    if command in CLUSTER_ONLY and not place.is_cluster:
        assert CLUSTER_ONLY[command] in place.kubectl(*place.words(command), fails=True)
        return
    said = place.kubectl(*place.words(command))
    if command == "kubectl logs":
        assert said == "as documented\n"
    if (shown := printed().get(command)) and not place.is_cluster:
        assert blocks.fits(shown, said), said
    if command.startswith("kubectl get pods,runs"):
        assert "run.kedge.dev/" in said


def test_there_are_documented_commands() -> None:
    assert len(documented()) > 15
