"""Home: what runs now, what failed lately and why, what is due, and how the host and its nodes are."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from starlette.responses import Response

from kedge.dashboard.api import filtered
from kedge.dashboard.nodes import nodes
from kedge.dashboard.page import Page, Section, get, post
from kedge.dashboard.pages.runs import LIVE
from kedge.dashboard.rendering import OVER
from kedge.errors import ApiError, KedgeError

_SHOWN = 10
_DUE = 5
_WORDS = {
    "artifacts": "Artifacts of runs",
    "logs": "Logs of steps",
    "history": "Database: history",
    "objects": "Database: objects",
    "environments": "Python environments",
    "volumes": "Volumes (claims)",
    "pods": "Folders of Pods",
}
"""What `GET /status` tells of, as people read it."""
Json = dict[str, Any]
T = TypeVar("T")


async def home(page: Page) -> Response:
    """``GET /``."""
    return page.render("home.html", **await _shown(page))


async def part(page: Page) -> Response:
    """``GET /home/part``: what changes."""
    return page.render("home_part.html", **await _shown(page))


async def _shown(page: Page, fault: str = "") -> Json:
    running, failed, newest, schedules, host, machines = await asyncio.gather(
        page.api.get("/runs", page_size=_SHOWN, filter=_in_state(*LIVE)),
        page.api.get("/runs", page_size=_SHOWN, filter=_in_state("FAILED")),
        page.api.get("/runs", page_size=_SHOWN),
        _or_nothing(lambda: page.api.get("/recurringruns", page_size=200), {}),
        _or_nothing(lambda: page.api.get("/status"), {}),
        _or_nothing(lambda: nodes(page), []),
    )
    shown = newest.get("runs") or []
    return {
        # Until one has succeeded, a person may want to be shown how to begin.
        "begins": newest.get("total_size", 0) <= len(shown) and not any(run.get("state") == "SUCCEEDED" for run in shown),
        "first": shown[0] if shown else {},
        "fault": fault,
        "running": running,
        "failed": failed,
        "newest": newest,
        "due": _due(schedules),
        "host": host,
        "stored": _stored(host),
        "short": [each for each in host.get("disks") or () if each["state"] != "OK"],
        "nodes": machines,
        "over": OVER,
    }


def _in_state(*states: str) -> str:
    kept = {"operation": "EQUALS", "key": "storage_state", "string_value": "AVAILABLE"}
    return filtered([{"operation": "IN", "key": "state", "string_values": {"values": list(states)}}, kept])


async def _or_nothing(ask: Callable[[], Coroutine[Any, Any, T]], nothing: T) -> T:
    """What the API says; nothing where this host does not serve it, or not to this person."""
    try:
        return await ask()
    except ApiError:
        return nothing


def _stored(host: Json) -> list[Json]:
    """What lies where, the largest first; what is not counted yet comes last."""
    found = [{"name": "artifacts", "place": host.get("artifact_root", ""), **(host.get("artifacts") or {})}] if host else []
    found = [{**each, "what": _WORDS.get(each["name"], each["name"])} for each in [*found, *(host.get("stored") or ())]]
    return sorted(found, key=lambda each: -each.get("bytes", -1))


def _due(schedules: Json) -> list[Json]:
    """The schedules that start something next."""
    found = [each for each in schedules.get("recurring_runs") or () if each.get("next_run_at")]
    return sorted(found, key=lambda each: str(each["next_run_at"]))[:_DUE]


async def demo(page: Page) -> Response:
    """``POST /demo``: runs the pipeline that Kedge brings along; why it cannot be started is said where the button is."""
    try:
        spec = await asyncio.to_thread(page.demo)
        run = await page.api.send("POST", "/runs", {"pipeline_spec": spec, "display_name": "penguins"})
    except KedgeError as error:
        code = error.code if isinstance(error, ApiError) else 500
        return page.render("home.html", code=code, **await _shown(page, str(error)))
    return page.go(f"/runs/{run['run_id']}", "The demo runs. The first time, its packages are installed before it starts.")


SECTION = Section("Home", "/", (get("/", home), get("/home/part", part), post("/demo", demo)))
