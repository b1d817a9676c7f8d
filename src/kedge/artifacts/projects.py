"""Project code of pipelines: unpacked once for each content, into a folder named by its digest.

An archive comes from outside, with the pipeline. Nothing of it may land beside its folder or fill the disk.
"""

import base64
import hashlib
import os
import shutil
import stat
import zipfile
from io import BytesIO
from pathlib import Path, PurePosixPath

from kedge.errors import PipelineError

MAX_ARCHIVE = 16 << 20
MAX_UNPACKED = 256 << 20
MAX_FILES = 20_000


class Projects:
    """The folder of unpacked projects.

    Args:
        folder: Where they lie; made when the first comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str) -> Path:
        """Where a project lies, or would.

        Raises:
            PipelineError: That is no digest.
        """
        name = digest.removeprefix("sha256:")
        if len(name) != 64 or not set(name) <= set("0123456789abcdef"):
            raise PipelineError(f"project: the digest must be a SHA-256 in hex, got {digest!r}. Compile the pipeline again.")
        return self._folder / name

    def archive(self, digest: str, archive: str) -> bytes:
        """The bytes of an archive.

        Args:
            digest: SHA-256 of it, in hex.
            archive: A zip in base64.

        Raises:
            PipelineError: It is not what the digest says, or too large.
        """
        data = _decoded(archive)
        if hashlib.sha256(data).hexdigest() != self.path(digest).name:
            raise PipelineError(
                "project: the archive is not the one that its digest names: it was changed. Compile the pipeline again."
            )
        return data

    def keep(self, digest: str, archive: str) -> Path:
        """Unpack a project unless it is there; blocks while it does.

        Args:
            digest: SHA-256 of the archive, in hex.
            archive: A zip in base64.

        Raises:
            PipelineError: The archive is not what the digest says, is damaged or too large, or a member leaves its folder.
        """
        target = self.path(digest)
        if target.is_dir():
            return target
        data = self.archive(digest, archive)
        partial = self._folder / f".{target.name}.{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            _unpack(data, partial)
            partial.rename(target)
        except FileExistsError:
            pass  # another was quicker; the content is the same
        except OSError as error:
            if not target.is_dir():
                raise PipelineError(
                    f"project: the archive could not be unpacked into {self._folder}: {error}. Is the disk full?"
                ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return target


def _decoded(archive: str) -> bytes:
    if len(archive) > MAX_ARCHIVE * 4 // 3 + 4:
        raise PipelineError(
            f"project: the archive is larger than {MAX_ARCHIVE >> 20} MiB. Keep data in artifacts, not beside the code."
        )
    try:
        return base64.b64decode(archive, validate=True)
    except ValueError as error:
        raise PipelineError(f"project: the archive is not base64: {error}. Compile the pipeline again.") from error


def _unpack(data: bytes, folder: Path) -> None:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = archive.infolist()
            _check(members)
            left = MAX_UNPACKED
            for entry in members:
                target = folder / PurePosixPath(entry.filename)
                if entry.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source:
                    content = source.read(left + 1)  # what the entry says of its size is only what it says
                left -= len(content)
                if left < 0:
                    raise _too_large()
                target.write_bytes(content)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise PipelineError(f"project: the archive is no zip that can be read: {error}. Compile the pipeline again.") from error


def _check(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_FILES or sum(entry.file_size for entry in members) > MAX_UNPACKED:
        raise _too_large()
    for entry in members:
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or not path.parts:
            raise PipelineError(
                f"project: the archive's member {entry.filename!r} leaves its folder. It was not made by Kedge; refused."
            )
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise PipelineError(
                f"project: the archive's member {entry.filename!r} is a link. Put the file itself beside the pipeline."
            )


def _too_large() -> PipelineError:
    limit = f"{MAX_UNPACKED >> 20} MiB or {MAX_FILES} files"
    return PipelineError(f"project: the archive unpacks to more than {limit}. Keep data in artifacts, not beside the code.")
