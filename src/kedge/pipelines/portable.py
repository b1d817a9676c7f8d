"""A run as one file: its pipeline, tasks, attempts, artifacts, logs, series and events, to be looked at and reused elsewhere.

The file is a gzipped tar, written and read as a stream, in bounded memory. `Bundle` comes first, as ``run.json``; then the bytes
of artifacts, logs and series, in the order in which it names them; last ``checksums.json``, without which the file is cut short.
Members are named by numbers, never by paths, so nothing that somebody else has written ever names a place on this machine.
"""

import asyncio
import hashlib
import io
import tarfile
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import Any

import msgspec

from kedge.artifacts.content import MANIFEST_SUFFIX
from kedge.errors import BadRequest, NotFound, StateError, TooLarge
from kedge.pipelines.archive import LogArchive
from kedge.pipelines.engine.types import Artifact, Task
from kedge.pipelines.history import History
from kedge.pipelines.pod_events import PodEvents
from kedge.pipelines.ports import Artifacts
from kedge.pipelines.records import ArtifactRecord, Attempt, Edge, PodEvent, RunRecord, Spec
from kedge.pipelines.series import PAGE, Point, Series, SeriesKey, Summary, in_json
from kedge.server.logs import LogOptions

VERSION = 3
UNDERSTOOD = (1, 2, 3)
"""Formats that are read; the first had no series, the second had each in one member, and neither had events."""
BLOCK = 512
RUN, CHECKSUMS = "run.json", "checksums.json"
_PIECE = 1 << 20
# A value takes a few bytes of JSON and a hundred of memory. The run of a loop over 100,000 items has half as many.
MOST_VALUES = 8_000_000


class Stored(msgspec.Struct, frozen=True):
    """An artifact whose bytes are in the file.

    Attributes:
        artifact: Its id.
        files: How many files it has, if it is a folder.
    """

    artifact: str
    files: int | None = None


class Log(msgspec.Struct, frozen=True):
    """The log of an attempt that is in the file."""

    task: str
    attempt: int


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """``run.json``.

    Attributes:
        version: Of the format.
        run: The run.
        spec: Its pipeline.
        tasks: All its rows.
        attempts: Of its steps.
        artifacts: Everything that it made or read.
        edges: Which task made or read what.
        stored: Whose bytes follow, in this order.
        logs: Which logs follow then.
        series: Of which series points follow then; one that is long is named several times in a row, with a part each.
        events: What was said of its Pods.
        earlier: What attempts ran before the run was resumed with another pipeline.
    """

    version: int
    run: RunRecord
    spec: Spec
    tasks: list[Task]
    attempts: list[Attempt]
    artifacts: list[ArtifactRecord]
    edges: list[Edge]
    stored: list[Stored]
    logs: list[Log]
    series: list[SeriesKey] = []
    events: list[PodEvent] = []
    earlier: list[Spec] = []


def content_name(number: int) -> str:
    """The member with the bytes of the how-manieth stored artifact, or the manifest of one that is a folder."""
    return f"artifacts/{number}"


def file_name(number: int, file: int) -> str:
    """The member with a file of a folder."""
    return f"artifacts/{number}.{file}"


def log_name(number: int) -> str:
    """The member with the how-manieth log."""
    return f"logs/{number}"


def series_name(number: int) -> str:
    """The member with the points that belong to the how-manieth entry of `Bundle.series`."""
    return f"series/{number}"


class Exports:
    """Writes runs as files.

    Args:
        history: Where they are.
        artifacts: Where their artifacts lie.
        logs: Where their logs lie.
        series: Keeps the points of their metrics.
        events: Keeps what was said of their Pods.
    """

    def __init__(self, history: History, artifacts: Artifacts, logs: LogArchive, *, series: Series, events: PodEvents) -> None:
        self._history = history
        self._artifacts = artifacts
        self._logs = logs
        self._series = series
        self._events = events

    async def open(self, run_id: str) -> AsyncGenerator[bytes]:
        """Begin to write a run; yields the file in pieces.

        Raises:
            NotFound: There is no such run.
            BadRequest: It is not over.
        """
        record = self._history.run(run_id)
        if record is None:
            raise NotFound(f"run {run_id!r} not found. `kedge runs list` shows those that exist.")
        if not record.finished:
            raise BadRequest(f"run {run_id!r} is {record.state}: only one that is over can be exported. Wait for its end.")
        spec = self._history.spec(record.spec_digest)
        if spec is None:
            raise BadRequest(f"run {run_id!r} has lost its pipeline, so it cannot be exported.")
        series = self._series.summaries(run_id)
        bundle = await self._bundle(record, spec, series)
        return self._compressed(self._members(bundle, series))

    async def _bundle(self, record: RunRecord, spec: Spec, series: Sequence[Summary]) -> Bundle:
        edges = self._history.edges(record.id)
        found = (self._history.artifact(each) for each in dict.fromkeys(edge.artifact for edge in edges))
        artifacts = [each for each in found if each is not None]
        stored: list[Stored] = []
        for each in artifacts:
            if self._artifacts.place_fault(each.artifact.uri, record.namespace):
                continue
            if each.artifact.digest and await self._artifacts.exists(each.artifact.uri):
                is_folder = await self._artifacts.exists(each.artifact.uri + MANIFEST_SUFFIX)
                files = len(await self._artifacts.files(each.artifact.uri)) if is_folder else None
                stored.append(Stored(each.id, files))
        attempts = self._history.attempts(record.id)
        logs = [Log(each.task, each.number) for each in attempts if await self._logs.kept(record, each.task, each.number)]
        digests = dict.fromkeys(each.spec_digest for each in attempts if each.spec_digest not in ("", spec.digest))
        return Bundle(
            version=VERSION,
            earlier=[found for digest in digests if (found := self._history.spec(digest)) is not None],
            run=record,
            spec=spec,
            tasks=self._history.tasks(record.id),
            attempts=attempts,
            artifacts=artifacts,
            edges=edges,
            stored=stored,
            logs=logs,
            series=[each.key for each in series for _ in range(_parts(each))],
            events=self._events.of_run(record.id),
        )

    async def _members(self, bundle: Bundle, series: Sequence[Summary]) -> AsyncGenerator[bytes]:
        """The tar, uncompressed."""
        sums: dict[str, str] = {}
        artifacts = {each.id: each for each in bundle.artifacts}
        async for piece in _member(RUN, msgspec.json.encode(bundle), sums):
            yield piece
        for number, stored in enumerate(bundle.stored):
            async for piece in self._artifact(number, stored, artifacts[stored.artifact].artifact, sums):
                yield piece
        for number, log in enumerate(bundle.logs):
            size = sum([len(piece) async for piece in self._log(bundle.run, log)])
            async for piece in _streamed(log_name(number), size, self._log(bundle.run, log), sums):
                yield piece
        number = 0
        async for points in self._points(series):
            text = msgspec.json.encode([(point.step, point.at, in_json(point.value)) for point in points])
            async for piece in _member(series_name(number), text, sums):
                yield piece
            number += 1
        async for piece in _member(CHECKSUMS, msgspec.json.encode(sums), {}):
            yield piece
        yield bytes(2 * BLOCK)

    def _log(self, run: RunRecord, log: Log) -> AsyncIterator[bytes]:
        return self._logs.read(run, log.task, log.attempt, LogOptions(timestamps=True))

    async def _points(self, series: Iterable[Summary]) -> AsyncGenerator[Sequence[Point]]:
        """The parts of series, as many as `_parts` says."""
        for each in series:
            left = _parts(each)
            async for page in self._series.pages(each):
                if left:
                    left -= 1
                    yield page
            for _ in range(left):
                yield []

    async def _artifact(self, number: int, stored: Stored, artifact: Artifact, sums: dict[str, str]) -> AsyncGenerator[bytes]:
        if stored.files is None:
            source = self._artifacts.read(artifact.uri)
            async for piece in _streamed(content_name(number), artifact.size or 0, source, sums, artifact.uri):
                yield piece
            return
        text = b"".join([piece async for piece in self._artifacts.read(artifact.uri + MANIFEST_SUFFIX)])
        async for piece in _member(content_name(number), text, sums):
            yield piece
        for position, file in enumerate(await self._artifacts.files(artifact.uri)):
            source, where = self._artifacts.read(artifact.uri, file.path), f"{artifact.uri} {file.path}"
            async for piece in _streamed(file_name(number, position), file.size, source, sums, where):
                yield piece

    @staticmethod
    async def _compressed(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        packer = zlib.compressobj(level=1, wbits=31)
        waiting = bytearray()
        async for piece in pieces:
            waiting += piece
            if len(waiting) >= _PIECE:  # on a thread: others are not to wait for it
                if made := await asyncio.to_thread(packer.compress, bytes(waiting)):
                    yield made
                waiting.clear()
        yield packer.compress(bytes(waiting)) + packer.flush()


def _parts(series: Summary) -> int:
    """How many members hold the points of a series."""
    return -(-series.count // PAGE)


async def _streamed(
    name: str, size: int, source: AsyncIterator[bytes], sums: dict[str, str], where: str = ""
) -> AsyncGenerator[bytes]:
    """One member of a known size, and where its digest goes."""
    yield _header(name, size)
    digest, done = hashlib.sha256(), 0
    async for piece in source:
        digest.update(piece)
        done += len(piece)
        if done > size:
            break
        yield piece
    if done != size:  # the answer breaks off, which tells whoever reads it
        raise StateError(f"{where or name}: has {done} bytes, though it had {size}. Was it changed?")
    sums[name] = digest.hexdigest()
    yield _padding(size)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


async def _member(name: str, content: bytes, sums: dict[str, str]) -> AsyncGenerator[bytes]:
    sums[name] = hashlib.sha256(content).hexdigest()
    yield _header(name, len(content))
    view = io.BytesIO(content)
    while piece := view.read(_PIECE):
        yield piece
    yield _padding(len(content))


def read_json(text: bytes, kind: Any, name: str) -> Any:
    """Read one of the JSON members.

    Raises:
        TooLarge: It would fill the memory: a file that is small when it is packed can hold millions of empty lists.
        BadRequest: It is no JSON, or not what it must be.
    """
    if (values := sum(map(text.count, (b",", b"[", b"{")))) > MOST_VALUES:
        raise TooLarge(f"{name}: holds {values:,} values; at most {MOST_VALUES:,} are read.")
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest(f"the file is no exported run: its {name} cannot be read: {error}.") from error
