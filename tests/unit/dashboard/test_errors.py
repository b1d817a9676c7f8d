"""Pages of errors: what is wrong is said with the status that it has, and a defect of a page shows nothing of its inside."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet
from starlette.applications import Starlette
from starlette.responses import Response

from kedge.dashboard import app
from kedge.dashboard.access import Ended, Links, OwnerAccess, Sessions
from kedge.dashboard.page import POLICY, Page, Section, get
from kedge.errors import BadRequest, Conflict, NotFound, Unavailable
from kedge.kube.clock import SystemClock, SystemIds

FAULTS = {
    "defect": ValueError("the secret inside"),
    "absent": NotFound("runs/7: there is no such run."),
    "unreadable": BadRequest("page_size: <script>is no number</script>"),
    "quicker": Conflict("the object has changed."),
    "away": Unavailable("the database is away."),
}


async def fails(page: Page) -> Response:
    raise FAULTS[page.path["kind"]]


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that is signed in to pages with a section that fails."""
    monkeypatch.setattr(app, "SECTIONS", (*app.SECTIONS, Section("Faults", "/faults", (get("/faults/{kind}", fails),))))
    clock, ids = SystemClock(), SystemIds()
    links = Links(clock, ids)
    access = OwnerAccess("token", Sessions(Fernet.generate_key(), clock, ids, Ended(tmp_path / "ended")), links)
    transport = httpx.ASGITransport(Starlette(routes=app.routes(access, clock, "0", dict)))
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as found:
        assert (await found.get(f"/sign-in/{links.make()}")).status_code == 303
        yield found


@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        ("absent", 404, "runs/7: there is no such run."),
        ("unreadable", 400, "&lt;script&gt;is no number"),
        ("quicker", 409, "the object has changed."),
        ("away", 503, "the database is away."),
    ],
)
async def test_an_error_is_a_page_with_its_status_and_its_words(
    client: httpx.AsyncClient, kind: str, code: int, says: str
) -> None:
    answer = await client.get(f"/faults/{kind}")
    assert answer.status_code == code
    assert says in answer.text
    assert "<script>is" not in answer.text
    assert answer.headers["content-security-policy"] == POLICY
    assert "<nav" in answer.text, "one goes on from there"


async def test_a_defect_is_said_without_its_inside_which_the_log_has(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await client.get("/faults/defect")
    assert answer.status_code == 500
    assert "the page failed because of a defect of its own" in answer.text
    assert "secret" not in answer.text
    assert "the secret inside" in caplog.text


async def test_a_module_of_ours_is_told_in_json(client: httpx.AsyncClient) -> None:
    answer = await client.get("/faults/quicker", headers={"Accept": "application/json"})
    assert answer.status_code == 409
    assert answer.json() == {"message": "the object has changed.", "causes": []}


async def test_half_a_character_of_a_step_s_json_is_no_defect(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAULTS, "half", NotFound("there is no \ud800 here."))
    answer = await client.get("/faults/half")
    assert answer.status_code == 404
    assert "there is no ? here." in answer.text
