"""Calls a webhook over HTTPS: where it is, whom to trust, how long to wait, and what kube-apiserver says when that fails."""

import asyncio
import base64
import binascii
import socket
import ssl
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec

from kedge.errors import NotFound, Unavailable
from kedge.kube.faults import shown
from kedge.kube.kinds import Obj
from kedge.server.core import Core
from kedge.server.webhooks.services import endpoint

_KEPT = 32  # authorities whose connections are kept
_LIMIT = 16 << 20  # bytes of an answer
_SAID = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    406: "the server was unable to respond with a content type that the client supports",
    409: "the server reported a conflict",
    415: "the server was unable to understand the content type of the request",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}
_UNTRUSTED = frozenset({2, 18, 19, 20, 21})  # OpenSSL's codes: nobody that is known has signed it
_PLAIN = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})  # who speaks no TLS looks so
_EXPIRED, _NAME, _ADDRESS = 10, 62, 64


class CallFailed(Exception):
    """A webhook that has given no answer; the text says why, in kube-apiserver's words."""


class Caller:
    """Keeps connections to webhooks.

    Args:
        core: Where Services are looked up.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._clients: OrderedDict[str, httpx.AsyncClient] = OrderedDict()

    async def post(self, client: Obj, body: bytes, seconds: int) -> Any:
        """Send a review; returns the JSON that comes back.

        Args:
            client: The ``clientConfig`` of a webhook.
            body: The review.
            seconds: How long to wait.

        Raises:
            CallFailed: There is no answer.
        """
        url, name = _place(client)
        address = urlsplit(url).netloc
        shown_url = f"{url}?timeout={seconds}s"
        try:
            async with asyncio.timeout(seconds):
                address = self._address(client)
                connection = await self._client(client.get("caBundle") or "")
                headers = {"Content-Type": "application/json", "Accept": "application/json, */*", "Host": urlsplit(url).netloc}
                where = urlunsplit(urlsplit(shown_url)._replace(netloc=address))
                extensions = {"sni_hostname": name}
                async with connection.stream("POST", where, content=body, headers=headers, extensions=extensions) as answer:
                    return _decoded(answer.status_code, answer.headers.get("content-type", ""), await _read(answer))
        except (TimeoutError, httpx.TimeoutException):
            raise CallFailed(f'Post "{shown_url}": context deadline exceeded') from None
        except (NotFound, Unavailable) as error:
            raise CallFailed(f'Post "{shown_url}": {error.message}') from error
        except httpx.HTTPError as error:
            raise CallFailed(f'Post "{shown_url}": {_told(error, address, name)}') from error

    async def close(self) -> None:
        """Give the connections up."""
        while self._clients:
            await self._clients.popitem()[1].aclose()

    def _address(self, client: Obj) -> str:
        """The address and port to connect to."""
        service: Obj | None = client.get("service")
        if service is None:
            return urlsplit(client["url"]).netloc
        return endpoint(self._core, service["namespace"], service["name"], service.get("port") or 443)

    async def _client(self, bundle: str) -> httpx.AsyncClient:
        found = self._clients.pop(bundle, None)
        if found is None:
            found = httpx.AsyncClient(verify=_trust(bundle), trust_env=False, timeout=None)  # noqa: S113  # whole calls are timed
            if len(self._clients) >= _KEPT:
                await self._clients.popitem(last=False)[1].aclose()
        self._clients[bundle] = found
        return found


def _place(client: Obj) -> tuple[str, str]:
    """The URL, and the name that the server's certificate must have."""
    service: Obj | None = client.get("service")
    if service is None:
        return client["url"], urlsplit(client["url"]).hostname or ""
    host = f"{service['name']}.{service['namespace']}.svc"
    return f"https://{host}:{service.get('port') or 443}/{(service.get('path') or '').lstrip('/')}", host


def _trust(bundle: str) -> ssl.SSLContext:
    if not bundle:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
    except (binascii.Error, UnicodeDecodeError, ssl.SSLError) as error:
        raise CallFailed("unable to load root certificates: unable to parse bytes as PEM block") from error


async def _read(answer: httpx.Response) -> bytes:
    parts, size = list[bytes](), 0
    async for part in answer.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > _LIMIT:
            raise CallFailed(f"the answer is over {_LIMIT} bytes")
    return b"".join(parts)


def _decoded(code: int, form: str, body: bytes) -> Any:
    if not 200 <= code < 300:
        raise CallFailed(_refusal(code, form, body))
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise CallFailed(f"couldn't get version/kind; json parse error: {error}") from error


def _refusal(code: int, form: str, body: bytes) -> str:
    """What client-go makes of an answer that is no success."""
    try:
        status = msgspec.json.decode(body)
    except msgspec.DecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status" and status.get("message"):
        return str(status["message"])
    if code in _SAID:
        return _SAID[code]
    text = body.decode(errors="replace").strip() if form.startswith("text/") else ""
    if code == 403:
        return text or "unknown"
    if code >= 500:
        return f"an error on the server ({shown(text or 'unknown')}) has prevented the request from succeeding"
    return f"the server responded with the status code {code} but did not return more information"


def _told(error: httpx.HTTPError, address: str, name: str) -> str:
    """What Go says of a connection that fails."""
    for found in _reasons(error):
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"tls: failed to verify certificate: x509: {_distrust(found, name)}"
        if isinstance(found, ssl.SSLError):
            plain = found.reason in _PLAIN
            return "http: server gave HTTP response to HTTPS client" if plain else f"tls: {found.reason or found}".lower()
        if isinstance(found, socket.gaierror):
            return f"dial tcp: lookup {name}: no such host"
    if isinstance(error, httpx.ConnectError):
        return f"dial tcp {address}: connect: connection refused"
    return "EOF" if isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError)) else str(error) or type(error).__name__


def _reasons(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _distrust(error: ssl.SSLCertVerificationError, name: str) -> str:
    if error.verify_code in _UNTRUSTED:
        return "certificate signed by unknown authority"
    if error.verify_code == _EXPIRED:
        return "certificate has expired or is not yet valid"
    if error.verify_code in {_NAME, _ADDRESS}:
        return f"certificate is not valid for {name}"
    return str(error.verify_message)
