"""``kedge cache``: list, show and clear results of steps that may be used again."""

from typing import Any

import click

from kedge.cli.options import TimeSpan, ago, output_option, print_json, print_table, size
from kedge.cli.session import connect

_SHOWN_DIGITS = 12


@click.group("cache")
def command() -> None:
    """List, show and clear results of steps that may be used again.

    A step whose component and inputs are what they were is not run again: an earlier result of a run of the same pipeline is
    used. KEDGE_CACHE_TTL (such as 7d; of the host) says for how long, `kedge run --no-cache` does without.
    """


def _choosing(work: Any) -> Any:
    for option in (
        click.option("--older-than", type=TimeSpan(), help="Made longer ago than this, such as 12h or 7d."),
        click.option("--task", metavar="NAME", default="", help="Of tasks of this name."),
        click.option("--component", metavar="NAME", default="", help="Of this component."),
        click.option("--pipeline", metavar="NAME", default="", help="Of this pipeline."),
    ):
        work = option(work)
    return work


def _chosen(pipeline: str, component: str, task: str, older_than: int | None) -> dict[str, str]:
    before = "" if older_than is None else ago(older_than)
    found = {"pipeline_name": pipeline, "component": component, "task_name": task, "before": before}
    return {name: value for name, value in found.items() if value}


@command.command("list")
@_choosing
@click.option("-n", "--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="The newest so many.")
@output_option
def list_entries(*, limit: int, output: str, **chosen: Any) -> None:
    """List results that may be used again, newest first."""
    page = connect().client.cache_entries(_chosen(**chosen), page_size=limit)
    found = page.get("cache_entries", [])
    if output == "json":
        print_json(found)
        return
    rows = [
        (
            entry["cache_fingerprint"][:_SHOWN_DIGITS],
            entry.get("pipeline_name", ""),
            entry["task_id"],
            _component(entry),
            entry["run_id"],
            entry.get("created_at", ""),
        )
        for entry in found
    ]
    print_table(("ENTRY", "PIPELINE", "TASK", "COMPONENT", "RUN", "MADE"), rows)
    if (more := page.get("total_size", 0) - len(found)) > 0:
        click.echo(f"and {more} more; -n shows up to 200.")


@command.command("show")
@click.argument("entry")
@click.option("--pipeline", metavar="NAME", default="", help="Of this pipeline; needed where several have it.")
@output_option
def show(*, entry: str, pipeline: str, output: str) -> None:
    """Show a result: who made it, what it is, and whether it is still there. ENTRY is as listed."""
    found = connect().client.cache_entry(entry, pipeline=pipeline)
    if output == "json":
        print_json(found)
        return
    for heading, value in (
        ("Entry", found["cache_fingerprint"]),
        ("Pipeline", found.get("pipeline_name", "")),
        ("Component", _component(found)),
        ("Made by", f"{found['task_id']} of run {found['run_id']}"),
        ("Made at", found.get("created_at", "")),
        ("Until", found.get("expires_at", "")),
    ):
        if value:
            click.echo(f"{heading + ':':<12}{value}")
    outputs: dict[str, Any] = found.get("outputs") or {}
    for name, value in (outputs.get("parameters") or {}).items():
        click.echo(f"  {name} = {value}")
    gone = set(found.get("gone") or ())
    for name, listed in (outputs.get("artifacts") or {}).items():
        for artifact in listed:
            note = "  GONE: the step runs again" if artifact["uri"] in gone else ""
            click.echo(f"  {name}: {artifact['uri']} ({size(artifact.get('size') or 0)}){note}")


@command.command("clear")
@_choosing
@click.option("--all", "every", is_flag=True, help="Every result.")
@output_option
def clear(*, every: bool, output: str, **chosen: Any) -> None:
    """Let results not be used again. What the steps made stays with their runs."""
    selection = _chosen(**chosen)
    if bool(selection) == every:
        raise click.UsageError("Say which: with --pipeline, --component, --task or --older-than, or --all.")
    done = connect().client.clear_cache(selection, every=every)
    if output == "json":
        print_json(done)
        return
    if not done["removed"]:
        click.echo("Nothing to remove: no result is like that. `kedge cache list` shows those that there are.")
        return
    for entry in done["entries"]:
        click.echo(f"Removed {entry['count']} of {_component(entry)} in {entry.get('pipeline_name') or 'no pipeline'}.")
    click.echo(f"{done['removed']} in all; those steps run again when they are asked for next.")


def _component(entry: dict[str, Any]) -> str:
    return str(entry.get("component", "")).removeprefix("comp-")
