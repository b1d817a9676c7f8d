"""``kedge up``."""

import shlex

import click

from kedge import host
from kedge.cli.options import output_option, port_options, print_json
from kedge.config import Settings


@click.command("up")
@click.option("-d", "--detach", is_flag=True, help="Start it in the background and return when it is ready.")
@port_options
@output_option
def command(*, detach: bool, http_port: int | None, https_port: int | None, output: str) -> None:
    """Start the host, in the foreground or detached.

    Its state lies in one directory (KEDGE_HOME; see `kedge status`). In the foreground, Ctrl-C stops the host and leaves running
    steps alone: they are adopted at the next start. `kedge down` ends those too.
    """
    settings = Settings.from_environment()
    if not detach:
        from kedge import app  # noqa: PLC0415  # all of Kedge: only the process that serves loads it

        app.serve(settings, http_port=http_port, https_port=https_port)
        return
    found = host.find(settings)
    running = found or host.start(settings, http_port=http_port, https_port=https_port)
    if output == "json":
        print_json(running.as_json())
        return
    click.echo(f"A host {'already runs' if found else 'runs'} in {running.data_dir}, process {running.pid}.")
    click.echo(f"  REST and pages   {running.http}")
    click.echo(f"  Kubernetes API   {running.https}")
    click.echo(f"  kubectl          export KUBECONFIG={shlex.quote(str(running.kubeconfig))}")
