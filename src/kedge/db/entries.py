"""An entry of a JSON object that a column holds as text, in the SQL of either database."""

from typing import Any

from sqlalchemy import TEXT, ColumnElement, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Entry(FunctionElement[str]):
    name = "entry"
    type = TEXT()
    inherit_cache = True


def entry(column: ColumnElement[Any], key: str) -> ColumnElement[str]:
    """The text of an entry: of what is no text its JSON, and NULL where there is none, or null.

    Args:
        column: Holds JSON objects, as text.
        key: The entry's.
    """
    return _Entry(column, literal(key))


@compiles(_Entry, "postgresql")
def _of_postgresql(element: _Entry, compiler: SQLCompiler, **options: Any) -> str:
    column, key = (compiler.process(each, **options) for each in element.clauses)
    return f"(CAST({column} AS JSON) ->> CAST({key} AS TEXT))"


@compiles(_Entry, "sqlite")
def _of_sqlite(element: _Entry, compiler: SQLCompiler, **options: Any) -> str:
    # A path cannot name every key, and json_extract makes numbers of truth values: each entry is looked at by itself.
    column, key = (compiler.process(each, **options) for each in element.clauses)
    value = "CASE type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST(value AS TEXT) END"
    return f"(SELECT {value} FROM json_each({column}) WHERE key = {key})"  # noqa: S608  # of names and placeholders
