"""``kedge down``."""

import click

from kedge import host
from kedge.config import Settings


@click.command("down")
@click.option("--keep-steps", is_flag=True, help="Stop only the hub: running steps go on and are adopted by the next `kedge up`.")
def command(*, keep_steps: bool) -> None:
    """Stop the host and every step it runs.

    Unfinished runs go on at the next `kedge up`: a step ended this way is run again and does not use up its retries.
    """
    settings = Settings.from_environment()
    running = host.find(settings)
    if running:
        host.stop(running)
    supervisor = False if keep_steps else host.stop_supervisor(settings.home)
    if running:
        click.echo(f"The host in {settings.home} has stopped{'; its steps go on.' if keep_steps else ', and its steps with it.'}")
    elif supervisor:
        click.echo(f"No host ran in {settings.home}; the steps that one had left have been stopped.")
    else:
        click.echo(f"No host runs in {settings.home}.")
