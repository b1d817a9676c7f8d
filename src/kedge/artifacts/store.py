"""The artifact store: a folder of this machine by default, and every object store that an address may name.

The folder needs no library and no copy: steps on this machine read and write it in place. Everything else goes through `remote`.
"""

import asyncio
import logging
import shutil
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kedge.artifacts import content
from kedge.artifacts.content import MANIFEST_SUFFIX, MAX_MANIFEST, Content
from kedge.artifacts.grants import Grants, not_here
from kedge.artifacts.projects import Projects
from kedge.artifacts.remote import Remote
from kedge.artifacts.territories import Territories
from kedge.artifacts.transfers import Transfers
from kedge.artifacts.uris import REMOTE_SCHEMES, join_path, local_path, scheme, within
from kedge.errors import Invalid, NotFound, Unavailable
from kedge.kube.clock import Clock, SystemClock

_log = logging.getLogger(__name__)


class ArtifactStore:
    """Where artifacts lie.

    Args:
        folder: The store of a host that was told of no other; made when the first artifact comes.
        projects: The folder for project code.
        root: The address below which artifacts go unless a pipeline says otherwise; ``""`` for the folder.
        environ: Where the credentials of object stores are.
        clock: For the time of signatures.
        here: Whether steps run on this machine and see its folders. Where they do not, as on a cluster, no folder is a store:
            what lies on this machine is neither granted nor read, whatever an address says; and each namespace has a place of
            its own below the root (`kedge.artifacts.territories`).

    Attributes:
        grants: Makes the grants of steps.
        transfers: Makes addresses of files in object stores.
    """

    def __init__(
        self,
        folder: Path,
        projects: Path,
        root: str = "",
        *,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        here: bool = True,
    ) -> None:
        self.folder = folder
        self._steps_are_here = here
        self.projects = Projects(projects)
        self._scratch = folder.with_name("scratch")
        self.root = root.rstrip("/") or self.folder.absolute().as_uri()
        self._territories = Territories(self.root, divided=not here)
        self._remote = Remote(environ or {}, clock or SystemClock())
        self.transfers = Transfers(self._remote)
        self.grants = Grants(self.projects, self.transfers, self._unseen, None if here else self._archive)

    def root_of(self, namespace: str) -> str:
        """The address below which a namespace's artifacts go."""
        return self._territories.root(namespace)

    def place_fault(self, uri: str, namespace: str) -> str:
        """Why an address is none that a namespace may use, or ``""``."""
        return self._territories.fault(uri, namespace)

    async def check_root(self, uri: str, namespace: str) -> None:
        """Make sure that runs of a namespace can write below an address.

        Raises:
            Invalid: They cannot; says why, and what to do.
        """
        if fault := self.place_fault(uri, namespace):
            raise Invalid(f"pipeline root {uri!r}: {fault}. Leave it out, or choose another.")
        path = self._place(uri)
        if path is not None:
            if self._hidden(path):
                raise Invalid(
                    f"pipeline root {uri!r}: steps have a /tmp of their own and do not see the machine's. Use a folder "
                    f"elsewhere, or start the host with KEDGE_ARTIFACTS={path}."
                )
            if path != self.folder.absolute():  # which is in the data directory, like everything that the host writes
                await asyncio.to_thread(_check_folder, path)
        elif scheme(uri) in REMOTE_SCHEMES:
            try:
                await self._remote.probe(uri)
            except Unavailable as error:  # steps wait for it, and so may a run
                _log.warning(
                    "runs are taken all the same; their steps wait for the store", extra={"uri": uri, "error": str(error)}
                )
        else:
            known = ", ".join(f"{name}://" for name in ("file", *REMOTE_SCHEMES))
            raise Invalid(f"pipeline root {uri!r}: artifacts cannot be written there. Use one of {known}.")

    def _hidden(self, path: Path) -> bool:
        return hidden(path, (self.folder.absolute().parent, local_path(self.root)))

    def _unseen(self, path: Path) -> bool:
        return self._hidden(path) and path.exists()

    async def exists(self, uri: str) -> bool:
        """Whether something lies at an address; ``False`` too for addresses that cannot be asked."""
        if not self._in_a_store(uri):
            return False
        if (path := self._place(uri)) is not None:
            return path.exists()
        return any([await self._remote.size(one) is not None for one in (uri, uri + MANIFEST_SUFFIX)])

    async def files(self, uri: str) -> list[content.ManifestFile]:
        """The files of an artifact that is a folder, as its manifest has them; none for a single file.

        A folder that Kedge did not write has no manifest: then they are listed, without their digests. What lies in no store is
        not asked for.

        Raises:
            Invalid: Such a folder has more than `content.MAX_LISTED` files, or a link that leaves it.
        """
        if not self._in_a_store(uri):
            return []
        try:
            text = b"".join([piece async for piece in self.read(uri + MANIFEST_SUFFIX)])
        except NotFound:
            return await self._listed(uri)
        return content.manifest(text, uri).files

    async def _listed(self, uri: str) -> list[content.ManifestFile]:
        path = self._place(uri)
        if path is not None:
            return await asyncio.to_thread(content.listed, path) if path.is_dir() else []
        if scheme(uri) not in REMOTE_SCHEMES or await self._remote.size(uri) is not None:
            return []
        found = await self._remote.files(uri, content.MAX_LISTED)
        return [content.ManifestFile(path, size, "") for path, size in found]

    async def measure(self, uri: str) -> Content:
        """Digest and size of what lies at a local address; reads all of it, in a thread.

        Raises:
            NotFound: Nothing does.
            Invalid: It lies elsewhere, or a folder holds links that leave it.
        """
        path = self._place(uri)
        if path is None:
            raise Invalid(f"{uri}: only local files can be measured. Copy it into the folder store first.")
        return await asyncio.to_thread(content.measure, path)

    async def check(self, uri: str, digest: str, size: int | None) -> str:
        """Say why an address does not hold what a step committed, or ``""``."""
        if not digest:
            return ""
        if scheme(uri) not in REMOTE_SCHEMES:
            return await asyncio.to_thread(self.check_in_place, uri, digest, size)
        there = await self._remote.size(uri)
        if there is None and (manifest := await self._remote.content(uri + MANIFEST_SUFFIX, MAX_MANIFEST)) is not None:
            return content.check_manifest(manifest, digest, await self._remote.files(uri), uri)
        if there != size:
            return f"{uri} has {'no' if there is None else there} bytes, though the step says that it wrote {size}"
        return ""

    def grants_in_place(self, executor_input: Mapping[str, Any], project: str) -> dict[str, Any] | None:
        """See `grants.Grants.in_place`."""
        return self.grants.in_place(executor_input, project)

    def check_in_place(self, uri: str, digest: str, size: int | None) -> str:
        """The same of a file or folder of this machine, at once; ``""`` for every other address."""
        if not digest:
            return ""  # nothing was written; the address may be one that only the user's code understands
        try:
            path = self._place(uri)
        except Invalid as error:
            return str(error).rstrip(".")
        return content.check(path, digest, size) if path is not None else ""

    async def keep_project(self, digest: str, archive: str, namespace: str) -> str:
        """Unpack project code unless it is there, and return its address.

        Args:
            digest: SHA-256 of the archive, in hex.
            archive: A zip in base64.
            namespace: Of the run.

        Raises:
            PipelineError: The archive is damaged or too large, or a member of it leaves its folder.
        """
        path = self.projects.path(digest)
        if self._steps_are_here:
            if not path.is_dir():
                await asyncio.to_thread(self.projects.keep, digest, archive)
            return path.as_uri()
        uri = self._archive(digest, namespace)
        if not await self.exists(uri):
            content = await asyncio.to_thread(self.projects.archive, digest, archive)
            await asyncio.to_thread(self.projects.keep, digest, archive)
            await self._remote.write(uri, content)
        return uri

    def _archive(self, digest: str, namespace: str) -> str:
        """Where a project lies for steps of other machines; a namespace's own, so that none runs what another has put there."""
        return f"{self.root_of(namespace)}/.projects/{self.projects.path(digest).name}.zip"

    def _place(self, uri: str) -> Path | None:
        """Where an address leads on this machine; ``None`` for addresses elsewhere.

        Raises:
            Invalid: It leaves its folder; or this machine is none where steps run.
        """
        path = local_path(uri)
        if path is not None and not self._steps_are_here:
            raise not_here(uri)
        return path

    def _in_a_store(self, uri: str) -> bool:
        """Whether an address names a place that is read: not the web's, and none that only the user's code understands."""
        try:
            return scheme(uri) in REMOTE_SCHEMES or self._place(uri) is not None
        except Invalid:
            return False

    async def read(self, uri: str, path: str = "") -> AsyncIterator[bytes]:
        """Yield the bytes of an artifact, or of one file of a folder.

        Raises:
            NotFound: There is nothing; raised before the first piece.
            Invalid: The path leaves the artifact, the artifact is a folder and no file of it is named, or it lies in no store.
        """
        file = self._file(uri, path)
        if file is None:
            async for piece in self._remote.read(uri, path):
                yield piece
            return
        pieces = content.chunks(file)
        while piece := await asyncio.to_thread(_next, pieces):
            yield piece

    async def part(self, uri: str, path: str, start: int, count: int) -> tuple[bytes, int]:
        """Some bytes of an artifact, or of one file of a folder, and how many there are in all.

        Args:
            uri: The artifact's address.
            path: Of the file; ``""`` for the artifact itself.
            start: The first; those before the end when it is negative.
            count: So many, or fewer where it ends.

        Raises:
            NotFound: There is nothing.
            Invalid: As for `read`.
        """
        file = self._file(uri, path)
        if file is None:
            return await self._remote.part(uri, path, start, count)
        return await asyncio.to_thread(content.part, file, start, count)

    def _file(self, uri: str, path: str) -> Path | None:
        """The file that is read; ``None`` where it lies in an object store."""
        local = self._place(uri)
        if local is None and not self._in_a_store(uri):
            raise Invalid(f"{uri} lies in no store of this host, so it is not read here. Get it with what knows the address.")
        if local is None:
            return None
        file = content.member(local, path)
        if file.is_dir():
            raise Invalid(f"{uri} is a folder. Name one of its files.")
        return file

    def scratch(self) -> Path:
        """A folder for files on their way, on the folder store's disk; the host empties it when it starts."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        return self._scratch

    def owns(self, uri: str) -> bool:
        """Whether an address lies below the host's own root: what deleting a run may delete."""
        path = local_path(uri)
        if path is not None:
            root = local_path(self.root)
            return any(within(path, folder) and path != folder for folder in (self.folder, root) if folder is not None)
        return uri.startswith(self.root + "/") and ".." not in uri.split("/")

    async def write(self, uri: str, data: bytes) -> None:
        """Store a small file, whole.

        Raises:
            Unavailable: The store does not answer; try again.
            Invalid: It says no.
        """
        path = self._place(uri)
        if path is None:
            await self._remote.write(uri, data)
            return
        await asyncio.to_thread(_write, path, data)

    async def take(self, uri: str, path: str, file: Path) -> None:
        """Move a local file to an address, or to a path below the address of a folder.

        Raises:
            Invalid: The path leaves the folder, or the store says no.
            Unavailable: The store does not answer; try again.
        """
        whole = join_path(uri, path) if path else uri
        target = self._place(uri)
        if target is None:
            await self._remote.upload(whole, file, (await asyncio.to_thread(file.stat)).st_size)
        else:
            await asyncio.to_thread(_move, file, target / path if path else target)

    async def delete(self, uri: str) -> None:
        """Delete an artifact, a folder with everything in it; harmless where there is nothing.

        Raises:
            Unavailable: The store does not answer; try again.
            Invalid: It says no, or the address is none of the host's own.
        """
        if not self.owns(uri):
            raise Invalid(f"{uri} lies outside of {self.root}, so it is not deleted. Delete it where it lies.")
        path = self._place(uri)
        if path is None:
            await self._remote.delete(uri)
            return
        await asyncio.to_thread(_delete, path)


def hidden(path: Path, shown: Iterable[Path | None]) -> bool:
    """Whether steps do not see a place of this machine: on Linux each has a ``/tmp`` of its own.

    Args:
        path: The place.
        shown: What they are shown below ``/tmp`` all the same.

    Examples:
        >>> hidden(Path("/srv/data"), ())
        False
    """
    if sys.platform != "linux" or not path.is_relative_to("/tmp"):  # noqa: S108  # the question is about it
        return False
    return not any(place is not None and path.is_relative_to(place) for place in shown)


def _check_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".kedge-can-write"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise Invalid(
            f"pipeline root {path}: artifacts cannot be written there: {error}. Choose a folder that you may write."
        ) from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise Unavailable(f"{path} could not be written: {error}. Is the disk full?") from error


def _move(file: Path, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        shutil.move(file, partial)  # they may lie on different disks
        partial.replace(path)
    except OSError as error:
        raise Unavailable(f"{path} could not be written: {error}. Is the disk full?") from error


def _delete(path: Path) -> None:
    path.with_name(path.name + MANIFEST_SUFFIX).unlink(missing_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            path.unlink()


def _next(pieces: Iterator[bytes]) -> bytes:
    return next(pieces, b"")
