"""HTTP/1.1 parsed in C, by ``httptools``: what the extra ``cluster`` adds, for hubs that answer hundreds of Pods a second."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LONGEST_HEAD = 64 * 1024  # bytes; the parser itself would keep whatever comes
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Http(HttpToolsProtocol):
    """For requests whose heads have an end."""

    _went_on = False  # whether what came last has ended a head, or was a part of a body
    _held = 0  # bytes since then, all of which the parser keeps

    def on_headers_complete(self) -> None:
        """The head has ended."""
        self._went_on = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body is there."""
        self._went_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request has ended."""
        self._went_on = True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Something has come."""
        self._went_on = False
        super().data_received(data)
        self._held = 0 if self._went_on else self._held + len(data)
        if self._held > _LONGEST_HEAD and not self.transport.is_closing():
            self.transport.write(_TOO_LONG)
            self.transport.close()
