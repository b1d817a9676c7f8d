"""What a run made, as one of the views of its page: every artifact drawn where it stands, those of a task together."""

from typing import Any

from kedge.dashboard import previews
from kedge.dashboard.page import Page

_PAGE = 30
OPEN = frozenset({"Metrics", "ClassificationMetrics", "SlicedClassificationMetrics", "Dataset", "HTML", "Markdown", "Artifact"})
"""Types that are drawn at once; a model has little to show and is folded."""


async def view(page: Page, shown: dict[str, Any]) -> dict[str, Any]:
    """A page of the run's artifacts, in the order in which they were made."""
    found = await page.api.get(
        "/artifacts", run_id=shown["run_id"], page_size=_PAGE, page_token=page.query("page_token"), sort_by="created_at asc"
    )
    made: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for each in found.get("artifacts", []):
        made.setdefault((each.get("run_id", ""), each.get("task_id", "")), []).append(each)
    return {"found": found, "made": made, "schema": previews.schema, "opened": OPEN}
