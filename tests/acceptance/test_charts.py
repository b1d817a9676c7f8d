"""The Helm chart and the kustomize base, read by the real tools: they are what ``kedge install --dry-run`` writes as YAML."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_programs import HELM, built

from kedge.cli.main import main

pytestmark = pytest.mark.acceptance
KUSTOMIZE = ("kustomize", "sigs.k8s.io/kustomize/kustomize/v5", "v5.8.1")
ONE = ("--namespace", "ml", "--image", "example.test/kedge:1", "--artifacts", "s3://bucket/ml")
TWO = (*ONE, "--replicas", "2", "--database-secret", "db", "--artifacts-secret", "keys", "--set-env", "AWS_REGION=eu")
PLACED = (
    "--image-pull-secret",
    "registry",
    "--node-selector",
    "pool=cpu",
    "--toleration",
    "pool=cpu:NoSchedule",
    "--toleration",
    "x",
)
FORMS = pytest.mark.parametrize(
    "options",
    [ONE, TWO, (*ONE, "--namespaces", "ml,other", *PLACED), (*TWO, "--all-namespaces", "--service-account", "mine")],
    ids=["one hub", "two hubs", "two namespaces", "all namespaces"],
)
GO_SECONDS = 900


def written(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["install", "--dry-run", *options]) == 0
    return capsys.readouterr().out


def tool(*command: str, fails: bool = False) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bool(done.returncode) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def plain(documents: str, *, dropped: Sequence[str] = ()) -> dict[str, Any]:
    """Objects by what they are called, without what is no part of them."""
    found: dict[str, Any] = {}
    for obj in filter(None, yaml.safe_load_all(documents)):
        meta = obj["metadata"]
        annotations = {key: value for key, value in (meta.pop("annotations", None) or {}).items() if key not in dropped}
        if annotations:
            meta["annotations"] = annotations
        if dropped:
            meta["labels"].pop("app.kubernetes.io/managed-by")
        if obj["kind"] == "Deployment":
            container = obj["spec"]["template"]["spec"]["containers"][0]
            container["env"].sort(key=lambda one: one["name"])
        found[f"{obj['kind']} {meta.get('namespace')}/{meta['name']}"] = obj
    return found


@FORMS
@pytest.mark.timeout(GO_SECONDS)
def test_a_base_built_by_kustomize_is_the_same(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "base"
    written(capsys, *options, "--output", "kustomize", "--directory", str(folder))
    made = tool(built(*KUSTOMIZE), "build", str(folder))
    assert plain(made) == plain(written(capsys, *options))


@FORMS
@pytest.mark.timeout(GO_SECONDS)
def test_a_chart_rendered_by_helm_is_the_same(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "chart"
    written(capsys, *options, "--output", "helm", "--directory", str(folder))
    tool(built(*HELM), "lint", "--strict", str(folder))
    made = tool(built(*HELM), "template", "release", str(folder), "--namespace", "ml", "--include-crds")
    # What Helm manages is Helm's, and is not taken over by `kedge upgrade`, which the annotation is for.
    dropped = ("kedge.dev/options", "helm.sh/resource-policy")
    assert plain(made, dropped=dropped) == plain(written(capsys, *options), dropped=dropped)


@pytest.mark.timeout(GO_SECONDS)
def test_a_charts_values_are_what_is_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "chart"
    written(capsys, *TWO, "--output", "helm", "--directory", str(folder))
    values = {
        "image": "example.test/kedge:2",
        "artifacts": "gs://other",
        "databaseSecret": "another",
        "replicas": 3,
        "env": {"KEDGE_LOG_LEVEL": "DEBUG", "KEDGE_LOG_FORMAT": "text", "QUOTED": 'a "b": c'},
        "resources": {"limits": {"memory": "2Gi"}},
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"pool": "cpu"},
        "tolerations": [{"key": "pool", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "priorityClassName": "high",
    }
    given = tmp_path / "values.yaml"
    given.write_text(yaml.safe_dump(values))
    made = plain(tool(built(*HELM), "template", "release", str(folder), "--namespace", "elsewhere", "--values", str(given)))
    deployment = made["Deployment elsewhere/kedge"]
    pod = deployment["spec"]["template"]["spec"]
    for name in ("imagePullSecrets", "nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert pod[name] == values[name]
    container = pod["containers"][0]
    variables = {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}
    assert len(variables) == len(container["env"])
    assert variables["KEDGE_LOG_FORMAT"] == "text"
    assert deployment["spec"]["replicas"] == 3
    assert container["image"] == variables["KEDGE_STAGER_IMAGE"] == "example.test/kedge:2"
    assert variables["KEDGE_ARTIFACTS"] == "gs://other"
    assert variables["KEDGE_HUB_ADDRESS"] == "http://kedge.elsewhere.svc:8080"
    assert variables["KEDGE_DATABASE"] == {"secretKeyRef": {"name": "another", "key": "url"}}
    assert variables["QUOTED"] == 'a "b": c'
    assert container["resources"]["limits"] == {"memory": "2Gi"}
    assert made["RoleBinding elsewhere/kedge-runs"]["subjects"][0]["namespace"] == "elsewhere"


@pytest.mark.timeout(GO_SECONDS)
def test_a_chart_keeps_what_holds_data_and_needs_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "chart"
    written(capsys, *ONE, "--output", "helm", "--directory", str(folder))
    made = plain(tool(built(*HELM), "template", "release", str(folder), "--namespace", "ml"))
    kept = {name for name, obj in made.items() if "helm.sh/resource-policy" in obj["metadata"].get("annotations", {})}
    assert kept == {"PersistentVolumeClaim ml/kedge-data"}
    assert (
        "CustomResourceDefinition None/runs.kedge.dev" not in made
    )  # it is in crds/, which Helm makes once and never takes away
    assert "image is required" in tool(built(*HELM), "template", "release", str(folder), "--set", "image=", fails=True)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("")
    assert main(["install", "--dry-run", *ONE, "--output", "helm", "--directory", str(tmp_path)]) == 1
    assert "is not empty" in capsys.readouterr().err
