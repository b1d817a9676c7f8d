"""``kedge schedules``: recurring runs, by cron or every so often."""

from pathlib import Path
from typing import Any

import click

from kedge.cli.files import load, stored
from kedge.cli.options import TimeSpan, output_option, print_json, print_table
from kedge.cli.parameters import read_parameters
from kedge.cli.session import connect
from kedge.cli.tags import Tag, tag_option, written

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.group("schedules")
def command() -> None:
    """Run pipelines again and again: by cron or every so often."""


@command.command("list")
@output_option
def list_schedules(*, output: str) -> None:
    """List schedules, newest first."""
    found = connect().client.recurring_runs()
    if output == "json":
        print_json(found)
        return
    rows = [
        (r["recurring_run_id"], r.get("display_name", ""), _when(r), r.get("status", ""), r.get("next_run_at", "")) for r in found
    ]
    print_table(("SCHEDULE", "NAME", "WHEN", "STATUS", "NEXT"), rows)


@command.command("show")
@click.argument("schedule")
@output_option
def show(*, schedule: str, output: str) -> None:
    """Show a schedule."""
    found = connect().client.recurring_run(schedule)
    if output == "json":
        print_json(found)
        return
    for heading, value in (
        ("Schedule", found["recurring_run_id"]),
        ("Name", found.get("display_name", "")),
        ("When", _when(found)),
        ("Status", found.get("status", "")),
        ("Next", found.get("next_run_at", "")),
        ("At once", found.get("max_concurrency", "")),
        ("Tags", written(found.get("tags") or {})),
        ("Error", (found.get("error") or {}).get("message", "")),
    ):
        if value:
            click.echo(f"{heading + ':':<10}{value}")


@command.command("create")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="What people call it.")
@click.option("--cron", help='When: five fields ("0 9 * * 1": Mondays at nine), six with seconds first, or @daily and the like.')
@click.option("--every", type=TimeSpan(), help="When: every so often, such as 30m, 6h or 1d.")
@click.option("--start", metavar="TIME", help="Not before this (RFC 3339).")
@click.option("--end", metavar="TIME", help="Not after this (RFC 3339).")
@click.option("--at-once", type=click.IntRange(1, 10), default=1, show_default=True, help="At most so many runs at once.")
@click.option(
    "--no-catchup", is_flag=True, help="Leave out what was missed while the host was down; one run at most makes up for it."
)
@click.option("--disabled", is_flag=True, help="Do not fire yet.")
@tag_option
@click.option("-p", "--param", "texts", multiple=True, metavar="NAME=VALUE", help="An argument of the pipeline; may be repeated.")
@click.option("--pipeline", metavar="NAME", help="Which pipeline of the file, when it defines several.")
@output_option
def create(*, file: Path, pipeline: str | None, texts: tuple[str, ...], output: str, **options: Any) -> None:
    """Make a schedule. FILE is as for `kedge run`."""
    if bool(options["cron"]) == bool(options["every"]):
        raise click.UsageError("Say when it shall run: with either --cron or --every.")
    document = load(file, pipeline=pipeline, submitted=True)
    parameters = read_parameters(document.pipeline, texts)
    made = connect(start=True).client.create_recurring_run(document, _settings(options), parameters=parameters)
    if output == "json":
        print_json(made)
    else:
        click.echo(f"Made {made['display_name']} ({made['recurring_run_id']}); next at {made.get('next_run_at') or 'no time'}.")


def _trigger(options: dict[str, Any]) -> dict[str, Any]:
    limits = {f"{name}_time": options[name] for name in ("start", "end") if options[name]}
    return (
        {"cron_schedule": {"cron": options["cron"], **limits}}
        if options["cron"]
        else {"periodic_schedule": {"interval_second": str(options["every"]), **limits}}
    )


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "display_name": options["name"],
        "trigger": _trigger(options),
        "max_concurrency": str(options["at_once"]),
        "no_catchup": options["no_catchup"],
        "mode": "DISABLE" if options["disabled"] else "ENABLE",
        "tags": dict(options["tags"]),
    }


@command.command("update")
@click.argument("schedule")
@click.option("--name", help="What people call it.")
@click.option("--cron", help="When, as for create.")
@click.option("--every", type=TimeSpan(), help="When: every so often, such as 30m, 6h or 1d.")
@click.option("--start", metavar="TIME", help="Not before this (RFC 3339); with --cron or --every.")
@click.option("--end", metavar="TIME", help="Not after this (RFC 3339); with --cron or --every.")
@click.option("--at-once", type=click.IntRange(1, 10), help="At most so many runs at once.")
@click.option("--tag", "tags", multiple=True, type=Tag(), metavar="KEY=VALUE", help="Tags of its runs, in place of those before.")
@click.option("--catchup/--no-catchup", default=None, help="Make up for each moment that was missed, or for one at most.")
@click.option("--file", type=click.Path(path_type=Path), help="Run this pipeline from now on; a file as for `kedge run`.")
@click.option("--pipeline", metavar="NAME", help="Which pipeline of --file, when it defines several.")
@click.option("-p", "--param", "texts", multiple=True, metavar="NAME=VALUE", help="Another argument; may be repeated.")
@output_option
def update(
    *, schedule: str, file: Path | None, pipeline: str | None, texts: tuple[str, ...], output: str, **options: Any
) -> None:
    """Change a schedule in place: what is given. A new time counts from now; runs that it has started go on.

    Arguments that are not given stay, also with another pipeline that has them.
    """
    if options["cron"] and options["every"]:
        raise click.UsageError("Say when it shall run: with either --cron or --every.")
    timed = bool(options["cron"] or options["every"])
    if not timed and (options["start"] or options["end"]):
        raise click.UsageError("--start and --end belong to a time: give --cron or --every with them.")
    changes: dict[str, Any] = {"display_name": options["name"], "trigger": _trigger(options) if timed else None}
    changes["max_concurrency"] = None if options["at_once"] is None else str(options["at_once"])
    changes["no_catchup"] = None if options["catchup"] is None else not options["catchup"]
    changes["tags"] = dict(options["tags"]) or None
    changes = {name: value for name, value in changes.items() if value is not None}
    if pipeline and file is None:
        raise click.UsageError("--pipeline chooses one of a file's pipelines: give --file with it.")
    if not changes and file is None and not texts:
        raise click.UsageError("Say what shall change, such as --cron, --at-once, --file or -p.")
    document = load(file, pipeline=pipeline, submitted=True) if file is not None else None
    client = connect().client
    found = client.recurring_run(schedule)
    if document is not None:
        changes["pipeline_spec"] = document.json()
    if document is not None or texts:
        given: dict[str, Any] = found.get("runtime_config") or {}
        declared = document or stored(client, found)
        changes["runtime_config"] = {**given, "parameters": read_parameters(declared.pipeline, texts, given.get("parameters"))}
    made = client.update_recurring_run(str(found["recurring_run_id"]), changes)
    if output == "json":
        print_json(made)
    else:
        click.echo(f"Changed {made['display_name']}; next at {made.get('next_run_at') or 'no time'}.")


@command.command("enable")
@click.argument("schedule")
def enable(*, schedule: str) -> None:
    """Let a schedule fire."""
    _enable(schedule, enabled=True)


@command.command("disable")
@click.argument("schedule")
def disable(*, schedule: str) -> None:
    """Keep a schedule from firing. Runs that it has started go on."""
    _enable(schedule, enabled=False)


def _enable(schedule: str, *, enabled: bool) -> None:
    client = connect().client
    found = client.recurring_run(schedule)
    client.enable_recurring_run(str(found["recurring_run_id"]), enabled=enabled)
    click.echo(f"{'Enabled' if enabled else 'Disabled'} {found.get('display_name') or schedule}.")


@command.command("delete")
@click.argument("schedules", nargs=-1, required=True)
def delete(*, schedules: tuple[str, ...]) -> None:
    """Forget schedules. Their runs stay."""
    client = connect().client
    for schedule in schedules:
        found = client.recurring_run(schedule)
        client.delete_recurring_run(str(found["recurring_run_id"]))
        click.echo(f"Deleted {found.get('display_name') or schedule}.")


def _when(schedule: dict[str, Any]) -> str:
    trigger: dict[str, Any] = schedule.get("trigger") or {}
    if cron := trigger.get("cron_schedule"):
        return str(cron.get("cron", ""))
    seconds = int((trigger.get("periodic_schedule") or {}).get("interval_second") or 0)
    for unit, length in reversed(_UNITS.items()):
        if seconds and seconds % length == 0:
            return f"every {seconds // length}{unit}"
    return ""
