"""Who looks at the pages: sessions, one-time links, and the tokens that protect changes.

A session is a cookie that only this host can make and read (Fernet: encrypted and authenticated), that no script can read
(``HttpOnly``) and that no other site's page makes a browser send (``SameSite=Strict``). It lasts for some days, over restarts of
the host. Every change carries a token made from the session besides: a form of another site cannot know it.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from starlette.requests import Request
from starlette.responses import Response

from kedge.kube.clock import Clock, Ids

SESSION_SECONDS = 14 * 24 * 3600
LINK_SECONDS = 600
_MOST_LINKS = 100


@dataclass(frozen=True, slots=True)
class Identity:
    """A person, as a request shows who they are.

    Attributes:
        headers: What requests to the API carry on their behalf.
        session: What the tokens of their forms are made from.
        name: What to call them; ``""`` where there is but one.
    """

    headers: Mapping[str, str] = field(repr=False)
    session: str = field(repr=False)
    name: str = ""


class Access(Protocol):
    """Knows who sends a request for a page."""

    @property
    def sessions(self) -> "Sessions":
        """Makes and reads cookies."""
        ...

    async def identity(self, request: Request) -> Identity | None:
        """Who it is; ``None`` for nobody who is known: they are asked to sign in."""
        ...


class Sessions:
    """Makes and reads the cookie of a session, and the tokens of its forms.

    Args:
        key: Fernet's; whoever has it can be anybody.
        clock: For how long a session lasts.
        ids: For what no one can guess.
    """

    def __init__(self, key: bytes, clock: Clock, ids: Ids) -> None:
        self._fernet = Fernet(key)
        self._form_key = hashlib.sha256(b"forms" + key).digest()
        self._clock = clock
        self._ids = ids
        # Cookies know no ports: two hosts of one machine must not take each other's.
        self.cookie = f"kedge-{hashlib.sha256(b'name' + key).hexdigest()[:8]}"

    def begin(self, response: Response, **kept: str) -> None:
        """Give a browser a session that keeps some texts."""
        content = msgspec.json.encode({**kept, "nonce": self._ids.token(16)})
        value = self._fernet.encrypt_at_time(content, self._now()).decode()
        response.set_cookie(self.cookie, value, max_age=SESSION_SECONDS, path="/", httponly=True, samesite="strict")

    def end(self, response: Response) -> None:
        """Take the session from a browser."""
        response.delete_cookie(self.cookie, path="/", httponly=True, samesite="strict")

    def read(self, request: Request) -> dict[str, str] | None:
        """What the session of a request keeps; ``None`` without one, or after its time."""
        value = request.cookies.get(self.cookie, "")
        try:
            content = self._fernet.decrypt_at_time(value.encode(), SESSION_SECONDS, self._now())
        except (InvalidToken, ValueError):
            return None
        return msgspec.json.decode(content, type=dict[str, str])

    def form_token(self, session: str) -> str:
        """The token that the forms of a session carry."""
        return hmac.new(self._form_key, session.encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, session: str, given: str) -> bool:
        """Whether a form is one of ours."""
        return hmac.compare_digest(self.form_token(session), given)

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


class Links:
    """One-time links: each signs one browser in, once, within ten minutes.

    Args:
        clock: For how long one is good.
        ids: For what no one can guess.
    """

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids
        self._until: dict[str, float] = {}

    def make(self) -> str:
        """The code of a new one."""
        now = self._clock.monotonic()
        self._until = {code: until for code, until in self._until.items() if until > now}
        while len(self._until) >= _MOST_LINKS:
            del self._until[next(iter(self._until))]
        code = self._ids.token(24)
        self._until[code] = now + LINK_SECONDS
        return code

    def use(self, code: str) -> bool:
        """Whether a code is good; it is not any more afterwards."""
        return self._until.pop(code, 0.0) > self._clock.monotonic()


class OwnerAccess:
    """Where there is one person, the owner of the host: who has a session is that person.

    Args:
        token: The owner's, with which the API is asked.
        sessions: Of their browsers.
        links: By which they sign in.
    """

    def __init__(self, token: str, sessions: Sessions, links: Links) -> None:
        self._authorization = f"Bearer {token}"
        self.sessions = sessions
        self.links = links

    async def identity(self, request: Request) -> Identity | None:
        """See `Access.identity`."""
        kept = self.sessions.read(request)
        return None if kept is None else Identity({"authorization": self._authorization}, kept["nonce"])

    def is_owner(self, authorization: str) -> bool:
        """Whether a request that asks for a link is the owner's."""
        return hmac.compare_digest(authorization.encode("utf-8", "surrogateescape"), self._authorization.encode())
