"""Writes small files that must be whole and must be nobody else's."""

import os
from pathlib import Path


def write_private(path: Path, content: str | bytes, *, mode: int = 0o600) -> None:
    """Replace a file at once: a reader sees the old one or the new one, whole, and nobody sees it before its mode is set.

    Args:
        path: The file; a temporary one is made beside it.
        content: Text is written as UTF-8.
        mode: Permissions, from the first moment on.

    Raises:
        OSError: It cannot be written; the old file is as it was.
    """
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)  # left by a process that was killed
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    beside.replace(path)


def sync(folder: Path) -> None:
    """Wait until the disk holds the names of a folder's files.

    Raises:
        OSError: The disk says that it cannot.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
