"""Artifacts in object stores: S3, Google Cloud Storage, Azure, through obstore, which is loaded when the first is met.

Credentials come from the hub's own environment (``AWS_*``, ``GOOGLE_*``, ``AZURE_*``), as obstore reads them. Steps never
see them: they get addresses that were signed for one file and one hour.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import lru_cache
from importlib import import_module
from typing import Any

from kedge.errors import Invalid, NotFound

GRANT_TIME = timedelta(hours=1)


async def signed(uri: str, method: str) -> str:
    """An address at which one object can be read (``GET``) or written (``PUT``) without credentials, for `GRANT_TIME`.

    Raises:
        Invalid: The store's settings are not complete.
    """
    bucket, key = _split(uri)
    try:
        return await import_module("obstore").sign_async(_store(bucket), method, key, GRANT_TIME)
    except _errors() as error:
        raise Invalid(f"{uri}: no grant could be signed: {error}. Are the store's credentials set where the hub runs?") from error


async def size(uri: str) -> int | None:
    """Bytes of one object; ``None`` where there is none."""
    bucket, key = _split(uri)
    try:
        return (await import_module("obstore").head_async(_store(bucket), key))["size"]
    except FileNotFoundError:
        return None


async def read(uri: str, path: str = "") -> AsyncIterator[bytes]:
    """The bytes of one object, or of one below it.

    Raises:
        NotFound: There is none.
    """
    bucket, key = _split(uri)
    try:
        found = await import_module("obstore").get_async(_store(bucket), f"{key}/{path}" if path else key)
    except FileNotFoundError as error:
        raise NotFound(f"there is nothing at {uri}. Was it deleted?") from error
    async for piece in found.stream():
        yield bytes(piece)


async def probe(uri: str) -> None:
    """Raise `Invalid` when a store cannot be reached; says why."""
    bucket, _ = _split(uri)
    module = import_module("obstore")
    try:
        await module.list_with_delimiter_async(_store(bucket))
    except _errors() as error:
        raise Invalid(
            f"{uri}: the store cannot be used: {error}. Check its name and the credentials where the hub runs."
        ) from error


@lru_cache(maxsize=32)
def _store(bucket: str) -> Any:
    return import_module("obstore.store").from_url(bucket)


def _errors() -> tuple[type[Exception], ...]:
    return (import_module("obstore.exceptions").BaseError, OSError, ValueError)


def _split(uri: str) -> tuple[str, str]:
    """Bucket and key: ``("s3://bucket", "a/b")``. Kubeflow's ``minio://`` is S3 spoken to another server."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    return f"{'s3' if scheme == 'minio' else scheme}://{bucket}", key
