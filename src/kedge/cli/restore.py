"""``kedge restore``."""

from pathlib import Path

import click

from kedge import __version__, host
from kedge.backups.restoring import restore
from kedge.cli.backup import Progress
from kedge.config import Settings


@click.command("restore")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace the objects, the history, the keys and the projects that are there.")
def command(*, file: Path, force: bool) -> None:
    """Put a backup back into a data directory.

    No host may run there, nor steps of one: `kedge down` ends both. The whole backup is read and checked first; one that is
    damaged, or that a newer version made, changes nothing. Artifacts and claims that the backup does not hold stay as they are.

    Revisions jump, so that clients that watched the old state list again.
    """
    settings = Settings.from_environment()
    found = restore(settings.home, file, __version__, force=force, told=Progress(), rests=lambda home: not host.supervised(home))
    click.echo(f"{settings.home}: is as it was at {found.made_at}: {', '.join(found.parts)}. Start it with `kedge up`.")
