"""Passes the owner's requests for the Kubernetes API on to the cluster that a hub works against, with the hub's own credentials.

For a hub on a laptop alone: whose it is, theirs is the kubeconfig too. So its pages show the cluster's objects as those of an
embedded host, and no credential of the cluster reaches the browser.
"""

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from kedge.client.http import HttpClient
from kedge.errors import ApiError
from kedge.server.auth import OwnerToken
from kedge.server.requests import header, read_body
from kedge.server.status import send_error
from kedge.server.streams import pass_on

_PATHS = ("/api", "/apis", "/api/{rest:path}", "/apis/{rest:path}")


def routes(client: HttpClient, owner: OwnerToken) -> list[BaseRoute]:
    """The routes; those of others that begin with ``/api`` or ``/apis`` must stand before them.

    Args:
        client: Speaks to the cluster.
        owner: Knows the only one whose requests are passed on.
    """
    passed = _PassedOn(client, owner)
    return [Route(path, passed) for path in _PATHS]


class _PassedOn:
    def __init__(self, client: HttpClient, owner: OwnerToken) -> None:
        self._client = client
        self._owner = owner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._owner.bearer(header(scope, b"authorization"))
            content = await read_body(scope, receive)
        except ApiError as error:
            await send_error(send, error)
            return
        path = scope["raw_path"].decode("ascii") + "?" + scope["query_string"].decode("ascii")
        headers = {name: found for name in ("accept", "content-type") if (found := header(scope, name.encode()))}
        await pass_on(send, self._client.exchange(scope["method"], path, headers=headers, content=content))
