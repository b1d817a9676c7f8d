"""Holds every SQL statement that a test makes the package issue against the query planner: none may read a whole table.

    with only_indexed():
        ...                     # AssertionError at the end, with each statement that scans

A scan of an index in its own order is what the first page of a list wants; a scan of a table never is.
"""

import contextlib
import sqlite3
from collections.abc import Generator
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

_ASKED = ("SELECT", "UPDATE", "DELETE")
# What Alembic and the schema's own check ask is about tables of one row, or of none.
_PASSED_OVER = ("alembic_version", "sqlite_master", "pragma_")
_explained: dict[str, list[str]] = {}


def scans(connection: sqlite3.Connection, statement: str, parameters: Any) -> list[str]:
    """What a statement reads without an index, in the planner's words; asked once a statement."""
    if statement not in _explained:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
        steps = [str(row[-1]) for row in plan]
        _explained[statement] = [step for step in steps if step.startswith("SCAN") and "INDEX" not in step]
    return _explained[statement]


@contextlib.contextmanager
def only_indexed() -> Generator[None]:
    """Fail at the end if a statement that was issued inside reads a whole table.

    Raises:
        AssertionError: Names the statements.
    """
    found: dict[str, list[str]] = {}

    def look(_connection: Any, cursor: Any, statement: str, parameters: Any, _context: Any, executemany: bool) -> None:  # noqa: FBT001  # as SQLAlchemy calls it
        if (
            not isinstance(cursor, sqlite3.Cursor)
            or not statement.startswith(_ASKED)
            or any(name in statement for name in _PASSED_OVER)
        ):
            return
        given = parameters[0] if executemany else parameters
        if bad := scans(cursor.connection, statement, given):
            found[statement] = bad

    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", look)
    if found:
        raise AssertionError("\n".join(f"{'; '.join(bad)}: {statement}" for statement, bad in found.items()))
