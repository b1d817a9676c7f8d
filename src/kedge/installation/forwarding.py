"""A port of this machine that leads a browser to the pages of a hub in a cluster, as the user of the kubeconfig.

Each request goes through the API server's proxy of the hub's Service with the user's own login, and with a token for the hub,
which is asked for anew before it ends; neither reaches the browser. The browser is let in by a one-time link, and known by a
cookie that is good for as long as this process runs: other accounts of the machine, and pages of other sites, get nothing. Pages
alone are passed on, never the APIs. When the hub or the cluster is away for a while, pages say so and ask again by themselves.
"""

import asyncio
import hmac
import html
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access
from kedge.dashboard.access import Links
from kedge.errors import ApiError, Forbidden, TooLarge, Unavailable
from kedge.installation.reaching import Tokens
from kedge.kube.clock import Clock, Ids, SystemClock, SystemIds
from kedge.server.callers import AUTHORIZATION, NAMESPACE
from kedge.server.forwarded import FORWARDED, HTML, UNDER_ANOTHER_NAME
from kedge.server.guard import LoopbackGuard
from kedge.server.listen import Listeners
from kedge.server.requests import header
from kedge.server.streams import Answer, Streams

BODY_LIMIT = 66 << 20
"""Bytes of what a browser may send: what the pages take, and some for the form around it."""
_PASSED_ON = (
    "accept",
    "accept-language",
    "content-type",
    "if-none-match",
    "last-event-id",
    "range",
    "referer",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "x-form-token",
    "x-part",
)
_NOT_PASSED_BACK = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "audit-id", FORWARDED})
_EVENTS = "text/event-stream"
_SILENCE = 60.0  # seconds for which an answer that has an end may say nothing
_AGAIN = 3  # seconds after which a page that could not be had is asked for again
_OURS = "kedge-"  # what cookies of the pages begin with: those of other programs of this machine are not for the hub
_APIS = ("/api/", "/apis/", "/metrics")


async def serve(access: Access, place: str, port: int, told: Callable[[str], None]) -> None:
    """Forward a port until SIGINT or SIGTERM.

    Args:
        access: How the cluster is reached.
        place: The hub's path there, as `reaching.place` says it.
        port: Of this machine's loopback; 0 for any.
        told: Called with the one-time link when it works.

    Raises:
        Forbidden: The user may have no token, or may not use the proxy; says what would allow it.
        Unavailable: The cluster, or the hub in it, cannot be reached.
        KedgeError: The port is taken.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # an answer that is cut is the browser's to tell of
    listeners = Listeners(port, None)
    address = f"http://127.0.0.1:{listeners.open().http}"
    try:
        async with HttpClient(access) as api:
            forwarder = Forwarder(api, place, Tokens(access, SystemClock()), SystemClock(), SystemIds())
            await forwarder.check()
            await listeners.start(LoopbackGuard(forwarder))
            await asyncio.to_thread(told, address + forwarder.link())  # a browser in a terminal is waited for
            await stopping.wait()
            await listeners.stop(forwarder.close)
    finally:
        listeners.close()


class Forwarder:
    """The ASGI application behind the port.

    Args:
        api: Speaks to the API server.
        place: The hub's path there.
        tokens: For the hub.
        clock: For how long a link is good.
        ids: For what no one can guess.
    """

    def __init__(self, api: HttpClient, place: str, tokens: Tokens, clock: Clock, ids: Ids) -> None:
        self._api = api
        self._place = place
        self._tokens = tokens
        self._links = Links(clock, ids)
        self._session = ids.token(24)
        self._cookie = f"kedge-open-{ids.token(4)}"  # cookies know no ports: several of us must not take each other's
        self._streams = Streams()

    def link(self) -> str:
        """The path of a new one-time link."""
        return f"/sign-in/{self._links.make()}"

    def close(self) -> None:
        """End the answers that have no end."""
        self._streams.close()

    async def check(self) -> None:
        """Ask the hub for something.

        Raises:
            ApiError: It cannot be reached; says why.
        """
        async with self._api.exchange("GET", self._place + "/healthz", headers=await self._sent({})) as answer:
            await answer.aread()
            if FORWARDED not in answer.headers:
                raise _refused(answer.status_code, answer.content, self._place)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        reply = _Reply(send, HTML + b"; charset=utf-8")
        cookies = _cookies(header(scope, b"cookie"))
        path = scope["path"]
        if scope["method"] == "GET" and path.startswith("/sign-in/") and self._links.use(path.removeprefix("/sign-in/")):
            kept = f"{self._cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"
            reply.redirect("/", kept)
        elif not hmac.compare_digest(cookies.pop(self._cookie, "").encode(), self._session.encode()):
            again = scope["method"] == "GET" and header(scope, b"sec-fetch-site") == "cross-site"  # the cookie was kept back
            await reply.page(401, "Who are you?", _UNKNOWN, again=0 if again else None)
        elif path.startswith(_APIS):
            await reply.page(404, "Not found", "Pages alone are shown here. kedge and kubectl speak to the APIs themselves.")
        elif path.startswith("/sign-in/"):
            reply.redirect("/")
        else:
            await self._streams.run(reply, receive, self._pass(scope, await _body(receive), cookies, reply))
            return
        await reply.end()

    async def _pass(self, scope: Scope, body: bytes | None, cookies: dict[str, str], reply: "_Reply") -> None:
        endless = header(scope, b"accept").startswith(_EVENTS)
        given = {name: found for name in _PASSED_ON if (found := header(scope, name.encode()))}
        if kept := "; ".join(f"{name}={value}" for name, value in cookies.items() if name.startswith(_OURS)):
            given["cookie"] = kept
        path = self._place + scope["raw_path"].decode("latin-1") + "?" + scope["query_string"].decode("latin-1")
        try:
            if body is None:
                raise TooLarge(f"what was sent is larger than {BODY_LIMIT >> 20} MiB.")
            sent = await self._sent(given)
            silence = None if endless else _SILENCE
            async with self._api.exchange(scope["method"], path, headers=sent, content=body, silence=silence) as answer:
                if FORWARDED not in answer.headers:
                    raise _refused(answer.status_code, await answer.aread(), self._place)
                reply.status = answer.status_code
                reply.headers = [pair for name, value in answer.headers.raw if (pair := self._back(name.lower(), value))]
                await reply.pass_on(answer.aiter_bytes())
        except ApiError as error:
            if endless:  # a browser asks again for events that end, and gives them up where anything else is answered
                reply.content_type = _EVENTS.encode()
                await reply.write(b"retry: 2000\n\n")
            elif reply.started:  # the connection is cut: half an answer is none
                raise
            else:
                await reply.page(error.code, "The hub cannot be reached", str(error), again=_AGAIN)

    async def _sent(self, given: dict[str, str]) -> dict[str, str]:
        own = {AUTHORIZATION: f"Bearer {await self._tokens.current(self._api)}", NAMESPACE: self._api.namespace}
        return {**given, "accept-encoding": "identity", FORWARDED: "yes", **own}

    def _back(self, name: bytes, value: bytes) -> tuple[bytes, bytes] | None:
        if name.decode("latin-1") in _NOT_PASSED_BACK:
            return None
        if name == b"content-type":
            return name, value.replace(UNDER_ANOTHER_NAME, HTML, 1)
        return name, value.removeprefix(self._place.encode()) if name == b"location" else value


@dataclass(slots=True)
class _Reply(Answer):
    """An answer of any kind."""

    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])

    async def start(self) -> None:
        """Send the head."""
        self.started = True
        headers = self.headers or [(b"content-type", self.content_type), (b"cache-control", b"no-store")]
        await self.send({"type": "http.response.start", "status": self.status, "headers": headers})

    async def pass_on(self, pieces: AsyncIterator[bytes]) -> None:
        """Send a body as it comes; its head at once, though the first piece may take long."""
        await self.start()
        async with aclosing(pieces) as found:  # pyright: ignore[reportArgumentType]  # httpx's are generators
            async for piece in found:
                await self.write(piece)

    def redirect(self, path: str, cookie: str = "") -> None:
        """Lead to another page."""
        self.status = 303
        self.headers = [(b"location", path.encode()), (b"cache-control", b"no-store"), (b"content-length", b"0")]
        self.headers += [(b"referrer-policy", b"no-referrer"), *([(b"set-cookie", cookie.encode())] if cookie else ())]

    async def page(self, status: int, title: str, text: str, *, again: int | None = None) -> None:
        """Say something on a page of our own, which may be asked for again after some seconds."""
        body = _PAGE.format(title=html.escape(title), text=html.escape(text)).encode()
        self.status = status
        self.headers = [
            (b"content-type", self.content_type),
            (b"cache-control", b"no-store"),
            (b"content-length", b"%d" % len(body)),
        ]
        self.headers += [(b"content-security-policy", b"default-src 'none'"), (b"x-content-type-options", b"nosniff")]
        if again is not None:
            self.headers.append((b"refresh", b"%d" % again))
        await self.write(body)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<title>{title} · Kedge</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><main><h1>{title}</h1><p>{text}</p></main></body></html>
"""
_UNKNOWN = "These pages are for whoever has started kedge open. The link that it printed signs one browser in, once."


def _cookies(text: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(text).items()}
    except CookieError:  # another program's of this machine
        return {}


async def _body(receive: Receive) -> bytes | None:
    """What was sent; ``None`` where it is too large."""
    found = bytearray()
    while True:
        message = await receive()
        found += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(found) if len(found) <= BODY_LIMIT else None
        if len(found) > BODY_LIMIT:
            found = bytearray(BODY_LIMIT + 1)


def _refused(code: int, content: bytes, place: str) -> ApiError:
    """What the API server, and no hub, has answered."""
    try:
        status: Any = msgspec.json.decode(content)
        said = str(status.get("message", "")) if isinstance(status, dict) else ""
    except msgspec.DecodeError:
        said = content[:200].decode("utf-8", "replace")
    if code == Forbidden.code:
        return Forbidden(f"{said} The Role kedge-proxy of the hub's namespace allows it: ask whoever installed Kedge for it.")
    if code == 200:
        return Unavailable(f"{place}: the hub there is older than this command: `kedge upgrade` brings it to this version.")
    return Unavailable(f"the hub does not answer (the API server says {code}: {said or 'nothing'}). Is its Pod ready?")
