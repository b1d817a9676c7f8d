"""A whole host for a test: a real ``kedge up`` in a directory of its own, ended with everything it started.

with running_host() as kedge:
    run = kedge.client.run(document)
    kedge.kill()                      # as `kill -9` of the hub; steps go on under the supervisor
    kedge.start()                     # in the same data directory
    kedge.cli("runs", "list")         # the command line against it
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from kedge import host as hosts
from kedge.config import Settings
from kedge.errors import StateError
from kedge.home import Host
from kedge.pipelines.client import Client

_GRACE_SECONDS = 5.0  # for what a test has left behind: a shell at a terminal does not end when it is asked to


@dataclass
class RunningHost:
    """A host under test.

    Attributes:
        settings: Its data directory, cache and environment.
        options: Further ones of the ``kedge up`` that starts it.
        host: What it says of itself; of the newest process after `start`.
    """

    settings: Settings
    options: Sequence[str] = ()
    host: Host = field(init=False)

    @property
    def home(self) -> Path:
        """The data directory."""
        return self.settings.home

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a process that shall use this host, such as a ``kedge`` that a test starts itself."""
        settings = self.settings
        place = {"KEDGE_HOME": str(settings.root), "KEDGE_CONTEXT": settings.context, "KEDGE_CACHE": str(settings.cache)}
        return {**settings.environ, **place}

    @cached_property
    def client(self) -> Client:
        """A client for it. The ports and the token stay the same over restarts."""
        return Client(self.host.http, self.host.token)

    def start(self) -> None:
        """Start the hub, or start it again in the same data directory."""
        self.host = hosts.start(self.settings, options=self.options)

    def stop(self) -> None:
        """Stop the hub as SIGTERM does; steps go on."""
        hosts.stop(self.host)

    def kill(self) -> None:
        """End the hub as ``kill -9`` does, and wait until it is gone."""
        os.kill(self.host.pid, signal.SIGKILL)
        if not hosts.wait_for_exit(self.host.pid, 60):
            raise StateError(f"Process {self.host.pid} outlived SIGKILL for 60 s.")

    def end(self) -> None:
        """Close the client, and stop the hub if it runs."""
        if "client" in vars(self):
            self.client.close()
        if left := hosts.find(self.settings):
            hosts.stop(left)

    def cli(self, *arguments: str, timeout: float = 120, check: bool = False) -> "subprocess.CompletedProcess[str]":
        """Run the command line against this host.

        Args:
            arguments: After ``kedge``.
            timeout: Seconds.
            check: Raise when the exit status is not 0.
        """
        return subprocess.run(
            [sys.executable, "-P", "-m", "kedge.cli.main", *arguments],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=check,
        )


@contextlib.contextmanager
def running_host(environ: Mapping[str, str] | None = None, *, start: bool = True) -> Generator[RunningHost]:
    """Start a host in a new directory and end it, its supervisor and its steps afterwards.

    Args:
        environ: Variables on top of the process's own, such as ``KEDGE_MAX_PODS``.
        start: Whether to start it at once; otherwise the test calls `RunningHost.start`.
    """
    with new_home() as home:
        kedge = RunningHost(settings_of(home, environ or {}))
        try:
            if start:
                kedge.start()
            yield kedge
        finally:
            kedge.end()
            hosts.stop_supervisor(home, grace=_GRACE_SECONDS)


@contextlib.contextmanager
def new_home() -> Generator[Path]:
    """A data directory, deleted afterwards; its path is short, since a unix socket's has 107 bytes."""
    home = Path(tempfile.mkdtemp(prefix="kedge-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def settings_of(home: Path, environ: Mapping[str, str]) -> Settings:
    """Settings of a host under test: nothing of the developer's own but the cache, whose environments are named by content.

    Containers are processes, unless the test asks for a runtime: what a machine has by chance changes no verdict.

    Args:
        home: Its ``KEDGE_HOME``.
        environ: Variables on top of the process's own.
    """
    inherited = Settings.from_environment().environ
    kept = {name: value for name, value in inherited.items() if not name.startswith("KEDGE_") or name == "KEDGE_CACHE"}
    return Settings.from_environment({**kept, "KEDGE_RUNTIME": "process", **environ, "KEDGE_HOME": str(home)})
