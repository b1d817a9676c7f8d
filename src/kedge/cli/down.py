"""``kedge down``."""

import click

from kedge import host
from kedge.cli.session import settings as meant
from kedge.config import Settings
from kedge.errors import KedgeError


@click.command("down")
@click.option("--keep-steps", is_flag=True, help="Stop only the hub: running steps go on and are adopted by the next `kedge up`.")
def command(*, keep_steps: bool) -> None:
    """Stop the host and every step it runs.

    Unfinished runs go on at the next `kedge up`: a step ended this way is run again and does not use up its retries.

    With --context, stop the hub that works against that cluster from here, and take its relay away. Pods that run there go on;
    with --keep-steps the relay stays too, and they wait at it for the next `kedge up`.
    """
    settings = meant()
    running = host.find(settings)
    if running:
        host.stop(running)
    if settings.context:
        _leave(settings, ran=running is not None, keep=keep_steps)
        return
    supervisor = False if keep_steps else host.stop_supervisor(settings.home)
    if running:
        click.echo(f"The host in {settings.home} has stopped{'; its steps go on.' if keep_steps else ', and its steps with it.'}")
    elif supervisor:
        click.echo(f"No host ran in {settings.home}; the steps that one had left have been stopped.")
    else:
        click.echo(f"No host runs in {settings.home}.")


def _leave(settings: Settings, *, ran: bool, keep: bool) -> None:
    click.echo(f"The hub for context {settings.context} has stopped." if ran else f"No hub runs in {settings.home}.")
    if keep:
        return
    from kedge import clusters  # noqa: PLC0415  # all of Kedge: only commands that name a cluster load it

    try:
        removed = clusters.remove_relay(settings)
    except KedgeError as error:
        raise KedgeError(
            f"the relay could not be taken away: {error} Run `kedge down --context {settings.context}` again."
        ) from error
    if removed:
        click.echo("Its relay has been taken out of the cluster. Steps that still run there are lost, and run again next time.")
