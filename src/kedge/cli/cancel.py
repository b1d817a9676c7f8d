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
    name, state = found.get("display_name") or run, str(found.get("state", ""))
    click.echo(f"{name} is over already: {state}." if found.get("finished_at") else f"Cancelling {name}.")
