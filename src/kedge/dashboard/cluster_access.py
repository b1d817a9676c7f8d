"""Who looks at the pages of a hub that knows many callers: whoever the API takes a request for.

Nobody is let in here. What says who sends a request (a token, or what a proxy in front adds) is passed on to the API with the
address that the request came from, and the API answers as it would any client: the cluster's RBAC decides what a page shows.
People without such a proxy sign in with a token, which their session then keeps, encrypted.
"""

from starlette.requests import Request
from starlette.responses import Response

from kedge.dashboard.access import Identity, Sessions
from kedge.dashboard.api import Api
from kedge.errors import BadRequest, Forbidden, Unauthorized

TOKEN = "x-kedge-authorization"  # noqa: S105  # the name of a header
PASSED_ON = (
    "authorization",
    TOKEN,
    "kubeflow-userid",
    "kubeflow-groups",
    "x-kedge-proxy-secret",
    "x-kedge-namespace",
    "sec-fetch-site",
)
"""Headers by which the API knows callers."""
_MOST_COOKIE = 3800  # bytes: browsers keep 4096, with the name and the rest


class ClusterAccess:
    """`kedge.dashboard.access.Access` where the identity of a request decides.

    Args:
        sessions: Of those who signed in with a token.
    """

    by_token = True

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions

    async def identity(self, request: Request) -> Identity | None:
        """See `kedge.dashboard.access.Access.identity`.

        Tokens of forms are made from the caller's name: nobody but the hub can make them, and they hold in every tab of somebody
        who has no session here, because a proxy says who they are.
        """
        headers = {name: value for name in PASSED_ON if (value := request.headers.get(name))}
        kept = self.sessions.read(request)
        if kept is not None and TOKEN not in headers:
            headers[TOKEN] = f"Bearer {kept['token']}"
        try:
            name, only = await self._asked(request, headers)
        except Unauthorized:
            return None
        except Forbidden:
            if headers.get("sec-fetch-site") == "cross-site":  # a proxy's word; `Page.sign_in` has the browser ask from here
                return None
            raise
        if only:
            headers["x-kedge-namespace"] = only
        return Identity(headers, f"caller {name}", name, signs_out=kept is not None)

    async def sign_in(self, request: Request, answer: Response, token: str) -> None:
        """Begin a session of somebody who has a token.

        Raises:
            Unauthorized: The API does not know it; says what is wrong with it, and never names it.
            BadRequest: It is none, or no browser would keep it.
        """
        if not token.isascii() or not token.isprintable():
            raise BadRequest("that is no token: it has characters that none has. Copy it again.")
        await _api(request, {TOKEN: f"Bearer {token}"}).get("/caller")
        self.sessions.begin(request, answer, token=token)
        if len(answer.headers["set-cookie"]) > _MOST_COOKIE:
            raise BadRequest(
                "the token is too long for a browser to keep. Ask for one of a service account (kubectl create token)."
            )

    async def _asked(self, request: Request, headers: dict[str, str]) -> tuple[str, str]:
        """The caller's name; and their namespace, where they have but one and have named none."""
        chosen = headers.get("x-kedge-namespace") or request.cookies.get(self.sessions.namespace)
        api = _api(request, headers)
        if chosen:
            return (await api.get("/caller"))["name"], ""
        found = await api.get("/caller", view="FULL")
        namespaces = found.get("namespaces", [])
        return found["name"], namespaces[0] if len(namespaces) == 1 else ""


def _api(request: Request, headers: dict[str, str]) -> Api:
    return Api(request.app, headers, (request.client.host, request.client.port) if request.client is not None else None)
