"""Removes folders that containers have written to, whoever their files belong to.

A container of an ordinary user's podman writes files of ids that podman has for that user, when it is not its root: nobody but
podman, and the machine's root, may remove them.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


def remove(top: Path, environ: Mapping[str, str]) -> None:
    """Remove a folder and all that is in it, directories that their owner has closed too; what cannot be removed is left.

    Args:
        top: The folder.
        environ: What podman is run with, where it is needed.
    """
    shutil.rmtree(top, ignore_errors=True)
    if os.geteuid() == 0 or not top.is_dir() or top.is_symlink():
        return
    foreign = _open(top)
    shutil.rmtree(top, ignore_errors=True)
    podman = shutil.which("podman", path=environ.get("PATH", os.defpath))
    if foreign and podman and top.is_dir():
        command = [podman, "unshare", "rm", "-rf", "--", str(top)]
        subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=False, start_new_session=True)


def _open(top: Path) -> bool:
    """Open directories that their owner has closed; whether any belongs to somebody else."""
    foreign, user = False, os.geteuid()
    due = [top]
    while due:
        place = due.pop()
        with contextlib.suppress(OSError):
            foreign = foreign or place.stat().st_uid != user
            place.chmod(0o700)
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            due += [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return foreign
