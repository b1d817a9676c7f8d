"""A task of a run: what went in and came out, its attempts, events, environment, what the cache said, and its log.

One template is a page of its own and, where a request has ``X-Part: panel``, the panel beside a run's graph.
"""

import asyncio
import contextlib
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from kedge.dashboard.api import rest
from kedge.dashboard.page import Page, PageRoute, get, link, post
from kedge.dashboard.pages.run import spec_of, whole
from kedge.dashboard.pages.run_artifacts import OPEN
from kedge.display.faces import above
from kedge.display.wires import Blueprint, by_source
from kedge.errors import ApiError, BadRequest, Forbidden, NotFound

OVER = frozenset({"SUCCEEDED", "CACHED", "FAILED", "SKIPPED", "CANCELED"})
"""States of tasks that have ended."""
_TAIL, _MOST_LINES = 2000, 200_000
_READ_LINES, _READ_BYTES = 200, 64 << 10
"""Of a log, what is on the page itself, for those who read without JavaScript."""
_NODES_ASKED = 8
_TASK = "/runs/{run_id}/tasks/{task_id}"
_OWN_ENV = frozenset({"KEDGE_HUB", "KEDGE_STEP"})
"""Variables by which a step and its host speak to each other."""
# What a terminal obeys and a page does not show: colours and movements, titles, other controls. Tabs and line ends stay.
_CONTROLS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f]")
_TEXT = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "no-store",
}


async def task(page: Page) -> Response:
    """``GET /runs/{run_id}/tasks/{task_id}``: the page, or the part of it."""
    part = page.request.headers.get("x-part") or page.query("part")
    run = await page.api.get(_run(page))
    try:
        found = await page.api.get(_api(page))
    except NotFound as error:
        return await _not_begun(page, run, error)
    attempts = found.get("attempts", [])
    is_step = found["kind"] == "step"
    given, origin, cache, placed, documents = await asyncio.gather(
        _given(page, found),
        _of_step(page, found, "origin"),
        _of_step(page, found, "cache"),
        _nodes(page, run, attempts),
        spec_of(page, run),
    )
    wires = Blueprint(documents[0] if documents else {}).wires(found["task_id"])
    shows_log = is_step and found["state"] not in {"CACHED", "SKIPPED"} and (bool(attempts) or found["state"] not in OVER)
    return page.render(
        "task_panel.html" if part else "task.html",
        run=run,
        task=found,
        address=_address(page),
        is_panel=part in {"panel", "inside"},
        is_inside=part == "inside",
        is_step=is_step,
        over=found["state"] in OVER,
        run_over=bool(run.get("finished_at")),
        given=given,
        origin=origin,
        cache=cache,
        placed=placed,
        shows_log=shows_log,
        tail=await _tail(page) if shows_log and attempts and not part else "",
        cached_from=_cached_from(found),
        opened=OPEN,
        wires={wire.input: wire for wire in wires},
    )


async def _not_begun(page: Page, run: Mapping[str, Any], error: NotFound) -> Response:
    """A task of the pipeline that the run has not come to: what it is in says why."""
    path, documents = page.path["task_id"], await spec_of(page, run)
    blueprint = Blueprint(documents[0] if documents else {})
    if not (planned := blueprint.task(path)):
        raise error
    around: Mapping[str, Any] = {}
    for outer in above(path):
        with contextlib.suppress(NotFound):
            around = await page.api.get(f"{_run(page)}/tasks/{quote(outer, safe='')}")
            break
    return page.render(
        "task_planned.html",
        run=run,
        path=path,
        title=str((planned.get("taskInfo") or {}).get("name") or path.rpartition(".")[2]),
        around=around,
        over=(around or run).get("state") in OVER,
        is_panel=bool(page.request.headers.get("x-part")),
        takes=by_source(blueprint.wires(path)),
    )


async def events(page: Page) -> Response:
    """``GET …/events``: tells when the task changes, until its run is over."""
    task_id = page.path["task_id"]

    async def told() -> AsyncIterator[Any]:
        async for change in page.api.changes(_run(page) + "/tasks", watch="true"):
            if change.get("task_id") == task_id:
                yield {name: change[name] for name in ("state", "attempt", "waiting_reason") if name in change}

    return page.events(told())


async def retry(page: Page) -> Response:
    """``POST …/retry``: run it again without asking the cache, and what depends on it."""
    form = await page.form()
    try:
        await page.api.send("POST", _run(page) + ":retry", query={"task_id": page.path["task_id"]})
    except ApiError as error:
        return await whole(page.at(link(_run(page), task=page.path["task_id"])), refused=str(error), code=error.code)
    back = f"/runs/{quote(page.path['run_id'], safe='')}" if form.text("back") == "run" else _address(page)
    return page.go(back, f"{page.path['task_id']} runs again, and then what depends on it.")


async def log(page: Page) -> Response:
    """``GET …/log``: what the step wrote, as text: its end, as it comes with ``follow``, or all of it as a file.

    Whether the task was over when this began is said in the header ``X-Task-Over``. A log that is not there is an empty answer
    that says why in ``X-Log-Note``: to those who look that is no error.
    """
    found = await page.api.get(_api(page))
    headers = {**_TEXT, "X-Task-Over": "yes" if found["state"] in OVER else "no"}
    whole = page.query("download") == "yes"
    if whole:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{found['run_id'][:8]}-{found['task_id']}")
        headers["Content-Disposition"] = f'attachment; filename="{name}.log"'
    asked = _asked(page) | ({} if whole else {"tail_lines": page.number("tail", _TAIL, most=_MOST_LINES)})
    if not whole and page.query("follow") == "yes":
        asked["follow"] = "true"
    stack = AsyncExitStack()
    try:
        answer = await stack.enter_async_context(page.api.open(_api(page) + "/logs", **asked))
    except (NotFound, BadRequest) as error:
        note = "" if whole else quote(str(error)[:1000])
        return Response(str(error) + "\n" if whole else "", 200, {**headers, "X-Log-Note": note}, "text/plain")
    pieces = rest(stack, answer.aiter_bytes())
    return (
        page.follow(pieces, headers, "text/plain") if "follow" in asked else StreamingResponse(pieces, 200, headers, "text/plain")
    )


async def _tail(page: Page) -> str:
    """The last lines of the log, as plain text."""
    kept, size = deque[bytes](), 0
    try:
        async with page.api.open(_api(page) + "/logs", tail_lines=_READ_LINES, **_asked(page)) as answer:
            async for piece in answer.aiter_bytes():
                kept.append(piece)
                size += len(piece)
                while size - len(kept[0]) >= _READ_BYTES:
                    size -= len(kept.popleft())
    except (NotFound, BadRequest) as error:
        return f"({error})"
    return plain(b"".join(kept)[-_READ_BYTES:].decode("utf-8", "replace"))


def plain(text: str) -> str:
    r"""A log without what only a terminal obeys. Of a line that was written over, what stood there last stays.

    Examples:
        >>> plain("\x1b[31mred\x1b[0m\n 10%\r100%\r\n")
        'red\n100%\n'
    """
    lines = text.split("\n")
    return "\n".join(_CONTROLS.sub("", line.rstrip("\r").rpartition("\r")[2]) for line in lines)


def _asked(page: Page) -> dict[str, str | int | list[str]]:
    """Which log is asked for."""
    attempt = page.query("attempt")
    return {
        "attempt": attempt if attempt.isascii() and attempt.isdigit() else "",
        "container": page.query("container"),
        "timestamps": "true" if page.query("timestamps") == "yes" else "",
    }


async def _given(page: Page, found: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the step's container is given; ``None`` before that is known, and for what is no step."""
    if found["kind"] != "step" or ("inputs" not in found and not found.get("attempts")):
        return None
    try:
        pod = (await page.api.get(_api(page) + "/pod"))["pod"]
    except (NotFound, BadRequest):
        return None
    spec = pod["spec"]
    sidecars = [each for each in spec.get("initContainers", []) if each.get("restartPolicy") == "Always"]
    first = [each for each in spec.get("initContainers", []) if each.get("restartPolicy") != "Always"]
    main = spec["containers"][0]
    python = pod["metadata"].get("annotations", {}).get("kedge.dev/python", "")
    return {
        "main": main,
        "containers": [each["name"] for each in (*spec["containers"], *first, *sidecars)],
        "env": [_variable(each) for each in main.get("env", []) if each["name"] not in _OWN_ENV],
        "env_from": [_source(each) for each in main.get("envFrom", [])],
        "packages": json.loads(python).get("packages", []) if python else [],
        "selector": spec.get("nodeSelector", {}),
        "account": spec.get("serviceAccountName", ""),
    }


def _variable(each: Mapping[str, Any]) -> dict[str, str]:
    """A variable of the environment: its value, or where that is from. What a secret holds is not shown."""
    source = each.get("valueFrom")
    if not source:
        return {"name": each["name"], "value": each.get("value", ""), "source": ""}
    kind, of = next(iter(source.items()))
    words = {"secretKeyRef": "secret", "configMapKeyRef": "config map", "fieldRef": "field", "resourceFieldRef": "resource"}
    parts = [of.get("name", ""), of.get("key", "") or of.get("fieldPath", "") or of.get("resource", "")]
    return {"name": each["name"], "value": "", "source": f"{words.get(kind, kind)} {'/'.join(part for part in parts if part)}"}


def _source(each: Mapping[str, Any]) -> str:
    kind = "secret" if "secretRef" in each else "config map"
    return f"{kind} {(each.get('secretRef') or each.get('configMapRef') or {}).get('name', '')}"


async def _of_step(page: Page, found: Mapping[str, Any], what: str) -> dict[str, Any]:
    """What the API says of a step besides: its ``origin``, or its ``cache``; nothing of other tasks."""
    if found["kind"] != "step":
        return {}
    try:
        return await page.api.get(f"{_api(page)}/{what}")
    except (NotFound, BadRequest):
        return {}


async def _nodes(page: Page, run: Mapping[str, Any], attempts: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Of the newest attempts, where their Pods are, as long as these are there and may be seen."""

    async def one(name: str) -> dict[str, str]:
        try:
            pod = await page.api.get(f"/api/v1/namespaces/{run['namespace']}/pods/{quote(name, safe='')}")
        except (NotFound, Forbidden):
            return {}
        return {"node": pod["spec"].get("nodeName", ""), "page": f"/cluster/objects/core/v1/pods/{run['namespace']}/{name}"}

    names = [each["pod_name"] for each in attempts[-_NODES_ASKED:]]
    return dict(zip(names, await asyncio.gather(*(one(name) for name in names)), strict=True))


def _cached_from(found: Mapping[str, Any]) -> str:
    """The page of the task whose results these are."""
    run, _, task_id = found.get("cached_from", "").partition("/")
    return f"/runs/{quote(run, safe='')}/tasks/{quote(task_id, safe='')}" if task_id else ""


def _run(page: Page) -> str:
    return f"/runs/{quote(page.path['run_id'], safe='')}"


def _api(page: Page) -> str:
    return f"{_run(page)}/tasks/{quote(page.path['task_id'], safe='')}"


# The same path leads to a task in the API and among the pages.
_address = _api

ROUTES: tuple[PageRoute, ...] = (
    get(_TASK, task),
    get(_TASK + "/events", events),
    get(_TASK + "/log", log),
    post(_TASK + "/retry", retry),
)
