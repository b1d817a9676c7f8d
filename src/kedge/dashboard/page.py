"""What a page is to those who write one: its section, its routes, and what a handler is given."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote, unquote, urlencode, urlsplit

import jinja2
import msgspec
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from kedge.dashboard.access import Access, Identity, keep
from kedge.dashboard.api import Api
from kedge.dashboard.following import Following
from kedge.dashboard.static_files import StaticFiles
from kedge.errors import BadRequest
from kedge.kube.clock import Clock
from kedge.kube.names import label_fault

SAID, THEME = "kedge-said", "kedge-theme"
"""Cookies: what the page before has to say, and the theme that was chosen."""
THEMES = frozenset({"light", "dark"})
_SAID_LIMIT = 300  # characters: a browser drops a cookie of more than 4 kB, and each may take twelve bytes
BODY_LIMIT = 65 << 20
"""Bytes of what is sent to a page: what the REST API takes, and some for the form around it."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
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
        demo: Makes the pipeline of the demo, as the REST API takes it.
        clock: What ages are measured by.
    """

    sections: Sequence[Section]
    templates: jinja2.Environment
    files: StaticFiles
    access: Access
    version: str
    demo: Callable[[], Mapping[str, Any]]
    clock: Clock


class Page:
    """A request for a page, and how it is answered.

    Args:
        shell: What all pages share.
        request: The request.
        identity: Who asks; ``None`` for nobody who is known.

    Attributes:
        request: The request.
        api: Asks the host, with that person's rights.
        has_namespaces: Whether there is a namespace to choose.
    """

    def __init__(self, shell: Shell, request: Request, identity: Identity | None) -> None:
        self._shell = shell
        self._identity = identity
        self.request = request
        self.has_namespaces = shell.access.by_token
        headers = dict(identity.headers) if identity is not None else {}
        if self.namespace:
            headers["x-kedge-namespace"] = self.namespace
        peer = (request.client.host, request.client.port) if request.client is not None else None
        self.api = Api(request.app, headers, peer)

    @property
    def namespace(self) -> str:
        """The namespace that the person has chosen; ``""`` for the host's own. What is no name of one counts for nothing."""
        given = (
            self.request.query_params.get("namespace", ""),
            self.request.cookies.get(self.namespace_cookie, ""),
            self._identity.namespace if self._identity is not None else "",
        )
        return next((each for each in given if each and not label_fault(each)), "")

    @property
    def is_of_one_namespace(self) -> bool:
        """Whether all that it shows and makes is of the namespace that was chosen, as where there are many users."""
        return self._shell.access.by_token

    @property
    def tenant(self) -> str:
        """The namespace that the page is about where there are many callers; ``""`` on a host of one user, who may see all."""
        return self.namespace if self._shell.access.by_token else ""

    @property
    def namespace_cookie(self) -> str:
        """The name of the cookie that keeps it."""
        return self._shell.access.sessions.namespace

    def demo(self) -> Mapping[str, Any]:
        """The pipeline of the demo, as the REST API takes it. It is compiled, which takes a moment."""
        return self._shell.demo()

    def now(self) -> datetime:
        """This moment."""
        return self._shell.clock.now()

    @property
    def theme(self) -> str:
        """``light``, ``dark``, or ``""`` for what the browser prefers."""
        found = self.request.cookies.get(THEME, "")
        return found if found in THEMES else ""

    @property
    def here(self) -> str:
        """The page's own path, with its query."""
        query = self.request.url.query
        return self.request.url.path + (f"?{query}" if query else "")

    @property
    def is_whole(self) -> bool:
        """Whether a page is asked for, and no part of one by a module."""
        return self.request.headers.get("sec-fetch-dest", "document") == "document"

    @property
    def is_from_here(self) -> bool:
        """Whether a page of this host sent the request, as far as the browser says."""
        site, origin = self.request.headers.get("sec-fetch-site", ""), self.request.headers.get("origin", "")
        if site:
            return site in {"same-origin", "none"}
        return not origin or origin.partition("://")[2] == self.request.headers.get("host", "")

    @property
    def path(self) -> Mapping[str, str]:
        """The parts of the path that have names."""
        return self.request.path_params

    def at(self, address: str) -> "Page":
        """Another page of this host, asked for by the same person: a form that is refused is answered with the page it is on.

        Args:
            address: Its path and query. Names in the path are as they were.
        """
        place = urlsplit(address)
        scope = {**self.request.scope, "path": place.path, "query_string": place.query.encode(), "method": "GET"}
        return Page(self._shell, Request(scope), self._identity)

    def query(self, name: str, default: str = "") -> str:
        """A query parameter."""
        return self.request.query_params.get(name, default)

    def number(self, name: str, default: int, *, most: int) -> int:
        """A query parameter that is a whole number from 1; what is none, or too large, is the default or the most."""
        text = self.query(name)
        return min(max(int(text), 1), most) if text.isascii() and text.isdigit() and len(text) < 10 else default

    async def form(self) -> "Form":
        """What was sent with a form; its token has been checked before.

        Raises:
            BadRequest: It cannot be read, or holds too many files or fields.
            TooLarge: It is over `BODY_LIMIT`.
        """
        try:
            return Form(await self.request.form(max_files=8, max_fields=2000, max_part_size=BODY_LIMIT))
        except (HTTPException, FormParserError) as error:
            raise BadRequest(f"what was sent is no form that can be read: {getattr(error, 'detail', error)}") from error

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
        # JSON of steps may hold halves of characters (surrogates), which no encoding has
        answer = HTMLResponse(body.encode("utf-8", "replace"), code, _HEADERS)
        if SAID in self.request.cookies and self.is_whole:  # a part that is asked for again does not show it
            keep(self.request, answer, SAID, "")
        return answer

    def sign_in(self, fault: str = "") -> Response:
        """Answer somebody who is not known with how to sign in.

        A browser that follows a link of another site keeps the cookie back, though its owner may be signed in: the page then asks
        once more, this time from here. Whether it comes from elsewhere says the browser, so it asks no third time.

        Args:
            fault: What did not work.
        """
        again = self.request.method == "GET" and self.request.headers.get("sec-fetch-site") == "cross-site"
        return self.render("sign_in.html", code=401, fault=fault, again=again, by_token=self._shell.access.by_token)

    def go(self, path: str, said: str = "") -> Response:
        """Answer by leading to another page.

        Args:
            path: Of this host; what leads elsewhere, or might, leads to the first page.
            said: What that page says first, such as what was done.
        """
        answer = RedirectResponse(path if is_ours(path) else "/", 303, _HEADERS)
        if said:
            keep(self.request, answer, SAID, quote(said[:_SAID_LIMIT]), 60)
        return answer

    def json(self, body: Any, code: int = 200) -> Response:
        """Answer a module of ours with JSON."""
        return Response(msgspec.json.encode(body), code, _HEADERS, media_type="application/json")

    def events(self, told: AsyncIterator[Any], *, endless: bool = False) -> Response:
        """Answer with server-sent events: each that is told as JSON, until there are no more.

        A browser asks again when it ends, so an end is told to it by a message of its own, ``end``; not where they are
        ``endless``, and end because the host stops.
        """
        return self.follow(_events(told, endless=endless), _HEADERS, "text/event-stream")

    def follow(self, pieces: AsyncIterator[bytes], headers: Mapping[str, str], media_type: str) -> Response:
        """Answer with what goes on as it comes: until it ends, or until the person signs out.

        Args:
            pieces: The body.
            headers: Of the answer.
            media_type: Of the body.
        """
        return Following(self._shell.access.sessions, self.request, pieces, headers, media_type)


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

    def has_file(self, name: str) -> bool:
        """Whether one was chosen."""
        found = self.data.get(name)
        return isinstance(found, UploadFile) and bool(found.filename)

    def file(self, name: str) -> UploadFile:
        """A file.

        Raises:
            BadRequest: There is none.
        """
        found = self.data.get(name)
        if not isinstance(found, UploadFile) or not found.filename:
            raise BadRequest(f"{name}: no file was chosen. Choose one, or drop it on the page.")
        return found


def is_ours(path: str) -> bool:
    """Whether a path leads to this host; browsers take two slashes at its beginning, either way, for another one.

    Examples:
        >>> [is_ours(path) for path in ("/runs?page_size=2", "//elsewhere", "https://elsewhere")]
        [True, False, False]
    """
    return path.startswith("/") and not path.startswith("//") and not any(each < " " or each == "\\" for each in path)


def link(path: str, /, **query: object) -> str:
    """A path with a query; what is empty is left out."""
    asked = urlencode({name: value for name, value in query.items() if value not in ("", None)}, doseq=True)
    return f"{path}?{asked}" if asked else path


async def _events(told: AsyncIterator[Any], *, endless: bool) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    async for each in told:
        yield b"data: " + msgspec.json.encode(each) + b"\n\n"
    if not endless:
        yield b"event: end\ndata: {}\n\n"
