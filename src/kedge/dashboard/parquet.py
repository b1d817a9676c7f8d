"""The first rows of a Parquet file, which is read from both its ends by a process of its own: `kedge.dashboard.parquet_rows`."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedge.errors import KedgeError

MAGIC = b"PAR1"
_PROGRAM = Path(__file__).with_name("parquet_rows.py")
_SECONDS = 30.0  # at most, for the program and what it reads
_MOST_READ = 64 << 20  # bytes of the file
_MOST_SAID = 8 << 20  # bytes of its answer
_AT_ONCE = asyncio.Semaphore(2)
_UNREADABLE = "Download it to look at it."
MISSING = (
    "To show the rows of a Parquet file the hub needs a library that does not come with Kedge. Install it where the hub runs: "
    "pip install 'kedge[parquet]'. The next look finds it, without a restart. (Kedge's image has it.)"
)

Reads = Callable[[int, int], Awaitable[bytes]]
"""Bytes of the file: from an offset, so many."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read.

    Attributes:
        columns: Names and types.
        rows: Text of cells.
        all_columns: How many columns there are.
        fault: Why there is nothing.
    """

    columns: list[tuple[str, str]]
    rows: list[list[str]]
    all_columns: int = 0
    fault: str = ""


async def first_rows(reads: Reads, size: int, rows: int, columns: int, characters: int, *, python: str = sys.executable) -> Rows:
    """Read the first rows.

    Args:
        reads: Hands out the file.
        size: Its bytes.
        rows: At most so many.
        columns: Likewise.
        characters: Of each cell; one more where it is longer.
        python: Runs the program.
    """
    arguments = [str(each) for each in (_PROGRAM, size, rows, columns, characters)]
    async with _AT_ONCE:
        process = await asyncio.create_subprocess_exec(
            python, "-I", "-B", *arguments, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={}, cwd="/", limit=_MOST_SAID
        )
        try:
            async with asyncio.timeout(_SECONDS):
                told = await _served(process, reads)
        except TimeoutError:
            told = {"fault": f"reading its first rows took longer than {_SECONDS:.0f} seconds"}
        except (ValueError, TypeError, KeyError):  # a line that is too long, or none of the program's
            told = {"fault": f"its first rows are larger than {_MOST_SAID >> 20} MiB, or no rows"}
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
    if isinstance(told, Rows):
        return told
    fault = MISSING if told.get("missing") else f"This Parquet file cannot be shown: {told.get('fault')}. {_UNREADABLE}"
    return Rows([], [], fault=fault)


async def _served(process: Process, reads: Reads) -> Rows | dict[str, Any]:
    """Hand out what the program asks for, and return the rows, or why there are none."""
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018  # both are pipes
    given = 0
    while line := await process.stdout.readline():
        told: dict[str, Any] = json.loads(line)
        if "columns" in told:
            named = [(str(name), str(kind)) for name, kind in told["columns"]]
            return Rows(named, [[str(cell) for cell in row] for row in told["rows"]], int(told["all"]))
        if "read" not in told:
            return told
        start, count = told["read"]
        given += count
        if given > _MOST_READ:
            return {"fault": f"more than {_MOST_READ >> 20} MiB of it would have to be read for its first rows"}
        try:
            text = await reads(start, count)
        except KedgeError as error:
            return {"fault": str(error).rstrip(".")}
        if len(text) != count:
            return {"fault": "it has changed while it was read"}
        process.stdin.write(len(text).to_bytes(8, "big") + text)
        await process.stdin.drain()
    return {"fault": "reading it took more than a gigabyte of memory or ten seconds of a processor, or its content is broken"}
