"""An operation of the REST API: one row of the table from which its route, its checks and its documentation are made.

What an endpoint gets is a `Call`: query parameters and body were checked against the row before, so that what the served OpenAPI
document says and what the server does cannot part.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kedge.errors import BadRequest, MethodNotAllowed
from kedge.pipelines import answers, pages
from kedge.pipelines.rights import Right, permit
from kedge.server.auth import User
from kedge.server.callers import Callers

# Above this, reading a body takes long enough for others to notice: it is done on a thread.
_LARGE = 256 << 10
_WHOLE = re.compile(r"-?[0-9]{1,18}")
# What steps wrote is passed on, HTML and SVG too: no browser may take an answer for a page of this host.
_UNTRUSTED = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}
Kind = Literal["string", "integer", "boolean"]


@dataclass(frozen=True, slots=True)
class Param:
    """A query parameter.

    Attributes:
        name: As it stands in the address.
        kind: What it must be.
        text: What it means.
        required: Whether it must be there.
        many: Whether it may be given several times.
    """

    name: str
    kind: Kind = "string"
    text: str = ""
    required: bool = False
    many: bool = False


LISTING = (
    Param("page_size", "integer", f"At most so many; {pages.DEFAULT_SIZE} when left out, at most {pages.MAX_SIZE}."),
    Param("page_token", text="Of the page before; it holds sort_by and filter."),
    Param("sort_by", text="A field, and asc or desc after it; newest first when left out."),
    Param("filter", text="JSON of predicates, all of which must hold."),
)
NAMESPACE = Param("namespace", text="Of these alone.")


@dataclass(frozen=True, slots=True)
class Call:
    """A checked request.

    Attributes:
        request: The request itself.
        user: Who asks.
        query: Its query parameters.
        body: What it carries, as the operation's type; ``None`` without one.
        size: Bytes of the body.
        namespaces: Those that it is about, for which the caller's rights were checked.
    """

    request: Request
    user: User
    query: Mapping[str, str]
    body: Any = None
    size: int = 0
    namespaces: tuple[str | None, ...] = ()

    @property
    def namespace(self) -> str | None:
        """The namespace that it is about; ``None`` for all of them."""
        return self.namespaces[0] if self.namespaces else None

    @property
    def home(self) -> str:
        """The namespace of what is made, or is there; ``""`` for none."""
        return self.namespace or ""

    @property
    def path(self) -> Mapping[str, str]:
        """The parts of the path that have names."""
        return self.request.path_params

    def text(self, name: str) -> str:
        """A query parameter; ``""`` when it was not given."""
        return self.query.get(name, "")

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A query parameter that is true or false."""
        text = self.query.get(name, "").lower()
        return default if not text else text in {"1", "true"}

    def number(self, name: str) -> int | None:
        """A query parameter that is a whole number."""
        text = self.query.get(name, "")
        return int(text) if text else None

    def many(self, name: str) -> list[str]:
        """A query parameter that may be given several times."""
        return self.request.query_params.getlist(name)

    @property
    def listing(self) -> pages.Query:
        """What page of a list is asked for."""
        return pages.Query(self.number("page_size") or 0, self.text("page_token"), self.text("sort_by"), self.text("filter"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row of the table.

    Attributes:
        method: HTTP's.
        path: Below the prefix, with ``{names}``.
        work: What is done.
        summary: In a line.
        rights: What its caller must be allowed to do, the first of them with what it is about.
        answer: The name of the schema of what comes back; ``""`` for an empty object.
        query: Parameters besides those of the path.
        body: What the request carries.
        upload: It carries a file in a form instead.
        media: Of the answer.
        streams: Of the answer when it is a stream of changes.
        public: Answered without a token.
    """

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    work: Callable[[Call], Awaitable[Response]]
    summary: str
    rights: tuple[Right, ...]
    answer: str = ""
    query: tuple[Param, ...] = ()
    body: type[msgspec.Struct] | None = None
    upload: bool = False
    media: str = "application/json"
    streams: str = ""
    public: bool = False
    known: Mapping[str, Param] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", {param.name: param for param in self.query})

    @property
    def name(self) -> str:
        """A word for it that no other operation has."""
        words = re.sub(r"[{}]|:path", "", self.path.removeprefix("/apis/")).replace(":", "/").split("/")
        return "_".join([self.method.lower(), *(word for word in words if word)])

    @property
    def parameters(self) -> list[str]:
        """The names in its path."""
        return re.findall(r"{(\w+)(?::path)?}", self.path)

    async def serve(self, request: Request, user: User, callers: Callers) -> Response:
        """Check a request and the rights of who sent it, and do what it asks for."""
        call = await self._read(request, user)
        namespaces = await permit(self.rights, call, callers)
        return await self.work(replace(call, namespaces=namespaces))

    async def _read(self, request: Request, user: User) -> Call:
        query = self._query(request)
        if self.body is None:
            return Call(request, user, query)
        content = await answers.content(request)
        if not content:
            raise BadRequest(f"the {self.body.__name__}: the body is empty. Send it as JSON.")
        arguments = content, self.body, f"the {self.body.__name__}"
        body = answers.decode(*arguments) if len(content) < _LARGE else await asyncio.to_thread(answers.decode, *arguments)
        return Call(request, user, query, body, len(content))

    def _query(self, request: Request) -> Mapping[str, str]:
        found = dict(request.query_params)
        for name, text in found.items():
            param = self.known.get(name)
            if param is None:
                known = ", ".join(self.known) or "none"
                raise BadRequest(f"query parameter {name!r:.80} is not known here; there are {known}.")
            if param.kind == "boolean" and text.lower() not in {"1", "true", "0", "false"}:
                raise BadRequest(f"{name}: must be true or false, got {text!r:.80}.")
            if param.kind == "integer" and not _WHOLE.fullmatch(text):
                raise BadRequest(f"{name}: {text!r:.80} is no whole number.")
        for param in self.query:
            if param.required and not found.get(param.name):
                raise BadRequest(f"{param.name}: is required. {param.text}")
        return found


class Place:
    """An address and what can be done there, by method; an ASGI application.

    Args:
        operations: All with the same path.
        callers: Knows who asks.
    """

    def __init__(self, operations: list[Operation], callers: Callers) -> None:
        self._by_method = {one.method: answers.guarded(partial(one.serve, callers=callers), callers) for one in operations}
        self._other = answers.guarded(self._refuse, callers)
        self._allowed = ", ".join(sorted(self._by_method))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; one with another method is told which there are."""
        request = Request(scope, receive)
        method = "GET" if request.method == "HEAD" else request.method
        response = await self._by_method.get(method, self._other)(request)  # pyright: ignore[reportArgumentType]
        response.headers.update(_UNTRUSTED)
        if response.status_code == 405:
            response.headers["Allow"] = self._allowed
        await response(scope, receive, send)

    async def _refuse(self, request: Request, user: User) -> Response:
        del user
        raise MethodNotAllowed(f"{request.method} {request.url.path}: there is {self._allowed} at this address.")
