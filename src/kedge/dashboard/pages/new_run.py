"""The form that starts a run: of a stored version, or of a run's pipeline and arguments."""

from typing import Any

from starlette.responses import Response

from kedge.dashboard import arguments
from kedge.dashboard.arguments import Input
from kedge.dashboard.page import Page, get, post
from kedge.dashboard.starting import Source, chosen_experiment, experiments, of_run, stored
from kedge.errors import BadRequest, Cause, NotFound

Json = dict[str, Any]
NAMED = ("display_name", "description", "experiment_id", "experiment_name", "service_account", "pipeline_root")
_FIELDS = {"runtime_config.pipeline_root": "pipeline_root"}


async def new(page: Page) -> Response:
    """``GET /runs/new``: ``?pipeline_id=&version_id=``, or ``?clone=RUN_ID``; which pipeline, where neither is said."""
    if not page.query("pipeline_id") and not page.query("clone"):
        found = await page.api.get("/pipelines", page_size=200, sort_by="display_name asc")
        return page.render("run_choose.html", pipelines=found.get("pipelines", []), schedule=False)
    source, run = await _source(page)
    given = None if run is None else (run.get("runtime_config") or {}).get("parameters") or {}
    fields = arguments.inputs(source.spec, given)
    asked: Json = dict.fromkeys(NAMED, "")
    if run is None:
        asked["display_name"] = source.name
    else:
        asked |= {name: run.get(name, "") for name in ("description", "experiment_id", "service_account")}
        asked["display_name"] = f"Clone of {run.get('display_name') or run['run_id']}"
        asked["pipeline_root"] = (run.get("runtime_config") or {}).get("pipeline_root", "")
    return await _form(page, source, fields, asked)


async def start(page: Page) -> Response:
    """``POST /runs/new``: start it, or only ask whether it could be. What is refused stays in the form."""
    source, _ = await _source(page)
    form = await page.form()
    fields = arguments.typed(arguments.inputs(source.spec), form)
    asked = {name: form.text(name) for name in NAMED}
    asked["fresh"] = form.text("fresh")
    body = request(source, fields, asked)
    query = {"cache": "false"} if asked["fresh"] else {}
    causes = await refused(page, body)
    if not causes and not any(each.wrong for each in fields):
        if form.text("do") == "check":
            return await _form(page, source, fields, asked, passed="It can be started like this.")
        try:
            body["experiment_id"] = await chosen_experiment(page, form)
            run = await page.api.send("POST", "/runs", body, query=query)
            return page.go(f"/runs/{run['run_id']}", "Started.")
        except (BadRequest, NotFound) as error:
            causes = list(error.causes) or [Cause("", str(error))]
    return await _form(page, source, fields, asked, causes=causes)


def request(source: Source, fields: list[Input], asked: Json) -> Json:
    """The body of a request to run something."""
    config = {"parameters": arguments.arguments(fields), "pipeline_root": asked["pipeline_root"]}
    named = {name: asked[name] for name in ("display_name", "description", "service_account")}
    return {**named, "experiment_id": "" if asked["experiment_name"] else asked["experiment_id"], "runtime_config": config} | (
        source.reference
    )


async def refused(page: Page, body: Json) -> list[Cause]:
    """Why a run could not be started, by field."""
    try:
        await page.api.send("POST", "/runs:validate", body)
    except (BadRequest, NotFound) as error:
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
    faults = {_FIELDS.get(cause.field, cause.field): cause.message for cause in others if cause.field}
    known = {"pipeline_root", "experiment_id", "display_name"}
    return page.render(
        "run_new.html",
        code=400 if causes or any(each.wrong for each in fields) else 200,
        source=source,
        fields=fields,
        asked={"fresh": "", **asked},
        experiments=await experiments(page),
        faults={name: said for name, said in faults.items() if name in known},
        others=[cause.message for cause in others if _FIELDS.get(cause.field, cause.field) not in known],
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
