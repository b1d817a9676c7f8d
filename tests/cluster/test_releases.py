"""What ``kedge install --dry-run`` writes for others to apply: a release of Helm's, and a base of kustomize's."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from access import Cluster
from deployed_s3 import DeployedS3
from go_programs import HELM, built
from installed import Home, home, left, volume
from kedge_image import own_name
from sized import document

BUILD_SECONDS = 900


@pytest.fixture
def place(cluster: Cluster, s3: DeployedS3, tmp_path: Path) -> Iterator[Home]:
    with home(cluster, s3, tmp_path) as found:
        yield found


def helm(place: Home, *arguments: str) -> str:
    """What Helm says, of this namespace."""
    where = ("--kubeconfig", str(place.kubeconfig), "--namespace", place.name)
    done = subprocess.run([built(*HELM), *arguments, *where], capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr + place.said()
    return done.stdout


def write(place: Home, form: str, *options: str) -> str:
    """A folder with an installation."""
    folder = str(place.folder / form)
    place.kedge("install", "--dry-run", "--image", own_name(), *place.options, *options, "--output", form, "--directory", folder)
    return folder


def ran(place: Home, name: str) -> bool:
    with place.client() as client:
        return bool(client.get(name)["state"] == "SUCCEEDED")


@pytest.mark.timeout(BUILD_SECONDS)
def test_a_release_of_helm_is_used_upgraded_and_taken_over_by_kustomize(place: Home) -> None:
    """On a cluster that has the definition already, as another release or ``kedge install`` leaves it."""
    with volume(place) as options:
        chart, base = (write(place, form, "--namespace", place.name, *options) for form in ("helm", "kustomize"))
        waits = ("--wait", "--timeout", "120s")
        helm(place, "install", "kedge", chart, *waits)
        with place.client() as client:
            ended = client.wait(client.run(document(place.folder), name="first")["run_id"])
            assert ended["state"] == "SUCCEEDED", str(ended["error"]) + place.said()
        assert "is managed by Helm" in place.kedge("uninstall", fails=True)

        helm(
            place,
            "upgrade",
            "kedge",
            chart,
            "--set",
            "env.KEDGE_LOG_LEVEL=DEBUG",
            "--set",
            "nodeSelector.kubernetes\\.io/os=linux",
            *waits,
        )
        (pod,) = place.pods()
        variables = {one["name"]: one.get("value") for one in pod["spec"]["containers"][0]["env"]}
        assert variables["KEDGE_LOG_LEVEL"] == "DEBUG"
        assert pod["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
        assert ran(place, "first")

        helm(place, "uninstall", "kedge", *waits)
        kinds = {name.partition("/")[0] for name in left(place)}
        assert kinds == {"run.kedge.dev", "pod", "configmap", "persistentvolumeclaim"}  # the run, what it owns, and the history
        assert place.cluster.get("customresourcedefinition", "runs.kedge.dev")["status"]["storedVersions"] == ["v1"]

        place.kubectl("apply", "--server-side", "--force-conflicts", "--kustomize", base)
        place.kubectl("rollout", "status", "deployment/kedge", "--timeout=120s")
        assert ran(place, "first")
        place.kedge("uninstall", "--delete-data", "--yes")
        assert left(place) == set()
