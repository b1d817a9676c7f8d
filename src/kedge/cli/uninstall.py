"""``kedge uninstall``."""

from pathlib import Path

import click

from kedge.cli.clusters import chosen, cluster_options
from kedge.cli.install import SERVED


@click.command("uninstall")
@cluster_options
@click.option("--delete-data", is_flag=True, help="Also delete the Runs, what they own, and the claim with the history.")
@click.option("--yes", is_flag=True, help="Do not ask before data is deleted.")
def command(
    *, kubeconfig: Path | None, context: str | None, namespace: str | None, timeout: int, delete_data: bool, yes: bool
) -> None:
    """Take Kedge out of a cluster.

    What holds data stays: Runs and their definition, the claim with SQLite's file, and what lies in a database or an object
    store. A later `kedge install` goes on with it. With --delete-data the former go too.
    """
    cluster = chosen(kubeconfig, context, timeout)
    place = namespace or cluster.namespace
    if delete_data and not yes:
        click.confirm(f"Delete all Runs and the history of the Kedge in namespace {place}?", abort=True)

    async def work() -> None:
        await cluster.removal(SERVED).uninstall(place, delete_data=delete_data)

    cluster.do(work)
    click.echo(f"Kedge is uninstalled from namespace {place}.")
