"""Which Pod of a cluster a token is bound to: the staging API's `Verifier` there.

A Pod's projected token (audience ``kedge``) is checked offline, so steps commit while the API server is away. It is good for as
long as it says, also when its Pod is gone; whether the Pod is one of ours, and still wanted, is the backend's to say.
"""

from kedge.artifacts.staging import PodIdentity
from kedge.errors import Unauthorized
from kedge.server.auth import KEDGE_AUDIENCE, POD_NAME
from kedge.server.cluster_tokens import ClusterTokens


class PodTokens:
    """`kedge.artifacts.staging.Verifier` of a cluster.

    Args:
        tokens: Checks service accounts' tokens.
    """

    def __init__(self, tokens: ClusterTokens) -> None:
        self._tokens = tokens

    async def verify(self, token: str) -> PodIdentity:
        """The Pod that a token is bound to; see `kedge.artifacts.staging.Verifier.verify`."""
        user = await self._tokens.user(token, KEDGE_AUDIENCE)
        if user.pod_uid is None or POD_NAME not in user.extra:
            raise Unauthorized("the token is bound to no Pod. Staging is for Pods, with their own projected token.")
        return PodIdentity(user.name.split(":")[2], user.extra[POD_NAME][0], user.pod_uid)
