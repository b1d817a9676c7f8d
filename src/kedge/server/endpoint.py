"""The endpoint behind ``/api`` and ``/apis``: one request, from its path to its answer.

It reads the path into a `Target`, asks who is calling, and gives the request to the handler of its verb; a handler reads its
options, calls the verb's module and prints the result. Every error is answered as a ``Status``; bad input is never a 5xx.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

from kedge.errors import ApiError, BadRequest, Gone, KedgeError, MethodNotAllowed, NotFound
from kedge.kube.kinds import Kind, Obj
from kedge.server import discovery
from kedge.server.answers import Printer
from kedge.server.api import Api, revision_of
from kedge.server.auth import Authenticator, User, authorize
from kedge.server.core import Target
from kedge.server.create import create
from kedge.server.delete import delete, delete_all
from kedge.server.get import get
from kedge.server.list import Query, listing
from kedge.server.patch import patch
from kedge.server.pod_log import log
from kedge.server.requests import (
    Options,
    content_type,
    decode_json,
    decode_object,
    delete_options,
    form_of,
    header,
    patch_type,
    read_body,
    target_of,
    write_options,
)
from kedge.server.reviews import review
from kedge.server.status import defect, send_error, send_json
from kedge.server.streams import Streams, WatchOptions, watch_answer, write_watch
from kedge.server.update import WRITABLE_SUBRESOURCES, update

_LIST_OPTIONS = ("labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch")
_WATCH_OPTIONS = ("watch", "allowWatchBookmarks", "timeoutSeconds", "sendInitialEvents", "includeObject")
_WRITE_OPTIONS = ("dryRun", "fieldManager", "fieldValidation")
_DELETE_OPTIONS = ("gracePeriodSeconds", "propagationPolicy", "orphanDependents", "dryRun")
_REFUSED = {
    "exec": "commands cannot be run in a Pod here yet. Put the command into the step itself, or read its log.",
    "attach": "a Pod's streams cannot be attached to here. `kubectl logs -f` follows its output.",
    "portforward": "ports are not forwarded here: Pods of this host run on this machine, reach them on localhost.",
    "proxy": "Pods are not proxied here: they run on this machine, reach them on localhost.",
    "eviction": "Pods are not evicted here: delete the Pod instead.",
    "binding": "Pods are bound to this host's node when they are created.",
    "ephemeralcontainers": "containers cannot be added to a running Pod here.",
    "scale": "nothing is scaled here; a cluster does that.",
}


@dataclass(slots=True)
class Request:
    """One request on its way to a verb.

    Attributes:
        target: What it is about.
        user: Who asks.
        options: The query.
    """

    scope: Scope
    receive: Receive
    send: Send
    target: Target
    user: User
    options: Options
    warnings: list[str] = field(default_factory=list[str])

    async def object(self) -> Obj:
        """The body as an object."""
        return decode_object(self.scope, await read_body(self.scope, self.receive))

    async def answer(self, value: Obj, code: int = 200) -> None:
        """Answer, with the warnings that came up."""
        warnings = tuple((b"warning", _warning(text)) for text in self.warnings)
        await send_json(self.send, value, code, warnings)


def _warning(text: str) -> bytes:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{quoted}"'.encode("ascii", "replace")


class Kubernetes:
    """The ASGI endpoint of ``/api`` and ``/apis``.

    Args:
        api: The verbs.
        authenticator: Who asks.
        streams: Where watches and logs are noted, so that a host that stops can end them.
    """

    def __init__(self, api: Api, authenticator: Authenticator, streams: Streams) -> None:
        self._api = api
        self._core = api.core
        self._authenticator = authenticator
        self._streams = streams
        self._handlers: dict[str, Callable[[Request], Awaitable[None]]] = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_all,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        kind: Kind | None = None
        name = ""
        try:
            user = self._authenticator.bearer(header(scope, b"authorization"))
            path = scope["path"]
            if (found := self._discover(scope, path)) is not None:
                require_get(scope)
                # Clients tell the two forms of discovery apart by the content type alone.
                form = found.get("apiVersion", "").partition("apidiscovery.k8s.io/")[2]
                precise = f"application/json;g=apidiscovery.k8s.io;v={form};as=APIGroupDiscoveryList".encode()
                await send_json(send, found, headers=((b"content-type", precise),) if form else ())
                return
            target = target_of(self._api.registry, path)
            kind, name = target.kind, target.name
            await self._serve(Request(scope, receive, send, target, user, Options(scope)))
        except ApiError as error:
            await send_error(send, error, kind, name)
        except RecursionError:
            await send_error(send, BadRequest("the object is nested too deeply. Flatten it."), kind, name)
        except KedgeError as error:
            await send_error(send, ApiError(str(error)), kind, name)
        except Exception as error:  # noqa: BLE001  # the last line: a defect becomes a Status and a traceback in the log
            await send_error(send, defect(error), kind, name)

    async def _serve(self, request: Request) -> None:
        target = request.target
        if target.subresource and target.subresource not in target.kind.subresources:
            why = _REFUSED.get(target.subresource, "no such subresource is served here.")
            raise NotFound(f"{target.kind.plural}/{target.subresource}: {why}")
        verb = _verb(request)
        authorize(request.user, target.kind, verb, target.namespace)
        await self._handlers[verb](request)

    async def _get(self, request: Request) -> None:
        target = request.target
        if target.subresource == "log":
            await log(self._api, target, request.options, (self._streams, request.receive, request.send))
            return
        if target.subresource not in {"", "status"}:
            raise MethodNotAllowed(f"{target.kind.plural}/{target.subresource} cannot be read.")
        request.options.only("resourceVersion", "includeObject", "watch")
        await request.answer(self._printer(request).one(get(self._core, target)))

    async def _list(self, request: Request) -> None:
        request.options.only(*_LIST_OPTIONS, *_WATCH_OPTIONS)
        page = listing(self._core, request.target, self._query(request.options))
        await request.answer(self._printer(request).page(page))

    async def _watch(self, request: Request) -> None:
        options = request.options.only(*_LIST_OPTIONS, *_WATCH_OPTIONS)
        version, wanted = options.text("resourceVersion"), options.flag("sendInitialEvents")
        initial = version in {"", "0"} if wanted is None else wanted
        query = Query(options.text("labelSelector"), options.text("fieldSelector"))
        if not initial:
            revision = self._core.store.current() if version in {"", "0"} else revision_of(version)
            query = Query(query.labels, query.fields, revision=revision)
        elif version not in {"", "0"} and revision_of(version) > self._core.store.current():
            raise _ahead(version, self._core.store.current())
        if request.target.name:
            raise MethodNotAllowed("one object is watched through its list: ?watch=true&fieldSelector=metadata.name=NAME.")
        bookmarks = options.flag("allowWatchBookmarks") or False
        seconds = options.number("timeoutSeconds")
        how = WatchOptions(initial, bool(wanted) and bookmarks, bookmarks, float(seconds or WatchOptions().seconds))
        answer = watch_answer(request.send)
        body = write_watch(self._core, request.target, query, how, (answer, self._printer(request)))
        await self._streams.run(answer, request.receive, body)

    async def _create(self, request: Request) -> None:
        target = request.target
        options = write_options(request.options.only(*_WRITE_OPTIONS))
        request.warnings = options.warnings
        printer = self._printer(request)
        obj = await request.object()
        if target.subresource:
            await request.answer(self._api.create_subresource(target, obj), 201)
        elif target.name:
            raise MethodNotAllowed(f"objects are created in their collection: POST {target.kind.path(target.namespace)}.")
        elif "get" not in target.kind.verbs:
            found = review(self._core, target, obj, request.user, self._authenticator)
            await request.answer(found, 201)
        else:
            if target.kind.namespaced and target.namespace is None:
                raise BadRequest(f"{target.kind.plural} are created in a namespace: POST {target.kind.path('NAMESPACE')}.")
            await request.answer(printer.one(create(self._core, target, obj, options)), 201)

    async def _update(self, request: Request) -> None:
        options = write_options(request.options.only(*_WRITE_OPTIONS))
        request.warnings = options.warnings
        printer = self._printer(request)
        obj = await request.object()
        await request.answer(printer.one(update(self._core, request.target, obj, options)))

    async def _patch(self, request: Request) -> None:
        how = patch_type(content_type(request.scope))
        options = write_options(request.options.only(*_WRITE_OPTIONS, "force"))
        request.warnings = options.warnings
        printer = self._printer(request)
        change = decode_json(await read_body(request.scope, request.receive))
        await request.answer(printer.one(patch(self._core, request.target, change, how, options)))

    async def _delete(self, request: Request) -> None:
        target = request.target
        options = delete_options(request.options.only(*_DELETE_OPTIONS), await _optional_object(request))
        printer = self._printer(request)
        obj, gone = delete(self._core, target, options)
        await request.answer(_deleted(target, obj) if gone else printer.one(obj))

    async def _delete_all(self, request: Request) -> None:
        options = request.options.only(*_DELETE_OPTIONS, *_LIST_OPTIONS, "timeoutSeconds")
        how = delete_options(options, await _optional_object(request))
        query = Query(options.text("labelSelector"), options.text("fieldSelector"))
        deleted = delete_all(self._core, request.target, query, how)
        kind = request.target.kind
        meta = {"resourceVersion": str(self._core.store.current())}
        await request.answer({"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": meta, "items": deleted})

    def _printer(self, request: Request) -> Printer:
        return Printer(request.target.kind, form_of(request.scope), request.options.text("includeObject"), self._core.clock.now)

    def _query(self, options: Options) -> Query:
        match, version = options.text("resourceVersionMatch"), options.text("resourceVersion")
        if match not in {"", "Exact", "NotOlderThan"}:
            raise BadRequest(f"query parameter 'resourceVersionMatch': must be Exact or NotOlderThan, got {match!r}.")
        revision = 0
        if version not in {"", "0"} and (wanted := revision_of(version)):
            current = self._core.store.current()
            if wanted > current:
                raise _ahead(version, current)
            revision = wanted if match == "Exact" else 0
        return Query(
            labels=options.text("labelSelector"),
            fields=options.text("fieldSelector"),
            limit=options.number("limit") or 0,
            continue_=options.text("continue") or None,
            revision=revision,
        )

    def _discover(self, scope: Scope, path: str) -> Obj | None:
        """The answer to a path that names no resource, or ``None``."""
        parts = [part for part in path.split("/") if part]
        registry = self._api.registry
        if len(parts) == 1:
            core = parts == ["api"]
            if form := _aggregated_form(header(scope, b"accept")):
                return discovery.aggregated(registry, form, core=core)
            return discovery.core_versions(header(scope, b"host")) if core else discovery.group_list(registry)
        if parts[0] == "api" and len(parts) == 2:
            return discovery.resource_list(registry, "", parts[1])
        if parts[0] == "apis" and len(parts) == 2:
            if parts[1] not in registry.groups:
                raise NotFound(f"the server does not have the API group {parts[1]!r}. `kubectl api-versions` lists those it has.")
            return discovery.group(registry, parts[1])
        if parts[0] == "apis" and len(parts) == 3:
            return discovery.resource_list(registry, parts[1], parts[2])
        return None


def _ahead(version: str, current: int) -> Gone:
    return Gone(f"too large resource version: {version}, current: {current}. List again without it.")


def _aggregated_form(accept: str) -> str:
    for choice in accept.split(","):
        settings = {part.strip() for part in choice.split(";")[1:]}
        if {"g=apidiscovery.k8s.io", "as=APIGroupDiscoveryList"} <= settings:
            for form in ("v2", "v2beta1"):
                if f"v={form}" in settings:
                    return form
    return ""


def require_get(scope: Scope) -> None:
    """Refuse to change what can only be read."""
    if scope["method"] != "GET":
        raise MethodNotAllowed(f"{scope['method']} is not supported here; this path can only be read.")


def _verb(request: Request) -> str:
    method, target = request.scope["method"], request.target
    if method == "GET" and not target.name:
        return "watch" if request.options.flag("watch") else "list"
    if method == "GET":
        return "watch" if request.options.flag("watch") and not target.subresource else "get"
    if method == "POST":
        return "create"
    if method == "DELETE" and not target.subresource:
        return "delete" if target.name else "deletecollection"
    if method in {"PUT", "PATCH"} and target.name and target.subresource in {"", *WRITABLE_SUBRESOURCES}:
        return "update" if method == "PUT" else "patch"
    what = f"{target.kind.plural}/{target.subresource}" if target.subresource else target.kind.plural
    raise MethodNotAllowed(f"{method} is not supported on {what}{'' if target.name else ' without a name'}.")


async def _optional_object(request: Request) -> Obj | None:
    body = await read_body(request.scope, request.receive)
    return decode_object(request.scope, body) if body.strip() else None


def _deleted(target: Target, obj: Obj) -> Obj:
    details: Obj = {"name": target.name, "kind": target.kind.plural, "uid": obj["metadata"]["uid"]}
    if target.kind.group:
        details["group"] = target.kind.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
