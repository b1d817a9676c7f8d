"""The column types of the history, which mean the same on SQLite and PostgreSQL.

What SQLite takes for granted is said to PostgreSQL: texts are ordered by their bytes, whatever the locale of the database (an
order by locale would also change under an index when the system's library is updated), and every whole number has 64 bits.
"""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.dialects import postgresql

TEXT = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
# Integer and not BigInteger on SQLite: there it is the name under which a key is the row's own number.
INTEGER = Integer().with_variant(BigInteger(), "postgresql")


# What people write at length, or a step makes up: a row of an index of PostgreSQL holds 2,700 bytes at most.
_LONG = frozenset({"description", "uri"})


def indexable(columns: Sequence[str], dialect: str) -> list[str]:
    """The columns of an index that answers by itself; on PostgreSQL without those that may be too long for it.

    Examples:
        >>> indexable(["created_at", "description"], "postgresql")
        ['created_at']
    """
    return [column for column in columns if dialect != "postgresql" or column not in _LONG]
