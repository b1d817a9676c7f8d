"""``kedge up``."""

import shlex
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import click

from kedge import host
from kedge.cli.open import sign_in_link
from kedge.cli.options import output_option, port_options, print_json
from kedge.config import Settings
from kedge.errors import KedgeError
from kedge.home import Host


@click.command("up")
@click.option("-d", "--detach", is_flag=True, help="Start it in the background and return when it is ready.")
@port_options
@click.option(
    "--listen",
    default="",
    metavar="ADDRESS[:PORT]",
    help="Serve the Kubernetes API to other machines too, at this address of this one, for `kedge join`; the port is 6443.",
)
@click.option("--kubeconfig", type=click.Path(dir_okay=False, path_type=Path), help="Work against the cluster of this file.")
@click.option("--context", help="Work against the cluster of this context of the kubeconfig (or KEDGE_CONTEXT).")
@output_option
def command(
    *,
    detach: bool,
    http_port: int | None,
    https_port: int | None,
    listen: str,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> None:
    """Start the host, in the foreground or detached.

    With --kubeconfig or --context there is no host here: the hub runs on this machine, and everything else in the cluster. Pods
    reach the hub through a relay, a small Pod that it brings there; nothing has to reach this machine. Without --kubeconfig, the
    file is the one that was named the last time, that of KUBECONFIG, or ~/.kube/config. Artifacts must lie in an object store
    (KEDGE_ARTIFACTS).

    Its state lies in one directory (KEDGE_HOME; see `kedge status`). In the foreground, Ctrl-C stops the host and leaves running
    steps alone: they are adopted at the next start. `kedge down` ends those too.
    """
    settings = Settings.from_environment()
    options = [f"--listen={listen}"] * bool(listen)
    limits: tuple[str, ...] = ()
    if kubeconfig is not None or context is not None or settings.context:
        _refuse_ports(https_port, listen)
        from kedge import clusters, hub, relayed  # noqa: PLC0415  # all of Kedge: only commands that name a cluster load it

        chosen = clusters.choose(settings, kubeconfig, context)
        settings, place, limits = chosen.settings, chosen.place(http_port), relayed.LIMITS
        relayed.check_store(settings)
        options = [f"--kubeconfig={chosen.kubeconfig}"]
        if not detach:
            for line in limits if sys.stderr.isatty() else ():  # a log may be read by programs, and then each line is JSON
                click.echo(line, err=True)
            hub.serve(settings, place, partial(_greet, settings))
            return
        if place.relayed and not host.find(settings):
            image = settings.stager_image
            click.echo(f"Starting. The first time, the cluster brings the relay, and fetches its image, {image}.", err=True)
    elif not detach:
        from kedge import app  # noqa: PLC0415  # likewise: only the process that serves

        app.serve(settings, http_port=http_port, https_port=https_port, listen=listen, ready=partial(_greet, settings))
        return
    found = host.find(settings)
    running = found or host.start(settings, http_port=http_port, https_port=https_port, options=options)
    if output == "json":
        print_json(running.as_json())
        return
    _print(settings, running, started=found is None)
    for line in limits if found is None else ():
        click.echo(line, err=True)


def _refuse_ports(https_port: int | None, listen: str) -> None:
    """Say which options are a host's alone."""
    if https_port is not None:
        raise click.UsageError("--https-port is where a host here serves Kubernetes' API; a cluster has its own. Leave it out.")
    if listen:
        raise click.UsageError("--listen is where other machines join a host here; a cluster has its own API. Leave it out.")


def _greet(settings: Settings) -> None:
    """Say where the pages of the host in this process are, to whoever sits at the terminal: a link is for no log."""
    with suppress(KedgeError):
        if sys.stderr.isatty() and (running := host.find(settings)) is not None:
            click.echo(f"The dashboard, for one browser, within ten minutes: {sign_in_link(running)}", err=True)


def _print(settings: Settings, running: Host, *, started: bool) -> None:
    what = f"hub for context {settings.context}" if settings.context else "host"
    within = f" --context {shlex.quote(settings.context)}" if settings.context else ""
    # What is no terminal is kept, by a log or a script: it gets no link.
    pages = sign_in_link(running) if sys.stdout.isatty() else f"{running.http} (`kedge open{within}` signs a browser in)"
    click.echo(f"A {what} {'runs' if started else 'already runs'} in {running.data_dir}, process {running.pid}.")
    click.echo(f"  dashboard        {pages}")
    click.echo(f"  REST             {running.http}")
    click.echo(f"  Kubernetes API   {running.https}")
    if running.outside:
        click.echo(f"  other machines   {running.outside} (`kedge invite` says how one joins)")
    if settings.context:
        click.echo(f"  run something    kedge run FILE{within}")
    else:
        click.echo(f"  kubectl          export KUBECONFIG={shlex.quote(str(running.kubeconfig))}")
