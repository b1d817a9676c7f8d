"""Environments in which tests run unmodified clients: made once for each set of requirements, then kept in the cache."""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

CACHE = Path.home() / ".cache" / "kedge" / "test-envs"


def client_environment(name: str, requirements: list[str], *, python: str = sys.executable) -> Path:
    """An environment that holds these packages and nothing of Kedge.

    Args:
        name: For people who look into the cache.
        requirements: As pip takes them; pin them, the environment is made once.
        python: The interpreter that it is made for.

    Returns:
        Its interpreter.

    Raises:
        RuntimeError: The packages cannot be installed; has the resolver's own words.
    """
    content = json.dumps([sorted(requirements), python, sys.version], sort_keys=True)
    folder = CACHE / f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    found = folder / "bin" / "python"
    ready = folder / ".ready"
    CACHE.mkdir(parents=True, exist_ok=True)
    # Several test processes may want it at once; the first one makes it.
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _uv("venv", "--quiet", "--python", python, str(folder))
            _uv("pip", "install", "--quiet", "--python", str(found), *requirements)
            ready.touch()
    return found


def _uv(*arguments: str) -> None:
    done = subprocess.run([find_uv_bin(), *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(arguments[:2])} failed:\n{done.stderr}")
