"""``kedge debug``."""

import asyncio
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import click

from kedge.cli.again import Again, lay_out
from kedge.cli.session import connect
from kedge.config import Settings
from kedge.kube.clock import SystemClock
from kedge.node.environments import Environments, Wanted, variables
from kedge.node.interpreters import Interpreters
from kedge.node.uv import Uv


@click.command("debug")
@click.argument("run")
@click.argument("task")
@click.option("--debugger/--no-debugger", default=True, help="Stop at the function's first line, or just run it.")
@click.option("--keep", is_flag=True, help="Keep the folder with the step's code, inputs and outputs, and say where it is.")
def command(*, run: str, task: str, debugger: bool, keep: bool) -> int:
    """Run one step of a run again here, under a debugger.

    The step gets the inputs that it had, and an environment with the packages it asks for. What it writes goes to a temporary
    folder: neither the run nor its artifacts change. Exit status: the step's.
    """
    settings = Settings.from_environment()
    client = connect(settings).client
    folder = Path(tempfile.mkdtemp(prefix="kedge-debug-"))
    try:
        step = lay_out(client, run, task, folder)
        environment = asyncio.run(_environment(settings, step))
        given = {**settings.environ, **variables(environment, settings.environ), **step.variables}
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
    version = re.search(r":(\d+(?:\.\d+){0,2})", step.image)
    python = step.python
    wanted = Wanted(version.group(1) if version else "3", python.packages, python.index_urls, python.trusted_hosts)
    return await environments.get(wanted)
