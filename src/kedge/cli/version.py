"""``kedge version``."""

import platform

import click

import kedge
from kedge.cli.options import output_option, print_json


@click.command("version")
@output_option
def command(*, output: str) -> None:
    """Print the version."""
    if output == "json":
        print_json({"kedge": kedge.__version__, "python": platform.python_version(), "platform": platform.platform()})
    else:
        click.echo(f"kedge {kedge.__version__} (Python {platform.python_version()}, {platform.platform()})")
