"""The application of a listener that serves before the hub does: health at once, everything else when there is something."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from kedge.server.health import health


class Front:
    """Passes requests to the application of the moment.

    Attributes:
        app: That application; at first one that says it stands by.
    """

    def __init__(self) -> None:
        self.app: ASGIApp = Starlette(routes=[*health({}), Mount("/", _stands_by)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await self.app(scope, receive, send)


async def _stands_by(scope: Scope, receive: Receive, send: Send) -> None:
    text = "this hub stands by: another one works. Ask the Service, which leads to that one.\n"
    response = PlainTextResponse(text, 503, {"Retry-After": "1"})
    await response(scope, receive, send)
