"""Tokens that last as long as an account and a Secret do, for the Secrets that hold them (`kedge.workloads.account_secrets`)."""

from kedge.errors import Unauthorized
from kedge.kube.kinds import Obj
from kedge.server.tokens import MAX_SECONDS, Reference, Tokens


class LastingTokens:
    """Signs them.

    Args:
        tokens: With which key.
        authority: By which the API's certificate is known, PEM.
    """

    def __init__(self, tokens: Tokens, authority: str) -> None:
        self.authority = authority
        self._tokens = tokens

    def lasting(self, account: Obj, secret: Obj, token: str) -> str:
        """The token of an account in a Secret: the one that is in it, where that is its own and still good."""
        meta, holder = account["metadata"], ("secret", _reference(secret))
        owner = _reference(account)
        try:
            claims = self._tokens.verify(token)
        except Unauthorized:
            claims = None
        if claims is not None and (claims.namespace, claims.account, claims.bound) == (meta["namespace"], owner, holder):
            return token
        return self._tokens.issue(meta["namespace"], owner, seconds=MAX_SECONDS, bound=holder)[0]


def _reference(obj: Obj) -> Reference:
    return Reference(obj["metadata"]["name"], obj["metadata"]["uid"])
