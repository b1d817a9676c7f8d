"""What a page is to those who write one: its section, its routes, and what a handler is given."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, unquote, urlencode

import jinja2
import msgspec
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from kedge.dashboard.access import Access, Identity
from kedge.dashboard.api import Api
from kedge.dashboard.static_files import StaticFiles
from kedge.errors import BadRequest

SAID, NAMESPACE, THEME = "kedge-said", "kedge-namespace", "kedge-theme"
"""Cookies: what the page before has to say, the namespace and the theme that were chosen."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Handler = Callable[["Page"], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One address of a section.

    Attributes:
        method: ``GET`` shows, ``POST`` changes: it is served with the token of a form alone.
        path: With ``{names}``.
        handler: What is done.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Handler


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the dashboard, in its navigation.

    Attributes:
        name: As people read it.
        path: Of its first page.
        routes: All of its addresses. Those with fixed words stand before those that would take them for names.
    """

    name: str
    path: str
    routes: Sequence[PageRoute]


def get(path: str, handler: Handler) -> PageRoute:
    """An address that shows something."""
    return PageRoute("GET", path, handler)


def post(path: str, handler: Handler) -> PageRoute:
    """An address that changes something."""
    return PageRoute("POST", path, handler)


@dataclass(frozen=True, slots=True)
class Shell:
    """What all pages share.

    Attributes:
        sections: In the order of the navigation.
        templates: Theirs.
        files: What they load.
        access: Who looks at them.
        version: Kedge's.
    """

    sections: Sequence[Section]
    templates: jinja2.Environment
    files: StaticFiles
    access: Access
    version: str


class Page:
    """A request for a page, and how it is answered.

    Args:
        shell: What all pages share.
        request: The request.
        identity: Who asks; ``None`` for nobody who is known.

    Attributes:
        request: The request.
        api: Asks the host, with that person's rights.
    """

    def __init__(self, shell: Shell, request: Request, identity: Identity | None) -> None:
        self._shell = shell
        self._identity = identity
        self.request = request
        headers = dict(identity.headers) if identity is not None else {}
        if self.namespace:
            headers["x-kedge-namespace"] = self.namespace
        peer = (request.client.host, request.client.port) if request.client is not None else None
        self.api = Api(request.app, headers, peer)

    @property
    def namespace(self) -> str:
        """The namespace that the person has chosen; ``""`` for the host's own."""
        return self.request.query_params.get("namespace") or self.request.cookies.get(NAMESPACE, "")

    @property
    def theme(self) -> str:
        """``light``, ``dark``, or ``""`` for what the browser prefers."""
        found = self.request.cookies.get(THEME, "")
        return found if found in {"light", "dark"} else ""

    @property
    def here(self) -> str:
        """The page's own path, with its query."""
        query = self.request.url.query
        return self.request.url.path + (f"?{query}" if query else "")

    @property
    def path(self) -> Mapping[str, str]:
        """The parts of the path that have names."""
        return self.request.path_params

    def query(self, name: str, default: str = "") -> str:
        """A query parameter."""
        return self.request.query_params.get(name, default)

    def number(self, name: str, default: int, *, most: int) -> int:
        """A query parameter that is a whole number from 1; what is none, or too large, is the default or the most."""
        text = self.query(name)
        return min(max(int(text), 1), most) if text.isascii() and text.isdigit() and len(text) < 10 else default

    async def form(self) -> "Form":
        """What was sent with a form; its token has been checked before."""
        return Form(await self.request.form(max_files=8, max_fields=2000, max_part_size=64 << 20))

    @property
    def form_token(self) -> str:
        """What every form carries as ``form_token``, and every change by a module in the header ``X-Form-Token``."""
        return self._shell.access.sessions.form_token(self._identity.session) if self._identity is not None else ""

    def render(self, template: str, *, code: int = 200, **context: Any) -> Response:
        """Answer with a page, or with a part of one.

        Args:
            template: Its file.
            code: HTTP status.
            context: Its variables, besides ``page``, ``sections``, ``section`` (the name of this one), ``asset`` (the address
                of a file) and ``link`` (a path with a query).
        """
        shell, here = self._shell, self.request.url.path
        shown = [one for one in shell.sections if here == one.path or (one.path != "/" and here.startswith(one.path + "/"))]
        body = shell.templates.get_template(template).render(
            page=self,
            sections=shell.sections,
            section=shown[0].name if shown else "",
            asset=shell.files.address,
            link=link,
            person=self._identity,
            version=shell.version,
            said=unquote(self.request.cookies.get(SAID, "")),
            **context,
        )
        answer = HTMLResponse(body, code, _HEADERS)
        if SAID in self.request.cookies:
            answer.delete_cookie(SAID)
        return answer

    def go(self, path: str, said: str = "") -> Response:
        """Answer by leading to another page.

        Args:
            path: Of this host.
            said: What that page says first, such as what was done.
        """
        answer = RedirectResponse(path, 303, _HEADERS)
        if said:
            answer.set_cookie(SAID, quote(said), max_age=60, httponly=True, samesite="strict")
        return answer

    def json(self, body: Any, code: int = 200) -> Response:
        """Answer a module of ours with JSON."""
        return Response(msgspec.json.encode(body), code, _HEADERS, media_type="application/json")

    def events(self, told: AsyncIterator[Any]) -> Response:
        """Answer with server-sent events: each that is told as JSON, until there are no more.

        A browser asks again when it ends, so an end is told to it by a message of its own, ``end``.
        """
        return StreamingResponse(_events(told), 200, _HEADERS, media_type="text/event-stream")


class Form:
    """What was sent with a form.

    Args:
        data: As it was read.
    """

    def __init__(self, data: FormData) -> None:
        self.data = data

    def text(self, name: str, default: str = "") -> str:
        """A field's text."""
        found = self.data.get(name, default)
        return found if isinstance(found, str) else default

    def texts(self, name: str) -> list[str]:
        """The texts of a field that may be there several times."""
        return [each for each in self.data.getlist(name) if isinstance(each, str)]

    def file(self, name: str) -> UploadFile:
        """A file.

        Raises:
            BadRequest: There is none.
        """
        found = self.data.get(name)
        if not isinstance(found, UploadFile) or not found.filename:
            raise BadRequest(f"{name}: no file was chosen. Choose one, or drop it on the page.")
        return found


def link(path: str, **query: object) -> str:
    """A path with a query; what is empty is left out."""
    asked = urlencode({name: value for name, value in query.items() if value not in ("", None)}, doseq=True)
    return f"{path}?{asked}" if asked else path


async def _events(told: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    async for each in told:
        yield b"data: " + msgspec.json.encode(each) + b"\n\n"
    yield b"event: end\ndata: {}\n\n"
