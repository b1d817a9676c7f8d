"""Channels: what a pipeline's function handles in place of values, which exist only when the pipeline runs.

    InputChannel      a parameter or artifact of the pipeline
    OutputChannel     an output of a task
    ItemChannel       the item of a loop; its fields are FieldChannels
    OneOf             whichever branch of an If was taken
    Collected         all that a loop made, as a list

A channel in an f-string becomes a marker, which is found again when the text is given to a task (`markers_in`). Comparing a
channel gives a `Comparison`, for ``dsl.If``.
"""

import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Tuple, Union

from .errors import DslError, TypeMismatch, names
from .values import INTEGER, UNKNOWN, ValueType, a, field_type, list_of, shown, type_of

if TYPE_CHECKING:
    from .graph import Graph, Group, Node

PREFIX = "pipelinechannel--"
_MARKER = re.compile(r"\{\{channel:(\d+)\}\}")


class Channel:
    """A value or an artifact that exists when the pipeline runs.

    Args:
        graph: The pipeline that it belongs to.
        name: What its producer calls it.
        type: What it carries.
        producer: The task or group that makes it; None for a pipeline's input.
    """

    def __init__(self, graph: "Graph", name: str, type: ValueType, producer: "Optional[Node]" = None) -> None:  # noqa: A002
        self.graph, self.name, self.type, self.producer = graph, name, type, producer

    @property
    def key(self) -> str:
        """The name under which groups hand it on."""
        return PREFIX + (f"{self.producer.name}-{self.name}" if self.producer is not None else self.name)

    @property
    def title(self) -> str:
        """How messages call it."""
        if self.producer is None:
            return f'the pipeline\'s input "{self.name}"'
        return f'output "{self.name}" of task "{self.producer.name}"'

    @property
    def sentence(self) -> str:
        """The title, to begin a sentence with."""
        return self.title[:1].upper() + self.title[1:]

    def __str__(self) -> str:
        if self.type.is_artifact:
            raise TypeMismatch(
                f"{self.sentence} is an artifact ({self.type}) and was put into a text.",
                why="An artifact has no value that a text could hold.",
                fix="Give it to an Input[...] of a component, which can use its .uri or .path.",
            )
        return f"{{{{channel:{self.graph.mark(self)}}}}}"

    def __format__(self, spec: str) -> str:
        if spec:
            raise DslError(
                f"{self.sentence} is formatted with {spec!r}.",
                why="Its value is known only when the pipeline runs.",
                fix="Leave the format out, or format it inside of a component.",
            )
        return str(self)

    def __repr__(self) -> str:
        return f"<{self.title}: {self.type}>"

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        raise DslError(
            f"{self.sentence} is used as if it were true or false already.",
            why="Its value is known only when the pipeline runs; this code runs once, before.",
            fix="Use `with dsl.If(channel == True):` instead of `if channel:`; compare with None inside of a component.",
        )

    def __iter__(self) -> Iterator[Any]:
        raise DslError(
            f"{self.sentence} is iterated over.", why="Its items are known only when the pipeline runs.",
            fix="Use `with dsl.ParallelFor(channel) as item:`.",
        )  # fmt: skip

    def __add__(self, other: object) -> Any:
        raise DslError(
            f"{self.sentence} is calculated with.", why="Its value is known only when the pipeline runs.",
            fix='Calculate inside of a component; a text is put together as f"{channel} and more".',
        )  # fmt: skip

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __add__
    __mod__ = __rmod__ = __pow__ = __rpow__ = __add__

    def __eq__(self, other: object) -> "Comparison":  # type: ignore[override]
        return Comparison(self, "==", other)

    def __ne__(self, other: object) -> "Comparison":  # type: ignore[override]
        return Comparison(self, "!=", other)

    def __lt__(self, other: object) -> "Comparison":
        return Comparison(self, "<", other)

    def __le__(self, other: object) -> "Comparison":
        return Comparison(self, "<=", other)

    def __gt__(self, other: object) -> "Comparison":
        return Comparison(self, ">", other)

    def __ge__(self, other: object) -> "Comparison":
        return Comparison(self, ">=", other)


def is_channel(value: object) -> bool:
    """Whether a value that the user gave is a channel, whatever the annotations promise."""
    return isinstance(value, Channel)


class InputChannel(Channel):
    """An input of the pipeline itself."""


class OutputChannel(Channel):
    """An output of a task."""


class ItemChannel(Channel):
    """The item of a loop; people handle it as an `Item`.

    Args:
        loop: The loop.
        key: The name under which the loop hands it in.
        type: Of one item.
        fields: The types of its fields, where all items agree.
    """

    producer: "Group"

    def __init__(self, loop: "Group", key: str, type: ValueType, fields: Optional[Dict[str, ValueType]] = None) -> None:  # noqa: A002
        super().__init__(loop.graph, key, type, loop)
        self._fields = fields
        self._made: Dict[str, FieldChannel] = {}

    @property
    def key(self) -> str:
        """The name under which groups hand it on."""
        return PREFIX + self.name

    @property
    def title(self) -> str:
        """How messages call it."""
        return f'the item of loop "{self.producer.name}"'

    def get(self, name: str) -> "FieldChannel":
        """A field of the item, which must be a dict."""
        if self.type.is_artifact or self.type.name not in ("STRUCT", "", "STRING"):
            raise TypeMismatch(
                f'{self.sentence} is {a(self.type)} and has no field "{name}".',
                fix="Use the item itself, or loop over a list of dicts.",
            )
        if self._fields is not None and name not in self._fields:
            raise DslError(
                f'The items of loop "{self.producer.name}" have no field "{name}".', why=f"They have {names(self._fields)}.",
                fix="Correct the name, or add the field to every item.",
            )  # fmt: skip
        if name not in self._made:
            known = self._fields[name] if self._fields is not None else field_type(self.type)
            self._made[name] = FieldChannel(self, name, known)
        return self._made[name]


class Item:
    """The item of a loop, as the pipeline's function sees it: its fields are attributes: ``item.rate`` (or ``item["rate"]``).

    It has no attributes of its own, so that a field may have any name.

    Args:
        channel: The item.
    """

    __slots__ = ("_channel",)

    def __init__(self, channel: ItemChannel) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> "FieldChannel":
        if name.startswith("__"):
            raise AttributeError(name)
        return self._channel.get(name)

    def __getitem__(self, name: str) -> "FieldChannel":
        return self._channel.get(name)

    def __str__(self) -> str:
        return str(self._channel)

    def __format__(self, spec: str) -> str:
        return format(self._channel, spec)

    def __repr__(self) -> str:
        return repr(self._channel)

    def __hash__(self) -> int:
        return hash(self._channel)

    def __bool__(self) -> bool:
        return bool(self._channel)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._channel)

    def __add__(self, other: object) -> Any:
        return self._channel + other

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __add__
    __mod__ = __rmod__ = __pow__ = __rpow__ = __add__

    def __eq__(self, other: object) -> "Comparison":  # type: ignore[override]
        return Comparison(self._channel, "==", other)

    def __ne__(self, other: object) -> "Comparison":  # type: ignore[override]
        return Comparison(self._channel, "!=", other)

    def __lt__(self, other: object) -> "Comparison":
        return Comparison(self._channel, "<", other)

    def __le__(self, other: object) -> "Comparison":
        return Comparison(self._channel, "<=", other)

    def __gt__(self, other: object) -> "Comparison":
        return Comparison(self._channel, ">", other)

    def __ge__(self, other: object) -> "Comparison":
        return Comparison(self._channel, ">=", other)


def unwrapped(value: Any) -> Any:
    """The channel in place of an `Item`; anything else as it is."""
    return value._channel if isinstance(value, Item) else value  # noqa: SLF001  # it has no attributes for others


class FieldChannel(Channel):
    """A field of a loop's item.

    Args:
        item: The item.
        field: The field's name.
        type: Its type; `UNKNOWN` where nothing says it.
    """

    def __init__(self, item: ItemChannel, field: str, type: ValueType) -> None:  # noqa: A002
        super().__init__(item.graph, f"{item.name}-subvar-{field}", type, item.producer)
        self.item, self.field = item, field

    @property
    def key(self) -> str:
        """The name under which groups hand it on."""
        return PREFIX + self.name

    @property
    def title(self) -> str:
        """How messages call it."""
        return f'field "{self.field}" of {self.item.title}'


class OneOf(Channel):
    """The output of whichever branch was taken: ``dsl.OneOf(a.output, b.output)``, for use after the branches.

    Args:
        channels: One output from each branch of an If/Elif/Else, all of one type.

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
        >>> either.name
        'either'
    """

    producer: "Group"

    def __init__(self, *channels: Channel) -> None:
        channels = tuple(unwrapped(channel) for channel in channels)
        if not channels or not all(is_channel(channel) for channel in channels):
            raise DslError(
                f"dsl.OneOf got {', '.join(shown(channel) for channel in channels) or 'nothing'}.",
                why="It chooses between outputs of tasks.",
                fix="Pass one output from each branch: dsl.OneOf(a.output, b.output).",
            )
        first = channels[0]
        branches, self.choices = _branches(channels)
        different = next((c for c in channels if c.type[:4] != first.type[:4]), None)
        if different is not None:
            raise TypeMismatch(
                f"dsl.OneOf got {first.title}, {a(first.type)}, and {different.title}, {a(different.type)}.",
                why="Whatever reads it must know its type.", fix="Let all branches give the same type.",
            )  # fmt: skip
        branches.choices += 1
        super().__init__(first.graph, f"{branches.name}-oneof-{branches.choices}", first.type, branches)

    @property
    def key(self) -> str:
        """The name under which groups hand it on."""
        return PREFIX + self.name

    @property
    def title(self) -> str:
        """How messages call it."""
        return "dsl.OneOf(" + ", ".join(channel.title for channel in self.choices) + ")"


def _branches(channels: Tuple[Channel, ...]) -> "Tuple[Group, Tuple[Channel, ...]]":
    """The If/Elif/Else that the channels come from, and the channels in the order of its branches."""
    found: Dict[int, Channel] = {}
    parents: List[Group] = []
    for channel in channels:
        branch = channel.producer.parent if channel.producer is not None else None
        if branch is None or branch.kind != "condition" or isinstance(channel, (OneOf, Collected, ItemChannel, FieldChannel)):
            raise DslError(
                f"dsl.OneOf got {channel.title}, which no branch makes.", why="It chooses between branches of one If/Elif/Else.",
                fix="Pass outputs of tasks that stand directly in `with dsl.If`, `dsl.Elif` or `dsl.Else`.",
            )  # fmt: skip
        if id(branch) in found:
            raise DslError(
                f"dsl.OneOf got two outputs of one branch: {found[id(branch)].title} and {channel.title}.", fix="Keep one."
            )
        found[id(branch)] = channel
        parents += [branch.parent] if branch.parent is not None else []
    group = parents[0]
    if any(parent is not group for parent in parents) or group.kind != "condition-branches" or len(found) != len(group.children):
        raise DslError(
            f"dsl.OneOf got {len(found)} outputs, which are not one of each branch of an If/Elif/Else.",
            why="Whichever branch is taken must give the value.",
            fix="Pass one output from every branch of the same If/Elif/Else.",
        )
    if not group.has_else:
        raise DslError(
            "dsl.OneOf chooses between branches without an Else.", why="When no condition holds there would be no value.",
            fix="Add `with dsl.Else():` with a task that gives the value then.",
        )  # fmt: skip
    return group, tuple(found[id(branch)] for branch in group.children)


class Collected(Channel):
    """All that a loop's iterations gave, as a list in their order: ``dsl.Collected(task.output)``, for use after the loop.

    Args:
        output: An output of a task in a loop, parameter or artifact.

    Examples:
        >>> from kedge import dsl
        >>> @dsl.component
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> @dsl.pipeline
        ... def each() -> list:
        ...     with dsl.ParallelFor([1, 2, 3]) as n:
        ...         doubled = double(n=n)
        ...     return dsl.Collected(doubled.output)
        >>> each.name
        'each'
    """

    def __init__(self, output: Channel) -> None:
        output = unwrapped(output)
        if not is_channel(output) or isinstance(output, Collected) or output.producer is None:
            title = output.title if is_channel(output) else shown(output)
            raise DslError(
                f"dsl.Collected got {title}.", why="It collects an output of a task in a loop.",
                fix="Pass task.output or task.outputs[...] of a task inside `with dsl.ParallelFor`.",
            )  # fmt: skip
        super().__init__(output.graph, output.name, list_of(output.type), output.producer)
        self.output = output

    @property
    def key(self) -> str:
        """The name under which groups hand it on."""
        return self.output.key

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"dsl.Collected({self.output.title})"


Operand = Union[Channel, str, int, float, bool]
_PRIMITIVE = ("STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE", "BOOLEAN", "")
_NUMBERS = ("NUMBER_INTEGER", "NUMBER_DOUBLE")


class Comparison:
    """A condition for ``dsl.If``: a channel compared with a constant or another channel.

    Args:
        left: A channel.
        operator: As in Python.
        right: A channel or a constant.

    Raises:
        TypeMismatch: The two have types that never compare.
    """

    def __init__(self, left: Channel, operator: str, right: Any) -> None:
        right = unwrapped(right)
        self.left, self.operator, self.right = left, operator, right
        given = _operand_type(right)
        if (
            given is None
            or left.type.name not in _PRIMITIVE
            or left.type.is_artifact
            or given.name not in _PRIMITIVE
            or given.is_artifact
        ):
            bad = f"{left.title}, {a(left.type)}," if left.type.name not in _PRIMITIVE or left.type.is_artifact else _spelt(right)
            raise TypeMismatch(
                f"A condition compares {left.title} {operator} {_spelt(right)}; {bad} cannot be compared.",
                why="Conditions compare text, numbers and booleans.",
                fix="Compute the answer in a component and compare its output.",
            )
        both = {left.type.name, given.name} - {""}
        if len(both) > 1 and not both <= set(_NUMBERS):
            raise TypeMismatch(
                f"A condition compares {left.title}, {a(left.type)}, {operator} {_spelt(right)}, {a(given)}.",
                why="They are of different types and would never be equal.", fix=f"Compare with {a(left.type)}.",
            )  # fmt: skip

    def __bool__(self) -> bool:
        raise DslError(
            f"The condition {self} is used as if it were true or false already.",
            why="The values are known only when the pipeline runs; this code runs once, before.",
            fix="Use it in `with dsl.If(...):`; nest two of them for `and`, use dsl.Elif for `or`.",
        )

    def __str__(self) -> str:
        return f"{self.left.title} {self.operator} {_spelt(self.right)}"

    def channels(self) -> List[Channel]:
        """The channels whose values decide."""
        return [operand for operand in (self.left, self.right) if isinstance(operand, Channel)]

    def expression(self) -> str:
        """The condition in the IR's expression language, over the inputs of the group that it guards."""
        right = _operand_type(self.right) or UNKNOWN
        wanted = self.left.type if self.left.type.name else right
        if {self.left.type.name, right.name} == set(_NUMBERS):
            wanted = right if right.name == "NUMBER_DOUBLE" else self.left.type
        if not self.left.type.name and isinstance(self.right, bool):
            # A field of unknown type travels as text.
            return f"{_cel(self.left, wanted)} {self.operator} '{str(self.right).lower()}'"
        return f"{_cel(self.left, wanted)} {self.operator} {_cel(self.right, wanted)}"


def _operand_type(operand: Any) -> Optional[ValueType]:
    return operand.type if isinstance(operand, Channel) else type_of(operand)


def _spelt(operand: Any) -> str:
    return operand.title if isinstance(operand, Channel) else shown(operand)


def _cel(operand: Any, wanted: ValueType) -> str:
    if isinstance(operand, Channel):
        text = f"inputs.parameter_values['{operand.key}']"
        if operand.type.name == INTEGER.name or (not operand.type.name and wanted.name == INTEGER.name):
            text = f"int({text})"
        is_text = not operand.type.name or operand.type.name == INTEGER.name
        return f"double({text})" if wanted.name == "NUMBER_DOUBLE" and is_text else text
    if isinstance(operand, bool):
        return str(operand).lower()
    if isinstance(operand, str):
        return "'" + operand.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
    return repr(float(operand)) if wanted.name == "NUMBER_DOUBLE" else repr(operand)


def markers_in(text: str) -> List[int]:
    """The numbers of the channels whose markers stand in a text."""
    return [int(number) for number in _MARKER.findall(text)] if "{{channel:" in text else []


def without_markers(text: str, channels: "List[Channel]") -> str:
    """Put the IR's placeholders in place of markers.

    Args:
        text: Text with markers.
        channels: The pipeline's marked channels, by number.
    """
    if "{{channel:" not in text:
        return text
    return _MARKER.sub(lambda found: "{{$.inputs.parameters['" + channels[int(found.group(1))].key + "']}}", text)
