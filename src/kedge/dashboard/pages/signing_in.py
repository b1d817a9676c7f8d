"""Signing in, by a one-time link or with a token, and out."""

from collections.abc import Awaitable, Callable
from typing import Literal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kedge.dashboard.access import Access, OwnerAccess, keep
from kedge.dashboard.cluster_access import ClusterAccess
from kedge.dashboard.page import THEME, THEMES, Form, Page, Shell
from kedge.errors import BadRequest, Forbidden, NotFound, Unauthorized

_Route = tuple[Literal["GET", "POST"], str, Callable[[Shell, Request], Awaitable[Response]]]


def routes(access: Access) -> list[_Route]:
    """The addresses that are served to those who are not known yet."""
    del access
    return [
        ("POST", "/sign-in-links", _link),
        ("GET", "/sign-in/{code}", _use),
        ("POST", "/sign-in", _sign_in),
        ("POST", "/sign-out", _out),
        ("POST", "/theme", _theme),
    ]


def _owners(shell: Shell) -> OwnerAccess:
    if not isinstance(shell.access, OwnerAccess):
        raise NotFound("there are no one-time links here: who you are says the cluster. Sign in with a token.")
    return shell.access


async def _link(shell: Shell, request: Request) -> Response:
    """Make a one-time link, for who has the owner's token: the command line."""
    access = _owners(shell)
    if not access.is_owner(request.headers.get("authorization", "")):
        raise Unauthorized("a link is made for the host's owner alone. `kedge open` makes one.")
    return Page(shell, request, None).json({"path": f"/sign-in/{access.links.make()}"}, 201)


async def _use(shell: Shell, request: Request) -> Response:
    """Sign a browser in; the link is used up. What only looks whether there is something does not use it."""
    access = _owners(shell)
    if request.method != "GET" or not access.links.use(request.path_params["code"]):
        identity = await access.identity(request)
        if identity is not None:
            return RedirectResponse("/", 303)
        return Page(shell, request, None).sign_in("This link has been used, or is older than ten minutes.")
    answer = RedirectResponse("/", 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    access.sessions.begin(request, answer)
    return answer


async def _sign_in(shell: Shell, request: Request) -> Response:
    """Sign somebody in who has a token. A page of another site must not sign a browser in as somebody else."""
    page = Page(shell, request, None)
    if not isinstance(shell.access, ClusterAccess):
        raise NotFound("people sign in by one-time links here. `kedge open` makes one.")
    if not page.is_from_here:
        raise Forbidden("the token was sent by a page of another site. Sign in on a page of this one.")
    answer = page.go("/")
    try:
        await shell.access.sign_in(request, answer, (await page.form()).text("token").strip().removeprefix("Bearer ").strip())
    except (BadRequest, Unauthorized) as error:
        return page.sign_in(str(error))
    return answer


async def _theme(shell: Shell, request: Request) -> Response:
    """Remember which theme somebody wants."""
    page, form = await _own_form(shell, request)
    answer = page.go(form.text("back", "/"))
    keep(request, answer, THEME, form.text("theme") if form.text("theme") in THEMES else "")
    return answer


async def _out(shell: Shell, request: Request) -> Response:
    """Sign a browser out."""
    page, _ = await _own_form(shell, request)
    answer = page.go("/")
    shell.access.sessions.end(request, answer)
    return answer


async def _own_form(shell: Shell, request: Request) -> tuple[Page, Form]:
    """What somebody sent with a form of theirs. Who is not known has nothing to change but what their browser keeps.

    Raises:
        Forbidden: The form is of another session, or of another site.
    """
    identity = await shell.access.identity(request)
    page = Page(shell, request, identity)
    form = await page.form()
    given = form.text("form_token")
    if not (page.is_from_here if identity is None else shell.access.sessions.is_form_token(identity.session, given)):
        raise Forbidden("the form is not one of this page. Load the page again, then repeat it.")
    return page, form
