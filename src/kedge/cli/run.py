"""``kedge run``."""

from pathlib import Path
from typing import Any

import click

from kedge.cli.files import load
from kedge.cli.follow import Ended, follow
from kedge.cli.options import output_option, print_json
from kedge.cli.parameters import read_parameters
from kedge.cli.report import failed_step, print_failure, print_results
from kedge.cli.session import connect
from kedge.cli.tags import tag_option
from kedge.display.results import results
from kedge.errors import ApiError
from kedge.pipelines.client import Client


@click.command("run")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-p", "--param", "texts", multiple=True, metavar="NAME=VALUE", help="An argument of the pipeline; may be repeated.")
@click.option("--pipeline", metavar="NAME", help="Which pipeline of the file, when it defines several.")
@click.option("--name", default="", help="What the run is called; the pipeline's name and the time when not given.")
@tag_option
@click.option("--no-cache", is_flag=True, help="Run every step, even those whose result is known.")
@click.option("--no-wait", is_flag=True, help="Print the run's id and return at once.")
@output_option
def command(
    *, file: Path, texts: tuple[str, ...], pipeline: str | None, tags: tuple[tuple[str, str], ...], output: str, **options: Any
) -> int:
    """Run a pipeline and follow it.

    FILE is Python that defines a pipeline, or a compiled one (YAML or JSON). A host is started when none runs, and keeps
    running.

    Ctrl-C cancels the run. Exit status 1 when the run fails or is cancelled.
    """
    document = load(file, pipeline=pipeline, submitted=True)
    parameters = read_parameters(document.pipeline, texts)
    session = connect(start=True)
    run = session.client.run(
        document, parameters=parameters, name=options["name"], cache=not options["no_cache"], tags=dict(tags)
    )
    if options["no_wait"]:
        print_json(run) if output == "json" else click.echo(run["run_id"])
        return 0
    ended = follow(session.client, run, quiet=output == "json")
    if output == "json":
        print_json(as_json(ended))
    return report(session.client, ended, results_shown=output == "text")


def as_json(ended: Ended) -> dict[str, Any]:
    """A finished run as ``--output json`` prints it: the REST API's run, and its tasks in short."""
    tasks = [
        {
            "id": task.id,
            "kind": task.kind,
            "state": task.state,
            "attempt": task.attempt,
            "message": task.message,
            "outputs": task.outputs,
        }
        for task in ended.tasks.values()
    ]
    return {**ended.run, "tasks": tasks}


def report(client: Client, ended: Ended, *, results_shown: bool = True) -> int:
    """Say how a run ended.

    Returns:
        The exit status: 0 when it succeeded.
    """
    if ended.succeeded:
        if results_shown:
            print_results(results(ended.tasks.values()))
        return 0
    state = str(ended.run.get("state", "")).lower()
    step = failed_step(ended.tasks.values())
    if step:
        run_id = str(ended.run["run_id"])
        print_failure(run_id, step, _log_of(client, run_id, step.id))
    if state == "canceled":
        click.echo("\nThe run was cancelled.", err=True)
        return 1
    message = (ended.run.get("error") or {}).get("message", "")
    click.echo(f"\nThe run {state}." + (f" {message}" if message and not step else ""), err=True)
    return 1


def _log_of(client: Client, run_id: str, task: str) -> list[str]:
    """The step's log; nothing where it never got as far as having one: the failure's own message says why."""
    try:
        return list(client.logs(run_id, task))
    except ApiError:
        return []
