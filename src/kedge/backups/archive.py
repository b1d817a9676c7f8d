"""The file that a backup is: a plain tar, so that any tool can look into it, whose last entry says what the others must be.

``manifest.json`` has the size and the SHA-256 of every file. It comes last: an archive that was cut off has none, and is refused.
What is read out of an archive is not trusted. Its names may not lead out of the folder, and symbolic links are made when
everything else is there, so that nothing is ever written through one.
"""

import hashlib
import json
import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Any

from kedge.errors import StateError

FORMAT = 1  # raised when an older Kedge could not read the archives any more
MANIFEST = "manifest.json"
_CHUNK = 1 << 20

Told = Callable[[str, int, int], None]
"""Told how far something has come: what, how much is done, and how much there is, in bytes."""


@dataclass(slots=True)
class Manifest:
    """What an archive says of itself.

    Attributes:
        version: Kedge's, of the process that made it.
        made_at: RFC 3339.
        revision: The newest resourceVersion in it; 0 where it has no objects.
        history: ``file``, or what keeps the history instead: it is not in the archive then.
        parts: The names at the top of the archive.
        files: Size and SHA-256 of each file, by its path.
    """

    version: str
    made_at: str
    revision: int
    history: str
    parts: list[str] = field(default_factory=list[str])
    files: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])

    def as_json(self) -> dict[str, Any]:
        """The fields as they are written."""
        return {
            "kind": "kedge-backup",
            "format": FORMAT,
            "version": self.version,
            "madeAt": self.made_at,
            "revision": self.revision,
            "history": self.history,
            "parts": self.parts,
            "files": {name: list(said) for name, said in self.files.items()},
        }


class Writer:
    """Writes an archive.

    Args:
        file: Open for writing.
        manifest: Of the archive; filled with what is added.
        told: How far it has come.
        total: Bytes that will be added, as far as is known.
    """

    def __init__(self, file: IO[bytes], manifest: Manifest, told: Told, total: int) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115  # closed by `finish`
        self._manifest = manifest
        self._told = told
        self._total = total
        self._done = 0

    def add(self, path: Path, name: str) -> None:
        """Add a file, or a folder with all that is in it.

        Args:
            path: Where it lies. What vanishes while a folder is read is left out.
            name: Its name at the top of the archive.
        """
        self._manifest.parts.append(name)
        self._add(path, name)

    def _add(self, path: Path, name: str) -> None:
        try:
            kind = path.lstat()
        except FileNotFoundError:
            return
        if stat.S_ISDIR(kind.st_mode):
            self._tar.addfile(self._tar.gettarinfo(path, name))
            for each in sorted(path.iterdir()):
                self._add(each, f"{name}/{each.name}")
        elif stat.S_ISLNK(kind.st_mode):
            self._tar.addfile(self._tar.gettarinfo(path, name))
        elif stat.S_ISREG(kind.st_mode):
            self._add_file(path, name)

    def _add_file(self, path: Path, name: str) -> None:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            head = self._tar.gettarinfo(name, name, file)
            head.type, head.linkname = tarfile.REGTYPE, ""  # a second name of a file already added is a file of its own
            head.size = os.fstat(file.fileno()).st_size
            counted = _Counted(file, self._count)
            try:
                self._tar.addfile(head, counted)
            except OSError as error:
                if error.errno is not None:
                    raise
                raise StateError(f"{path}: became shorter while it was read. Stop what writes to it, then try again.") from error
        self._manifest.files[name] = (head.size, counted.digest.hexdigest())

    def _count(self, size: int) -> None:
        self._done += size
        self._told("writing", self._done, max(self._total, self._done))

    def finish(self) -> None:
        """Write the manifest and the end."""
        said = json.dumps(self._manifest.as_json()).encode()
        head = tarfile.TarInfo(MANIFEST)
        head.size, head.mode = len(said), 0o600
        self._tar.addfile(head, BytesIO(said))
        self._tar.close()


class _Counted:
    """A file that is read once, and what it held."""

    def __init__(self, file: IO[bytes], count: Callable[[int], None]) -> None:
        self._file = file
        self._count = count
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        piece = self._file.read(size)
        self.digest.update(piece)
        self._count(len(piece))
        return piece


def read_manifest(path: Path) -> Manifest:
    """What an archive says of itself.

    Raises:
        StateError: It is no backup, a newer version made it, or it is damaged.
    """
    with _opened(path) as tar:
        last = None
        for last in tar:  # noqa: B007  # headers alone: the bytes between them are skipped
            pass
        file = tar.extractfile(last) if last is not None and last.name == MANIFEST else None
        if file is None:
            raise StateError(
                f"{path}: is no backup of Kedge's, or was cut off: it does not end with {MANIFEST}. Take another one."
            )
        said = file.read()
    try:
        found: dict[str, Any] = json.loads(said)
        if found["format"] > FORMAT:
            raise StateError(
                f"{path}: was made by Kedge {found['version']}, which is newer than this one (format {found['format']}, this one "
                f"reads up to {FORMAT}). Restore it with that version or a later one."
            )
        files = {str(name): (int(size), str(digest)) for name, (size, digest) in found["files"].items()}
        parts = [str(part) for part in found["parts"]]
        return Manifest(found["version"], found["madeAt"], int(found["revision"]), found["history"], parts, files)
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"{path}: its {MANIFEST} cannot be read ({error!r}). Take another backup.") from error


def verify(path: Path, manifest: Manifest, told: Told) -> None:
    """See that every file of an archive is there and is what it was.

    Raises:
        StateError: Names the first that is not.
    """
    for _ in _checked(path, manifest, told, "verifying"):
        pass


def unpack(path: Path, manifest: Manifest, folder: Path, told: Told) -> None:
    """Lay everything but the manifest into an empty folder, each file checked.

    Raises:
        StateError: The archive is damaged; or it holds what no backup does, such as a name that leads out of the folder.
    """
    links: list[tarfile.TarInfo] = []
    for member, pieces in _checked(path, manifest, told, "reading"):
        target = folder / member.name
        if member.isdir():
            target.mkdir(mode=0o700)
        elif member.issym():
            links.append(member)
        else:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                for piece in pieces:
                    file.write(piece)
                os.fchmod(file.fileno(), member.mode & 0o777)
                _own(file.fileno(), member)
                os.fsync(file.fileno())
    for member in links:
        (folder / member.name).symlink_to(member.linkname)
    with _opened(path) as tar:
        for member in reversed([each for each in tar if each.isdir()]):  # the inner ones first: an outer one may be closed to us
            (folder / member.name).chmod(member.mode & 0o777)


def _own(descriptor: int, member: tarfile.TarInfo) -> None:
    if os.geteuid() == 0:
        os.fchown(descriptor, member.uid, member.gid)


def _checked(path: Path, manifest: Manifest, told: Told, what: str) -> Iterator[tuple[tarfile.TarInfo, Iterator[bytes]]]:
    """Every entry but the manifest, with its bytes; those must be read, and are checked, before the next."""
    total = sum(size for size, _ in manifest.files.values())
    done = 0
    missing = set(manifest.files)
    with _opened(path) as tar:
        for member in tar:
            if member.name == MANIFEST:
                continue
            parts = PurePosixPath(member.name).parts
            is_known = bool(parts) and parts[0] in manifest.parts and ".." not in parts
            if not is_known or not (member.isfile() or member.isdir() or member.issym()):
                raise StateError(f"{path}: holds {member.name!r}, which no backup does. It did not come from `kedge backup`.")
            if not member.isfile():
                yield member, iter(())
                continue
            size, digest = manifest.files.get(member.name, (-1, ""))
            found = hashlib.sha256()
            source = tar.extractfile(member)
            pieces = _pieces(source, found) if source is not None else iter(())
            yield member, pieces
            for _ in pieces:  # what nobody wanted
                pass
            if (member.size, found.hexdigest()) != (size, digest):
                raise StateError(f"{path}: is damaged: {member.name} is not what was backed up. Use another backup.")
            missing.discard(member.name)
            done += member.size
            told(what, done, total)
    if missing:
        raise StateError(f"{path}: is damaged: {min(missing)} is not in it. Use another backup.")


def _pieces(source: IO[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    while piece := source.read(_CHUNK):
        digest.update(piece)
        yield piece


class _opened:  # noqa: N801  # reads as a function
    """An archive, open for reading; what tar says of damage is said in our words."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tar: tarfile.TarFile | None = None

    def __enter__(self) -> tarfile.TarFile:
        try:
            self._tar = tarfile.open(self._path, "r:")  # closed by __exit__
        except FileNotFoundError as error:
            raise StateError(f"{self._path}: there is no such file. Name a backup that `kedge backup` made.") from error
        except OSError as error:
            raise StateError(f"{self._path}: cannot be read: {error.strerror}.") from error
        except tarfile.TarError as error:
            raise StateError(f"{self._path}: is no backup of Kedge's, or is damaged ({error}). Use another backup.") from error
        return self._tar

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._tar is not None:
            self._tar.close()
        if isinstance(error, tarfile.TarError):
            raise StateError(f"{self._path}: is damaged ({error}). Use another backup.") from error


def free_bytes(folder: Path) -> int:
    """How much a folder's disk can take."""
    return shutil.disk_usage(folder).free
