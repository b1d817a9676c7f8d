"""Fields of a form for the inputs of a pipeline, typed by its signature, and what was typed into them.

What is sent to the API is the text as it was typed: the API reads it as what is declared, and no digit of a number is lost on the
way. A field that is empty is left out; text may be empty where it has a default, or where that was chosen.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kedge.dashboard.page import Form
from kedge.errors import Cause

VALUE, EMPTY = "value:", "empty:"
"""Begin the names of the fields of a form: what was typed, and whether it counts though it is empty."""
PARAMETERS = "runtime_config.parameters."
_HIDDEN = frozenset({"TASK_FINAL_STATUS", "TASK_CONFIG"})
_JSON = {"LIST": "a JSON list, such as [1, 2]", "STRUCT": 'a JSON object, such as {"a": 1}'}
_WORDS = {
    "STRING": "text",
    "NUMBER_INTEGER": "whole number",
    "NUMBER_DOUBLE": "number",
    "BOOLEAN": "true or false",
    "LIST": "list",
    "STRUCT": "object",
}
_LONG = 80  # letters of a text that wants more than a line
Json = Mapping[str, Any]


@dataclass(slots=True)
class Input:
    """One input of a pipeline in a form.

    Attributes:
        name: As the pipeline declares it.
        kind: Kubeflow's type.
        about: Its description.
        literals: The only texts that it may have, if it says which.
        required: Whether it must be given.
        default: Its default as text; ``None`` where there is none.
        text: What stands in the field.
        empty: Whether that counts though it is empty.
        wrong: Why it cannot be.
    """

    name: str
    kind: str
    about: str
    literals: list[str]
    required: bool
    default: str | None
    text: str = ""
    empty: bool = False
    wrong: list[str] = field(default_factory=list[str])

    @property
    def words(self) -> str:
        """What its type is called."""
        return _WORDS.get(self.kind, self.kind)

    @property
    def choices(self) -> list[str]:
        """What may be chosen; empty where it is typed."""
        if self.literals:
            return self.literals
        return ["true", "false"] if self.kind == "BOOLEAN" else []

    @property
    def may_be_empty(self) -> bool:
        """Whether empty text is a value only where that is said: elsewhere an empty field is one that is left out."""
        return self.kind == "STRING" and not self.literals and self.default is None

    @property
    def is_left_out(self) -> bool:
        """Whether the API is to take the default, or nothing."""
        return not self.text and (self.kind != "STRING" or bool(self.literals) or (self.may_be_empty and not self.empty))

    @property
    def is_json(self) -> bool:
        """Whether it is typed as JSON."""
        return self.kind in _JSON

    @property
    def hint(self) -> str:
        """How it is typed."""
        return _JSON.get(self.kind, "")

    @property
    def rows(self) -> int:
        """Lines that it takes; 1 for a field of one line."""
        if self.is_json:
            return min(max(self.text.count("\n") + 1, 3), 16)
        if self.kind == "STRING" and not self.literals:
            longest = max((self.text, self.default or ""), key=len)
            return min(longest.count("\n") + 2, 16) if "\n" in longest or len(longest) > _LONG else 1
        return 1


def inputs(spec: Json, given: Json | None = None) -> list[Input]:
    """The inputs that a person gives, in the pipeline's order.

    Args:
        spec: PipelineSpec IR.
        given: Arguments that are there already, such as those of a run that is cloned; what is not among them is left out.
            ``None``: defaults stand in the fields.
    """
    declared: Json = ((spec.get("root") or {}).get("inputDefinitions") or {}).get("parameters") or {}
    found: list[Input] = []
    for name, each in declared.items():
        kind = str(each.get("parameterType") or "STRING")
        if kind in _HIDDEN:
            continue
        default = None if each.get("defaultValue") is None else as_typed(each["defaultValue"], kind)
        absent = "defaultValue" in each or bool(each.get("isOptional"))
        literals = [as_typed(literal, kind) for literal in each.get("literals") or ()]
        made = Input(name, kind, str(each.get("description") or ""), literals, not absent, default, default or "")
        if given is not None and given.get(name) is not None:
            made.text = as_typed(given[name], kind)
            made.empty = not made.text
        found.append(made)
    return found


def typed(known: Iterable[Input], form: Form) -> list[Input]:
    """The inputs with what was typed into a form."""
    found = list(known)
    for each in found:
        each.text = form.text(VALUE + each.name).replace("\r\n", "\n")
        each.empty = bool(form.text(EMPTY + each.name))
    return found


def arguments(known: Iterable[Input]) -> dict[str, Any]:
    """What is sent to the API; faults that can be told without it are noted at their inputs."""
    found: dict[str, Any] = {}
    for each in known:
        if each.is_left_out:
            continue
        found[each.name] = each.text
        if each.is_json and (fault := json_fault(each.text)):
            each.wrong.append(fault)
    return found


def json_fault(text: str) -> str:
    r"""Why a text is no JSON, and where; ``""`` where it is.

    Examples:
        >>> json_fault('[1,\n 2'), json_fault("[1]")
        ("line 2, column 3: Expecting ',' delimiter", '')
    """
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


def blame(known: Iterable[Input], causes: Iterable[Cause]) -> list[Cause]:
    """Note at each input what the API says of it; what is about none of them is returned."""
    by_name = {each.name: each for each in known}
    others: list[Cause] = []
    for cause in causes:
        found = by_name.get(cause.field.removeprefix(PARAMETERS)) if cause.field.startswith(PARAMETERS) else None
        if found is None:
            others.append(cause)
        elif not found.wrong:
            found.wrong.append(cause.message)
    return others


def as_typed(value: Any, kind: str) -> str:
    """A value as a person types it into its field.

    Examples:
        >>> as_typed(9007199254740993, "NUMBER_INTEGER"), as_typed(3.0, "NUMBER_INTEGER"), as_typed([1, 2], "LIST")
        ('9007199254740993', '3', '[1, 2]')
    """
    if isinstance(value, str) and (kind == "STRING" or not value):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        value = int(value)
    if isinstance(value, str):  # text that spells a value, as clients send it
        return value
    if isinstance(value, list | dict):
        return _pretty(value)
    return json.dumps(value, ensure_ascii=False)


def _pretty(value: Any) -> str:
    short = json.dumps(value, ensure_ascii=False)
    return short if len(short) <= _LONG else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
