"""Parquet files of steps: their first rows are read by a process of its own, and whatever is in one, the hub gets an answer."""

import hashlib
import io
import sys
import venv
from pathlib import Path

import pytest
from arro3.core import Array, DataType, RecordBatch
from arro3.io import write_parquet

from kedge.dashboard.parquet import MISSING, Rows, first_rows
from kedge.errors import NotFound

ROWS, COLUMNS, CELL = 51, 40, 160


def written(count: int = 200, columns: int = 3, compression: str = "snappy") -> bytes:
    """A file with numbers, dates and text."""
    numbers = Array(list(range(count)), DataType.int64())
    days = Array([20454] * count, DataType.int32()).cast(DataType.date32())
    words = Array([None if number % 7 == 3 else f"<b>{number}</b>" for number in range(count)], DataType.utf8())
    names = ["number", "day", "word", *(f"more{number}" for number in range(columns - 3))]
    batch = RecordBatch.from_arrays([numbers, days, words, *[numbers] * (columns - 3)], names=names)
    file = io.BytesIO()
    write_parquet(batch, file, compression=compression)
    return file.getvalue()


async def shown(file: bytes, asked: list[tuple[int, int]] | None = None, python: str = sys.executable) -> Rows:
    """What is read of a file."""

    async def reads(start: int, count: int) -> bytes:
        if asked is not None:
            asked.append((start, count))
        return file[start : start + count]

    return await first_rows(reads, len(file), ROWS, COLUMNS, CELL, python=python)


@pytest.mark.parametrize("compression", ["uncompressed", "snappy", "gzip(6)", "zstd(3)", "lz4_raw", "brotli(3)"])
async def test_columns_have_names_and_types_and_rows_are_text(compression: str) -> None:
    found = await shown(written(compression=compression))
    assert found.fault == ""
    assert found.columns == [("number", "int64"), ("day", "date32"), ("word", "string")]
    assert len(found.rows) == ROWS
    assert found.rows[2:4] == [["2", "2026-01-01", "<b>2</b>"], ["3", "2026-01-01", ""]]


async def test_a_moment_beyond_the_years_of_python_hides_no_other_cell() -> None:
    moments = Array([0, 10**18], DataType.int64()).cast(DataType.timestamp("us", tz="UTC"))
    file = io.BytesIO()
    write_parquet(RecordBatch.from_arrays([Array([1, 2], DataType.int64()), moments], names=["number", "at"]), file)
    found = await shown(file.getvalue())
    assert found.fault == ""
    assert found.rows == [["1", "1970-01-01 00:00:00+00:00"], ["2", "+33658-09-27T01:46:40Z"]]


async def test_of_a_large_file_both_ends_are_read() -> None:
    file, asked = written(400_000, compression="uncompressed"), list[tuple[int, int]]()
    assert len((await shown(file, asked)).rows) == ROWS
    assert sum(count for _, count in asked) < len(file)


async def test_of_many_columns_the_first_are_read_and_all_are_counted() -> None:
    found = await shown(written(60, 45))
    assert (len(found.columns), {len(row) for row in found.rows}, found.all_columns) == (COLUMNS, {COLUMNS}, 45)


def _noise(name: str, count: int) -> bytes:
    """So many bytes without a meaning, the same each time."""
    return hashlib.shake_256(name.encode()).digest(count)


def _lying(size: int) -> bytes:
    """A file whose end says that so much of it is said there."""
    file = written()
    return file[:-8] + size.to_bytes(4, "little") + b"PAR1"


HOSTILE = {
    "cut in the middle": lambda: written()[:400] + written()[-600:],
    "nothing but its marks": lambda: b"PAR1" + bytes(8) + b"PAR1",
    "an end of four gigabytes": lambda: _lying(2**32 - 1),
    "an end of nothing": lambda: _lying(0),
    "noise between its marks": lambda: b"PAR1" + _noise("a file", 5000) + (4000).to_bytes(4, "little") + b"PAR1",
    "an end of zeros": lambda: b"PAR1" + bytes(5000) + (4000).to_bytes(4, "little") + b"PAR1",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_file_that_is_none_is_said_to_be_none(name: str) -> None:
    found = await shown(HOSTILE[name]())
    assert found.fault.startswith("This Parquet file cannot be shown: ")
    assert found.fault.endswith("Download it to look at it.")
    assert found.rows == []


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_bytes_of_a_file_are_others_there_is_an_answer(seed: int) -> None:
    file, noise = bytearray(written(compression="zstd(3)")), _noise(f"bytes {seed}", 3 * (1 + seed))
    for number in range(0, len(noise), 3):
        file[4 + int.from_bytes(noise[number : number + 2]) % (len(file) - 12)] = noise[number + 2]
    found = await shown(bytes(file))
    assert found.fault or len(found.rows) <= ROWS


async def test_what_the_store_says_is_passed_on() -> None:
    async def reads(start: int, count: int) -> bytes:
        raise NotFound("there is nothing at s3://bucket/table. Was it deleted?")

    found = await first_rows(reads, 1000, ROWS, COLUMNS, CELL)
    assert "there is nothing at s3://bucket/table" in found.fault


async def test_a_file_that_changes_meanwhile_is_not_shown() -> None:
    async def reads(start: int, count: int) -> bytes:
        return b"short"

    assert "it has changed while it was read" in (await first_rows(reads, 1000, ROWS, COLUMNS, CELL)).fault


async def test_without_the_library_it_is_said_what_to_install_and_where(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    found = await shown(written(), python=str(tmp_path / "bare" / "bin" / "python"))
    assert found.fault == MISSING
    assert "pip install 'kedge[parquet]'" in found.fault
