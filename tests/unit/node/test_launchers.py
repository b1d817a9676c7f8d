"""Which containers of a step are Kedge's own."""

from typing import Any

import pytest

from kedge.node.launchers import stages

VOLUMES = [{"name": "launcher", "configMap": {"name": "kedge-launcher-1"}}, {"name": "own", "configMap": {"name": "own"}}]


@pytest.mark.parametrize(
    ("args", "volume", "own"),
    [
        (["stage-in"], "launcher", True),
        (["stage-out"], "launcher", True),
        (["run"], "launcher", False),  # the step itself, in its own image
        (["stage-in"], "own", False),
        (None, "launcher", False),
    ],
)
def test_who_stages_files_is_told_from_the_step(args: list[str] | None, volume: str, *, own: bool) -> None:
    container: dict[str, Any] = {"name": "c", "image": "python:3", "command": ["python3", "/kedge/launcher/launcher.pyz"]}
    container |= {"args": args, "volumeMounts": [{"name": volume, "mountPath": "/kedge/launcher"}]}
    assert stages({"spec": {"volumes": VOLUMES, "containers": [container]}}, container) is own
