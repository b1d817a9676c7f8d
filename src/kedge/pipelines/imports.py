"""Taking in a run that another host has exported.

Nothing in the file is trusted. It is read as a stream and checked while it comes: only members that ``run.json`` leads to, in
their order, regular files of the sizes and digests that it says, and no more bytes than may be. All of it is in place and every
checksum agrees before the history hears of the run; until then it is not there, and what was written is deleted again, by the
next start if the hub is killed.
"""

import asyncio
import hashlib
import re
import tarfile
import tempfile
import zlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from msgspec.structs import replace
from sqlalchemy.engine import Connection

from kedge.artifacts import content
from kedge.artifacts.content import MANIFEST_SUFFIX, MAX_MANIFEST
from kedge.artifacts.staging import SentPoint
from kedge.errors import AlreadyExists, BadRequest, TooLarge
from kedge.pipelines import documents, ir, portable, tags
from kedge.pipelines.adoption import segment
from kedge.pipelines.archive import address
from kedge.pipelines.catalog import Catalog
from kedge.pipelines.deletions import Deletions
from kedge.pipelines.engine.types import Artifact, Values
from kedge.pipelines.history import History
from kedge.pipelines.pod_events import PodEvents
from kedge.pipelines.portable import BLOCK, CHECKSUMS, RUN, Bundle
from kedge.pipelines.ports import Artifacts
from kedge.pipelines.records import Changes, RunRecord, Spec
from kedge.pipelines.series import Points, Series

UNPACKED_LIMIT = 256 << 30
"""Bytes of all members together."""
_DOCUMENT_LIMIT = 256 << 20
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,99}")
_PIECE = 1 << 20


class Imports:
    """Takes in runs.

    Args:
        history: Where they go.
        catalog: Has the experiment that they go to.
        artifacts: Where their artifacts go.
        series: Keeps the points of their metrics.
        events: Keeps what was said of their Pods.
        deletions: Deletes what was written of a run that did not arrive.
    """

    def __init__(
        self,
        history: History,
        catalog: Catalog,
        artifacts: Artifacts,
        *,
        series: Series,
        events: PodEvents,
        deletions: Deletions,
    ) -> None:
        self._deletions = deletions
        self._coming: set[str] = set()
        self._history = history
        self._catalog = catalog
        self._artifacts = artifacts
        self._series = series
        self._events = events

    async def take(self, pieces: AsyncIterator[bytes], namespace: str | None = None) -> RunRecord:
        """Take in a run.

        Args:
            pieces: The file.
            namespace: Where the run goes; ``None`` for where it was.

        Returns:
            The run as it is here.

        Raises:
            BadRequest: The file is damaged, cut short, or holds what it must not.
            AlreadyExists: The run is here already, or on its way.
            Unavailable: What was here of it is still being deleted.
        """
        reader = _Members(pieces)
        bundle: Bundle = portable.read_json(await reader.document(RUN), Bundle, RUN)
        _check(bundle)
        if namespace is not None:
            bundle = _into(bundle, namespace)
        for each in bundle.artifacts:
            if fault := self._artifacts.place_fault(each.artifact.uri, bundle.run.namespace):
                raise BadRequest(f"artifact {each.id!r}: {fault}. The file cannot be taken in here.")
            known = self._history.artifact(each.id)
            if known is not None and known.namespace != bundle.run.namespace:
                raise BadRequest(f"artifact {each.id!r} belongs to another namespace here. Delete it there first.")
        if self._history.run(bundle.run.id) is not None:
            raise AlreadyExists(f"run {bundle.run.id!r} is here already. Delete it first to import it again.")
        if bundle.run.id in self._coming:
            raise AlreadyExists(f"run {bundle.run.id!r} is being imported just now. Wait for its end.")
        self._coming.add(bundle.run.id)
        try:
            return await self._take(bundle, reader)
        finally:
            self._coming.discard(bundle.run.id)

    async def _take(self, bundle: Bundle, reader: "_Members") -> RunRecord:
        here = {each: found for each in (one.artifact for one in bundle.stored) if (found := self._history.artifact(each))}
        moved = _Moved(
            bundle, self._artifacts.root_of(bundle.run.namespace), {each: record.artifact.uri for each, record in here.items()}
        )
        await self._deletions.cleared(f"{moved.run.pipeline_root}/{bundle.run.id}")
        self._deletions.expect(moved.written)
        try:
            with tempfile.TemporaryDirectory(prefix="import-", dir=self._artifacts.scratch()) as folder:
                await self._take_bytes(reader, moved, Path(folder) / "member")
                for number in range(len(bundle.series)):  # kept aside: all of them together may be more than memory holds
                    await reader.file(portable.series_name(number), Path(folder, str(number)), None, "", _DOCUMENT_LIMIT)
                await reader.end()
                return self._write(moved, Path(folder))
        except BaseException:
            await self._deletions.give_up(moved.written)
            raise

    async def _take_bytes(self, reader: "_Members", moved: "_Moved", scratch: Path) -> None:
        known = {record.id: record.artifact for record in moved.bundle.artifacts}
        for number, stored in enumerate(moved.bundle.stored):
            artifact, uri = known[stored.artifact], moved.place(stored.artifact)
            name = portable.content_name(number)
            if stored.files is None:
                await reader.file(name, scratch, artifact.size, artifact.digest.removeprefix("sha256:"))
                if uri is not None:
                    await self._artifacts.take(uri, "", scratch)
                continue
            text = await reader.document(name, MAX_MANIFEST)
            if "sha256:" + hashlib.sha256(text).hexdigest() != artifact.digest:
                raise BadRequest(f"{name}: is not what the run committed: the file is damaged. Export the run again.")
            for position, file in enumerate(content.manifest(text, name).files):
                await reader.file(portable.file_name(number, position), scratch, file.size, file.sha256)
                if uri is not None:
                    await self._artifacts.take(uri, file.path, scratch)
            if uri is not None:
                await self._artifacts.write(uri + MANIFEST_SUFFIX, text)
        for number, log in enumerate(moved.bundle.logs):
            await reader.file(portable.log_name(number), scratch, None, "")
            await self._artifacts.take(address(moved.run, log.task, log.attempt), "", scratch)

    def _write(self, moved: "_Moved", points: Path) -> RunRecord:
        bundle, run = moved.bundle, moved.run
        if self._history.run(run.id) is not None:
            raise AlreadyExists(f"run {run.id!r} has come by another way at the same time.")
        run = replace(run, experiment_id=self._catalog.default_experiment(run.namespace).id)
        artifacts = [
            # What another run made is here without that run, unless it is here already.
            replace(each, artifact=moved.artifact(each.artifact), run=run.id if each.run == run.id else None)
            for each in bundle.artifacts
            if self._history.artifact(each.id) is None
        ]

        def also(connection: Connection) -> None:
            self._deletions.arrived(connection, moved.written)
            for number, key in enumerate(bundle.series):
                self._series.write(connection, run.id, {key: _points(points / str(number), portable.series_name(number))})
            if bundle.events:
                self._events.write(connection, bundle.events)

        changes = Changes(
            tasks={
                each.id: replace(each, inputs=moved.values(each.inputs), outputs=moved.values(each.outputs))
                for each in bundle.tasks
            },
            attempts={(each.task, each.number): replace(each, staged=None) for each in bundle.attempts},
            artifacts=artifacts,
            edges=bundle.edges,
        )
        try:
            self._history.bring(run, [bundle.spec, *bundle.earlier], changes, also)
        except OverflowError as error:
            raise BadRequest("run.json: holds a number that is too large for the history. The file is damaged.") from error
        return run


def _points(file: Path, name: str) -> Points:
    listed: list[SentPoint] = portable.read_json(file.read_bytes(), list[SentPoint], name)
    return {step: (at, float(value)) for step, at, value in listed}


class _Moved:
    """A run with addresses of this host.

    Args:
        bundle: The run as it came.
        root: Where artifacts go.
        here: Addresses of artifacts that are here already, by id: they are left alone.

    Attributes:
        bundle: The run as it came.
        run: Its record here.
        written: Addresses that it takes, with everything below them.
    """

    def __init__(self, bundle: Bundle, root: str, here: Mapping[str, str]) -> None:
        run = bundle.run
        self.bundle = bundle
        self._here = here
        outside = {"pipeline_id": None, "pipeline_version_id": None, "recurring_run_id": None, "experiment_id": None}
        self.run = replace(run, pipeline_root=f"{root.rstrip('/')}/{segment(run.pipeline_name)}", **outside)
        new = f"{self.run.pipeline_root}/{run.id}/imported"
        self._uris = {each.artifact: f"{new}/{each.artifact}/{self._name(each.artifact)}" for each in bundle.stored}
        self.written = [f"{new}/{each.artifact}" for each in bundle.stored if each.artifact not in here]
        self.written += [address(self.run, log.task, log.attempt) for log in bundle.logs]
        self._uris.update(here)
        self.run = replace(self.run, outputs=self.values(run.outputs))

    def place(self, artifact: str) -> str | None:
        """Where to write an artifact; ``None`` for one that is here."""
        return None if artifact in self._here else self._uris[artifact]

    def _name(self, artifact: str) -> str:
        """The last part of an address: programs look at file endings."""
        uri = next(each.artifact.uri for each in self.bundle.artifacts if each.id == artifact)
        return segment(uri.rstrip("/").rpartition("/")[2])[-80:]

    def artifact(self, artifact: Artifact) -> Artifact:
        uri = self._uris.get(artifact.id)
        return artifact if uri is None else replace(artifact, uri=uri)

    def values(self, values: Values | None) -> Values | None:
        if values is None:
            return None
        return Values(
            values.parameters, {name: [self.artifact(one) for one in listed] for name, listed in values.artifacts.items()}
        )


def _into(bundle: Bundle, namespace: str) -> Bundle:
    """The same run, of another namespace."""
    artifacts = [replace(each, namespace=namespace) for each in bundle.artifacts]
    return replace(bundle, run=replace(bundle.run, namespace=namespace), artifacts=artifacts)


def _check(bundle: Bundle) -> None:
    """Refuse what could do harm here."""
    if bundle.version not in portable.UNDERSTOOD:
        known = ", ".join(map(str, portable.UNDERSTOOD))
        raise BadRequest(f"the file has format {bundle.version}; this host reads {known}. Upgrade the older of the two.")
    run = bundle.run
    if not run.finished:
        raise BadRequest(f"run {run.id!r} is {run.state}: only runs that are over can be imported.")
    if Spec.of(bundle.spec.pipeline, bundle.spec.platforms).digest != bundle.spec.digest or bundle.spec.digest != run.spec_digest:
        raise BadRequest("the pipeline is not the one that the run names: the file is damaged. Export the run again.")
    known = {bundle.spec.digest, *(each.digest for each in bundle.earlier)}
    if any(Spec.of(each.pipeline, each.platforms).digest != each.digest for each in bundle.earlier):
        raise BadRequest("an earlier pipeline is not the one that its attempts name: the file is damaged. Export the run again.")
    if any(each.spec_digest and each.spec_digest not in known for each in bundle.attempts):
        raise BadRequest("an attempt names a pipeline that is not described. The file is damaged.")
    for each in (bundle.spec, *bundle.earlier):
        ir.read(documents.Document(each.pipeline, each.platforms))
    _check_names(bundle)
    _check_stored(bundle)


def _check_names(bundle: Bundle) -> None:
    run = bundle.run
    tags.check(run.tags)
    artifacts = {each.id: each for each in bundle.artifacts}
    for each in (run.id, *artifacts):
        if not _ID.fullmatch(each):
            raise BadRequest(f"the id {each!r:.100} is none that a host gives. The file is damaged.")
    tasks = {each.id for each in bundle.tasks}
    named = [each.task for each in (*bundle.attempts, *bundle.logs, *bundle.edges, *bundle.series, *bundle.events)]
    if missing := [each for each in named if each not in tasks]:
        raise BadRequest(f"task {missing[0]!r:.100} is not described. The file is damaged.")
    for task in tasks:  # it names the folder of its logs
        if task and not all(part and all(c.isalnum() or c in "-_ " for c in part) for part in task.split(".")):
            raise BadRequest(f"task {task!r:.100} has a name that no pipeline gives. The file is damaged.")
    if any(each.run != run.id for each in (*bundle.attempts, *bundle.edges, *bundle.events)):
        raise BadRequest("it speaks of other runs than its own. The file is damaged.")


def _check_stored(bundle: Bundle) -> None:
    artifacts = {each.id: each for each in bundle.artifacts}
    for stored in bundle.stored:
        found = artifacts.get(stored.artifact)
        if found is None or not found.artifact.digest:
            raise BadRequest(f"artifact {stored.artifact!r} is not described. The file is damaged.")
    if len({each.artifact for each in bundle.stored}) != len(bundle.stored):
        raise BadRequest("an artifact is in it twice. The file is damaged.")


def _check_size(name: str, size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge(f"{name}: has {size} bytes; at most {limit} are read.")


class _Members:
    """The members of a gzipped tar, one after another, as they come.

    It reads headers itself: those of our own files are all a reader needs to know, and none can make it hold more than a block.
    """

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._unpacker = zlib.decompressobj(wbits=31)
        self._ready = bytearray()
        self._left = UNPACKED_LIMIT
        self._sums: dict[str, str] = {}

    async def document(self, name: str, limit: int = _DOCUMENT_LIMIT) -> bytes:
        """The next member, which must have this name, in memory."""
        size = await self._next(name)
        _check_size(name, size, limit)
        text = bytearray()
        while len(text) < size:
            text += await self._read(min(_PIECE, size - len(text)))
        await self._read(-size % BLOCK)
        self._sums[name] = hashlib.sha256(text).hexdigest()
        return bytes(text)

    async def file(self, name: str, target: Path, expected: int | None, sha256: str, limit: int = UNPACKED_LIMIT) -> None:
        """Write the next member, which must have this name, size and digest, to a file."""
        size, digest = await self._next(name), hashlib.sha256()
        _check_size(name, size, limit)
        if expected is not None and size != expected:
            raise BadRequest(f"{name}: has {size} bytes, though the run committed {expected}. The file is damaged.")
        with target.open("wb") as file:
            left = size
            while left:
                piece = await self._read(min(_PIECE, left))
                digest.update(piece)
                await asyncio.to_thread(file.write, piece)
                left -= len(piece)
        await self._read(-size % BLOCK)
        self._sums[name] = digest.hexdigest()
        if sha256 and digest.hexdigest() != sha256:
            raise BadRequest(f"{name}: is not what the run committed: the file is damaged. Export the run again.")

    async def end(self) -> None:
        """Compare the checksums, which come last."""
        sums = dict(self._sums)
        listed: dict[str, str] = portable.read_json(await self.document(CHECKSUMS), dict[str, str], CHECKSUMS)
        if listed != sums:
            raise BadRequest("the checksums do not agree: the file is damaged. Export the run again.")

    async def _next(self, name: str) -> int:
        try:
            info = tarfile.TarInfo.frombuf(await self._read(BLOCK), "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError) as error:
            raise BadRequest(f"the file is damaged where {name} must be: {error}. Export the run again.") from error
        if info.name != name or info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise BadRequest(
                f"member {info.name!r:.200} where the file {name} must be: this is no exported run, or it was changed."
            )
        if info.size < 0 or info.size > self._left:
            raise TooLarge(f"{name}: has {info.size} bytes; the whole may have {UNPACKED_LIMIT >> 30} GiB.")
        self._left -= info.size
        return info.size

    async def _read(self, size: int) -> bytes:
        """Exactly so many bytes; at most a piece at a time."""
        while len(self._ready) < size:
            source = self._unpacker.unconsumed_tail
            if not source:
                source = await anext(self._pieces, b"")
                if not source:
                    self._ready += self._unpacker.flush()  # less than its window
                    if len(self._ready) < size:
                        raise BadRequest("the file is cut short, or no exported run at all. Export the run again.")
                    break
            try:
                self._ready += await asyncio.to_thread(self._unpacker.decompress, source, _PIECE)
            except zlib.error as error:
                raise BadRequest(f"the file is no exported run: {error}. It begins as a .tar.gz does.") from error
            if self._unpacker.eof and len(self._ready) < size:
                raise BadRequest("the file is cut short. Export the run again.")
        made = bytes(self._ready[:size])
        del self._ready[:size]
        return made
