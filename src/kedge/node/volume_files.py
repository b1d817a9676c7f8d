"""Files of volumes, written by their names: nothing is written outside of a volume's directory, whatever its files are called.

The API server refuses names that lead out of a volume, but what is stored may be older than its rules, and what stands in the
way may be anybody's: each part of a name is opened below the one before it, and no link is followed.
"""

import os
import stat
from pathlib import Path

from kedge.node.refusals import Refusal

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_PERMISSIONS = 0o777  # a file of a volume gives nobody its owner's rights
_ASIDE = ".."  # no file of a volume may be called so


def write(directory: Path, name: str, data: bytes, mode: int) -> None:
    """Write a file that nobody reads yet.

    Args:
        directory: The volume's, which is there.
        name: A path below it; directories on the way are made.
        data: Its content.
        mode: Its permissions.

    Raises:
        Refusal: The name leads out of the volume.
        OSError: It cannot be written, or a link stands in the way.
    """
    above, leaf = _above(directory, name)
    try:
        os.close(_filled(above, leaf, data, mode))
    finally:
        os.close(above)


def replace(directory: Path, name: str, data: bytes) -> None:
    """Write a file at once: a reader sees the old one or the new one, whose owner and mode are the same.

    Args:
        directory: The volume's.
        name: A path below it, where a file is.
        data: Its next content.

    Raises:
        Refusal: The name leads out of the volume.
        OSError: It cannot be written, or a link stands in the way.
    """
    above, leaf = _above(directory, name)
    try:
        now = os.stat(leaf, dir_fd=above, follow_symlinks=False)
        fd = _filled(above, _ASIDE + leaf, data, stat.S_IMODE(now.st_mode))
        try:
            if (now.st_uid, now.st_gid) != (os.geteuid(), os.getegid()):  # it was handed over to a Pod's user
                os.fchown(fd, now.st_uid, now.st_gid)
        finally:
            os.close(fd)
        os.rename(_ASIDE + leaf, leaf, src_dir_fd=above, dst_dir_fd=above)
    finally:
        os.close(above)


def put(directory: Path, name: str, data: bytes, mode: int) -> None:
    """Write a file at once, as `replace` does, or make it where there is none: it is then its directory's owner's.

    Args:
        directory: The volume's.
        name: A path below it; directories on the way are made.
        data: Its next content.
        mode: Its permissions where it is new.

    Raises:
        Refusal: The name leads out of the volume.
        OSError: It cannot be written, or a link stands in the way.
    """
    above, leaf = _above(directory, name)
    try:
        if not _is_there(above, leaf):
            owner = directory.stat()
            fd = _filled(above, _ASIDE + leaf, data, mode)
            try:
                if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(fd, owner.st_uid, owner.st_gid)
            finally:
                os.close(fd)
            os.rename(_ASIDE + leaf, leaf, src_dir_fd=above, dst_dir_fd=above)
            return
    finally:
        os.close(above)
    replace(directory, name, data)


def remove(directory: Path, name: str) -> None:
    """Take a file of a volume away, if it is there."""
    above, leaf = _above(directory, name)
    try:
        if _is_there(above, leaf):
            os.unlink(leaf, dir_fd=above)
    finally:
        os.close(above)


def names(directory: Path) -> set[str]:
    """The files of a volume, as paths below it."""
    return {str(Path(place, name).relative_to(directory)) for place, _, files in os.walk(directory) for name in files}


def _is_there(above: int, leaf: str) -> bool:
    try:
        os.stat(leaf, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _above(directory: Path, name: str) -> tuple[int, str]:
    """The directory that a file of a volume lies in, opened, and the file's own name."""
    *way, leaf = name.split("/")
    if not leaf or name.startswith("/") or ".." in (*way, leaf) or leaf == "." or "\0" in name:
        raise Refusal("UnsupportedField", f"a volume's file cannot be called {name!r}: it must lie in the volume. Rename it.")
    fd = os.open(directory, _DIRECTORY)
    for part in way:
        if part in {"", "."}:
            continue
        above = fd
        try:
            fd = _directory(above, part)
        finally:
            os.close(above)
    return fd, leaf


def _directory(above: int, name: str) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=above)
    except FileNotFoundError:
        os.mkdir(name, dir_fd=above)
        return os.open(name, _DIRECTORY, dir_fd=above)


def _filled(above: int, name: str, data: bytes, mode: int) -> int:
    fd = os.open(name, _FILE, mode & _PERMISSIONS, dir_fd=above)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(fd, left) :]
        os.fchmod(fd, mode & _PERMISSIONS)
    except BaseException:
        os.close(fd)
        raise
    return fd
