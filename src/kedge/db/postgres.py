"""PostgreSQL: how a server is reached and reached again, what a transaction begins with, and what its errors mean.

- A lost connection is made anew in a thread of its own, with pauses that grow. Until it is there, everything asked of the
  database is refused at once (`errors.Unavailable`): the hub's loop does not wait for a server that does not answer.
- One hub writes to a database. Its connection holds a lock of the server's: a hub that was cut off cannot write beside the one
  that took its place, and a commit whose answer was lost is decided before the next connection reads.
- ``psycopg`` is loaded when a server is opened, not before: it is the extra ``kedge[postgres]``.
"""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from kedge.errors import Invalid, StateError, Unavailable

if TYPE_CHECKING:
    import psycopg

_OLDEST = 130000  # as the server numbers its versions
# Seconds. How long the hub may stand still for one statement; what waits longer is given up and tried again.
_STATEMENT_SECONDS, _LOCK_SECONDS = 15, 5
# The server keeps to those two; where it stands still itself (its disk, its machine), it is given up after so long.
_SILENT_SECONDS = 20.0
_FIRST_DELAY, _LAST_DELAY = 0.1, 5.0
# How long a new connection waits for the lock of writers: a server needs a moment to see that the one before is gone.
_CLAIM_SECONDS = 5.0
# libpq's settings, unless the URL says otherwise; times in seconds, but for tcp_user_timeout. A peer that went without a word is
# given up after 15 seconds.
_DEFAULTS: dict[str, str] = {
    "application_name": "kedge",
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "client_encoding": "UTF8",
}
# Of PostgreSQL's advisory locks: those of the hub that writes, and of whoever makes or changes tables.
_WRITER, _SCHEMA = 0x6B656467, 0x6B656468
_LOCK_KEY = "hashtext(current_schema())"
_HOLDER = f"""
    SELECT a.pid, a.backend_start::text
    FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()
      AND l.classid = {_WRITER} AND l.objid::bigint = {_LOCK_KEY}::bigint & 4294967295
"""  # noqa: S608  # made of constants
# SQLSTATEs, or their first two characters, after which a connection is of no use: it was ended, or leads to a server that only
# reads (a primary of before).
_ENDED = ("08", "57P", "25006")
_LATER = ("53", "55", "57014", "40")
_DAMAGED = ("XX001", "XX002", "58")


Claim = Literal["soon", "now", "nothing"]
"""How to become the one that writes: when nobody else does, in place of whoever does, or not at all."""


class PostgresServer:
    """A database of a PostgreSQL server; see `kedge.db.database.open_postgres`.

    Args:
        url: Where it is.
        claim: How the first connection becomes the one that writes.
    """

    dialect = "postgresql"

    def __init__(self, url: str, *, claim: Claim = "soon") -> None:
        _driver()
        self._options = _read(url)
        self.place = _place(self._options)
        self._link = _Link(self, claim)
        self.engine = sqlalchemy.create_engine(
            "postgresql+psycopg://",
            creator=self._link.take,
            poolclass=NullPool,
            pool_reset_on_return=None,
            isolation_level="AUTOCOMMIT",  # a read is one way there and back; `begin` begins what is more
            hide_parameters=True,  # what is in errors comes into logs
            use_native_hstore=False,
        )

    def size(self, connection: Connection) -> int:
        """As the server says."""
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())

    def begin(self, connection: Connection) -> None:
        """Begin a transaction."""
        connection.exec_driver_sql("BEGIN")

    def begin_schema(self, connection: Connection) -> None:
        """Alone among all hubs and upgrades: the second one finds the work of the first one done."""
        self.begin(connection)
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMA}, {_LOCK_KEY})")

    @contextlib.contextmanager
    def at_once(self, connection: Connection) -> Generator[None]:
        """Send the whole transaction in one go, and read all answers at its end."""
        raw: Any = connection.connection.driver_connection
        psycopg = _driver()
        try:
            with raw.pipeline():
                raw.execute("BEGIN")
                yield
                raw.execute("COMMIT")
        except psycopg.Error as error:
            raise DBAPIError.instance(None, None, error, psycopg.Error, True, raw.broken, connection.dialect) from error

    def check(self, connection: Connection) -> None:
        """See that the server and the database are such that the history fits in."""
        version = connection.exec_driver_sql("SHOW server_version_num").scalar_one()
        if int(version) < _OLDEST:
            raise StateError(
                f"{self.place}: the server is PostgreSQL {int(version) // 10000}. Kedge needs {_OLDEST // 10000} or newer."
            )
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise StateError(
                f"{self.place}: the database's encoding is {encoding}. Make one for texts of every language: "
                f"CREATE DATABASE kedge ENCODING 'UTF8' TEMPLATE template0."
            )

    async def look_through(self) -> StateError | None:
        """A server looks after its own files."""
        return None

    def meaning(self, error: DBAPIError) -> Exception:
        """What one of its errors means."""
        code, why = _told(error.orig)
        if self.is_lost(error) or code.startswith(_ENDED):
            return self.away(why)
        if code.startswith(_LATER):
            return Unavailable(f"{self.place}: cannot be written now ({why}). It is tried again.")
        if code == "42501":
            return StateError(
                f"{self.place}: the role may not do that ({why}). Let it own the tables, or run kedge upgrade as their owner and "
                f"grant it SELECT, INSERT, UPDATE and DELETE on them."
            )
        if code.startswith(_DAMAGED):
            return Unavailable(f"{self.place}: the server cannot read or write its files ({why}). Its log says more.")
        return self._refusal(code, why) or error

    def _refusal(self, code: str, why: str) -> Exception | None:
        """A value that the database does not take."""
        if code == "22003":
            return OverflowError(f"{self.place}: {why}")  # as the driver of the other database says it
        if code == "54000":
            return Invalid(f"{self.place}: a name or an address is too long to be looked up by ({why}). Take a shorter one.")
        return None

    def on_ready(self, call: Callable[[], None]) -> None:
        """Call this, from the thread that connects, when there is a connection again."""
        self._link.ready = call

    def heard(self, connection: Connection) -> int | None:
        """The number of the socket, once what has come was read.

        Raises:
            DBAPIError: It was closed by the server.
        """
        raw: Any = connection.connection.driver_connection
        psycopg = _driver()
        try:
            raw.pgconn.consume_input()
        except psycopg.Error as error:
            raise DBAPIError.instance(None, None, error, psycopg.Error, True, True, connection.dialect) from error
        return raw.fileno()

    def is_lost(self, error: DBAPIError) -> bool:
        """Whether the connection cannot be used any more."""
        return error.connection_invalidated or _told(error.orig)[0].startswith(_ENDED)

    def away(self, why: str) -> Unavailable:
        """What everybody hears while the server is away."""
        return Unavailable(f"{self.place}: the database is away ({why}). What waits for it goes on by itself when it is back.")

    def close(self) -> None:
        """Stop trying to reach it."""
        self._link.close()

    def connect(self) -> "psycopg.Connection[Any]":
        """Connect, and wait for the answer.

        Raises:
            psycopg.Error: There is none, or it is no.
        """
        raw = _session().connect(**self._options, autocommit=True)
        for kind, codec in _codecs():
            kind(raw.adapters, codec)
        raw.execute(
            f"SET statement_timeout = '{_STATEMENT_SECONDS}s'; SET lock_timeout = '{_LOCK_SECONDS}s';"
            f"SET idle_in_transaction_session_timeout = '{4 * _STATEMENT_SECONDS}s';"
            # So the server finds out that a hub's machine is gone: its lock is free again after 20 seconds.
            "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
        )
        return raw


class _Link:
    """Makes connections: the first one at once, those after a loss in the background.

    Args:
        server: Where to.
        claim: How the first connection becomes the one that writes; those after a loss wait.

    Attributes:
        ready: Called when there is a connection again.
    """

    def __init__(self, server: PostgresServer, claim: Claim) -> None:
        self._server = server
        self._claims = claim
        self._first = True
        self.ready: Callable[[], None] = _nobody
        self._lock = threading.Lock()
        self._ready: Any = None
        self._tries: threading.Thread | None = None
        self._closed = threading.Event()
        self._why = "the connection was lost"
        # Of the connection that was used last: its process on the server, and since when.
        self._last: tuple[int, str] | None = None

    def take(self) -> Any:
        """A connection that may write; called by SQLAlchemy where it needs one."""
        if self._first:
            raw = self._make()
            self._first = False
            self._claims = "nothing" if self._claims == "nothing" else "soon"
            return raw
        with self._lock:
            raw, self._ready = self._ready, None
            if raw is None and self._tries is None and not self._closed.is_set():
                self._tries = threading.Thread(target=self._try, name="database", daemon=True)
                self._tries.start()
        if raw is None:
            raise self._server.away(self._why)
        return raw

    def close(self) -> None:
        """Make no more of them."""
        self._closed.set()
        with self._lock:
            raw, self._ready = self._ready, None
        if raw is not None:
            raw.close()

    def _try(self) -> None:
        delay = _FIRST_DELAY
        while not self._closed.is_set():
            try:
                raw = self._make()
            except (Unavailable, StateError) as error:
                self._why = str(error)
                self._closed.wait(delay)
                delay = min(delay * 2, _LAST_DELAY)
                continue
            with self._lock:
                self._tries = None
                if not self._closed.is_set():
                    self._ready, raw = raw, None
            if raw is not None:
                raw.close()
            else:
                self.ready()
            return

    def _make(self) -> Any:
        psycopg = _driver()
        try:
            raw = self._server.connect()
            try:
                self._claim(raw)
            except BaseException:
                raw.close()
                raise
        except psycopg.Error as error:
            why = _told(error)[1]
            raise Unavailable(f"{self._server.place}: cannot be reached ({why}). Look at it, and at KEDGE_DATABASE.") from error
        return raw

    def _claim(self, raw: Any) -> None:
        """Be the one that writes. Only then is it certain that nothing given to the connection before is still to come."""
        waited = 0.0
        if self._claims == "nothing":
            return
        while not raw.execute(f"SELECT pg_try_advisory_lock({_WRITER}, {_LOCK_KEY})").fetchone()[0]:
            holder = raw.execute(_HOLDER).fetchone()
            if holder is not None and (self._claims == "now" or holder == self._last):
                raw.execute("SELECT pg_terminate_backend(%s)", [holder[0]])
            if waited >= _CLAIM_SECONDS:
                raise Unavailable(
                    f"{self._server.place}: another hub writes to this database. Stop it, or give this one a database of its own."
                )
            self._closed.wait(0.02)
            waited += 0.02
        self._last = raw.execute("SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()").fetchone()


def _nobody() -> None:
    """Nobody waits for the connection."""


def _driver() -> Any:
    try:
        import psycopg  # noqa: PLC0415  # only where a server is used
    except ImportError as error:
        raise StateError(
            "PostgreSQL needs the library psycopg, which is not installed. Install it: pip install 'kedge[postgres]'"
        ) from error
    return psycopg


def _session() -> Any:
    """A class of connections that wait for no answer longer than `_SILENT_SECONDS`."""
    psycopg = _driver()

    class Session(psycopg.Connection):
        def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
            return super().wait(_limited(gen, self), *arguments, **options)

    def _limited(waiting: Any, session: Any) -> Generator[Any, Any, Any]:
        """What the library does while it waits, until it has waited too long; it looks up ten times a second."""
        deadline = time.monotonic() + _SILENT_SECONDS
        try:
            wanted = next(waiting)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    session.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer for {_SILENT_SECONDS:g} seconds")
                wanted = waiting.send(ready)
        except StopIteration as end:
            return end.value

    return Session


def _read(url: str) -> dict[str, Any]:
    """What the URL says, with our defaults; nothing of it may come into a message, for it holds the password."""
    psycopg = _driver()
    scheme = url.partition("://")[0]
    if scheme not in {"postgresql", "postgres"} or "://" not in url:
        raise StateError("KEDGE_DATABASE: must begin with postgresql://, such as postgresql://user:password@host:5432/kedge.")
    try:
        told = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        told = None
    if told is None or not re.fullmatch(r"[0-9,]*", str(told.get("port", ""))):
        raise StateError(  # without the library's words, which quote what may be the password
            "KEDGE_DATABASE: cannot be read as postgresql://user:password@host:5432/database?option=value. In names and "
            "passwords write special characters as %40 for @, %2F for /, %3A for :, %25 for %."
        )
    found = _DEFAULTS | {key: value for key, value in told.items() if value is not None}
    if "," in str(found.get("host", "")) and "target_session_attrs" not in found:
        found["target_session_attrs"] = "read-write"  # of several servers the one that may be written to
    return found


def _place(options: dict[str, Any]) -> str:
    user = f"{options['user']}@" if "user" in options else ""
    hosts, ports = str(options.get("host", "")).split(","), str(options.get("port", "")).split(",")
    ports = ports if len(ports) == len(hosts) else ports * len(hosts)
    shown = ",".join(f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=True))
    return f"postgresql://{user}{shown}/{options.get('dbname', '')}"


def _told(error: BaseException | None) -> tuple[str, str]:
    """An error's SQLSTATE, or ``""``, and what it says in one line, without what was asked."""
    code = getattr(error, "sqlstate", None) or ""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return code, " ".join(str(primary or error or "no reason given").split())[:400]


# ---- texts: PostgreSQL takes every character but NUL

_MARK, _NUL = "\ufdd0", "\ufdd0\ufdd1"  # noncharacters, which Unicode leaves to programs
_marked = re.compile("\ufdd0([\ufdd0\ufdd1])")


def _packed(text: str) -> str:
    """A text without NUL, from which `_unpacked` makes the same text again.

    Examples:
        >>> _unpacked(_packed("a" + chr(0) + "b")) == "a" + chr(0) + "b"
        True
    """
    return text.replace(_MARK, _MARK + _MARK).replace("\0", _NUL)


def _unpacked(text: str) -> str:
    return _marked.sub(lambda found: _MARK if found[1] == _MARK else "\0", text)


def _codecs() -> list[tuple[Any, Any]]:
    from psycopg.types.string import StrDumper, TextLoader  # noqa: PLC0415  # only where a server is used

    class Dumper(StrDumper):
        def dump(self, obj: str) -> Any:
            return super().dump(_packed(obj) if "\0" in obj or _MARK in obj else obj)

    class Loader(TextLoader):
        def load(self, data: Any) -> Any:
            text = str(super().load(data))
            return _unpacked(text) if _MARK in text else text

    return [
        (lambda adapters, codec: adapters.register_dumper(str, codec), Dumper),
        (lambda adapters, codec: [adapters.register_loader(name, codec) for name in ("text", "varchar")], Loader),
    ]
