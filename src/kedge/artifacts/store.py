"""The artifact store: a folder of this machine by default, and every object store that an address may name.

The folder needs no library and no copy: steps on this machine read and write it in place. Everything else goes through `remote`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from kedge.artifacts import content, remote
from kedge.artifacts.content import Content
from kedge.artifacts.projects import Projects
from kedge.artifacts.uris import REMOTE_SCHEMES, local_path, scheme, within
from kedge.errors import Invalid


class ArtifactStore:
    """Where artifacts lie.

    Args:
        folder: The default store; made when the first artifact comes.
        projects: The folder for project code.
    """

    def __init__(self, folder: Path, projects: Path) -> None:
        self.folder = folder
        self.projects = Projects(projects)

    @property
    def root(self) -> str:
        """The address below which artifacts go unless a pipeline says otherwise."""
        return self.folder.absolute().as_uri()

    async def check_root(self, uri: str) -> None:
        """Make sure that runs can write below an address.

        Raises:
            Invalid: They cannot; says why, and what to do.
        """
        path = local_path(uri)
        if path is not None:
            await asyncio.to_thread(_check_folder, path)
        elif scheme(uri) in REMOTE_SCHEMES:
            await remote.probe(uri)
        else:
            known = ", ".join(f"{name}://" for name in ("file", *REMOTE_SCHEMES))
            raise Invalid(f"pipeline root {uri!r}: artifacts cannot be written there. Use one of {known}.")

    async def exists(self, uri: str) -> bool:
        """Whether something lies at an address; ``False`` too for addresses that cannot be asked."""
        path = local_path(uri)
        if path is not None:
            return path.exists()
        return scheme(uri) in REMOTE_SCHEMES and await remote.size(uri) is not None

    async def measure(self, uri: str) -> Content:
        """Digest and size of what lies at a local address; reads all of it, in a thread.

        Raises:
            NotFound: Nothing does.
            Invalid: It lies elsewhere, or a folder holds links that leave it.
        """
        path = local_path(uri)
        if path is None:
            raise Invalid(f"{uri}: only local files can be measured. Copy it into the folder store first.")
        return await asyncio.to_thread(content.measure, path)

    async def check(self, uri: str, digest: str, size: int | None) -> str:
        """Say why an address does not hold what a step committed, or ``""``."""
        if not digest:
            return ""
        path = local_path(uri)
        if path is not None:
            return await asyncio.to_thread(content.check, path, digest, size)
        if scheme(uri) not in REMOTE_SCHEMES:
            return ""
        there = await remote.size(uri)
        if there != size:
            return f"{uri} has {'no' if there is None else there} bytes, though the step says that it wrote {size}"
        return ""

    async def keep_project(self, digest: str, archive: str) -> str:
        """Unpack project code unless it is there, and return its address.

        Args:
            digest: SHA-256 of the archive, in hex.
            archive: A zip in base64.

        Raises:
            PipelineError: The archive is damaged or too large, or a member of it leaves its folder.
        """
        if (path := self.projects.path(digest)).is_dir():
            return path.as_uri()
        return (await asyncio.to_thread(self.projects.keep, digest, archive)).as_uri()

    async def read(self, uri: str, path: str = "") -> AsyncIterator[bytes]:
        """Yield the bytes of an artifact, or of one file of a folder.

        Raises:
            NotFound: There is nothing; raised before the first piece.
            Invalid: The path leaves the artifact, or the artifact is a folder and no file of it is named.
        """
        local = local_path(uri)
        if local is None:
            async for piece in remote.read(uri, path):
                yield piece
            return
        file = content.member(local, path)
        if file.is_dir():
            raise Invalid(f"{uri} is a folder. Name one of its files.")
        pieces = content.chunks(file)
        while piece := await asyncio.to_thread(_next, pieces):
            yield piece

    def owns(self, uri: str) -> bool:
        """Whether an address lies in the default folder: what deleting a run may delete."""
        path = local_path(uri)
        return path is not None and within(path, self.folder)


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


def _next(pieces: Iterator[bytes]) -> bytes:
    return next(pieces, b"")
