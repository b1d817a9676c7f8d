"""What an artifact holds: its digest and size, its files, and whether it is what a step said it is.

A file is its bytes. A folder is its files and a manifest, which lies beside it and is written last: a folder without one was not
finished. The digest of a folder is the digest of its manifest, so that it changes with any file's name or content.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from kedge.artifacts.uris import within
from kedge.errors import Invalid, NotFound

MANIFEST_SUFFIX = ".manifest.json"
_CHUNK = 1 << 20
MAX_MANIFEST = 64 << 20
# A path that no file system takes, or that the step has closed to the hub: it will be no other the next time.
_FOR_GOOD = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EINVAL, errno.EACCES, errno.EPERM}
MAX_LISTED = 10_000
"""Files of a folder that Kedge did not write, which has no manifest."""


class ManifestFile(msgspec.Struct, frozen=True):
    """One file of a folder.

    Attributes:
        path: Below the folder, with forward slashes.
        size: Bytes.
        sha256: Hex.
    """

    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """The files of a folder, sorted by path."""

    version: int
    files: list[ManifestFile]


@dataclass(frozen=True, slots=True)
class Content:
    """What lies at an address.

    Attributes:
        digest: ``sha256:<hex>``.
        size: Bytes, of all files together.
    """

    digest: str
    size: int


def measure(path: Path) -> Content:
    """Read a file or folder whole; blocks for as long as that takes.

    Raises:
        NotFound: There is nothing.
        Invalid: A folder holds something that is no file of its own.
    """
    if path.is_dir():
        text = msgspec.json.encode(manifest_of(path))
        return Content("sha256:" + hashlib.sha256(text).hexdigest(), sum(found.size for found in manifest(text, path).files))
    if not path.exists():
        raise NotFound(f"there is nothing at {path}. Was it moved, or is a disk not mounted?")
    return Content("sha256:" + _sha256(path), path.stat().st_size)


def manifest_of(folder: Path) -> Manifest:
    """Make the manifest of a folder, as the launcher makes it in a step.

    Raises:
        Invalid: A link leads out of the folder, or something in it is no file.
    """
    found: list[ManifestFile] = []
    for base, folders, names in os.walk(folder):
        folders.sort()
        for name in (*names, *(one for one in folders if Path(base, one).is_symlink())):
            path = Path(base, name)
            if not within(path, folder) or not path.is_file():
                raise Invalid(f"{path} is a link that leads out of the folder {folder}, or no file. Copy what it points at.")
            found.append(ManifestFile(path.relative_to(folder).as_posix(), path.stat().st_size, _sha256(path)))
    return Manifest(1, sorted(found, key=lambda one: one.path))


def listed(folder: Path) -> list[ManifestFile]:
    """The files of a folder that has no manifest, sorted, without their digests.

    Raises:
        Invalid: A link leads out of the folder, something in it is no file, or there are more than `MAX_LISTED`.
    """
    found: list[ManifestFile] = []
    for base, folders, names in os.walk(folder):
        for name in (*names, *(one for one in folders if Path(base, one).is_symlink())):
            path = Path(base, name)
            if not within(path, folder) or not path.is_file():
                raise Invalid(f"{path} is a link that leads out of the folder {folder}, or no file. Copy what it points at.")
            found.append(ManifestFile(path.relative_to(folder).as_posix(), path.stat().st_size, ""))
        if len(found) > MAX_LISTED:
            raise Invalid(f"{folder} has more than {MAX_LISTED} files. Pack them into fewer ones, or name a folder below it.")
    return sorted(found, key=lambda one: one.path)


def check(path: Path, digest: str, size: int | None) -> str:
    """Say why a path does not hold what a step said it wrote there, or ``""``; cheap: bytes are not read again.

    The step itself computed the digest while it wrote; here the size of a file, and the manifest of a folder, must agree with it.

    Args:
        path: A file or folder of the folder store.
        digest: As committed; empty where the step wrote nothing.
        size: As committed.
    """
    if not digest:
        return ""
    try:
        return _check(path, digest, size)
    except OSError as error:
        if error.errno not in _FOR_GOOD:
            raise
        return f"what lies at {path} cannot be looked at: {error.strerror}"


def _check(path: Path, digest: str, size: int | None) -> str:
    if not path.exists():
        return f"nothing lies at {path}, though the step says that it wrote {size} bytes there"
    if not path.is_dir():
        there = path.stat().st_size
        return "" if there == size else f"{path} has {there} bytes, though the step says that it wrote {size}"
    return _check_folder(path, digest)


def _check_folder(path: Path, digest: str) -> str:
    manifest = path.with_name(path.name + MANIFEST_SUFFIX)
    if not manifest.is_file():
        return f"the folder {path} has no manifest, so it was not finished"
    if manifest.stat().st_size > MAX_MANIFEST:
        return f"the manifest of the folder {path} is larger than {MAX_MANIFEST >> 20} MiB; pack the files into fewer ones"
    if "sha256:" + hashlib.sha256(manifest.read_bytes()).hexdigest() != digest:
        return f"the manifest of the folder {path} is not the one that the step committed"
    return ""


def check_manifest(text: bytes, digest: str, there: list[tuple[str, int]], place: str) -> str:
    """Say why a folder of an object store is not what a step said it wrote there, or ``""``.

    Args:
        text: Its manifest.
        digest: As committed.
        there: Path and size of what lies in it.
        place: Its address, for the message.
    """
    if "sha256:" + hashlib.sha256(text).hexdigest() != digest:
        return f"the manifest of the folder {place} is not the one that the step committed"
    listed = {one.path: one.size for one in manifest(text, place).files}
    found = dict(there)
    for path, size in listed.items():
        if found.get(path) != size:
            has = f"{found[path]} bytes" if path in found else "nothing"
            return f"the folder {place} has {has} at {path!r}, though its manifest says {size} bytes"
    return ""


def member(path: Path, inner: str) -> Path:
    """The file at a relative path inside an artifact's folder, or the artifact itself for ``""``.

    Raises:
        Invalid: The path leaves the folder, also by a link.
        NotFound: There is no such file.
    """
    parts = PurePosixPath(inner)
    if parts.is_absolute() or ".." in parts.parts or "\0" in inner:
        raise Invalid(f"{inner!r} leaves the artifact's folder. Name a file below it.")
    target = path / parts
    if not within(target, path):
        raise Invalid(f"{inner!r} is a link that leaves the artifact's folder.")
    if not target.exists():
        raise NotFound(f"there is no {inner or 'file'} at {path}. Was it deleted?")
    return target


def chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, in pieces; blocks while it reads."""
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


def part(path: Path, start: int, count: int) -> tuple[bytes, int]:
    """So many bytes of a file from an offset on, or before its end where that is negative, and its size; blocks."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size + start) if start < 0 else start)
        return file.read(count), size


def manifest(text: bytes, path: Path | str) -> Manifest:
    """Read the manifest of a folder.

    Raises:
        Invalid: It is none.
    """
    try:
        return msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError as error:
        raise Invalid(f"the manifest of {path} cannot be read: {error}.") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
