"""``kedge open``."""

import webbrowser

import click
import httpx

from kedge.cli.session import connect
from kedge.errors import KedgeError, Unavailable
from kedge.home import Host


@click.command("open")
@click.option("--print", "only_print", is_flag=True, help="Print the link alone; open nothing.")
def command(*, only_print: bool) -> None:
    """Open the dashboard in a browser.

    The link signs one browser in, once, within ten minutes; the browser stays signed in for two weeks. Whoever has the link can
    do with the host what you can: do not pass it on.
    """
    link = sign_in_link(connect(start=not only_print).host)
    click.echo(link)
    if not only_print and not webbrowser.open(link):
        click.echo("No browser could be opened from here: open the link yourself.", err=True)


def sign_in_link(host: Host) -> str:
    """A one-time link to the pages of a host.

    Raises:
        Unavailable: The host does not answer.
        KedgeError: It has no pages to sign in to.
    """
    try:
        answer = httpx.post(
            f"{host.http}/sign-in-links", headers={"Authorization": f"Bearer {host.token}"}, timeout=10, trust_env=False
        )
    except httpx.HTTPError as error:
        raise Unavailable(f"{host.http}: the host does not answer: {error}. `kedge status` says more.") from error
    if answer.status_code != 201:
        raise KedgeError(
            f"{host.http}: the host made no link (HTTP {answer.status_code}). `kedge down`, then `kedge up`, may help."
        )
    return f"{host.http}{answer.json()['path']}"
