"""Answers that reach a browser as they are, though the API server's proxy of Services changes them on its way.

That proxy rewrites the links of every answer of type ``text/html``, and of nothing else; and what it answers itself cannot be
told from what a hub answers. Who passes a browser's requests on through it (`kedge.installation.forwarding`) says so in a header:
then HTML goes under another name, and every answer says that it is the hub's own.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kedge.server.requests import header

FORWARDED = "x-kedge-forwarded"
"""Of a request: by somebody who gives HTML its name back. Of an answer: from the hub itself."""
HTML, UNDER_ANOTHER_NAME = b"text/html", b"application/vnd.kedge.html"


class Forwarded:
    """ASGI middleware of a hub in a cluster.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, under another name where that is asked for."""

        async def renamed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, _renamed(name, value)) for name, value in message["headers"]]
                message = {**message, "headers": [*headers, (FORWARDED.encode(), b"yes")]}
            await send(message)

        asked = scope["type"] == "http" and header(scope, FORWARDED.encode())
        await self._app(scope, receive, renamed if asked else send)


def _renamed(name: bytes, value: bytes) -> bytes:
    is_html = name.lower() == b"content-type" and value.startswith(HTML)
    return value.replace(HTML, UNDER_ANOTHER_NAME, 1) if is_html else value
