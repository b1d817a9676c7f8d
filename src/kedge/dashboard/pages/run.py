"""A run: its head, and its graph, timeline, tasks and pipeline as views of one page."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

from starlette.responses import PlainTextResponse, Response, StreamingResponse

from kedge.dashboard import graphs
from kedge.dashboard.api import rest
from kedge.dashboard.page import Page, get
from kedge.dashboard.pages import run_artifacts
from kedge.dashboard.rendering import OVER
from kedge.display.faces import Faces, above
from kedge.display.folding import Folding
from kedge.display.graph import Bundles
from kedge.display.outline import is_step, outline
from kedge.display.timeline import timeline
from kedge.display.wires import Blueprint, by_source
from kedge.errors import Forbidden, NotFound
from kedge.kube.yaml import write

VIEWS = {"graph": "Graph", "timeline": "Timeline", "tasks": "Tasks", "artifacts": "Artifacts", "spec": "Pipeline"}
"""The views of a run, by their name in an address; the first is shown where none is asked for."""
ZOOMS = (1, 2, 4, 8, 16, 32, 64)
"""How many times wider than a page a timeline may be."""
_ROWS = 150  # of some 15 elements each: a page has less than 3,000
_GATHER = 0.25  # seconds in which changes come together
_GATHER_LARGE = 0.001  # seconds more for each task: what is redrawn is as large
_TICK = 5.0  # seconds after which durations are told anew
Json = dict[str, Any]


async def run(page: Page) -> Response:
    """``GET /runs/{run_id}``: the whole page, in one of its views."""
    return await whole(page)


async def whole(page: Page, *, refused: str = "", code: int = 200) -> Response:
    """The whole page.

    Args:
        page: It.
        refused: Why something that was to be done was not.
        code: HTTP status.
    """
    context = await _head(page)
    view = page.query("view")
    view = view if view in VIEWS else next(iter(VIEWS))
    context |= await _VIEWS[view](page, context["run"])
    return page.render("run.html", code=code, view=view, views=VIEWS, refused=refused, **context)


async def head(page: Page) -> Response:
    """``GET /runs/{run_id}/head``: the part above the views."""
    return page.render("run_head.html", **await _head(page))


async def part(page: Page) -> Response:
    """``GET /runs/{run_id}/part``: a view alone."""
    view = page.query("view")
    if view not in VIEWS:
        raise NotFound(f"view: there is none called {view!r:.80}. There are: {', '.join(VIEWS)}.")
    shown = await page.api.get(_place(page))
    return page.render(f"run_{view}.html", run=shown, view=view, views=VIEWS, **await _VIEWS[view](page, shown))


async def _head(page: Page) -> Json:
    """What the part above the views is made of."""
    shown = await page.api.get(_place(page))
    version = shown.get("pipeline_version_reference") or {}
    pipeline = f"/pipelines/{version.get('pipeline_id')}"
    of = {
        "pipeline": pipeline if version else "",
        "ran": f"{pipeline}/versions/{version.get('pipeline_version_id')}" if version.get("pipeline_version_id") else "",
        "experiment": f"/experiments/{shown['experiment_id']}" if shown.get("experiment_id") else "",
        "schedule": f"/recurringruns/{shown['recurring_run_id']}" if shown.get("recurring_run_id") else "",
    }
    found = await asyncio.gather(*(_if_there(page, path) for path in of.values()))
    over = shown.get("state") in OVER
    return {"run": shown, "fault": _fault(shown), "over": over, "off": why_not(shown), **dict(zip(of, found, strict=True))}


def why_not(shown: Json) -> dict[str, str]:
    """What makes no sense for a run as it is now, by the name of the action, and why."""
    state = str(shown.get("state", ""))
    off: dict[str, str] = {}
    if state in OVER:
        off["cancel"] = "The run is over."
    elif state == "CANCELING":
        off["cancel"] = "It is being cancelled."
    if state not in OVER:
        off["export"] = "A run is exported when it is over."
    if state not in {"FAILED", "CANCELED"}:
        why = "It succeeded: clone it to run it again." if state in OVER else "It is not over yet."
        off |= {"retry": why, "resume": why}
    return off


async def _if_there(page: Page, path: str) -> Json:
    """Something that the run names; empty where it is gone, or not for this person."""
    try:
        return await page.api.get(path) if path else {}
    except (NotFound, Forbidden):
        return {}


def _fault(shown: Json) -> Json:
    """Why a run did not succeed, and the task where it happened."""
    error = shown.get("error") or {}
    details = error.get("details") or [{}]
    return {"message": error.get("message", ""), "task": details[0].get("task", "")}


def _place(page: Page) -> str:
    """The run's path in the REST API."""
    return f"/runs/{page.path['run_id']}"


def _here(page: Page) -> str:
    """The run's own page."""
    return f"/runs/{page.path['run_id']}"


# ---- the views


async def _graph(page: Page, shown: Json) -> Json:
    """The graph; without it where the pipeline is not known any more."""
    answer, documents = await asyncio.gather(page.api.get(_place(page) + "/tasks", view="BASIC"), spec_of(page, shown))
    if not documents:
        return {"graph": None, "folding": Folding()}
    folding = Folding.read(page.query("open"), page.query("fold"))
    places = graphs.Places(_here(page), {"view": "graph"}, f"{_here(page)}/tasks")
    tasks = answer.get("tasks", [])
    graph = await graphs.drawn(
        documents[0], folding=folding, places=places, tasks=tasks, now=page.now(), shown=page.query("task")
    )
    return {"graph": graph, "folding": graph.folding}


async def _tasks(page: Page, shown: Json) -> Json:
    """The tasks as a table that is a tree, with what each takes from which other."""
    answer, documents = await asyncio.gather(page.api.get(_place(page) + "/tasks", view="BASIC"), spec_of(page, shown))
    found = _rows(page, answer.get("tasks", []))
    blueprint = Blueprint(documents[0] if documents else {})
    takes = {str(row.task["id"]): by_source(blueprint.wires(str(row.task["id"]))) for row in found["rows"]}
    return {**found, "takes": takes}


async def _timeline(page: Page, shown: Json) -> Json:
    """When each of them waited and ran."""
    del shown
    tasks = (await page.api.get(_place(page) + "/tasks", view="BASIC")).get("tasks", [])
    found = _rows(page, tasks)
    zoom = max(each for each in ZOOMS if each <= page.number("zoom", 1, most=ZOOMS[-1]))
    return {**found, "timeline": timeline(found["rows"], tasks, page.now(), zoom), "zoom": zoom, "zooms": ZOOMS}


def _rows(page: Page, tasks: list[Json]) -> Json:
    """The rows of tasks that are shown, a page of them."""
    folding = Folding.read(page.query("open"), page.query("fold"))
    rows = outline(tasks, folding)
    number = min(page.number("page", 1, most=10**6), -(-len(rows) // _ROWS) or 1)
    counts = Counter(task["state"] for task in tasks if is_step(task))
    return {
        "rows": rows[(number - 1) * _ROWS : number * _ROWS],
        "counts": counts,
        "folding": folding,
        "number": number,
        "pages": -(-len(rows) // _ROWS),
        "count": len(rows),
        "zoom": 1,
    }


async def _spec(page: Page, shown: Json) -> Json:
    """The pipeline as YAML."""
    return {"text": await _text(page, shown)}


async def _text(page: Page, shown: Json) -> str:
    found = await spec_of(page, shown)
    return await asyncio.to_thread(write, *found) if found else ""


async def spec_of(page: Page, shown: Mapping[str, Any]) -> list[Json]:
    """The documents of a run's pipeline: itself, and what it says of platforms; none where its version was deleted."""
    spec: Json = shown.get("pipeline_spec") or {}
    version = shown.get("pipeline_version_reference") or {}
    if not spec and version.get("pipeline_version_id"):
        path = f"/pipelines/{version.get('pipeline_id')}/versions/{version['pipeline_version_id']}"
        spec = (await _if_there(page, path)).get("pipeline_spec") or {}
    if "pipeline_spec" in spec:
        return [spec["pipeline_spec"], spec["platform_spec"]]
    return [spec] if spec else []


_VIEWS = {"graph": _graph, "timeline": _timeline, "tasks": _tasks, "artifacts": run_artifacts.view, "spec": _spec}


# ---- what changes


async def events(page: Page) -> Response:
    """``GET /runs/{run_id}/events``: that something changed, at most four times a second, until the run is over."""
    shown = await page.api.get(_place(page))  # while there can still be a status code
    documents = await spec_of(page, shown)
    return page.events(_told(page, Bundles(documents[0] if documents else {})))


async def _told(page: Page, bundles: Bundles) -> AsyncIterator[Json]:
    """What changed: what the boxes of tasks say now, and those around them; and the run's state at its end."""
    changed: dict[str, Json] = {}
    over: list[str] = []
    faces, count = Faces(), 0
    wake = asyncio.Event()

    async def follow() -> None:
        try:
            async for each in page.api.changes(_place(page) + "/tasks", watch="true"):
                if "run" in each:
                    over.append(str(each["run"].get("state", "")))
                else:
                    changed[each["id"]] = each
                wake.set()
        finally:
            over.append("")
            wake.set()

    following = asyncio.ensure_future(follow())
    try:
        ended = False
        while not ended:
            waiting = asyncio.ensure_future(wake.wait())
            await asyncio.wait({waiting}, timeout=_TICK)
            waiting.cancel()
            if changed and not over:
                await asyncio.wait({following}, timeout=_GATHER + _GATHER_LARGE * count)
            wake.clear()
            ended = bool(over)  # which may come while what was before it is being told
            some, changed = changed, {}
            faces.take(some.values())
            count = faces.count
            paths = (
                dict.fromkeys(path for task in some for path in (task, *above(task))) if some else dict.fromkeys(faces.running)
            )
            now = page.now()
            told = [(path, faces.of(path, now)) for path in paths if path]
            around = {box.path: box for path in paths for box in bundles.around(path)}
            told += [(path, faces.of_box(box, now)) for path, box in around.items()]
            yield {
                "faces": [(path, face.state, face.detail, face.more) for path, face in told],
                "state": over[0] if ended else "",
            }
    finally:
        following.cancel()


# ----


async def export(page: Page) -> Response:
    """``GET /runs/{run_id}/export``: the run as one file."""
    stack = AsyncExitStack()
    answer = await stack.enter_async_context(page.api.open(_place(page) + ":export"))
    named = answer.headers.get("content-disposition") or f'attachment; filename="{page.path["run_id"]}.tar.gz"'
    return StreamingResponse(
        rest(stack, answer.aiter_bytes()),
        headers={"Content-Disposition": named, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"},
        media_type="application/gzip",
    )


async def source(page: Page) -> Response:
    """``GET /runs/{run_id}/pipeline.yaml``: the pipeline that it runs, as a file.

    Raises:
        NotFound: Its version was deleted.
    """
    text = await _text(page, await page.api.get(_place(page)))
    if not text:
        raise NotFound("the version of the pipeline that this run ran was deleted.")
    headers = {"Content-Disposition": 'attachment; filename="pipeline.yaml"', "X-Content-Type-Options": "nosniff"}
    return PlainTextResponse(text, headers={**headers, "Cache-Control": "no-store"})


ROUTES = (
    get("/runs/{run_id}", run),
    get("/runs/{run_id}/head", head),
    get("/runs/{run_id}/part", part),
    get("/runs/{run_id}/events", events),
    get("/runs/{run_id}/export", export),
    get("/runs/{run_id}/pipeline.yaml", source),
)
