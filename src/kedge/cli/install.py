"""``kedge install``."""

from pathlib import Path
from typing import Any

import click

from kedge import __version__
from kedge.cli.clusters import access, chosen, cluster_options, installation_options, rolled_out
from kedge.errors import StateError
from kedge.kube.yaml import write
from kedge.manifests import charts, hub
from kedge.manifests.options import ALL, Options
from kedge.pipelines.kinds import RUN

SERVED = (RUN,)


@click.command("install")
@cluster_options
@installation_options
@click.option("--create-namespace", is_flag=True, help="Make the namespaces that are not there.")
@click.option("--dry-run", is_flag=True, help="Change nothing: write what would be installed.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "helm", "kustomize"]),
    default="yaml",
    show_default=True,
    help="How --dry-run writes it.",
)
@click.option(
    "-d", "--directory", type=click.Path(file_okay=False, path_type=Path), help="Where --dry-run writes a chart or a base."
)
def command(
    *,
    kubeconfig: Path | None,
    context: str | None,
    namespace: str | None,
    timeout: int,
    wait: bool,
    create_namespace: bool,
    dry_run: bool,
    output: str,
    directory: Path | None,
    **given: Any,
) -> None:
    """Install Kedge into a namespace of a cluster.

    One Deployment, a Service, what it may do, and the kinds that it serves. Run it again to change options: what an installation
    has no more is deleted. `kedge upgrade` brings it to another version, `kedge uninstall` takes it away.

    The history lies in a SQLite file on a claim, with one hub, or in the PostgreSQL database whose address is the key `url` of
    the Secret --database-secret: then there may be several hubs, of which one works and the others stand by.

    \b
    kubectl create secret generic kedge-s3 -n ml --from-literal AWS_ACCESS_KEY_ID=… --from-literal AWS_SECRET_ACCESS_KEY=…
    kedge install -n ml --image registry.example/kedge:1 --artifacts s3://bucket/ml --artifacts-secret kedge-s3
    """  # noqa: D301  # click wants the sign itself: what follows stays as it is
    if dry_run:
        meant = access(kubeconfig, context).namespace if kubeconfig or context else "default"
        place = namespace or meant
        options = _options(place, given).checked()
        _write(options, output, directory)
        return
    cluster = chosen(kubeconfig, context, timeout)
    place = namespace or cluster.namespace

    async def work() -> None:
        installer = cluster.installer(SERVED)
        there = await installer.found(place)
        before = None if there is None else there.options
        options = _options(place, given, before)
        await installer.install(options, create_namespace=create_namespace, wait=wait)

    cluster.do(work)
    rolled_out(place, __version__, wait=wait)


def _options(namespace: str, given: dict[str, Any], before: Options | None = None) -> Options:
    """What is given, and of an installation that is there already also what it has; of this version in any case."""
    return (before or Options(namespace, "", "", "")).changed(**given_options(given), version=__version__)


def given_options(given: dict[str, Any]) -> dict[str, Any]:
    """The options of an installation by the names of `Options`; what was not given is ``None``."""
    found = dict(given)
    if found.pop("all_namespaces"):
        if found["namespaces"]:
            raise click.UsageError("--namespaces and --all-namespaces exclude each other.")
        found["namespaces"] = (ALL,)
    return found


def _write(options: Options, output: str, directory: Path | None) -> None:
    objects = hub.objects(options, SERVED)
    if output == "yaml":
        click.echo(write(*objects), nl=False)
        return
    if directory is None:
        raise click.UsageError(f"--output {output} writes several files: name a folder with --directory.")
    files = charts.helm(options, SERVED) if output == "helm" else charts.kustomize(objects)
    if directory.exists() and any(directory.iterdir()):
        raise StateError(f"{directory}: is not empty. Name another folder, or empty it.")
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    click.echo(f"{len(files)} files in {directory}")
