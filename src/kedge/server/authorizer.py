"""Decides whether a caller may do something: the owner all, a node what the Node authorizer says, everyone what RBAC says."""

from dataclasses import dataclass

from kedge.errors import About, Forbidden
from kedge.server.auth import User
from kedge.server.core import Core
from kedge.server.nodes import NODES, NodeRights
from kedge.server.rights import Asked, Rights


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something may be done.

    Attributes:
        allowed: Whether it may.
        reason: By what, or why not; may be ``""``.
    """

    allowed: bool
    reason: str = ""


class Authorizer:
    """Decides.

    Args:
        core: The server, whose roles, bindings and Pods decide.
    """

    def __init__(self, core: Core) -> None:
        self.rights = Rights(core.store)
        self._nodes = NodeRights(core, self.rights)

    def decide(self, user: User, asked: Asked) -> Decision:
        """Whether a user may do something."""
        if user.is_owner:
            return Decision(allowed=True)
        why_not = ""
        if NODES in user.groups:
            found = self._nodes.why_not(user, asked)
            if found is None:
                return Decision(allowed=True)
            why_not = found
        by = self.rights.why(user, asked)
        return Decision(allowed=False, reason=why_not) if by is None else Decision(allowed=True, reason=by)

    def require(self, user: User, asked: Asked) -> None:
        """Let pass what a user may do.

        Raises:
            Forbidden: Says who may not do what where, in a real API server's words.
        """
        if user.is_owner:
            return
        decision = self.decide(user, asked)
        if not decision.allowed:
            error = Forbidden(refusal(user, asked, decision.reason))
            error.about = About(asked.resource.partition("/")[0], asked.group, asked.name)
            raise error


def refusal(user: User, asked: Asked, reason: str = "") -> str:
    """The sentence that refuses something."""
    told = f": {reason}" if reason else ""
    if asked.path:
        return f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"{told}'
    plural = asked.resource.partition("/")[0]
    what = (f"{plural}.{asked.group}" if asked.group else plural) + (f' "{asked.name}"' if asked.name else "")
    place = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    return (
        f'{what} is forbidden: User "{user.name}" cannot {asked.verb} resource "{asked.resource}" in API group "{asked.group}" '
        f"{place}{told}"
    )
