"""The Kubernetes API over HTTP: routes for a Starlette application.

`kedge.server.endpoint` serves the resources; here stand the documents that are the same for everyone, and the host's health.
"""

import re
from collections.abc import Callable, Sequence
from types import MappingProxyType

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kedge.errors import ApiError, NotFound
from kedge.kube.kinds import Obj
from kedge.server import discovery, openapi_protobuf
from kedge.server.api import Api
from kedge.server.auth import Authenticator
from kedge.server.endpoint import Kubernetes, require_get
from kedge.server.health import Checks, health
from kedge.server.openapi import Documents
from kedge.server.registry import NOT_THERE
from kedge.server.requests import form_of, header
from kedge.server.status import send_error, send_json
from kedge.server.streams import Streams

_NAME = re.compile(r"\(\?P<\w+>")  # a part of a route's pattern that is named


def routes(
    api: Api,
    authenticator: Authenticator,
    *,
    version: str,
    streams: Streams,
    ready: Checks = MappingProxyType({}),
) -> list[BaseRoute]:
    """The routes of the Kubernetes API; routes of others that begin with ``/api`` or ``/apis`` must stand before them.

    Args:
        api: The verbs.
        authenticator: Who asks.
        version: Kedge's version, for ``/version``.
        streams: Ends watches and logs when the host stops.
        ready: Checks by name for ``/readyz``; each says what is missing until the host can be used, or ``""``.
    """
    kubernetes = Kubernetes(api, authenticator, streams)
    documents = Documents(api.registry, version)
    tokens, told = authenticator.tokens, discovery.version(version)

    def public(value: Obj) -> ASGIApp:
        return _Document(lambda _path: value)

    def openapi(path: str) -> Obj | bytes:
        place = path.removeprefix("/openapi/").strip("/")
        if place == "v3":
            return documents.index()
        if not place.startswith("v3/"):
            raise NotFound(f"{NOT_THERE}: OpenAPI is at /openapi/v2 and /openapi/v3.")
        return documents.group(place.removeprefix("v3/"))

    return [
        *(Route(path, kubernetes) for path in ("/api", "/apis", "/api/{rest:path}", "/apis/{rest:path}")),
        # Kubernetes' own OpenAPI has them with the slash at their end, which kr8s sends.
        *(Route(path, _Document(lambda _path: told, negotiated=True)) for path in ("/version", "/version/")),
        Route("/openapi/v2", _Document(lambda _path: documents.whole(), authenticator, documents.whole_protobuf)),
        Route("/openapi/{rest:path}", _Document(openapi, authenticator)),
        Route("/openid/v1/jwks", public(tokens.jwks())),
        Route("/.well-known/openid-configuration", public(tokens.openid_configuration())),
        *health(ready),
    ]


def direct(app: ASGIApp, routes: Sequence[BaseRoute]) -> ASGIApp:
    """Give what is the Kubernetes API's to it without looking through the table of routes, of which there are a hundred.

    Args:
        app: Serves all routes.
        routes: Those. Where the Kubernetes API is none of them, ``app`` serves alone.
    """
    known = [route for route in routes if isinstance(route, Route)]
    kubernetes = next((route.endpoint for route in known if isinstance(route.endpoint, Kubernetes)), None)
    if kubernetes is None:
        return app
    others: dict[str, list[str]] = {}
    for route in known:
        if route.endpoint is not kubernetes:
            others.setdefault(_group(route.path), []).append(_NAME.sub("(?:", route.path_regex.pattern))
    patterns = {group: re.compile("|".join(found)) for group, found in others.items()}

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        group = _group(path) if path.startswith(("/api/", "/apis/")) else ""
        if group and not ((other := patterns.get(group)) and other.match(path)):
            await kubernetes(scope, receive, send)
        else:
            await app(scope, receive, send)

    return served


def _group(path: str) -> str:
    """The first two words of a path: the version of the core kinds, or the group of others."""
    return "/".join(path.split("/", 3)[:3])


class _Document:
    """Answers with a document that is the same for everyone; with an authenticator, only to those who are known.

    Args:
        read: Makes the document of a path, JSON.
        authenticator: Looks into tokens.
        protobuf: Makes the document for those who want it as OpenAPI v2 in protobuf.
        negotiated: Whether only those get it who take JSON.
    """

    def __init__(
        self,
        read: Callable[[str], Obj | bytes],
        authenticator: Authenticator | None = None,
        protobuf: Callable[[], bytes] | None = None,
        *,
        negotiated: bool = False,
    ) -> None:
        self._read = read
        self._authenticator = authenticator
        self._protobuf = protobuf
        self._negotiated = negotiated or authenticator is not None

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            if self._authenticator is not None:
                self._authenticator.bearer(header(scope, b"authorization"))
            require_get(scope)
            if self._protobuf is not None and {openapi_protobuf.ASKED, openapi_protobuf.ANSWERED} & _accepted(scope):
                await _answer(send, self._protobuf(), openapi_protobuf.ANSWERED)
                return
            if self._negotiated:
                form_of(scope)
            value = self._read(scope["path"])
        except ApiError as error:
            await send_error(send, error)
            return
        await send_json(send, value)


def _accepted(scope: Scope) -> set[str]:
    return {each.partition(";")[0].strip() for each in header(scope, b"accept").split(",")}


async def _answer(send: Send, body: bytes, media_type: str, *, status: int = 200) -> None:
    headers = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
