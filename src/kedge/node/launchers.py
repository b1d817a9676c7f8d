"""Recognises a step that runs Kedge's launcher, and runs it from an expanded copy: bytecode is cached there, and it can be warm.

That is the same program: the zipapp holds nothing but these files.
"""

import hashlib
import os
import re
import shutil
import zipfile
from pathlib import Path, PurePath

from kedge.kube.kinds import Obj
from kedge.node.volumes import Volumes

_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_FILE = "launcher.pyz"
_PREFIX = "kedge-launcher-"
_STAGING = {"stage-in", "stage-out"}


def recognise(pod: Obj, container: Obj) -> str | None:
    """The volume that a container's command takes the launcher from, or ``None`` when it runs something else."""
    command = container.get("command") or []
    if len(command) != 2 or not _PYTHON.fullmatch(command[0]) or PurePath(command[1]).name != _FILE:
        return None
    place = str(PurePath(command[1]).parent)
    for mount in container.get("volumeMounts") or ():
        if os.path.normpath(mount["mountPath"]) == place and not (mount.get("subPath") or mount.get("subPathExpr")):
            for volume in pod["spec"].get("volumes") or ():
                if volume["name"] == mount["name"] and (volume.get("configMap") or {}).get("name", "").startswith(_PREFIX):
                    return mount["name"]
    return None


def brings_one(pod: Obj) -> bool:
    """Whether a Pod has the launcher in one of its volumes: it is a step of ours, and some container of it runs the launcher."""
    return any((each.get("configMap") or {}).get("name", "").startswith(_PREFIX) for each in pod["spec"].get("volumes") or ())


def stages(pod: Obj, container: Obj) -> bool:
    """Whether a container is one that Kedge adds to a step, to bring its files to it and away from it."""
    return (container.get("args") or [""])[0] in _STAGING and recognise(pod, container) is not None


class Launchers:
    """Expanded launchers, by content.

    Args:
        directory: Where they are; several hosts may share it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._expanded: dict[Path, Path] = {}

    def expand(self, volumes: Volumes, volume: str) -> Path | None:
        """The directory of the launcher in a volume; ``None`` when there is none in it."""
        source = volumes.paths[volume] / _FILE
        if (known := self._expanded.get(source)) is not None and known.exists():
            return known
        try:
            digest = hashlib.sha256(source.read_bytes()).hexdigest()[:20]
        except FileNotFoundError:
            return None
        path = self._directory / digest
        if not path.exists():
            aside = self._directory / f"{digest}.{os.getpid()}.new"
            shutil.rmtree(aside, ignore_errors=True)
            with zipfile.ZipFile(source) as archive:
                archive.extractall(aside)
            for program in (aside / "shell" / "bin").glob("*"):
                program.chmod(0o755)
            try:
                aside.rename(path)
            except OSError:  # another host has done it meanwhile
                shutil.rmtree(aside, ignore_errors=True)
        self._expanded[source] = path
        return path
