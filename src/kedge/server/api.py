"""The embedded server in process: Kubernetes' verbs as plain calls, for controllers on the same event loop.

`Api` implements `kedge.client.local.Backend`; `kedge.server.http` serves the same verbs to everyone else. A write costs about a
tenth of a millisecond (SQLite at ``synchronous=NORMAL``), so that a verb waits for nobody but webhooks, and what is read after a
write is what was written.
"""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from copy import copy
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from kedge.client.types import Page, Patch, PatchType, Propagation, WatchEvent
from kedge.errors import BadRequest, Gone, MethodNotAllowed, Unavailable
from kedge.kube.admission import MUTATING
from kedge.kube.clock import Clock, Ids
from kedge.kube.core import POD, SERVICE_ACCOUNT
from kedge.kube.crds import CRD
from kedge.kube.kinds import Kind, Obj
from kedge.server.auth import AUTHENTICATED, MASTERS, User
from kedge.server.bindings import bind
from kedge.server.core import Admission, Core, Target, WriteOptions
from kedge.server.create import create
from kedge.server.definitions import Definitions
from kedge.server.delete import DeleteOptions, delete
from kedge.server.evictions import evict
from kedge.server.get import get
from kedge.server.list import Query, listing
from kedge.server.logs import LogSource
from kedge.server.patch import patch
from kedge.server.processes import Processes
from kedge.server.registry import Registry
from kedge.server.token_request import request_token
from kedge.server.tokens import Tokens
from kedge.server.update import update
from kedge.server.waiting import at_once
from kedge.server.watch import subscribe
from kedge.server.webhooks.asking import Webhooks
from kedge.store.types import Store

_OWN = User("system:kedge", groups=(MASTERS, AUTHENTICATED))

P = ParamSpec("P")
T = TypeVar("T")


def _unasked(verb: "Callable[Concatenate[Api, P], Coroutine[Any, Any, T]]") -> "Callable[Concatenate[Api, P], T]":
    """The same verb as a plain call, in which webhooks are not asked: for what the host itself begins with."""

    @wraps(verb)
    def call(api: "Api", *args: P.args, **kwargs: P.kwargs) -> T:
        plain = copy(api)
        plain.caller = None
        return at_once(verb(plain, *args, **kwargs))

    return call


class Api:
    """The Kubernetes API over a store.

    All methods belong to the event loop's thread. Objects given are not changed; objects returned are shared, and must not be.

    Args:
        store: Where objects lie.
        kinds: What is served, `kedge.kube.core.KINDS` and the features' own.
        clock: For timestamps.
        ids: For uids and generated names.
        admission: Hooks, called in order with the verb (``create``, ``update``, ``delete``), the kind, the new object, which they
            may change in place, and the old one; they raise an `ApiError` to refuse.
        logs: Reads the logs of containers; without it ``pods/log`` is refused.
        tokens: Signs service-account tokens; without it they are refused.

    Attributes:
        processes: Reaches the processes of Pods; without it ``pods/exec`` and its like are refused.
        caller: Whom webhooks see in writes of this process; ``None`` has them not asked.
        own_ports: Ports of this machine's loopback at which the host itself serves: nobody is led there.
    """

    def __init__(
        self,
        store: Store,
        kinds: Iterable[Kind],
        clock: Clock,
        ids: Ids,
        *,
        admission: Sequence[Admission] = (),
        logs: LogSource | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self.registry = Registry(kinds)
        self.core = Core(store, self.registry, clock, ids, admission)
        if MUTATING in self.registry.built_in:
            self.core.webhooks = Webhooks(self.core)
        if CRD in self.registry.built_in:
            self.core.definitions = Definitions(self.core).admit
        self.logs = logs
        self.processes: Processes | None = None
        self.own_ports: frozenset[int] = frozenset()
        self.tokens = tokens
        self.caller: User | None = _OWN

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Obj:
        """Read one object; raises `errors.NotFound`."""
        return get(self.core, self._target(kind, namespace, name))

    def list(
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
        return listing(self.core, Target(self._kind(kind), namespace), Query(labels, fields, limit, continue_))

    async def creating(self, kind: Kind, obj: Obj, *, name: str | None = None, subresource: str | None = None) -> Obj:
        """Create an object, or post to a subresource of ``name``; see `create_subresource`."""
        meta = obj.get("metadata")
        namespace = meta.get("namespace") if isinstance(meta, dict) else None
        options = self._options("CreateOptions")
        if subresource is None:
            return await create(self.core, Target(self._kind(kind), namespace), obj, options)
        return self.create_subresource(self._target(kind, namespace, name or "", subresource), obj, options)

    def create_subresource(self, target: Target, obj: Obj, options: WriteOptions) -> Obj:
        """Post to a subresource: ``serviceaccounts/NAME/token``, ``pods/NAME/eviction`` or ``pods/NAME/binding``.

        Raises:
            MethodNotAllowed: The kind has none that can be posted to.
            Unavailable: The host was made without a signer of tokens.
        """
        if target.kind.resource == POD.resource and (post := _OF_PODS.get(target.subresource)) is not None:
            return post(self.core, target, obj, options)
        if target.kind.resource != SERVICE_ACCOUNT.resource or target.subresource != "token":
            raise MethodNotAllowed(f"{target.kind.resource} have no subresource {target.subresource!r} that can be posted to.")
        if self.tokens is None:
            raise Unavailable("this host signs no service-account tokens.")
        return request_token(self.core, target, obj, self.tokens)

    async def updating(self, kind: Kind, obj: Obj, *, subresource: str | None = None) -> Obj:
        """Replace an object, or its ``status`` or ``finalize`` part; raises `errors.Conflict` when it has changed."""
        meta = obj.get("metadata", {})
        target = self._target(kind, meta.get("namespace"), meta.get("name", ""), subresource or "")
        return await update(self.core, target, obj, self._options("UpdateOptions"))

    async def patching(
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
        target = self._target(kind, namespace, name, subresource or "")
        return await _patch(self.core, target, patch, type, self._options("UpdateOptions"))

    async def deleting(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        grace_period: int | None = None,
        propagation: Propagation = "Background",
    ) -> Obj | None:
        """Delete an object, or start to; ``None`` when it is gone."""
        own = self._options("DeleteOptions")
        sent = {**own.sent, "propagationPolicy": propagation}
        sent |= {} if grace_period is None else {"gracePeriodSeconds": grace_period}
        options = DeleteOptions(uid=uid, grace=grace_period, propagation=propagation, caller=own.caller, sent=sent)
        obj, gone = await delete(self.core, self._target(kind, namespace, name), options)
        return None if gone else obj

    create = _unasked(creating)
    update = _unasked(updating)
    patch = _unasked(patching)
    delete = _unasked(deleting)

    async def stop(self) -> None:
        """Give up connections to webhooks."""
        if self.core.webhooks is not None:
            await self.core.webhooks.close()

    def subscribe(
        self,
        kind: Kind,
        namespace: str | None,
        callback: Callable[[WatchEvent], None],
        *,
        resource_version: str,
        labels: str = "",
        fields: str = "",
    ) -> Callable[[], None]:
        """Call back for every change after ``resource_version``; returns what ends that."""
        query = Query(labels, fields, revision=revision_of(resource_version))
        return subscribe(self.core, Target(self._kind(kind), namespace), query, callback)

    def _kind(self, kind: Kind) -> Kind:
        """A kind as it is now: one that users define may have changed since the caller got it."""
        return self.registry.find(kind.group, kind.version, kind.plural) if kind.structural else kind

    def _options(self, kind: str) -> WriteOptions:
        """Options of a write of this process."""
        return WriteOptions(caller=self.caller, sent={"kind": kind, "apiVersion": "meta.k8s.io/v1"})

    def _target(self, kind: Kind, namespace: str | None, name: str, subresource: str = "") -> Target:
        if not name:
            raise BadRequest(f"the name of one of {kind.resource} is missing.")
        if not kind.namespaced:
            namespace = None
        elif namespace is None:
            namespace = "default"
        return Target(self._kind(kind), namespace, name, subresource)


_OF_PODS = {"eviction": evict, "binding": bind}
_patch = patch  # the method of that name hides it


def revision_of(resource_version: str) -> int:
    """Read a resourceVersion.

    Raises:
        Gone: It is not one of this server's; a client that lists again gets one.
    """
    if not resource_version.isdecimal():
        raise Gone(f"resourceVersion {resource_version!r} is not one of this server's. List again and watch from there.")
    return int(resource_version)
