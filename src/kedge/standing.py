"""How a host is: its processes, what waits to run, what lies where, and how much room there is. For its owner's eyes.

What is quick to find out is looked at when somebody asks. Folders are gone through in the background, in a thread, now and then,
and their figures have an age; a bucket is never listed.
"""

import asyncio
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kedge import __version__, processes
from kedge.artifacts.uris import local_path
from kedge.config import Settings
from kedge.control.figures import Figure
from kedge.db.sqlite import size as file_size
from kedge.kube.clock import Clock, timestamp
from kedge.node.agent import NodeAgent
from kedge.node.pressure import room
from kedge.pipelines.archive import NAME as LOG
from kedge.pipelines.feature import Feature

_SECONDS = 10.0
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a host is reached.

    Attributes:
        http: The REST API and the pages.
        https: The Kubernetes API.
    """

    http: str
    https: str


@dataclass(frozen=True, slots=True)
class Heap:
    """What lies in a folder.

    Attributes:
        name: What it is.
        place: The folder.
        only: The one name of the files that count; ``""`` for all.
    """

    name: str
    place: Path
    only: str = ""


class Standing:
    """Tells how a host is.

    Args:
        settings: Where it keeps things.
        feature: Pipelines.
        addresses: Where it is reached.
        clock: The time.
        node: The node; ``None`` where a cluster has them.

    Attributes:
        version: Kedge's.
        started_at: RFC 3339.
    """

    def __init__(
        self, settings: Settings, feature: Feature, addresses: Addresses, clock: Clock, *, node: NodeAgent | None = None
    ) -> None:
        self.version = __version__
        self.started_at = timestamp(clock.now())
        self._settings = settings
        self._feature = feature
        self._addresses = addresses
        self._node = node
        self._root = settings.artifacts.rstrip("/") or (settings.home / "artifacts").as_uri()
        self._ending = threading.Event()
        self._heaps = [(heap, Figure(heap.name, partial(self._weigh, heap), clock, seconds=_SECONDS)) for heap in self._what()]
        self._history_size = Figure("size of the history", self._weigh_history, clock, seconds=_SECONDS)

    async def told(self) -> Json:
        """All of it."""
        counts = self._feature.live_tasks()
        found: Json = {
            "hub": {**self._process(None), "pid": os.getpid(), **self._reached(), "data_dir": str(self._settings.home)},
            "tasks": {state.lower(): counts.get(state, 0) for state in ("PENDING", "RUNNING")},
            "artifact_root": self._root,
            "stored": [*self._objects(), await self._history(), *await asyncio.gather(*map(self._folder, self._heaps))],
            "disks": list(self._disks()),
        }
        if self._node is not None:
            waiting, running = self._node.load
            pid = self._node.supervisor_pid
            found["supervisor"] = {"connected": self._node.connected, **({"pid": pid, **self._process(pid)} if pid else {})}
            found["pods"] = {"waiting": waiting, "admitted": running}
        return found

    async def stop(self) -> None:
        """Count no more."""
        self._ending.set()
        for figure in (self._history_size, *(figure for _, figure in self._heaps)):
            await figure.stop()

    def _reached(self) -> Json:
        return {"http": self._addresses.http, "https": self._addresses.https}

    def _process(self, pid: int | None) -> Json:
        used = {"memory_bytes": processes.memory(pid), "cpu_seconds": processes.cpu_seconds(pid)}
        return {name: value for name, value in used.items() if value is not None}

    def _what(self) -> Iterator[Heap]:
        """The folders that are gone through; none where nothing of it lies on this machine."""
        if (folder := local_path(self._root)) is not None:
            yield Heap("logs", folder, LOG)
        if self._node is not None:
            yield Heap("volumes", self._settings.claims)
            yield Heap("pods", self._settings.home / "node" / "pods")
            yield Heap("environments", self._settings.cache)

    def _objects(self) -> Iterator[Json]:
        if self._node is not None:
            objects = self._settings.home / "objects.db"
            yield {"name": "objects", "place": str(objects), "bytes": file_size(objects)}

    async def _history(self) -> Json:
        found: Json = {"name": "history", "place": self._feature.database.place}
        if (known := await self._history_size.known()) is not None:
            found |= {"bytes": known.value, "counted_at": timestamp(known.at)}
        return found

    async def _folder(self, of: tuple[Heap, "Figure[tuple[int, int]]"]) -> Json:
        heap, figure = of
        found: Json = {"name": heap.name, "place": str(heap.place)}
        if (known := await figure.known()) is not None:
            number, size = known.value
            found |= {"number": number, "bytes": size, "counted_at": timestamp(known.at)}
        return found

    def _disks(self) -> Iterator[Json]:
        """Each disk once, with what lies there."""
        places: dict[str, Path] = {"data": self._settings.home}
        if (folder := local_path(self._root)) is not None:
            places["artifacts"] = folder
        if self._node is not None:
            places["environments"] = self._settings.cache
        by_disk: dict[int, list[str]] = {}
        for name, place in places.items():
            there = next(each for each in (place, *place.parents) if each.exists())
            by_disk.setdefault(there.stat().st_dev, []).append(name)
        for names in by_disk.values():
            place = places[names[0]]
            if (found := room(place, self._settings.least_disk)) is not None:
                sizes = {"total_bytes": found.total, "free_bytes": found.free, "state": found.state}
                yield {"place": str(place), "holds": names, **sizes}

    async def _weigh_history(self) -> int:
        return self._feature.database.size()

    async def _weigh(self, heap: Heap) -> tuple[int, int]:
        return await asyncio.to_thread(weigh, heap.place, heap.only, self._ending)


def weigh(folder: Path, only: str = "", ending: threading.Event | None = None) -> tuple[int, int]:
    """How many files there are in a folder, at any depth, and their bytes; one of several names counts once.

    Args:
        folder: Which; one that is not there is empty.
        only: The name of the files that count; ``""`` for all.
        ending: When set, it stops where it is.
    """
    number = size = 0
    known: set[tuple[int, int]] = set()
    waiting = [str(folder)]
    while waiting and not (ending is not None and ending.is_set()):
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif not only or entry.name == only:
                        found = entry.stat(follow_symlinks=False)
                        if found.st_nlink > 1:
                            if (found.st_dev, found.st_ino) in known:
                                continue
                            known.add((found.st_dev, found.st_ino))
                        number, size = number + 1, size + found.st_size
        except OSError:  # it went meanwhile, or is not ours to read
            continue
    return number, size
