"""The embedded server in process: Kubernetes' verbs as plain calls, for controllers on the same event loop.

`Api` implements `kedge.client.local.Backend`; `kedge.server.http` serves the same verbs to everyone else. A write costs about a
tenth of a millisecond (SQLite at ``synchronous=NORMAL``), so nothing here is asynchronous, and what is read after a write is what
was written.
"""

from collections.abc import Callable, Iterable, Sequence

from kedge.client.types import Page, Patch, PatchType, Propagation, WatchEvent
from kedge.errors import BadRequest, Gone, MethodNotAllowed, Unavailable
from kedge.kube.clock import Clock, Ids
from kedge.kube.core import SERVICE_ACCOUNT
from kedge.kube.kinds import Kind, Obj
from kedge.server.core import Admission, Core, Target, WriteOptions
from kedge.server.create import create
from kedge.server.delete import DeleteOptions, delete
from kedge.server.get import get
from kedge.server.list import Query, listing
from kedge.server.logs import LogSource
from kedge.server.patch import patch
from kedge.server.registry import Registry
from kedge.server.token_request import request_token
from kedge.server.tokens import Tokens
from kedge.server.update import update
from kedge.server.watch import subscribe
from kedge.store.types import Store


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
        self.logs = logs
        self.tokens = tokens

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Obj:
        """Read one object; raises `errors.NotFound`."""
        return get(self.core, _target(kind, namespace, name))

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
        return listing(self.core, Target(kind, namespace), Query(labels, fields, limit, continue_))

    def create(self, kind: Kind, obj: Obj, *, name: str | None = None, subresource: str | None = None) -> Obj:
        """Create an object, or post to a subresource of ``name``; only ``serviceaccounts/NAME/token`` takes that."""
        meta = obj.get("metadata")
        namespace = meta.get("namespace") if isinstance(meta, dict) else None
        if subresource is None:
            return create(self.core, Target(kind, namespace), obj, WriteOptions())
        return self.create_subresource(_target(kind, namespace, name or "", subresource), obj)

    def create_subresource(self, target: Target, obj: Obj) -> Obj:
        """Post to a subresource.

        Raises:
            MethodNotAllowed: The kind has none that can be posted to.
            Unavailable: The host was made without a signer of tokens.
        """
        if target.kind.resource != SERVICE_ACCOUNT.resource or target.subresource != "token":
            raise MethodNotAllowed(f"{target.kind.resource} have no subresource {target.subresource!r} that can be posted to.")
        if self.tokens is None:
            raise Unavailable("this host signs no service-account tokens.")
        return request_token(self.core, target, obj, self.tokens)

    def update(self, kind: Kind, obj: Obj, *, subresource: str | None = None) -> Obj:
        """Replace an object, or its ``status`` or ``finalize`` part; raises `errors.Conflict` when it has changed."""
        meta = obj.get("metadata", {})
        target = _target(kind, meta.get("namespace"), meta.get("name", ""), subresource or "")
        return update(self.core, target, obj, WriteOptions())

    def patch(
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
        return _patch(self.core, _target(kind, namespace, name, subresource or ""), patch, type, WriteOptions())

    def delete(
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
        options = DeleteOptions(uid=uid, grace=grace_period, propagation=propagation)
        obj, gone = delete(self.core, _target(kind, namespace, name), options)
        return None if gone else obj

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
        return subscribe(self.core, Target(kind, namespace), query, callback)


_patch = patch  # the method of that name hides it


def _target(kind: Kind, namespace: str | None, name: str, subresource: str = "") -> Target:
    if not name:
        raise BadRequest(f"the name of one of {kind.resource} is missing.")
    if not kind.namespaced:
        namespace = None
    elif namespace is None:
        namespace = "default"
    return Target(kind, namespace, name, subresource)


def revision_of(resource_version: str) -> int:
    """Read a resourceVersion.

    Raises:
        Gone: It is not one of this server's; a client that lists again gets one.
    """
    if not resource_version.isdecimal():
        raise Gone(f"resourceVersion {resource_version!r} is not one of this server's. List again and watch from there.")
    return int(resource_version)
