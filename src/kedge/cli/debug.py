"""``kedge debug``."""

import asyncio
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import click

from kedge.cli import session as sessions
from kedge.cli.again import Again, lay_out
from kedge.cli.session import connect
from kedge.client import kubeconfig
from kedge.client.http import HttpClient
from kedge.config import Settings
from kedge.errors import StateError
from kedge.home import Host
from kedge.kube.clock import SystemClock
from kedge.node.env import MissingError, of_container
from kedge.node.environments import Environments, Wanted, variables
from kedge.node.interpreters import Interpreters
from kedge.node.objects import Objects
from kedge.node.refusals import Refusal
from kedge.node.uv import Uv

# How the step spoke to its host.
_OF_THE_POD = {"KEDGE_HUB", "KEDGE_STEP"}


@click.command("debug")
@click.argument("run")
@click.argument("task")
@click.option("--debugger/--no-debugger", default=True, help="Stop at the function's first line, or just run it.")
@click.option("--keep", is_flag=True, help="Keep the folder with the step's code, inputs and outputs, and say where it is.")
def command(*, run: str, task: str, debugger: bool, keep: bool) -> int:
    """Run one step of a run again here, under a debugger.

    The step gets the inputs and variables that it had, and an environment with the packages it asks for; its volumes are not
    there. What it writes goes to a temporary folder: neither the run nor its artifacts change. Exit status: the step's.
    """
    settings = sessions.settings()
    session = connect(settings)
    folder = Path(tempfile.mkdtemp(prefix="kedge-debug-"))
    try:
        step = lay_out(session.client, run, task, folder)
        environment = asyncio.run(_environment(settings, step))
        own = asyncio.run(_variables(session.host, settings.context, step))
        given = {**settings.environ, **variables(environment, settings.environ), **own, **step.variables}
        if debugger:
            given["KEDGE_DEBUG"] = "1"
            click.echo(
                f"{step.python.function} of {step.python.filename}, line {step.python.first_line}. `c` runs it, `q` leaves."
            )
        done = subprocess.run([str(environment / "bin" / "python"), *step.arguments], check=False, env=given, cwd=folder / "work")
        return done.returncode
    finally:
        if keep:
            click.echo(f"Code, inputs and outputs are in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _environment(settings: Settings, step: Again) -> Path:
    """The environment that the node uses for the step, built when it is not there."""
    uv = Uv(settings.environ)
    environments = Environments(settings.cache / "environments", uv, Interpreters(uv, settings.environ), SystemClock())
    version = re.search(r":(\d+(?:\.\d+){0,2})", step.container["image"])
    python = step.python
    wanted = Wanted(version.group(1) if version else "3", python.packages, python.index_urls, python.trusted_hosts)
    return await environments.get(wanted)


async def _variables(host: Host, context: str, step: Again) -> dict[str, str]:
    """The variables that the step's container had, with Secrets and ConfigMaps as they are now.

    Raises:
        StateError: One that it refers to is not there.
    """
    async with HttpClient(kubeconfig.load(Path(host.kubeconfig), context=context or None)) as api:
        try:
            found = await of_container(step.pod, step.container, Objects(api))
        except (MissingError, Refusal) as error:
            raise StateError(f"The step's environment cannot be made again: {error}.") from error
    return {name: value for name, value in found.values.items() if name not in _OF_THE_POD}
