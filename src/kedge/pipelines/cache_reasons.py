"""Why a step's result came from the cache, or did not: its key beside that of the newest result of the same component.

A key is a digest, so that it says nothing of what differs. What it was made of is made again, from the pipeline and the inputs
that the history keeps of both steps, and compared part by part.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from kedge.errors import BadRequest, NotFound, PipelineError
from kedge.pipelines.adoption import Registrar
from kedge.pipelines.cache_entries import CacheEntries, Entry
from kedge.pipelines.engine import cache
from kedge.pipelines.engine.graph import spec_of
from kedge.pipelines.engine.types import Kind, State, Task, Values, Waiting
from kedge.pipelines.history import History
from kedge.pipelines.records import RunRecord
from kedge.pipelines.spec import Container, Pipeline
from kedge.pipelines.templates import recognise

Json = dict[str, Any]
_LONGEST_DIFF = 20_000
_NOT_THERE = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One part of two keys that differs.

    Attributes:
        part: Such as ``input`` or ``code``; see ``CacheAnswer`` in the OpenAPI document.
        name: Of the input, the variable…; ``""`` for what there is but one of.
        before: What it was; left out where it was not there.
        now: What it is, likewise.
        diff: Of code, line by line, as ``diff -u`` writes it.
    """

    part: str
    name: str = ""
    before: Any = _NOT_THERE
    now: Any = _NOT_THERE
    diff: str = ""

    def to_json(self) -> Json:
        """As plain JSON."""
        values = {"before": self.before, "now": self.now}
        texts = {"name": self.name, "diff": self.diff}
        return {
            "part": self.part,
            **{name: text for name, text in texts.items() if text},
            **{name: value for name, value in values.items() if value is not _NOT_THERE},
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What the cache said to a step.

    Attributes:
        answer: ``HIT``; ``MISS``; ``OFF``: it was not asked; ``UNKNOWN``: it was not asked yet.
        reason: In a sentence.
        key: The step's; ``""`` without one.
        source: Run and task whose results were used.
        compared: Run and task with which the step was compared.
        differences: What differs from them.
    """

    answer: Literal["HIT", "MISS", "OFF", "UNKNOWN"]
    reason: str
    key: str = ""
    source: tuple[str, str] | None = None
    compared: tuple[str, str] | None = None
    differences: list[Difference] = field(default_factory=list[Difference])

    def to_json(self) -> Json:
        """As plain JSON, without what is empty."""
        body: Json = {"cache_fingerprint": self.key, "differences": [each.to_json() for each in self.differences]}
        places = {"cached_from": self.source, "compared_with": self.compared}
        body |= {name: {"run_id": place[0], "task_id": place[1]} for name, place in places.items() if place is not None}
        return {"answer": self.answer, "reason": self.reason, **{name: value for name, value in body.items() if value}}


class CacheReasons:
    """Says why.

    Args:
        history: Has runs, tasks and pipelines.
        entries: The cache.
        registrar: Reads pipelines.
    """

    def __init__(self, history: History, entries: CacheEntries, registrar: Registrar) -> None:
        self._history = history
        self._entries = entries
        self._registrar = registrar

    def of(self, run_id: str, task_id: str) -> Answer:
        """What the cache said to a step.

        Raises:
            NotFound: There is no such step.
            BadRequest: The task is no step.
        """
        run, task = self._history.run(run_id), self._history.task(run_id, task_id)
        if run is None or task is None:
            raise NotFound(f"run {run_id!r:.80} has no task {task_id!r:.80}.")
        if task.kind is not Kind.STEP:
            raise BadRequest(f"task {task.id!r} is a {task.kind.value}: only results of steps come from the cache.")
        if task.state is State.CACHED:
            origin, _, name = task.cached_from.partition("/")
            return Answer("HIT", f"{task.cached_from} had made the same.", task.cache_key, (origin, name))
        attempts = self._history.attempts(run_id, task_id)
        if not task.cache_key or (task.waiting is Waiting.CACHE and not attempts):
            return self._not_asked(run, task)
        asked_at = attempts[0].created_at if attempts else task.finished_at or task.created_at
        earlier = self._entries.before(run, task, asked_at)
        if earlier is None:
            return Answer(
                "MISS",
                f"No step of component {task.component!r} had succeeded before in a run of pipeline {run.pipeline_name!r} in "
                f"namespace {run.namespace!r}, or its result was cleared from the cache or deleted with its run.",
                task.cache_key,
            )
        place = (earlier.run, earlier.task.id)
        if earlier.task.cache_key == task.cache_key:
            limit = self._limit(run, task)
            made = earlier.task.finished_at
            if limit is not None and made is not None and asked_at - made > timedelta(seconds=limit):
                return Answer(
                    "MISS", "The same had been made, longer ago than results are used again.", task.cache_key, None, place
                )
            why = "it was asked to run again without the cache, or what had been made was not in the store any more"
            return Answer("MISS", f"The same had been made, and was not used: {why}.", task.cache_key, None, place)
        found = self._differences((run, task), earlier)
        parts = dict.fromkeys(" ".join(part for part in (each.part, each.name) if part) for each in found)
        reason = (
            f"The newest result of this component was made with another {', '.join(parts)}."
            if parts
            else "The newest result of this component has another key; what it was made with is not known any more."
        )
        return Answer("MISS", reason, task.cache_key, None, place, found)

    def _not_asked(self, run: RunRecord, task: Task) -> Answer:
        pipeline = self._pipeline(run, task)
        spec = spec_of(pipeline, task.id) if pipeline is not None else None
        if not run.cache:
            return Answer("OFF", "The run was started without the cache.")
        if spec is not None and not spec.caching_options.enable_cache:
            return Answer("OFF", "Caching is turned off for this task.")
        if not task.state.finished:
            return Answer("UNKNOWN", "The cache is asked when all inputs are there.", task.cache_key)
        if task.state is State.SUCCEEDED:
            return Answer("OFF", "It uses a volume that only its run has, or its result was cleared from the cache.")
        return Answer("OFF", "It did not come to ask, or it uses a volume that only its run has.")

    def _limit(self, run: RunRecord, task: Task) -> float | None:
        pipeline = self._pipeline(run, task)
        limits = (self._entries.ttl, pipeline.cache_ttls.get(task.executor) if pipeline is not None else None)
        return min((limit for limit in limits if limit is not None), default=None)

    def _pipeline(self, run: RunRecord, task: Task) -> Pipeline | None:
        """What the task's newest attempt ran with, as far as it can be read."""
        found = self._code(run, task)
        return found[0] if found is not None else None

    def _code(self, run: RunRecord, task: Task) -> tuple[Pipeline, str] | None:
        """The same, and the digest of the project's code."""
        attempts = self._history.attempts(run.id, task.id)
        digest = (attempts[-1].spec_digest if attempts else "") or run.spec_digest
        spec = self._history.spec(digest)
        try:
            return (self._registrar.pipeline(spec), str(spec.project.get("digest", ""))) if spec is not None else None
        except PipelineError:
            return None

    def _differences(self, mine: tuple[RunRecord, Task], earlier: Entry) -> list[Difference]:
        run = self._history.run(earlier.run)
        theirs = self._made_of(run, earlier.task) if run is not None else None
        own = self._made_of(*mine)
        return list(_compared(theirs, own)) if theirs is not None and own is not None else []

    def _made_of(self, run: RunRecord, task: Task) -> Json | None:
        """What a task's key was made of."""
        found = self._code(run, task)
        if found is None:
            return None
        pipeline, project = found
        spec = spec_of(pipeline, task.id)
        try:
            component = pipeline.component(task.component)
            static = cache.static_parts(pipeline, component, task.executor)
            container = pipeline.executors[task.executor].container or Container()
        except KeyError:
            return None
        if spec is not None and spec.caching_options.cache_key:
            return {"custom": spec.caching_options.cache_key, "outputs": static["outputs"]}
        return {**static, **cache.own_parts(component, task.inputs or Values(), project), "code": _code(container)}


def _code(container: Container) -> Json:
    """A Python step's function and packages; nothing of other containers."""
    step = recognise(container)
    return {} if step is None or step.literal else {"source": step.source, "packages": list(step.packages)}


def _compared(before: Json, now: Json) -> Iterator[Difference]:
    """The parts of two keys that differ; those that people change most come first."""
    if "custom" in before or "custom" in now:
        yield from _single("key", before.get("custom", _NOT_THERE), now.get("custom", _NOT_THERE))
        yield from _single("outputs", before["outputs"], now["outputs"])
        return
    yield from _named("input", before["parameters"], now["parameters"])
    yield from _artifacts(before["artifacts"], now["artifacts"])
    yield from _named("option", before.get("options", {}), now.get("options", {}))
    yield from _containers(before, now)
    yield from _named("platform", before["platforms"], now["platforms"])
    yield from _named("default", before["defaults"], now["defaults"])
    yield from _single("outputs", before["outputs"], now["outputs"])
    yield from _single("resources", before.get("told", _NOT_THERE), now.get("told", _NOT_THERE))
    yield from _single("project", before["project"], now["project"])


def _containers(before: Json, now: Json) -> Iterator[Difference]:
    old, new = before["container"], now["container"]
    yield from _single("image", old["image"], new["image"])
    yield from _named("environment", old["env"], new["env"])
    if before["code"] and now["code"]:
        was, is_ = before["code"], now["code"]
        if was["source"] != is_["source"]:
            yield Difference("code", diff=_diff(was["source"], is_["source"]))
        yield from _single("packages", was["packages"], is_["packages"])
        if was != is_:
            return  # the command holds both
    yield from _single("command", old["command"], new["command"])
    yield from _single("arguments", old["args"], new["args"])


def _artifacts(before: Mapping[str, list[Any]], now: Mapping[str, list[Any]]) -> Iterator[Difference]:
    """Artifacts, by what the key takes of each: digest or address, type, metadata."""
    words = ("content", "type", "metadata")

    def shown(listed: list[Any] | None) -> Any:
        return _NOT_THERE if listed is None else [dict(zip(words, each, strict=True)) for each in listed]

    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            yield Difference("artifact", name, shown(before.get(name)), shown(now.get(name)))


def _named(part: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys([*before, *now]):
        was, is_ = before.get(name, _NOT_THERE), now.get(name, _NOT_THERE)
        if was != is_ or isinstance(was, bool) != isinstance(is_, bool):
            yield Difference(part, name, was, is_)


def _single(part: str, before: Any, now: Any) -> Iterator[Difference]:
    if before != now:
        yield Difference(part, "", before, now)


def _diff(before: str, now: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), now.splitlines(), "before", "now", lineterm="", n=3)
    text = "\n".join(lines)
    return text if len(text) <= _LONGEST_DIFF else text[:_LONGEST_DIFF] + "\n…"
