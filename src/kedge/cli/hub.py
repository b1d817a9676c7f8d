"""``kedge hub``: what the container of an installed Kedge runs."""

import click

from kedge import __version__
from kedge.config import Settings


@click.command("hub")
@click.option("--port", type=click.IntRange(1, 65_535), default=8080, show_default=True, help="Port of the REST API.")
@click.option("--migrate", is_flag=True, help="Bring the database to this version, and end.")
def command(*, port: int, migrate: bool) -> None:
    """Run the hub of this cluster, in one of its Pods.

    It speaks to the API server by the Pod's service account. On your own machine, use `kedge up --kubeconfig FILE`.
    """
    from kedge import clusters, hub  # noqa: PLC0415  # all of Kedge: only the process that serves loads it

    settings = Settings.from_environment()
    if migrate:
        click.echo(f"{hub.migrate(settings)} This is Kedge {__version__}.")
        return
    hub.serve(settings, clusters.inside(settings, port))
