"""The resolver that Pods are given: it knows the cluster's names, and asks the machine's resolvers for all others."""

import asyncio
import os
import socket

from kedge.network import records, wire

_CONFIGURATION, _HOSTS = "/etc/resolv.conf", "/etc/hosts"
_PATIENCE = 3.0
_LARGEST = 65535
_PORT = 53


class Resolver:
    """Answers questions.

    Attributes:
        names: The cluster's records; replaced when they change.
    """

    def __init__(self) -> None:
        self.names: records.Names = {}

    async def answer(self, message: bytes) -> bytes | None:
        """The answer to a message, of whatever length; ``None`` for what is no question."""
        question = wire.parse(message)
        if question is None:
            return None
        if not records.is_ours(question.name, self.names):
            return _from_hosts(question) or await self._elsewhere(message, question)
        found = records.find(self.names, question.name)
        if found is None:
            return wire.answer(question, [], code=wire.NO_NAME)
        beside = [await self._addresses(name) for kind, name in found if kind == records.CNAME]
        return wire.answer(question, found, beside=[address for each in beside for address in each])

    async def _addresses(self, name: str) -> list[str]:
        """The addresses behind a name that another stands for: the cluster's own, or somebody else's."""
        if records.is_ours(name, self.names):
            return [str(value) for kind, value in records.find(self.names, name) or () if kind == records.A]
        return await _addresses(name)

    async def _elsewhere(self, message: bytes, question: wire.Question) -> bytes:
        for server in upstream():
            try:
                async with asyncio.timeout(_PATIENCE):
                    return await _ask(server, message)
            except OSError:  # a timeout is one too
                continue
        return wire.answer(question, [], code=wire.FAILED, ours=False)

    async def serve_packets(self, sock: socket.socket) -> None:
        """Answer what arrives at a UDP socket, for ever."""
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        async with asyncio.TaskGroup() as group:
            while True:
                message, sender = await loop.sock_recvfrom(sock, _LARGEST)
                group.create_task(self._reply(sock, message, sender))

    async def _reply(self, sock: socket.socket, message: bytes, sender: tuple[str, int]) -> None:
        made, question = await self.answer(message), wire.parse(message)
        if made is not None and question is not None:
            try:
                await asyncio.get_running_loop().sock_sendto(sock, wire.cut(made, question), sender)
            except OSError:
                return  # who asked is gone

    async def serve_stream(self, sock: socket.socket) -> None:
        """Answer what comes over one TCP connection."""
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                made = await self.answer(await reader.readexactly(size))
                if made is None:
                    return
                writer.write(len(made).to_bytes(2, "big") + made)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            writer.close()


def upstream() -> list[str]:
    """The machine's resolvers, as it has them now."""
    return [words[1] for words in _lines(_CONFIGURATION) if words[0] == "nameserver" and len(words) > 1]


def search() -> list[str]:
    """The domains in which the machine looks for short names."""
    found = [words[1:] for words in _lines(_CONFIGURATION) if words[0] in {"search", "domain"}]
    return found[-1] if found else []


def _lines(path: str) -> list[list[str]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [words for line in file if (words := line.partition("#")[0].split())]
    except FileNotFoundError:
        return []


def _from_hosts(question: wire.Question) -> bytes | None:
    """What the machine's own table of hosts says; its loopback is not a Pod's."""
    if question.kind != records.A or not os.path.exists(_HOSTS):
        return None
    found = [words[0] for words in _lines(_HOSTS) if question.name in [name.lower() for name in words[1:]]]
    addresses = [each for each in found if ":" not in each and not each.startswith("127.")]
    return wire.answer(question, [(records.A, each) for each in addresses], ours=False) if addresses else None


async def _addresses(name: str) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(each[4][0]) for each in found})


async def _ask(server: str, message: bytes) -> bytes:
    """Ask one server, over TCP where its answer does not fit into a packet."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, (server, _PORT))
        await loop.sock_sendall(sock, message)
        while True:
            made = await loop.sock_recv(sock, _LARGEST)
            if made[:2] == message[:2]:
                break
    if not made[2] & 2:
        return made
    reader, writer = await asyncio.open_connection(server, _PORT)
    try:
        writer.write(len(message).to_bytes(2, "big") + message)
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    except asyncio.IncompleteReadError as error:
        raise OSError("the server hung up") from error
    finally:
        writer.close()
