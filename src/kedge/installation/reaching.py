"""The way from here to a hub in a cluster: through the API server's proxy of its Service, with the user's kubeconfig alone.

The API server keeps the header ``Authorization`` for itself. What the hub is told goes in `AUTHORIZATION`: the token of a service
account, which the user asks the API server for. Who may do so the cluster's RBAC says, and no password is kept here.
"""

import ssl
from collections.abc import Generator

import httpx

from kedge.client.bearer import Bearer
from kedge.client.http import tls
from kedge.client.kubeconfig import Access
from kedge.client.status import from_status
from kedge.errors import Forbidden, NotFound, StateError, Unavailable
from kedge.kube.clock import Clock, SystemClock
from kedge.kube.core import SERVICE_ACCOUNT
from kedge.kube.kinds import Obj
from kedge.manifests.hub import INSTALLED_LABEL, NAME, USER_ACCOUNT
from kedge.manifests.kinds import SERVICE
from kedge.pipelines.client import TIMEOUT, Client
from kedge.server.callers import AUTHORIZATION, NAMESPACE
from kedge.server.cluster_callers import AUDIENCE

_TOKEN_SECONDS = 3600
_RENEWED = 0.8  # of a token's life, after which the next one is asked for


def find(access: Access) -> Client | None:
    """A client for the hub that serves the namespace of a kubeconfig's context.

    Args:
        access: How the cluster is reached.

    Returns:
        ``None`` where the namespace has no hub.

    Raises:
        Forbidden: The user may not look, or may not have a token; says what is missing.
        Unavailable: The cluster cannot be reached.
    """
    user = _Api(access)
    try:
        account = user.call("GET", SERVICE_ACCOUNT.path(access.namespace, USER_ACCOUNT))
    except NotFound:
        return None
    hub = (account["metadata"].get("labels") or {}).get(INSTALLED_LABEL)
    if not hub:
        raise StateError(
            f"{access.namespace}: the service account {USER_ACCOUNT} does not say which hub it is for (label {INSTALLED_LABEL}). "
            "Run kedge install again."
        )
    path = f"{SERVICE.path(hub, f'http:{NAME}:http', 'proxy')}"
    auth = _Through(access, user, SystemClock())
    headers = {NAMESPACE: access.namespace}
    http = httpx.Client(base_url=access.server + path, headers=headers, auth=auth, verify=_verify(access), timeout=TIMEOUT)
    return Client(access.server + path, http=http)


class _Api:
    """The few requests to the API server that are wanted here; the commands are no coroutines."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def call(self, method: str, path: str, body: Obj | None = None) -> Obj:
        """One request, and its answer."""
        try:
            response = httpx.request(
                method,
                self._access.server + path,
                json=body,
                auth=Bearer(self._access),
                verify=_verify(self._access),
                timeout=TIMEOUT,
            )
        except httpx.TransportError as error:
            raise Unavailable(f"{self._access.server}: cannot be reached: {error or type(error).__name__}.") from error
        if response.is_error:
            raise from_status(response.json(), code=response.status_code)
        answer: Obj = response.json()
        return answer

    def token(self) -> str:
        """A new token for the hub."""
        spec = {"audiences": [AUDIENCE], "expirationSeconds": _TOKEN_SECONDS}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        try:
            answer = self.call("POST", SERVICE_ACCOUNT.path(self._access.namespace, USER_ACCOUNT, "token"), body)
        except Forbidden as error:
            raise Forbidden(
                f"{error.message}. The hub knows callers by tokens of service accounts: who calls it as {USER_ACCOUNT} must be"
                f" allowed to create serviceaccounts/token of that name in namespace {self._access.namespace}."
            ) from error
        return str(answer["status"]["token"])


class _Through(httpx.Auth):
    """The user's own token for the API server, and another one for the hub behind it."""

    def __init__(self, access: Access, api: _Api, clock: Clock) -> None:
        self._outer = Bearer(access)
        self._api = api
        self._clock = clock
        self._token = ""
        self._until = float("-inf")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Send the request with both."""
        if self._clock.monotonic() >= self._until:
            self._token = self._api.token()
            self._until = self._clock.monotonic() + _TOKEN_SECONDS * _RENEWED
        request.headers[AUTHORIZATION] = f"Bearer {self._token}"
        yield from self._outer.auth_flow(request)


def _verify(access: Access) -> bool | ssl.SSLContext:
    return tls(access) if access.server.startswith("https") else True
