"""Lineage: from an artifact to what it was made of, and to what was made of it.

A graph of artifacts and tasks, walked both ways over the links that the history keeps: which task read or made which artifact.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Json = Mapping[str, Any]
Direction = Literal["up", "down"]


class Links(Protocol):
    """What is read; `kedge.Client` is one."""

    def artifact(self, artifact_id: str) -> Json:
        """One artifact."""
        ...

    def task_origin(self, run_id: str, task_id: str) -> Json:
        """With which version of the pipeline and which code a task's outputs were made."""
        ...

    def artifact_tasks(self, *, artifact_id: str = "", run_id: str = "", task_id: str = "") -> list[dict[str, Any]]:
        """The links of an artifact, or of a task."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """A task that read or made artifacts.

    Attributes:
        run: Id of its run.
        task: Its id in the run.
        reads: Artifact ids by name of the input.
        makes: Artifact ids by name of the output.
        origin: Its pipeline's version, and its code; see `kedge.pipelines.origins`.
    """

    run: str
    task: str
    reads: Mapping[str, tuple[str, ...]]
    makes: Mapping[str, tuple[str, ...]]
    origin: Json = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Lineage:
    """What belongs to one artifact.

    Attributes:
        artifact_id: Which one.
        artifacts: Every artifact of the graph, by id.
        steps: Every task of the graph, by ``RUN/TASK``; what came before first.
        whole: ``False`` when there was more than `limit`.
    """

    artifact_id: str
    artifacts: dict[str, Json] = field(default_factory=dict[str, Json])
    steps: dict[str, Step] = field(default_factory=dict[str, Step])
    whole: bool = True

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        steps = [
            {"run_id": step.run, "task_id": step.task, "reads": step.reads, "makes": step.makes, "origin": step.origin}
            for step in self.steps.values()
        ]
        return {"artifact_id": self.artifact_id, "artifacts": list(self.artifacts.values()), "tasks": steps, "whole": self.whole}


def trace(links: Links, artifact_id: str, *, directions: tuple[Direction, ...] = ("up", "down"), limit: int = 500) -> Lineage:
    """Walk from an artifact to everything that it came from and that came from it.

    Args:
        links: Where the links are read.
        artifact_id: Where to begin.
        directions: ``up`` to its makers, ``down`` to its users; one of them goes on in its own direction only, so that two models
            made of one data set are not each other's lineage.
        limit: At most so many tasks are looked at.

    Raises:
        NotFound: There is no such artifact.
    """
    found = Lineage(artifact_id, {artifact_id: links.artifact(artifact_id)})
    waiting = deque((artifact_id, direction) for direction in directions)
    seen = set(waiting)
    while waiting:
        current, direction = waiting.popleft()
        made_by = "OUTPUT"
        for link in links.artifact_tasks(artifact_id=current):
            if (link["type"] == made_by) != (direction == "up"):
                continue
            if len(found.steps) >= limit:
                found.whole = False
                return found
            step = found.steps.get(f"{link['run_id']}/{link['task_id']}") or _step(links, link["run_id"], link["task_id"])
            found.steps.setdefault(f"{step.run}/{step.task}", step)
            following = step.reads if direction == "up" else step.makes
            for other in (each for listed in following.values() for each in listed):
                found.artifacts.setdefault(other, links.artifact(other))
                if (other, direction) not in seen:
                    seen.add((other, direction))
                    waiting.append((other, direction))
    return found


def _step(links: Links, run: str, task: str) -> Step:
    reads: dict[str, list[str]] = {}
    makes: dict[str, list[str]] = {}
    for link in links.artifact_tasks(run_id=run, task_id=task):
        (makes if link["type"] == "OUTPUT" else reads).setdefault(link["key"], []).append(link["artifact_id"])
    origin = links.task_origin(run, task) if task else {}  # the run's own inputs and outputs are no code's
    return Step(run, task, _fixed(reads), _fixed(makes), origin)


def _fixed(side: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(ids) for name, ids in side.items()}
