"""``kedge upgrade``."""

from pathlib import Path
from typing import Any

import click

from kedge import __version__
from kedge.cli.clusters import chosen, cluster_options, installation_options, rolled_out
from kedge.cli.install import SERVED, given_options


@click.command("upgrade")
@cluster_options
@installation_options
def command(
    *, kubeconfig: Path | None, context: str | None, namespace: str | None, timeout: int, wait: bool, **given: Any
) -> None:
    """Bring an installed Kedge to this version.

    The hub is stopped, a Job with the new image brings the database to its version, and only then everything else is changed.
    Where the database cannot be migrated the hub of before goes on. Steps run meanwhile. Options that are not given stay as they
    are; an older version than the installed one is refused.
    """
    cluster = chosen(kubeconfig, context, timeout)
    place = namespace or cluster.namespace

    async def work() -> None:
        await cluster.installer(SERVED).upgrade(place, __version__, given_options(given), wait=wait)

    cluster.do(work)
    rolled_out(place, __version__, wait=wait)
