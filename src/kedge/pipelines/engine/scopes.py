"""What the machine keeps of a DAG or a loop while it runs: counters, so that no event has to look for its consequences."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec

from kedge.pipelines.engine import values
from kedge.pipelines.engine.graph import Graph, Node
from kedge.pipelines.engine.inputs import InputError, part_of
from kedge.pipelines.engine.types import Artifact, Values
from kedge.pipelines.spec import ITEM_PART


class Scope:
    """A DAG that runs.

    Attributes:
        id: The DAG's task id.
        prefix: What stands before the names of its tasks in their ids.
        graph: Its tasks.
        inputs: All its inputs.
        unfinished: How many of its tasks are not over.
    """

    __slots__ = ("_awaited", "graph", "id", "inputs", "prefix", "unfinished")

    def __init__(self, id: str, graph: Graph, inputs: Values) -> None:  # noqa: A002  # the row's own word
        self.id = id
        self.prefix = f"{id}." if id else ""
        self.graph = graph
        self.inputs = inputs
        self.unfinished = len(graph.nodes)
        self._awaited = list(graph.waits)

    def ended(self, name: str) -> list[int]:
        """Note that a task is over; gives the positions of those that waited for it alone."""
        self.unfinished -= 1
        awaited = self._awaited
        ready: list[int] = []
        for position in self.graph.nodes[self.graph.index[name]].dependents:
            awaited[position] -= 1
            if not awaited[position]:
                ready.append(position)
        return ready


class Loop:
    """A loop that runs.

    Attributes:
        id: The loop's task id.
        node: The task that is repeated.
        inputs: The loop's inputs, which all iterations share.
        started: How many iterations have begun.
        active: How many of them are not over.
    """

    __slots__ = ("_items", "_limit", "active", "id", "inputs", "node", "started")

    def __init__(self, id: str, node: Node, inputs: Values, items: list[Any]) -> None:  # noqa: A002  # the row's own word
        self.id = id
        self.node = node
        self.inputs = inputs
        self.started = 0
        self.active = 0
        self._items = items
        self._limit = node.spec.iterator_policy.parallelism_limit or len(items)

    @property
    def has_room(self) -> bool:
        """Whether another iteration may begin."""
        return self.active < self._limit and self.started < len(self._items)

    def take(self) -> int:
        """Begin the next iteration; gives its number."""
        number = self.started
        self.started += 1
        self.active += 1
        return number

    def item(self, number: int) -> Values:
        """The input that only this iteration has.

        Raises:
            values.MismatchError: The item does not fit the input's type.
        """
        name, item = self.node.item_input, self._items[number]
        if isinstance(item, Artifact):
            return Values({}, {name: [item]})
        declared = self.node.component.input_definitions.parameters
        if item is not None:
            return Values({name: values.conform_input(item, declared[name]), **_parts(name, item, declared)})
        if not declared[name].may_be_absent:
            raise values.MismatchError("it is null, and the loop's body needs a value. Leave it out of the list")
        return Values({name: None})

    def with_item(self, item: Values) -> Values:
        """All inputs of an iteration."""
        given = self.inputs
        return Values({**given.parameters, **item.parameters}, {**given.artifacts, **item.artifacts}, given.options)


def _parts(name: str, item: Any, declared: Iterable[str]) -> dict[str, Any]:
    """Inputs that stand for parts of the item (see `spec.ITEM_PART`)."""
    start = name + ITEM_PART
    wanted = [one for one in declared if one.startswith(start)]
    if not wanted:
        return {}
    parts = ((one, part_of(item, one[len(start) :])) for one in wanted)
    return {one: value for one, value in parts if value is not None}


def items_of(node: Node, inputs: Values) -> list[Any]:
    """The items of a loop.

    Raises:
        InputError: They are not a list.
    """
    if node.items is not None:
        return node.items
    if node.spec.artifact_iterator is not None:
        return list(inputs.artifacts.get(node.spec.artifact_iterator.items.input_artifact, ()))
    iterator = node.spec.parameter_iterator
    name = (iterator.items.input_parameter if iterator is not None else None) or ""
    found = inputs.parameters.get(name)
    if isinstance(found, str):
        with suppress(msgspec.DecodeError, RecursionError):  # said below, with the text itself
            found = msgspec.json.decode(found)
    if not isinstance(found, list):
        raise InputError(f"the items to loop over (input {name!r}): expected a list, got {values.shown(found)}")
    return found
