"""Steps that install packages while they run, on a whole host."""

import json
import sys
from pathlib import Path

import pytest

from kedge.testing.host import RunningHost

INSTALLS = """
from kedge import dsl

@dsl.component
def installs() -> str:
    import subprocess
    import sys
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "six==1.16.0"], check=True)
    import six
    return six.__version__
"""
LOOKS = """
from kedge import dsl

@dsl.component
def looks() -> str:
    import importlib.util
    return str(importlib.util.find_spec("six"))
"""


def _told(host: RunningHost, folder: Path, name: str, text: str) -> str:
    file = folder / f"{name}.py"
    file.write_text(text)
    done = host.cli("run", str(file), "--pipeline", name, "--no-cache", "-o", "json", check=True)
    tasks = {task["id"]: task for task in json.loads(done.stdout)["tasks"]}
    return str(tasks[name]["outputs"]["parameters"]["Output"])


@pytest.mark.skipif(sys.platform != "linux", reason="a step has a view of its own on Linux only")
def test_what_a_step_installs_is_not_there_for_the_next_run(kedge_host: RunningHost, tmp_path: Path) -> None:
    assert _told(kedge_host, tmp_path, "looks", LOOKS) == "None"
    assert _told(kedge_host, tmp_path, "installs", INSTALLS) == "1.16.0"
    assert _told(kedge_host, tmp_path, "looks", LOOKS) == "None"


NEIGHBOUR = """
import subprocess
import sys

def add(package: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
"""
CALLS = """
from kedge import dsl

@dsl.component
def calls() -> str:
    import tools
    tools.add("six==1.16.0")
    import six
    return six.__version__
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a step has a view of its own on Linux only")
def test_what_a_neighbour_of_the_pipeline_installs_is_not_there_for_the_next_run(kedge_host: RunningHost, tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(NEIGHBOUR)
    assert _told(kedge_host, tmp_path, "calls", CALLS) == "1.16.0"
    assert _told(kedge_host, tmp_path, "looks", LOOKS) == "None"
