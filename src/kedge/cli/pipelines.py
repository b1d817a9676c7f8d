"""``kedge pipelines``: list, show, upload and delete."""

from pathlib import Path

import click

from kedge.cli.files import load
from kedge.cli.options import output_option, print_json, print_table
from kedge.cli.session import connect


@click.group("pipelines")
def command() -> None:
    """List, show, upload and delete pipelines."""


@command.command("list")
@output_option
def list_pipelines(*, output: str) -> None:
    """List stored pipelines."""
    found = connect().client.pipelines()
    if output == "json":
        print_json(found)
        return
    rows = [(p["pipeline_id"], p.get("display_name") or p.get("name", ""), p.get("created_at", "")) for p in found]
    print_table(("PIPELINE", "NAME", "CREATED"), rows)


@command.command("show")
@click.argument("pipeline")
@output_option
def show(*, pipeline: str, output: str) -> None:
    """Show a pipeline and its versions."""
    client = connect().client
    found = client.pipeline(pipeline)
    versions = client.versions(str(found["pipeline_id"]))
    if output == "json":
        print_json({**found, "versions": versions})
        return
    click.echo(f"{found.get('display_name') or found.get('name')}  {found['pipeline_id']}")
    if found.get("description"):
        click.echo(str(found["description"]))
    rows = [(v["pipeline_version_id"], v.get("display_name") or v.get("name", ""), v.get("created_at", "")) for v in versions]
    print_table(("VERSION", "NAME", "CREATED"), rows)


@command.command("upload")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--name", default="", help="The pipeline's name; as it calls itself when not given. An existing one gets a new version."
)
@click.option("--pipeline", metavar="NAME", help="Which pipeline of the file, when it defines several.")
@output_option
def upload(*, file: Path, name: str, pipeline: str | None, output: str) -> None:
    """Store a pipeline, or a new version of one. FILE is as for `kedge run`."""
    stored = connect(start=True).client.upload(load(file, pipeline=pipeline, submitted=True), name=name)
    if output == "json":
        print_json(stored)
    else:
        click.echo(f"Stored {stored.get('display_name') or stored.get('name')} as {stored['pipeline_id']}.")


@command.command("delete")
@click.argument("pipelines", nargs=-1, required=True)
def delete(*, pipelines: tuple[str, ...]) -> None:
    """Delete stored pipelines with their versions. Runs that were started from them stay."""
    client = connect().client
    for pipeline in pipelines:
        found = client.pipeline(pipeline)
        client.delete_pipeline(str(found["pipeline_id"]))
        click.echo(f"Deleted {found.get('display_name') or pipeline}.")
