"""The hub's end of a relay's tunnel: it comes for the requests of Pods, has them answered, and brings the answers back.

Connections are made outward only, and to nothing but the API server, whose proxy leads to the relay. Several long polls wait
there at once, so that a request finds one when it comes. An answer is sent when it is ready: what is answered at once goes with
the next poll, which costs nothing; what takes longer goes by itself. Whatever the
network does, the tunnel goes on: who asks through it asks again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import httpx

from kedge import errors
from kedge.client.http import HttpClient
from kedge.kube.clock import Clock
from kedge.relay import frames

_log = logging.getLogger(__name__)

_POLLS = 4
_SENDERS = 3
_AT_ONCE = 64  # requests that are being answered
_LARGE_AT_ONCE = 4  # of those, with a body that comes by a request of its own
_AT_ONCE_SECONDS = 0.05  # within which an answer is awaited before the next poll, which then takes it along
_HEAD_BYTES = 1024
_POLL_SECONDS = 40.0  # a poll is answered after 25
_ANSWER_SECONDS = 55.0  # after which nobody waits for an answer any more
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0
_MEND_AFTER = 3.0  # seconds of silence after which we look whether the relay is there at all
_MEND_PAUSE = 10.0
_STAGING = "/apis/kedge.dev/v1/staging/"
Headers = Sequence[tuple[str, str]]


class Answer(NamedTuple):
    """What becomes of a request."""

    status: int
    headers: Headers
    body: bytes


Handler = Callable[[str, str, Headers, bytes], Awaitable[Answer]]
"""Answers a request: its method, path, headers and body."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a relay is reached.

    Attributes:
        path: Of the API server's proxy to its tunnel port.
        secret: What it asks for.
        session: Names this hub, from its start to its end.
    """

    path: str
    secret: str
    session: str

    @property
    def headers(self) -> dict[str, str]:
        """What every request through the tunnel carries."""
        return {
            frames.SECRET_HEADER: self.secret,
            frames.SESSION_HEADER: self.session,
            "Content-Type": "application/octet-stream",
        }


class _Answered(NamedTuple):
    """An answer, and which request it is to."""

    number: int
    since: float
    answer: Answer

    def packed(self) -> bytes:
        status, headers, body = self.answer
        return frames.pack({"id": self.number, "status": status, "headers": list(headers), "size": len(body)}, body)


class Tunnel:
    """Answers what comes through a relay.

    Args:
        client: Speaks to the API server.
        way: Leads to the relay.
        handler: Answers.
        clock: For pauses.
        mend: Called when the relay has been silent for some seconds: sees that it is there.
    """

    def __init__(self, client: HttpClient, way: Way, handler: Handler, clock: Clock, mend: Callable[[], Awaitable[None]]) -> None:
        self._client = client
        self._way = way
        self._handler = handler
        self._clock = clock
        self._mend = mend
        self._answers: asyncio.Queue[_Answered] = asyncio.Queue()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)
        self._running: dict[int, asyncio.Task[_Answered | None]] = {}
        self._heard = clock.monotonic()
        self._mended = float("-inf")
        self._silent = False
        self._mending = asyncio.Lock()

    async def greet(self) -> None:
        """Say to the relay that this hub is the one that it serves.

        Raises:
            Unavailable: It cannot be reached.
            StateError: It does not know the secret.
        """
        await self._call("POST", "hello")

    async def run(self) -> NoReturn:
        """Serve until cancelled.

        Raises:
            StateError: Another hub has taken over the relay.
        """
        loops = [*(self._poll() for _ in range(_POLLS)), *(self._send() for _ in range(_SENDERS))]
        tasks = [asyncio.create_task(each) for each in loops]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            ending: list[asyncio.Task[Any]] = [*tasks, *self._running.values()]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
        raise AssertionError("polls and senders do not end")

    async def _poll(self) -> None:
        said: list[bytes] = []
        answered: list[_Answered] = []
        pause = _FIRST_PAUSE
        while True:
            try:
                found = list(frames.unpack(await self._call("POST", "next", b"".join(said), silence=_POLL_SECONDS)))
            except (errors.ApiError, ValueError) as error:
                for each in answered:  # whether they have arrived is not known; twice does no harm
                    self._answers.put_nowait(each)
                said, answered = [], []
                await self._failed(error, pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            answered = await self._begin(found)
            said = [frames.pack({"id": 0, "size": 0, "got": [head["id"] for head, _ in found]})] if found else []
            said += [each.packed() for each in answered]

    async def _begin(self, found: list[tuple[dict[str, Any], bytes]]) -> list["_Answered"]:
        """Have requests answered; returns what is answered at once, which the next poll takes along."""
        tasks: list[asyncio.Task[_Answered | None]] = []
        for head, body in found:
            if head["id"] not in self._running:  # it may be given out twice
                task = asyncio.create_task(self._serve(head, body))
                self._running[head["id"]] = task
                tasks.append(task)
        if tasks:
            await asyncio.wait(tasks, timeout=_AT_ONCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)  # others may be ready in the same moment
        answered: list[_Answered] = []
        size = 0
        for task in tasks:
            answer = task.result() if task.done() else None
            size += 0 if answer is None else len(answer.answer.body) + _HEAD_BYTES
            if answer is not None and size < frames.INLINE:
                answered.append(answer)
            else:
                task.add_done_callback(self._queue)
        return answered

    def _queue(self, task: "asyncio.Task[_Answered | None]") -> None:
        if not task.cancelled() and (answer := task.result()) is not None:
            self._answers.put_nowait(answer)

    async def _failed(self, error: Exception, pause: float) -> None:
        """Wait, and have the relay looked after when it says nothing for long."""
        quiet = self._clock.monotonic() - self._heard
        if quiet > _MEND_AFTER:
            if not self._silent:
                self._silent = True
                _log.warning("the relay cannot be reached; Pods wait for it", extra={"why": str(error)})
            async with self._mending:
                if self._clock.monotonic() - self._mended > _MEND_PAUSE:
                    try:
                        await self._mend()
                        await self.greet()
                    except errors.ApiError as refusal:
                        _log.debug("the relay could not be mended", extra={"why": str(refusal)})
                    finally:
                        self._mended = self._clock.monotonic()
        await self._clock.sleep(pause)

    async def _serve(self, head: dict[str, Any], body: bytes) -> "_Answered | None":
        number, since = head["id"], self._clock.monotonic()
        try:
            async with self._large if head.get("apart") else self._places:
                if head.get("apart"):
                    body = await self._call("GET", f"body/{number}")
                return _Answered(number, since, await self._answered(head, body))
        except errors.ApiError as error:  # the body has gone: its Pod sends it again
            _log.debug("a request could not be fetched", extra={"why": str(error)})
            return None
        finally:
            del self._running[number]

    async def _answered(self, head: dict[str, Any], body: bytes) -> Answer:
        path = str(head["path"])
        if not path.startswith(_STAGING) or ".." in path:
            return Answer(404, (), b"")
        headers = [(str(name), str(value)) for name, value in head["headers"]]
        try:
            return await self._handler(str(head["method"]), path, headers, body)
        except Exception:  # noqa: BLE001  # a defect in answering one must not end what serves all
            _log.exception("a request that came through the relay could not be answered", extra={"path": path})
            return Answer(500, [("Content-Type", "application/json")], b'{"message": "the hub could not answer; see its log"}')

    async def _send(self) -> None:
        """Send answers that no poll took along: all that are ready, in one request, but what is large by itself."""
        held: _Answered | None = None
        while True:
            batch = [held or await self._answers.get()]
            size, held = len(batch[0].answer.body), None
            while size < frames.INLINE and not self._answers.empty():
                held = self._answers.get_nowait()
                size += len(held.answer.body)
                if size < frames.INLINE:
                    batch.append(held)
                    held = None
            await self._deliver(batch)

    async def _deliver(self, batch: list["_Answered"]) -> None:
        pause = _FIRST_PAUSE
        while batch:
            try:
                await self._call("POST", "answers", b"".join(each.packed() for each in batch))
            except errors.ApiError as error:
                await self._failed(error, pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                now = self._clock.monotonic()
                batch = [each for each in batch if now - each.since < _ANSWER_SECONDS]
            else:
                return

    async def _call(self, method: str, what: str, content: bytes = b"", *, silence: float = _ANSWER_SECONDS) -> bytes:
        path = f"{self._way.path}/v{frames.PROTOCOL}/{what}"
        try:
            async with self._client.exchange(
                method, path, headers=self._way.headers, content=content, silence=silence
            ) as response:
                body = await response.aread()
        except httpx.HTTPError as error:
            raise errors.Unavailable(f"the relay's answer broke off: {error}") from error
        if frames.MARK not in response.headers:
            raise errors.Unavailable(f"the API server has no way to the relay: {response.status_code} {_words(body)}")
        if response.status_code == errors.Forbidden.code:
            raise errors.Unavailable("the relay does not know our secret yet")
        self._heard = self._clock.monotonic()
        if self._silent:
            self._silent = False
            _log.info("the relay is reached again")
        if response.status_code == errors.Conflict.code:
            raise errors.StateError(
                "Another hub has taken over this hub's relay: it was started with a copy of the same data directory. "
                "Stop one of them, and give it a data directory of its own (KEDGE_HOME)."
            )
        if response.is_error:
            raise errors.NotFound(f"the relay refused {method} {what}: {response.status_code} {_words(body)}")
        return body


def _words(body: bytes) -> str:
    return body[:300].decode("utf-8", "replace").strip()
