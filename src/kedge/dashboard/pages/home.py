"""Home: what runs now, and what failed lately."""

import msgspec
from starlette.responses import Response

from kedge.dashboard.page import Page, Section, get
from kedge.dashboard.rendering import OVER

_SHOWN = 10


async def home(page: Page) -> Response:
    """``GET /``."""
    running = await page.api.get("/runs", page_size=_SHOWN, filter=_in_state("PENDING", "RUNNING", "CANCELING", "PAUSED"))
    failed = await page.api.get("/runs", page_size=_SHOWN, filter=_in_state("FAILED"))
    newest = await page.api.get("/runs", page_size=_SHOWN)
    return page.render("home.html", running=running, failed=failed, newest=newest, over=OVER)


def _in_state(*states: str) -> str:
    predicate = {"operation": "IN", "key": "state", "string_values": {"values": list(states)}}
    return msgspec.json.encode({"predicates": [predicate]}).decode()


SECTION = Section("Home", "/", (get("/", home),))
