"""Addresses of artifacts: ``file:///…``, ``s3://…``, ``gs://…``, ``az://…``, or a plain absolute path (as Kubeflow accepts).

An address is data that came from outside: a pipeline's root, an output's name, what a step wrote about itself. Nothing here lets
one climb out of the folder it belongs to: a ``..`` in any part is refused, never resolved.
"""

import os
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from kedge.errors import Cause, Invalid

# What obstore can reach. Kubeflow writes minio:// for any S3 server that is not Amazon's.
REMOTE_SCHEMES = ("s3", "minio", "gs", "az", "abfs")
_SAFE = "-_.~"  # besides letters and digits: what stands in a path segment unquoted


def scheme(uri: str) -> str:
    """The part before ``://``; ``file`` for a plain absolute path.

    Raises:
        Invalid: There is none.

    Examples:
        >>> scheme("s3://bucket/a"), scheme("/data/a")
        ('s3', 'file')
    """
    head, separator, _ = uri.partition("://")
    if separator and head:
        return head
    if uri.startswith("/"):
        return "file"
    raise _bad(uri, "must be an absolute path or start with a scheme such as file:// or s3://")


def join(root: str, *parts: str) -> str:
    """Append path segments to an address.

    Args:
        root: An address; a slash at its end makes no difference.
        parts: One segment each, quoted where needed; never a slash within.

    Raises:
        Invalid: A segment is empty, ``.`` or ``..``, or holds a slash or a NUL: it would name another folder.

    Examples:
        >>> join("file:///data", "run-1", "model v2")
        'file:///data/run-1/model%20v2'
        >>> join("/data/", "run-1")
        '/data/run-1'
    """
    plain = root.startswith("/")
    for part in parts:
        if part in {"", ".", ".."} or "/" in part or "\0" in part:
            raise _bad(part, f"cannot be one part of an artifact's address below {root}")
    return "/".join([root.rstrip("/"), *(part if plain else quote(part, safe=_SAFE) for part in parts)])


def join_path(uri: str, path: str) -> str:
    """The address of a file below a folder's address.

    Args:
        uri: The folder's.
        path: With forward slashes, as a manifest has it; not quoted, because keys of object stores are not.

    Raises:
        Invalid: The path leaves the folder, or could name a file twice.

    Examples:
        >>> join_path("s3://bucket/data", "train/1.csv")
        's3://bucket/data/train/1.csv'
    """
    if any(part in {"", ".", ".."} for part in path.split("/")) or "\0" in path:
        raise Invalid(f"{path!r} leaves the artifact's folder {uri}. Name a file below it.")
    return f"{uri.rstrip('/')}/{path}"


def local_path(uri: str) -> Path | None:
    """The local file or folder that an address names, or ``None`` when it lies in an object store.

    Raises:
        Invalid: The address names another machine, or holds a part ``..`` or a NUL.

    Examples:
        >>> local_path("file:///data/model%20v2")
        PosixPath('/data/model v2')
        >>> local_path("s3://bucket/a") is None
        True
    """
    if scheme(uri) != "file":
        return None
    text = uri
    if not uri.startswith("/"):
        split = urlsplit(uri)
        if split.netloc not in {"", "localhost"}:
            raise _bad(uri, f"names the host {split.netloc!r}; a file address has three slashes: file:///path")
        # Query and fragment are parts of a file's name here: nothing else could be meant.
        text = unquote(uri[len("file://") + len(split.netloc) :])
    if not text.startswith("/") or "\0" in text or ".." in text.split("/"):
        raise _bad(uri, "must be an absolute path without '..'")
    return Path(text)


def within(path: Path, root: Path) -> bool:
    """Whether a path, with its symbolic links followed, lies in a folder (or is that folder)."""
    real, base = os.path.realpath(path), os.path.realpath(root)
    return real == base or real.startswith(base.rstrip("/") + "/")


def _bad(uri: str, why: str) -> Invalid:
    return Invalid(f"artifact address {uri!r}: {why}.", causes=[Cause("uri", why)])
