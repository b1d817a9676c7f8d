"""Choosing a namespace: what the other pages are about."""

from starlette.responses import Response

from kedge.dashboard.access import keep
from kedge.dashboard.page import Page, get, post
from kedge.errors import BadRequest
from kedge.kube.names import label_fault

PATH = "/namespace"


async def ask(page: Page) -> Response:
    """``GET /namespace``."""
    caller = await page.api.get("/caller", view="FULL")
    return page.render("namespace.html", caller=caller, back=page.query("back", "/"))


async def choose(page: Page) -> Response:
    """``POST /namespace``; none means all of them, where there is one user."""
    form = await page.form()
    name = form.text("namespace").strip()
    if name and (fault := label_fault(name)):
        raise BadRequest(f"namespace: {fault}.")
    answer = page.go(form.text("back", "/"))
    keep(page.request, answer, page.namespace_cookie, name)
    return answer


ROUTES = (get(PATH, ask), post(PATH, choose))
