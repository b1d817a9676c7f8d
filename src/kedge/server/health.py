"""The health of a host: ``/healthz``, ``/livez`` and ``/readyz``, answered without a token."""

from collections.abc import Callable, Mapping

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

Checks = Mapping[str, Callable[[], str]]
"""By name; each says what is missing until the host can be used, or ``""``."""


def health(ready: Checks) -> list[BaseRoute]:
    """The routes.

    Args:
        ready: What ``/readyz`` asks.
    """
    return [
        Route("/healthz", _Health("healthz", {})),
        Route("/livez", _Health("livez", {})),
        Route("/readyz", _Health("readyz", ready)),
    ]


class _Health:
    """Answers ``ok``, or 503 with what is missing; each check in a line where one fails or ``?verbose`` asks for them."""

    def __init__(self, name: str, checks: Checks) -> None:
        self._name = name
        self._checks = {"ping": lambda: "", **checks}

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        found = {name: check() for name, check in self._checks.items()}
        failed = any(found.values())
        body = "ok"
        if failed or b"verbose" in {part.partition(b"=")[0] for part in scope["query_string"].split(b"&")}:
            lines = [f"[-]{name} failed: {fault}" if fault else f"[+]{name} ok" for name, fault in found.items()]
            body = "\n".join([*lines, f"{self._name} check {'failed' if failed else 'passed'}\n"])
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body.encode()))]
        await send({"type": "http.response.start", "status": 503 if failed else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})
