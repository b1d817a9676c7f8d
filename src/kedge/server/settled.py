"""Lets nothing leave the host before what it tells of is on the disk, where that was asked for (``KEDGE_SYNCHRONOUS=FULL``)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kedge.errors import ServerError, StateError
from kedge.server.status import send_error
from kedge.store.disk import Disk


class Settled:
    """ASGI middleware: answers to writes, and what others read or watch meanwhile, wait for the disk; together, not in turn.

    What watches are told at once does not come by here: `kedge.server.fan_out` waits too.

    When the disk refuses, no answer tells of anything any more: it is 500, and what has begun is cut. A write that was asked for
    is then neither promised nor taken back.

    Args:
        app: What serves.
        disk: Where the objects lie.
    """

    def __init__(self, app: ASGIApp, disk: Disk) -> None:
        self._app = app
        self._disk = disk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""
        disk, begun = self._disk, False

        async def settled(message: Message) -> None:
            nonlocal begun
            if disk.is_behind:
                await disk.reach()
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, settled)
        except StateError as error:
            if begun or scope["type"] != "http":
                raise
            await send_error(send, ServerError(str(error)))
