"""The health of a host: ``/healthz``, ``/livez`` and ``/readyz``, and each of their checks below; answered without a token."""

from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from kedge.server.status import send_no_page

Checks = Mapping[str, Callable[[], str]]
"""By name; each says what is missing until the host can be used, or ``""``."""


def health(ready: Checks) -> list[BaseRoute]:
    """The routes.

    Args:
        ready: What ``/readyz`` asks.
    """
    asked = [_Health("healthz", {}), _Health("livez", {}), _Health("readyz", ready)]
    return [Route(path, one) for one in asked for path in (f"/{one.name}", f"/{one.name}/{{check}}")]


class _Health:
    """Answers ``ok``, or 503 with what is missing; each check in a line where one fails or ``?verbose`` asks for them.

    Args:
        name: ``livez``.
        checks: What is asked besides that anybody answers.
    """

    def __init__(self, name: str, checks: Checks) -> None:
        self.name = name
        self._checks = {"ping": lambda: "", **checks}

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        checks, one = self._checks, scope["path_params"].get("check")
        if one is not None:
            if one not in checks:
                await send_no_page(send)
                return
            checks = {one: checks[one]}
        asked = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        excluded = {*asked.get("exclude", ())}
        found = {name: "" if name in excluded else check() for name, check in checks.items()}
        failed = any(found.values())
        body = "ok"
        if failed or ("verbose" in asked and one is None):
            lines = [
                f"[-]{name} failed: {fault}" if fault else f"[+]{name} excluded: ok" if name in excluded else f"[+]{name} ok"
                for name, fault in found.items()
            ]
            if unknown := ",".join(f'"{name}"' for name in sorted(excluded - checks.keys())):
                lines.append(f"warn: some health checks cannot be excluded: no matches for {unknown}")
            body = "\n".join([*lines, f"{self.name} check {'failed' if failed else 'passed'}\n"])
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body.encode()))]
        await send({"type": "http.response.start", "status": 503 if failed else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})
