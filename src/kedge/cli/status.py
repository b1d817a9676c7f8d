"""``kedge status``."""

import click

from kedge import host
from kedge.cli.machine import limits
from kedge.cli.options import output_option, print_json
from kedge.cli.session import installed
from kedge.cli.session import settings as meant
from kedge.node.pressure import is_full, room


@click.command("status")
@output_option
def command(*, output: str) -> int:
    """Say whether a host runs, and where. Exit status 1 when none does."""
    settings = meant()
    running = host.find(settings)
    if running is None and settings.context and (there := installed(settings)) is not None:
        with there.client:
            address = there.client.host
        if output == "json":
            print_json({"running": True, "installed": True, "http": address, "context": settings.context})
        else:
            click.echo(
                f"installed        in the cluster of context {settings.context}: kedge run --context {settings.context} uses it"
            )
            click.echo(f"REST             {address}")
        return 0
    if output == "json":
        print_json(
            {"running": True, **running.as_json(), "limits": limits(settings), "diskFull": is_full(settings.home)}
            if running
            else {"running": False, "dataDir": str(settings.home)}
        )
    elif running:
        click.echo(f"running          process {running.pid}, version {running.version}, since {running.started_at}")
        if settings.context:
            click.echo(f"context          {settings.context}: the hub runs here, everything else in the cluster")
        click.echo(f"REST             {running.http}")
        there = f" --context {settings.context}" if settings.context else ""
        click.echo(f"dashboard        `kedge open{there}` makes a link and opens it")
        click.echo(f"Kubernetes API   {running.https}")
        click.echo(f"kubeconfig       {running.kubeconfig}")
        click.echo(f"data             {running.data_dir}")
        if told := limits(settings):
            click.echo(f"limits of steps  {told}")
        if (there := room(settings.home, settings.least_disk)) is not None and there.state != "OK":
            wait = "full: runs wait, and go on by themselves when there is room again"
            short = f"runs short, {there.free / (1 << 30):.1f} GiB are free: when it is full, runs wait"
            click.echo(f"disk             {wait if there.state == 'FULL' else short}")
    else:
        option = f" --context {settings.context}" if settings.context else ""
        click.echo(f"No host runs in {settings.home}. Start one with `kedge up{option} --detach`.")
    return 0 if running else 1
