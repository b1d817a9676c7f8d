"""``kedge open``."""

import asyncio
import webbrowser
from pathlib import Path

import click
import httpx

from kedge import host
from kedge.cli.session import connect, settings
from kedge.config import Settings
from kedge.errors import KedgeError, StateError, Unavailable
from kedge.home import Host


@click.command("open")
@click.option("--print", "only_print", is_flag=True, help="Print the link alone; open nothing.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, help="Of this machine, for a hub in a cluster.  [default: any]"
)
@click.option(
    "--kubeconfig",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Names the cluster, as --context does.  [default: KUBECONFIG]",
)
def command(*, only_print: bool, port: int, kubeconfig: Path | None) -> None:
    """Open the dashboard in a browser.

    The link signs one browser in, once, within ten minutes; the browser stays signed in for two weeks. Whoever has the link can
    do with the host what you can: do not pass it on.

    The pages of a hub that is installed in the cluster of a --context are shown through a port of this machine, for as long as
    the command runs: end it with Ctrl-C. It needs no more rights than `kedge run --context` does.
    """
    chosen = settings()
    if (chosen.context or kubeconfig) and _forwarded(chosen, kubeconfig, port, only_print=only_print):
        return
    if kubeconfig:
        raise StateError(
            f"{kubeconfig}: no hub works against this cluster from here, and its namespace has none. See `kedge install`."
        )
    _show(sign_in_link(connect(chosen, start=not only_print).host), only_print=only_print)


def _forwarded(chosen: Settings, kubeconfig: Path | None, port: int, *, only_print: bool) -> bool:
    """Show the pages of the hub that is installed in a cluster, if there is one and no hub of this machine works against it."""
    from kedge import clusters  # noqa: PLC0415  # all of Kedge: only commands that name a cluster load it
    from kedge.installation import forwarding, reaching  # noqa: PLC0415  # likewise

    cluster = clusters.choose(chosen, kubeconfig)
    if (running := host.find(cluster.settings)) is not None:
        _show(sign_in_link(running), only_print=only_print)
        return True
    access = cluster.access()
    place = reaching.place(access)
    if place is None:
        return False

    def told(link: str) -> None:
        _show(link, only_print=only_print)
        click.echo(f"The hub of namespace {access.namespace}, until Ctrl-C.", err=True)

    asyncio.run(forwarding.serve(access, place, port, told))
    return True


def _show(link: str, *, only_print: bool) -> None:
    click.echo(link)
    if not only_print and not webbrowser.open(link):
        click.echo("No browser could be opened from here: open the link yourself.", err=True)


def sign_in_link(running: Host) -> str:
    """A one-time link to the pages of a host.

    Raises:
        Unavailable: The host does not answer.
        KedgeError: It has no pages to sign in to.
    """
    try:
        answer = httpx.post(
            f"{running.http}/sign-in-links", headers={"Authorization": f"Bearer {running.token}"}, timeout=10, trust_env=False
        )
    except httpx.HTTPError as error:
        raise Unavailable(f"{running.http}: the host does not answer: {error}. `kedge status` says more.") from error
    if answer.status_code != 201:
        raise KedgeError(
            f"{running.http}: the host made no link (HTTP {answer.status_code}). `kedge down`, then `kedge up`, may help."
        )
    return f"{running.http}{answer.json()['path']}"
