"""Artifacts in object stores: S3, Google Cloud Storage, Azure, through obstore, which is loaded when the first is met.

Credentials come from the hub's own environment (``AWS_*``, ``GOOGLE_*``, ``AZURE_*``), as obstore reads them. Steps never
see them: they get addresses that were signed for one file and one hour.

A store that does not answer is `Unavailable`, and whoever asked waits; one that answers *no* is `Invalid`, and waiting is no use.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from kedge.artifacts import sas
from kedge.artifacts.content import MANIFEST_SUFFIX
from kedge.artifacts.sigv4 import Credentials, Scope, presign
from kedge.artifacts.uris import join_path, scheme
from kedge.errors import Invalid, KedgeError, NotFound, Unavailable
from kedge.kube.clock import Clock

GRANT_TIME = timedelta(hours=1)
_ANSWER_SECONDS = 30.0  # for anything but the bytes of an artifact
_SLOWEST = 256 << 10  # bytes a second of an upload
_ENDPOINTS = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
    "GOOGLE_BASE_URL",
)
_Found = TypeVar("_Found")


class S3Signer:
    """Signs requests for one object of an S3 server that obstore does not sign.

    Args:
        address: The object's, as obstore writes it.
        region: The server's.
        credentials: Who signs.
        clock: For the time of signatures.
    """

    def __init__(self, address: str, region: str, credentials: Credentials, clock: Clock) -> None:
        self._address = address
        self._region = region
        self._credentials = credentials
        self._clock = clock

    def sign(self, method: str, **query: str) -> str:
        """An address for one request, good for `GRANT_TIME`."""
        scope = Scope(self._region, self._clock.now())
        seconds = int(GRANT_TIME.total_seconds())
        return presign(method, self._address, query, credentials=self._credentials, scope=scope, seconds=seconds)


class Remote:
    """Every object store that the hub's environment has credentials for.

    Args:
        environ: The environment, for what obstore does not tell: the secret that parts are signed with, and whether the user
            named a server that speaks plain HTTP.
        clock: For the time of signatures.
    """

    def __init__(self, environ: Mapping[str, str], clock: Clock) -> None:
        self._environ = environ
        self._clock = clock

    async def signed(self, uri: str, method: str) -> str:
        """An address at which one object can be read (``GET``) or written (``PUT``) without credentials, for `GRANT_TIME`.

        Raises:
            Invalid: The store's settings are not complete.
        """
        bucket, key = _split(uri)
        try:
            url = await import_module("obstore").sign_async(self._store(bucket), method, key, GRANT_TIME)
        except _errors() as error:
            why = f"{uri}: no grant could be signed: {_said(error)}. Are the store's credentials set where the hub runs?"
            raise Invalid(why) from error
        if is_azure(uri):
            return sas.mended(url, key, _azure_account(uri, self._environ), self._environ)
        if scheme(uri) == "gs" and "%" in key:  # obstore leaves it as it is, and Google reads another name
            raise Invalid(f"{uri}: no address of a name with '%' can be signed for Google. Give the file another name.")
        return url

    async def signer(self, uri: str) -> S3Signer | None:
        """What signs any request for an S3 object; ``None`` for other stores, and where the secret is not in the environment.

        Host, path style, region and temporary credentials are those of obstore's own signatures, so that the two cannot differ.
        """
        if not is_s3(uri):
            return None
        split = urlsplit(await self.signed(uri, "PUT"))
        asked = dict(parse_qsl(split.query))
        key_id, _, region, *_ = asked["X-Amz-Credential"].split("/")
        secret = self._environ.get("AWS_SECRET_ACCESS_KEY", "")
        if not secret or key_id != self._environ.get("AWS_ACCESS_KEY_ID"):
            return None
        credentials = Credentials(key_id, secret, asked.get("X-Amz-Security-Token", ""))
        return S3Signer(f"{split.scheme}://{split.netloc}{split.path}", region, credentials, self._clock)

    async def size(self, uri: str) -> int | None:
        """Bytes of one object; ``None`` where there is none."""
        bucket, key = _split(uri)
        try:
            return (await _answered(uri, import_module("obstore").head_async(self._store(bucket), key)))["size"]
        except NotFound:
            return None

    async def content(self, uri: str, limit: int) -> bytes | None:
        """The bytes of a small object; ``None`` where there is none.

        Raises:
            Invalid: It is larger than the limit.
        """
        bucket, key = _split(uri)

        async def fetch() -> bytes:
            found = await import_module("obstore").get_async(self._store(bucket), key)
            if found.meta["size"] > limit:
                raise Invalid(f"{uri} is larger than {limit >> 20} MiB.")
            return bytes(await found.bytes_async())

        try:
            return await _answered(uri, fetch())
        except NotFound:
            return None

    async def read(self, uri: str, path: str = "") -> AsyncIterator[bytes]:
        """The bytes of one object, or of one below it.

        Raises:
            NotFound: There is none.
            Invalid: The path leaves the artifact.
        """
        bucket, key = _split(join_path(uri, path) if path else uri)
        found = await _answered(uri, import_module("obstore").get_async(self._store(bucket), key))
        try:
            async for piece in found.stream():
                yield bytes(piece)
        except _errors() as error:
            raise _meaning(uri, error) from error

    async def part(self, uri: str, path: str, start: int, count: int) -> tuple[bytes, int]:
        """So many bytes of one object from an offset on, or before its end where that is negative, and its size.

        Raises:
            NotFound: There is none.
            Invalid: The path leaves the artifact.
        """
        bucket, key = _split(join_path(uri, path) if path else uri)
        obstore = import_module("obstore")
        size = int((await _answered(uri, obstore.head_async(self._store(bucket), key)))["size"])
        first = max(0, size + start) if start < 0 else min(start, size)
        last = min(first + count, size)
        if first == last:
            return b"", size
        return bytes(await _answered(uri, obstore.get_range_async(self._store(bucket), key, start=first, end=last))), size

    async def files(self, uri: str, limit: int | None = None) -> list[tuple[str, int]]:
        """Path and size of every object below an address, sorted; the address's own object is none of them.

        Raises:
            Invalid: There are more than `limit`.
        """
        bucket, key = _split(uri)
        prefix = key.rstrip("/") + "/"

        async def collect() -> list[tuple[str, int]]:
            found: list[tuple[str, int]] = []
            async for some in import_module("obstore").list(self._store(bucket), prefix):
                # Consoles mark a folder with an object whose name is the folder's.
                found.extend((one["path"][len(prefix) :], one["size"]) for one in some if one["path"] != prefix.rstrip("/"))
                if limit is not None and len(found) > limit:
                    raise Invalid(f"{uri} has more than {limit} files. Pack them into fewer ones, or name a folder below it.")
            return sorted(found)

        return await _answered(uri, collect(), seconds=10 * _ANSWER_SECONDS)

    async def write(self, uri: str, content: bytes) -> None:
        """Store a small object, whole."""
        bucket, key = _split(uri)
        await _answered(uri, import_module("obstore").put_async(self._store(bucket), key, content))

    async def upload(self, uri: str, file: Path, size: int) -> None:
        """Store a local file of so many bytes, in parts where it is large."""
        bucket, key = _split(uri)
        put = import_module("obstore").put_async(self._store(bucket), key, file)
        await _answered(uri, put, seconds=_ANSWER_SECONDS + size / _SLOWEST)

    async def delete(self, uri: str) -> None:
        """Delete an object, everything below its address, and its manifest; harmless where there is nothing."""
        bucket, key = _split(uri)
        module, store = import_module("obstore"), self._store(bucket)
        paths = [f"{key}/{path}" for path, _ in await self.files(uri)]
        for start in range(0, len(paths), 1000):
            await _answered(uri, module.delete_async(store, paths[start : start + 1000]))
        for own in (key, key + MANIFEST_SUFFIX):
            with suppress(NotFound):
                await _answered(uri, module.delete_async(store, own))

    async def probe(self, uri: str) -> None:
        """Ask whether a store can be used.

        Raises:
            Invalid: It says no; the message says why.
            Unavailable: It does not answer.
        """
        bucket, key = _split(uri)
        prefix = f"{key.rstrip('/')}/.kedge-probe/"
        try:
            await _answered(uri, import_module("obstore").list_with_delimiter_async(self._store(bucket), prefix))
        except (Invalid, NotFound, ValueError) as error:
            reason = str(error).removeprefix(f"{uri}: ")
            raise Invalid(f"{uri}: the store cannot be used: {reason}") from error

    def _store(self, bucket: str) -> Any:
        return _store(bucket, any(self._environ.get(name, "").startswith("http://") for name in _ENDPOINTS))


def is_s3(uri: str) -> bool:
    """Whether an address is spoken to as S3."""
    return scheme(uri) in {"s3", "minio"}


def is_azure(uri: str) -> bool:
    """Whether an address is spoken to as Azure's blob store."""
    return scheme(uri) in {"az", "abfs"}


def _azure_account(uri: str, environ: Mapping[str, str]) -> str:
    named = re.match(r"abfss?://[^/@]+@([^./]+)", uri)
    return named[1] if named else environ.get("AZURE_STORAGE_ACCOUNT_NAME", "")


@lru_cache(maxsize=32)
def _store(bucket: str, plain: bool) -> Any:  # noqa: FBT001  # part of the cache's key
    # An address with http:// in it was written by a person who means it. obstore's own retries are short: our callers wait
    # longer, and can say what they wait for.
    client: dict[str, Any] = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(hours=1), "allow_http": plain}
    retry = {"max_retries": 2, "retry_timeout": timedelta(seconds=5)}
    return import_module("obstore.store").from_url(bucket, client_options=client, retry_config=retry)


async def _answered(uri: str, asked: Awaitable[_Found], *, seconds: float = _ANSWER_SECONDS) -> _Found:
    try:
        async with asyncio.timeout(seconds):
            return await asked
    except _errors() as error:
        raise _meaning(uri, error) from error


def _meaning(uri: str, error: Exception) -> KedgeError:
    """What an error of obstore means for whoever waits for an answer."""
    known = import_module("obstore.exceptions")
    if isinstance(error, FileNotFoundError | known.NotFoundError):
        return NotFound(f"there is nothing at {uri}. Was it deleted?")
    said = _said(error)
    if re.search(r"status code: 4(?!08|29)\d\d", said):
        return Invalid(
            f"{uri}: the store refuses: {said}. Check its name, the credentials where the hub runs, and what they may do."
        )
    if isinstance(
        error,
        known.PermissionDeniedError | known.UnauthenticatedError | known.InvalidPathError | known.NotSupportedError | ValueError,
    ):
        return Invalid(f"{uri}: the store refuses: {said}. Check the credentials where the hub runs, and what they may do.")
    return Unavailable(f"{uri}: the store does not answer: {said}.", retry_after=1)


def _said(error: Exception) -> str:
    """The reason, which obstore tells in its text alone, before what is for its own developers."""
    return str(error).partition("\n\nDebug source")[0].strip() or type(error).__name__


def _errors() -> tuple[type[Exception], ...]:
    return (import_module("obstore.exceptions").BaseError, OSError, ValueError)


def _split(uri: str) -> tuple[str, str]:
    """Bucket and key: ``("s3://bucket", "a/b")``. Kubeflow's ``minio://`` is S3 spoken to another server."""
    head, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if any(part in {".", ".."} for part in key.split("/")):
        raise Invalid(f"{uri}: the address holds '.' or '..'. Name the object itself.")
    return f"{'s3' if head == 'minio' else head}://{bucket}", key
