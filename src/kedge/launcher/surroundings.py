"""What a step's function may import: packages, where no node installed them, and the modules beside the pipeline file."""

import os
import subprocess
import sys
from typing import Dict, List

from .errors import LauncherError, StepError
from .step import Code, Step, tmp


def prepare(step: Step, code: Code) -> None:
    """Put everything that the function imports on ``sys.path``.

    Raises:
        StepError: A package cannot be installed; carries the installer's own words.
        LauncherError: The project's code is not there.
    """
    if code.packages and os.environ.get("KEDGE_PACKAGES_INSTALLED") != "1":
        sys.path.insert(0, _install(code))
    if code.project:
        sys.path.insert(0, _project(step))


def _project(step: Step) -> str:
    grant = step.grants.get("project") or {}
    if grant.get("path"):
        return str(grant["path"])
    if grant.get("url"):
        return _unpacked(grant)
    raise LauncherError(
        "this step imports modules of its project, but the hub gave no access to them. Submit the pipeline again."
    )


def _unpacked(grant: Dict[str, str]) -> str:
    """Fetch the project and unpack it: its modules may read the files beside them."""
    import zipfile

    from . import transfers  # a node that shares the hub's folder needs none of this

    folder = os.path.join(tmp(), "project")
    archive = folder + ".zip"
    transfers.download(archive, {"uri": "the hub's store", **grant}, "project")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    os.remove(archive)
    return folder


def _install(code: Code) -> str:
    target = os.path.join(tmp(), "packages")
    argv: List[str] = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--target",
        target,
    ]
    for number, url in enumerate(code.index_urls):
        argv += ["--extra-index-url" if number else "--index-url", url]
    for host in code.trusted_hosts:
        argv += ["--trusted-host", host]
    done = subprocess.run([*argv, *code.packages], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        said = done.stdout.decode("utf-8", "replace").strip()
        raise StepError(
            f"the step's packages ({', '.join(code.packages)}) could not be installed: {said}", "PackagesNotInstalled"
        )
    return target
