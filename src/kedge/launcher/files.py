"""Files of artifacts in this step's own view: digests, folders with their manifests, copies."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Optional, Tuple

from .errors import StepError
from .report import encode

MANIFEST = ".manifest.json"  # beside the folder that it describes, and written last
_CHUNK = 1 << 20


# `hashlib` and `shutil` take longer to import than a small step takes to run: only what needs them imports them.


def describe(path: str, name: str) -> Tuple[str, Optional[int]]:
    """Digest and size of an artifact that lies at a path; a folder gets its manifest written beside it.

    Args:
        path: A file or folder, or nothing.
        name: The output's, for messages.

    Returns:
        ``("sha256:<hex>", bytes)``, or ``("", None)`` where nothing was written.

    Raises:
        StepError: It is neither, or may not be read, or a folder holds a link that leaves it, or something that is no file.
    """
    try:
        return _described(path, name)
    except PermissionError as error:
        raise StepError(
            f"output {name!r}: {error.filename} cannot be read by user {os.getuid()}, who collects this step's outputs: "
            f"{error.strerror}. Let the command make its files readable for all (umask 022), or run it as that user.",
            "OutputInvalid",
        ) from error


def _described(path: str, name: str) -> Tuple[str, Optional[int]]:
    import hashlib

    if os.path.isdir(path):
        manifest = _manifest(path, name)
        text = encode(manifest)
        _replace(path + MANIFEST, text)
        return "sha256:" + hashlib.sha256(text).hexdigest(), sum(entry["size"] for entry in manifest["files"])
    if not os.path.exists(path):
        return "", None
    if not os.path.isfile(path):
        raise StepError(
            f"output {name!r}: what lies at {path} is no file and no folder, but a pipe, a socket or a device. Write a file.",
            "OutputInvalid",
        )
    digest, size = _digest(path)
    return "sha256:" + digest, size


def copy(source: str, target: str) -> None:
    """Put a copy of a file or folder at `target`, whole or not at all."""
    import shutil

    os.makedirs(os.path.dirname(target), exist_ok=True)
    partial = target + ".partial"
    remove(partial)
    if os.path.isdir(source):
        shutil.copytree(source, partial, symlinks=True)
    else:
        shutil.copyfile(source, partial)
    remove(target)
    os.rename(partial, target)


def read_json(path: str) -> Any:
    """Read a JSON file; None where there is none.

    Raises:
        StepError: It is no JSON.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise StepError(
            f"the file {path} is not JSON: {error}. Write a JSON object there, or nothing.", "OutputInvalid"
        ) from error


def make_parent(path: str) -> None:
    """Make the folder in which a file is about to be written."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)


def _manifest(root: str, name: str) -> Dict[str, Any]:
    files: List[Dict[str, Any]] = []
    base = os.path.realpath(root)
    for folder, folders, names in os.walk(root, onerror=_refuse):
        folders.sort()
        for entry in [*names, *(one for one in folders if os.path.islink(os.path.join(folder, one)))]:
            path = os.path.join(folder, entry)
            inner = os.path.relpath(path, root)
            real = os.path.realpath(path)
            if not real.startswith(base + os.sep) or not os.path.isfile(real):
                raise StepError(
                    f"output {name!r}: {inner!r} in its folder is a link that leads out of it, or no file. "
                    "Only files in the folder itself are kept: copy what the link points at.",
                    "OutputInvalid",
                )
            digest, size = _digest(path)
            files.append({"path": inner.replace(os.sep, "/"), "size": size, "sha256": digest})
    files.sort(key=lambda entry: entry["path"])
    return {"version": 1, "files": files}


def _refuse(error: OSError) -> None:
    raise error  # a folder that may not be read would pass for an empty one


def _digest(path: str) -> Tuple[str, int]:
    import hashlib

    total, size = hashlib.sha256(), 0
    with open(path, "rb", buffering=0) as file:
        while True:
            chunk = file.read(_CHUNK)
            if not chunk:
                return total.hexdigest(), size
            total.update(chunk)
            size += len(chunk)


def _replace(path: str, text: bytes) -> None:
    with open(path + ".partial", "wb") as file:
        file.write(text)
    os.replace(path + ".partial", path)


def remove(path: str) -> None:
    """Remove a file or folder, if there is one."""
    if os.path.isdir(path) and not os.path.islink(path):
        import shutil

        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
