"""What waits: the requests of Pods, until a hub has taken and answered them.

A request is *waiting* until a poll takes it, *taken* until the hub says that it has it, and *known* until it is answered. What
was taken by a poll whose answer got lost, or by a hub that has been started anew, waits again: every call of staging may come
twice.
"""

import asyncio
from collections import OrderedDict, deque
from typing import Any, Deque, Dict, Iterable, List, Mapping, Optional, Tuple

from .frames import INLINE
from .wire import Refused

HELD = 1000  # requests at once
HELD_BYTES = 32 << 20  # of their bodies, together
HELD_APART = 64  # requests whose body waits in its connection
BATCH = 64
BATCH_BYTES = 1 << 20
ANSWER_SECONDS = 55.0  # a step waits 60 s before it tries again
DELIVERY_SECONDS = 10.0  # for which a request waits for a hub that was here a moment ago: one that is started anew takes 2 s
TAKEN_SECONDS = 10.0  # after which a poll that took a request is given up for lost
ABSENT_SECONDS = 40.0  # a hub asks every 25 s
RETRY_SECONDS = 2
SUPERSEDED = "another hub has taken over this relay"


class Superseded(Exception):
    """The hub that asks is not the one that this relay serves any more."""


class Request:
    """A request that waits.

    Args:
        number: Its id.
        head: What the hub is told of it: method, path, headers.
        size: Bytes of its body.
        body: Its body, where that is small.
        ends: The Pod's connection: where a large body is read from, when the hub asks for it, and where the answer goes.
    """

    def __init__(
        self,
        number: int,
        head: Mapping[str, Any],
        size: int,
        *,
        body: bytes,
        ends: Tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.number = number
        self.head = head
        self.size = size
        self.body = body
        self.reader, self.writer = ends
        self.apart = size > INLINE
        self.begun = False  # whether its body has been read, or its answer written, in part: it cannot be given out again
        self.written = False  # whether its answer has been written in part
        self.state = "waiting"
        self.since = 0.0
        self.done: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()


class Desk:
    """Brings the requests of Pods and the polls of the hub together; everything on one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._requests: Dict[int, Request] = {}
        self._waiting: "OrderedDict[int, Request]" = OrderedDict()
        self._polls: Deque["asyncio.Future[None]"] = deque()
        self._numbers = 0
        self._bytes = 0
        self._apart = 0
        self._session = ""
        self._heard = float("-inf")

    def number(self) -> int:
        """An id for a request."""
        self._numbers += 1
        return self._numbers

    def admit(self, size: int) -> None:
        """See that there is a hub, and room for one more request.

        Raises:
            Refused: There is none; to be tried again.
        """
        if not self._polls and self._loop.time() - self._heard > ABSENT_SECONDS:
            raise Refused(503, "no hub is connected: it may sleep, or its network be away", RETRY_SECONDS)
        apart = size > INLINE
        if len(self._requests) >= HELD or (self._apart >= HELD_APART if apart else self._bytes + size > HELD_BYTES):
            raise Refused(503, "too many requests wait for the hub", RETRY_SECONDS)

    async def ask(self, request: Request) -> None:
        """Have the hub answer a request.

        Returns:
            When it is answered.

        Raises:
            Refused: It was not, in time.
        """
        now = self._loop.time()
        end = now + ANSWER_SECONDS
        self._requests[request.number] = request
        self._count(request, 1)
        try:
            self._wait_again(request)
            while not request.done.done():
                limits = {"waiting": DELIVERY_SECONDS, "taken": TAKEN_SECONDS}
                limit = min(end, request.since + limits.get(request.state, ANSWER_SECONDS))
                now = self._loop.time()
                if limit > now:
                    # It may be taken meanwhile, which brings another limit.
                    await asyncio.wait({request.done}, timeout=min(limit - now, TAKEN_SECONDS / 2))
                elif request.begun or limit == end or request.state == "waiting":
                    raise Refused(503, "the hub has not answered in time", RETRY_SECONDS)
                else:
                    self._wait_again(request)
            request.done.result()
        finally:
            request.done.cancel()
            self._requests.pop(request.number, None)
            self._waiting.pop(request.number, None)
            self._count(request, -1)

    def _count(self, request: Request, sign: int) -> None:
        self._apart += sign if request.apart else 0
        self._bytes += 0 if request.apart else sign * request.size

    def _wait_again(self, request: Request) -> None:
        request.state = "waiting"
        request.since = self._loop.time()
        self._waiting[request.number] = request
        self._wake()

    def _wake(self) -> None:
        while self._polls:
            poll = self._polls.popleft()
            if not poll.done():
                poll.set_result(None)
                return

    def greet(self, session: str) -> None:
        """Serve this hub from now on; what another one had taken waits again."""
        if session == self._session:
            return
        self._session = session
        self._heard = self._loop.time()
        for poll in self._polls:
            if not poll.done():
                poll.set_result(None)  # its hub is told that it has been superseded
        self._polls.clear()
        for request in list(self._requests.values()):
            if request.begun:
                self.fail(request)
            elif request.state != "waiting":
                self._wait_again(request)

    def check(self, session: str) -> None:
        """See that a hub is the one that is served; after a restart of the relay, the first one that comes is.

        Raises:
            Superseded: It is not.
        """
        if not self._session:
            self.greet(session)
        if not session or session != self._session:
            raise Superseded(SUPERSEDED)
        self._heard = self._loop.time()

    def acknowledge(self, numbers: Iterable[int]) -> None:
        """The hub has these requests."""
        for number in numbers:
            request = self._requests.get(number)
            if request is not None and request.state == "taken":
                request.state = "known"

    async def take(self, session: str, seconds: float) -> List[Request]:
        """Wait for requests, and take as many as fit into one answer.

        Raises:
            Superseded: Another hub has come.
        """
        if not self._waiting:
            poll: "asyncio.Future[None]" = self._loop.create_future()
            self._polls.append(poll)
            try:
                await asyncio.wait({poll}, timeout=seconds)
            except asyncio.CancelledError:
                if poll.done():
                    self._wake()  # it was woken for what somebody else must take
                raise
            finally:
                if poll in self._polls:
                    self._polls.remove(poll)
            self.check(session)
        taken: List[Request] = []
        size = 0
        while self._waiting and len(taken) < BATCH:
            request = next(iter(self._waiting.values()))
            size += len(request.body) + 8192
            if taken and size > BATCH_BYTES:
                break
            del self._waiting[request.number]
            request.state = "taken"
            request.since = self._loop.time()
            taken.append(request)
        if self._waiting:
            self._wake()
        return taken

    def give_back(self, requests: Iterable[Request]) -> None:
        """They were taken by a poll that has gone."""
        for request in requests:
            if request.state == "taken" and request.number in self._requests:
                self._wait_again(request)

    def find(self, number: int) -> Optional[Request]:
        """A request that still waits for its answer."""
        request = self._requests.get(number)
        return None if request is None or request.done.done() else request

    def fail(self, request: Request) -> None:
        """It cannot be answered any more; its Pod tries again."""
        if not request.done.done():
            request.done.set_exception(Refused(503, "the hub was interrupted in the middle of it", RETRY_SECONDS))

    def fail_all(self) -> None:
        """None can be answered any more; their Pods try again."""
        for request in list(self._requests.values()):
            self.fail(request)
