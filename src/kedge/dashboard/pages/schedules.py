"""Schedules, which the API calls recurring runs: the list, one with its history, and the form that makes and changes them."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from starlette.responses import Response

from kedge.dashboard import arguments
from kedge.dashboard.api import filtered
from kedge.dashboard.arguments import Input
from kedge.dashboard.named import named
from kedge.dashboard.page import Form, Page, Section, get, post
from kedge.dashboard.pages.new_run import NAMED, field_of, judged, verdict
from kedge.dashboard.starting import Source, chosen_experiment, experiments, of_run, stored, tags_as_typed, which
from kedge.errors import ApiError, BadRequest, Cause, NotFound

_RUNS = 25
_ONE = "/schedules/{schedule_id}"
_TRIGGER = ("trigger", "cron", "zone", "every", "unit", "start_time", "end_time")
_OTHERS = ("max_concurrency", "catchup", "pinned", "enabled")
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days"}
"""Units of intervals, and their names."""
_KNOWN = frozenset({*NAMED, *_TRIGGER, *_OTHERS})
Json = dict[str, Any]


async def schedules(page: Page) -> Response:
    """``GET /schedules``."""
    found, asked_for = await named(page, "/recurringruns")
    rows = await asyncio.gather(*(_row(page, each) for each in found.get("recurring_runs", [])))
    return page.render("schedules.html", found=found, rows=rows, **asked_for)


async def _row(page: Page, schedule: Json) -> Json:
    runs, pipeline = await asyncio.gather(_runs(page, schedule["recurring_run_id"], 1), _pipeline(page, schedule))
    return {"schedule": schedule, "last": (runs.get("runs") or [{}])[0], "count": runs.get("total_size", 0), "pipeline": pipeline}


async def _runs(page: Page, schedule_id: str, count: int, token: str = "") -> Json:
    if token:
        return await page.api.get("/runs", page_size=count, page_token=token)
    condition = {"key": "recurring_run_id", "operation": "EQUALS", "string_value": schedule_id}
    return await page.api.get("/runs", page_size=count, filter=filtered([condition]))


async def _pipeline(page: Page, schedule: Json) -> Json:
    """The stored pipeline that it runs; only a name for one that was given with it, or is deleted."""
    if pipeline_id := (schedule.get("pipeline_version_reference") or {}).get("pipeline_id"):
        try:
            return await page.api.get(f"/pipelines/{pipeline_id}")
        except ApiError:
            return {"display_name": "", "gone": True}
    return {}


async def schedule(page: Page) -> Response:
    """``GET /schedules/{schedule_id}``."""
    place = _place(page)
    found, coming, runs = await asyncio.gather(
        page.api.get(place),
        page.api.get(place + ":preview", count=5),
        _runs(page, page.path["schedule_id"], _RUNS, page.query("page_token")),
    )
    reference = found.get("pipeline_version_reference") or {}
    version: Json = {}
    if reference.get("pipeline_version_id"):
        try:
            version = await page.api.get(f"/pipelines/{reference['pipeline_id']}/versions/{reference['pipeline_version_id']}")
        except NotFound:
            version = {"gone": True}
    return page.render(
        "schedule.html",
        schedule=found,
        pipeline=await _pipeline(page, found),
        pinned=version,
        coming=coming,
        times=_times(coming),
        runs=runs,
        parameters=(found.get("runtime_config") or {}).get("parameters") or {},
    )


def _place(page: Page) -> str:
    return f"/recurringruns/{page.path['schedule_id']}"


async def enable(page: Page) -> Response:
    """``POST /schedules/{schedule_id}/enable``."""
    await page.api.send("POST", _place(page) + ":enable")
    return page.go(f"/schedules/{page.path['schedule_id']}", "Enabled.")


async def disable(page: Page) -> Response:
    """``POST /schedules/{schedule_id}/disable``."""
    await page.api.send("POST", _place(page) + ":disable")
    return page.go(f"/schedules/{page.path['schedule_id']}", "Disabled: it starts no runs until it is enabled.")


async def delete(page: Page) -> Response:
    """``POST /schedules/{schedule_id}/delete``."""
    await page.api.send("DELETE", _place(page))
    return page.go("/schedules", "Deleted. Its runs stay.")


async def run_now(page: Page) -> Response:
    """``POST /schedules/{schedule_id}/run``: a run with the same pipeline and arguments, at once."""
    found = await page.api.get(_place(page))
    source = await of_run(page, found)
    config = found.get("runtime_config") or {}
    body: Json = {name: found.get(name, "") for name in ("experiment_id", "service_account")} | {"tags": found.get("tags") or {}}
    body |= {"display_name": f"{found['display_name']}, by hand", "runtime_config": config} | source.reference
    run = await page.api.send("POST", "/runs", body)
    return page.go(f"/runs/{run['run_id']}", "Started.")


async def new(page: Page) -> Response:
    """``GET /schedules/new?pipeline_id=&version_id=``; which pipeline, where none is said."""
    if not page.query("pipeline_id"):
        return await which(page, schedule=True)
    source = await stored(page, page.query("pipeline_id"), page.query("version_id"))
    asked: Json = dict.fromkeys((*NAMED, *_TRIGGER, *_OTHERS), "")
    asked |= {"display_name": source.name, "trigger": "cron", "cron": "0 9 * * *", "zone": "UTC", "every": "1", "unit": "h"}
    asked |= {"max_concurrency": "1", "catchup": "", "pinned": "yes" if page.query("version_id") else "", "enabled": "yes"}
    return await _form(page, _Filled(source, arguments.inputs(source.spec), asked, None))


async def edit(page: Page) -> Response:
    """``GET /schedules/{schedule_id}/edit``."""
    found = await page.api.get(_place(page))
    source = await of_run(page, found)
    config = found.get("runtime_config") or {}
    asked: Json = {name: found.get(name, "") for name in ("display_name", "description", "experiment_id", "service_account")}
    asked |= {"tags": tags_as_typed(found.get("tags")), "namespace": ""}
    asked |= {"experiment_name": "", "pipeline_root": config.get("pipeline_root", "")} | _as_typed(found["trigger"])
    asked |= {"max_concurrency": found["max_concurrency"], "catchup": "" if found.get("no_catchup") else "yes"}
    asked["pinned"] = "yes" if (found.get("pipeline_version_reference") or {}).get("pipeline_version_id") else ""
    asked["enabled"] = "yes" if found["mode"] == "ENABLE" else ""
    return await _form(page, _Filled(source, arguments.inputs(source.spec, config.get("parameters") or {}), asked, found))


def _as_typed(trigger: Json) -> Json:
    """A trigger in the fields of the form."""
    found: Json = {"trigger": "cron", "cron": "", "zone": "", "every": "1", "unit": "h"}
    limits: Json = trigger.get("cron_schedule") or trigger.get("periodic_schedule") or {}
    found |= {name: limits.get(name, "") for name in ("start_time", "end_time")}
    if "cron_schedule" in trigger:
        zone, space, rest = str(trigger["cron_schedule"]["cron"]).partition(" ")
        has_zone = space and zone.startswith(("TZ=", "CRON_TZ="))
        return found | ({"cron": rest, "zone": zone.partition("=")[2]} if has_zone else {"cron": f"{zone}{space}{rest}"})
    seconds = int(trigger["periodic_schedule"]["interval_second"])
    unit = next(name for name in ("d", "h", "min", "s") if seconds % _UNITS[name] == 0)
    return found | {"trigger": "interval", "every": str(seconds // _UNITS[unit]), "unit": unit}


async def make(page: Page) -> Response:
    """``POST /schedules/new``."""
    source = await stored(page, page.query("pipeline_id"), page.query("version_id"))
    return await _save(page, source, None)


async def change(page: Page) -> Response:
    """``POST /schedules/{schedule_id}/edit``."""
    found = await page.api.get(_place(page))
    return await _save(page, await of_run(page, found), found)


async def _save(page: Page, source: Source, known: Json | None) -> Response:
    """Make or change one, or only show what it would do. What is refused stays in the form."""
    form = await page.form()
    fields = arguments.typed(arguments.inputs(source.spec), form)
    asked: Json = {name: form.text(name) for name in (*NAMED, *_TRIGGER, *_OTHERS)}
    filled = _Filled(source, fields, asked, known)
    coming, causes = await _preview(page, asked)
    if form.text("do") == "preview":
        return await _form(page, filled, causes=causes, coming=coming)
    body, more = await judged(page, source, fields, asked)
    causes += more
    if form.text("do") == "verdict":
        return page.json({"faults": verdict(fields, causes)})
    if not causes and not any(each.wrong for each in fields):
        try:
            saved = await _sent(page, form, body | _recurring(source, asked), known)
            return page.go(f"/schedules/{saved['recurring_run_id']}", "Saved.")
        except ApiError as error:
            causes = list(error.causes) or [Cause("", str(error))]
    return await _form(page, filled, causes=causes, coming=coming)


def _recurring(source: Source, asked: Json) -> Json:
    """The fields of a recurring run that a run has not."""
    body: Json = {
        "trigger": _trigger(asked),
        "max_concurrency": asked["max_concurrency"] or "1",
        "no_catchup": not asked["catchup"],
        "mode": "ENABLE" if asked["enabled"] else "DISABLE",
    }
    if source.pipeline and not asked["pinned"]:
        body["pipeline_version_reference"] = {"pipeline_id": source.pipeline["pipeline_id"]}
    return body


async def _sent(page: Page, form: Form, body: Json, known: Json | None) -> Json:
    body["experiment_id"] = await chosen_experiment(page, form)
    if known is None:
        return await page.api.send("POST", "/recurringruns", body)
    return await page.api.send("PATCH", f"/recurringruns/{known['recurring_run_id']}", body)


def _rule(asked: Json) -> Json:
    """The rule of the trigger that a form asks for, as the API has it."""
    if asked["trigger"] == "interval":
        number = str(asked["every"]).strip()
        return {"interval_second": str(int(number) * _UNITS.get(asked["unit"], 1)) if number.isdecimal() else number or "0"}
    zone, cron = asked["zone"].strip(), asked["cron"].strip()
    return {"cron": f"TZ={zone} {cron}" if zone and zone != "UTC" and not cron.startswith(("TZ=", "CRON_TZ=")) else cron}


def _limits(asked: Json) -> Json:
    """Start and end; a moment without a time zone is one of UTC."""
    found: Json = {}
    for name in ("start_time", "end_time"):
        if text := asked[name].strip().replace(" ", "T"):
            found[name] = text + ":00Z" if len(text) == len("2026-11-28T09:00") else text
    return found


def _trigger(asked: Json) -> Json:
    kind = "periodic_schedule" if asked["trigger"] == "interval" else "cron_schedule"
    return {kind: _rule(asked) | _limits(asked)}


async def _preview(page: Page, asked: Json) -> tuple[Json, list[Cause]]:
    """What the trigger would do, or which of its fields is wrong."""
    rule = _rule(asked)
    if rule == {"cron": ""}:
        return {}, [Cause("cron", "is required: when shall it run?")]
    try:
        return await page.api.get("/recurringruns:preview", **rule, **_limits(asked), count=5), []
    except BadRequest as error:
        causes = list(error.causes) or [Cause("", str(error))]
        return {}, [_of_zone(each) if asked["zone"] and "no time zone" in each.message else each for each in causes]


def _of_zone(cause: Cause) -> Cause:
    """What the API says of a time zone, which it has before the fields of an expression; here it is typed apart."""
    return replace(cause, field="zone", message=cause.message.partition("': ")[2] or cause.message)


def _times(coming: Json) -> list[Json]:
    """The next times as their time zone has them; where its clocks are set between two, that is said."""
    found: list[Json] = []
    last: timedelta | None = None
    for moment, local in zip(coming.get("moments") or (), coming.get("local_moments") or (), strict=True):
        there = datetime.fromisoformat(local)
        offset = there.utcoffset() or timedelta()
        hours = (offset - last).total_seconds() / 3600 if last is not None else 0
        last = offset
        change = f"{'forward' if hours > 0 else 'back'} by {abs(hours):g} h" if hours else ""
        written = f"{there:%a %Y-%m-%d %H:%M:%S}".removesuffix(":00")
        found.append({"moment": moment, "local": written, "offset": local[19:], "change": change})
    return found


async def preview(page: Page) -> Response:
    """``GET /schedules/preview``: the next five times of what is in the form, as a part of the page."""
    asked: Json = {name: page.query(name) for name in _TRIGGER}
    coming, causes = await _preview(page, asked)
    faults = {field_of(cause): cause.message for cause in causes}
    return page.render("schedule_preview.html", coming=coming, times=_times(coming), faults=faults)


@cache
def _zones() -> list[str]:
    """Names of time zones, as people choose among them."""
    chosen = [zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/", "US/"))]
    return ["UTC", *sorted(chosen)]


@dataclass(frozen=True, slots=True)
class _Filled:
    """The form as somebody sees or sends it: for which pipeline, with what in its fields, and which schedule is changed."""

    source: Source
    fields: list[Input]
    asked: Json
    known: Json | None


async def _form(page: Page, filled: _Filled, *, causes: list[Cause] | None = None, coming: Json | None = None) -> Response:
    fields, asked = filled.fields, filled.asked
    wrong = bool(causes) or any(each.wrong for each in fields)
    if coming is None:
        coming, _ = await _preview(page, asked)
    others = arguments.blame(fields, causes or [])
    named = [(field_of(cause), cause.message) for cause in others]
    return page.render(
        "schedule_form.html",
        code=400 if wrong else 200,
        source=filled.source,
        fields=fields,
        asked=asked,
        schedule=filled.known,
        units=UNITS,
        experiments=await experiments(page),
        faults={field: said for field, said in named if field in _KNOWN},
        others=[said for field, said in named if field not in _KNOWN],
        wrong=wrong,
        coming=coming,
        times=_times(coming),
        zones=_zones(),
    )


SECTION = Section(
    "Schedules",
    "/schedules",
    (
        get("/schedules", schedules),
        get("/schedules/new", new),
        post("/schedules/new", make),
        get("/schedules/preview", preview),
        get(_ONE, schedule),
        get(_ONE + "/edit", edit),
        post(_ONE + "/edit", change),
        post(_ONE + "/enable", enable),
        post(_ONE + "/disable", disable),
        post(_ONE + "/delete", delete),
        post(_ONE + "/run", run_now),
    ),
)
