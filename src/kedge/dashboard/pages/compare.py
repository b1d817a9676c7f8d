"""Compare: several runs beside each other: what they were given, what came out, and what differs."""

import asyncio
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from kedge.dashboard import tags
from kedge.dashboard.page import Page, get, link
from kedge.dashboard.parallel import Axis, drawn
from kedge.display.outline import is_step
from kedge.display.results import number, value
from kedge.display.tasks import duration
from kedge.errors import ApiError, BadRequest, Forbidden, NotFound
from kedge.kube.clock import parse_timestamp

Json = dict[str, Any]

MOST = 20
"""So many runs are compared at once."""
_MOST_TASKS = 500  # of a run, and it is compared without them
_MOST_AXES = 10
_POINTS = 200
_SHORT = 12
# What is better when it is less, by the words of its name; of everything else more is better.
_LESS = ("loss", "error", "err", "rmse", "mse", "mae", "mape", "perplexity", "latency", "seconds", "duration", "cost")
_TOO_MANY = f"run: 2 to {MOST} runs can be compared. Choose them in the list of runs."


@dataclass
class Shown:
    """A run, with what is compared.

    Attributes:
        run: As the API shows it.
        tasks: Those of it that ran, by id.
        metrics: Its numbers and series.
        pipeline: What its first step says of its pipeline, and where that came from.
    """

    run: Json
    tasks: Mapping[str, Json] = field(default_factory=dict[str, Json])
    metrics: Sequence[Json] = ()
    pipeline: Json = field(default_factory=dict[str, Any])

    @property
    def name(self) -> str:
        """As people call it."""
        return str(self.run.get("display_name") or self.run["run_id"])


@dataclass(frozen=True)
class Line:
    """One thing that is compared.

    Attributes:
        name: What it is.
        cells: How each run has it; ``""`` for one that has none.
        of: Where it is from, such as a task.
        best: Positions of the runs that are best.
        better: ``highest`` or ``lowest``.
        kind: How cells are drawn: ``text``, ``state``, ``number``, or ``time``, which counts for no difference.
    """

    name: str
    cells: tuple[str, ...]
    of: str = ""
    best: frozenset[int] = frozenset()
    better: str = ""
    kind: str = "text"

    @property
    def differs(self) -> bool:
        """Whether not all runs have the same."""
        return self.kind != "time" and len(set(self.cells)) > 1


async def compare(page: Page) -> Response:
    """``GET /compare``: of the runs that ``run`` names, several times."""
    ids = list(dict.fromkeys(page.request.query_params.getlist("run")))
    if not 2 <= len(ids) <= MOST:
        raise BadRequest(_TOO_MANY)
    found = await asyncio.gather(*(_read(page, run_id) for run_id in ids))
    runs = [each for each in found if each is not None]
    differing = bool(page.query("differing"))
    groups = {
        "Run": _facts(runs),
        "Tags": _tags(runs),
        "Parameters": _parameters(runs),
        "Metrics": _numbers(runs),
        "Tasks": _tasks(runs),
        "Artifacts": _artifacts(runs),
    }
    chosen = {name: [line for line in lines if line.differs or not differing] for name, lines in groups.items()}
    here = {"run": ids}
    return page.render(
        "compare.html",
        runs=runs,
        gone=len(ids) - len(runs),
        groups={name: lines for name, lines in chosen.items() if lines},
        differing=differing,
        toggled=link("/compare", **here, differing="" if differing else "yes"),
        parallel=drawn(_axes(runs), [each.name for each in runs]),
        series=_series(runs),
        curves=_curves(runs),
        matrices=_matrices(runs),
        without=[each.name for each in runs if int(each.run.get("task_count") or 0) > _MOST_TASKS],
    )


async def _read(page: Page, run_id: str) -> Shown | None:
    try:
        run: Json = await page.api.get(f"/runs/{run_id}")
    except (NotFound, Forbidden):
        return None
    metrics = (await page.api.get(f"/runs/{run_id}/metrics", max_points=_POINTS)).get("metrics", [])
    tasks: dict[str, Json] = {}
    if int(run.get("task_count") or 0) <= _MOST_TASKS:
        tasks = {each["id"]: each for each in (await page.api.get(f"/runs/{run_id}/tasks")).get("tasks", []) if is_step(each)}
    begun = next((name for name, task in tasks.items() if task.get("start_time")), "")
    return Shown(run, tasks, metrics, await _origin(page, run_id, begun) if begun else {})


async def _origin(page: Page, run_id: str, task: str) -> Json:
    try:
        return await page.api.get(f"/runs/{run_id}/tasks/{task}/origin")
    except ApiError:  # it is not known any more, or not for this person
        return {}


# ---- the lines of the table


def _lines(runs: Sequence[Shown], of: Callable[[Shown], Mapping[Any, str]]) -> Iterable[tuple[Any, tuple[str, ...]]]:
    """Everything that some run has, in the order in which it is first met, and how each run has it."""
    each = [of(run) for run in runs]
    for key in dict.fromkeys(key for one in each for key in one):
        yield key, tuple(one.get(key, "") for one in each)


def _facts(runs: Sequence[Shown]) -> list[Line]:
    def of(shown: Shown) -> dict[str, str]:
        run, code = shown.run, shown.pipeline.get("code") or {}
        pipeline, checkout = shown.pipeline.get("pipeline") or {}, code.get("checkout") or code
        found = {
            "pipeline": run.get("pipeline_name", ""),
            "version": pipeline.get("version_name") or pipeline.get("display_name") or "",
            "pipeline's content": _short(pipeline.get("digest")),
            "project code": _short(code.get("project_digest")),
            "commit": str(checkout.get("commit") or "")[:_SHORT],
            "took": _took(run.get("started_at"), run.get("finished_at")),
            "from the cache": str(sum(1 for task in shown.tasks.values() if task.get("cached_from"))) if shown.tasks else "",
        }
        return {name: text for name, text in found.items() if text}

    return [Line(name, cells, kind="time" if name == "took" else "text") for name, cells in _lines(runs, of)]


def _tags(runs: Sequence[Shown]) -> list[Line]:
    def of(shown: Shown) -> dict[str, str]:
        return {name: text or "(set)" for name, text in tags.rows(shown.run.get("tags"))}

    return [Line(name, cells) for name, cells in _lines(runs, of)]


def _parameters(runs: Sequence[Shown]) -> list[Line]:
    def of(shown: Shown) -> dict[str, str]:
        return {name: value(one) for name, one in _arguments(shown).items()}

    return [Line(name, cells) for name, cells in _lines(runs, of)]


def _arguments(shown: Shown) -> Json:
    """What a run was given, and the defaults of what it was not."""
    told: Json = shown.run.get("pipeline_spec") or {}
    inputs: Json = (told.get("pipeline_spec", told).get("root") or {}).get("inputDefinitions") or {}
    ports: Json = inputs.get("parameters") or {}
    defaults = {name: port["defaultValue"] for name, port in ports.items() if "defaultValue" in port}
    return {**defaults, **((shown.run.get("runtime_config") or {}).get("parameters") or {})}


def _key(metric: Json) -> tuple[str, str, int, str]:
    return str(metric["task_id"]), str(metric.get("artifact", "")), int(metric.get("index") or 0), str(metric["name"])


def _numbers(runs: Sequence[Shown]) -> list[Line]:
    def of(shown: Shown) -> dict[Any, str]:
        return {_key(metric): number(metric["value"]) for metric in shown.metrics}

    values = [{_key(metric): metric["value"] for metric in each.metrics} for each in runs]
    found: list[Line] = []
    for key, cells in _lines(runs, of):
        better = "lowest" if _less_is_better(key[3]) else "highest"
        there = {place: float(one[key]) for place, one in enumerate(values) if _is_finite(one.get(key))}
        best: frozenset[int] = frozenset()
        if len(set(there.values())) > 1:
            wanted = min(there.values()) if better == "lowest" else max(there.values())
            best = frozenset(place for place, one in there.items() if one == wanted)
        found.append(Line(key[3], cells, f"{_task(key[0])} · {key[1]}", best, better, "number"))
    return found


def _less_is_better(name: str) -> bool:
    words = name.lower().replace("-", "_").split("_")
    return any(word in _LESS for word in words)


def _task(path: str) -> str:
    """A task's path without the groups that the compiler made."""
    return path.rpartition(".")[2] if not path.rpartition(".")[2].isdigit() else path


def _tasks(runs: Sequence[Shown]) -> list[Line]:
    def states(shown: Shown) -> dict[str, str]:
        return {path: str(task["state"]) for path, task in shown.tasks.items()}

    def times(shown: Shown) -> dict[str, str]:
        return {path: _took(task.get("start_time"), task.get("end_time")) for path, task in shown.tasks.items()}

    lasted = dict(_lines(runs, times))
    found: list[Line] = []
    for path, cells in _lines(runs, states):
        found.append(Line(_task(path), cells, path if "." in path else "", kind="state"))
        if any(lasted[path]):
            found.append(Line(_task(path), lasted[path], "took", kind="time"))
    return found


def _outputs(shown: Shown) -> Iterable[tuple[str, str, Json]]:
    for path, task in shown.tasks.items():
        for output in (task.get("outputs") or {}).get("artifacts") or ():
            for artifact in output["artifacts"]:
                yield path, output["artifact_key"], artifact


def _artifacts(runs: Sequence[Shown]) -> list[Line]:
    def of(shown: Shown) -> dict[Any, str]:
        return {(path, key): _short(artifact["digest"]) for path, key, artifact in _outputs(shown) if artifact.get("digest")}

    return [Line(key[1], cells, f"{key[0]} · content") for key, cells in _lines(runs, of)]


def _short(digest: Any) -> str:
    return str(digest or "").removeprefix("sha256:")[:_SHORT]


def _took(start: str | None, end: str | None) -> str:
    return duration((parse_timestamp(end) - parse_timestamp(start)).total_seconds()) if start and end else ""


# ---- what is drawn


def _axes(runs: Sequence[Shown]) -> list[Axis]:
    """What is a number and differs: parameters first."""
    found: dict[tuple[str, ...], list[float | None]] = {}
    for place, shown in enumerate(runs):
        named = [((name,), one) for name, one in _arguments(shown).items()]
        named += [((metric["name"], *map(str, _key(metric))), metric["value"]) for metric in shown.metrics]
        for key, one in named:
            if _is_finite(one):
                found.setdefault(key, [None] * len(runs))[place] = float(one)
    many = {key: one for key, one in found.items() if len({each for each in one if each is not None}) > 1}
    return [Axis(key[0], _task(key[1]) if len(key) > 1 else "parameter", tuple(one)) for key, one in many.items()][:_MOST_AXES]


def _series(runs: Sequence[Shown]) -> list[Json]:
    """Series that at least one run has, each with a trace of every run that has it."""
    found: dict[tuple[str, str, int, str], list[Json]] = {}
    for shown in runs:
        for metric in shown.metrics:
            if len(points := metric.get("points") or []) > 1:
                x, y = [point["step"] for point in points], [point["value"] for point in points]
                found.setdefault(_key(metric), []).append(_trace(shown.name, x, y))
    return [{"title": f"{_task(key[0])} · {key[3]}", "traces": traces} for key, traces in found.items()]


def _trace(name: str, x: list[Any], y: list[Any]) -> Json:
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y}


def _classes(runs: Sequence[Shown]) -> Iterable[tuple[str, Shown, Json]]:
    for shown in runs:
        for path, key, artifact in _outputs(shown):
            if artifact.get("schema_title") == "system.ClassificationMetrics":
                yield f"{_task(path)} · {key}", shown, artifact.get("metadata") or {}


def _curves(runs: Sequence[Shown]) -> list[Json]:
    """ROC curves, one plot for each output, and the areas under them."""
    found: dict[str, list[Json]] = {}
    for title, shown, metadata in _classes(runs):
        points = _list(metadata.get("confidenceMetrics"))
        told = [(one.get("falsePositiveRate") or 0, one.get("recall") or 0) for one in points]
        pairs = sorted((float(x), float(y)) for x, y in told if _is_finite(x) and _is_finite(y))
        if len(pairs) > 1:
            area = sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in itertools.pairwise(pairs))
            trace = _trace(shown.name, [x for x, _ in pairs], [y for _, y in pairs])
            found.setdefault(title, []).append({"name": shown.name, "area": area, "trace": trace})
    return [{"title": title, "runs": each} for title, each in found.items()]


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _list(given: Any) -> list[Json]:
    """What `kfp` wrote as a list, or below ``list``."""
    found = given.get("list") or [] if isinstance(given, Mapping) else given
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _matrices(runs: Sequence[Shown]) -> list[Json]:
    """Confusion matrices, those of one output beside each other; cells have a strength from 0 to 9."""
    found: dict[str, list[Json]] = {}
    for title, shown, metadata in _classes(runs):
        body: Any = metadata.get("confusionMatrix")
        body = body.get("struct", body) if isinstance(body, Mapping) else {}
        labels = [str(each.get("displayName", "")) for each in _list(body.get("annotationSpecs"))]
        given = [each.get("row") for each in _list(body.get("rows"))]
        rows = [[cell for cell in row if _is_finite(cell)] for row in given if isinstance(row, list)]
        if not labels or len(rows) != len(labels) or any(len(row) != len(labels) for row in rows):
            continue
        most = max(max(row) for row in rows) or 1
        cells = [[(one, min(9, int(10 * max(0, min(1, one / most))))) for one in row] for row in rows]
        right = sum(rows[place][place] for place in range(len(rows))) / (sum(map(sum, rows)) or 1)
        found.setdefault(title, []).append({"name": shown.name, "labels": labels, "rows": cells, "right": right})
    return [{"title": title, "runs": each} for title, each in found.items()]


ROUTES = (get("/compare", compare),)
