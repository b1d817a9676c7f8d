"""Transfers: the addresses at which a step moves the files of one artifact of an object store, large ones in parts.

The hub never touches the bytes. It opens a multi-part upload, signs an address for each part, and joins the parts when the step
names their checksums; between these it remembers nothing, so that it may be restarted at any moment. What a step left
half-way stays invisible; a lifecycle rule of the bucket (abort incomplete uploads) sweeps it up.

===== ====================================================================================================
S3    parts, signed here (`kedge.artifacts.sigv4`), if the secret is in the hub's environment; else one address, up to 5 GB
Azure blocks below one signed address, which Azure allows
GCS   one signed address; its servers take 5 TB at once
===== ====================================================================================================
"""

import base64
import html
import re
from typing import Any

import msgspec

from kedge.artifacts.content import MANIFEST_SUFFIX
from kedge.artifacts.remote import Remote, S3Signer, is_azure, is_s3
from kedge.artifacts.uris import REMOTE_SCHEMES, join_path, scheme
from kedge.errors import Invalid, NotFound, Unavailable

PART = 16 << 20  # bytes; what is sent again after an interruption
SINGLE = 32 << 20  # bytes; up to here one request is simpler than three
_MAX_PARTS = 10_000  # S3's; Azure allows five times as many
_BLOCKS = "blocks"  # stands for an upload at Azure, which needs no name
_TIMEOUT = 60.0
_AZURE_PUT = {"x-ms-blob-type": "BlockBlob"}


class File(msgspec.Struct, frozen=True):
    """One file that a step wants to move.

    Attributes:
        path: Below the artifact's folder; ``""`` for an artifact that is one file.
        manifest: Whether the folder's manifest is meant.
        size: Bytes, of a file that is sent.
        upload: The multi-part upload that is to go on, with new addresses.
    """

    path: str = ""
    manifest: bool = False
    size: int = 0
    upload: str = ""


class Transfers:
    """Makes the addresses.

    Args:
        remote: The object stores.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def read(self, uri: str, file: File) -> dict[str, Any]:
        """Where a file can be read: ``{"url"}``."""
        return {"url": await self._remote.signed(address(uri, file), "GET")}

    async def write(self, uri: str, file: File) -> dict[str, Any]:
        """Where a file can be sent: ``{"url", "headers"}``, or in parts ``{"upload", "partSize", "urls"}``.

        Raises:
            Unavailable: The store does not answer; ask again.
            Invalid: The store says no.
        """
        target = address(uri, file)
        if file.size <= SINGLE:
            return await self._single(target)
        size = _part_size(file.size)
        numbers = range(1, -(-file.size // size) + 1)
        if is_azure(target):
            base = await self._remote.signed(target, "PUT")
            return {"upload": _BLOCKS, "partSize": size, "urls": [f"{base}&comp=block&blockid={_block(n)}" for n in numbers]}
        signer = await self._remote.signer(target) if is_s3(target) else None
        if signer is None:
            return await self._single(target)
        upload = file.upload or await _begun(signer, target)
        urls = [signer.sign("PUT", partNumber=str(number), uploadId=upload) for number in numbers]
        return {"upload": upload, "partSize": size, "urls": urls}

    async def complete(self, uri: str, file: File, etags: list[str]) -> None:
        """Join the parts of an upload, in their order; a second time changes nothing.

        Raises:
            Invalid: The store does not take them; nothing lies at the address.
            Unavailable: The store does not answer; ask again.
        """
        target = address(uri, file)
        if file.upload == _BLOCKS and is_azure(target):
            listed = "".join(f"<Latest>{base64.b64encode(_block_id(n)).decode()}</Latest>" for n in range(1, len(etags) + 1))
            joined = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'
            await _asked("PUT", await self._remote.signed(target, "PUT") + "&comp=blocklist", joined, target)
            return
        signer = await self._remote.signer(target)
        if signer is None:
            raise Invalid(f"{target}: this store has no multi-part uploads. Ask for the file's address again.")
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{html.escape(etag)}</ETag></Part>"
            for number, etag in enumerate(etags, 1)
        )
        joined = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
        try:
            await _asked("POST", signer.sign("POST", uploadId=file.upload), joined, target)
        except NotFound:
            # Joined already, and the answer was lost on its way: then the file is there.
            if await self._remote.size(target) != file.size:
                raise Invalid(f"{target}: its upload {file.upload} is not known any more. Send it again.") from None

    async def _single(self, target: str) -> dict[str, Any]:
        made: dict[str, Any] = {"url": await self._remote.signed(target, "PUT")}
        return {**made, "headers": _AZURE_PUT} if is_azure(target) else made


def address(uri: str, file: File) -> str:
    """Where one file of an artifact lies.

    Raises:
        Invalid: Its path leaves the artifact's folder, or the artifact is in no object store.
    """
    if scheme(uri) not in REMOTE_SCHEMES:
        raise Invalid(f"{uri}: only files of object stores are moved by signed addresses.")
    if file.manifest:
        return uri + MANIFEST_SUFFIX
    return join_path(uri, file.path) if file.path else uri


def _part_size(size: int) -> int:
    """`PART`, or more where that would be too many parts; whole mebibytes, so that asking again gives the same."""
    mebibytes = -(-size // (_MAX_PARTS << 20))
    return max(PART, mebibytes << 20)


async def _begun(signer: S3Signer, target: str) -> str:
    text = await _asked("POST", signer.sign("POST", uploads=""), "", target)
    found = re.search(r"<UploadId>([^<]+)</UploadId>", text)
    if found is None:
        raise Invalid(f"{target}: the store began no multi-part upload: {text[:200]!r}. Is it an S3 server?")
    return html.unescape(found[1])


async def _asked(method: str, url: str, body: str, target: str) -> str:
    """Send one signed request; the errors of S3 and Azure look alike."""
    import httpx  # noqa: PLC0415  # six megabytes, for hosts whose artifacts lie in a bucket

    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT) as client:
            answer = await client.request(method, url, content=body.encode(), headers={"Content-Type": "application/xml"})
    except httpx.HTTPError as error:
        raise Unavailable(f"{target}: the store does not answer: {error or type(error).__name__}.", retry_after=1) from error
    text = answer.text
    code = re.search(r"<Code>([^<]*)</Code>", text)
    # S3 begins to answer 200 before it knows: what went wrong while it joined the parts stands in the body.
    failed_late = answer.status_code == 200 and "<Error>" in text
    if answer.status_code < 300 and not failed_late:
        return text
    said = re.search(r"<Message>([^<]*)</Message>", text)
    why = f"{code[1] if code else answer.status_code} {html.unescape(said[1]) if said else ''}".strip()
    if answer.status_code == 404 or (code is not None and code[1] == "NoSuchUpload"):
        raise NotFound(f"{target}: {why}")
    if failed_late or answer.status_code >= 500 or answer.status_code in {408, 429}:
        raise Unavailable(f"{target}: the store is not able to: {why}.", retry_after=1)
    raise Invalid(f"{target}: the store refuses: {why}. Check the credentials where the hub runs, and what they may do.")


def _block_id(number: int) -> bytes:
    return b"%08d" % number


def _block(number: int) -> str:
    return base64.b64encode(_block_id(number)).decode().replace("=", "%3D")
