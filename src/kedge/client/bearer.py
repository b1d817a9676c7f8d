"""The bearer token of requests to an API server, read again while the process runs where it lies in a file."""

import time
from collections.abc import Generator
from pathlib import Path

import httpx

from kedge.client.kubeconfig import Access
from kedge.errors import StateError, Unauthorized

_FRESH_SECONDS = 30.0  # the kubelet replaces a Pod's token when a fifth of its life is left: minutes at least


class Bearer(httpx.Auth):
    """Puts the token of an `Access` on requests.

    Args:
        access: Whose token; without one requests carry none (a client certificate says who we are).
    """

    def __init__(self, access: Access) -> None:
        self._fixed = access.token
        self._file = access.token_file
        self._token = ""
        self._read_at = float("-inf")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Send the request with the token; again, with what is in the file now, when the server does not take it."""
        if token := self.current():
            request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == Unauthorized.code and (again := self.another(token)):
            request.headers["Authorization"] = f"Bearer {again}"
            yield request

    def another(self, refused: str | None) -> str | None:
        """The token that is in the file now, when the server does not take one; ``None`` where it is no other."""
        if self._file is None:
            return None
        self._read_at = float("-inf")
        return again if (again := self.current()) != refused else None

    def current(self) -> str | None:
        """The token, if there is one."""
        if self._file is None:
            return self._fixed
        if time.monotonic() - self._read_at > _FRESH_SECONDS:
            try:
                self._token = _read(self._file)
            except StateError:
                if not self._token:  # what we have may do until the file is there again
                    raise
            self._read_at = time.monotonic()
        return self._token


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(
            f"{path}: the token for the API server cannot be read: {error}. Check the file and who may read it."
        ) from error
