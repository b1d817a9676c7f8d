"""The dashboard put together: its sections, and their routes in the application that serves the host."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kedge.dashboard.access import Access
from kedge.dashboard.page import Page, PageRoute, Section, Shell
from kedge.dashboard.pages import cluster, home, run, runs, signing_in, task
from kedge.dashboard.rendering import environment
from kedge.dashboard.static_files import StaticFiles
from kedge.errors import ApiError, Forbidden, KedgeError, NotFound, ServerError
from kedge.kube.clock import Clock

_log = logging.getLogger(__name__)

SECTIONS: tuple[Section, ...] = (
    home.SECTION,
    runs.SECTION,
    cluster.SECTION,
)
"""In the order of the navigation. A feature adds its pages by one line here."""
PARTS: tuple[Sequence[PageRoute], ...] = (run.ROUTES, task.ROUTES)
"""Further pages of sections, in files of their own."""
TOKEN_HEADER = "x-form-token"  # noqa: S105  # the name of a header


def routes(access: Access, clock: Clock, version: str) -> list[BaseRoute]:
    """The routes of the pages; they stand after all others, for the last of them takes every path.

    Args:
        access: Who may look at them.
        clock: For ages.
        version: Kedge's.
    """
    files = StaticFiles()
    shell = Shell(SECTIONS, environment(clock), files, access, version)
    signing = signing_in.routes(access)
    found = [route for section in SECTIONS for route in section.routes] + [route for part in PARTS for route in part]
    return [
        Route("/static/{version}/{name}", _answered(shell, files.serve), methods=["GET"]),
        *(Route(path, _answered(shell, partial(handler, shell)), methods=[method]) for method, path, handler in signing),
        *(Route(route.path, _answered(shell, partial(_served, shell, route)), methods=[route.method]) for route in found),
        Route("/{rest:path}", _answered(shell, partial(_missing, shell)), methods=["GET"]),
    ]


async def _served(shell: Shell, route: PageRoute, request: Request) -> Response:
    identity = await shell.access.identity(request)
    page = Page(shell, request, identity)
    if identity is None:
        return _sign_in(page)
    if route.method == "POST":
        given = request.headers.get(TOKEN_HEADER) or (await page.form()).text("form_token")
        if not shell.access.sessions.is_form_token(identity.session, given):
            raise Forbidden("the form is of a session that is over, or not one of ours. Load the page again, then repeat it.")
    return await route.handler(page)


def _sign_in(page: Page) -> Response:
    """Somebody who is not known gets a page that says how to sign in; where a part of a page was asked for, only the code."""
    return page.render("sign_in.html", code=401, fault="")


async def _missing(shell: Shell, request: Request) -> Response:
    page = Page(shell, request, identity := await shell.access.identity(request))
    if identity is None:
        return _sign_in(page)
    raise NotFound(f"{request.url.path}: there is no such page.")


def _answered(shell: Shell, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Answer errors with a page that says what, where, why and how to fix it."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except KedgeError as error:
            found = error
        except Exception as error:  # noqa: BLE001  # a defect is logged here and answered as one
            _log.error("a page failed because of a defect", extra={"path": request.url.path}, exc_info=error)
            found = ServerError("the page failed because of a defect of its own; the host's log has the traceback.")
        code = found.code if isinstance(found, ApiError) else 400
        page = Page(shell, request, await shell.access.identity(request))
        if request.headers.get("accept", "").startswith("application/json"):
            causes = [{"field": each.field, "message": each.message} for each in getattr(found, "causes", ())]
            return page.json({"message": str(found), "causes": causes}, code)
        return page.render("error.html", code=code, error=found, status=code)

    return answered
