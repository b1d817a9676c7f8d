"""Who looks at the pages: links that are good once and not for long, sessions that end, tokens that are one session's alone."""

from cryptography.fernet import Fernet
from starlette.requests import Request
from starlette.responses import Response

from kedge.dashboard.access import LINK_SECONDS, SESSION_SECONDS, Links, OwnerAccess, Sessions
from kedge.kube.clock import SystemIds
from kedge.testing.clock import FakeClock

KEY = Fernet.generate_key()


def request(cookie: str) -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"cookie", cookie.encode())]})


def begun(sessions: Sessions) -> str:
    """The cookie that a browser sends from now on."""
    answer = Response()
    sessions.begin(answer, name="ada")
    return answer.headers["set-cookie"].partition(";")[0]


def test_a_link_is_good_once() -> None:
    links = Links(FakeClock(), SystemIds())
    code = links.make()
    assert links.use(code)
    assert not links.use(code)
    assert not links.use("another")


async def test_a_link_is_good_for_ten_minutes() -> None:
    clock = FakeClock()
    links = Links(clock, SystemIds())
    early, late = links.make(), links.make()
    await clock.advance(LINK_SECONDS - 1)
    assert links.use(early)
    await clock.advance(1)
    assert not links.use(late)


def test_many_links_push_out_the_oldest() -> None:
    links = Links(FakeClock(), SystemIds())
    codes = [links.make() for _ in range(101)]
    assert not links.use(codes[0])
    assert links.use(codes[1])
    assert links.use(codes[100])


async def test_a_session_lasts_two_weeks_also_when_the_host_is_started_again() -> None:
    clock = FakeClock()
    cookie = begun(Sessions(KEY, clock, SystemIds()))
    await clock.advance(SESSION_SECONDS - 1)
    kept = Sessions(KEY, clock, SystemIds()).read(request(cookie))
    assert kept is not None
    assert kept["name"] == "ada"
    await clock.advance(2)
    assert Sessions(KEY, clock, SystemIds()).read(request(cookie)) is None


def test_nobody_makes_a_session_by_themselves() -> None:
    sessions = Sessions(KEY, FakeClock(), SystemIds())
    name, _, value = begun(sessions).partition("=")
    forged = begun(Sessions(Fernet.generate_key(), FakeClock(), SystemIds())).partition("=")[2]
    for wrong in ("", "x", value[:-2], forged, "ä"):
        assert sessions.read(request(f"{name}={wrong}")) is None


def test_two_hosts_of_one_machine_do_not_take_each_others_cookies() -> None:
    """Browsers know no ports in cookies."""
    one, other = (Sessions(key, FakeClock(), SystemIds()) for key in (KEY, Fernet.generate_key()))
    assert one.cookie != other.cookie


def test_a_form_of_one_session_is_none_of_another() -> None:
    sessions = Sessions(KEY, FakeClock(), SystemIds())
    assert sessions.is_form_token("mine", sessions.form_token("mine"))
    assert not sessions.is_form_token("mine", sessions.form_token("yours"))
    assert not sessions.is_form_token("mine", "")


async def test_who_has_no_session_is_nobody() -> None:
    access = OwnerAccess("token", Sessions(KEY, FakeClock(), SystemIds()), Links(FakeClock(), SystemIds()))
    assert await access.identity(request("")) is None
    found = await access.identity(request(begun(access.sessions)))
    assert found is not None
    assert found.headers == {"authorization": "Bearer token"}
    assert "token" not in repr(found)
    assert access.is_owner("Bearer token")
    assert not access.is_owner("Bearer other")
    assert not access.is_owner("Bearer \udcff")
