"""Lists of what people have given a name, such as pipelines: by a part of the name, in an order, page by page."""

from typing import Any

from kedge.dashboard.api import filtered
from kedge.dashboard.page import Page

_ROWS = 25
SORTS = {"created_at desc": "newest first", "created_at asc": "oldest first", "display_name asc": "by name"}
"""The orders, as a query has them and in words."""
Json = dict[str, Any]


async def named(page: Page, path: str) -> tuple[Json, Json]:
    """One page of a list, as its address asks for it.

    Args:
        page: Its query holds ``name``, ``sort``, ``page_size`` and ``page_token``.
        path: Of the list in the API.

    Returns:
        What the API answers, and what the macro ``named_filters`` shows again: ``name``, ``sort`` and ``sorts``.
    """
    said, sort = page.query("name"), page.query("sort")
    sort = sort if sort in SORTS else next(iter(SORTS))
    conditions = [{"key": "display_name", "operation": "IS_SUBSTRING", "string_value": said}] if said else []
    query = {"page_size": page.number("page_size", _ROWS, most=200), "page_token": page.query("page_token")}
    if not query["page_token"]:
        query |= {"sort_by": sort, "filter": filtered(conditions)}
    return await page.api.get(path, **query), {"name": said, "sort": sort, "sorts": SORTS}
