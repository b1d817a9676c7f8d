"""The dashboard put together: its sections, and their routes in the application that serves the host."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive

from kedge.dashboard import choices
from kedge.dashboard.access import Access, Identity
from kedge.dashboard.page import BODY_LIMIT, Page, PageRoute, Section, Shell, link
from kedge.dashboard.pages import (
    artifacts,
    cluster,
    compare,
    home,
    namespaces,
    pipelines,
    run,
    run_changes,
    run_tags,
    runs,
    schedules,
    signing_in,
    task,
)
from kedge.dashboard.rendering import environment
from kedge.dashboard.static_files import StaticFiles
from kedge.errors import ApiError, Forbidden, KedgeError, NotFound, ServerError, TooLarge
from kedge.kube.clock import Clock

_log = logging.getLogger(__name__)

SECTIONS: tuple[Section, ...] = (
    home.SECTION,
    pipelines.SECTION,
    runs.SECTION,
    artifacts.SECTION,
    schedules.SECTION,
    cluster.SECTION,
)
"""In the order of the navigation. A feature adds its pages by one line here."""
PARTS: tuple[Sequence[PageRoute], ...] = (
    namespaces.ROUTES,
    run.ROUTES,
    run_changes.ROUTES,
    run_tags.ROUTES,
    task.ROUTES,
    compare.ROUTES,
    choices.ROUTES,
)
"""Further pages of sections, in files of their own."""
_SMALL = 64 << 10  # bytes of what anybody may send
TOKEN_HEADER = "x-form-token"  # noqa: S105  # the name of a header


def routes(access: Access, clock: Clock, version: str, demo: Callable[[], Mapping[str, Any]]) -> list[BaseRoute]:
    """The routes of the pages; they stand after all others, for the last of them takes every path.

    Args:
        access: Who may look at them.
        clock: For ages.
        version: Kedge's.
        demo: Makes the pipeline of the demo, as the REST API takes it.
    """
    files = StaticFiles()
    shell = Shell(SECTIONS, environment(clock), files, access, version, demo, clock)
    signing = signing_in.routes(access)
    found = [route for section in SECTIONS for route in section.routes] + [route for part in PARTS for route in part]
    return [
        Route("/static/{version}/{name}", _answered(shell, files.serve), methods=["GET"]),
        *(Route(path, _answered(shell, partial(handler, shell), _SMALL), methods=[method]) for method, path, handler in signing),
        *(Route(route.path, _answered(shell, partial(_served, shell, route)), methods=[route.method]) for route in found),
        Route("/{rest:path}", _answered(shell, partial(_missing, shell)), methods=["GET"]),
    ]


async def _served(shell: Shell, route: PageRoute, request: Request) -> Response:
    identity = await shell.access.identity(request)
    page = Page(shell, request, identity)
    if identity is None:
        return page.sign_in()
    if route.method == "POST":
        given = request.headers.get(TOKEN_HEADER) or (await page.form()).text("form_token")
        if not shell.access.sessions.is_form_token(identity.session, given):
            raise Forbidden("the form is of a session that is over, or not one of ours. Load the page again, then repeat it.")
    if shell.access.by_token and not page.namespace and route.path != namespaces.PATH:
        return page.go(link(namespaces.PATH, back=page.here if route.method == "GET" else "/"))
    if route.method == "GET" and page.is_whole and not page.has_namespaces:
        page.has_namespaces = await _has_namespaces(page)
    return await route.handler(page)


async def _has_namespaces(page: Page) -> bool:
    """Whether a host of one user has something in more than one."""
    try:
        return len((await page.api.get("/caller", view="FULL")).get("namespaces", [])) > 1
    except ApiError:  # the page itself will say so
        return False


async def _missing(shell: Shell, request: Request) -> Response:
    identity = await shell.access.identity(request)
    if "authorization" in request.headers or (identity is None and "text/html" not in request.headers.get("accept", "")):
        return PlainTextResponse("404 page not found\n", 404)  # no browser of a person: a client of the API, which knows this
    page = Page(shell, request, identity)
    if identity is None:
        return page.sign_in()
    raise NotFound(f"{request.url.path}: there is no such page.")


_Answers = Callable[[Request], Awaitable[Response]]


def _answered(shell: Shell, handler: _Answers, limit: int = BODY_LIMIT) -> _Answers:
    """Answer errors with a page that says what, where, why and how to fix it; read bodies up to a limit."""

    async def answered(request: Request) -> Response:
        request = Request(request.scope, _limited(request.receive, limit))
        try:
            return await handler(request)
        except KedgeError as error:
            found = error
        except Exception as error:  # noqa: BLE001  # a defect is logged here and answered as one
            _log.error("a page failed because of a defect", extra={"path": _loggable(request.url.path)}, exc_info=error)
            found = ServerError("the page failed because of a defect of its own; the host's log has the traceback.")
        code = found.code if isinstance(found, ApiError) else 400
        page = Page(shell, request, await _identity_if_known(shell, request))
        if request.headers.get("accept", "").startswith("application/json"):
            causes = [{"field": each.field, "message": each.message} for each in getattr(found, "causes", ())]
            return page.json({"message": str(found), "causes": causes}, code)
        return page.render("error.html", code=code, error=found, status=code)

    return answered


async def _identity_if_known(shell: Shell, request: Request) -> Identity | None:
    """Who is told of an error; that error may be why nobody can say."""
    try:
        return await shell.access.identity(request)
    except KedgeError:
        return None


def _loggable(path: str) -> str:
    """A path without the code of a link, which nobody is to find in a log."""
    return "/sign-in/…" if path.startswith("/sign-in/") else path


def _limited(receive: Receive, limit: int) -> Receive:
    """The body of a request, as far as it is not over the limit, whatever it says of its length."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise TooLarge(f"what was sent is larger than {limit >> 10} kiB. Data belongs into artifacts, not into forms.")
        return message

    return limited
