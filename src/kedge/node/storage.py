"""Limits of local storage: what a Pod keeps on disk is measured now and then, and a Pod that keeps more than it may is evicted.

As the kubelet does, and in its words: between two looks a Pod may keep more.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kedge.kube import quantities
from kedge.kube.kinds import Obj
from kedge.node.volumes import own_place

EVICTED = "Evicted"
LOOK_SECONDS = 1.0
"""Between two looks; longer where a look takes long."""
_BLOCK = 512  # bytes, in which the system counts whatever the file system does


@dataclass(frozen=True, slots=True)
class Limit:
    """How much may be kept somewhere.

    Attributes:
        path: Where.
        most: Bytes.
        message: What is told when it is more.
    """

    path: Path
    most: int
    message: str


def limits_of(spec: Obj, directory: Path) -> tuple[Limit, ...]:
    """The limits that a Pod states.

    Args:
        spec: The Pod's spec.
        directory: The Pod's own directory, which holds all that it keeps: volumes, ``/tmp``, home, logs.
    """
    return (*_of_volumes(spec, directory), *_of_containers(spec, directory))


def _of_volumes(spec: Obj, directory: Path) -> Iterator[Limit]:
    for volume in spec.get("volumes") or ():
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit is not None and (most := int(quantities.parse(limit))):
            message = f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}".'
            yield Limit(own_place(directory, volume["name"]), most, message)


def _of_containers(spec: Obj, directory: Path) -> Iterator[Limit]:
    stated = [((each.get("resources") or {}).get("limits") or {}).get("ephemeral-storage") for each in spec["containers"]]
    limits = [limit for limit in stated if limit is not None]
    if limits:
        most = int(sum(quantities.parse(limit) for limit in limits))
        said = limits[0] if len(limits) == 1 else most
        yield Limit(directory, most, f"Pod ephemeral local storage usage exceeds the total limit of containers {said}.")


def exceeded(limits: tuple[Limit, ...]) -> str:
    """What is told of the first limit that is not kept; empty when all are. Reads directories: not for the event loop."""
    return next((limit.message for limit in limits if _used(limit.path, limit.most) > limit.most), "")


def _used(top: Path, enough: int) -> int:
    """Bytes on disk of a directory and all that is in it; counts no further than past ``enough``."""
    total, due = 0, [str(top)]
    while due and total <= enough:
        try:
            with os.scandir(due.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        due.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * _BLOCK
        except OSError:
            continue  # it has just been removed
    return total
