"""What may be done with a run: cancel, retry, resume, archive, restore, delete. A refusal is said on the page it came from."""

from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response

from kedge.dashboard.page import Form, Page, get, post
from kedge.dashboard.pages.run import spec_of, whole, why_not
from kedge.dashboard.rendering import OVER
from kedge.errors import ApiError, BadRequest, Cause
from kedge.kube.yaml import read_all, write

_MOST_NAMED = 8
_MOST_EDITED = 100_000  # characters of a pipeline that is shown to be edited; one that is longer is sent as a file
_MOST_LISTED = 200
Json = dict[str, Any]


def _place(page: Page) -> str:
    """The run's path, in the REST API and among the pages."""
    return f"/runs/{page.path['run_id']}"


def _back(page: Page) -> str:
    """The run's own page, in the view from which something was done."""
    before = urlsplit(page.request.headers.get("referer", ""))
    return f"{_place(page)}?{before.query}" if before.path == _place(page) and before.query else _place(page)


async def _done(page: Page, work: Awaitable[Any], said: str) -> Response:
    """Lead back to the run's page, or show it with the reason why what was asked for is refused."""
    try:
        await work
    except ApiError as error:
        return await whole(page.at(_back(page)), refused=str(error), code=error.code)
    return page.go(_back(page), said)


async def cancel(page: Page) -> Response:
    """``POST /runs/{run_id}/cancel``."""
    return await _done(page, page.api.send("POST", _place(page) + ":terminate"), "Cancelling: its steps are told to stop.")


async def retry(page: Page) -> Response:
    """``POST /runs/{run_id}/retry``."""
    return await _done(page, page.api.send("POST", _place(page) + ":retry"), "Going on: steps that succeeded are kept.")


async def archive(page: Page) -> Response:
    """``POST /runs/{run_id}/archive``."""
    return await _done(page, page.api.send("POST", _place(page) + ":archive"), "Archived.")


async def unarchive(page: Page) -> Response:
    """``POST /runs/{run_id}/unarchive``."""
    return await _done(page, page.api.send("POST", _place(page) + ":unarchive"), "Restored.")


# ---- going on with a changed pipeline


async def resuming(page: Page) -> Response:
    """``GET /runs/{run_id}/resume``: the pipeline, to be changed."""
    return await _resuming(page)


async def _resuming(page: Page, text: str | None = None, error: ApiError | None = None) -> Response:
    shown = await page.api.get(_place(page))
    if text is None:
        text = write(*await spec_of(page, shown))
    faults = _faults(error) if error is not None else []
    why = why_not(shown).get("resume", "")
    code = error.code if error is not None else 200
    room = text if len(text) <= _MOST_EDITED else ""
    return page.render("run_resume.html", code=code, run=shown, text=room, faults=faults, why=why, large=len(text) > _MOST_EDITED)


def _faults(error: ApiError) -> list[Cause]:
    return list(error.causes) or [Cause("", str(error))]


async def resume(page: Page) -> Response:
    """``POST /runs/{run_id}/resume``: go on with a changed pipeline, as it was typed or from a file."""
    form = await page.form()
    text = await _typed(form)
    try:
        plan = await page.api.send("POST", _place(page) + ":resume", {"pipeline_spec": _spec(text)})
    except ApiError as error:
        return await _resuming(page, text, error)
    kept, again, dropped = (len(plan.get(name) or ()) for name in ("kept", "again", "dropped"))
    return page.go(_place(page), f"Going on with the changed pipeline: {kept} tasks kept, {again} run again, {dropped} dropped.")


async def _typed(form: Form) -> str:
    if form.has_file("file"):
        return (await form.file("file").read()).decode(errors="replace")
    return form.text("text").replace("\r\n", "\n")


def _spec(text: str) -> Json:
    documents = read_all(text)
    if not documents or not all(isinstance(each, dict) for each in documents) or len(documents) > 2:
        raise BadRequest("pipeline: must be a compiled pipeline, YAML or JSON. `kedge compile` makes one of a program.")
    return documents[0] if len(documents) == 1 else {"pipeline_spec": documents[0], "platform_spec": documents[1]}


# ---- deleting


async def deleting(page: Page) -> Response:
    """``GET /runs/{run_id}/delete``: asks first, and says what goes."""
    return await _deleting(page)


async def _deleting(page: Page, refused: str = "", code: int = 200) -> Response:
    shown = await page.api.get(_place(page))
    made = await page.api.get("/artifacts", run_id=page.path["run_id"], page_size=_MOST_LISTED)
    return page.render("run_delete.html", code=code, run=shown, made=made, over=shown.get("state") in OVER, refused=refused)


async def delete(page: Page) -> Response:
    """``POST /runs/{run_id}/delete``: with its artifacts, where they are not to be kept."""
    form = await page.form()
    query = {"keep_artifacts": "true"} if form.text("keep_artifacts") else {}
    try:
        done = await page.api.send("DELETE", _place(page), query=query)
    except ApiError as error:
        return await _deleting(page, str(error), error.code)
    return page.go("/runs", f"Deleted.{_kept(done or {})}")


def _kept(done: Mapping[str, Any]) -> str:
    if not done.get("kept_count"):
        return ""
    named = ", ".join(f"{each.get('name') or each.get('uri')} ({each.get('reason')})" for each in done["kept"][:_MOST_NAMED])
    return f" Of its artifacts {done['kept_count']} are kept: {named}{'…' if done['kept_count'] > _MOST_NAMED else ''}"


ROUTES = (
    post("/runs/{run_id}/cancel", cancel),
    post("/runs/{run_id}/retry", retry),
    post("/runs/{run_id}/archive", archive),
    post("/runs/{run_id}/unarchive", unarchive),
    get("/runs/{run_id}/resume", resuming),
    post("/runs/{run_id}/resume", resume),
    get("/runs/{run_id}/delete", deleting),
    post("/runs/{run_id}/delete", delete),
)
