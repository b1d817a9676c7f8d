"""A real PostgreSQL server for the tests, Debian's or whichever lies in ``PATH``: made in a second, in a folder of its own.

A session (each worker of it) starts one. A test gets a database of it that is empty but for the history's tables; it is emptied
for the next test, because that is quicker than making one.
"""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psutil
import psycopg
import pytest
from certificates import Authority
from psycopg import sql

from kedge.db.tables import metadata

START_SECONDS = 60
PORT = 5432
USER = "kedge"
MISSING = (
    "PostgreSQL's server is not installed (Debian: apt-get install postgresql; scripts/setup --dev does that for root), "
    "or there is no user `postgres` or `nobody` to run it as"
)


def programs() -> Path | None:
    """The folder of the newest server's programs."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda path: int(path.split("/")[4]))  # noqa: PTH207  # sorted by a number in it
    path = found[-1] if found else shutil.which("postgres")
    return Path(path).resolve().parent if path else None


def _account() -> str | None:
    """As whom it runs: root may not."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise FileNotFoundError(MISSING)


class Server:
    """One server; may be killed and started again.

    Args:
        folder: Its own; sockets lie in it, so its path is short.
        settings: Of postgresql.conf, over those that make tests quick.
        port: Of its socket, and of TCP where the settings say that it listens.
    """

    def __init__(self, folder: Path, settings: Sequence[str] = (), port: int = PORT) -> None:
        found = programs()
        if found is None:
            raise FileNotFoundError(MISSING)
        self._programs = found
        self.folder = folder
        self.data = folder / "data"
        self._account = _account()
        self._settings = settings
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None
        if self._account is not None:
            shutil.chown(folder, self._account)

    def url(self, database: str = "postgres") -> str:
        """Where a client finds it."""
        return f"postgresql://{USER}@/{database}?host={self.folder}&port={self.port}"

    def make(self) -> None:
        """Make its files."""
        self.call("initdb", "-D", str(self.data), "-U", USER, "--no-sync", "-A", "trust", "--locale=C.UTF-8", "-E", "UTF8")

    def call(self, program: str, *arguments: str) -> None:
        """Run one of its programs as the account that it runs as."""
        done = subprocess.run(
            [self._programs / program, *arguments],
            user=self._account,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} {' '.join(arguments)}: {done.stdout}{done.stderr}")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        given = [
            f"unix_socket_directories={self.folder}",
            "listen_addresses=",
            f"port={self.port}",
            "fsync=off",
            "max_connections=60",
            *self._settings,
        ]
        command = [str(self._programs / "postgres"), "-D", str(self.data), *(word for each in given for word in ("-c", each))]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, user=self._account, cwd=self.folder, stderr=log, stdout=log)
        self._wait()

    def _wait(self) -> None:
        for _ in range(int(START_SECONDS * 20)):
            with suppress(RuntimeError):
                self.call("pg_isready", "-q", "-h", str(self.folder), "-p", str(self.port), "-d", "postgres")
                return
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"the server has ended: {(self.folder / 'log').read_text()}")
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)
        raise TimeoutError(f"the server does not answer: {(self.folder / 'log').read_text()}")

    def promote(self) -> None:
        """Let a standby take the place of its primary, and wait until it has."""
        self.call("pg_ctl", "promote", "-w", "-D", str(self.data))

    @contextmanager
    def standing_still(self) -> Generator[None]:
        """For as long as this lasts it does nothing, as one whose disk hangs."""
        found = psutil.Process(self._process.pid if self._process is not None else 0)
        processes = [found, *found.children()]
        for each in processes:
            each.suspend()
        try:
            yield
        finally:
            for each in processes:
                each.resume()

    def kill(self) -> None:
        """End it and all of its processes as a power cut does, without a word to anyone."""
        if self._process is not None:
            found = psutil.Process(self._process.pid)
            for each in (found, *found.children()):
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # "fast": whoever is connected is sent away
            self._process.wait(START_SECONDS)
            self._process = None


@contextmanager
def server(*settings: str, port: int = PORT) -> Generator[Server]:
    """A server that runs, in a folder that goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="kedge-pg-"))
    made = Server(folder, settings, port)
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Secured:
    """A server that is spoken to over TLS alone, but for its socket.

    Attributes:
        server: The server.
        address: Where it listens, without a password: ``postgresql://…``.
        ca: The file with the certificate of its authority.
    """

    server: Server
    address: str
    ca: Path


@contextmanager
def secured(host: str, port: int = PORT) -> Generator[Secured]:
    """One at an address of this machine, which its certificate names."""
    authority = Authority.new()
    issued = authority.server(host)
    with tempfile.TemporaryDirectory(prefix="kedge-pg-") as name:
        folder = Path(name)
        rules = "local all all trust\nhostssl all all all trust\n"
        files = {"ca.crt": authority.certificate, "crt": issued.certificate, "key": issued.key, "hba": rules}
        for each, text in files.items():
            (folder / each).write_text(text)
            (folder / each).chmod(0o600 if each == "key" else 0o644)
            if (account := _account()) is not None:
                shutil.chown(folder / each, account)
        folder.chmod(0o755)
        settings = [f"listen_addresses={host}", f"hba_file={folder}/hba", "ssl=on", f"ssl_cert_file={folder}/crt"]
        with server(*settings, f"ssl_key_file={folder}/key", port=port) as made:
            yield Secured(made, f"postgresql://{USER}@{host}:{port}/postgres", folder / "ca.crt")


@contextmanager
def standby(primary: Server) -> Generator[Server]:
    """Another server that follows one, and may take its place."""
    folder = Path(tempfile.mkdtemp(prefix="kedge-pg-"))
    made = Server(folder, ["hot_standby=on"])
    try:
        made.call("pg_basebackup", "-h", str(primary.folder), "-U", USER, "-D", str(made.data), "-R", "--no-sync", "-c", "fast")
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


def skip_where_missing() -> None:
    """Skip the test where no server can be started; with ``CI=true`` it fails."""
    try:
        if programs() is not None:
            _account()
            return
    except FileNotFoundError:
        pass
    if os.environ.get("CI") == "true":  # noqa: TID251  # how the tests are run is not a setting of Kedge
        pytest.fail(MISSING)
    pytest.skip(MISSING)


class Databases:
    """Databases of a server, each used by one test at a time.

    Args:
        server: The server.
    """

    def __init__(self, made: Server) -> None:
        self._server = made
        self._free: list[str] = []
        self._count = 0

    def take(self) -> str:
        """The name of one without rows."""
        return self._free.pop() if self._free else self.new()

    def new(self, options: LiteralString = "") -> str:
        """The name of one without tables, made with some options of CREATE DATABASE."""
        self._count += 1
        name = f"t{self._count}"
        with _connected(self._server.url()) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), sql.SQL(options)))
        return name

    def drop(self, name: str) -> None:
        """Delete one for good, whoever uses it."""
        with _connected(self._server.url()) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def give(self, name: str) -> None:
        """It is not used any more."""
        with _connected(self._server.url(name)) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute("SET session_replication_role = replica")  # no foreign key is looked at
            # Rows and not tables: making twenty tables anew takes fifty times as long as looking for rows in them.
            with suppress(psycopg.errors.UndefinedTable):  # nobody has opened it
                for table in metadata.tables.values():
                    connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))
        self._free.append(name)

    def url(self, name: str) -> str:
        """Where a client finds it."""
        return self._server.url(name)


def _connected(url: str) -> "psycopg.Connection[Any]":
    return psycopg.connect(url, autocommit=True)
