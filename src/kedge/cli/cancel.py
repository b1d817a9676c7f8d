"""``kedge cancel``."""

import click

from kedge.cli.session import connect


@click.command("cancel")
@click.argument("run")
def command(*, run: str) -> None:
    """Cancel a run: what runs is stopped, nothing new starts. Its history stays."""
    client = connect().client
    found = client.get(run)
    client.cancel(str(found["run_id"]))
    click.echo(f"Cancelling {found.get('display_name') or run}.")
