"""The way from here to a hub in a cluster: through the API server's proxy of its Service, with the user's kubeconfig alone.

The API server keeps the header ``Authorization`` for itself. What the hub is told goes in `AUTHORIZATION`: the token of a service
account, which the user asks the API server for. Who may do so the cluster's RBAC says, and no password is kept here.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import httpx

from kedge.client.bearer import Bearer
from kedge.client.exec_login import ExecLogin
from kedge.client.http import HttpClient, tls
from kedge.client.kubeconfig import Access
from kedge.config import Settings
from kedge.errors import Forbidden, NotFound, StateError
from kedge.kube.clock import Clock, SystemClock
from kedge.kube.core import SERVICE_ACCOUNT
from kedge.kube.kinds import Obj
from kedge.kube.metadata import INSTALLED_LABEL
from kedge.manifests.hub import NAME
from kedge.manifests.kinds import SERVICE
from kedge.manifests.rights import USER_ACCOUNT
from kedge.pipelines.client import Client
from kedge.pipelines.connection import TIMEOUT
from kedge.server.callers import AUTHORIZATION, NAMESPACE
from kedge.server.cluster_callers import AUDIENCE

Result = TypeVar("Result")
_TOKEN_SECONDS = 3600
_RENEWED = 0.8  # of a token's life, after which the next one is asked for


def find(access: Access) -> Client | None:
    """A client for the hub that serves the namespace of a kubeconfig's context; see `way`."""
    http = way(access)
    return None if http is None else Client(str(http.base_url), http=http)


def way(access: Access) -> httpx.Client | None:
    """The way to the hub that serves the namespace of a kubeconfig's context.

    Args:
        access: How the cluster is reached.

    Returns:
        ``None`` where the namespace has no hub.

    Raises:
        Forbidden: The user may not look, or may not have a token; says what is missing.
        Unavailable: The cluster cannot be reached.
    """
    path = place(access)
    if path is None:
        return None
    address = access.server + path
    verify = tls(access) if access.server.startswith("https") else None
    http = httpx.Client(
        base_url=address,
        headers=[(NAMESPACE, access.namespace), *access.impersonates],
        auth=_Through(access, verify),
        verify=verify or True,
        timeout=TIMEOUT,
        proxy=access.proxy,
    )
    if access.server_name:
        http.event_hooks = {"request": [partial(_name, access.server_name)]}
    return http


def place(access: Access) -> str | None:
    """The path of the API server that leads to the hub that serves the namespace of a kubeconfig's context.

    Returns:
        ``None`` where the namespace has no hub.

    Raises:
        StateError: What is there does not say which hub it is for.
        Unavailable: The cluster cannot be reached.
    """
    account = _result(_account(access))
    if account is None:
        return None
    hub = (account["metadata"].get("labels") or {}).get(INSTALLED_LABEL)
    if not hub:
        raise StateError(
            f"{access.namespace}: the service account {USER_ACCOUNT} does not say which hub it is for (label {INSTALLED_LABEL}). "
            "Run kedge install again."
        )
    return SERVICE.path(hub, f"http:{NAME}:http", "proxy")


def _result(work: Coroutine[Any, Any, Result]) -> Result:
    """What a coroutine returns, also where a loop runs already, as in a notebook."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _name(server_name: str, request: httpx.Request) -> None:
    """Have the server's certificate looked at for another name than its address."""
    request.extensions = {**request.extensions, "sni_hostname": server_name}


async def _account(access: Access) -> Obj | None:
    async with HttpClient(access) as api:
        try:
            return await api.get(SERVICE_ACCOUNT, USER_ACCOUNT, access.namespace)
        except (NotFound, Forbidden):  # who may not look may run a hub of their own
            return None


async def _token(access: Access, api: HttpClient) -> str:
    """A new token for the hub."""
    spec = {"audiences": [AUDIENCE], "expirationSeconds": _TOKEN_SECONDS}
    request: Obj = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    request["metadata"] = {"namespace": access.namespace}
    try:
        answer = await api.create(SERVICE_ACCOUNT, request, name=USER_ACCOUNT, subresource="token")
    except Forbidden as error:
        raise Forbidden(
            f"{error.message}. The hub knows callers by tokens of service accounts: who calls it as {USER_ACCOUNT} must be"
            f" allowed to create serviceaccounts/token of that name in namespace {access.namespace}."
        ) from error
    return str(answer["status"]["token"])


class Tokens:
    """A token for the hub, asked for anew before it ends.

    Args:
        access: How the cluster is reached.
        clock: For its age.
    """

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock
        self._token = ""
        self._until = float("-inf")
        self._asking = asyncio.Lock()

    async def current(self, api: HttpClient) -> str:
        """One that is good for some minutes at least.

        Raises:
            Forbidden: The user may have none; says what is missing.
            Unavailable: The cluster cannot be reached.
        """
        async with self._asking:
            if self._clock.monotonic() >= self._until:
                self._token = await _token(self._access, api)
                self._until = self._clock.monotonic() + _TOKEN_SECONDS * _RENEWED
            return self._token


async def _asked(access: Access) -> str:
    async with HttpClient(access) as api:
        return await _token(access, api)


class _Through(httpx.Auth):
    """The user's own token for the API server, and another one for the hub behind it."""

    def __init__(self, access: Access, context: ssl.SSLContext | None) -> None:
        self._access = access
        self._bearer = Bearer(access)
        self._program = access.program and ExecLogin(access.program, context, Settings.from_environment().environ)
        self._clock = SystemClock()
        self._token = ""
        self._until = float("-inf")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Send the request with both."""
        if self._clock.monotonic() >= self._until:
            self._token = _result(_asked(self._access))
            self._until = self._clock.monotonic() + _TOKEN_SECONDS * _RENEWED
        request.headers[AUTHORIZATION] = f"Bearer {self._token}"
        if self._program is None:
            yield from self._bearer.auth_flow(request)
            return
        flow = self._program.async_auth_flow(request)
        response = yield _result(_first(flow))
        if (again := _result(_next(flow, response))) is not None:
            yield again


async def _first(flow: AsyncGenerator[httpx.Request, httpx.Response]) -> httpx.Request:
    return await anext(flow)


async def _next(flow: AsyncGenerator[httpx.Request, httpx.Response], response: httpx.Response) -> httpx.Request | None:
    with suppress(StopAsyncIteration):
        return await flow.asend(response)
    return None
