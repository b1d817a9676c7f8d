"""Who looks at the pages: sessions, one-time links, and the tokens that protect changes.

A session is a cookie that only this host can make and read (Fernet: encrypted and authenticated), that no script can read
(``HttpOnly``) and that no other site's page makes a browser send (``SameSite=Strict``). It lasts for some days, over restarts of
the host, and no longer than until somebody signs out of it. Every change carries a token made from the session besides: a form of
another site cannot know it.
"""

import hashlib
import hmac
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from starlette.requests import Request
from starlette.responses import Response

from kedge.files import write_private
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
        signs_out: Whether they can: not where something in front of us says who they are.
    """

    headers: Mapping[str, str] = field(repr=False)
    session: str = field(repr=False)
    name: str = ""
    signs_out: bool = True

    @property
    def namespace(self) -> str:
        """The one that is meant if they have chosen none; ``""`` for the host's own."""
        return self.headers.get("x-kedge-namespace", "")


class Access(Protocol):
    """Knows who sends a request for a page."""

    @property
    def by_token(self) -> bool:
        """Whether people sign in with a token; otherwise by a one-time link."""
        ...

    @property
    def sessions(self) -> "Sessions":
        """Makes and reads cookies."""
        ...

    async def identity(self, request: Request) -> Identity | None:
        """Who it is; ``None`` for nobody who is known: they are asked to sign in."""
        ...


def keep(request: Request, response: Response, name: str, value: str, seconds: int = SESSION_SECONDS) -> None:
    """Give a browser something to keep: no script reads it, and no other site's page makes the browser send it.

    Args:
        request: What is answered; over HTTPS, also that of a proxy in front, the cookie is for HTTPS alone.
        response: The answer.
        name: The cookie's.
        value: Its text; ``""`` takes it away.
        seconds: For how long.
    """
    secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
    kept = seconds if value else 0
    response.set_cookie(name, value, max_age=kept, path="/", secure=secure, httponly=True, samesite="strict")


class Ended:
    """Sessions that somebody has signed out of: a cookie that was copied before is worth nothing afterwards.

    Args:
        path: The file that remembers them, a line each: until when, and which.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().split("\n") if path.exists() else []
        self._until = {name: int(until) for until, _, name in (line.partition(" ") for line in lines) if name}

    def __contains__(self, nonce: str) -> bool:
        """Whether it is one of them."""
        return _digest(nonce) in self._until

    def add(self, nonce: str, now: int) -> None:
        """Remember one, until its cookie would not be good any more in any case."""
        self._until = {name: until for name, until in self._until.items() if until > now}
        self._until[_digest(nonce)] = now + SESSION_SECONDS
        write_private(self._path, "".join(f"{until} {name}\n" for name, until in self._until.items()))


def _digest(nonce: str) -> str:
    return hashlib.sha256(nonce.encode()).hexdigest()


class Sessions:
    """Makes and reads the cookie of a session, and the tokens of its forms.

    Args:
        key: Fernet's; whoever has it can be anybody.
        clock: For how long a session lasts.
        ids: For what no one can guess.
        ended: Those that are over before their time.

    Attributes:
        cookie: Its name. Cookies know no ports: two hosts of one machine must not take each other's.
        namespace: The name of the cookie with the namespace that was chosen, for the same reason this host's own.
    """

    def __init__(self, key: bytes, clock: Clock, ids: Ids, ended: Ended) -> None:
        self._fernet = Fernet(key)
        self._form_key = hashlib.sha256(b"forms" + key).digest()
        self._clock = clock
        self._ids = ids
        self._ended = ended
        self._going_on: set[tuple[str, Callable[[], None]]] = set()
        own = hashlib.sha256(b"name" + key).hexdigest()[:8]
        self.cookie, self.namespace = f"kedge-{own}", f"kedge-namespace-{own}"

    def begin(self, request: Request, response: Response, **kept: str) -> None:
        """Give a browser a session that keeps some texts."""
        content = msgspec.json.encode({**kept, "nonce": self._ids.token(16)})
        keep(request, response, self.cookie, self._fernet.encrypt_at_time(content, self._now()).decode())

    def end(self, request: Request, response: Response) -> None:
        """End a session: its cookie is taken from the browser, and is good for nothing any more; what goes on in it stops."""
        if (kept := self.read(request)) is not None:
            self._ended.add(kept["nonce"], self._now())
            for nonce, stop in self._going_on:
                if nonce == kept["nonce"]:
                    stop()
        keep(request, response, self.cookie, "")

    @contextmanager
    def going_on(self, request: Request, stop: Callable[[], None]) -> Generator[None]:
        """While an answer goes on that has no end of its own: it is stopped as soon as its session is over.

        Args:
            request: What is answered. Where it has no session, something in front of us says who sent it, and nothing is stopped.
            stop: Called once at most; at once where the session ended meanwhile.
        """
        kept = self._kept(request) or {}
        one = kept.get("nonce", ""), stop
        if one[0] in self._ended:
            stop()
            yield
            return
        self._going_on.add(one)
        try:
            yield
        finally:
            self._going_on.discard(one)

    def read(self, request: Request) -> dict[str, str] | None:
        """What the session of a request keeps; ``None`` without one, or after its end."""
        kept = self._kept(request)
        return None if kept is None or kept["nonce"] in self._ended else kept

    def _kept(self, request: Request) -> dict[str, str] | None:
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
        return hmac.compare_digest(self.form_token(session).encode(), given.encode("utf-8", "surrogateescape"))

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

    by_token = False

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
