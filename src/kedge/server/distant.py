"""Reaches the Pods of nodes that have joined, which nobody connects to: their agents connect here, and hear what is wanted.

An agent keeps one connection, over which it hears of calls; for each it makes another, over which log or streams travel
(`kedge.server.wires`). Both stand behind the node's certificate, and a call is answered by the node alone that it was made to.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any

import msgspec
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from kedge.client.status import from_status
from kedge.errors import ApiError, BadRequest, Forbidden, ServerError
from kedge.kube.clock import Ids
from kedge.kube.kinds import Obj
from kedge.server.logs import LogOptions, LogSource
from kedge.server.nodes import PREFIX
from kedge.server.peers import peer_of
from kedge.server.processes import Ended, Processes, Program, Wanted
from kedge.server.status import send_error
from kedge.server.upgrades import UPGRADE, Upgrade
from kedge.server.wires import CALLS, ENDED, FAILED, RESIZE, STARTED, STDERR, STDIN, STDOUT, Wire

_PATIENCE = 10.0
_OUTPUTS = {STDOUT: "stdout", STDERR: "stderr"}
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Calls:
    """The connections of agents.

    Args:
        ids: Names of calls.
    """

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._listening: dict[str, asyncio.StreamWriter] = {}
        self._waiting: dict[str, tuple[str, asyncio.Future[_Streams]]] = {}

    def routes(self) -> list[BaseRoute]:
        """They begin with ``/apis``, so they must stand before those of the API."""
        return [Route(CALLS, _Upgraded(self._listen)), Route(CALLS + "/{call}", _Upgraded(self._answer))]

    async def dial(self, pod: Obj, call: Obj) -> _Streams:
        """Have the agent of a Pod's node connect for a call.

        Raises:
            ServerError: It has no connection to this host, or does not answer.
        """
        node, name = pod["spec"]["nodeName"], self._ids.uid()
        writer = self._listening.get(node)
        if writer is None or writer.is_closing():
            raise ServerError(f"error dialing backend: node {node} has no connection to this host. kubectl get nodes says more.")
        answer: asyncio.Future[_Streams] = asyncio.get_running_loop().create_future()
        self._waiting[name] = node, answer
        try:
            writer.write(msgspec.json.encode({**call, "id": name, "pod": pod}) + b"\n")
            async with asyncio.timeout(_PATIENCE):
                return await answer
        except TimeoutError as error:
            raise ServerError(f"error dialing backend: node {node} does not answer. kubectl get nodes says more.") from error
        finally:
            self._waiting.pop(name, None)

    async def begin(self, pod: Obj, call: Obj) -> Wire:
        """The same, over frames: returns when the agent says that it has begun.

        Raises:
            ApiError: What the agent says instead.
        """
        wire = Wire(*await self.dial(pod, call))
        kind, data = await wire.receive() or (FAILED, b"")
        if kind != STARTED:
            wire.close()
            raise _error(data)
        return wire

    async def _listen(self, node: str, scope: Scope, streams: _Streams) -> None:
        del scope
        reader, writer = streams
        if (before := self._listening.get(node)) is not None:
            before.close()
        self._listening[node] = writer
        try:
            while await reader.read(1024):
                pass  # it says nothing, until it goes
        finally:
            if self._listening.get(node) is writer:
                del self._listening[node]

    async def _answer(self, node: str, scope: Scope, streams: _Streams) -> None:
        asked, answer = self._waiting.get(scope["path_params"]["call"], ("", None))
        if answer is None or asked != node or answer.done():
            return  # nobody waits for it any more
        answer.set_result(streams)
        await streams[1].wait_closed()


def _error(data: bytes) -> ApiError:
    if not data:
        return ServerError("error dialing backend: the node has gone.")
    status: Obj = msgspec.json.decode(data)
    return from_status(status, code=status["code"])


class _Upgraded:
    """Hands the connection of a node over."""

    def __init__(self, serve: Callable[[str, Scope, _Streams], Awaitable[None]]) -> None:
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        peer, upgrade = peer_of(scope), scope.get(UPGRADE)
        try:
            if peer is None or not peer.name.startswith(PREFIX):
                raise Forbidden("calls are for nodes that have joined, by their certificates.")
            if not isinstance(upgrade, Upgrade):
                raise BadRequest("Upgrade request required")
        except ApiError as error:
            await send_error(send, error)
            return
        await self._serve(peer.name.removeprefix(PREFIX), scope, upgrade.switch("kedge", []))


class DistantLogs:
    """The logs of all nodes.

    Args:
        own: The host's own node.
        logs: Its logs.
        calls: To the others.
    """

    def __init__(self, own: str, logs: LogSource, calls: Calls) -> None:
        self._own = own
        self._logs = logs
        self._calls = calls

    async def read(self, pod: Obj, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield a container's log; see `LogSource`."""
        if pod["spec"].get("nodeName") == self._own:
            async for piece in self._logs.read(pod, container, options):
                yield piece
            return
        wire = await self._calls.begin(pod, {"op": "log", "container": container, "options": asdict(options)})
        try:
            while (frame := await wire.receive()) is not None and frame[0] == STDOUT:
                yield frame[1]
        finally:
            wire.close()


class DistantProcesses:
    """The processes of all nodes; see `kedge.server.processes.Processes`.

    Args:
        own: The host's own node.
        processes: Its processes.
        calls: To the others.
    """

    def __init__(self, own: str, processes: Processes, calls: Calls) -> None:
        self._own = own
        self._processes = processes
        self._calls = calls

    async def exec(self, pod: Obj, container: str, argv: Sequence[str], wanted: Wanted) -> Program:
        """Run a program in a container."""
        if pod["spec"].get("nodeName") == self._own:
            return await self._processes.exec(pod, container, argv, wanted)
        return await self._program(pod, {"op": "exec", "container": container, "argv": list(argv), "wanted": asdict(wanted)})

    async def attach(self, pod: Obj, container: str, wanted: Wanted) -> Program:
        """Follow a container's own program."""
        if pod["spec"].get("nodeName") == self._own:
            return await self._processes.attach(pod, container, wanted)
        return await self._program(pod, {"op": "attach", "container": container, "wanted": asdict(wanted)})

    async def reach(self, host: str, port: int, context: ssl.SSLContext | None = None) -> _Streams:
        """Connect to an address, from the host."""
        return await self._processes.reach(host, port, context)

    async def connect(self, pod: Obj, port: int) -> _Streams:
        """Connect to a port of a Pod's loopback."""
        if pod["spec"].get("nodeName") == self._own:
            return await self._processes.connect(pod, port)
        try:
            return await self._calls.dial(pod, {"op": "connect", "port": port})
        except ApiError as error:
            raise ConnectionError(str(error)) from error

    async def _program(self, pod: Obj, call: Obj) -> "DistantProgram":
        return DistantProgram(await self._calls.begin(pod, call))


class DistantProgram:
    """A program on another machine; see `kedge.server.processes.Program`.

    Args:
        wire: To its agent.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._outputs: dict[str, asyncio.Queue[bytes]] = {name: asyncio.Queue(2) for name in _OUTPUTS.values()}
        self._ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        ended = Ended(None, "the node has gone.")
        while (frame := await self._wire.receive()) is not None:
            kind, data = frame
            if kind == ENDED:
                said: dict[str, Any] = msgspec.json.decode(data)
                ended = Ended(said["code"], said["fault"])
                break
            await self._outputs[_OUTPUTS[kind]].put(data)
        if not self._ended.done():
            self._ended.set_result(ended)
        if ended.code is None:
            for queue in self._outputs.values():
                await queue.put(b"")

    async def read(self, name: str) -> bytes:
        """What comes next; empty at its end."""
        return await self._outputs[name].get()

    async def write(self, data: bytes) -> None:
        """Write to its input."""
        await self._wire.send(STDIN, data)

    def end_input(self) -> None:
        """Close its input."""
        self._wire.post(STDIN)

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal."""
        self._wire.post(RESIZE, msgspec.json.encode([rows, columns]))

    async def wait(self) -> Ended:
        """Wait for its end."""
        return await self._ended

    def close(self) -> None:
        """Let go of it."""
        self._task.cancel()
        self._wire.close()
