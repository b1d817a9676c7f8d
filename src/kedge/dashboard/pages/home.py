"""Home: what runs now, what failed lately and why, what is due, and how the host and its nodes are."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.responses import Response

from kedge.dashboard.api import filtered
from kedge.dashboard.page import Page, Section, get, post
from kedge.dashboard.pages.runs import LIVE
from kedge.dashboard.rendering import OVER
from kedge.errors import ApiError

_SHOWN = 10
_DUE = 5
Json = dict[str, Any]


async def home(page: Page) -> Response:
    """``GET /``."""
    return page.render("home.html", **await _shown(page))


async def part(page: Page) -> Response:
    """``GET /home/part``: what changes."""
    return page.render("home_part.html", **await _shown(page))


async def _shown(page: Page) -> Json:
    running, failed, newest, schedules, nodes = await asyncio.gather(
        page.api.get("/runs", page_size=_SHOWN, filter=_in_state(*LIVE)),
        page.api.get("/runs", page_size=_SHOWN, filter=_in_state("FAILED")),
        page.api.get("/runs", page_size=_SHOWN),
        _or_nothing(lambda: page.api.get("/recurringruns", page_size=200)),
        _or_nothing(lambda: page.api.get("/api/v1/nodes")),
    )
    return {
        "running": running,
        "failed": failed,
        "newest": newest,
        "due": _due(schedules),
        "nodes": [_node(each) for each in nodes.get("items") or ()],
        "over": OVER,
    }


def _in_state(*states: str) -> str:
    kept = {"operation": "EQUALS", "key": "storage_state", "string_value": "AVAILABLE"}
    return filtered([{"operation": "IN", "key": "state", "string_values": {"values": list(states)}}, kept])


async def _or_nothing(ask: Callable[[], Coroutine[Any, Any, Json]]) -> Json:
    """What the API says; nothing where this host does not serve it, or not to this person."""
    try:
        return await ask()
    except ApiError:
        return {}


def _due(schedules: Json) -> list[Json]:
    """The schedules that start something next."""
    found = [each for each in schedules.get("recurring_runs") or () if each.get("next_run_at")]
    return sorted(found, key=lambda each: str(each["next_run_at"]))[:_DUE]


def _node(node: Json) -> Json:
    """A node's name, whether it takes Pods, and what presses it."""
    status = node.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    ready = conditions.get("Ready", {})
    return {
        "name": node["metadata"]["name"],
        "ready": ready.get("status") == "True",
        "why": "" if ready.get("status") == "True" else ready.get("message", "it has not said how it is"),
        "pressed": [each["message"] for name, each in conditions.items() if name != "Ready" and each.get("status") == "True"],
        "capacity": status.get("capacity") or {},
        "closed": bool((node.get("spec") or {}).get("unschedulable")),
    }


async def demo(page: Page) -> Response:
    """``POST /demo``: runs the pipeline that Kedge brings along."""
    spec = await asyncio.to_thread(page.demo)
    run = await page.api.send("POST", "/runs", {"pipeline_spec": spec, "display_name": "penguins"})
    return page.go(f"/runs/{run['run_id']}", "The demo runs. The first time, its packages are installed before it starts.")


SECTION = Section("Home", "/", (get("/", home), get("/home/part", part), post("/demo", demo)))
