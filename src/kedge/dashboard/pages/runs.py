"""Runs: the list, with what chooses from it, and what may be done with several at once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from kedge.dashboard import choices, tags
from kedge.dashboard.api import filtered
from kedge.dashboard.page import Page, Section, get, link, post
from kedge.dashboard.rendering import OVER
from kedge.errors import ApiError, BadRequest, Forbidden, NotFound

Json = dict[str, Any]

LIVE = ("PENDING", "RUNNING", "CANCELING", "PAUSED")
"""States of runs that are not over."""
STATES: Mapping[str, tuple[str, ...]] = {
    "running": LIVE,
    "succeeded": ("SUCCEEDED",),
    "failed": ("FAILED",),
    "canceled": ("CANCELED",),
}
"""What is chosen by state, by its name in an address."""
COLUMNS = {"name": "Run", "state": "State", "created_at": "Started", "finished_at": "Ended"}
"""What may be sorted by: there is an index of each."""
_CHOICES = (
    "name", "state", "pipeline", "pipeline_id", "experiment", "experiment_id", "schedule", "schedule_name", "tags", "since",
    "until", "storage",
)  # fmt: skip
_BY_NAME = {"experiment": ("experiments", "experiment_id"), "schedule_name": ("recurringruns", "recurring_run_id")}
"""What is chosen by the name of something else: its list, and the key of its id in a filter of runs."""
_SIZES = (50, 100, 200)
_MOST_BACK = 20  # pages whose tokens an address keeps
_GATHER = 0.5  # seconds in which changes come together
_MOST_COMPARED = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the list an address asks for.

    Attributes:
        choices: What chooses, by name; only what is given.
        sort: A column, and ``asc`` or ``desc`` after it.
        size: Of a page.
        token: Of the page.
        back: The tokens of the pages before it, the first of all left out.
        meant: The ids that are meant by names of other things.
    """

    choices: Mapping[str, str]
    sort: str
    size: int
    token: str
    back: tuple[str, ...]
    meant: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])

    @classmethod
    async def of(cls, page: Page) -> "Asked":
        """Read it; what cannot be read is as if it was not there."""
        column, _, direction = page.query("sort").partition(" ")
        sort = f"{column} {direction}" if column in COLUMNS and direction in ("asc", "desc") else "created_at desc"
        chosen = {name: text for name in _CHOICES if (text := page.query(name).strip())}
        named = [name for name in _BY_NAME if name in chosen]
        ids = await asyncio.gather(*(choices.meant(page, _BY_NAME[name][0], chosen[name]) for name in named))
        return cls(
            choices=chosen,
            meant=dict(zip(named, ids, strict=True)),
            sort=sort,
            size=page.number("page_size", _SIZES[0], most=_SIZES[-1]),
            token=page.query("page_token"),
            back=tuple(page.request.query_params.getlist("back"))[-_MOST_BACK:],
        )

    def query(self, **changed: Any) -> Json:
        """The address of the same list, but for what is changed; another order or choice begins at the first page."""
        own = {
            "sort": "" if self.sort == "created_at desc" else self.sort,
            "page_size": "" if self.size == _SIZES[0] else self.size,
        }
        return {**self.choices, **own, **changed}

    def and_tag(self, key: str, value: str) -> str:
        """The tags that are chosen, and one more."""
        return tags.with_one(self.choices.get("tags", ""), key, value)

    def predicates(self, *, but: str = "") -> list[Json]:
        """What the API is asked for."""
        texts = {"name": ("IS_SUBSTRING", "display_name"), "pipeline": ("IS_SUBSTRING", "pipeline_name")}
        texts |= {
            "pipeline_id": ("EQUALS", "pipeline_id"),
            "experiment_id": ("EQUALS", "experiment_id"),
            "schedule": ("EQUALS", "recurring_run_id"),
        }
        moments = {"since": "GREATER_THAN_EQUALS", "until": "LESS_THAN_EQUALS"}
        found: list[Json] = []
        for name, text in self.choices.items():
            if name == but:
                continue
            if name in texts:
                operation, key = texts[name]
                found.append({"operation": operation, "key": key, "string_value": text})
            elif name in moments:
                found.append({"operation": moments[name], "key": "created_at", "timestamp_value": _moment(name, text)})
            elif name in self.meant:
                values = {"values": self.meant[name]}
                found.append({"operation": "IN", "key": _BY_NAME[name][1], "string_values": values})
            elif name == "tags":
                found += tags.predicates(text)
            elif name == "state" and text in STATES:
                found.append(_in_state(text))
        if (storage := self.choices.get("storage", "")) != "all":
            wanted = "ARCHIVED" if storage == "archived" else "AVAILABLE"
            found.append({"operation": "EQUALS", "key": "storage_state", "string_value": wanted})
        return found


def _moment(name: str, text: str) -> str:
    """A day, from its beginning or to its end in UTC; any other moment stays as it is."""
    if len(text) == len("2026-11-28"):
        return text + ("T00:00:00Z" if name == "since" else "T23:59:59Z")
    return text


def _in_state(name: str) -> Json:
    return {"operation": "IN", "key": "state", "string_values": {"values": list(STATES[name])}}


# ---- the list


async def runs(page: Page) -> Response:
    """``GET /runs``."""
    asked = await Asked.of(page)
    experiment_id, schedule_id = asked.choices.get("experiment_id", ""), asked.choices.get("schedule", "")
    listed, experiment, schedule = await asyncio.gather(
        _listed(page, asked),
        if_there(page, f"/experiments/{experiment_id}") if experiment_id else _nothing(),
        if_there(page, f"/recurringruns/{schedule_id}") if schedule_id else _nothing(),
    )
    return page.render("runs.html", sizes=_SIZES, experiment=experiment, schedule=schedule, **listed)


async def part(page: Page) -> Response:
    """``GET /runs/part``: the list alone."""
    return page.render("runs_list.html", **await _listed(page, await Asked.of(page)))


async def _listed(page: Page, asked: Asked) -> Json:
    found, *counts = await asyncio.gather(
        page.api.get(
            "/runs",
            page_size=asked.size,
            # The token holds the order and the filter, which may mean more by now: an experiment of that name that is new.
            **({"page_token": asked.token} if asked.token else {"sort_by": asked.sort, "filter": filtered(asked.predicates())}),
        ),
        *(_count(page, asked, name) for name in STATES),
    )
    here = {"page_token": asked.token, "back": list(asked.back)}
    back = asked.back[:-1]
    return {
        "asked": asked,
        "found": found,
        "counts": dict(zip(STATES, counts, strict=True)),
        "columns": [_column(asked, name) for name in COLUMNS],
        "over": OVER,
        "address": link("/runs/part", **asked.query(**here)),
        "first": link("/runs", **asked.query()) if asked.token else "",
        "before": link("/runs", **asked.query(page_token=asked.back[-1] if asked.back else "", back=list(back)))
        if asked.token
        else "",
        "after": link("/runs", **asked.query(page_token=token, back=[*asked.back, *filter(None, [asked.token])]))
        if (token := found.get("next_page_token"))
        else "",
    }


async def _count(page: Page, asked: Asked, state: str) -> int:
    """How many there are in a state, of those that are chosen otherwise."""
    predicates = [*asked.predicates(but="state"), _in_state(state)]
    return (await page.api.get("/runs", page_size=1, filter=filtered(predicates))).get("total_size", 0)


def _column(asked: Asked, name: str) -> Json:
    """The head of a column: what it is sorted by now, and where it leads."""
    column, _, direction = asked.sort.partition(" ")
    other = "asc" if (column == name and direction == "desc") or (column != name and name in ("name", "state")) else "desc"
    sorted_by = {"asc": "ascending", "desc": "descending"}[direction] if column == name else ""
    return {
        "name": name,
        "title": COLUMNS[name],
        "sorted": sorted_by,
        "address": link("/runs", **asked.query(sort=f"{name} {other}")),
    }


async def if_there(page: Page, path: str) -> Json:
    """What the API says of something; empty where it is gone, or not for this person."""
    try:
        return await page.api.get(path)
    except (NotFound, Forbidden):
        return {}


async def _nothing() -> Json:
    return {}


# ---- what changes


async def events(page: Page) -> Response:
    """``GET /runs/events``: that runs have changed, at most twice a second."""
    return page.events(told(page), endless=True)


async def told(page: Page) -> AsyncIterator[Json]:
    """Ids of the runs that changed; none at first, for what changed since the page was made."""
    changed: set[str] = set()
    wake = asyncio.Event()
    over = False

    async def follow() -> None:
        nonlocal over
        try:
            async for each in page.api.changes("/runs", watch="true"):
                changed.add(each["run_id"])
                wake.set()
        finally:
            over = True
            wake.set()

    following = asyncio.ensure_future(follow())
    try:
        yield {"runs": []}
        while not over:
            await wake.wait()
            await asyncio.wait({following}, timeout=_GATHER)
            wake.clear()
            some = sorted(changed)
            changed.clear()
            if some:
                yield {"runs": some}
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


# ---- what may be done with several


async def chosen(page: Page) -> Response:
    """``POST /runs/chosen``: what the pressed button says, with the chosen runs."""
    form = await page.form()
    ids, back = form.texts("run"), form.text("back", "/runs")
    back = back if back.startswith("/runs") else "/runs"
    if not ids:
        return page.go(back, "No run was chosen. Tick some first.")
    match form.text("do"):
        case "compare" if 2 <= len(ids) <= _MOST_COMPARED:
            return page.go(link("/compare", run=ids))
        case "compare":
            said = f"{len(ids)} chosen: 2 to {_MOST_COMPARED} runs can be compared."
        case "delete":
            return page.go(link("/runs/deleting", run=ids))
        case "archive":
            said = _done("Archived", await _each(page, ids, "POST", ":archive"))
        case "unarchive":
            said = _done("Restored", await _each(page, ids, "POST", ":unarchive"))
        case "tag":
            said = await _tag(page, ids, form.text("typed"))
        case other:
            raise BadRequest(f"do: there is nothing called {other!r:.40}. There are compare, tag, archive, unarchive, delete.")
    return page.go(back, said)


async def _tag(page: Page, ids: list[str], typed: str) -> str:
    """Tag them, and say what was done."""
    asked = tags.changes(typed)
    if not asked:
        return "No tag was typed. Type one, such as team=a."
    return _done("Tagged", await _each(page, ids, "POST", ":tag", body={"tags": asked}))


async def deleting(page: Page) -> Response:
    """``GET /runs/deleting``: asks before runs are deleted."""
    ids = page.request.query_params.getlist("run")[: _SIZES[-1]]
    found = [run for each in ids if (run := await if_there(page, f"/runs/{each}"))]
    return page.render("runs_deleting.html", runs=found, over=OVER)


async def delete(page: Page) -> Response:
    """``POST /runs/deleting``: deletes them."""
    form = await page.form()
    query = {"keep_artifacts": "true"} if form.text("keep_artifacts") else {}
    return page.go("/runs", _done("Deleted", await _each(page, form.texts("run"), "DELETE", "", query=query)))


async def _each(
    page: Page, ids: list[str], method: str, verb: str, *, query: Mapping[str, str] | None = None, body: Json | None = None
) -> list[str]:
    """Do something with each run; says what went wrong, and ``""`` for what went well."""
    faults: list[str] = []
    for each in ids:
        try:
            await page.api.send(method, f"/runs/{each}{verb}", body, query=query)
            faults.append("")
        except ApiError as error:
            faults.append(str(error))
    return faults


def _done(what: str, faults: list[str]) -> str:
    well, wrong = faults.count(""), [fault for fault in faults if fault]
    said = f"{what}: {well} {'run' if well == 1 else 'runs'}."
    return f"{said} Not {len(wrong)}: {wrong[0]}" if wrong else said


SECTION = Section(
    "Runs",
    "/runs",
    (
        get("/runs", runs),
        get("/runs/part", part),
        get("/runs/events", events),
        post("/runs/chosen", chosen),
        get("/runs/deleting", deleting),
        post("/runs/deleting", delete),
    ),
)
