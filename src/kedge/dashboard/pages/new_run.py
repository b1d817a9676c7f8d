"""The form that starts a run: of a stored version, or of a run's pipeline and arguments."""

from typing import Any

from starlette.responses import Response

from kedge.dashboard import arguments
from kedge.dashboard.arguments import Input
from kedge.dashboard.page import Page, get, post
from kedge.dashboard.starting import Source, as_tags, chosen_experiment, experiments, of_run, stored, tags_as_typed, which
from kedge.errors import ApiError, BadRequest, Cause

Json = dict[str, Any]
NAMED = (
    *("display_name", "description", "tags", "experiment_id", "experiment_name"),
    *("namespace", "service_account", "pipeline_root"),
)
"""What a form asks for besides the inputs."""
_FIELDS = {"runtime_config.pipeline_root": "pipeline_root", "interval_second": "every"}


async def new(page: Page) -> Response:
    """``GET /runs/new``: ``?pipeline_id=&version_id=``, or ``?clone=RUN_ID``; which pipeline, where neither is said."""
    if not page.query("pipeline_id") and not page.query("clone"):
        return await which(page, schedule=False)
    source, run = await _source(page)
    given = None if run is None else (run.get("runtime_config") or {}).get("parameters") or {}
    fields = arguments.inputs(source.spec, given)
    asked: Json = dict.fromkeys(NAMED, "")
    if run is None:
        asked["display_name"] = source.name
    else:
        asked |= {name: run.get(name, "") for name in ("description", "experiment_id", "service_account")}
        asked["tags"] = tags_as_typed(run.get("tags"))
        asked["display_name"] = f"Clone of {run.get('display_name') or run['run_id']}"
        asked["pipeline_root"] = (run.get("runtime_config") or {}).get("pipeline_root", "")
    return await _form(page, source, fields, asked)


async def start(page: Page) -> Response:
    """``POST /runs/new``: start it, or only ask whether it could be. What is refused stays in the form.

    A module that asks while somebody types is answered with what is wrong, by the names of fields.
    """
    source, _ = await _source(page)
    form = await page.form()
    fields = arguments.typed(arguments.inputs(source.spec), form)
    asked = {name: form.text(name) for name in NAMED}
    asked["fresh"] = form.text("fresh")
    query = {"cache": "false"} if asked["fresh"] else {}
    body, causes = await judged(page, source, fields, asked)
    if form.text("do") == "verdict":
        return page.json({"faults": verdict(fields, causes)})
    if not causes and not any(each.wrong for each in fields):
        if form.text("do") == "check":
            return await _form(page, source, fields, asked, passed="It can be started like this.")
        try:
            body["experiment_id"] = await chosen_experiment(page, form)
            run = await page.api.send("POST", "/runs", body, query=query)
            return page.go(f"/runs/{run['run_id']}", "Started.")
        except ApiError as error:
            causes = list(error.causes) or [Cause("", str(error))]
    return await _form(page, source, fields, asked, causes=causes)


async def judged(page: Page, source: Source, fields: list[Input], asked: Json) -> tuple[Json, list[Cause]]:
    """The body of a request to run something, and why the API would refuse it."""
    try:
        tags, causes = as_tags(asked["tags"]), list[Cause]()
    except BadRequest as error:
        tags, causes = {}, [Cause("tags", str(error))]
    body = _request(source, fields, asked) | {"tags": tags}
    return body, causes + await _refused(page, body)


def verdict(fields: list[Input], causes: list[Cause]) -> Json:
    """What is wrong, by the names of the form's fields."""
    others = arguments.blame(fields, causes)
    found = {arguments.VALUE + each.name: "; ".join(each.wrong) for each in fields if each.wrong}
    return {field_of(cause): cause.message for cause in others if cause.field} | found


def field_of(cause: Cause) -> str:
    """The field of a form in which something is that the API finds at fault."""
    return "tags" if cause.field.startswith("tags.") else _FIELDS.get(cause.field, cause.field)


def _request(source: Source, fields: list[Input], asked: Json) -> Json:
    config = {"parameters": arguments.arguments(fields), "pipeline_root": asked["pipeline_root"]}
    named = {name: asked[name] for name in ("display_name", "description", "service_account")}
    named |= {"namespace": asked["namespace"].strip()} if asked["namespace"].strip() else {}
    return {**named, "experiment_id": "" if asked["experiment_name"] else asked["experiment_id"], "runtime_config": config} | (
        source.reference
    )


async def _refused(page: Page, body: Json) -> list[Cause]:
    """Why a run could not be started, by field."""
    try:
        await page.api.send("POST", "/runs:validate", body)
    except ApiError as error:
        return list(error.causes) or [Cause("", str(error))]
    return []


async def _source(page: Page) -> tuple[Source, Json | None]:
    """What is run; and the run that is cloned, if it is one."""
    if run_id := page.query("clone"):
        run = await page.api.get(f"/runs/{run_id}")
        return await of_run(page, run), run
    return await stored(page, page.query("pipeline_id"), page.query("version_id")), None


async def _form(
    page: Page, source: Source, fields: list[Input], asked: Json, *, causes: list[Cause] | None = None, passed: str = ""
) -> Response:
    others = arguments.blame(fields, causes or [])
    faults = {field_of(cause): cause.message for cause in others if cause.field}
    return page.render(
        "run_new.html",
        code=400 if causes or any(each.wrong for each in fields) else 200,
        source=source,
        fields=fields,
        asked={"fresh": "", **asked},
        experiments=await experiments(page),
        faults={name: said for name, said in faults.items() if name in NAMED},
        others=[cause.message for cause in others if field_of(cause) not in NAMED],
        wrong=bool(causes) or any(each.wrong for each in fields),
        passed=passed,
        versions=await _versions(page, source),
        cloned=page.query("clone"),
    )


async def _versions(page: Page, source: Source) -> list[Json]:
    if not source.pipeline:
        return []
    found = await page.api.get(f"/pipelines/{source.pipeline['pipeline_id']}/versions", page_size=100)
    return [{key: each[key] for key in ("pipeline_version_id", "display_name")} for each in found.get("pipeline_versions", [])]


ROUTES = (get("/runs/new", new), post("/runs/new", start))
