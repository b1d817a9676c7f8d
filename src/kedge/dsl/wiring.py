"""How values flow between the groups of a pipeline.

In the IR every group is a component of its own, which sees only its inputs. So a channel that a task uses is handed down
through each group between the group where it is made and the task's, and an output is handed up the same way. This is worked out
when the pipeline is defined, because here it shows what cannot be: an output of a branch used outside of it, a cycle.
"""

from typing import Any, Dict, List, Optional, Tuple

from .channels import Channel, Collected, FieldChannel, InputChannel, ItemChannel, OneOf
from .errors import DslError
from .graph import BRANCHES, CONDITION, EXIT_HANDLER, LOOP, Graph, Group, Node
from .tasks import PipelineTask
from .values import FINAL_STATUS, LIST, ValueType, list_of

Selector = Dict[str, Any]


class Wires:
    """What goes into a task or a group, and out of a group.

    Attributes:
        inputs: For each input of the node, where its group takes the value from, in the IR's terms.
        upstream: The nodes of the same group that must have ended before, by name.
        declared: Of a group: the types of its inputs.
        outputs: Of a group: the type of each output and where it comes from.
        referred: Where channels that the task's options refer to come from; they are no inputs. By the channel's identity.
    """

    def __init__(self) -> None:
        self.referred: Dict[int, Selector] = {}
        self.inputs: Dict[str, Tuple[bool, Selector]] = {}
        self.upstream: Dict[str, Node] = {}
        self.declared: Dict[str, ValueType] = {}
        self.outputs: Dict[str, Tuple[ValueType, Selector]] = {}


class Wiring:
    """The wires of a pipeline.

    Args:
        graph: The pipeline.
        returned: What it returns, by output name.

    Raises:
        DslError: A value is used where it cannot be, or tasks wait for each other in a circle.
    """

    def __init__(self, graph: Graph, returned: Dict[str, Channel]) -> None:
        self._wires: Dict[int, Wires] = {}
        self.graph = graph
        self._walk(graph.root)
        root = self.of(graph.root)
        for name, channel in returned.items():
            selector = self._select(channel, graph.root, graph.root)["producer"]
            root.outputs[name] = (channel.type, _surfaced(selector, channel.type))
        self._check_cycles(graph.root)

    def of(self, node: Node) -> Wires:
        """The wires of a task or a group."""
        wires = self._wires.get(id(node))
        if wires is None:
            wires = self._wires[id(node)] = Wires()
        return wires

    def _walk(self, group: Group) -> None:
        for node in group.children:
            if isinstance(node, Group):
                self._wire_group(node)
                self._walk(node)
            elif isinstance(node, PipelineTask):
                self._wire_task(node)

    def _wire_task(self, task: PipelineTask) -> None:
        scope = _parent(task)
        for name, argument in task.arguments.items():
            if isinstance(argument.value, Channel):
                self._connect(task, scope, name, argument.value)
            for channel in argument.marked:
                self._connect(task, scope, channel.key, channel)
        for channel in task.settings:
            self._connect(task, scope, channel.key, channel)
        for channel in task.referred:
            self.of(task).referred[id(channel)] = self._source(task, scope, channel)
        for node in task.follows:
            self._follow(task, node)
        status = next((name for name, port in task.interface.inputs.items() if port.type == FINAL_STATUS), None)
        if status is not None:
            self._final_status(task, status)

    def _final_status(self, task: PipelineTask, name: str) -> None:
        handlers = [node for node in task.follows if isinstance(node, Group) and node.exit_task is task]
        upstream = list(self.of(task).upstream.values())
        if not handlers and not (task.ignores_failure and len(upstream) == 1):
            raise DslError(
                f'Task "{task.name}" takes a PipelineTaskFinalStatus ("{name}"), but does not run at the end of anything.',
                where=task.place, why="Only a task that runs whether others fail or not can be told how they ended.",
                fix="Use it as `with dsl.ExitHandler(task):`, or let it follow one task and call .ignore_upstream_failure().",
            )  # fmt: skip
        producer = handlers[0] if handlers else upstream[0]
        self.of(task).inputs[name] = (False, {"taskFinalStatus": {"producerTask": producer.name}})

    def _wire_group(self, group: Group) -> None:
        wires, scope = self.of(group), _parent(group)
        for condition, _ in group.conditions:
            for channel in condition.channels():
                self._connect(group, scope, channel.key, channel)
                wires.declared[channel.key] = channel.type
        if group.item is not None:
            wires.declared[group.item.key] = group.item.type
        if isinstance(group.items, Channel):
            self._connect(group, scope, group.items.key, group.items)
            wires.declared[group.items.key] = group.items.type if group.items.type.name else LIST

    def _connect(self, node: Node, scope: Group, name: str, channel: Channel) -> None:
        """Let an input of `node`, which stands in `scope`, take its value from a channel."""
        self.of(node).inputs[name] = (channel.type.is_artifact, self._source(node, scope, channel))

    def _source(self, node: Node, scope: Group, channel: Channel) -> Selector:
        """Where `node`, which stands in `scope`, finds a channel, in the IR's terms."""
        selector = self._select(channel, scope, node)
        producer = selector.pop("producer", None)
        if producer is not None:
            kind = "taskOutputArtifact" if channel.type.is_artifact else "taskOutputParameter"
            key = "outputArtifactKey" if channel.type.is_artifact else "outputParameterKey"
            selector = {kind: {"producerTask": producer[0], key: producer[1]}}
        return selector

    def _select(self, channel: Channel, scope: Group, user: Node) -> Selector:
        """Where a node in `scope` finds a channel: an input of the scope, or an output of a node beside it."""
        if isinstance(channel, FieldChannel):
            selector = self._select(channel.item, scope, user)
            return {**selector, "parameterExpressionSelector": f'parseJson(string_value)["{_escaped(channel.field)}"]'}
        kind = "componentInputArtifact" if channel.type.is_artifact else "componentInputParameter"
        if isinstance(channel, InputChannel):
            if scope is self.graph.root:
                return {kind: channel.name}
        elif isinstance(channel, ItemChannel):
            if scope is channel.producer:
                return {kind: channel.key}
            if scope is self.graph.root:
                raise _escapes(channel, user, channel.producer)
        else:
            way = _way_up(channel, scope)
            if way is not None:
                return {"producer": self._surface(channel, way, user)}
        wires = self.of(scope)
        if channel.key not in wires.inputs:
            wires.declared.setdefault(channel.key, channel.type)
            self._connect(scope, _parent(scope), channel.key, channel)
        return {kind: channel.key}

    def _surface(self, channel: Channel, way: List[Group], user: Node) -> Tuple[str, str]:
        """Hand an output up through the groups of `way`, innermost first: the node beside the user, and its output's name."""
        node: Node = channel.producer if channel.producer is not None else self.graph.root
        source: Channel = channel.output if isinstance(channel, Collected) else channel
        name = channel.name
        if isinstance(source, OneOf):
            name = source.key
            self._choose(source)
        loops = sum(group.kind == LOOP for group in way)
        if isinstance(channel, Collected) and not loops:
            raise DslError(
                f"{channel.title} is used where there is nothing to collect.", where=user.place,
                why="It is used in the same iteration, or its task is in no loop.",
                fix="Use it after the loop's block; within the loop use the output itself.",
            )  # fmt: skip
        for group in way:
            if group.kind != LOOP or not isinstance(channel, Collected):
                raise _escapes(channel, user, group)
            type_ = list_of(source.type)
            self.of(group).outputs[channel.key] = (type_, _surfaced((node.name, name), type_))
            node, name = group, channel.key
        # A pipeline's own outputs wait for nothing.
        if node is not user and user is not self.graph.root:
            self.of(user).upstream[node.name] = node
        return node.name, name

    def _choose(self, choice: OneOf) -> None:
        """Let the branches hand up the outputs that a `OneOf` chooses between."""
        selectors: List[Dict[str, str]] = []
        is_artifact = choice.type.is_artifact
        for channel in choice.choices:
            branch = channel.producer.parent if channel.producer is not None else None
            if branch is None or channel.producer is None:
                continue
            self.of(branch).outputs[channel.key] = (channel.type, _surfaced((channel.producer.name, channel.name), channel.type))
            key = "outputArtifactKey" if is_artifact else "outputParameterKey"
            selectors.append({"producerSubtask": branch.name, key: channel.key})
        found: Selector = (
            {"artifactSelectors": selectors} if is_artifact else {"valueFromOneof": {"parameterSelectors": selectors}}
        )
        self.of(choice.producer).outputs[choice.key] = (choice.type, found)

    def _follow(self, task: PipelineTask, node: Node) -> None:
        """Let a task start after a node: lifted to the group where both, or what holds them, stand side by side."""
        around = [task, *task.path()]
        above: Dict[int, Node] = {id(_parent(inner)): inner for inner in around if inner.parent is not None}
        upper: Node = node
        while upper.parent is not None and id(upper.parent) not in above:
            if upper.parent.kind in (CONDITION, BRANCHES):
                raise DslError(
                    f'Task "{task.name}" runs after "{node.name}", which stands in a branch that "{task.name}" is not in.',
                    where=task.place, why="When the branch is not taken, that task never runs.",
                    fix="Move the task into the branch.",
                )  # fmt: skip
            if upper.parent.kind == EXIT_HANDLER and upper.parent.exit_task is task:
                return
            upper = upper.parent
        lower = above.get(id(upper.parent))
        if lower is None or lower is upper:
            if upper is node or lower is upper:
                raise DslError(
                    f'Task "{task.name}" runs after "{node.name}", which it is a part of.',
                    where=task.place,
                    fix="Remove the .after().",
                )
            return
        self.of(lower).upstream[upper.name] = upper

    def _check_cycles(self, group: Group) -> None:
        nodes = {node.name: node for node in group.children}
        waiting = {name: len(self.of(node).upstream) for name, node in nodes.items()}
        after: Dict[str, List[str]] = {name: [] for name in nodes}
        for name, node in nodes.items():
            for upstream in self.of(node).upstream:
                after[upstream].append(name)
        ready = [name for name, count in waiting.items() if not count]
        for name in ready:
            for follower in after[name]:
                waiting[follower] -= 1
                if not waiting[follower]:
                    ready.append(follower)
        if len(ready) < len(nodes):
            raise self._cycle(nodes, waiting)
        for node in nodes.values():
            if isinstance(node, Group):
                self._check_cycles(node)

    def _cycle(self, nodes: Dict[str, Node], waiting: Dict[str, int]) -> DslError:
        """Follow what waits until a name comes again."""
        name = next(name for name, count in waiting.items() if count)
        seen: List[str] = []
        while name not in seen:
            seen.append(name)
            name = next(upstream for upstream in self.of(nodes[name]).upstream if waiting[upstream])
        circle = [*seen[seen.index(name) :], name]
        return DslError(
            f'The tasks of pipeline "{self.graph.name}" wait for each other: {" after ".join(circle)}.',
            where=max((nodes[step].place for step in circle), key=lambda place: place.line),
            why="None of them could ever start.", fix="Remove one of the .after() calls or arguments between them.",
        )  # fmt: skip


def _parent(node: Node) -> Group:
    if node.parent is None:
        raise AssertionError("the pipeline's own group stands in no other; this is a defect of kedge.dsl")
    return node.parent


def _way_up(channel: Channel, scope: Group) -> Optional[List[Group]]:
    """The groups that an output leaves on its way to `scope`, innermost first; None when the scope is not around it."""
    way: List[Group] = []
    group = channel.producer.parent if channel.producer is not None else None
    while group is not None and group is not scope:
        way.append(group)
        group = group.parent
    return way if group is scope else None


def _surfaced(source: Tuple[str, str], type_: ValueType) -> Selector:
    if type_.is_artifact:
        return {"artifactSelectors": [{"producerSubtask": source[0], "outputArtifactKey": source[1]}]}
    return {"valueFromParameter": {"producerSubtask": source[0], "outputParameterKey": source[1]}}


def _escaped(field: str) -> str:
    return field.replace("\\", "\\\\").replace('"', '\\"')


_BRANCH = (
    "a branch", "When the branch is not taken there is no value.",
    "Use it inside of the branch, or give every branch one and use dsl.OneOf.",
)  # fmt: skip
_WHY = {
    CONDITION: _BRANCH,
    BRANCHES: _BRANCH,
    LOOP: (
        "a loop",
        "The loop makes one for every item.",
        "Use dsl.Collected(...) for the list of all, or use it inside of the loop.",
    ),
    EXIT_HANDLER: ("an exit handler's block", "When the block fails there is no value.", "Use it inside of the block."),
}


def _escapes(channel: Channel, user: Node, group: Group) -> DslError:
    what, why, fix = _WHY[group.kind]
    if isinstance(channel, Collected):
        why, fix = (
            f"dsl.Collected cannot collect through {what}.",
            "Collect the output of a task that stands directly in the loop.",
        )
    who = f'Pipeline "{user.graph.name}" returns' if user.parent is None else f'"{user.name}" uses'
    return DslError(
        f'{who} {channel.title}, which is made in {what} ("{group.name}") that it is not in.', why=why, fix=fix, where=user.place
    )
