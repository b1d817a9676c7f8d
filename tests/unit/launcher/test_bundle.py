"""The zipapp: equal to the byte for equal files, with the language under every name, and quick to import."""

import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from kedge.launcher import bundle


@pytest.fixture
def expanded(tmp_path: Path) -> Path:
    with zipfile.ZipFile(BytesIO(bundle.build())) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def test_two_builds_are_equal_to_the_byte() -> None:
    first = bundle.build()
    bundle.build.cache_clear()
    assert bundle.build() == first
    assert len(bundle.digest()) == 64


def test_it_fits_into_a_config_map() -> None:
    # Kubernetes takes 1 MiB, and binary data is a third longer in base64.
    assert len(bundle.build()) * 4 / 3 < 1 << 19


def test_it_holds_the_launcher_and_the_language_and_nothing_else() -> None:
    with zipfile.ZipFile(BytesIO(bundle.build())) as archive:
        names = archive.namelist()
    assert "__main__.py" in names
    assert {name.split("/")[0] for name in names} == {"__main__.py", "kedge", "kfp", "shell"}
    assert {name.split("/")[1] for name in names if name.startswith("kedge/")} == {"__init__.py", "dsl", "launcher"}
    assert "kedge/launcher/bundle.py" not in names
    assert not any("__pycache__" in name or "shims" in name for name in names)


def test_a_small_step_imports_nothing_that_takes_long(expanded: Path) -> None:
    slow = {
        "http",
        "ssl",
        "inspect",
        "hashlib",
        "shutil",
        "zipfile",
        "subprocess",
        "traceback",
        "dataclasses",
        "asyncio",
        "kedge.dsl.language",
    }
    code = f"import sys; sys.path.insert(0, {str(expanded)!r}); import kedge.launcher.__main__, kfp.dsl; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert slow & set(loaded) == set()
