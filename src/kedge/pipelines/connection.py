"""Requests to a host's REST API, and what its answers mean: JSON, pieces that go on without end, or one of `kedge.errors`."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from kedge.errors import PipelineError, Unavailable, api_error

_PREFIX = "/apis/v2beta1"
TIMEOUT = httpx.Timeout(60, connect=5)
"""Of a request; what has no end has none."""
# A run may be silent for as long as its longest step.
_ENDLESS = httpx.Timeout(None, connect=5)
Json = dict[str, Any]
Many = list[Json]


class Connection:
    """Asks a host.

    Args:
        host: Its HTTP address.
        token: Its token.
        http: Speaks to it instead, as where it is reached through others.

    Attributes:
        host: The address.
    """

    def __init__(self, host: str, token: str | None = None, *, http: httpx.Client | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.host = host.rstrip("/")
        # Never through a proxy of the environment: the host is on this machine, or named outright.
        self._http = http or httpx.Client(base_url=self.host, headers=headers, timeout=TIMEOUT, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _all(self, path: str, key: str, query: Mapping[str, str] | None = None) -> Many:
        found: Many = []
        token = ""
        while True:
            page = self._call("GET", path, query={**(query or {}), "page_size": "200", "page_token": token})
            found += page.get(key, [])
            token = page.get("next_page_token", "")
            if not token:
                return found

    def _call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, json: Any = None, files: Any = None
    ) -> Any:
        content = msgspec.json.encode(json) if json is not None else None
        headers = {"Content-Type": "application/json"} if content is not None else None
        params = {key: value for key, value in (query or {}).items() if value}
        with self._reached():
            response = self._http.request(method, _PREFIX + path, params=params, content=content, headers=headers, files=files)
        _raise(response)
        return msgspec.json.decode(response.content) if response.content else {}

    def _send(self, path: str, pieces: Iterator[bytes]) -> Json:
        """Send a file, in pieces, for as long as it takes."""
        with self._reached():
            response = self._http.post(_PREFIX + path, content=pieces, timeout=_ENDLESS)
        _raise(response)
        return msgspec.json.decode(response.content)

    @contextmanager
    def _stream(self, path: str, query: Mapping[str, str]) -> Generator[httpx.Response]:
        params = {key: value for key, value in query.items() if value}
        with self._reached(), self._http.stream("GET", _PREFIX + path, params=params, timeout=_ENDLESS) as response:
            if response.is_error:
                response.read()
                _raise(response)
            yield response

    @contextmanager
    def _reached(self) -> Generator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise Unavailable(
                f"The host at {self.host} does not answer ({type(error).__name__}: {error}). Is it running? See `kedge status`."
            ) from error


def _raise(response: httpx.Response) -> None:
    if not response.is_error:
        return
    try:
        message = str(msgspec.json.decode(response.content)["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        message = f"{response.request.method} {response.request.url.path}: {response.status_code} {response.text[:200]}"
    if response.status_code == 400 and response.request.method == "POST":
        raise PipelineError(message)
    retry = response.headers.get("Retry-After")
    raise api_error(response.status_code, "", message, retry_after=float(retry) if retry and retry.isdecimal() else None)
