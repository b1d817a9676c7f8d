"""The endpoint behind ``/api`` and ``/apis``: one request, from its path to its answer.

It reads the path into a `Target`, asks who is calling, and gives the request to the handler of its verb; a handler reads its
options, calls the verb's module and prints the result. Every error is answered as a ``Status``; bad input is never a 5xx.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from starlette.types import Message, Receive, Scope, Send

from kedge.errors import ApiError, BadRequest, Cause, KedgeError, MethodNotAllowed, NotFound
from kedge.kube.core import BINDING
from kedge.kube.faults import forbidden, shown
from kedge.kube.kinds import Kind, Obj
from kedge.server import discovery
from kedge.server.answers import Lines, Printer
from kedge.server.api import Api
from kedge.server.apply import apply
from kedge.server.asked import asked_of
from kedge.server.auth import Authenticator, User
from kedge.server.authorizer import Authorizer
from kedge.server.bindings import bind_named
from kedge.server.connecting import permit
from kedge.server.core import Target, WriteOptions, key
from kedge.server.create import create
from kedge.server.delete import delete, delete_all
from kedge.server.duplicates import fields_of
from kedge.server.escalation import judge
from kedge.server.get import get
from kedge.server.impersonation import impersonated
from kedge.server.list import listing
from kedge.server.list_options import LIST_OPTIONS, WATCH_OPTIONS, asked_revision, list_query, watch_query
from kedge.server.node_restriction import restrict, restrict_token
from kedge.server.patch import patch
from kedge.server.peers import peer_of
from kedge.server.pod_log import log
from kedge.server.pod_streams import SUBRESOURCES, connect
from kedge.server.proxying import Proxy, place_of
from kedge.server.registry import NOT_ALLOWED, NOT_THERE
from kedge.server.requests import (
    APPLY,
    JSON,
    NO_OPTIONS,
    NotAcceptable,
    Options,
    apply_options,
    content_type,
    decode_config,
    decode_json,
    decode_object,
    delete_options,
    form_of,
    header,
    patch_type,
    read_body,
    target_of,
    wants_yaml,
    write_options,
)
from kedge.server.reviews import review
from kedge.server.rights import Asked
from kedge.server.status import defect, send_error, send_json, send_no_page
from kedge.server.streams import Streams, watch_answer, write_watch
from kedge.server.update import WRITABLE_SUBRESOURCES, update
from kedge.server.waiting import posted
from kedge.server.yaml_answers import as_yaml

_WRITE_OPTIONS = ("dryRun", "fieldManager", "fieldValidation")
_DELETE_OPTIONS = ("gracePeriodSeconds", "propagationPolicy", "orphanDependents", "dryRun")
_ALL_WARNINGS, _LONG_WARNING = 4096, 256  # characters
_REFUSED = {
    ("pods", "ephemeralcontainers"): (
        "no container can be added to a Pod that runs here. Look into one by kubectl exec -it POD -- sh, or have a copy of it "
        "with one more container by kubectl debug POD --copy-to=NAME --share-processes=false."
    ),
    ("nodes", "proxy"): "Nodes are not proxied here: no kubelet serves behind one. Pods and Services are.",
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

    async def object(self, options: WriteOptions) -> Obj:
        """The body as an object; what it has twice is noted."""
        body = await read_body(self.scope, self.receive)
        obj = decode_object(self.scope, body)
        if content_type(self.scope) in {"", JSON} and options.validation != "Ignore":
            options.fields = fields_of(body, obj)
        return obj

    async def answer(self, value: Obj, code: int = 200) -> None:
        """Answer, with the warnings that came up."""
        warnings = tuple((b"warning", _warning(text)) for text in _bounded(self.warnings)) if self.warnings else ()
        await send_json(self.send, value, code, warnings)


def _warning(text: str) -> bytes:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    plain = "".join(each if " " <= each <= "~" else "?" for each in quoted)  # names of fields may hold the end of a line
    return f'299 - "{plain}"'.encode()


def _bounded(warnings: list[str]) -> list[str]:
    """As many warnings as a head may hold, shortened where they are long: Kubernetes' numbers."""
    told = list(dict.fromkeys(warnings))
    if sum(map(len, told)) > _ALL_WARNINGS:
        told = [text[:_LONG_WARNING] for text in told]
    kept = 0
    while kept < len(told) and sum(map(len, told[: kept + 1])) <= _ALL_WARNINGS:
        kept += 1
    return told[:kept]


def _warning_of(send: Send, text: str) -> Send:
    """Answers that warn, whatever else they say."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"warning", _warning(text))]}
        await send(message)

    return sent


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
        self._authorizer = Authorizer(api.core)
        self._streams = streams
        self._proxy = Proxy(api)
        self._lines = Lines()
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
        plain, send = send, as_yaml(send) if wants_yaml(scope) else send
        try:
            user = impersonated(scope, self._caller(scope), self._authorizer)
            path = scope["path"]
            if not user.is_owner:
                self._authorizer.require(user, asked_of(scope))
            if path.startswith("/apis/") and path.split("/", 3)[2] not in self._api.registry.groups:
                await send_no_page(send)
                return
            if (found := self._discover(scope, path)) is not None:
                require_get(scope)
                # Clients tell the two forms of discovery apart by the content type alone.
                form = found.get("apiVersion", "").partition("apidiscovery.k8s.io/")[2]
                if not form:
                    form_of(scope)
                precise = f"application/json;g=apidiscovery.k8s.io;v={form};as=APIGroupDiscoveryList".encode()
                await send_json(send, found, headers=((b"content-type", precise),) if form else ())
                return
            if (place := place_of(path)) is not None:
                await permit(self._core, place.target, NO_OPTIONS, user, place.rest)
                await self._proxy.serve(place, scope, receive, plain)
                return
            target = target_of(self._api.registry, path)
            kind, name = target.kind, target.name
            send = _warning_of(send, kind.deprecated) if kind.deprecated else send
            await self._serve(Request(scope, receive, send, target, user, Options(scope)))
        except ApiError as error:
            await send_error(send, error, kind, name)
        except RecursionError:
            await send_error(send, BadRequest("the object is nested too deeply. Flatten it."), kind, name)
        except KedgeError as error:
            await send_error(send, ApiError(str(error)), kind, name)
        except Exception as error:  # noqa: BLE001  # the last line: a defect becomes a Status and a traceback in the log
            await send_error(send, defect(error), kind, name)

    def _caller(self, scope: Scope) -> User:
        return peer_of(scope) or self._authenticator.bearer(header(scope, b"authorization"))

    async def _serve(self, request: Request) -> None:
        target = request.target
        if target.subresource and target.subresource not in target.kind.subresources:
            why = _REFUSED.get((target.kind.resource, target.subresource), "`kubectl api-resources` lists what it has.")
            raise NotFound(f"{NOT_THERE}: there is no {target.kind.resource}/{target.subresource}. {why}")
        if target.subresource in SUBRESOURCES:
            if not request.user.is_owner:
                # Whoever may read must not therefore run: with a WebSocket, whose request is always GET, it is asked for twice.
                asked = asked_of(request.scope)
                self._authorizer.require(request.user, replace(asked, verb="create"))
            await permit(self._core, target, request.options, request.user)
            await connect(self._api, target, request.options, (request.scope, request.receive, self._streams))
            return
        await self._handlers[_verb(request)](request)

    async def _get(self, request: Request) -> None:
        target = request.target
        if target.subresource == "log":
            await log(self._api, target, request.options, (self._streams, request.receive, request.send))
            return
        if target.subresource not in {"", "status", "scale"}:
            raise MethodNotAllowed(f"{NOT_ALLOWED}: {target.kind.plural}/{target.subresource} cannot be read.")
        options = request.options.only("resourceVersion", "includeObject", *WATCH_OPTIONS)
        asked_revision(options.text("resourceVersion"), self._core.store.current())
        await request.answer(self._printer(request).one(get(self._core, target)))

    async def _list(self, request: Request) -> None:
        options = request.options.only(*LIST_OPTIONS, *WATCH_OPTIONS)
        printer = self._printer(request)
        query = list_query(options, self._core.store.current())
        await request.answer(printer.page(listing(self._core, request.target, query, printed=printer.is_plain)))

    async def _watch(self, request: Request) -> None:
        options = request.options.only(*LIST_OPTIONS, *WATCH_OPTIONS)
        if wants_yaml(request.scope):
            raise NotAcceptable(f"only the following media types are accepted: {JSON}")
        query, how = watch_query(options, self._core.store.current())
        answer = watch_answer(request.scope, request.send)
        out = answer, self._printer(request), self._streams.fan_out
        body = write_watch(self._core, request.target, query, how, out)
        await self._streams.run(answer, request.receive, body)

    async def _create(self, request: Request) -> None:
        target = request.target
        if target.kind.namespaced and target.namespace is None:
            why = f"{target.kind.plural} are created in a namespace: POST {target.kind.path('NAMESPACE')}."
            raise MethodNotAllowed(f"{NOT_ALLOWED}: {why}") if "list" in target.kind.verbs else NotFound(f"{NOT_THERE}: {why}")
        options = self._write_options(request, "CreateOptions")
        printer = self._printer(request)
        obj = await request.object(options)
        if target.subresource:
            if target.subresource == "token":
                restrict_token(self._core, request.user, target, obj)
            obj = await posted(self._core, target, obj, options)
            await request.answer(self._api.create_subresource(target, obj, options), 201)
        elif target.name:
            raise MethodNotAllowed(
                f"{NOT_ALLOWED}: objects are created in their collection: POST {target.kind.path(target.namespace)}."
            )
        elif target.kind is BINDING:
            obj = await posted(self._core, target, obj, options)
            await request.answer(bind_named(self._core, target, obj, options), 201)
        elif "get" not in target.kind.verbs:
            found = review(self._core, target, obj, request.user, (self._authenticator, self._authorizer))
            await request.answer(found, 201)
        else:
            await request.answer(printer.one(await create(self._core, target, obj, options)), 201)

    async def _update(self, request: Request) -> None:
        options = self._write_options(request, "UpdateOptions")
        printer = self._printer(request)
        obj = await request.object(options)
        await request.answer(printer.one(await update(self._core, request.target, obj, options)))

    async def _patch(self, request: Request) -> None:
        form = content_type(request.scope)
        if form == APPLY:
            await self._apply(request)
            return
        how = patch_type(form)
        faults = [] if request.options.flag("force") is None else [forbidden("force", "may not be specified for non-apply patch")]
        options = self._write_options(request, "PatchOptions", "force", faults=faults)
        printer = self._printer(request)
        body = await read_body(request.scope, request.receive)
        change = decode_json(body)
        if options.validation != "Ignore":
            options.fields = {path: True for path, twice in fields_of(body, change).items() if twice}
        await request.answer(printer.one(await patch(self._core, request.target, change, how, options)))

    async def _apply(self, request: Request) -> None:
        target, user = request.target, request.user
        options, force = apply_options(request.options.only(*_WRITE_OPTIONS, "force"), header(request.scope, b"user-agent"))
        self._follow(request, options)
        printer = self._printer(request)
        config = decode_config(await read_body(request.scope, request.receive))
        if not user.is_owner and self._core.store.get(key(target)) is None:
            asked = Asked("create", target.kind.group, target.kind.plural, target.namespace or "", target.name)
            self._authorizer.require(user, asked)
        obj, new = await apply(self._core, target, config, options, force=force)
        await request.answer(printer.one(obj), 201 if new else 200)

    async def _delete(self, request: Request) -> None:
        target = request.target
        options = delete_options(request.options.only(*_DELETE_OPTIONS), await _optional_object(request))
        printer = self._printer(request)
        obj, gone = await delete(self._core, target, replace(options, caller=request.user, warnings=request.warnings))
        await request.answer(_deleted(target, obj) if gone else printer.one(obj))

    async def _delete_all(self, request: Request) -> None:
        kind = request.target.kind
        if kind.namespaced and request.target.namespace is None:
            why = f"{kind.plural} of all namespaces are not deleted at once: DELETE {kind.path('NAMESPACE')}."
            raise MethodNotAllowed(f"{NOT_ALLOWED}: {why}")
        options = request.options.only(*_DELETE_OPTIONS, *LIST_OPTIONS, "timeoutSeconds")
        how = delete_options(options, await _optional_object(request))
        how = replace(how, caller=request.user, warnings=request.warnings)
        query = list_query(options, self._core.store.current())
        await request.answer(self._printer(request).page(await delete_all(self._core, request.target, query, how)))

    def _write_options(self, request: Request, kind: str, *more: str, faults: Sequence[Cause] = ()) -> WriteOptions:
        given, agent = request.options.only(*_WRITE_OPTIONS, *more), header(request.scope, b"user-agent")
        options = write_options(given, kind, agent, faults)
        self._follow(request, options)
        return options

    def _follow(self, request: Request, options: WriteOptions) -> None:
        """Tell the warnings of a write with its answer, and judge what is stored by who asks."""
        request.warnings = options.warnings
        user = options.caller = request.user
        if not user.is_owner:
            options.judge = lambda kind, new, old: self._judge(user, kind, new, old)

    def _judge(self, user: User, kind: Kind, new: Obj, old: Obj | None) -> None:
        judge(self._authorizer, user, kind, new, old)
        restrict(self._core, user, kind, new, old)

    def _printer(self, request: Request) -> Printer:
        form, include = form_of(request.scope, tables="get" in request.target.kind.verbs), request.options.text("includeObject")
        if include and form.shape == "Table" and include not in {"Metadata", "Object", "None"}:
            why = f"Invalid value: {shown(include)}: must be 'Metadata', 'Object', 'None', or empty"
            raise BadRequest(f"Unable to convert to Table as requested: includeObject: {why}")
        return Printer(request.target.kind, form, include, self._core.clock.now, self._lines)

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
            return discovery.group(registry, parts[1])
        if parts[0] == "apis" and len(parts) == 3:
            return discovery.resource_list(registry, parts[1], parts[2])
        return None


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
        raise MethodNotAllowed(f"{NOT_ALLOWED}: {scope['method']} is not supported here; this path can only be read.")


def _verb(request: Request) -> str:
    method, target = request.scope["method"], request.target
    if method == "GET" and not target.name:
        return "watch" if request.options.flag("watch") else "list"
    if method == "GET":  # with ?watch too: one object is watched through its list
        return "get"
    if method == "POST":
        return "create"
    if method == "DELETE" and not target.subresource:
        return "delete" if target.name else "deletecollection"
    if method in {"PUT", "PATCH"} and target.name and target.subresource in {"", *WRITABLE_SUBRESOURCES}:
        return "update" if method == "PUT" else "patch"
    what = f"{target.kind.plural}/{target.subresource}" if target.subresource else target.kind.plural
    raise MethodNotAllowed(f"{NOT_ALLOWED}: {method} is not supported on {what}{'' if target.name else ' without a name'}.")


async def _optional_object(request: Request) -> Obj | None:
    body = await read_body(request.scope, request.receive)
    return decode_object(request.scope, body) if body.strip() else None


def _deleted(target: Target, obj: Obj) -> Obj:
    details: Obj = {"name": target.name, "kind": target.kind.plural, "uid": obj["metadata"]["uid"]}
    if target.kind.group:
        details["group"] = target.kind.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
