"""Control flow: branches, loops and exit handlers, as ``with`` blocks around the tasks that they are about."""

from typing import Any, List, Optional, Sequence, Union

from .channels import PREFIX, Channel, Comparison, Item, ItemChannel, unwrapped
from .errors import DslError, Place, TypeMismatch, caller
from .graph import BRANCHES, CONDITION, EXIT_HANDLER, LOOP, Graph, Group, Node, belongs, needed
from .values import UNKNOWN, ValueType, a, field_type, plain, same_type, shown, type_of


class _Block:
    """A ``with`` block that opens a group."""

    kind = ""

    def __init__(self, name: Optional[str]) -> None:
        self.word = f"dsl.{type(self).__name__}"
        self.graph: Graph = needed(self.word)
        self.place: Place = caller()
        self.display_name = name
        self.group: Optional[Group] = None

    def open(self) -> Group:
        """Put the group into the graph, and go into it."""
        graph = self.graph
        group = Group(graph, self.kind, graph.stack[-1], self.place)
        group.display_name = self.display_name or group.name
        graph.add(group)
        graph.stack.append(group)
        self.group = group
        return group

    def __exit__(self, kind: "Optional[type[BaseException]]", *_: object) -> None:
        group = self.graph.stack.pop()
        if not group.children and kind is None:
            raise DslError(
                f"The block of {self.word} has no tasks.", where=self.place, fix="Call a component in it, or remove it."
            )


class If(_Block):
    """Run the tasks of the block only when the condition holds: ``with dsl.If(flip.output == "heads"):``.

    Args:
        condition: A comparison of a channel with a constant or another channel.
        name: To show to people.

    Examples:
        >>> from kedge import dsl
        >>> @dsl.component
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> @dsl.pipeline
        ... def cautious(n: int = 1):
        ...     with dsl.If(n > 0):
        ...         double(n=n)
        >>> cautious.graph.tasks[0].parent.name
        'condition-1'
    """

    kind = CONDITION

    def __init__(self, condition: Any, name: Optional[str] = None) -> None:
        super().__init__(name)
        condition = unwrapped(condition)
        if not isinstance(condition, Comparison):
            is_channel = isinstance(condition, Channel)
            raise DslError(
                f"{self.word} got {condition.title if is_channel else shown(condition)}, which is no comparison.",
                why=f"The condition is evaluated {'when' if is_channel else 'before'} the pipeline runs.",
                fix=f"Compare a task's output or an input of the pipeline: `with {self.word}(channel == True):`.",
            )
        for channel in condition.channels():
            belongs(channel, self.graph, self.word)
        self.condition = condition

    def __enter__(self) -> "If":  # noqa: PYI034  # Self is not in Python 3.8
        self.open().conditions = ((self.condition, True),)
        return self


class Condition(If):
    """The old name of `If`."""


class _Alternative(_Block):
    kind = CONDITION

    def branches(self) -> Group:
        """The group of all branches, made when the first alternative follows an If."""
        graph, around = self.graph, self.graph.stack[-1]
        last = around.children[-1] if around.children else None
        if isinstance(last, Group) and last.kind == BRANCHES and not last.has_else:
            return last
        if not isinstance(last, Group) or last.kind != CONDITION:
            after = "dsl.Else" if isinstance(last, Group) and last.kind == BRANCHES else "something else"
            raise DslError(
                f"{self.word} follows {after if last is not None else 'nothing'}.", where=self.place,
                why="It is the other way to go of the dsl.If or dsl.Elif right before it.",
                fix="Put it directly behind that block, without tasks between.",
            )  # fmt: skip
        branches = Group(graph, BRANCHES, around, last.place)
        around.children[-1] = branches
        branches.children.append(last)
        last.parent = branches
        return branches

    def open_branch(self, branches: Group) -> Group:
        """Open a branch that runs when the ones before it do not."""
        before = [child for child in branches.children if isinstance(child, Group)]
        self.graph.stack.append(branches)
        group = self.open()
        self.graph.stack.remove(branches)
        group.conditions = tuple((condition, False) for child in before for condition, holds in child.conditions if holds)
        return group


class Elif(_Alternative):
    """Run the tasks of the block when the conditions before do not hold and this one does.

    Args:
        condition: As for `If`.
        name: To show to people.

    Examples:
        >>> from kedge import dsl
        >>> @dsl.component
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> @dsl.pipeline
        ... def steps(n: int = 1):
        ...     with dsl.If(n > 100):
        ...         double(n=1)
        ...     with dsl.Elif(n > 10):
        ...         double(n=n)
        >>> len(steps.graph.tasks)
        2
    """

    def __init__(self, condition: Any, name: Optional[str] = None) -> None:
        super().__init__(name)
        self.condition = If(condition).condition

    def __enter__(self) -> "Elif":  # noqa: PYI034  # as above
        group = self.open_branch(self.branches())
        group.conditions = (*group.conditions, (self.condition, True))
        return self


class Else(_Alternative):
    """Run the tasks of the block when none of the conditions before holds.

    Args:
        name: To show to people.

    Examples:
        >>> from kedge import dsl
        >>> @dsl.component
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> @dsl.pipeline
        ... def either(n: int = 1) -> int:
        ...     with dsl.If(n > 10):
        ...         small = double(n=1)
        ...     with dsl.Else():
        ...         large = double(n=n)
        ...     return dsl.OneOf(small.output, large.output)
        >>> [task.name for task in either.graph.tasks]
        ['double', 'double-2']
    """

    def __init__(self, name: Optional[str] = None) -> None:
        super().__init__(name)

    def __enter__(self) -> "Else":  # noqa: PYI034  # as above
        branches = self.branches()
        self.open_branch(branches)
        branches.has_else = True
        return self


class ParallelFor(_Block):
    """Run the tasks of the block once for every item: ``with dsl.ParallelFor([1, 2, 3]) as item:``.

    Args:
        items: A list of text, numbers, booleans or dicts; or a channel that carries a list (of artifacts, too).
        name: To show to people.
        parallelism: How many iterations run at once; None or 0 for no limit.

    Examples:
        >>> from kedge import dsl
        >>> @dsl.component
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> @dsl.pipeline
        ... def each() -> list:
        ...     with dsl.ParallelFor([1, 2, 3], parallelism=2) as n:
        ...         doubled = double(n=n)
        ...     return dsl.Collected(doubled.output)
        >>> each.graph.tasks[0].parent.parallelism
        2
    """

    kind = LOOP

    def __init__(
        self, items: Union[Sequence[Any], Channel], name: Optional[str] = None,
        parallelism: Optional[int] = None,
    ) -> None:  # fmt: skip
        super().__init__(name)
        if parallelism is not None and (type(parallelism) is not int or parallelism < 0):
            raise DslError(
                f"dsl.ParallelFor got parallelism={shown(parallelism)}.", why="It is the number of iterations that run at once.",
                fix="Use a whole number from 1, or leave it out for no limit.",
            )  # fmt: skip
        self.parallelism = parallelism or 0
        given = unwrapped(items)
        self.items = self._channel(given) if isinstance(given, Channel) else self._constants(given)

    def _channel(self, items: Channel) -> Channel:
        belongs(items, self.graph, "dsl.ParallelFor")
        if not (items.type.is_list or items.type.name in ("LIST", "")):
            raise TypeMismatch(
                f"dsl.ParallelFor loops over {items.title}, which is {a(items.type)}.", why="It needs a list.",
                fix="Annotate that output or input as a list, such as List[str] or List[Dataset].",
            )  # fmt: skip
        return items

    def _constants(self, items: Any) -> List[Any]:
        if not isinstance(items, (list, tuple)):
            raise TypeMismatch(
                f"dsl.ParallelFor got {shown(items)}, which is {a(type(items).__name__)}.", why="It needs a list.",
                fix="Pass a list, or a channel that carries one.",
            )  # fmt: skip
        if not items:
            raise DslError("dsl.ParallelFor got an empty list.", why="Its tasks would never run.", fix="Pass at least one item.")
        for index, item in enumerate(items):
            if (held := self._held(item)) is not None:
                raise TypeMismatch(
                    f"Item {index} of dsl.ParallelFor holds {held.title}.",
                    why="The items of a list that is written down are fixed before the pipeline runs.",
                    fix="Let a step make the list: a component that takes the value and returns a list; loop over its output.",
                )
            if type_of(item) is None:
                raise TypeMismatch(
                    f"Item {index} of dsl.ParallelFor is {shown(item)}, {a(type(item).__name__)}.",
                    why="Items travel as JSON.", fix="Use text, numbers, booleans, lists or dicts.",
                )  # fmt: skip
        try:
            return [plain(item, UNKNOWN) for item in items]
        except TypeError as error:
            raise TypeMismatch(f"An item of dsl.ParallelFor cannot be sent to a step: {error}.", fix="Use JSON values.") from None

    def _held(self, value: Any) -> Optional[Channel]:
        """The first channel in a constant."""
        value = unwrapped(value)
        if isinstance(value, Channel):
            return value
        if isinstance(value, str):
            return next(iter(self.graph.marked_in(value)), None)
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
        return next((held for held in map(self._held, inside) if held is not None), None)

    def __enter__(self) -> Any:
        group = self.open()
        group.items, group.parallelism = self.items, self.parallelism
        if isinstance(self.items, Channel):
            item = self.items.type._replace(is_list=False) if self.items.type.is_list else field_or_item(self.items.type)
            key = self.items.key.replace(PREFIX, "", 1) + "-loop-item"
            # A loop over the same list inside of this one must not hide its item.
            taken = {outer.item.name for outer in group.path() if outer.item is not None}
            group.item = ItemChannel(group, f"{key}-{group.name}" if key in taken else key, item)
        else:
            item, fields = same_type(self.items), None
            if all(isinstance(value, dict) for value in self.items):
                shared = [key for key in self.items[0] if all(key in value for value in self.items)]
                fields = {key: same_type([value[key] for value in self.items]) for key in shared}
            group.item = ItemChannel(group, f"loop-item-param-{group.name.rpartition('-')[2]}", item, fields)
        return Item(group.item)


def field_or_item(type_: ValueType) -> ValueType:
    """The type of a list's items, as far as it is known."""
    return type_.item or UNKNOWN if type_.name == "LIST" else field_type(type_)


class ExitHandler(_Block):
    """Run a task when the block has ended, whether its tasks failed or not: ``with dsl.ExitHandler(clean_up()):``.

    Args:
        exit_task: The task; made before the block. It may take a `PipelineTaskFinalStatus`.
        name: To show to people.

    Examples:
        >>> from kedge import dsl
        >>> @dsl.component
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> @dsl.pipeline
        ... def tidy():
        ...     with dsl.ExitHandler(double(n=0)):
        ...         double(n=1)
        >>> [task.name for task in tidy.graph.tasks]
        ['double', 'double-2']
    """

    kind = EXIT_HANDLER

    def __init__(self, exit_task: Any, name: Optional[str] = None) -> None:
        super().__init__(name)
        if not isinstance(exit_task, Node) or isinstance(exit_task, Group):
            raise DslError(
                f"dsl.ExitHandler got {shown(exit_task)}, which is no task.", why="The exit task runs when the block has ended.",
                fix="Call a component before the block and pass what it returns: `with dsl.ExitHandler(clean_up()):`.",
            )  # fmt: skip
        if exit_task.parent is not self.graph.stack[-1]:
            raise DslError(
                f'The exit task "{exit_task.name}" stands in another block than its dsl.ExitHandler.',
                why="It runs after the block, at the same level.", fix="Call its component right before the dsl.ExitHandler.",
            )  # fmt: skip
        self.exit_task = exit_task

    def __enter__(self) -> "ExitHandler":  # noqa: PYI034  # as above
        group = self.open()
        group.exit_task = self.exit_task
        self.exit_task.follows.append(group)
        return self
