"""Counts the requests of a listener, by words of which there are few: verb, resource and code.

A client cannot make a new label: resources that are not served are all called ``other``, and names of objects are no labels.
"""

import time
from collections.abc import Collection, Iterable

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kedge.measures import LONG_SECONDS, Counter, Histogram
from kedge.server.asked import is_true
from kedge.server.upgrades import UPGRADE

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


# What stands in every path of an API, and names no resource.
_PREFIXES = frozenset({"api", "apis", "v1", "v2beta1", "v1alpha1", "kedge.dev", "namespaces"})


def words(routes: Iterable[BaseRoute]) -> set[str]:
    """The fixed words in the paths of routes: what resources can be called."""
    paths = [str(getattr(route, "path", "")) for route in routes]
    parts = {part.partition(":")[0] for path in paths for part in path.split("/") if "{" not in part.partition(":")[0]}
    return parts - _PREFIXES - {""}


class Measured:
    """ASGI middleware.

    Args:
        app: What serves.
        resources: Names that resources may have, in their plural.

    Attributes:
        requests: By verb, resource and code.
        seconds: By verb and resource; of those that have an end of their own.
        open: Watches and followed logs that are under way, by verb and resource.
    """

    def __init__(self, app: ASGIApp, resources: Collection[str]) -> None:
        self._app = app
        self._resources = frozenset(resources)
        self.requests = Counter()
        self.seconds = Histogram(LONG_SECONDS)
        self.open = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        verb, resource = self._words(scope)
        code = "0"

        async def sent(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = str(message["status"])
            await send(message)

        is_long = verb in ("watch", "follow", "connect")
        if is_long:
            self.open.add(verb, resource)
        start = time.perf_counter()
        try:
            await self._app(scope, receive, sent)
        finally:
            if is_long:
                self.open.add(verb, resource, by=-1)
            else:
                self.seconds.observe(time.perf_counter() - start, verb, resource)
            self.requests.add(verb, resource, code)

    def _words(self, scope: Scope) -> tuple[str, str]:
        parts = [part.partition(":")[0] for part in scope["path"].split("/") if part]
        # Of /apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE/NAME and /apis/v2beta1/RESOURCE/ID/RESOURCE the last that is known.
        found = [
            (place, part) for place, part in enumerate(parts) if part in self._resources and parts[place - 1] != "namespaces"
        ]
        place, resource = found[-1] if found else (0, "other")
        if UPGRADE in scope:
            return "connect", resource
        verb = _VERBS.get(scope["method"], "other")
        query = scope["query_string"]
        if verb == "get" and query:
            asked = dict(pair.partition(b"=")[::2] for pair in query.split(b"&"))
            for name in ("watch", "follow"):
                if is_true(asked.get(name.encode(), b"0").decode("latin-1")):
                    return name, resource
        if verb == "get" and found and place == len(parts) - 1:
            verb = "list"
        return verb, resource
