"""Artifacts that an importer wants in the run's workspace: the first step that reads one brings it there, for all that follow.

The hub decides the path (``customPath``), and mounts the workspace where it is used.
"""

import os
from typing import Any, Mapping

from .errors import StepError
from .files import MANIFEST, make_parent, remove

_PLACE = "/kfp-workspace/.artifacts/"


def is_place(path: str) -> bool:
    """Whether an artifact's path is one in the workspace."""
    return path.startswith(_PLACE)


def bring(path: str, grant: Mapping[str, Any], name: str) -> None:
    """Have an artifact at its path in the workspace: whole, whoever else brings it at the same time.

    Args:
        path: Where to.
        grant: As ``begin`` gave it; nothing is done for an address that nobody here can read.
        name: The input's, for messages.

    Raises:
        StepError: It is not there.
        HubUnreachable: The store did not answer, or refused.
    """
    if os.path.lexists(path) or not (grant.get("path") or grant.get("url")):
        return
    make_parent(path)
    aside = f"{path}.{os.urandom(6).hex()}"
    try:
        if grant.get("path"):
            _copy(grant["path"], aside, name)
        else:
            from . import transfers  # most stores are folders

            transfers.download(aside, grant, name)
        try:
            os.rename(aside, path)
        except OSError:
            if not os.path.isdir(path):  # else another step was quicker with the same folder
                raise
    finally:
        remove(aside)
        remove(aside + MANIFEST)


def _copy(source: str, target: str, name: str) -> None:
    import shutil  # takes longer to import than a small step takes to run

    try:
        if os.path.isdir(source):
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copyfile(source, target)
    except FileNotFoundError:
        raise StepError(f"input {name!r}: nothing lies at {source}. Was it deleted?", "InputMissing") from None
