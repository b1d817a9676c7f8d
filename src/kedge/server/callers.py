"""Who calls a feature's REST API, and what they may do there: the seam between features and the two hosts.

The embedded host has one user, who may do everything (`OwnerCallers`). A cluster has many, known by their tokens or by a proxy in
front of the hub, and its own API server says what each may do in which namespace (`kedge.server.cluster_callers`).
A feature asks in Kubernetes' words: may this user do this verb with this resource in this namespace?
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from kedge.errors import Forbidden
from kedge.server.auth import MASTERS, User

GROUP = "pipelines.kubeflow.org"
"""The API group of Kubeflow Pipelines' resources, as its ClusterRoles name them."""
AUTHORIZATION = "x-kedge-authorization"
"""Read before ``Authorization``, which the API server's proxy of a Service takes for itself."""
NAMESPACE = "x-kedge-namespace"
"""The namespace that is meant where a request names none: what a command line's context is to it."""


class Callers(Protocol):
    """Knows callers, and what they may do.

    Attributes:
        multi_user: Whether there may be more than one: then everything belongs to a namespace, and a request says which.
        served: The namespaces that are served; none where all are, or where that is not known.
    """

    @property
    def multi_user(self) -> bool:
        """See above."""
        ...

    @property
    def served(self) -> Collection[str]:
        """See above."""
        ...

    async def caller(self, headers: Mapping[str, str], peer: str) -> User:
        """Who sends a request.

        Args:
            headers: Its headers, by their names in small letters.
            peer: The address that it comes from.

        Raises:
            Unauthorized: Nobody who is known; says what to send. Never names a token.
            Unavailable: It cannot be found out now.
        """
        ...

    async def check(self, user: User, verb: str, resource: str, namespace: str, name: str = "") -> None:
        """Let pass what a caller may do.

        Args:
            user: Who asks.
            verb: Kubernetes', or one of Kubeflow Pipelines' own, such as ``terminate``.
            resource: Of the group `GROUP`, such as ``runs``.
            namespace: Where; ``""`` for what belongs to none.
            name: Of the object, where it is about one.

        Raises:
            Forbidden: Says who may not do what where, and what would allow it.
            Unavailable: It cannot be found out now: nobody is let pass meanwhile.
        """
        ...


class Bearers(Protocol):
    """Finds out who holds a token; `kedge.server.auth.OwnerToken` is one."""

    def bearer(self, authorization: str) -> User:
        """The caller behind an ``Authorization`` header; raises `errors.Unauthorized`."""
        ...


class OwnerCallers:
    """The embedded host's: its owner may do everything, and nobody else anything.

    Args:
        bearers: Knows the owner's token.
    """

    multi_user = False
    served: Collection[str] = ()

    def __init__(self, bearers: Bearers) -> None:
        self._bearers = bearers

    async def caller(self, headers: Mapping[str, str], peer: str) -> User:
        """The owner; raises `errors.Unauthorized`, and `errors.Forbidden` for others who are known."""
        del peer
        user = self._bearers.bearer(authorization(headers))
        await self.check(user, "use", "pipelines", "")
        return user

    async def check(self, user: User, verb: str, resource: str, namespace: str, name: str = "") -> None:
        """Let the owner pass."""
        del verb, resource, namespace, name
        if not user.is_owner:
            raise Forbidden("only the host's owner may use the pipelines API. Use the token that `kedge status` shows.")


class Everyone:
    """Takes every caller for the owner: for a listener that is guarded otherwise."""

    multi_user = False
    served: Collection[str] = ()

    async def caller(self, headers: Mapping[str, str], peer: str) -> User:
        """The owner."""
        del headers, peer
        return User("kedge-owner", groups=(MASTERS,))

    async def check(self, user: User, verb: str, resource: str, namespace: str, name: str = "") -> None:
        """Let pass."""


def authorization(headers: Mapping[str, str]) -> str:
    """The header that holds a caller's token; ``""`` without one."""
    return headers.get(AUTHORIZATION) or headers.get("authorization") or ""
