"""What both compositions share: a process that runs until it is told to stop, its long-running parts, and how it is counted."""

import asyncio
import ctypes
import gc
import logging
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from kedge import exposition, logs
from kedge.config import Settings
from kedge.dashboard.access import Ended, Links, OwnerAccess, Sessions
from kedge.dashboard.cluster_access import ClusterAccess
from kedge.db.database import Database
from kedge.errors import KedgeError, StateError
from kedge.exposition import Exposition
from kedge.files import write_private
from kedge.kube.clock import Clock, Ids
from kedge.kube.kinds import Kind
from kedge.pipelines.controller import Limits
from kedge.server.auth import OwnerToken
from kedge.server.http import direct
from kedge.server.measured import Measured, words
from kedge.store.log import ObjectLog

_log = logging.getLogger(__name__)

# After so long, what a start reads once has been read.
_STARTED_SECONDS = 1.0


_Host = AbstractAsyncContextManager["asyncio.Future[None]"]
Told = Callable[[], None]
"""Called, in a thread, when a host serves."""


def untold() -> None:
    """Tell nobody."""


def run_until_told(settings: Settings, host: _Host, *, waits: bool = False, ready: Told = untold) -> None:
    """Run a host in this process until SIGTERM or SIGINT tells it to stop, or a part of it fails for good.

    Args:
        settings: How it logs.
        host: Runs while it is entered; yields what is done, with an exception, when a part of it has failed.
        waits: Whether its start may have to wait for others: it is then left where it is when we are told to stop.
        ready: Called when it serves.
    """
    logs.set_up(settings.log_format, settings.log_level)
    asyncio.run(_until_told(host, waits=waits, ready=ready))


async def _until_told(host: _Host, *, waits: bool, ready: Told) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    entered = asyncio.Event()
    serving = asyncio.create_task(_serve(host, entered, stopping, ready))
    told = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if waits and not entered.is_set():
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        return
    await serving


async def _serve(host: _Host, entered: asyncio.Event, stopping: asyncio.Event, ready: Told) -> None:
    loop = asyncio.get_running_loop()
    async with host as failed:
        entered.set()
        await asyncio.to_thread(ready)
        # What was loaded and made so far stays: the collector need not look at it again, and forked memory stays shared.
        gc.collect()
        gc.freeze()
        gc.set_threshold(5000, 20, 20)  # of what a step makes, next to nothing is a cycle: looking less often is 7 % of a step
        loop.call_later(_STARTED_SECONDS, _give_back)
        done, _ = await asyncio.wait({asyncio.ensure_future(stopping.wait()), failed}, return_when=asyncio.FIRST_COMPLETED)
        if failed in done:
            failed.result()


def _give_back() -> None:
    """Hand memory that starting up needed for a moment back to the system; glibc keeps it otherwise, other libraries do not."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class Parts:
    """The host's long-running parts: started together, ended together, and the first failure of any is the host's.

    Attributes:
        failed: Done, with an exception, when one has failed.
    """

    def __init__(self) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, part: Coroutine[Any, Any, None]) -> None:
        """Begin one."""
        task = asyncio.create_task(part, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or self.failed.done() or (error := task.exception()) is None:
            return
        _log.error("a part of the host has failed", extra={"part": task.get_name()}, exc_info=error)
        self.failed.set_exception(error)

    def give_up(self, error: StateError) -> None:
        """End the host: what it stands on cannot be used any more, and no part of it can mend that."""
        if not self.failed.done():
            self.failed.set_exception(error)

    async def reach(self, point: Coroutine[Any, Any, None]) -> None:
        """Wait for a point of the start; raises why it will never come, if something has failed before."""
        waiting = asyncio.create_task(point)
        await asyncio.wait({waiting, self.failed}, return_when=asyncio.FIRST_COMPLETED)
        if self.failed.done():
            waiting.cancel()
            self.failed.result()
        await waiting

    async def stop(self) -> None:
        """End all of them, the last first."""
        for task in reversed(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.failed.done():
            self.failed.exception()  # looked at: it was logged when it happened


async def looked_through(*files: ObjectLog | Database) -> None:
    """Find damage in what was too large to be looked through at the start, one file after the other; each tells of its own."""
    for each in files:
        await each.look_through()


def measured(routes: list[BaseRoute], kinds: Sequence[Kind], parts: exposition.Parts, owner: OwnerToken | None) -> Measured:
    """The application of all listeners, with ``/metrics``.

    Args:
        routes: What is served.
        kinds: Whose plurals are counted by name.
        parts: Whose numbers ``/metrics`` tells.
        owner: Lets the owner read them; ``None`` lets in everyone.
    """
    application = Starlette(routes=routes)
    made = Measured(direct(application, routes), {*words(routes), *(kind.plural for kind in kinds)})
    application.routes.insert(0, Route("/metrics", Exposition(parts, made, owner)))
    return made


def limits(settings: Settings) -> Limits:
    """How much at once, as the settings say."""
    return Limits(
        infra_retries=settings.infra_retries,
        image_pull_timeout=settings.image_pull_timeout,
        final_status_complete=settings.final_status == "COMPLETE",
        cache_ttl=settings.cache_ttl,
    )


def readable(look: Callable[[], object], fault: str) -> Callable[[], str]:
    """A check for ``/readyz``, which answers without a token and so names no place.

    Args:
        look: Reads a little.
        fault: What to say where it cannot.
    """

    def check() -> str:
        try:
            look()
        except KedgeError:
            return fault
        return ""

    return check


def owner_token(path: Path, ids: Ids) -> str:
    """The owner's token: made once, kept in a file that only the owner reads."""
    if path.exists():
        return path.read_text().strip()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = ids.token()
    write_private(path, token)
    return token


def owner_pages(home: Path, token: str, clock: Clock, ids: Ids) -> OwnerAccess:
    """Who may look at the pages of a host or hub that has one owner. The key of their sessions is made once, and kept.

    Args:
        home: The data directory.
        token: The owner's.
        clock: For how long sessions and links last.
        ids: For what no one can guess.
    """
    return OwnerAccess(token, _sessions(home / "pki", clock, ids), Links(clock, ids))


def cluster_pages(home: Path, clock: Clock, ids: Ids) -> ClusterAccess:
    """Who may look at the pages of a hub that knows many callers; otherwise as `owner_pages`."""
    return ClusterAccess(_sessions(home / "pki", clock, ids))


def _sessions(folder: Path, clock: Clock, ids: Ids) -> Sessions:
    path = folder / "pages.key"
    if not path.exists():
        write_private(path, Fernet.generate_key())
    return Sessions(path.read_bytes(), clock, ids, Ended(folder / "pages.ended"))
