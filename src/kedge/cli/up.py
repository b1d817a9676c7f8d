"""``kedge up``."""

import shlex
from pathlib import Path

import click

from kedge import host
from kedge.cli.options import output_option, port_options, print_json
from kedge.config import Settings


@click.command("up")
@click.option("-d", "--detach", is_flag=True, help="Start it in the background and return when it is ready.")
@port_options
@click.option("--kubeconfig", type=click.Path(dir_okay=False, path_type=Path), help="Work against the cluster of this file.")
@click.option("--context", help="Work against the cluster of this context of the kubeconfig.")
@output_option
def command(
    *,
    detach: bool,
    http_port: int | None,
    https_port: int | None,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> None:
    """Start the host, in the foreground or detached.

    With --kubeconfig or --context there is no host here: the hub runs on this machine, and everything else in the cluster.

    Its state lies in one directory (KEDGE_HOME; see `kedge status`). In the foreground, Ctrl-C stops the host and leaves running
    steps alone: they are adopted at the next start. `kedge down` ends those too.
    """
    settings = Settings.from_environment()
    home = settings.home
    if kubeconfig is not None or context is not None:
        from kedge import clusters, hub  # noqa: PLC0415  # all of Kedge: only commands that name a cluster load it

        chosen = clusters.choose(settings, kubeconfig, context)
        settings = chosen.settings
        if not detach:
            hub.serve(settings, chosen.place(http_port))
            return
    elif not detach:
        from kedge import app  # noqa: PLC0415  # likewise: only the process that serves

        app.serve(settings, http_port=http_port, https_port=https_port)
        return
    found = host.find(settings)
    options = [] if kubeconfig is None else [f"--kubeconfig={kubeconfig.absolute()}"]
    options += [] if context is None else [f"--context={context}"]
    running = found or host.start(settings, http_port=http_port, https_port=https_port, options=options, home=home)
    if output == "json":
        print_json(running.as_json())
        return
    click.echo(f"A host {'already runs' if found else 'runs'} in {running.data_dir}, process {running.pid}.")
    click.echo(f"  REST and pages   {running.http}")
    click.echo(f"  Kubernetes API   {running.https}")
    click.echo(f"  kubectl          export KUBECONFIG={shlex.quote(str(running.kubeconfig))}")
