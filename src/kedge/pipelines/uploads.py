"""Pipeline files as people upload them: YAML or JSON, or a zip or gzipped tar that holds one.

What a file is, is told by its first bytes, not by its name. An archive is not trusted: nothing of it is written anywhere, what it
unpacks to is counted while it is read, and one with a member that would leave its folder is refused as a whole.
"""

import asyncio
import gzip
import io
import ipaddress
import tarfile
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from kedge.errors import BadRequest
from kedge.pipelines import documents
from kedge.pipelines.documents import Document

UNPACKED_LIMIT = 64 << 20
"""Bytes that an archive may unpack to, all members together."""
_MEMBERS = 1000
_NAMES = ("pipeline.yaml", "pipeline.yml", "pipeline.json")
_SUFFIXES = (".yaml", ".yml", ".json")
_PIECE = 1 << 16
_HEADERS = _MEMBERS << 11  # of tar: headers and padding
_FETCH_SECONDS = 30.0
_CLOUDS = frozenset({"fd00:ec2::254", "100.100.100.200"})  # besides link-local ones


def read(content: bytes, name: str = "the upload") -> Document:
    """Read the pipeline in an upload.

    Args:
        content: The file.
        name: What to call it in messages.

    Raises:
        BadRequest: An archive that is damaged, too large, unsafe, or holds no pipeline.
        PipelineError: What is in it is no pipeline.
    """
    if content[:4] == b"PK\x03\x04" or content[:4] == b"PK\x05\x06":
        return _from_zip(content, name)
    if content[:2] == b"\x1f\x8b":
        return _from_tar(content, name)
    if not content.strip():
        raise BadRequest(f"{name}: is empty. Upload the .yaml, .json, .zip or .tar.gz file of a pipeline.")
    return documents.read(content, name)


async def fetch(url: str, limit: int) -> Document:
    """Read the pipeline that lies at an address.

    Args:
        url: ``http`` or ``https``.
        limit: Bytes.

    Raises:
        BadRequest: It cannot be fetched, or as `read` has it.
    """
    if not url.startswith(("http://", "https://")):
        raise BadRequest(f"package_url: {url!r:.200} is no http or https address. Upload the file instead.")
    import httpx  # noqa: PLC0415  # six megabytes, for the few uploads that come as an address

    content = bytearray()

    async def look(request: httpx.Request) -> None:  # at each redirection too
        await _check_host(request.url.host, url)

    try:
        async with (
            httpx.AsyncClient(timeout=_FETCH_SECONDS, follow_redirects=True, event_hooks={"request": [look]}) as client,
            client.stream("GET", url) as found,
        ):
            if found.status_code != 200:
                raise BadRequest(f"package_url: {url} answered {found.status_code}. Give the address of the file itself.")
            async for piece in found.aiter_bytes():
                content += piece
                if len(content) > limit:
                    raise BadRequest(f"package_url: {url} has more than {limit >> 20} MiB. Data belongs into artifacts.")
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise BadRequest(f"package_url: {url!r:.200} cannot be fetched: {type(error).__name__}: {error}") from error
    return await asyncio.to_thread(read, bytes(content), url)


async def _check_host(host: str, url: str) -> None:
    """Refuse the addresses at which clouds tell a machine its credentials: they are the hub's, not its callers'."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except OSError:
        return  # a proxy may know the name; otherwise the request says so
    for *_, place in found:
        address = ipaddress.ip_address(str(place[0]).partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        if address.is_link_local or str(address) in _CLOUDS:
            raise BadRequest(
                f"package_url: {url!r:.200} leads to {address}, which tells of this machine. Upload the file instead."
            )


def _from_zip(content: bytes, name: str) -> Document:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            chosen = _choose([info.filename for info in members], name)
            info = next(info for info in members if info.filename == chosen)
            if info.flag_bits & 1:
                raise BadRequest(f"{name}: {chosen} is encrypted. Upload it without a password.")
            with archive.open(info) as file:
                # Not info.file_size: an archive may say what it likes.
                return documents.read(_limited(cast("BinaryIO", file), name), f"{name}: {chosen}")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise BadRequest(f"{name}: the zip archive cannot be read: {error}. Pack it again.") from error


def _from_tar(content: bytes, name: str) -> Document:
    found: dict[str, bytes] = {}
    left = UNPACKED_LIMIT
    try:
        with tarfile.open(fileobj=_Unpacking(content, name), mode="r|") as archive:
            for number, member in enumerate(archive):
                if number >= _MEMBERS:
                    raise BadRequest(f"{name}: has more than {_MEMBERS} members. Pack the pipeline's file alone.")
                _check_member(member.name, name)
                if not (member.isreg() or member.isdir()):
                    raise BadRequest(f"{name}: {member.name!r:.200} is a link or a device, not a file. Pack the file itself.")
                file = archive.extractfile(member) if member.isreg() and member.name.endswith(_SUFFIXES) else None
                if file is not None:
                    found[member.name] = _limited(cast("BinaryIO", file), name, left)
                    left -= len(found[member.name])
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise BadRequest(f"{name}: the tar.gz archive cannot be read: {error}. Pack it again.") from error
    chosen = _choose(list(found), name)
    return documents.read(found[chosen], f"{name}: {chosen}")


class _Unpacking(io.RawIOBase):
    """Unpacks gzip as it is read, and no further than the limit: members that are passed over count too."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__()
        self._file = gzip.GzipFile(fileobj=io.BytesIO(content))
        self._name = name
        self._left = UNPACKED_LIMIT + _HEADERS

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        piece = self._file.read(size if size >= 0 else _PIECE)
        self._left -= len(piece)
        if self._left < 0:
            raise _too_large(self._name)
        return piece


def _choose(names: list[str], archive: str) -> str:
    """The member that is the pipeline."""
    if len(names) > _MEMBERS:
        raise BadRequest(f"{archive}: has more than {_MEMBERS} members. Pack the pipeline's file alone.")
    for member in names:
        _check_member(member, archive)
    files = [member for member in names if member.endswith(_SUFFIXES)]
    named = [member for member in files if PurePosixPath(member).name in _NAMES]
    if len(files) == 1:
        return files[0]
    if len(named) == 1:
        return named[0]
    what = "holds no .yaml or .json file" if not files else f"holds {len(files)} files that could be the pipeline"
    raise BadRequest(f"{archive}: {what}. Pack the pipeline as pipeline.yaml.")


def _check_member(member: str, archive: str) -> None:
    path = PurePosixPath(member.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise BadRequest(f"{archive}: member {member!r:.200} leaves the archive's folder. Pack it with relative paths.")


def _limited(file: BinaryIO, name: str, limit: int = UNPACKED_LIMIT) -> bytes:
    content = file.read(limit + 1)
    if len(content) > limit:
        raise _too_large(name)
    return content


def _too_large(name: str) -> BadRequest:
    return BadRequest(f"{name}: unpacks to more than {UNPACKED_LIMIT >> 20} MiB. Data belongs into artifacts.")
