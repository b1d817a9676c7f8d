"""The REST API where a `kfp.Client` without a host looks for it: behind the Kubernetes API's proxy of a Service.

Such a client reads the kubeconfig and asks the API server for ``ml-pipeline``. On the embedded host there is no such Service, and
need not be: the path is answered as if there were.
"""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

_PATH = "/api/v1/namespaces/{namespace}/services/ml-pipeline:http/proxy/{rest:path}"


class _Behind:
    """Serves the routes at what stands after the proxy's own path."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._router = Router(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = "/" + scope["path_params"]["rest"].lstrip("/")  # the client writes two slashes
        await self._router({**scope, "path": path, "raw_path": path.encode(), "root_path": "", "path_params": {}}, receive, send)


def behind_proxy(routes: Sequence[BaseRoute]) -> Route:
    """The same routes once more, behind the proxy's path."""
    return Route(_PATH, _Behind(routes))
