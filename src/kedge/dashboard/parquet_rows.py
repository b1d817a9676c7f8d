"""A program of its own that reads the first rows of a Parquet file of a step's: whatever the file does to it, the hub goes on.

It has little memory and processor time, writes no file, knows no secret, and opens nothing: what it wants of the file it asks
for on its standard output, as JSON of ``read``: an offset and a count, and it gets a length of eight bytes and so many bytes. Its
last line says ``columns`` (name and type) and ``rows`` (text of cells), or ``fault``, or ``missing`` where the library is not
installed. It imports nothing of Kedge, so that any Python runs it.

    python -I parquet_rows.py SIZE ROWS COLUMNS CHARACTERS
"""

import contextlib
import datetime as dt
import io
import json
import re
import resource
import sys
from typing import Any

_MEMORY = 1 << 30  # bytes
_CPU = 10  # seconds
_BLOCK = 64 << 10  # bytes: what is read comes in such pieces
_NAMES = {"utf8": "string", "largeutf8": "string", "utf8view": "string", "largebinary": "binary", "binaryview": "binary"}
_FAULT = 300  # characters


class Asked(io.RawIOBase):
    """The file, as whoever started the program hands it out.

    Args:
        size: Its bytes.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._at = 0
        self._blocks: dict[int, bytes] = {}

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte is."""
        return self._at

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go elsewhere."""
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def read(self, count: int = -1, /) -> bytes:
        """So many bytes, or as many as there are."""
        end = self._size if count < 0 else min(self._size, self._at + count)
        first, last = self._at // _BLOCK, -(-end // _BLOCK)
        wanted = [number for number in range(first, last) if number not in self._blocks]
        if wanted:
            self._fetch(wanted[0], wanted[-1] + 1)
        text = b"".join(self._blocks[number] for number in range(first, last))
        found = text[self._at - first * _BLOCK : max(0, end - first * _BLOCK)]
        self._at += len(found)
        return found

    def _fetch(self, first: int, last: int) -> None:
        start = first * _BLOCK
        _say({"read": [start, min(last * _BLOCK, self._size) - start]})
        count = int.from_bytes(sys.stdin.buffer.read(8), "big")
        text = sys.stdin.buffer.read(count)
        for number in range(first, last):
            self._blocks[number] = text[(number - first) * _BLOCK : (number - first + 1) * _BLOCK]


def _say(line: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(line).encode() + b"\n")
    sys.stdout.buffer.flush()


def _limited() -> None:
    """Take away what reading a file does not need; a system that knows a limit not goes without it."""
    limits = {resource.RLIMIT_CPU: _CPU, resource.RLIMIT_AS: _MEMORY, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    for what, most in limits.items():
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(what, (most, most))


def _type(told: object) -> str:
    """An Arrow type as people write it.

    Examples:
        >>> _type('arro3.core.DataType<Timestamp(µs, "Europe/Berlin")>'), _type("arro3.core.DataType<List(Utf8)>")
        ('timestamp(µs, "Europe/Berlin")', 'list(string)')
    """
    inner = re.sub(r"^[\w.]+<(.*)>\s*$", r"\1", str(told).strip(), flags=re.DOTALL)
    words = re.sub(r'"[^"]*"|\w+', lambda found: found[0] if found[0][0] == '"' else found[0].lower(), inner)
    return re.sub(r"\w+", lambda found: _NAMES.get(found[0], found[0]), words)


def _cell(cell: Any, most: int) -> str:
    """The text of a cell; of what Python has no value for, such as the year 33658, what the library writes of it."""
    try:
        return _text(cell.as_py(), most)
    except Exception:  # noqa: BLE001  # whatever it is, the other cells are worth being seen
        lines = [line.strip("| ") for line in str(cell).splitlines() if line.startswith("|")]
        return " ".join(lines[1:]) or "?"


def _text(value: Any, most: int) -> str:
    """What a cell holds, as text of so many characters."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return "0x" + value[: most // 2].hex()
    if isinstance(value, dt.datetime):
        return value.isoformat(" ")
    if isinstance(value, bool | list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _read(size: int, rows: int, columns: int, characters: int) -> dict[str, Any]:
    """The last line."""
    try:
        from arro3.io import read_parquet  # noqa: PLC0415  # whether it is there is what is asked
    except ImportError:
        return {"missing": True}
    try:
        file: Any = Asked(size)
        reader = read_parquet(file, batch_size=rows)
        fields = [(reader.schema.field(number).name, reader.schema.field(number).type) for number in range(len(reader.schema))]
        body: list[list[str]] = [[] for _ in range(rows)]
        count = 0
        for batch in reader:
            taken = min(batch.num_rows, rows - count)
            for number in range(min(columns, len(fields))):
                column = batch.column(number)
                for row in range(taken):
                    body[count + row].append(_cell(column[row], characters)[: characters + 1])
            count += taken
            if count == rows:
                break
    except BaseException as error:  # noqa: BLE001  # the library's own panics are none of Exception
        return {"fault": str(error).removeprefix("C Data interface error: ")[:_FAULT] or type(error).__name__}
    named = [(name[: characters + 1], _type(kind)) for name, kind in fields[:columns]]
    return {"columns": named, "all": len(fields), "rows": body[:count]}


if __name__ == "__main__":
    _limited()
    _say(_read(*(int(each) for each in sys.argv[1:5])))
