"""``kedge artifacts``: list, show, get, and where one comes from and went."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from kedge.cli.options import output_option, print_json, print_table, size
from kedge.cli.session import connect
from kedge.errors import StateError
from kedge.pipelines.client import Client
from kedge.pipelines.connection import Json
from kedge.pipelines.lineage import Lineage, trace


@click.group("artifacts")
def command() -> None:
    """List, show and get artifacts, and tell their lineage."""


@command.command("list")
@click.option("--run", "run", metavar="RUN", help="Those that this run made (its id or name), all of them.")
@click.option("--type", "kind", metavar="TYPE", help="Of this type alone, such as Model or system.Model.")
@click.option("-n", "--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="The newest so many.")
@output_option
def list_artifacts(*, run: str | None, kind: str | None, limit: int, output: str) -> None:
    """List artifacts, newest first."""
    client = connect().client
    title = kind if kind is None or "." in kind else f"system.{kind}"
    if run is not None:
        found = client.artifacts(str(client.get(run)["run_id"]))
        found = [each for each in found if title is None or each.get("schema_title") == title]
    else:
        predicate = {"operation": "EQUALS", "key": "type", "string_value": title}
        found = client.list_artifacts(page_size=limit, filter=_filter([predicate] if title else []))
    if output == "json":
        print_json(found)
        return
    rows = [
        (
            a["artifact_id"],
            str(a.get("schema_title", "")).removeprefix("system."),
            _size(a),
            a.get("task_id", ""),
            a.get("uri", ""),
        )
        for a in found
    ]
    print_table(("ARTIFACT", "TYPE", "SIZE", "TASK", "ADDRESS"), rows)


@command.command("show")
@click.argument("artifact")
@output_option
def show(*, artifact: str, output: str) -> None:
    """Show an artifact: what it is, where it lies, who made it, and its metadata."""
    client = connect().client
    origin = client.artifact_origin(artifact)
    found: Json = {**client.artifact(artifact), "files": client.artifact_files(artifact), "origin": origin}
    if output == "json":
        print_json(found)
        return
    for heading, key in (("Artifact", "artifact_id"), ("Type", "schema_title"), ("Address", "uri"), ("Digest", "digest")):
        if found.get(key):
            click.echo(f"{heading + ':':<10}{found[key]}")
    click.echo(f"{'Size:':<10}{_size(found)}")
    maker = f"task {found.get('task_id')} of run {found['run_id']}" if found.get("run_id") else "a run that was deleted"
    click.echo(f"{'Made by:':<10}{maker}, {found.get('created_at', '')}")
    if pipeline := _pipeline(origin):
        click.echo(f"{'Pipeline:':<10}{pipeline}")
    if code := _code(origin):
        click.echo(f"{'Code:':<10}{code}")
    if packages := (origin.get("code") or {}).get("packages"):
        click.echo(f"{'Packages:':<10}{', '.join(packages)}")
    for name, value in (found.get("metadata") or {}).items():
        click.echo(f"  {name}: {msgspec.json.encode(value).decode()}")
    if found["files"]:
        print_table(("FILE", "SIZE"), [(each["path"], each.get("size", "")) for each in found["files"]])


@command.command("get")
@click.argument("artifact")
@click.argument("target", type=click.Path(path_type=Path), required=False)
@click.option("--force", is_flag=True, help="Write over what is there.")
def get(*, artifact: str, target: Path | None, force: bool) -> None:
    """Copy an artifact to TARGET, a file or, where the artifact is a folder, a folder; by default under its own name here."""
    client = connect().client
    found = client.artifact(artifact)
    target = target or Path(str(found["uri"]).rstrip("/").rpartition("/")[2] or artifact)
    if target.exists() and not force:
        raise StateError(f"{target} is there already. Name another place, or write over it with --force.")
    files = client.artifact_files(artifact)
    if not files:
        client.save_artifact(artifact, target)
    for each in files:
        place = target / each["path"]
        if not place.resolve().is_relative_to(target.resolve()):
            raise StateError(
                f"file {each['path']!r} of artifact {artifact} would lie outside of {target}. Nothing more was written."
            )
        client.save_artifact(artifact, place, each["path"])
    click.echo(f"Wrote {target}" + (f" ({len(files)} files)." if files else "."))


@command.command("lineage")
@click.argument("artifact")
@click.option("--up", "direction", flag_value="up", help="Only what it was made of.")
@click.option("--down", "direction", flag_value="down", help="Only what was made of it.")
@output_option
def lineage(*, artifact: str, direction: str | None, output: str) -> None:
    """Show what an artifact was made of, by which tasks of which runs, and what was made of it."""
    client = connect().client
    directions = ("up",) if direction == "up" else ("down",) if direction == "down" else ("up", "down")
    found = trace(client, artifact, directions=directions)
    if output == "json":
        print_json(found.to_json())
        return
    for one in directions:
        click.echo(click.style("Made of" if one == "up" else "Used for", bold=True))
        if not _draw(client, found, artifact, up=one == "up", indent="  ", shown=set()):
            click.echo("  nothing that is known here")
    if not found.whole:
        click.echo("… and more.")


def _draw(client: Client, found: Lineage, artifact: str, *, up: bool, indent: str, shown: set[str]) -> bool:
    """Print the tasks next to an artifact, and what is behind them; False when there is none."""
    any_step = False
    for key, step in found.steps.items():
        near, far = (step.makes, step.reads) if up else (step.reads, step.makes)
        if not any(artifact in ids for ids in near.values()):
            continue
        any_step = True
        click.echo(f"{indent}{step.task or 'the run itself'}  (run {step.run})" + ("  … as above" if key in shown else ""))
        if key in shown:
            continue
        shown.add(key)
        if told := ", ".join(filter(None, (_pipeline(step.origin), _code(step.origin)))):
            click.echo(f"{indent}  by {told}")
        for name, ids in far.items():
            for each in ids:
                body = found.artifacts.get(each) or {}
                click.echo(f"{indent}  {name}: {str(body.get('type', '')).removeprefix('system.')} {each}  {body.get('uri', '')}")
                _draw(client, found, each, up=up, indent=indent + "    ", shown=shown)
    return any_step


def _pipeline(origin: Mapping[str, Any]) -> str:
    """Which version of which pipeline, for people."""
    pipeline = origin.get("pipeline") or {}
    version = pipeline.get("version") or pipeline.get("pipeline_version_id")
    return str(pipeline.get("name", "")) + (f" {version}" if version else f" ({pipeline['digest'][:19]})" if pipeline else "")


def _code(origin: Mapping[str, Any]) -> str:
    """Which code, for people: the function and where it stands, or the image; and the commit."""
    code = origin.get("code") or {}
    if code.get("kind") == "python":
        what = f"{code['function']} at {code['file']}:{code['line']}"
    elif code.get("kind") == "container":
        what = f"image {code['image']}"
    else:
        what = str(code.get("kind", ""))
    checkout = code.get("checkout") or {}
    if not checkout:
        return what
    changed = ", changed since" if checkout.get("dirty") else ""
    return f"{what}, commit {checkout['commit'][:12]}{changed}" + (f" of {checkout['remote']}" if checkout.get("remote") else "")


def _filter(predicates: list[Json]) -> str:
    return msgspec.json.encode({"predicates": predicates}).decode() if predicates else ""


def _size(artifact: Json) -> str:
    return "" if artifact.get("size") is None else size(artifact["size"])
