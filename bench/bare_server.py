"""A server that knows nothing: what TLS, HTTP and the disk cost in this language, as the floor below the API's figures.

    python bench/bare_server.py PORT CERTIFICATE KEY FOLDER

Every request gets the same object; one that writes waits for an fsync first; a watch gets a line at each write. It reads of a
request nothing but its method and whether it is a watch.
"""

import asyncio
import os
import ssl
import sys
from pathlib import Path
from typing import ClassVar, cast

import httptools

_OBJECT = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"load","namespace":"default","resourceVersion":"1"}}'
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_OBJECT), _OBJECT)
_BEGIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
_LINE = b'{"type":"MODIFIED","object":%b}\n' % _OBJECT
_CHUNK = b"%x\r\n%b\r\n" % (len(_LINE), _LINE)
_PAGE = b"x" * 4096


class Bare(asyncio.Protocol):
    """One connection."""

    watchers: ClassVar[list[asyncio.Transport]] = []
    file: ClassVar[int]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""

    def data_received(self, data: bytes) -> None:
        """Something has come."""
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Called by the parser."""
        self._url = url

    def on_message_complete(self) -> None:
        """Answer; called by the parser."""
        if b"watch=1" in self._url:
            self._transport.write(_BEGIN + _CHUNK)
            self.watchers.append(self._transport)
            return
        if self._parser.get_method() in {b"POST", b"PUT"}:
            os.write(self.file, _PAGE)
            os.fsync(self.file)
            for watcher in self.watchers:
                watcher.write(_CHUNK)
        self._transport.write(_ANSWER)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        del exc
        if self._transport in self.watchers:
            self.watchers.remove(self._transport)


async def _serve(port: int, certificate: str, key: str, folder: str) -> None:
    Bare.file = os.open(Path(folder) / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", port, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), *sys.argv[2:5]))
