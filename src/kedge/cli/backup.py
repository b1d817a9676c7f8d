"""``kedge backup``."""

import time
from pathlib import Path

import click

from kedge import __version__
from kedge.backups.taking import Origin, Wanted, take
from kedge.cli.options import output_option, print_json
from kedge.config import Settings
from kedge.kube.clock import SystemClock, timestamp

_QUIET_SECONDS = 1.0


class Progress:
    """Says on standard error how far it has come, once a second, when it takes longer than one."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _QUIET_SECONDS

    def __call__(self, what: str, done: int, total: int) -> None:
        """Hear how far it has come."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _QUIET_SECONDS
            far = f" {done / (1 << 20):,.0f} of {total / (1 << 20):,.0f} MiB" if total else ""
            click.echo(f"{what}{far}", err=True)


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--artifacts", is_flag=True, help="Also the bytes of artifacts that lie in the data directory.")
@click.option("--claims", is_flag=True, help="Also the folders of PersistentVolumeClaims, as they are while they are read.")
@output_option
def command(*, file: Path, artifacts: bool, claims: bool, output: str) -> None:
    """Copy the data directory into one file, while its host works.

    FILE gets the objects, the history of runs, the keys and the projects of pipelines; the databases as they were at one moment.
    Nobody else may read it, since it holds the owner's token. It appears once it is whole and has been read again. A history that
    is kept in PostgreSQL is not in it: `pg_dump` backs that up.
    """
    settings = Settings.from_environment()
    origin = Origin(__version__, timestamp(SystemClock().now()), "PostgreSQL" if settings.database else "file")
    made = take(settings.home, file.absolute(), Wanted(artifacts, claims), origin, Progress())
    size = file.stat().st_size
    if output == "json":
        print_json({"file": str(file), "bytes": size, **{key: value for key, value in made.as_json().items() if key != "files"}})
        return
    click.echo(f"{file}: {size / (1 << 20):,.1f} MiB, resourceVersion {made.revision}: {', '.join(made.parts)}.")
    if made.history != "file":
        click.echo(f"The history of runs is not in it: {made.history} keeps that. Back it up with `pg_dump`.")
    if not artifacts:
        click.echo("The bytes of artifacts are not in it (--artifacts).")
