"""The host that a command talks to, and a client for it."""

from dataclasses import dataclass

import click
import httpx

from kedge import __version__, host
from kedge.cli.options import CONTEXT
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
        http: The way to it, where that leads through an API server.
    """

    host: Host
    client: Client
    started: bool = False
    http: httpx.Client | None = None


def settings() -> Settings:
    """The settings of the host that the command means: this machine's, or with ``--context`` the hub of that cluster."""
    found = Settings.from_environment()
    command = click.get_current_context(silent=True)
    context = str(command.meta.get(CONTEXT, "")) if command else ""
    return found.of(context) if context else found


def connect(chosen: Settings | None = None, *, start: bool = False) -> Session:
    """Find the host of the data directory.

    Args:
        chosen: Says where; what the command means when ``None``.
        start: Start one when none runs, and say so.

    Raises:
        StateError: None runs, or it could not be started.
    """
    chosen = chosen or settings()
    running = host.find(chosen)
    started = running is None and start
    if running is None:
        if chosen.context and (there := installed(chosen)) is not None:
            return there
        if not start:
            if chosen.context:
                raise StateError(
                    f"No hub works against context {chosen.context} from here, and its namespace has none. "
                    f"Start one with `kedge up --context {chosen.context} --detach`, or see `kedge install`."
                )
            raise StateError(
                f"No host runs in {chosen.home}. Start one with `kedge up --detach`, or set KEDGE_HOME to where one runs."
            )
        running = begin(chosen)
        what = f"hub for context {chosen.context}" if chosen.context else "host"
        down = f"kedge down --context {chosen.context}" if chosen.context else "kedge down"
        click.echo(f"Started a {what} in {chosen.home}; it keeps running until `{down}`.", err=True)
    return Session(running, Client(running.http, running.token), started)


def how_it_comes_back(client: Client) -> str:
    """What starts a host that does not answer any more, in a sentence."""
    context = settings().context
    if not context:
        return "`kedge up --detach` starts it."
    if "/services/" in client.host:  # the API server's way to one that is installed
        return f"its Deployment in the cluster starts it again; `kubectl --context {context} get pods` says more."
    return f"`kedge up --context {context} --detach` starts it."


def begin(chosen: Settings) -> Host:
    """Start a host, or the hub of a cluster, in the background; a kubeconfig is the one that is meant from here.

    Raises:
        StateError: It did not start.
    """
    if not chosen.context:
        return host.start(chosen)
    from kedge import clusters  # noqa: PLC0415  # all of Kedge: only commands that name a cluster load it

    return host.start(chosen, options=[f"--kubeconfig={clusters.choose(chosen).kubeconfig}"])


def installed(chosen: Settings) -> Session | None:
    """The hub that is installed in the cluster for the namespace of the context, reached through the API server."""
    from kedge import clusters  # noqa: PLC0415  # all of Kedge: only commands that name a cluster load it
    from kedge.installation.reaching import way  # noqa: PLC0415  # likewise

    cluster = clusters.choose(chosen)
    http = way(cluster.access())
    if http is None:
        return None
    here = Host(str(http.base_url), cluster.access().server, "", str(cluster.kubeconfig), "", pid=0, version="", started_at="")
    return Session(here, Client(here.http, http=http), http=http)


def other_code() -> str:
    """What to say where the host of the data directory runs other code than this command; empty where it does not."""
    try:
        running = host.find(settings())
    except KedgeError:
        return ""
    if running is None or running.build == build():
        return ""
    return (
        f"The host runs other code than this command (its version is {running.version or 'unknown'}, this is {__version__}) and "
        "answered what this one does not read. Start it anew: `kedge down --keep-steps`, then `kedge up --detach`."
    )
