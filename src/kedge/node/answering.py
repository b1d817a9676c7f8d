"""Answers what a host asks of a joined node's Pods: logs, programs and ports; see `kedge.server.distant`.

The agent makes every connection: nothing listens here.
"""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from kedge.client.http import keep_alive, show_certificate, tls
from kedge.client.kubeconfig import Access
from kedge.client.status import to_status
from kedge.control.background import Background
from kedge.errors import ApiError, KedgeError, ServerError
from kedge.kube.clock import Clock
from kedge.kube.kinds import Obj
from kedge.server.logs import LogOptions, LogSource
from kedge.server.processes import Processes, Program, Wanted
from kedge.server.wires import CALLS, ENDED, FAILED, RESIZE, STARTED, STDERR, STDIN, STDOUT, Wire

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 2.0
_CONNECT_SECONDS = 10.0
_LONGEST_CALL = 1 << 22
_PIECE = 1 << 16
_KINDS = {"stdout": STDOUT, "stderr": STDERR}
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answering:
    """Listens for calls over a connection that it keeps, and answers each over one of its own.

    Args:
        access: To the host, as the node.
        clock: Waits before it connects again.
        logs: The node's.
        processes: Likewise.
    """

    def __init__(self, access: Access, clock: Clock, logs: LogSource, processes: Processes) -> None:
        self._access = access
        self._context = tls(access)
        self._clock = clock
        self._logs = logs
        self._processes = processes
        self._background = Background("answers")

    def present(self, access: Access) -> None:
        """Show another certificate from now on."""
        show_certificate(self._context, access)

    async def run(self) -> None:
        """Answer until cancelled."""
        try:
            while True:
                with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                    await self._listen()
                await self._clock.sleep(_RETRY_SECONDS)
        finally:
            await self._background.stop()

    async def _listen(self) -> None:
        reader, writer = await self._connect(CALLS)
        try:
            while line := await reader.readline():
                self._background.start(self._answer(msgspec.json.decode(line)))
        finally:
            writer.close()

    async def _connect(self, path: str) -> _Streams:
        where = urlsplit(self._access.server)
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                where.hostname, where.port or 443, ssl=self._context, limit=_LONGEST_CALL
            )
            try:
                keep_alive(writer.get_extra_info("socket"))
                lines = [f"GET {path} HTTP/1.1", f"Host: {where.netloc}", "Connection: Upgrade", "Upgrade: websocket"]
                writer.write("\r\n".join([*lines, "", ""]).encode())
                _check(await reader.readuntil(b"\r\n\r\n"))
            except BaseException:
                writer.close()
                raise
        return reader, writer

    async def _answer(self, call: Obj) -> None:
        try:
            reader, writer = await self._connect(f"{CALLS}/{call['id']}")
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            _log.warning("a call of the host's is not answered", extra={"call": call["op"], "error": str(error)})
            return
        wire = Wire(reader, writer)
        try:
            if call["op"] == "connect":
                await self._pass_on((reader, writer), call)
            elif call["op"] == "log":
                await _until_gone(wire, self._write_log(wire, call))
            else:
                await self._converse(wire, call)
        except ApiError as error:
            await wire.send(FAILED, msgspec.json.encode(to_status(error)))
        except KedgeError as error:
            await wire.send(FAILED, msgspec.json.encode(to_status(ServerError(str(error)))))
        except OSError as error:
            _log.debug("a call of the host's has ended", extra={"call": call["op"], "error": str(error)})
        finally:
            writer.close()

    async def _write_log(self, wire: Wire, call: Obj) -> None:
        options: dict[str, Any] = dict(call["options"])
        if options["since"]:
            options["since"] = datetime.fromisoformat(options["since"])
        begun = False
        async for piece in self._logs.read(call["pod"], call["container"], LogOptions(**options)):
            if not begun:
                await wire.send(STARTED)
                begun = True
            for start in range(0, len(piece), _PIECE):
                await wire.send(STDOUT, piece[start : start + _PIECE])
        if not begun:
            await wire.send(STARTED)
        await wire.send(ENDED)

    async def _converse(self, wire: Wire, call: Obj) -> None:
        wanted = Wanted(**call["wanted"])
        if call["op"] == "exec":
            program = await self._processes.exec(call["pod"], call["container"], call["argv"], wanted)
        else:
            program = await self._processes.attach(call["pod"], call["container"], wanted)
        telling: asyncio.Task[None] | None = None
        try:
            await wire.send(STARTED)
            telling = asyncio.create_task(_tell(wire, program, wanted))
            feeding = asyncio.create_task(_feed(wire, program))
            await asyncio.wait({telling, feeding}, return_when=asyncio.FIRST_COMPLETED)
            feeding.cancel()
        finally:
            if telling is not None:
                telling.cancel()
            program.close()

    async def _pass_on(self, outer: _Streams, call: Obj) -> None:
        inner = await self._processes.connect(call["pod"], call["port"])
        try:
            await asyncio.gather(_copy(outer[0], inner[1]), _copy(inner[0], outer[1]))
        finally:
            inner[1].close()


def _check(head: bytes) -> None:
    """Whether the other end stops speaking HTTP too."""
    line = head.partition(b"\r\n")[0].decode("latin-1")
    if " 101 " not in line:
        raise ConnectionError(line)


async def _until_gone(wire: Wire, work: Coroutine[Any, Any, None]) -> None:
    """Do something until it is done, or nobody is there for it."""
    doing, going = asyncio.create_task(work), asyncio.create_task(wire.receive())
    try:
        await asyncio.wait({doing, going}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        going.cancel()
        if not doing.done():
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
    if not doing.cancelled():
        doing.result()


async def _tell(wire: Wire, program: Program, wanted: Wanted) -> None:
    async def carry(name: str) -> None:
        while data := await program.read(name):
            await wire.send(_KINDS[name], data)
        await wire.send(_KINDS[name])

    await asyncio.gather(*map(carry, wanted.outputs))
    ended = await program.wait()
    await wire.send(ENDED, msgspec.json.encode({"code": ended.code, "fault": ended.fault}))


async def _feed(wire: Wire, program: Program) -> None:
    while (frame := await wire.receive()) is not None:
        kind, data = frame
        if kind == STDIN and data:
            await program.write(data)
        elif kind == STDIN:
            program.end_input()
        elif kind == RESIZE:
            program.resize(*msgspec.json.decode(data))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.close()
