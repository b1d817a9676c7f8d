"""The client of any Kubernetes API server, over HTTP.

Reads are tried again when the server is busy or cannot be reached; writes are not, except when they were not done for certain:
the server said 429, or there was no connection to send them on. A watch outlives the connection: when that ends, or says nothing
for so long that it may be dead, it goes on from the last revision, and only `errors.Gone` ends it.
"""

import asyncio
import socket
import ssl
import tempfile
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import msgspec

from kedge import errors
from kedge.client.bearer import Bearer
from kedge.client.exec_login import ExecLogin
from kedge.client.kubeconfig import Access, Program
from kedge.client.lines import Lines
from kedge.client.status import from_status, of_patch
from kedge.client.transport import Answer, KeptConnections
from kedge.client.types import Page, Patch, PatchType, Propagation, WatchEvent
from kedge.config import Settings
from kedge.kube.clock import Clock, SystemClock
from kedge.kube.kinds import Kind, Obj

_ATTEMPTS = 5
_FIRST_DELAY = 0.1
_LONGEST_WAIT = 60.0  # seconds that a server may ask for: whoever waits can do nothing else, not even hear of the run's end
_BUSY = frozenset({429, 500, 502, 503, 504})
_PATCH_TYPES: Mapping[PatchType, str] = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_WATCH_SECONDS = 290  # servers end watches at their own whim; asking for it makes the end an orderly one
# A server says every minute how far a quiet watch has come. One that says nothing for longer may be behind a connection that a
# firewall has forgotten, or a proxy lost: going on elsewhere costs one request.
_QUIET_SECONDS = 90.0
_ANSWER_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_TIMEOUTS = {"connect": _CONNECT_SECONDS, "read": _ANSWER_SECONDS, "write": _ANSWER_SECONDS}
# Of a connection that is to stay: the kernel asks the other end after 10 seconds of silence, and gives up 15 seconds later; what
# is sent and not acknowledged for 20 seconds ends it too. The names are those that the system has.
_KEPT_ALIVE: tuple[tuple[str, int], ...] = (
    ("TCP_KEEPIDLE", 10),
    ("TCP_KEEPALIVE", 10),  # macOS' name for the same
    ("TCP_KEEPINTVL", 5),
    ("TCP_KEEPCNT", 3),
    ("TCP_USER_TIMEOUT", 20_000),
)


class _WatchLine(msgspec.Struct):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: dict[str, Any]


_watch_lines = msgspec.json.Decoder(_WatchLine)


def tls(access: Access) -> ssl.SSLContext:
    """The TLS settings that reach a server.

    Raises:
        StateError: The CA or the client certificate cannot be used.
    """
    context = ssl.create_default_context()
    try:
        if access.ca:
            context = ssl.create_default_context(cadata=access.ca)
        if not access.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        show_certificate(context, access)
    except ssl.SSLError as error:
        raise errors.StateError(f"{access.server}: the kubeconfig's CA or client certificate cannot be used: {error}.") from error
    return context


def show_certificate(context: ssl.SSLContext, access: Access) -> None:
    """Have connections that are made from now on show a client certificate, where there is one.

    Raises:
        ssl.SSLError: It cannot be used.
    """
    if access.certificate and access.key:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # ssl reads certificates from files only
            file.write(f"{access.certificate}\n{access.key}\n")
            file.flush()
            context.load_cert_chain(file.name)


def _login(program: Program, verify: ssl.SSLContext | Literal[True], transport: httpx.AsyncBaseTransport | None) -> ExecLogin:
    context = verify if isinstance(verify, ssl.SSLContext) else None
    forget = transport.forget if isinstance(transport, KeptConnections) else None
    return ExecLogin(program, context, Settings.from_environment().environ, forget=forget)


def _named(server_name: str) -> Callable[[httpx.Request], Awaitable[None]]:
    """Has the server's certificate looked at for another name than its address."""

    async def name(request: httpx.Request) -> None:
        request.extensions = {**request.extensions, "sni_hostname": server_name}

    return name


def _transport(access: Access, verify: ssl.SSLContext | bool) -> httpx.AsyncBaseTransport:  # noqa: FBT001  # as httpx has it
    if access.proxy is None:
        context = verify if isinstance(verify, ssl.SSLContext) else None
        return KeptConnections(access.server, context, _socket_options(), name=access.server_name)
    try:
        return httpx.AsyncHTTPTransport(verify=verify, proxy=access.proxy, socket_options=_socket_options())
    except (ImportError, ValueError) as error:
        raise errors.UnsupportedError(f"the kubeconfig's proxy-url, {access.proxy}, cannot be used: {error}") from error


def keep_alive(sock: socket.socket) -> None:
    """Have a connection end that is to stay and whose other end is not there any more."""
    for option in _socket_options():
        sock.setsockopt(*option)


def _socket_options() -> list[tuple[int, int, int]]:
    options = [(socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in _KEPT_ALIVE if hasattr(socket, name)]
    return [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *options]


class HttpClient:
    """`kedge.client.types.Client` over HTTP.

    Use it as an asynchronous context manager, or call `close`.

    Args:
        access: Where the server is and who we are.
        clock: For pauses between attempts.
        transport: Speaks HTTP instead of the network: tests put an application here.
        user_agent: How we introduce ourselves.

    Attributes:
        namespace: Where the user works.
    """

    def __init__(
        self,
        access: Access,
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        user_agent: str = "kedge",
    ) -> None:
        self._clock = clock or SystemClock()
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        self.namespace = access.namespace
        verify = tls(access) if transport is None and access.server.startswith("https") else True
        self._tls = verify if isinstance(verify, ssl.SSLContext) else None
        self._bearer = Bearer(access)
        self._kept: KeptConnections | None = None
        if transport is None and (access.proxy or not urllib.request.getproxies()):
            transport = _transport(access, verify)  # httpx leaves the environment's proxies aside where it is given a transport
            if isinstance(transport, KeptConnections) and access.program is None and not access.impersonates:
                self._kept = transport
        self._http = httpx.AsyncClient(
            base_url=access.server,
            headers=[*self._headers.items(), *access.impersonates],
            auth=self._bearer if access.program is None else _login(access.program, verify, transport),
            verify=verify,
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            transport=transport,
            trust_env=transport is None,
        )
        if access.server_name:
            self._http.event_hooks = {"request": [_named(access.server_name)]}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def present(self, access: Access) -> None:
        """Show another client certificate from now on: the one before ends soon. Answers that have begun are read on."""
        if self._tls is not None:
            show_certificate(self._tls, access)
        if self._kept is not None:
            self._kept.forget()

    async def version(self) -> Obj:
        """The server's version: ``major``, ``minor``, ``gitVersion`` and more."""
        return await self._request("GET", "/version")

    async def document(self, path: str) -> Obj:
        """Read a document that is no object, such as ``/openid/v1/jwks``."""
        return await self._request("GET", path, accept="*/*")  # the key set has a media type of its own, and no other

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Obj:
        """Read one object."""
        return await self._request("GET", kind.path(namespace, name))

    async def create(self, kind: Kind, obj: Obj, *, name: str | None = None, subresource: str | None = None) -> Obj:
        """Create an object, or post to a subresource."""
        path = kind.path(_namespace(kind, obj), name if subresource else None, subresource)
        # A subresource's body is of another kind, such as TokenRequest, and says so itself.
        body = obj if subresource else {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
        return await self._request("POST", path, body=body)

    async def update(self, kind: Kind, obj: Obj, *, subresource: str | None = None) -> Obj:
        """Replace an object."""
        path = kind.path(_namespace(kind, obj), obj["metadata"]["name"], subresource)
        return await self._request("PUT", path, body={"apiVersion": kind.api_version, "kind": kind.kind, **obj})

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str | None,
        patch: Patch,
        *,
        type: PatchType = "merge",  # noqa: A002  # the API's own word
        subresource: str | None = None,
    ) -> Obj:
        """Change parts of an object."""
        path = kind.path(namespace, name, subresource)
        try:
            return await self._request("PATCH", path, body=patch, content_type=_PATCH_TYPES[type])
        except errors.Invalid as error:
            raise of_patch(error) from error

    async def apply(self, kind: Kind, obj: Obj, *, manager: str) -> Obj:
        """Make an object as it shall be, on the server's side: what was applied before and is not in it now goes away.

        Args:
            kind: The kind.
            obj: The object.
            manager: Whose fields these are from now on, also where somebody else had set them.
        """
        path = kind.path(_namespace(kind, obj), obj["metadata"]["name"])
        query = {"fieldManager": manager, "force": "true"}
        return await self._request("PATCH", path, query=query, body=obj, content_type="application/apply-patch+yaml")

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        grace_period: int | None = None,
        propagation: Propagation = "Background",
    ) -> Obj | None:
        """Delete an object, or start to."""
        options: Obj = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace_period is not None:
            options["gracePeriodSeconds"] = grace_period
        answer = await self._request("DELETE", kind.path(namespace, name), body=options)
        # The object as it was when it went at once, or a Status that says so: either way it is gone, unless it waits.
        return answer if (answer.get("metadata") or {}).get("deletionTimestamp") else None

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_: str | None = None,
    ) -> Page:
        """Read objects of one namespace, or of all."""
        query = _selectors(labels, fields)
        if limit:
            query["limit"] = str(limit)
        if continue_:
            query["continue"] = continue_
        answer = await self._request("GET", kind.path(namespace), query=query)
        meta = answer.get("metadata") or {}
        items = [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in answer.get("items") or ()]
        return Page(items, str(meta.get("resourceVersion", "")), meta.get("continue") or None)

    async def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
    ) -> AsyncIterator[WatchEvent]:
        """Yield changes after ``resource_version`` until cancelled."""
        version, failures = resource_version, 0
        while True:
            query = _selectors(labels, fields) | {
                "watch": "true",
                "allowWatchBookmarks": "true",
                "timeoutSeconds": str(_WATCH_SECONDS),
                "resourceVersion": version,
            }
            asked = 0.0
            try:
                async for event in self._stream(kind.path(namespace), query):
                    version, failures = event.object["metadata"]["resourceVersion"], 0
                    yield event
            except (errors.Unavailable, errors.TooManyRequests, errors.ServerError) as error:
                failures += 1
                if failures >= _ATTEMPTS:
                    raise
                asked = _asked(error) if isinstance(error, errors.TooManyRequests) else 0.0
            await self._clock.sleep(max(asked, _FIRST_DELAY * 2**failures))

    async def _stream(self, path: str, query: Mapping[str, str]) -> AsyncIterator[WatchEvent]:
        timeout = httpx.Timeout(_QUIET_SECONDS, connect=_CONNECT_SECONDS)
        request = self._http.build_request("GET", path, params=query, timeout=timeout)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                response = await self._http.send(request, stream=True)
        except (httpx.RequestError, TimeoutError) as error:
            raise self._unreachable(error) from error
        try:
            if response.is_error:
                await response.aread()
                raise _error(_whole(response))
            lines = Lines()
            async for data in response.aiter_bytes():
                for line in filter(bytes.strip, lines.feed(data)):
                    yield _event(line)
            if lines.rest.strip():
                yield _event(lines.rest)
        except httpx.ReadTimeout:
            return  # quiet for too long
        except httpx.RequestError as error:
            raise self._unreachable(error) from error
        finally:
            await response.aclose()

    async def stream(self, path: str, query: Mapping[str, str], silence: float | None = None) -> AsyncGenerator[bytes]:
        """Yield what a path answers, as it comes; what a followed log wants.

        Args:
            path: Such as ``/api/v1/namespaces/default/pods/x/log``.
            query: Its parameters.
            silence: Seconds for which the server may say nothing; ``None`` for ever.

        Raises:
            ApiError: What the server says; raised before the first piece.
            Unavailable: It cannot be reached, or stopped in the middle.
        """
        try:
            async with self._http.stream(
                "GET", path, params=query, timeout=httpx.Timeout(silence, connect=_CONNECT_SECONDS)
            ) as response:
                if response.is_error:
                    await response.aread()
                    raise _error(_whole(response))
                async for data in response.aiter_bytes():
                    yield data
        except httpx.RequestError as error:
            raise self._unreachable(error) from error

    @asynccontextmanager
    async def exchange(
        self, method: str, path: str, *, headers: Mapping[str, str], content: bytes = b"", silence: float | None = _ANSWER_SECONDS
    ) -> AsyncGenerator[httpx.Response]:
        """Send one request as it is, once, and yield its answer, whatever its status; what speaking through a proxy path wants.

        Args:
            method: Such as ``POST``.
            path: Such as ``/api/v1/namespaces/default/services/http:x:80/proxy/``.
            headers: Besides our own.
            content: The body.
            silence: Seconds for which the other side may say nothing; ``None`` for ever.

        Raises:
            Unavailable: The server cannot be reached, or stopped in the middle.
        """
        timeout = httpx.Timeout(silence, connect=_CONNECT_SECONDS)
        try:
            async with self._http.stream(method, path, content=content, headers=headers, timeout=timeout) as response:
                yield response
        except httpx.RequestError as error:
            raise self._unreachable(error) from error

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "",
    ) -> Obj:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if content is None else {"Content-Type": content_type}
        if accept:
            headers["Accept"] = accept
        for attempt in range(1, _ATTEMPTS + 1):
            last = attempt == _ATTEMPTS
            delay = _FIRST_DELAY * 2**attempt
            try:
                answer = await self._ask(method, path, query, headers, content)
            except httpx.RequestError as error:
                unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
                if last or not (unsent or method == "GET"):
                    raise self._unreachable(error) from error
            else:
                if answer.status < 400:  # what is no error
                    return self._decoded(path, answer)
                failure = _error(answer)
                busy = answer.status == errors.TooManyRequests.code or (method == "GET" and answer.status in _BUSY)
                if last or not busy:
                    raise failure
                delay = max(delay, _asked(failure))
            await self._clock.sleep(delay)
        raise AssertionError("the last attempt returns or raises")

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None, headers: Mapping[str, str], content: bytes | None
    ) -> Answer:
        """Send a request once."""
        if self._kept is None:
            return _whole(await self._http.request(method, path, params=query, content=content, headers=headers))
        sent = {**self._headers, **headers}
        if token := self._bearer.current():
            sent["Authorization"] = f"Bearer {token}"
        answer = await self._kept.ask(method, path, query, sent, content, timeouts=_TIMEOUTS)
        if answer.status == errors.Unauthorized.code and (again := self._bearer.another(token)):
            sent["Authorization"] = f"Bearer {again}"
            answer = await self._kept.ask(method, path, query, sent, content, timeouts=_TIMEOUTS)
        return answer

    def _decoded(self, path: str, answer: Answer) -> Obj:
        try:
            return msgspec.json.decode(answer.body)
        except msgspec.DecodeError as error:
            message = (
                f"{self._http.base_url}{path}: the answer is no JSON ({error}). Is this the address of a Kubernetes API server?"
            )
            raise errors.ServerError(message) from error

    def _unreachable(self, error: httpx.RequestError | TimeoutError) -> errors.Unavailable:
        why = str(error) or type(error).__name__
        return errors.Unavailable(f"{self._http.base_url}: cannot be reached: {why}. Check that it runs (kedge status).")


def _event(line: bytes) -> WatchEvent:
    try:
        event = _watch_lines.decode(line)
    except msgspec.DecodeError as error:
        raise errors.Unavailable(f"the watch was cut off in the middle of a change ({error}).") from error
    if event.type == "ERROR":
        raise from_status(event.object, code=500)
    return WatchEvent(event.type, event.object)


def _asked(error: errors.ApiError) -> float:
    """Seconds that the server asked us to wait."""
    return min(error.retry_after or 0.0, _LONGEST_WAIT)


def _namespace(kind: Kind, obj: Obj) -> str | None:
    return (obj.get("metadata") or {}).get("namespace") or ("default" if kind.namespaced else None)


def _selectors(labels: str, fields: str) -> dict[str, str]:
    return {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}


def _whole(response: httpx.Response) -> Answer:
    return Answer(response.status_code, response.content, response.headers.get("Retry-After", ""))


def _error(answer: Answer) -> errors.ApiError:
    try:
        body: Any = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        body = answer.body.decode("utf-8", "replace")
    wait = answer.retry_after
    return from_status(body, code=answer.status, retry_after=float(wait) if wait.isdigit() else None)
