"""Runs programs of the machine to their end."""

import asyncio
import sys
from collections.abc import Mapping
from typing import NamedTuple


class Ended(NamedTuple):
    """What has come of one.

    Attributes:
        code: Its exit status; negative is the signal that ended it.
        out: What it printed; what is no UTF-8 is replaced.
        err: What it complained.
    """

    code: int
    out: str
    err: str


async def run(*words: str, environ: Mapping[str, str]) -> Ended:
    """Run a program, which reads nothing, and kill it if its caller is cancelled.

    Args:
        words: The program and its arguments.
        environ: All of its environment.

    Raises:
        OSError: It cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *words,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=sys.platform != "win32",
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    return Ended(process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))
