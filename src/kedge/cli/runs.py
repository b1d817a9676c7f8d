"""``kedge runs``: list, show, compare, retry, resume, archive and delete."""

import json
from pathlib import Path
from typing import Any

import click

from kedge.cli.files import load
from kedge.cli.follow import Ended, follow
from kedge.cli.metrics import metrics
from kedge.cli.options import TimeSpan, ago, output_option, print_json, print_table, size
from kedge.cli.progress import print_tree
from kedge.cli.report import print_results
from kedge.cli.run import as_json, report
from kedge.cli.session import connect
from kedge.cli.tags import Change, predicates, written
from kedge.display.results import results
from kedge.display.tasks import GOOD, TaskView, duration
from kedge.kube.clock import parse_timestamp
from kedge.pipelines.client import Client

_SHOWN = 20
_STATES = ("PENDING", "RUNNING", "SUCCEEDED", "SKIPPED", "FAILED", "CANCELING", "CANCELED", "PAUSED")
_follow_option = click.option(
    "-f", "--follow", "following", is_flag=True, help="Go on until it ends. Ctrl-C stops only the looking on."
)


@click.group("runs", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List, show, compare, retry, resume, archive and delete runs. Without a command: list.

    RUN is a run's id, the first six characters or more of it, or its name: the newest that is called so.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_runs)


command.add_command(metrics)


@command.command("list")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(_STATES, case_sensitive=False), help="In this state; may be repeated."
)
@click.option("--pipeline", metavar="NAME", default="", help="Of the pipeline of this name.")
@click.option("--experiment", metavar="NAME", default="", help="Of this experiment.")
@click.option("--tag", "tags", multiple=True, metavar="KEY[=VALUE]", help="With this tag; may be repeated, all must hold.")
@click.option("--since", type=TimeSpan(), help="Started not longer ago than this, such as 12h or 7d.")
@click.option("--archived", "storage", flag_value="ARCHIVED", help="Those that were archived, in place of the others.")
@click.option("--all", "storage", flag_value="", help="Those that were archived too.")
@click.option("-n", "--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="The newest so many.")
@click.option("--page", "page_token", metavar="TOKEN", default="", help="Go on where a list ended, which said how.")
@click.option("--show-tags", is_flag=True, help="Show their tags too.")
@output_option
def list_runs(
    *, states: tuple[str, ...], tags: tuple[str, ...], since: int | None, show_tags: bool, output: str, **named: Any
) -> None:
    """List runs, newest first. Archived ones are left out."""
    client = connect().client
    storage = named.get("storage")
    asked_for: list[dict[str, Any]] = [
        {"operation": "EQUALS", "key": key, "string_value": value}
        for key, value in (
            ("pipeline_name", named.get("pipeline")),
            ("storage_state", "AVAILABLE" if storage is None else storage),
        )
        if value
    ]
    asked_for += predicates(tags)
    page_token, experiment = named["page_token"], named["experiment"]
    if states:
        asked_for.append({"operation": "IN", "key": "state", "string_values": {"values": list(states)}})
    if since is not None and not page_token:
        asked_for.append({"operation": "GREATER_THAN_EQUALS", "key": "created_at", "timestamp_value": ago(since)})
    asked = "" if page_token or not asked_for else json.dumps({"predicates": asked_for})  # the token knows its filter
    experiment_id = str(client.experiment(experiment)["experiment_id"]) if experiment else ""
    found = client.page(page_size=named["limit"], page_token=page_token, filter=asked, experiment_id=experiment_id)
    runs = found.get("runs", [])
    if output == "json":
        print_json(runs)
        return
    rows = [
        (run["run_id"], run.get("display_name", ""), run.get("state", ""), run.get("created_at", ""), took(run))
        + ((written(run.get("tags") or {}),) if show_tags else ())
        for run in runs
    ]
    print_table(("RUN", "NAME", "STATE", "CREATED", "TOOK") + (("TAGS",) if show_tags else ()), rows)
    if token := found.get("next_page_token"):
        click.echo(f"{found.get('total_size', 0)} in all; the next: kedge runs list --page {token}")


def took(run: dict[str, str]) -> str:
    """How long a finished run took, for people."""
    if not run.get("created_at") or not run.get("finished_at"):
        return ""
    return duration((parse_timestamp(run["finished_at"]) - parse_timestamp(run["created_at"])).total_seconds())


@command.command("show")
@click.argument("run")
@_follow_option
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
        if tags := found.get("tags"):
            click.echo(f"tags: {written(tags)}")
        print_tree(ended.tasks.values())
    if found.get("finished_at") and not ended.succeeded:
        report(client, ended)
    else:
        print_results(results(ended.tasks.values()))
    return 0


@command.command("events")
@click.argument("run")
@click.argument("task", required=False)
@output_option
def events(*, run: str, task: str | None, output: str) -> None:
    """Print what was said of the Pods of a run, or of one task: why they waited, what was refused, what was built.

    It is kept as long as the run is, also of Pods that are gone.
    """
    client = connect().client
    run_id = str(client.get(run)["run_id"])
    found = client.events(run_id, task)
    if output == "json":
        print_json(found)
        return
    if not found:
        click.echo("Nothing was said: every Pod started without ado, or none was made yet.")
        return
    rows = [
        (
            one["last_seen"],
            one["type"],
            one.get("reason", ""),
            one["task_id"] + (f" (attempt {one['attempt'] + 1})" if one["attempt"] else ""),
            one.get("message", "") + (f" ({one['count']} times)" if one["count"] > 1 else ""),
        )
        for one in found
    ]
    print_table(("LAST", "TYPE", "REASON", "TASK", "MESSAGE"), rows)


@command.command("delete")
@click.argument("runs", nargs=-1, required=True)
@click.option("--keep-artifacts", is_flag=True, help="Leave what they made where it is.")
def delete(*, runs: tuple[str, ...], keep_artifacts: bool) -> None:
    """Delete runs with what they made. One that still runs is cancelled first.

    Artifacts that other runs use stay, and those that were imported.
    """
    client = connect().client
    for run in runs:
        found = client.get(run)
        done = client.delete(str(found["run_id"]), keep_artifacts=keep_artifacts)
        made = "" if keep_artifacts else f" with {done['artifacts']} artifacts ({size(done['bytes'])})"
        click.echo(f"Deleted {found.get('display_name') or run}{made}.")
        for kept in done["kept"]:
            click.echo(f"  kept {kept['name']}: {kept['reason']} ({kept['uri']})")
        if (more := done["kept_count"] - len(done["kept"])) > 0:
            click.echo(f"  kept {more} more")
        if done["pending"]:
            click.echo("  the store does not answer: what is left there is deleted as soon as it does")


@command.command("retry")
@click.argument("run")
@click.option("--task", default="", metavar="NAME", help="Only this task, and what depends on it.")
@_follow_option
def retry(*, run: str, task: str, following: bool) -> int:
    """Go on with a run that failed or was cancelled, from where it stopped: what succeeded is not run again.

    With --task, one task runs again and then what depends on it, whether it had succeeded or not; the run must be over.
    """
    client = connect().client
    found = client.get(run)
    run_id = str(found["run_id"])
    kept = [] if task else [one.id for one in map(TaskView.from_json, client.tasks(run_id)) if one.is_step and one.state in GOOD]
    _explain({"kept": kept, **client.retry(run_id, task)})
    return _go_on(client, found, run, following=following)


@command.command("resume")
@click.argument("run")
@click.option("--pipeline", "file", type=click.Path(path_type=Path), required=True, help="The changed one: Python, YAML or JSON.")
@click.option("--name", default=None, metavar="NAME", help="Which pipeline of the file, when it defines several.")
@_follow_option
def resume(*, run: str, file: Path, name: str | None, following: bool) -> int:
    """Go on with a run that failed or was cancelled, with a changed pipeline.

    Tasks that succeeded are kept where their component, their inputs and all that they follow are what they were.
    """
    document = load(file, pipeline=name, submitted=True)
    client = connect().client
    found = client.get(run)
    _explain(client.resume(str(found["run_id"]), document))
    return _go_on(client, found, run, following=following)


def _explain(plan: dict[str, Any]) -> None:
    """Say what was kept and what runs again."""
    if kept := plan.get("kept"):
        shown = ", ".join(kept[:_SHOWN]) + (f" and {len(kept) - _SHOWN} more" if len(kept) > _SHOWN else "")
        click.echo(f"Kept: {shown}.")
    again = plan.get("again", [])
    for task in again[:_SHOWN]:
        click.echo(f"Runs again: {task['task_id']}: {task['reason']}.")
    if len(again) > _SHOWN:
        click.echo(f"Runs again: {len(again) - _SHOWN} more.")
    if dropped := plan.get("dropped"):
        click.echo(f"Not in the pipeline any more: {', '.join(dropped[:_SHOWN])}.")


def _go_on(client: Client, found: dict[str, Any], run: str, *, following: bool) -> int:
    if not following:
        click.echo(f"Goes on with {found.get('display_name') or run}.")
        return 0
    over = parse_timestamp(found["finished_at"]) if "finished_at" in found else None
    ended = follow(client, client.get(str(found["run_id"])), quiet=False, cancel=False, reopened=over)
    if not ended.succeeded:
        report(client, ended)
    return 0 if ended.succeeded else 1


@command.command("tag")
@click.argument("run")
@click.argument("changes", nargs=-1, required=True, type=Change(), metavar="KEY=VALUE|KEY-…")
@output_option
def tag(*, run: str, changes: tuple[tuple[str, str | None], ...], output: str) -> None:
    """Set tags of a run, also of one that is over. KEY- takes one away; the others stay.

    Tags are the labels of the run's object in Kubernetes, as long as there is one, and follow their rules.
    """
    client = connect().client
    found = client.tag(str(client.get(run)["run_id"]), dict(changes))
    if output == "json":
        print_json(found)
        return
    click.echo(f"{found.get('display_name') or run}: {written(found.get('tags') or {}) or 'no tags'}")


@command.command("archive")
@click.argument("runs", nargs=-1, required=True)
@click.option("--undo", is_flag=True, help="Put them back.")
def archive(*, runs: tuple[str, ...], undo: bool) -> None:
    """Put runs out of the way. They are not deleted."""
    client = connect().client
    for run in runs:
        found = client.get(run)
        client.archive(str(found["run_id"]), archived=not undo)
        click.echo(f"{'Restored' if undo else 'Archived'} {found.get('display_name') or run}.")


@command.command("export")
@click.argument("run")
@click.option(
    "-o", "--output", "target", type=click.Path(path_type=Path), help="The file; the run's name.kedge.tar.gz if not given."
)
def export(*, run: str, target: Path | None) -> None:
    """Write a run that is over to one file, with its artifacts and logs."""
    client = connect().client
    found = client.get(run)
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in str(found.get("display_name") or found["run_id"]))
    target = target or Path(f"{name}.kedge.tar.gz")
    client.export(str(found["run_id"]), target)
    click.echo(f"Wrote {target} ({size(target.stat().st_size)}).")


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def import_run(*, file: Path) -> None:
    """Take in a run that was exported, with its artifacts and logs. Everything in the file is checked."""
    found = connect(start=True).client.import_run(file)
    click.echo(f"Imported {found.get('display_name') or found['run_id']} as {found['run_id']} ({found.get('state', '')}).")


@command.command("lineage")
@click.argument("run")
@click.option("-o", "--output", type=click.Choice(["openlineage"]), default="openlineage", help="One JSON event a line.")
def lineage(*, run: str, output: str) -> None:
    """Print the OpenLineage events of a run, as far as it has come."""
    del output  # there is one form
    client = connect().client
    for event in client.lineage_events(str(client.get(run)["run_id"])):
        click.echo(json.dumps(event))


@command.command("compare")
@click.argument("runs", nargs=-1, required=True)
@click.option("--all", "every", is_flag=True, help="Also the rows that are the same in all.")
@output_option
def compare(*, runs: tuple[str, ...], every: bool, output: str) -> None:
    """Show the tags, parameters and metrics of runs side by side, where they differ."""
    client = connect().client
    found = [client.get(run) for run in runs]
    columns = [_facts(client, run) for run in found]
    if output == "json":
        print_json([{"run_id": run["run_id"], **facts} for run, facts in zip(found, columns, strict=True)])
        return
    rows: list[tuple[str, ...]] = []
    for kind in ("tags", "parameters", "metrics"):
        names = dict.fromkeys(name for column in columns for name in column[kind])
        for name in names:
            cells = [_cell(column[kind].get(name)) for column in columns]
            if every or len(set(cells)) > 1:
                rows.append((name, *cells))
    headings = [str(run.get("display_name") or run["run_id"]) for run in found]
    print_table(("", *headings), [("state", *(str(run.get("state", "")) for run in found)), ("took", *map(took, found)), *rows])
    if left_out := dict.fromkeys(title for column in columns for title in column["left_out"]):
        click.echo(f"Not compared: confusion matrix of {', '.join(left_out)}. `kedge runs show` draws it.")


def _facts(client: Client, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Its tags, parameters and metrics, of series the last value; and what cannot be compared in a line."""
    run_id = str(run["run_id"])
    found = results([TaskView.from_json(body) for body in client.tasks(run_id)])
    series = {
        f"{one['task_id']} · {one['artifact']} · {one['name']}": one["value"] for one in client.metrics(run_id) if "count" in one
    }
    spec: dict[str, Any] = run.get("pipeline_spec") or {}
    declared: dict[str, Any] = ((spec.get("pipeline_spec", spec).get("root") or {}).get("inputDefinitions") or {}).get(
        "parameters"
    ) or {}
    defaults = {name: port["defaultValue"] for name, port in declared.items() if "defaultValue" in port}
    given: dict[str, Any] = (run.get("runtime_config") or {}).get("parameters") or {}
    left_out = dict.fromkeys((matrix.title for matrix in found.matrices), "confusion matrix")
    tags = {f"tag {key}": value or "(set)" for key, value in (run.get("tags") or {}).items()}
    return {"tags": tags, "parameters": {**defaults, **given}, "metrics": {**series, **dict(found.metrics)}, "left_out": left_out}


def _cell(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
