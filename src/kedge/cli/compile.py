"""``kedge compile``."""

import sys
from pathlib import Path

import click

from kedge.cli.files import load
from kedge.errors import PipelineError
from kedge.pipelines import documents


@click.command("compile")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where to write; FILE with .yaml when not given, - for standard output.",
)
@click.option("--pipeline", metavar="NAME", help="Which pipeline of the file, when it defines several.")
def command(*, file: Path, output: Path | None, pipeline: str | None) -> None:
    """Compile a pipeline file to YAML.

    The result is PipelineSpec IR, which Kubeflow Pipelines runs too.
    """
    text = documents.write(load(file, pipeline=pipeline))
    if str(output) == "-":
        sys.stdout.write(text)
        return
    target = output or file.with_suffix(".yaml")
    if target.exists() and target.samefile(file):
        raise PipelineError(f"{target}: is what is compiled, and would be overwritten. Name another file with --output.")
    try:
        target.write_text(text)
    except OSError as error:
        error.filename = str(target)  # which a disk that is full does not say
        raise
    click.echo(f"Wrote {target}.")
