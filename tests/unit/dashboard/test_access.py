"""Who looks at the pages: links that are good once and not for long, sessions that end, tokens that are one session's alone."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from starlette.requests import Request
from starlette.responses import Response

from kedge.dashboard.access import LINK_SECONDS, SESSION_SECONDS, Ended, Links, OwnerAccess, Sessions
from kedge.testing.clock import FakeClock, FakeIds

KEY = Fernet.generate_key()


def sessions(clock: FakeClock, folder: Path, key: bytes = KEY) -> Sessions:
    return Sessions(key, clock, FakeIds(), Ended(folder / "ended"))


def request(cookie: str = "") -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": [(b"cookie", cookie.encode())], "scheme": "http"})


def begun(made: Sessions, **kept: str) -> str:
    """The cookie of a new session, as a browser sends it."""
    answer = Response()
    made.begin(request(), answer, **kept)
    return answer.headers["set-cookie"].partition(";")[0]


async def test_a_session_keeps_its_texts_for_two_weeks(tmp_path: Path) -> None:
    clock = FakeClock()
    made = sessions(clock, tmp_path)
    cookie = begun(made, token="a token")
    await clock.advance(SESSION_SECONDS)
    kept = made.read(request(cookie))
    assert kept is not None
    assert kept["token"] == "a token"
    await clock.advance(1)
    assert made.read(request(cookie)) is None


def test_no_session_can_be_made_changed_or_read_without_the_key(tmp_path: Path) -> None:
    made, other = sessions(FakeClock(), tmp_path), sessions(FakeClock(), tmp_path, Fernet.generate_key())
    name, _, value = begun(made, token="a token").partition("=")
    assert "a token" not in value
    for wrong in ("", "x", "é", value[:-2], value.swapcase(), begun(other).partition("=")[2]):
        assert made.read(request(f"{name}={wrong}")) is None, wrong
    assert other.read(request(f"{name}={value}")) is None


async def test_what_was_signed_out_is_forgotten_when_its_cookie_would_be_over_anyway(tmp_path: Path) -> None:
    clock = FakeClock()
    made = sessions(clock, tmp_path)
    first = begun(made)
    made.end(request(first), Response())
    assert made.read(request(first)) is None
    assert sessions(clock, tmp_path).read(request(first)) is None, "a host that was started again remembers it"
    await clock.advance(SESSION_SECONDS + 1)
    second = begun(made)
    made.end(request(second), Response())
    assert (tmp_path / "ended").read_text().count("\n") == 1
    assert (tmp_path / "ended").stat().st_mode & 0o077 == 0


def test_what_goes_on_in_a_session_is_stopped_with_it_and_what_begins_later_at_once(tmp_path: Path) -> None:
    made, stopped = sessions(FakeClock(), tmp_path), list[str]()
    first, second = begun(made), begun(made)
    with (
        made.going_on(request(first), lambda: stopped.append("first")),
        made.going_on(request(second), lambda: stopped.append("second")),
        made.going_on(request(), lambda: stopped.append("without")),
    ):
        with made.going_on(request(first), lambda: stopped.append("done before")):
            pass
        made.end(request(first), Response())
        made.end(request(first), Response())
        assert stopped == ["first"]
    with made.going_on(request(first), lambda: stopped.append("late")):
        assert stopped == ["first", "late"]


def test_tokens_of_forms_are_a_sessions_own(tmp_path: Path) -> None:
    made = sessions(FakeClock(), tmp_path)
    assert made.is_form_token("one", made.form_token("one"))
    for wrong in (made.form_token("two"), "", "größer", "\udcff"):
        assert not made.is_form_token("one", wrong)


async def test_a_link_is_good_once_and_for_ten_minutes() -> None:
    clock = FakeClock()
    links = Links(clock, FakeIds())
    code, late = links.make(), links.make()
    assert (links.use(code), links.use(code), links.use("other")) == (True, False, False)
    await clock.advance(LINK_SECONDS)
    assert not links.use(late)


def test_whoever_asks_for_many_links_fills_no_memory() -> None:
    links = Links(FakeClock(), FakeIds())
    first, *_, last = [links.make() for _ in range(200)]
    assert (links.use(first), links.use(last)) == (False, True)


@pytest.mark.parametrize(
    ("given", "known"),
    [("Bearer secret", True), ("Bearer größer", False), ("secret", False), ("Bearer \udcff", False), ("", False)],
)
def test_links_are_made_for_the_owner_alone(tmp_path: Path, given: str, *, known: bool) -> None:
    access = OwnerAccess("secret", sessions(FakeClock(), tmp_path), Links(FakeClock(), FakeIds()))
    assert access.is_owner(given) is known


def test_two_hosts_of_one_machine_do_not_take_each_others_cookies(tmp_path: Path) -> None:
    """Browsers know no ports in cookies."""
    one, other = (sessions(FakeClock(), tmp_path, key) for key in (KEY, Fernet.generate_key()))
    assert (one.cookie, one.namespace) != (other.cookie, other.namespace)


async def test_who_has_no_session_is_nobody(tmp_path: Path) -> None:
    access = OwnerAccess("secret", sessions(FakeClock(), tmp_path), Links(FakeClock(), FakeIds()))
    assert await access.identity(request()) is None
    found = await access.identity(request(begun(access.sessions)))
    assert found is not None
    assert found.headers == {"authorization": "Bearer secret"}
    assert "secret" not in repr(found)
