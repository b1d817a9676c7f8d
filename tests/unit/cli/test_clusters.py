"""Which cluster the commands act on that install, upgrade and uninstall, and what of them is an option of which."""

from pathlib import Path

import pytest
import yaml

from kedge.cli.clusters import access
from kedge.cli.main import main
from kedge.client import kubeconfig as kubeconfigs
from kedge.client.kubeconfig import Access
from kedge.config import Settings
from kedge.relayed import remember

GIVEN = ("--image", "example.test/kedge:1", "--artifacts", "s3://bucket/ml")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEDGE_HOME", str(tmp_path / "home"))
    path = tmp_path / "now"
    kubeconfigs.write(path, Access("https://now", namespace="team-a"), name="mine")
    return path


def test_it_is_the_one_of_kubeconfig_whatever_a_hub_here_has_used_before(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Access("https://before")
    kubeconfigs.write(tmp_path / "before", before, name="mine")
    home = Settings.from_environment().of("mine").home
    home.mkdir(parents=True)
    remember(home, before, tmp_path / "before", "mine")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{file}")
    assert access(None, "mine").server == "https://now"
    assert access(tmp_path / "before", None).server == "https://before"


def test_what_a_dry_run_writes_is_for_the_namespace_of_the_context_that_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(file))
    for named, namespace in ((("--context", "mine"), "team-a"), (("--kubeconfig", str(file)), "team-a"), ((), "default")):
        assert main(["install", "--dry-run", *GIVEN, *named]) == 0
        objects = yaml.safe_load_all(capsys.readouterr().out)
        assert {obj["metadata"]["namespace"] for obj in objects if obj["kind"] == "Deployment"} == {namespace}


def test_an_uninstallation_has_nothing_to_leave_unwaited(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["uninstall", "--no-wait"]) == 2
    assert "--no-wait" in capsys.readouterr().err


def test_a_hub_of_a_cluster_takes_no_port_for_an_api_that_the_cluster_serves(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", f"--kubeconfig={file}", "--https-port=7443", "--detach"]) != 0
    assert "a cluster has its own. Leave it out." in capsys.readouterr().err
