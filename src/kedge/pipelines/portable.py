"""A run as one file: its pipeline, tasks, attempts, artifacts and logs, to be looked at and reused on another host.

The file is a gzipped tar, written and read as a stream, in bounded memory. `Bundle` comes first, as ``run.json``; then the bytes
of artifacts and logs, in the order in which it names them; last ``checksums.json``, without which the file is cut short. Members
are named by numbers, never by paths, so that nothing of what somebody else has written ever names a place on this machine.
"""

import asyncio
import hashlib
import io
import tarfile
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec

from kedge.artifacts.content import MANIFEST_SUFFIX
from kedge.errors import BadRequest, NotFound, StateError
from kedge.pipelines.archive import LogArchive
from kedge.pipelines.engine.types import Artifact, Task
from kedge.pipelines.history import History
from kedge.pipelines.ports import Artifacts
from kedge.pipelines.records import ArtifactRecord, Attempt, Edge, RunRecord, Spec
from kedge.pipelines.series import Series, SeriesKey, in_json
from kedge.server.logs import LogOptions

VERSION = 2
UNDERSTOOD = (1, 2)
"""Formats that are read; the first had no series."""
BLOCK = 512
RUN, CHECKSUMS = "run.json", "checksums.json"
_PIECE = 1 << 20


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
        series: Of which series the points follow then.
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
    """The member with the points of the how-manieth series."""
    return f"series/{number}"


class Exports:
    """Writes runs as files.

    Args:
        history: Where they are.
        artifacts: Where their artifacts lie.
        logs: Where their logs lie.
        series: Keeps the points of their metrics.
    """

    def __init__(self, history: History, artifacts: Artifacts, logs: LogArchive, series: Series) -> None:
        self._history = history
        self._artifacts = artifacts
        self._logs = logs
        self._series = series

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
        bundle = await self._bundle(record, spec)
        return self._compressed(self._members(bundle))

    async def _bundle(self, record: RunRecord, spec: Spec) -> Bundle:
        edges = self._history.edges(record.id)
        found = (self._history.artifact(each) for each in dict.fromkeys(edge.artifact for edge in edges))
        artifacts = [each for each in found if each is not None]
        stored: list[Stored] = []
        for each in artifacts:
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
            series=[each.key for each in self._series.summaries(record.id)],
        )

    async def _members(self, bundle: Bundle) -> AsyncGenerator[bytes]:
        """The tar, uncompressed."""
        sums: dict[str, str] = {}
        artifacts = {each.id: each for each in bundle.artifacts}
        async for piece in _member(RUN, msgspec.json.encode(bundle), sums):
            yield piece
        for number, stored in enumerate(bundle.stored):
            async for piece in self._artifact(number, stored, artifacts[stored.artifact].artifact, sums):
                yield piece
        for number, log in enumerate(bundle.logs):
            text = b"".join(
                [piece async for piece in self._logs.read(bundle.run, log.task, log.attempt, LogOptions(timestamps=True))]
            )
            async for piece in _member(log_name(number), text, sums):
                yield piece
        points = {each.key: each for each in self._series.summaries(bundle.run.id)} if bundle.series else {}
        for number, key in enumerate(bundle.series):
            found = await self._series.points(points[key]) if key in points else []
            text = msgspec.json.encode([(point.step, point.at, in_json(point.value)) for point in found])
            async for piece in _member(series_name(number), text, sums):
                yield piece
        async for piece in _member(CHECKSUMS, msgspec.json.encode(sums), {}):
            yield piece
        yield bytes(2 * BLOCK)

    async def _artifact(self, number: int, stored: Stored, artifact: Artifact, sums: dict[str, str]) -> AsyncGenerator[bytes]:
        if stored.files is None:
            async for piece in self._streamed(content_name(number), artifact.size or 0, artifact.uri, "", sums):
                yield piece
            return
        text = b"".join([piece async for piece in self._artifacts.read(artifact.uri + MANIFEST_SUFFIX)])
        async for piece in _member(content_name(number), text, sums):
            yield piece
        for position, file in enumerate(await self._artifacts.files(artifact.uri)):
            async for piece in self._streamed(file_name(number, position), file.size, artifact.uri, file.path, sums):
                yield piece

    async def _streamed(  # one file, and where its digest goes
        self, name: str, size: int, uri: str, path: str, sums: dict[str, str]
    ) -> AsyncGenerator[bytes]:
        yield _header(name, size)
        digest, done = hashlib.sha256(), 0
        async for piece in self._artifacts.read(uri, path):
            digest.update(piece)
            done += len(piece)
            if done > size:
                break
            yield piece
        if done != size:  # the answer breaks off, which tells whoever reads it
            raise StateError(f"{uri} {path}: has {done} bytes, though {size} were committed. Was it changed?")
        sums[name] = digest.hexdigest()
        yield _padding(size)

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
    """Read one of the JSON members; raises `errors.BadRequest`."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequest(f"the file is no exported run: its {name} cannot be read: {error}.") from error
