"""How commands start the host or hub that they need."""

import os
from pathlib import Path

import pytest

from kedge.cli.session import begin
from kedge.client import kubeconfig as kubeconfigs
from kedge.client.kubeconfig import Access
from kedge.config import Settings
from kedge.errors import StateError


def test_a_hub_reads_a_kubeconfig_whose_path_is_relative_to_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfigs.write(tmp_path / "mine", Access("https://127.0.0.1:1"), name="c")
    monkeypatch.chdir(tmp_path)
    given = {"KEDGE_HOME": str(tmp_path / "home"), "KUBECONFIG": "mine", "KEDGE_CONTEXT": "c", "KEDGE_ARTIFACTS": ""}
    with pytest.raises(StateError) as refused:
        begin(Settings.from_environment({**os.environ, **given}))  # noqa: TID251
    assert "KEDGE_ARTIFACTS" in str(refused.value)  # what it looks at when it has read the file
