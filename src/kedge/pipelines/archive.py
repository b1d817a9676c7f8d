"""Logs of ended steps, kept in the artifact store: they can be read when the Pod and its directory are long gone.

What the steps used of processors and memory, which a node writes into their Pods, is kept at the same moment, in the history.

A log is copied when no step has ended for a moment, one after another and off every run's path: no step waits for it, and a
store that is away is tried again. A host that ended before it came to a log does so when it starts again. The copy lies beside
the step's outputs, as ``executor-logs``; each line begins with the time it was written.
"""

import asyncio
import io
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kedge.client.types import Reader, pages
from kedge.control.background import Background
from kedge.control.quiet import Quiet
from kedge.errors import KedgeError, NotFound, TooManyRequests, Unavailable
from kedge.kube.clock import Clock, parse_timestamp
from kedge.kube.core import POD
from kedge.kube.kinds import Obj
from kedge.pipelines import observations
from kedge.pipelines.history import History
from kedge.pipelines.kinds import RECORDED_LABEL
from kedge.pipelines.observations import MAIN
from kedge.pipelines.ports import Artifacts, StepLogs
from kedge.pipelines.records import RunRecord
from kedge.server.logs import LogOptions

NAME = "executor-logs"
# Seconds since the last step has ended: its process may be on its way out, and the steps after it come first.
_QUIET = 1.0
_LONGEST = 10.0  # seconds that a log waits where steps end without a pause
_RETRY = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the archive is made of.

    Attributes:
        reader: Where Pods are.
        logs: Reads the logs of Pods that are there.
        artifacts: Where logs go.
        history: Knows where a run's artifacts lie.
        clock: Waits.
        measured: Whether nodes write into Pods what their containers used, so that it is worth being looked for.
    """

    reader: Reader
    logs: StepLogs | None
    artifacts: Artifacts
    history: History
    clock: Clock
    measured: bool = True


class LogArchive:
    """Copies and reads logs.

    Args:
        parts: What it is made of.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._waiting: asyncio.Queue[Obj] = asyncio.Queue()
        self._background = Background("logs of ended steps")
        self._quiet = Quiet(parts.clock, _QUIET, longest=_LONGEST)

    @property
    def measured(self) -> bool:
        """Whether nodes count what steps use, and say it in their Pods."""
        return self._parts.measured

    def settled(self, pod: Obj) -> None:
        """A Pod's result is recorded: copy its log, later."""
        self._quiet.stir()
        self._waiting.put_nowait(_named(pod))

    async def start(self) -> None:
        """Begin to copy, first what was not copied when the host ended."""
        if self._parts.logs is not None:
            self._background.start(self._run())

    async def stop(self) -> None:
        """Stop; the rest is copied at the next start."""
        await self._background.stop()

    async def kept(self, record: RunRecord, task: str, attempt: int) -> bool:
        """Whether the log of an attempt is kept."""
        return await self._parts.artifacts.exists(address(record, task, attempt))

    async def read(self, record: RunRecord, task: str, attempt: int, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield the log of an attempt: as much of it as is asked for, in pieces, however long a line is.

        Raises:
            NotFound: It is not kept; raised before the first piece.
        """
        uri = address(record, task, attempt)
        first = 0
        if options.tail is not None:
            ends = [piece.count(b"\n") async for piece in self._parts.artifacts.read(uri)]
            first = max(0, sum(ends) - options.tail)
        stored = _Stored(options, first)
        async for piece in self._parts.artifacts.read(uri):
            yield stored.take(piece)

    async def _run(self) -> None:
        labels = f"{RECORDED_LABEL}=true"
        try:
            async for page in pages(self._parts.reader, POD, labels=labels):
                for pod in page.items:
                    await self._parts.clock.sleep(0)
                    if await self._missing(pod):
                        self._waiting.put_nowait(_named(pod))
        except KedgeError as error:
            _log.warning("logs of steps that ended before this start are not copied", extra={"error": str(error)})
        while True:
            pods = [await self._waiting.get()]
            await self._quiet.wait()
            while not self._waiting.empty():
                pods.append(self._waiting.get_nowait())
            for pod in pods:
                await self._try_to_copy(pod)

    async def _try_to_copy(self, pod: Obj) -> None:
        await self._parts.clock.sleep(0)
        try:
            if self._parts.measured:
                await self._note_used(pod)
            await self._copy(pod)
        except (KedgeError, OSError) as error:
            _log.warning("a log waits to be copied", extra={**_about(pod), "error": str(error)})
            self._waiting.put_nowait(pod)
            await self._parts.clock.sleep(_RETRY)

    async def _note_used(self, pod: Obj) -> None:
        """Keep what a Pod says of what its step used; one that is gone, or says nothing, is passed over."""
        metadata = pod["metadata"]
        with suppress(NotFound):
            now = await self._parts.reader.get(POD, metadata["name"], metadata["namespace"])
            if now["metadata"]["uid"] == metadata["uid"] and (used := observations.used(now)) is not None:
                self._parts.history.note_used(metadata["uid"], *used)

    async def _missing(self, pod: Obj) -> str:
        """Where the log of a Pod is to be copied to; ``""`` when it is there, or nobody wants it any more."""
        uri = self._wanted(pod)
        return "" if not uri or await self._parts.artifacts.exists(uri) else uri

    def _wanted(self, pod: Obj) -> str:
        """Where the log of a Pod belongs; ``""`` when nobody wants it any more."""
        reference = observations.reference(pod)
        record = self._parts.history.run(reference.run) if reference is not None else None
        if reference is None or record is None or record.namespace != reference.namespace:
            return ""
        return address(record, reference.task, reference.attempt)

    async def _copy(self, pod: Obj) -> None:
        uri = self._wanted(pod)  # the store is asked when there is something to copy
        if not uri:
            return
        copy = self._parts.artifacts.scratch() / f"log-{pod['metadata']['uid']}"
        try:
            if await self._written(pod, copy) and await self._missing(pod):  # its run was not deleted meanwhile
                await self._parts.artifacts.take(uri, "", copy)
        finally:
            copy.unlink(missing_ok=True)

    async def _written(self, pod: Obj, copy: Path) -> bool:
        """Write the log of a Pod to a file; ``False`` where it never started, or its directory is gone already.

        Raises:
            Unavailable, TooManyRequests: Not now.
        """
        if self._parts.logs is None:
            return False
        try:
            with copy.open("wb") as file:  # a local file, in pieces of 64 KiB
                async for piece in self._parts.logs.read(pod, MAIN, LogOptions(timestamps=True)):
                    file.write(piece)
        except (Unavailable, TooManyRequests):
            raise
        except KedgeError:
            return False
        return True


class _Stored:
    """Turns pieces of a kept log, which may end anywhere, into what is asked for.

    Args:
        options: What part.
        skip: How many lines to leave out at the beginning.
    """

    def __init__(self, options: LogOptions, skip: int) -> None:
        self._options = options
        self._skip = skip
        self._time: bytes | None = b""  # of writing, as far as it has come; it begins each line and ends with a space
        self._since = options.since
        self._shown = False

    def take(self, piece: bytes) -> bytes:
        """What to show of the next piece."""
        text: list[bytes] = []
        for part in io.BytesIO(piece):
            rest = part
            if self._time is not None:
                head, space, rest = part.partition(b" ")
                self._time += head
                if not space:
                    continue
                self._begin(self._time)
                if self._shown and self._options.timestamps:
                    text.append(self._time + b" ")
                self._time = None
            if self._shown:
                text.append(rest)
            if part.endswith(b"\n"):
                self._time = b""
        return b"".join(text)

    def _begin(self, moment: bytes) -> None:
        """Decide about the line that begins."""
        if self._since is not None and parse_timestamp(moment.decode("ascii")) >= self._since:
            self._since = None  # lines are in order: all that follow are late enough
        self._shown = self._skip <= 0 and self._since is None
        self._skip -= 1


def _named(pod: Obj) -> Obj:
    """What is held of a Pod until its log is copied: thousands may wait where steps end without a pause."""
    metadata = pod["metadata"]
    names = ("name", "namespace", "uid", "labels", "annotations")
    return {"metadata": {name: metadata[name] for name in names if name in metadata}}


def _about(pod: Obj) -> dict[str, str]:
    """Fields of a line that is about a step's Pod."""
    reference, meta = observations.reference(pod), pod["metadata"]
    step = {"run_id": reference.run, "task_id": reference.task} if reference is not None else {}
    return {**step, "pod": meta["name"], "namespace": meta["namespace"]}


def address(record: RunRecord, task: str, attempt: int) -> str:
    """Where the log of an attempt is kept: beside its outputs."""
    return f"{record.pipeline_root.rstrip('/')}/{record.id}/{task or 'root'}/{attempt}/{NAME}"
