"""Who asks.

Two kinds of callers are known. The *owner* holds the host's token (in ``host.json`` and the kubeconfig, both mode 0600) and may
do everything. A *Pod*, and who else was given one, holds a service-account token: with the audience ``kedge`` it is for the hub's
staging API, with the API server's own it is for the Kubernetes API, where RBAC says what may be done (`kedge.server.authorizer`).
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kedge.errors import NotFound, Unauthorized
from kedge.kube.core import NODE, POD, SECRET, SERVICE_ACCOUNT
from kedge.kube.kinds import Kind, Obj
from kedge.server.tokens import DEFAULT_AUDIENCE, Claims, Reference, Tokens

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
SERVICE_ACCOUNTS = "system:serviceaccounts"
POD_NAME, POD_UID = "authentication.kubernetes.io/pod-name", "authentication.kubernetes.io/pod-uid"
NODE_NAME, NODE_UID = "authentication.kubernetes.io/node-name", "authentication.kubernetes.io/node-uid"
TOKEN_ID = "authentication.kubernetes.io/credential-id"  # noqa: S105  # the name of a field
KEDGE_AUDIENCE = "kedge"
_BOUND: Mapping[str, Kind] = {"secret": SECRET, "node": NODE}


@dataclass(frozen=True, slots=True)
class User:
    """A caller.

    Attributes:
        name: ``kedge-owner`` or ``system:serviceaccount:NAMESPACE:NAME``.
        uid: The service account's.
        groups: What authorisation goes by.
        extra: For a Pod's token, the Pod's name and uid.
        audiences: Those that the token was made for; of the owner, all that were asked about.
    """

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    audiences: tuple[str, ...] = ()

    @property
    def pod_uid(self) -> str | None:
        """The Pod that the token is bound to."""
        return next(iter(self.extra.get(POD_UID, ())), None)

    @property
    def is_owner(self) -> bool:
        """Whether everything is allowed."""
        return MASTERS in self.groups


class Objects(Protocol):
    """Where service accounts and Pods are looked up; `kedge.server.api.Api` is one."""

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Obj:
        """Read one object; raises `errors.NotFound`."""
        ...


class OwnerToken:
    """Knows the owner by the host's own token, and nobody else.

    Args:
        token: The host's own.
    """

    def __init__(self, token: str) -> None:
        self._owner = token.encode()

    def user(self, token: str, audiences: Sequence[str] = (DEFAULT_AUDIENCE,)) -> User:
        """The owner; raises `errors.Unauthorized` for every other token."""
        if (owner := self._holder(token, audiences)) is None:
            raise _unknown()
        return owner

    def bearer(self, authorization: str, audiences: Sequence[str] = (DEFAULT_AUDIENCE,)) -> User:
        """The caller behind an ``Authorization`` header; raises as `user` does."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized(
                "no bearer token came with the request. Send `Authorization: Bearer TOKEN`; `kedge status` shows the token."
            )
        return self.user(token.strip(), audiences)

    def _holder(self, token: str, audiences: Sequence[str]) -> User | None:
        if not hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._owner):
            return None
        return User("kedge-owner", groups=(MASTERS, AUTHENTICATED), audiences=tuple(audiences))


def _unknown() -> Unauthorized:
    return Unauthorized("the token is not known here. Use the one in the host's kubeconfig (`kedge status`).")


class Authenticator(OwnerToken):
    """Finds out who holds a token: the owner, or a service account of the embedded host.

    Args:
        owner_token: The host's own token.
        tokens: Checks service-account tokens.
        objects: Where to see whether the account and the Pod of a token still exist.
    """

    def __init__(self, owner_token: str, tokens: Tokens, objects: Objects) -> None:
        super().__init__(owner_token)
        self._objects = objects
        self.tokens = tokens

    def user(self, token: str, audiences: Sequence[str] = (DEFAULT_AUDIENCE,)) -> User:
        """The caller who holds a token.

        Args:
            token: Without ``Bearer``.
            audiences: The token must be for one of these.

        Raises:
            Unauthorized: The token is not known, has ended, is for others, or its account or Pod is gone. Never names the token.
        """
        if (owner := self._holder(token, audiences)) is not None:
            return owner
        if token.count(".") != 2:
            raise _unknown()
        claims = self.tokens.verify(token)
        shared = tuple(audience for audience in audiences if audience in claims.audiences)
        if not shared:
            raise Unauthorized(
                f"the token is for {', '.join(claims.audiences)}, not for {', '.join(audiences)}. Ask for one with that audience."
            )
        self._check_alive(claims)
        return account(claims, shared)

    def _check_alive(self, claims: Claims) -> None:
        found = [(SERVICE_ACCOUNT, claims.account, "service account")]
        if claims.pod is not None:
            found.append((POD, claims.pod, "Pod"))
        if claims.bound is not None:
            kind = _BOUND[claims.bound[0]]
            found.append((kind, claims.bound[1], kind.kind))
        for kind, reference, what in found:
            space = claims.namespace if kind.namespaced else None
            if not self._is_alive(kind, reference, space):
                name = f"{space}/{reference.name}" if space else reference.name
                raise Unauthorized(f"the token's {what} {name} is gone, and the token with it.")

    def _is_alive(self, kind: Kind, reference: Reference, namespace: str | None) -> bool:
        try:
            return self._objects.get(kind, reference.name, namespace)["metadata"]["uid"] == reference.uid
        except NotFound:
            return False


def account(claims: Claims, audiences: tuple[str, ...]) -> User:
    """The service account that a token's claims name."""
    groups = (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{claims.namespace}", AUTHENTICATED)
    extra: dict[str, tuple[str, ...]] = {TOKEN_ID: (f"JTI={claims.id}",)}
    if claims.pod is not None:
        extra |= {POD_NAME: (claims.pod.name,), POD_UID: (claims.pod.uid,)}
    if claims.bound is not None and claims.bound[0] == "node":
        extra |= {NODE_NAME: (claims.bound[1].name,), NODE_UID: (claims.bound[1].uid,)}
    return User(claims.subject, claims.account.uid, groups, extra, audiences)
