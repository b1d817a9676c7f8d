"""The tags of a run, on its page."""

from starlette.responses import Response

from kedge.dashboard import tags
from kedge.dashboard.page import Page, post
from kedge.dashboard.pages.run import whole
from kedge.errors import ApiError


async def change(page: Page) -> Response:
    """``POST /runs/{run_id}/tags``: what is typed is set, and what is pressed is taken away."""
    form = await page.form()
    here = f"/runs/{page.path['run_id']}"
    asked = tags.changes(form.text("tags")) | dict.fromkeys(form.texts("remove"))
    if not asked:
        return page.go(here, "Nothing was changed. Type a tag, such as team=a.")
    try:
        await page.api.send("POST", f"{here}:tag", {"tags": asked})
    except ApiError as error:
        return await whole(page.at(here), refused=str(error), code=error.code)
    return page.go(here, "Tags changed.")


ROUTES = (post("/runs/{run_id}/tags", change),)
