"""Runs: the list."""

from starlette.responses import Response

from kedge.dashboard.page import Page, Section, get


async def runs(page: Page) -> Response:
    """``GET /runs``."""
    found = await page.api.get("/runs", page_size=page.number("page_size", 50, most=200), page_token=page.query("page_token"))
    return page.render("runs.html", found=found)


SECTION = Section("Runs", "/runs", (get("/runs", runs),))
