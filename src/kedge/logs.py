"""What the host writes to its log: a line an event, for people or as JSON.

A message is a constant; what it is about comes as fields (``extra=``): ``run_id``, ``task_id``, ``pod``, ``namespace``,
``error``… so that a run's lines are found by its id, whatever they say. Tokens and values of users are no fields.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

# What `logging` itself puts on a record; everything else is a field of ours.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``logger``, ``message``, the fields, and ``exception`` with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """A line for people: the message, then the fields as ``name=value``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Write a record's line; a traceback follows it."""
        fields = "".join(f" {name}={_quoted(str(value))}" for name, value in _fields(record).items())
        return super().formatMessage(record) + fields


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD and value not in (None, "")}


def _quoted(value: str) -> str:
    return value if value.isprintable() and not set(value) & set(' "=') else json.dumps(value, ensure_ascii=False)


def set_up(form: str, level: str) -> None:
    """Let this process log to standard error.

    Args:
        form: ``json`` or ``text``.
        level: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(handlers=[handler], level=level)
    for other in ("uvicorn", "httpx", "httpcore", "asyncio"):  # what they say of every request is no event of ours
        logging.getLogger(other).setLevel(logging.WARNING)
