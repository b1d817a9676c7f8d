"""The connection to the history database, its transactions, and what its errors mean.

There is one connection, used by the hub's thread alone: with SQLite in its WAL mode a transaction of a few rows is a tenth of a
millisecond, less than handing it to another thread and back would cost. With PostgreSQL it is as long as the way there and back,
which `Database.writing` goes once (docs/decisions has the figures).
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Protocol

import sqlalchemy
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from kedge.db import schema
from kedge.db.postgres import PostgresServer
from kedge.db.sqlite import SqliteFile
from kedge.errors import StateError, Unavailable
from kedge.measures import Counter, Histogram


class Server(Protocol):
    """What differs between the databases.

    Attributes:
        dialect: SQL's, as SQLAlchemy names it.
        place: The database's name in messages: a path or an address without its password.
        engine: Where to connect.
    """

    dialect: str
    place: str
    engine: sqlalchemy.Engine

    def begin(self, connection: Connection) -> None:
        """Begin a transaction."""
        ...

    def begin_schema(self, connection: Connection) -> None:
        """Begin a transaction that makes or changes tables, alone among all that do."""
        ...

    def at_once(self, connection: Connection) -> contextlib.AbstractContextManager[None]:
        """A transaction whose statements may all travel together; their answers are known at its end."""
        ...

    def check(self, connection: Connection) -> None:
        """See that the database can be used; raises `errors.StateError`."""
        ...

    async def look_through(self) -> StateError | None:
        """What is wrong with the database, where `check` would have taken long to find it."""
        ...

    def meaning(self, error: DBAPIError) -> Exception:
        """The error that says it to people, or the same one where it is a defect."""
        ...

    def on_ready(self, call: Callable[[], None]) -> None:
        """Call this, from any thread, when there is a connection again."""
        ...

    def size(self, connection: Connection) -> int:
        """Bytes that it takes on its disk."""
        ...

    def heard(self, connection: Connection) -> int | None:
        """Listen to what the server says although nothing was asked; what can be waited on for that, or ``None``.

        Raises:
            DBAPIError: The server is gone.
        """
        ...

    def is_lost(self, error: DBAPIError) -> bool:
        """Whether the connection cannot be used any more."""
        ...

    def close(self) -> None:
        """Let go of what is not the connection's."""
        ...


class Database:
    """One SQL database at the version that this code reads.

    Args:
        server: Where it is; `open_sqlite` and `open_postgres` make one.

    Attributes:
        written: How long transactions took that wrote.
        losses: How often the connection was lost.
        migration: What was done to the tables.
        on_damage: Called when the file turns out to be damaged, before that is raised: whoever asked may only want to try again,
            which helps nobody.

    Raises:
        StateError: It cannot be used: it is corrupt, or a newer version wrote it.
        Unavailable: It cannot be reached or written now.
    """

    def __init__(self, server: Server) -> None:
        self.place = server.place
        self._server = server
        self._engine = server.engine
        self.on_damage: Callable[[StateError], None] | None = None
        self.written = Histogram()
        self.losses = Counter()
        self._at_once = False
        self._on_return: Callable[[], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heard: int | None = None
        with self._explained():
            self._connection = self._engine.connect()
        try:
            with self.reading() as connection:
                server.check(connection)
            with self._explained():
                self.migration = schema.prepare(self._connection, self.place, server.begin_schema)
        except BaseException:
            self.close()
            raise

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._server.dialect

    @property
    def is_away(self) -> bool:
        """Whether the connection is lost, and not made anew yet."""
        return self._connection.invalidated

    def size(self) -> int:
        """Bytes that it takes on its disk, with its journal; a server may need some milliseconds to say so.

        Raises:
            Unavailable: It cannot be asked now.
        """
        with self.reading() as connection:
            return self._server.size(connection)

    async def look_through(self) -> None:
        """Find damage in a file that was too large for that at the start, while it is used; `on_damage` hears of it."""
        if (found := await self._server.look_through()) is not None and self.on_damage is not None:
            self.on_damage(found)

    @contextlib.contextmanager
    def transaction(self) -> Generator[Connection]:
        """All of what is written inside, or nothing.

        Raises:
            Unavailable: The database is away, the disk is full, or another program holds the file: try again later. Nothing was
                written, unless the connection was lost with the answer to the commit: whoever goes on reads again what there is.
            StateError: The file is damaged.
        """
        start = time.perf_counter()
        with self._explained(), self._usable().begin():
            self._server.begin(self._connection)
            yield self._connection
        self.written.observe(time.perf_counter() - start)

    @contextlib.contextmanager
    def writing(self) -> Generator[Connection]:
        """As `transaction`, for statements whose results nobody looks at: all of them may travel to the database at once."""
        start = time.perf_counter()
        with self._explained(), self._usable().begin(), self._server.at_once(self._connection):
            self._at_once = True
            try:
                yield self._connection
            finally:
                self._at_once = False
        self.written.observe(time.perf_counter() - start)

    @contextlib.contextmanager
    def reading(self) -> Generator[Connection]:
        """A connection to read from; also usable inside `transaction`, whose writes it then sees."""
        if self._at_once:
            raise RuntimeError("nothing can be read inside Database.writing: use Database.transaction")
        if self._connection.in_transaction():
            yield self._connection
            return
        with self._explained():
            try:
                yield self._usable()
            finally:
                self._connection.rollback()

    def follow(self, on_return: Callable[[], None]) -> None:
        """Call this in the running loop when the database is back after its connection was lost, before anything is asked of it.

        What was written last may then be there or not: a commit whose answer was lost, a replica that had not got all of it.
        """
        self._loop = loop = asyncio.get_running_loop()
        self._on_return = on_return
        self._listen()

        def ready() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._renew)

        self._server.on_ready(ready)

    def close(self) -> None:
        """Close the connection; harmless when done twice."""
        self._server.close()
        self._listen_no_more()
        self._connection.close()
        self._engine.dispose()

    def _usable(self) -> Connection:
        """The connection, or another one where it was lost."""
        if self._connection.invalidated:
            self._renew()
            if self._on_return is not None:  # what asks now may rest on what is not so any more
                raise Unavailable(f"{self.place}: the connection was lost, and is back at this moment.", retry_after=1)
        return self._connection

    def _renew(self) -> None:
        """Take the new connection where there is one, and tell who follows: nobody has read anything from it yet."""
        if self._connection.invalidated:
            fresh = self._engine.connect()
            self._connection.close()
            self._connection = fresh
            self._listen()
            if self._on_return is not None and not self._connection.invalidated:
                self._on_return()

    def _lose(self) -> None:
        """The connection is of no use any more: begin to look for another one."""
        self._listen_no_more()
        if not self._connection.invalidated:
            self._connection.invalidate()
        self.losses.add()
        with contextlib.suppress(Unavailable):
            self._renew()

    def _listen(self) -> None:
        """Hear when the server goes away, also while nothing is asked of it."""
        if self._loop is None:
            return
        try:
            number = self._server.heard(self._connection)
        except DBAPIError:  # it went away again before anybody listened
            self._lose()
            return
        if number is not None:
            self._heard = number
            self._loop.add_reader(number, self._hear)

    def _listen_no_more(self) -> None:
        if self._loop is not None and self._heard is not None:
            self._loop.remove_reader(self._heard)
            self._heard = None

    def _hear(self) -> None:
        try:
            self._server.heard(self._connection)
        except DBAPIError:
            self._lose()

    @contextlib.contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except DBAPIError as error:
            if self._server.is_lost(error):
                self._lose()
            if isinstance(error, IntegrityError):
                raise  # a rule of the tables: the caller knows what it means
            meaning = self._server.meaning(error)
            if isinstance(meaning, StateError) and self.on_damage is not None:
                self.on_damage(meaning)
            raise meaning from error


def open_sqlite(path: Path, *, synchronous: str = "NORMAL") -> Database:
    """Open or make a database file.

    Args:
        path: The file; ``-wal`` and ``-shm`` lie beside it.
        synchronous: ``NORMAL`` survives any crash of the process; ``FULL`` also a power cut, at some milliseconds a transaction.

    Raises:
        StateError: The file is corrupt, or a newer version wrote it.
        Unavailable: It cannot be opened or written.
    """
    return Database(SqliteFile(path, synchronous))


def open_to_migrate(url: str) -> Database:
    """Open a PostgreSQL database for its `Database.migration` alone; a hub may be using it meanwhile.

    Args:
        url: As for `open_postgres`; its role owns the tables.

    Raises:
        StateError: It cannot be used: a newer version wrote it, the role may not, the extra ``kedge[postgres]`` is missing.
        Unavailable: It cannot be reached or written now.
    """
    return Database(PostgresServer(url, claim="nothing"))


def open_postgres(url: str, *, take_over: bool = False) -> Database:
    """Open a database of a PostgreSQL server, and make its tables where it has none.

    Args:
        url: As ``psql`` takes it: ``postgresql://user:password@host:5432/database?sslmode=verify-full``; several hosts, with
            commas between them, are those among which the server may move.
        take_over: End the connection of another hub that writes to the database, in place of waiting for it.

    Raises:
        StateError: It cannot be used: a newer version wrote it, the role may not, the extra ``kedge[postgres]`` is missing.
        Unavailable: It cannot be reached or written now, or another hub writes to it.
    """
    return Database(PostgresServer(url, claim="now" if take_over else "soon"))
