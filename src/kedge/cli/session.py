"""The host that a command talks to, and a client for it."""

from dataclasses import dataclass

import click

from kedge import __version__, host
from kedge.config import Settings
from kedge.errors import KedgeError, StateError
from kedge.home import Host, build
from kedge.pipelines.client import Client


@dataclass(frozen=True, slots=True)
class Session:
    """A running host and a client for it.

    Attributes:
        host: The host.
        client: Speaks to it.
        started: Whether this command started it.
    """

    host: Host
    client: Client
    started: bool = False


def connect(settings: Settings | None = None, *, start: bool = False) -> Session:
    """Find the host of the data directory.

    Args:
        settings: Says where; read from the environment when ``None``.
        start: Start one when none runs, and say so.

    Raises:
        StateError: None runs, or it could not be started.
    """
    settings = settings or Settings.from_environment()
    running = host.find(settings)
    started = running is None and start
    if running is None:
        if not start:
            raise StateError(
                f"No host runs in {settings.home}. Start one with `kedge up --detach`, or set KEDGE_HOME to where one runs."
            )
        running = host.start(settings)
        click.echo(f"Started a host in {settings.home}; it keeps running until `kedge down`.", err=True)
    return Session(running, Client(running.http, running.token), started)


def other_code() -> str:
    """What to say where the host of the data directory runs other code than this command; empty where it does not."""
    try:
        running = host.find(Settings.from_environment())
    except KedgeError:
        return ""
    if running is None or running.build == build():
        return ""
    return (
        f"The host runs other code than this command (its version is {running.version or 'unknown'}, this is {__version__}) and "
        "answered what this one does not read. Start it anew: `kedge down --keep-steps`, then `kedge up --detach`."
    )
