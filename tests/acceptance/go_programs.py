"""Servers that are Go modules: built when a test first needs one, and kept by their version in the cache."""

import shutil
import subprocess

import pytest

from kedge.config import Settings


def built(name: str, module: str, version: str) -> str:
    """The path of a program; the test is skipped where there is no Go to build it with.

    Args:
        name: The program's.
        module: What to build.
        version: Which.
    """
    settings = Settings.from_environment()
    found = settings.cache / "tests" / f"{name}-{version}" / name
    if not found.exists():
        go = shutil.which("go")
        if go is None:
            pytest.skip(f"there is no Go to build {name} with")
        environ = {**settings.environ, "GOBIN": str(found.parent)}
        subprocess.run([go, "install", "-trimpath", "-buildvcs=false", f"{module}@{version}"], env=environ, check=True)
    return str(found)
