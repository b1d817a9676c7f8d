"""The graph that a pipeline's function draws while it runs once, at its definition.

A graph is a tree: groups (the pipeline itself, branches, loops, exit handlers) hold tasks and other groups, in the order of
the code. Names are unique in a pipeline and found in constant time, so that a pipeline of 5,000 tasks takes 5 times one of 1,000.
"""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from .channels import Channel, ItemChannel, markers_in
from .errors import DslError, Place, caller

if TYPE_CHECKING:
    from .channels import Comparison

PIPELINE, BRANCHES, CONDITION, LOOP, EXIT_HANDLER = "pipeline", "condition-branches", "condition", "for-loop", "exit-handler"


class Node:
    """A task or a group of tasks.

    Args:
        graph: The pipeline.
        name: Unique in it.
        parent: The group that holds it; None for the pipeline's own group.
        place: The user's line that made it.
    """

    def __init__(self, graph: "Graph", name: str, parent: "Optional[Group]", place: Place) -> None:
        self.graph, self.name, self.parent, self.place = graph, name, parent, place
        self.display_name = name
        # Nodes that must have ended before: said by `after`, or by an exit handler.
        self.follows: "List[Node]" = []

    def path(self) -> "List[Group]":
        """The groups around it, innermost first."""
        found: List[Group] = []
        group = self.parent
        while group is not None:
            found.append(group)
            group = group.parent
        return found


class Group(Node):
    """Tasks that run under one condition, once for each item, or before an exit task.

    Attributes:
        kind: One of the names above.
        children: In the order of the code.
        conditions: Of a branch: what must hold, each with whether it must hold or must not.
        has_else: Of branches: the last one needs no condition of its own.
        choices: Of branches: how many `OneOf` have been made of them.
        item: Of a loop.
        items: Of a loop: constants, or a channel.
        parallelism: Of a loop: how many iterations run at once; 0 for no limit.
        exit_task: Of an exit handler.
    """

    def __init__(self, graph: "Graph", kind: str, parent: "Optional[Group]", place: Place) -> None:
        super().__init__(graph, f"{kind}-{graph.number()}" if parent is not None else kind, parent, place)
        self.kind = kind
        self.children: List[Node] = []
        self.conditions: "Tuple[Tuple[Comparison, bool], ...]" = ()
        self.has_else = False
        self.choices = 0
        self.item: Optional[ItemChannel] = None
        self.items: Any = None
        self.parallelism = 0
        self.exit_task: Optional[Node] = None


class Graph:
    """A pipeline while it is drawn.

    Attributes:
        root: The group of the whole pipeline.
        stack: The groups that are open now, outermost first.
        tasks: Every task, in the order of the code.
        marked: Channels that were put into texts, by the number of their marker.
    """

    def __init__(self, name: str, place: Place) -> None:
        self.name = name
        self._numbers = 0
        self._names: Dict[str, int] = {}
        self.root = Group(self, PIPELINE, None, place)
        self.stack: List[Group] = [self.root]
        self.tasks: List[Node] = []
        self.marked: List[Channel] = []
        self._marks: Dict[int, int] = {}

    def number(self) -> int:
        """The next number for a group's name."""
        self._numbers += 1
        return self._numbers

    def unique(self, name: str) -> str:
        """The name, or the name with the first free number behind it."""
        count = self._names.get(name, 0)
        if not count:
            self._names[name] = 1
            return name
        while f"{name}-{count + 1}" in self._names:
            count += 1
        self._names[name] = count + 1
        self._names[f"{name}-{count + 1}"] = 1
        return f"{name}-{count + 1}"

    def mark(self, channel: Channel) -> int:
        """The number of a channel's marker."""
        if id(channel) not in self._marks:
            self._marks[id(channel)] = len(self.marked)
            self.marked.append(channel)
        return self._marks[id(channel)]

    def marked_in(self, text: str) -> List[Channel]:
        """The channels whose markers stand in a text."""
        return [self.marked[number] for number in markers_in(text)]

    def add(self, node: Node) -> None:
        """Put a new node into the group that is open."""
        self.stack[-1].children.append(node)


_current: "ContextVar[Tuple[Graph, ...]]" = ContextVar("kedge.dsl.graph", default=())


def current() -> Optional[Graph]:
    """The pipeline that is being defined; None outside of a pipeline's function."""
    graphs = _current.get()
    return graphs[-1] if graphs else None


def needed(what: str) -> Graph:
    """The pipeline that is being defined.

    Args:
        what: What needs one, for the message.

    Raises:
        DslError: There is none.
    """
    graph = current()
    if graph is None:
        raise DslError(
            f"{what} was used outside of a pipeline.", why="It is a part of a pipeline's graph.",
            fix="Use it in a function decorated with @dsl.pipeline.",
        )  # fmt: skip
    return graph


class Drawing:
    """Makes a graph the current one: ``with Drawing(graph): function(...)``.

    Args:
        graph: To be drawn.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._token: Any = None

    def __enter__(self) -> Graph:
        self._token = _current.set((*_current.get(), self._graph))
        return self._graph

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def belongs(channel: Channel, graph: Graph, what: str) -> None:
    """Check that a channel is of this pipeline.

    Raises:
        DslError: It is of another one.
    """
    if channel.graph is not graph:
        raise DslError(
            f'{what} gets {channel.title} of pipeline "{channel.graph.name}" in pipeline "{graph.name}".',
            why="A pipeline sees only its own tasks and inputs.", where=caller(),
            fix="Pass it on as an input, or return it from that pipeline as an output.",
        )  # fmt: skip
