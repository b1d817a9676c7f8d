"""The image of the Containerfile: small, the same to the byte each time, and content with a Pod that may do nothing."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from access import Cluster
from go_programs import cache_folder
from images import PYTHON
from kedge_image import KEDGE, build, kedge_image

from kedge import __version__

MEGABYTE = 1 << 20
LOCKED = {
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def layers(layout: Path) -> list[dict[str, Any]]:
    entry = json.loads((layout / "index.json").read_text())["manifests"][0]
    return json.loads((layout / "blobs" / entry["digest"].replace(":", "/")).read_text())["layers"]


def config(layout: Path) -> dict[str, Any]:
    entry = json.loads((layout / "index.json").read_text())["manifests"][0]
    manifest = json.loads((layout / "blobs" / entry["digest"].replace(":", "/")).read_text())
    return json.loads((layout / "blobs" / manifest["config"]["digest"].replace(":", "/")).read_text())


@pytest.mark.usefixtures("cluster")
def test_two_builds_are_the_same_to_the_byte() -> None:
    with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
        again = build(Path(scratch, "layout"), Path(scratch, "work"))
        assert json.loads((again / "index.json").read_text()) == json.loads((kedge_image() / "index.json").read_text())


@pytest.mark.usefixtures("cluster")
def test_it_is_small_and_its_user_is_a_number_that_is_not_roots() -> None:
    layout = kedge_image()
    added = sum(layer["size"] for layer in layers(layout)) - sum(layer["size"] for layer in layers(PYTHON.layout()))
    assert added < 60 * MEGABYTE
    user, _, group = config(layout)["config"]["User"].partition(":")
    assert int(user) > 0
    assert int(group) > 0


@pytest.mark.parametrize(
    ("command", "says"),
    [(["kedge", "--version"], __version__), (["python3", "-c", "import kedge.hub, psycopg; print('imports')"], "imports")],
    ids=["the command", "all that the hub needs"],
)
def test_it_runs_in_a_locked_pod(cluster: Cluster, restricted: str, command: list[str], says: str) -> None:
    cluster.bring(kedge_image())
    container = {"name": "main", "image": KEDGE, "command": command, "securityContext": LOCKED}
    spec = {"restartPolicy": "Never", "containers": [container]}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "locked"}, "spec": spec}, namespace=restricted)
    cluster.kubectl("wait", "-n", restricted, "--for=jsonpath={.status.phase}=Succeeded", "pod/locked", "--timeout=60s")
    assert says in cluster.kubectl("logs", "--namespace", restricted, "locked")
