"""Steps that install packages while they run, on a whole host."""

import json
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from kedge.testing.host import RunningHost

INSTALLS = """
from kedge import dsl

@dsl.component
def installs(folder: str) -> str:
    import subprocess
    import sys
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--find-links", folder, "parcel"], check=True)
    import parcel
    return parcel.CONTENT
"""
LOOKS = """
from kedge import dsl

@dsl.component
def looks(folder: str) -> str:
    import importlib.util
    return str(importlib.util.find_spec("parcel"))
"""
WHEEL = {
    "parcel.py": "CONTENT = 'cups'\n",
    "parcel-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: parcel\nVersion: 1\n",
    "parcel-1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "parcel-1.dist-info/RECORD": "parcel.py,,\nparcel-1.dist-info/METADATA,,\nparcel-1.dist-info/WHEEL,,\n",
}


@pytest.fixture
def packages(shared: Path) -> Path:
    """A folder that steps see, with a package: not every Pod reaches a registry."""
    with ZipFile(shared / "parcel-1-py3-none-any.whl", "w") as wheel:
        for name, text in WHEEL.items():
            wheel.writestr(name, text)
    return shared


def _told(host: RunningHost, folder: Path, packages: Path, name: str, text: str) -> str:
    file = folder / f"{name}.py"
    file.write_text(text)
    command = ("run", str(file), "--pipeline", name, "-p", f"folder={packages}", "--no-cache", "-o", "json")
    tasks = {task["id"]: task for task in json.loads(host.cli(*command, check=True).stdout)["tasks"]}
    return str(tasks[name]["outputs"]["parameters"]["Output"])


@pytest.mark.skipif(sys.platform != "linux", reason="a step has a view of its own on Linux only")
def test_what_a_step_installs_is_not_there_for_the_next_run(either_host: RunningHost, packages: Path, tmp_path: Path) -> None:
    assert _told(either_host, tmp_path, packages, "looks", LOOKS) == "None"
    assert _told(either_host, tmp_path, packages, "installs", INSTALLS) == "cups"
    assert _told(either_host, tmp_path, packages, "looks", LOOKS) == "None"


NEIGHBOUR = """
import subprocess
import sys

def add(folder: str) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--find-links", folder, "parcel"], check=True)
"""
CALLS = """
from kedge import dsl

@dsl.component
def calls(folder: str) -> str:
    import tools
    tools.add(folder)
    import parcel
    return parcel.CONTENT
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a step has a view of its own on Linux only")
def test_what_a_neighbour_of_the_pipeline_installs_is_not_there_for_the_next_run(
    either_host: RunningHost, packages: Path, tmp_path: Path
) -> None:
    (tmp_path / "tools.py").write_text(NEIGHBOUR)
    assert _told(either_host, tmp_path, packages, "calls", CALLS) == "cups"
    assert _told(either_host, tmp_path, packages, "looks", LOOKS) == "None"
