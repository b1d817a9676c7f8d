"""What the documentation's site has beside the pages in ``docs/``: references, made of the code when the site is built.

mkdocs calls the functions ``on_…``. The commands are read from click, the REST API from its OpenAPI document, and Python's names
from their docstrings (by mkdocstrings, which is only told the names here).
"""

import asyncio
import importlib
import inspect
import json
import re
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from itertools import cycle
from pathlib import Path
from typing import Any

import click
import msgspec
import site_messages
from mkdocs.structure.files import File  # pyright: ignore[reportMissingImports]  # in the site's environment alone

from kedge import __version__
from kedge.cli.main import cli
from kedge.pipelines import openapi, rest
from kedge.testing.runs import World, hub

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
EXIT = (
    "Exit status: 0 done; 1 it failed, and standard error says what, where, why and how to fix it; "
    "2 the command line is wrong; 130 interrupted."
)
# The modules of `kedge.testing` that tests of users take, each with its public names.
TESTING = {"host": ["running_host", "RunningHost"], "cluster": ["running_hub"], "clock": ["FakeClock", "FakeIds"]}


# What is sent in examples, by operation.
_STORED = {"pipeline_version_reference": {"pipeline_id": "PIPELINE_ID"}}
_FILE = {"package_url": {"pipeline_url": "https://example.com/pipeline.yaml"}}
_RUN: Json = {"display_name": "mine", **_STORED, "runtime_config": {"parameters": {"text": "ahoy"}}}
_CRON: Json = {"trigger": {"cron_schedule": {"cron": "0 0 2 * * *"}}}
BODIES: Json = {
    "POST /runs": _RUN,
    "POST /runs:validate": _RUN,
    "POST /runs/{run_id}:resume": _STORED,
    "POST /runs/{run_id}:tag": {"tags": {"stage": "prod", "draft": None}},
    "POST /pipelines": {"display_name": "greeting"},
    "POST /pipelines/create": {"pipeline": {"display_name": "greeting"}, "pipeline_version": _FILE},
    "PATCH /pipelines/{pipeline_id}": {"description": "says hello"},
    "POST /pipelines/{pipeline_id}/versions": {"display_name": "second", **_FILE},
    "PATCH /pipelines/{pipeline_id}/versions/{pipeline_version_id}": {"description": "louder"},
    "POST /experiments": {"display_name": "tuning"},
    "POST /recurringruns": {"display_name": "nightly", **_STORED, **_CRON, "mode": "ENABLE", "max_concurrency": "1"},
    "PATCH /recurringruns/{recurring_run_id}": _CRON,
}


# ---- what mkdocs calls


def on_config(config: Any) -> Any:
    """Put the pages' names where the navigation has a pattern."""
    told = {name for name in _names(config["nav"]) if "*" not in name}
    config["nav"] = [_expanded(entry, told) for entry in config["nav"]]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made."""
    made = {
        "reference/cli.md": commands(),
        "reference/rest.md": operations(asyncio.run(described())),
        "reference/python.md": python("kedge", "Python"),
        "reference/dsl.md": python("kedge.dsl"),
        "reference/kubernetes.md": python("kedge.dsl.kubernetes"),
        "reference/testing.md": testing(),
        "reference/messages.md": site_messages.page(),
    }
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Say below a block of code that the tests do not run it, and why; and set lists and tables apart."""
    for block in not_run().get(f"docs/{page.file.src_uri}", ()):
        end = markdown.index("\n```\n", markdown.index(block["starts"])) + len("\n```\n")
        markdown = f"{markdown[:end]}\n*The tests do not run this: {block['why']}.*\n{markdown[end:]}"
    return _apart(markdown)


def on_post_page(output: str, **_: Any) -> str:
    """Give the search a name, which the theme leaves without one."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"')


def _apart(markdown: str) -> str:
    """An empty line before each list and table, which other readers of Markdown do not ask for."""
    made: list[str] = []
    inside = False
    for line in markdown.splitlines():
        before = made[-1] if made else ""
        begins = any(line.startswith(sign) and not before.startswith((sign, "  ")) for sign in ("- ", "|"))
        if begins and before.strip() and not inside:
            made.append("")
        made.append(line)
        inside ^= line.startswith("```")
    return "\n".join([*made, ""])


def not_run() -> dict[str, list[Json]]:
    """The blocks of ``docs/not_run.toml`` by page."""
    found: dict[str, list[Json]] = {}
    for block in tomllib.loads((DOCS / "not_run.toml").read_text())["block"]:
        found.setdefault(block["page"], []).append(block)
    return found


def _names(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for inner in entry.values() if isinstance(entry, dict) else entry:
            yield from _names(inner)


def _expanded(entry: Any, told: set[str]) -> Any:
    if isinstance(entry, dict):
        return {name: _expanded(inner, told) for name, inner in entry.items()}
    if isinstance(entry, str):
        return entry
    pages = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
    found: list[Any] = []
    for each in entry:
        if isinstance(each, str) and "*" in each:
            found += [page for page in pages if fnmatch(page, each) and page.count("/") == each.count("/") and page not in told]
        else:
            found.append(_expanded(each, told))
    return found


# ---- commands


def commands() -> str:
    """Every command with its arguments and options."""
    ctx = click.Context(cli, info_name="kedge")
    lines = ["# Commands", "", str(cli.help), "", str(cli.epilog), "", EXIT, ""]
    for name in cli.list_commands(ctx):
        command = cli.get_command(ctx, name)
        if command is not None:
            lines += _command(command, click.Context(command, info_name=name, parent=ctx), 2)
    return "\n".join(lines)


def _command(command: click.Command, ctx: click.Context, level: int) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(ctx))
    yield from (f"{'#' * level} {ctx.command_path}", "", "```text", f"{ctx.command_path} {usage}", "```", "")
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        asis = paragraph.removeprefix("\b\n")  # click's sign for lines that stay as they are
        yield from (_plain(paragraph), "") if asis == paragraph else ("```text", asis, "```", "")
    options = [
        record for param in command.get_params(ctx) if (record := param.get_help_record(ctx)) and "--help" not in record[0]
    ]
    if options:
        yield from _table(("option", "what"), ((f"`{name}`", _plain(what)) for name, what in options))
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            if inner is not None:
                yield from _command(inner, click.Context(inner, info_name=name, parent=ctx), level + 1)


def _plain(text: str) -> str:
    """A text of click's, in which only backticks mean something."""
    parts = text.split("`")
    return "`".join(
        part if inside else re.sub(r"([\\\[\]<>*_#])", r"\\\1", part) for part, inside in zip(parts, cycle((False, True)))
    )


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = list(heads)
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '&#124;').replace(chr(10), ' ') for cell in row)} |"
    yield ""


# ---- REST


async def described() -> Json:
    """The OpenAPI document that a host serves."""
    with tempfile.TemporaryDirectory() as folder:
        async with hub(World.new(Path(folder) / "world")) as life:
            served = rest.operations(life.feature._endpoints, multi_user=False)  # noqa: SLF001  # the table that the routes are made of
            for one in served:
                if one.body is not None:  # an example that is no body, or none, fails the build
                    msgspec.convert(BODIES[f"{one.method} {one.path}"], one.body)
            return openapi.document(served, rest.PREFIX, __version__)


def operations(document: Json) -> str:
    """Every operation and every shape of the document."""
    lines = ["# REST", "", f"Of Kedge {document['info']['version']}, made of the OpenAPI document that a host serves at"]
    lines += [f"`{rest.PREFIX}/openapi.json`. Paths go on from `{rest.PREFIX}`, unless they begin with `/apis`."]
    lines += ["What holds for all of it, what is behind it, and what `$API` and `$TOKEN` are: [the REST API](../rest.md).", ""]
    lines += ["## Errors", "", f"Any operation may be answered with one of these, each {_kind({'$ref': '/Error'})}.", ""]
    refusals = next(iter(next(iter(document["paths"].values())).values()))["responses"]
    lines += _table(("status", "why"), ((f"`{code}`", told["description"]) for code, told in refusals.items() if code != "200"))
    parts: dict[str, list[tuple[str, str, Json]]] = {}
    for path, methods in document["paths"].items():
        words = [word for word in path.replace(":", "/").split("/") if word]
        part = words[2] if path.startswith(rest.PREFIX) else "/".join(words[1:3])
        parts.setdefault(part, []).extend((method, path, one) for method, one in methods.items())
    for part, found in parts.items():
        lines += [f"## {part}", ""]
        for method, path, one in found:
            lines += _operation(method, path, one)
    lines += ["## Shapes", ""]
    for name, schema in document["components"]["schemas"].items():
        lines += _shape(name, schema)
    return "\n".join(lines)


def _operation(method: str, path: str, one: Json) -> Iterator[str]:
    yield from (f"### `{method.upper()} {path.removeprefix(rest.PREFIX)}`", "", f"{one['summary']}.", "")
    if parameters := one.get("parameters"):
        rows = ((f"`{each['name']}`", each["in"], _kind(each["schema"]), _needed(each)) for each in parameters)
        yield from _table(("parameter", "in", "type", "what"), rows)
    if body := one.get("requestBody"):
        media, content = next(iter(body["content"].items()))
        yield from (f"Body: {_kind(content['schema'])}, as `{media}`.", "")
    kinds = one["responses"]["200"]["content"].items()
    answers = [(_kind(content["schema"]) + f", as `{media}`" if content else f"`{media}`") for media, content in kinds]
    yield f"Answer: {'; or '.join(answers)}." + (" Needs no token." if one.get("security") == [] else "")
    yield from ("", "```bash", _request(method, path, one), "```", "")


def _request(method: str, path: str, one: Json) -> str:
    """An example, with what is required."""
    place = path.removeprefix(rest.PREFIX) if path.startswith(rest.PREFIX) else f"/..{path.removeprefix('/apis')}"
    words = ["curl", *(["--request", method.upper()] if method != "get" else [])]
    if one.get("security") != []:
        words += ["--header", '"Authorization: Bearer $TOKEN"']
    if body := one.get("requestBody"):
        told = json.dumps(BODIES.get(f"{method.upper()} {place}"))
        words += ["--json", f"'{told}'"] if "application/json" in body["content"] else ["--form", "uploadfile=@pipeline.yaml"]
    query = [each["name"] for each in one.get("parameters", ()) if each["in"] == "query" and each.get("required")]
    asked = "&".join(f"{name}={'PIPELINE_ID' if name == 'pipelineid' else name.upper()}" for name in query)
    place = re.sub(r"{(\w+)}", lambda found: found[1].upper(), place)
    return " ".join([*words, f'"$API{place}{"?" * bool(asked)}{asked}"'])


def _needed(parameter: Json) -> str:
    required = "Required. " if parameter.get("required") and parameter["in"] == "query" else ""
    return required + str(parameter.get("description", ""))


def _kind(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if some := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_kind(each) for each in some)
    kind = schema.get("type", "any value")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"by name: {_kind(schema['additionalProperties'])}"
    return " or ".join(kind) if isinstance(kind, list) else f"{kind} ({schema['format']})" if "format" in schema else str(kind)


def _shape(name: str, schema: Json) -> Iterator[str]:
    yield from (f"### {name}", "")
    if "description" in schema:
        yield from (schema["description"], "")
    if properties := schema.get("properties"):
        told = {field: "Always there. " * (field in schema.get("required", ())) for field in properties}
        rows = ((f"`{field}`", _kind(each), told[field] + each.get("description", "")) for field, each in properties.items())
        yield from _table(("field", "type", "what"), rows)
    else:
        yield from (_kind(schema).capitalize() if "$ref" not in schema else _kind(schema), "")


# ---- Python


def python(module: str, title: str = "") -> str:
    """The public names of a module."""
    found = importlib.import_module(module)
    names = [name for name in found.__all__ if name not in {"__version__", "dsl"}]
    lines = [f"# {title or module}", "", *_described(found.__doc__ or ""), ""]
    constants = [name for name in names if isinstance(getattr(found, name), str)]
    for name in names:
        if name not in constants:
            lines += [f"::: {module}.{name}", ""]
    if constants:
        lines += ["## Placeholders", "", "Texts that stand for what only the running step knows.", ""]
        lines += _table(("name", "stands as"), ((f"`{name}`", f"`{getattr(found, name)}`") for name in constants))
    return "\n".join(lines)


def testing() -> str:
    """The parts of the test kit that users' tests need."""
    found = importlib.import_module("kedge.testing")
    lines = ["# kedge.testing", "", *_described(found.__doc__ or ""), ""]
    for module, names in TESTING.items():
        for name in names:
            lines += [f"::: kedge.testing.{module}.{name}", ""]
    return "\n".join(lines)


def _described(text: str) -> Iterator[str]:
    """A module's docstring; what is indented is code."""
    inside = False
    for line in text.splitlines():
        if line.startswith("    ") != inside and line.strip():
            inside = not inside
            yield from ("", "```text") if inside else ("```", "")
        yield line.removeprefix("    ") if inside else line
    if inside:
        yield "```"
