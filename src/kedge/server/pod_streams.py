"""The subresources ``exec``, ``attach`` and ``portforward`` of Pods: requests that become something else than HTTP.

Everything that can be refused is refused before that, as an ordinary answer; kubectl then asks again by the older way,
and shows what that is answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from starlette.types import Receive, Scope

from kedge.errors import BadRequest
from kedge.kube.kinds import Obj
from kedge.server import commands, port_forward, websocket
from kedge.server.api import Api
from kedge.server.commands import Channels, Wire, converse
from kedge.server.core import Target
from kedge.server.get import get
from kedge.server.pod_log import container_of
from kedge.server.port_forward import Forwarder
from kedge.server.processes import Ended, Processes, Program, Wanted
from kedge.server.requests import Options, header
from kedge.server.spdy import SpdyError
from kedge.server.streams import Answer, Streams
from kedge.server.upgrades import UPGRADE, Upgrade

SUBRESOURCES = frozenset({"exec", "attach", "portforward"})
_STREAMS = ("stdin", "stdout", "stderr", "tty", "container")
_VERSIONS = b"x-stream-protocol-version"
_CHUNK = 1 << 16


async def connect(api: Api, target: Target, options: Options, asked: tuple[Scope, Receive, Streams]) -> None:
    """Serve a request for one of `SUBRESOURCES`.

    Raises:
        BadRequest: It asks for no upgrade, or for what cannot be; says what.
        NotFound: There is no such Pod.
        ServerError: The container does not run.
    """
    scope, receive, streams = asked
    pod = get(api.core, Target(target.kind, target.namespace, target.name))
    if api.processes is None:
        raise BadRequest("this host runs no Pods.")
    if not (pod.get("spec") or {}).get("nodeName"):
        raise BadRequest(f"pod {target.name} does not have a host assigned")
    serve = _Stream(api.processes, pod, scope)
    if target.subresource == "portforward":
        body = serve.forward(options.only("ports"))
    else:
        body = serve.command(target.subresource, options.only(*_STREAMS, *(("command",) if target.subresource == "exec" else ())))
    # What is sent from here on is not HTTP: the answer's end, which is sent when the body has ended, goes nowhere.
    await streams.run(Answer(_nowhere, b""), receive, body)


async def _nowhere(message: object) -> None:
    del message


class _Stream:
    """One request."""

    def __init__(self, processes: Processes, pod: Obj, scope: Scope) -> None:
        self._processes = processes
        self._pod = pod
        self._scope = scope
        if UPGRADE not in scope:
            raise BadRequest("Upgrade request required")

    async def command(self, what: str, options: Options) -> None:
        """Run a program, or attach to the one that runs."""
        wanted = Wanted(*(options.flag(name) or False for name in ("stdin", "stdout", "stderr", "tty")))
        argv = options.all("command")
        if what == "exec" and not argv:
            raise BadRequest("you must specify at least 1 command to execute")
        if not (wanted.stdin or wanted.outputs):
            raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
        container = container_of(self._pod, options.text("container"))
        protocol = self._protocol(commands.WEBSOCKET, commands.SPDY)
        if what == "exec":
            program = await self._processes.exec(self._pod, container, argv, wanted)
        else:
            program = await self._processes.attach(self._pod, container, wanted)
        try:
            wire = await self._wire(protocol, wanted)
        except BaseException:
            program.close()
            raise
        await self._converse(program, wire, wanted, argv)

    async def _wire(self, protocol: str, wanted: Wanted) -> Wire:
        if websocket.asks(self._scope):
            channels = Channels(websocket.accept(self._scope, protocol), commands.WEBSOCKET[protocol])
            await channels.greet(wanted.outputs)
            return channels
        read, write = self._spdy(protocol)
        dialect = commands.SPDY[protocol]
        # A terminal can change its size since version 3.
        resize = ("resize",) * (wanted.tty and protocol in {"v4.channel.k8s.io", "v3.channel.k8s.io"})
        there = frozenset({"error", *("stdin",) * wanted.stdin, *wanted.outputs, *resize})
        return commands.Streams(read, write, dialect=dialect, wanted=there)

    @staticmethod
    async def _converse(program: Program, wire: Wire, wanted: Wanted, argv: list[str]) -> None:
        try:
            await converse(program, wire, wanted.outputs, lambda ended: ending(ended, argv))
        except SpdyError:
            return  # what follows cannot be understood either: the connection is closed

    async def forward(self, options: Options) -> None:
        """Carry connections to ports of the Pod."""
        forwarder = Forwarder(self._processes, self._pod)
        spoken = {port_forward.TUNNELLED: None, **port_forward.CHANNELS}
        protocol = self._protocol(spoken, {port_forward.PROTOCOL: None})
        try:
            if not websocket.asks(self._scope):
                await forwarder.spdy(*self._spdy(protocol))
            elif protocol == port_forward.TUNNELLED:
                socket = websocket.accept(self._scope, protocol)
                await forwarder.spdy(lambda: _received(socket), socket.send)
                await socket.close()
            else:
                ports = [_port(each) for text in options.all("ports") for each in text.split(",")]
                if not ports:
                    raise BadRequest("you must specify at least 1 of query parameter 'ports'")
                socket = websocket.accept(self._scope, protocol)
                await forwarder.channels(socket, ports, port_forward.CHANNELS[protocol])
        except (SpdyError, ConnectionError):
            return

    def _protocol(self, sockets: Mapping[str, object], spdy: Mapping[str, object]) -> str:
        if websocket.asks(self._scope):
            return websocket.chosen(websocket.offered(self._scope), sockets)
        offers = [value.decode("latin-1") for name, value in self._scope["headers"] if name == _VERSIONS]
        offers = [each.strip() for value in offers for each in value.split(",") if each.strip()]
        if header(self._scope, b"upgrade").lower() != "spdy/3.1":
            raise BadRequest("Upgrade request required")
        if not offers:
            return list(spdy)[-1]
        if (found := next((each for each in offers if each in spdy), None)) is None:
            raise BadRequest(f"unable to upgrade: none of the protocols {', '.join(offers)} is spoken here: {', '.join(spdy)}.")
        return found

    def _spdy(self, protocol: str) -> tuple[Callable[[], Awaitable[bytes]], Callable[[bytes], Awaitable[None]]]:
        upgrade: Upgrade = self._scope[UPGRADE]
        reader, writer = upgrade.switch("SPDY/3.1", [("X-Stream-Protocol-Version", protocol)])

        async def write(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        return lambda: _read(reader), write


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(_CHUNK)
    except ConnectionError:
        return b""


async def _received(socket: websocket.WebSocket) -> bytes:
    """The next bytes of a WebSocket that carries a stream; empty at its end."""
    while (message := await socket.receive()) is not None:
        if message:
            return message
    return b""


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 16:
        raise BadRequest(f"query parameter 'ports': must be numbers between 1 and 65535, got {text!r}.")
    return int(text)


def ending(ended: Ended, argv: list[str]) -> Obj:
    """How a program ended, as a ``Status``.

    Args:
        ended: How.
        argv: What was executed; empty for a container's own program, whose exit code is told by its Pod.
    """
    made: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
    if ended.fault:
        fault = f"error executing command in container: {ended.fault}" if argv else ended.fault
        message = f"Internal error occurred: {fault}"
        details: Obj = {"causes": [{"message": fault}]}
        return {**made, "status": "Failure", "message": message, "reason": "InternalError", "details": details, "code": 500}
    if not argv or ended.code == 0:
        return {**made, "status": "Success"}
    text = f"command terminated with non-zero exit code: error executing command [{' '.join(argv)}], exit code {ended.code}"
    details = {"causes": [{"reason": "ExitCode", "message": str(ended.code)}]}
    return {**made, "status": "Failure", "message": text, "reason": "NonZeroExitCode", "details": details}
