"""Answers that go on as long as something is followed: a log, what changes. They end with their session, if not before."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Send

from kedge.dashboard.access import Sessions


class Following(StreamingResponse):
    """An answer without an end of its own.

    Args:
        sessions: Know when the one of the request is over.
        request: What is answered.
        pieces: The body.
        headers: Of the answer.
        media_type: Of the body.
    """

    def __init__(
        self, sessions: Sessions, request: Request, pieces: AsyncIterator[bytes], headers: Mapping[str, str], media_type: str
    ) -> None:
        super().__init__(pieces, 200, headers, media_type)
        self._sessions = sessions
        self._request = request

    async def stream_response(self, send: Send) -> None:
        """Send the answer, up to its end or that of the session."""
        now, limit = asyncio.get_running_loop().time, asyncio.timeout(None)
        try:
            async with limit:
                with self._sessions.going_on(self._request, lambda: limit.reschedule(now())):
                    await super().stream_response(send)
        except TimeoutError:
            if not limit.expired():
                raise
            await send({"type": "http.response.body", "body": b"", "more_body": False})
