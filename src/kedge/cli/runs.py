"""``kedge runs``: list, show and delete."""

import click

from kedge.cli.follow import Ended, follow
from kedge.cli.options import output_option, print_json, print_table
from kedge.cli.progress import print_tree
from kedge.cli.report import print_results
from kedge.cli.run import as_json, report
from kedge.cli.session import connect
from kedge.display.results import results
from kedge.display.tasks import TaskView, duration
from kedge.kube.clock import parse_timestamp


@click.group("runs")
def command() -> None:
    """List, show and delete runs."""


@command.command("list")
@click.option("-n", "--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="The newest so many.")
@output_option
def list_runs(*, limit: int, output: str) -> None:
    """List runs, newest first."""
    runs = connect().client.list(page_size=limit)
    if output == "json":
        print_json(runs)
        return
    rows = [
        (run["run_id"], run.get("display_name", ""), run.get("state", ""), run.get("created_at", ""), took(run)) for run in runs
    ]
    print_table(("RUN", "NAME", "STATE", "CREATED", "TOOK"), rows)


def took(run: dict[str, str]) -> str:
    """How long a finished run took, for people."""
    if not run.get("created_at") or not run.get("finished_at"):
        return ""
    return duration((parse_timestamp(run["finished_at"]) - parse_timestamp(run["created_at"])).total_seconds())


@command.command("show")
@click.argument("run")
@click.option("-f", "--follow", "following", is_flag=True, help="Go on until it ends. Ctrl-C stops only the looking on.")
@output_option
def show(*, run: str, following: bool, output: str) -> int:
    """Show a run: its tasks, and its results or why it failed."""
    client = connect().client
    found = client.get(run)
    if following:
        ended = follow(client, found, quiet=output == "json", cancel=False)
    else:
        tasks = [TaskView.from_json(body) for body in client.tasks(str(found["run_id"]))]
        ended = Ended(found, {task.id: task for task in tasks})
    if output == "json":
        print_json(as_json(ended))
        return 0
    if not following:
        click.echo(f"{found.get('display_name', '')}  {found['run_id']}  {found.get('state', '')}")
        print_tree(ended.tasks.values())
    if found.get("finished_at") and not ended.succeeded:
        report(client, ended)
    else:
        print_results(results(ended.tasks.values()))
    return 0


@command.command("delete")
@click.argument("runs", nargs=-1, required=True)
def delete(*, runs: tuple[str, ...]) -> None:
    """Delete runs with their history. One that still runs is cancelled first."""
    client = connect().client
    for run in runs:
        found = client.get(run)
        client.delete(str(found["run_id"]))
        click.echo(f"Deleted {found.get('display_name') or run}.")
