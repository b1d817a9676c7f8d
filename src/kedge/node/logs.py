"""Reads what the supervisor has written of containers' output: `kedge.server.logs.LogSource`.

A log has two files, the older one with ``.1`` appended. While one is followed it may be renamed and replaced; the open file is
read to its end before the new one is opened, so no line is lost or shown twice. Where the beginning of a log is not kept any
more, its first line says how much is missing.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from kedge.errors import BadRequest
from kedge.kube.clock import Clock, parse_timestamp
from kedge.kube.kinds import Obj
from kedge.node.specs import log_path
from kedge.server.logs import LogOptions

_CHUNK = 1 << 16
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Shown:
    """A container's attempt as far as its log is concerned.

    Attributes:
        attempt: Its number.
        running: Whether it may still write.
    """

    attempt: int
    running: bool


class NodeLogs:
    """The logs of a node.

    Args:
        directory: Where Pods' directories are.
        clock: Waits between looks at a log that is followed.
        live: Says what is known of a container right now, by Pod uid and name; ``None`` when its Pod does not run.
    """

    def __init__(self, directory: Path, clock: Clock, live: Callable[[str, str], Shown | None]) -> None:
        self._directory = directory
        self._clock = clock
        self._live = live

    async def read(self, pod: Obj, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield a container's log; see `LogSource`."""
        uid = pod["metadata"]["uid"]
        path = self._find(pod, container, options)
        chooser = _Chooser(options)
        if options.tail is not None:
            lines, offset = await asyncio.to_thread(_tail, path, options.tail, chooser)
            yield b"".join(lines)
            reader = _Reader(path, offset)
        else:
            reader = _Reader(path, None)
        try:
            while not chooser.full:
                # Asked before reading: what a container wrote before it ended is there when it is seen to have ended.
                goes_on = options.follow and not options.previous and self._writes(uid, container, path)
                piece = reader.read()
                if piece:
                    if text := chooser.take(piece):
                        yield text
                    await asyncio.sleep(0)
                elif not goes_on:
                    return
                else:
                    await self._clock.sleep(_LOOK_SECONDS)
        finally:
            reader.close()

    def _find(self, pod: Obj, container: str, options: LogOptions) -> Path:
        name = pod["metadata"]["name"]
        directory = self._directory / pod["metadata"]["uid"]
        known = self._live(pod["metadata"]["uid"], container)
        attempts = sorted(
            int(path.name.split(".")[-2]) for path in directory.glob(f"{container}.*.log") if path.name.split(".")[-2].isdecimal()
        )
        status = _status(pod, container)
        if not attempts and not options.previous:
            raise BadRequest(f'container "{container}" in pod "{name}" is {_why_none(status)}')
        current = known.attempt if known and known.attempt in attempts else max(attempts, default=0)
        if options.previous:
            # While the next one waits to be started, the previous one is that which ended last.
            current -= 0 if _waits_for_its_next(status) else 1
            if current not in attempts:
                raise BadRequest(f'previous terminated container "{container}" in pod "{name}" not found')
        return log_path(directory, container, current)

    def _writes(self, uid: str, container: str, path: Path) -> bool:
        known = self._live(uid, container)
        return known is not None and known.running and path.name == f"{container}.{known.attempt}.log"


def _status(pod: Obj, container: str) -> Obj:
    status = pod.get("status") or {}
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if each["name"] == container:
            return each
    return {}


# What the kubelet says instead of these reasons.
_OF_IMAGES = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}


def _why_none(status: Obj) -> str:
    """Why a container has no log, in the kubelet's words."""
    state = status.get("state") or {}
    if state.get("terminated"):
        return "terminated"
    reason = (state.get("waiting") or {}).get("reason") or "ContainerCreating"
    return f"waiting to start: {_OF_IMAGES.get(reason, reason)}"


def _waits_for_its_next(status: Obj) -> bool:
    return bool((status.get("state") or {}).get("waiting") and (status.get("lastState") or {}).get("terminated"))


class _Chooser:
    """Turns stored lines into what was asked for."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._left = options.limit_bytes
        self._waits = options.since is not None
        self._cut = False  # a line that is too old goes on in the next part
        self._starts = True  # the next text begins a line, so its time is told
        self._first = True  # nothing of the log was seen yet

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return self._left is not None and self._left <= 0

    def wanted(self, line: bytes) -> bool:
        """Whether a stored line is to be shown: it is late enough, and tells of nothing that is there as missing."""
        first, self._first = self._first, False
        if not first and _is_told(line):
            return False
        since = self._options.since
        if since is None or not self._waits:
            return True
        continues, self._cut = self._cut, line.split(b" ", 3)[2:3] == [b"P"]
        if continues or _time_of(line) < since:  # a line in parts is as old as its first one
            return False
        self._waits = False  # lines are in order: all that follow are late enough
        return True

    def take(self, lines: bytes) -> bytes:
        """What to show of whole stored lines."""
        return self.show(b"\n".join(line for line in lines.split(b"\n") if line and self.wanted(line)))

    def show(self, lines: bytes) -> bytes:
        """Stored lines that are wanted, as they are shown."""
        out: list[bytes] = []
        for line in lines.split(b"\n"):  # and not at a carriage return, which is what the container wrote
            if len(parts := line.split(b" ", 3)) == 4:
                if self._options.timestamps and self._starts:
                    out.append(parts[0] + b" ")
                if parts[2] == b"D":
                    parts[3] = _missing(*map(int, parts[3].split()))
                self._starts = parts[2] != b"P"
                out.append(parts[3] + b"\n" if self._starts else parts[3])
        text = b"".join(out)
        if self._left is not None:
            text = text[: self._left]
            self._left -= len(text)
        return text


def _is_told(line: bytes) -> bool:
    """Whether a line is the supervisor's, about what was written before it."""
    return line.split(b" ", 3)[2:3] == [b"D"]


def _missing(count: int, limit: int) -> bytes:
    kept = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit:,} bytes"
    text = f"kedge: the first {count:,} bytes of this log are missing: {kept} are kept of a log (KEDGE_LOG_LIMIT of the host)."
    return text.encode()


def _time_of(line: bytes) -> datetime:
    # Nanoseconds are more than datetime reads before Python 3.11; the last three digits do not matter here.
    return parse_timestamp(line[:26].decode("ascii") + "Z")


class _Reader:
    """Reads whole lines of a log through its rotations.

    Args:
        path: The newer file.
        offset: Where to start in it; ``None`` for the beginning of the older one, if there is one.
    """

    def __init__(self, path: Path, offset: int | None) -> None:
        self._path = path
        self._rest = b""
        self._fd = -1
        if offset is None:
            self._open(path.with_name(path.name + ".1"))
        if self._fd < 0:
            self._open(path)
        if offset and self._fd >= 0:
            os.lseek(self._fd, offset, os.SEEK_SET)

    def read(self) -> bytes:
        """The next lines; empty when there are none now."""
        while True:
            data = os.read(self._fd, _CHUNK) if self._fd >= 0 else b""
            if data:
                lines, newline, self._rest = (self._rest + data).rpartition(b"\n")
                if newline:
                    return lines + newline
                continue
            if not self._next():
                return b""

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _next(self) -> bool:
        """Go on with the newer file when this one is not it, and all of it has been read."""
        try:
            current = self._path.stat()
        except FileNotFoundError:
            return False
        if self._fd >= 0:
            here = os.fstat(self._fd)
            if (here.st_dev, here.st_ino) == (current.st_dev, current.st_ino):
                return False
            if os.lseek(self._fd, 0, os.SEEK_CUR) < here.st_size:
                return True  # written between the read and the rotation
        self.close()
        self._open(self._path)
        return self._fd >= 0

    def _open(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._fd = -1


def _tail(path: Path, count: int, chooser: _Chooser) -> tuple[list[bytes], int]:
    """The last lines, ready to show, and where in the newer file they end."""
    kept: deque[list[bytes]] = deque(maxlen=count)  # each a line, in the parts that a long one is stored in
    ended, offset = True, 0
    for older, line in chain(
        ((True, line) for line in _lines(path.with_name(path.name + ".1"))), ((False, line) for line in _lines(path))
    ):
        offset += 0 if older else len(line)
        if not chooser.wanted(line):
            continue
        if ended:
            kept.append([line])
        elif kept:
            kept[-1].append(line)
        ended = line.split(b" ", 3)[2:3] != [b"P"]
    return [chooser.show(b"".join(parts)) for parts in kept], offset


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))
    except FileNotFoundError:
        return


def last_lines(path: Path, *, size: int = 2048, count: int = 80) -> str:
    """The end of a log as a termination message: at most so many bytes and lines.

    Args:
        path: The newer file.
        size: Bytes.
        count: Lines.
    """
    shown, _ = _tail(path, count, _Chooser(LogOptions()))
    return b"".join(shown)[-size:].decode("utf-8", "replace")
