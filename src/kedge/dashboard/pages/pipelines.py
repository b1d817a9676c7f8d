"""Pipelines: the list with uploads, a pipeline with its versions, and a version before any run."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import PlainTextResponse, Response

from kedge.dashboard.api import filtered
from kedge.dashboard.arguments import inputs
from kedge.dashboard.graphs import Graph, Places, drawn
from kedge.dashboard.named import named
from kedge.dashboard.page import Form, Page, Section, get, post
from kedge.dashboard.pages import new_run
from kedge.dashboard.starting import as_tags, newest, tags_as_typed, unnested
from kedge.display.folding import Folding
from kedge.errors import BadRequest, Conflict, NotFound, TooLarge
from kedge.kube.yaml import line_of, write

_VERSIONS = 50
_LAST = 5
_FIELD_AT_FAULT = re.compile(r"the pipeline: ([^\s:]+): ")
_ABOUT = ("name", "description", "tags", "pipeline_id")
_PIPELINE = "/pipelines/{pipeline_id}"
_VERSION = _PIPELINE + "/versions/{version_id}"
Json = dict[str, Any]


async def pipelines(page: Page) -> Response:
    """``GET /pipelines``."""
    return await _list(page, dict.fromkeys(_ABOUT, ""))


async def _list(page: Page, asked: Json, fault: str = "", field: str = "", code: int = 200) -> Response:
    found, asked_for = await named(page, "/pipelines")
    rows = await asyncio.gather(*(_row(page, each) for each in found.get("pipelines", [])))
    every = await page.api.get("/pipelines", page_size=200, sort_by="display_name asc")
    return page.render(
        "pipelines.html",
        code=code,
        found=found,
        rows=rows,
        **asked_for,
        asked=asked,
        fault=fault,
        field=field,
        every=every.get("pipelines", []),
    )


async def _row(page: Page, pipeline: Json) -> Json:
    versions, runs = await asyncio.gather(
        page.api.get(f"/pipelines/{pipeline['pipeline_id']}/versions", page_size=1),
        page.api.get("/runs", page_size=_LAST, filter=_equals("pipeline_id", pipeline["pipeline_id"])),
    )
    return {
        "pipeline": pipeline,
        "versions": versions.get("total_size", 0),
        "newest": (versions.get("pipeline_versions") or [{}])[0],
        "runs": runs.get("runs", []),
    }


def _equals(key: str, value: str) -> str:
    return filtered([{"key": key, "operation": "EQUALS", "string_value": value}])


async def upload(page: Page) -> Response:
    """``POST /pipelines/upload``: a file, as a new pipeline or as a new version of one."""
    form = await page.form()
    asked = {name: form.text(name).strip() for name in _ABOUT}
    try:
        file = form.file("file")
        tags = json.dumps(as_tags(asked["tags"])) if asked["tags"] else ""
        made = await _sent(page, asked, file, tags)
    except (BadRequest, Conflict, NotFound, TooLarge) as error:
        message = await _placed(str(error), form)
        named = next((field for field in ("tags", "name") if message.startswith(field)), "file")
        return await _list(page, asked, message, "name" if isinstance(error, Conflict) else named, error.code)
    place = f"/pipelines/{made['pipeline_id']}"
    version = f"/versions/{made['pipeline_version_id']}" if "pipeline_version_id" in made else ""
    return page.go(place + version, "Uploaded.")


async def _placed(message: str, form: Form) -> str:
    """A fault of a file with the line that it is about, where it names a field and no line."""
    found = _FIELD_AT_FAULT.match(message)
    file = form.data.get("file")
    if found is None or not isinstance(file, UploadFile):
        return message
    await file.seek(0)
    text = (await file.read()).decode("utf-8", "replace").partition("\n---\n")[0]  # the platform's document may follow
    line = await asyncio.to_thread(line_of, text, found[1])
    return f"{file.filename}, line {line}: {message}" if line else message


async def _sent(page: Page, asked: Json, file: UploadFile, tags: str) -> Json:
    query = {"display_name": asked["name"], "description": asked["description"], "tags": tags}
    path = "/pipelines/upload"
    if asked["pipeline_id"]:
        path, query["pipelineid"] = "/pipelines/upload_version", asked["pipeline_id"]
    return await page.api.upload(path, file.filename or "pipeline", await file.read(), query)


async def pipeline(page: Page) -> Response:
    """``GET /pipelines/{pipeline_id}``."""
    return await _one(page)


async def _one(page: Page, asked: Json | None = None, fault: str = "", code: int = 200) -> Response:
    place = f"/pipelines/{page.path['pipeline_id']}"
    found, versions, runs = await asyncio.gather(
        page.api.get(place),
        page.api.get(f"{place}/versions", page_size=_VERSIONS, page_token=page.query("page_token")),
        page.api.get("/runs", page_size=10, filter=_equals("pipeline_id", page.path["pipeline_id"])),
    )
    last = await newest(page, page.path["pipeline_id"])
    spec = unnested(last["pipeline_spec"]) if last else {}
    graph = await _graph(page, spec, page.request.url.path) if last else None
    return page.render(
        "pipeline.html",
        code=code,
        pipeline=found,
        versions=versions,
        newest=last or {},
        graph=graph,
        fields=inputs(spec),
        runs=runs.get("runs", []),
        all_runs=runs.get("total_size", 0),
        asked=asked or {**found, "tags": tags_as_typed(found.get("tags"))},
        fault=fault,
    )


async def edit(page: Page) -> Response:
    """``POST /pipelines/{pipeline_id}/edit``: its name, description and tags."""
    return await _edited(page, f"/pipelines/{page.path['pipeline_id']}", _one)


async def _edited(page: Page, place: str, again: Callable[[Page, Json, str, int], Awaitable[Response]]) -> Response:
    """Change what people call something; what is refused stays in the form."""
    form = await page.form()
    asked = {name: form.text(name).strip() for name in ("display_name", "description", "tags")}
    try:
        await page.api.send("PATCH", place, {**asked, "tags": as_tags(asked["tags"])})
    except (BadRequest, Conflict) as error:
        return await again(page, asked, str(error), error.code)
    return page.go(place, "Saved.")


async def delete(page: Page) -> Response:
    """``POST /pipelines/{pipeline_id}/delete``: with its versions; its runs stay."""
    await page.api.send("DELETE", f"/pipelines/{page.path['pipeline_id']}", query={"cascade": "true"})
    return page.go("/pipelines", "Deleted, with its versions. Its runs stay.")


async def version(page: Page) -> Response:
    """``GET /pipelines/{pipeline_id}/versions/{version_id}``."""
    return await _version(page)


async def edit_version(page: Page) -> Response:
    """``POST …/versions/{version_id}/edit``: its name, description and tags."""
    return await _edited(page, f"/pipelines/{page.path['pipeline_id']}/versions/{page.path['version_id']}", _version)


async def _version(page: Page, asked: Json | None = None, fault: str = "", code: int = 200) -> Response:
    place = f"/pipelines/{page.path['pipeline_id']}"
    owner, found, runs = await asyncio.gather(
        page.api.get(place),
        page.api.get(f"{place}/versions/{page.path['version_id']}"),
        page.api.get("/runs", page_size=10, filter=_equals("pipeline_version_id", page.path["version_id"])),
    )
    spec = unnested(found["pipeline_spec"])
    return page.render(
        "pipeline_version.html",
        code=code,
        asked=asked or {**found, "tags": tags_as_typed(found.get("tags"))},
        fault=fault,
        pipeline=owner,
        shown=found,
        graph=await _graph(page, spec, page.request.url.path),
        fields=inputs(spec),
        outputs=_outputs(spec),
        text=await asyncio.to_thread(_source, found["pipeline_spec"]),
        runs=runs.get("runs", []),
    )


async def _graph(page: Page, spec: Json, here: str) -> Graph:
    """The graph of a version, folded as the address says."""
    return await drawn(spec, folding=Folding.read(page.query("open"), page.query("fold")), places=Places(here))


def _outputs(spec: Mapping[str, Any]) -> list[tuple[str, str]]:
    declared: Mapping[str, Any] = (spec.get("root") or {}).get("outputDefinitions") or {}
    parameters = [(name, str(each.get("parameterType", ""))) for name, each in (declared.get("parameters") or {}).items()]
    artifacts: Mapping[str, Any] = declared.get("artifacts") or {}
    return parameters + [(name, str((each.get("artifactType") or {}).get("schemaTitle", ""))) for name, each in artifacts.items()]


def _source(documents: Json) -> str:
    """The documents as a file that can be uploaded again."""
    if "pipeline_spec" in documents:
        return write(documents["pipeline_spec"], documents["platform_spec"])
    return write(documents)


async def source(page: Page) -> Response:
    """``GET …/versions/{version_id}/source``: the version as a file."""
    found = await page.api.get(f"/pipelines/{page.path['pipeline_id']}/versions/{page.path['version_id']}")
    text = await asyncio.to_thread(_source, found["pipeline_spec"])
    headers = {"Content-Disposition": 'attachment; filename="pipeline.yaml"', "X-Content-Type-Options": "nosniff"}
    return PlainTextResponse(text, headers=headers)


async def delete_version(page: Page) -> Response:
    """``POST …/versions/{version_id}/delete``."""
    place = f"/pipelines/{page.path['pipeline_id']}"
    await page.api.send("DELETE", f"{place}/versions/{page.path['version_id']}")
    return page.go(place, "The version is deleted. Its runs stay.")


SECTION = Section(
    "Pipelines",
    "/pipelines",
    (
        get("/pipelines", pipelines),
        post("/pipelines/upload", upload),
        get(_PIPELINE, pipeline),
        post(_PIPELINE + "/edit", edit),
        post(_PIPELINE + "/delete", delete),
        get(_VERSION, version),
        get(_VERSION + "/source", source),
        post(_VERSION + "/edit", edit_version),
        post(_VERSION + "/delete", delete_version),
        *new_run.ROUTES,
    ),
)
