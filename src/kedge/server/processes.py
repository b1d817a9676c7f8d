"""The seam between the Pods' subresources ``exec``, ``attach`` and ``portforward`` and whoever runs their processes.

The node implements `Processes`, the server asks it.
"""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from kedge.kube.kinds import Obj


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which streams of a program are wanted.

    Attributes:
        stdin: Whether its input will be written; otherwise it is empty.
        stdout: Whether its output is read.
        stderr: Whether its other output is read; a terminal has none apart.
        tty: Whether it is to have a terminal.
    """

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs that are read."""
        return ("stdout",) * self.stdout + ("stderr",) * (self.stderr and not self.tty)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    Attributes:
        code: Its exit code; ``None`` when it is not known.
        fault: Why it could not be started, or not be followed to its end; empty otherwise.
    """

    code: int | None
    fault: str = ""


class Program(Protocol):
    """A program of a container, and its streams."""

    async def read(self, name: str) -> bytes:
        """What comes next from ``stdout`` or ``stderr``; empty at its end. Until it is called again, the program waits."""
        ...

    async def write(self, data: bytes) -> None:
        """Write to its input; returns when it has been taken. What comes after its end is dropped."""
        ...

    def end_input(self) -> None:
        """Close its input."""
        ...

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal, if it has one."""
        ...

    async def wait(self) -> Ended:
        """Wait for its end."""
        ...

    def close(self) -> None:
        """Let go of it: a program that was executed ends, a container that was attached to goes on."""
        ...


class Processes(Protocol):
    """Reaches the processes of Pods."""

    async def exec(self, pod: Obj, container: str, argv: Sequence[str], wanted: Wanted) -> Program:
        """Run a program in a container that runs.

        Args:
            pod: The Pod as stored.
            container: A name of one of its containers.
            argv: The program and its arguments.
            wanted: Its streams.

        Raises:
            ApiError: The container does not run.
        """
        ...

    async def attach(self, pod: Obj, container: str, wanted: Wanted) -> Program:
        """Follow a container's own program from now on; arguments and errors as of `exec`."""
        ...

    async def reach(
        self, host: str, port: int, context: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to an address, a Pod's or another, over TLS where there is a context.

        Raises:
            OSError: Nobody listens there.
        """
        ...

    async def connect(self, pod: Obj, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a port of a Pod's loopback.

        Raises:
            OSError: Nobody listens there.
        """
        ...


@cache
def unverified() -> ssl.SSLContext:
    """For servers in Pods: nobody has signed their certificates mostly, and neither a cluster's proxy nor its probes ask."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
