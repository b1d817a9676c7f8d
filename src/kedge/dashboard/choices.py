"""What there may be thousands of and is chosen by its name, such as experiments; fields for them are told what there is."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from kedge.dashboard.api import filtered
from kedge.dashboard.page import Page, get
from kedge.errors import NotFound

Json = dict[str, Any]
_TOLD, _MOST = 20, 200
KINDS: Mapping[str, tuple[str, str]] = {
    "experiments": ("experiments", "experiment_id"),
    "pipelines": ("pipelines", "pipeline_id"),
    "recurringruns": ("recurring_runs", "recurring_run_id"),
}
"""Under which name the API answers a list, and what ids are called in it, by its path."""


async def named(page: Page, kind: str, text: str, operation: str = "IS_SUBSTRING", **query: Any) -> list[Json]:
    """Those whose names have a text, or with ``EQUALS`` are it; 200 of them.

    Args:
        page: Who asks.
        kind: One of `KINDS`.
        text: All are meant where it is empty.
        operation: Of a filter.
        query: What else the API is asked.
    """
    condition = {"key": "display_name", "operation": operation, "string_value": text}
    asked = {"page_size": _MOST, "filter": filtered([condition]) if text else ""}
    return (await page.api.get(f"/{kind}", **asked | query)).get(KINDS[kind][0]) or []


async def meant(page: Page, kind: str, text: str) -> list[str]:
    """The ids of what somebody means who types a name: those that have it, or else those that have it in theirs, up to 200.

    Args:
        page: Who asks.
        kind: One of `KINDS`.
        text: As it was typed.
    """
    found = await named(page, kind, text, "EQUALS") or await named(page, kind, text)
    return [each[KINDS[kind][1]] for each in found]


async def told(page: Page) -> Response:
    """``GET /choices/{kind}?q=``: names that have what is typed in them, as JSON."""
    kind = page.path["kind"]
    if kind not in KINDS:
        raise NotFound(f"{kind!r:.40}: there is nothing of this name to choose from. There are {', '.join(KINDS)}.")
    found = await named(page, kind, page.query("q").strip(), page_size=_TOLD)
    return page.json({"names": list(dict.fromkeys(each.get("display_name", "") for each in found))})


ROUTES = (get("/choices/{kind}", told),)
