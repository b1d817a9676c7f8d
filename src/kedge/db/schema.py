"""Brings a database to the version that this code reads.

- Empty: every table is made at once and stamped. Alembic is not even imported, because that is the first start that a newcomer
  waits for.
- Older: Alembic's migrations, in `kedge.db.migrations`. A test proves that they end at the same tables.
- Newer: refused. Guessing at a schema from the future would lose what its writer stored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table, inspect, select
from sqlalchemy.engine import Connection

from kedge.db.tables import metadata
from kedge.errors import StateError

# Every revision in order; the last is what `tables` describes. A test compares them with the files.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")

MIGRATIONS = Path(__file__).parent / "migrations"

# Alembic's own table, so that its command line works on the database too.
_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


@dataclass(frozen=True, slots=True)
class Migration:
    """What `prepare` did.

    Attributes:
        before: The revision that it found; ``None`` for a database without tables.
        after: The one that it left.
    """

    before: str | None
    after: str


def prepare(connection: Connection, place: str, begin: Callable[[Connection], None]) -> Migration:
    """Make or migrate the tables, in one transaction.

    Args:
        connection: An open connection, outside any transaction.
        place: The database's name in messages.
        begin: Begins a transaction that is alone among all that make or migrate tables.

    Raises:
        StateError: A newer version of Kedge wrote it.
    """
    with connection.begin():
        begin(connection)
        found = revision(connection)
        if found is None:
            metadata.create_all(connection)
            _version.create(connection)
            connection.execute(_version.insert().values(version_num=REVISIONS[-1]))
        elif found not in REVISIONS:
            raise StateError(
                f"{place}: the history database has schema {found}, which a newer version of Kedge wrote; this one reads up to "
                f"{REVISIONS[-1]}. Upgrade Kedge, or give this one another data directory (KEDGE_HOME) or database."
            )
        elif found != REVISIONS[-1]:
            migrate(connection)
    return Migration(found, REVISIONS[-1])


def revision(connection: Connection) -> str | None:
    """The schema's revision, or ``None`` for a database with no tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(select(_version.c.version_num)).scalar()


def migrate(connection: Connection, target: str = "head") -> None:
    """Run Alembic's migrations up to ``target``, inside the caller's transaction."""
    from alembic import command  # noqa: PLC0415  # 80 ms that a database at the newest version never pays
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, target)
