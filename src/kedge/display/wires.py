"""What goes along the edges of a pipeline's graph: which output of which task is which input of another."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_TYPES = {
    "NUMBER_DOUBLE": "number",
    "NUMBER_INTEGER": "integer",
    "STRING": "text",
    "BOOLEAN": "truth value",
    "LIST": "list",
    "STRUCT": "struct",
}
_MADE = "pipelinechannel--"  # begins the names of inputs that a compiler has made
_MOST_SAID = 4
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wire:
    """One value on its way.

    Attributes:
        source: Path of the task that makes it.
        output: What it is called there.
        input: What it is called where it goes.
        type: In words, such as ``Dataset`` or ``number``; ``""`` where that is not known.
    """

    source: str
    output: str
    input: str
    type: str

    @property
    def said(self) -> str:
        """The value in words.

        Examples:
            >>> Wire("train", "model", "base", "Model").said
            'model (Model) as base'
            >>> Wire("train", "loss", "pipelinechannel--train-loss", "number").said
            'loss (number)'
        """
        kind = f" ({self.type})" if self.type else ""
        name = self.output.removeprefix(_MADE)  # a group hands on what is made in it
        return f"{name}{kind}" + ("" if self.input == self.output or self.input.startswith(_MADE) else f" as {self.input}")


class Blueprint:
    """A pipeline whose tasks are asked for by their paths, also in loops.

    Args:
        pipeline: PipelineSpec IR as plain JSON.
    """

    def __init__(self, pipeline: Json) -> None:
        self._components: Json = pipeline.get("components") or {}
        self._found: dict[str, Json] = {"": pipeline.get("root") or {}}

    def component(self, path: str) -> Json:
        """What a task, or a turn of a loop, is made of; empty where there is no such task. ``""`` is the pipeline."""
        if path not in self._found:
            outer, _, name = path.rpartition(".")
            task = self._tasks(outer).get(name)
            is_turn = task is None and name.isdigit()
            reference = str(((task or {}).get("componentRef") or {}).get("name"))
            self._found[path] = self.component(outer) if is_turn else self._components.get(reference) or {}
        return self._found[path]

    def _tasks(self, path: str) -> Json:
        return (self.component(path).get("dag") or {}).get("tasks") or {}

    def task(self, path: str) -> Json:
        """A task of IR; of a turn its loop's."""
        outer, _, name = path.rpartition(".")
        found: Json | None = self._tasks(outer).get(name)
        return found if found is not None else self.task(outer) if name.isdigit() and outer else {}

    def wires(self, path: str) -> list[Wire]:
        """What goes into a task, from whichever tasks make it, however far out they are."""
        outer = path.rpartition(".")[0]
        return [wire for name, given in _inputs(self.task(path)) for wire in self._from(outer, name, given)]

    def _from(self, outer: str, name: str, given: Json) -> Iterator[Wire]:
        if found := _producer(given):
            source = f"{outer}.{found[0]}" if outer else found[0]
            yield Wire(source, found[1], name, self._type(source, found[1]))
            return
        inner = str(given.get("componentInputParameter") or given.get("componentInputArtifact") or "")
        while outer.rpartition(".")[2].isdigit():  # a turn has what its loop has
            outer = outer.rpartition(".")[0]
        if not inner or not outer:
            return
        task, above = self.task(outer), outer.rpartition(".")[0]
        inputs = dict(_inputs(task))
        if inner not in inputs:  # what each turn of a loop gets one of
            inner = _items(task, inner)
        if inner in inputs:
            yield from self._from(above, name, inputs[inner])

    def _type(self, source: str, output: str) -> str:
        defined: Json = self.component(source).get("outputDefinitions") or {}
        parameter, artifact = (defined.get("parameters") or {}).get(output), (defined.get("artifacts") or {}).get(output)
        if parameter is not None:
            return _TYPES.get(str(parameter.get("parameterType")), "")
        kind = str(((artifact or {}).get("artifactType") or {}).get("schemaTitle", "")).removeprefix("system.")
        return f"list of {kind}" if (artifact or {}).get("isArtifactList") and kind else kind

    def between(self, start: str, end: str) -> str:
        """What goes along an edge, in words.

        Args:
            start: Path of a task.
            end: Path of one beside it, which waits for it.
        """
        name = start.rpartition(".")[2]
        outer = end.rpartition(".")[0]
        found = [
            wire
            for key, given in _inputs(self.task(end))
            if (_producer(given) or ("",))[0] == name
            for wire in self._from(outer, key, given)
        ]
        return said(found) if found else "only one after the other"


def by_source(wires: Iterable[Wire]) -> dict[str, str]:
    """What comes from each task, in words, by the task's path."""
    found: dict[str, list[Wire]] = {}
    for wire in wires:
        found.setdefault(wire.source, []).append(wire)
    return {source: said(some) for source, some in found.items()}


def said(wires: Sequence[Wire]) -> str:
    """Some values in words."""
    words = list(dict.fromkeys(wire.said for wire in wires))
    return ", ".join(words[:_MOST_SAID]) + (f" and {len(words) - _MOST_SAID} more" if len(words) > _MOST_SAID else "")


def _inputs(task: Json) -> Iterator[tuple[str, Json]]:
    inputs: Json = task.get("inputs") or {}
    for side in ("parameters", "artifacts"):
        for name, given in (inputs.get(side) or {}).items():
            if isinstance(given, Mapping):
                yield str(name), given


def _producer(given: Json) -> tuple[str, str] | None:
    """The task beside that makes an input, and which of its outputs it is."""
    for key, output in (("taskOutputParameter", "outputParameterKey"), ("taskOutputArtifact", "outputArtifactKey")):
        if key in given:
            return str(given[key].get("producerTask", "")), str(given[key].get(output, ""))
    if "taskFinalStatus" in given:
        return str(given["taskFinalStatus"].get("producerTask", "")), "how it ended"
    return None


def _items(task: Json, name: str) -> str:
    """The input of a loop that has the items, of which each turn gets one under another name."""
    parameter: Json = task.get("parameterIterator") or {}
    artifact: Json = task.get("artifactIterator") or {}
    if parameter.get("itemInput") == name:
        return str((parameter.get("items") or {}).get("inputParameter", ""))
    return str((artifact.get("items") or {}).get("inputArtifact", "")) if artifact.get("itemInput") == name else ""
