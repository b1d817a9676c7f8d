"""What is wrong with a pipeline, found while it is defined.

    DslError (a ValueError)       the pipeline cannot mean what it says; str() says what, where, why and how to fix it
    ├── TypeMismatch (a TypeError)  a value or a channel of one type given where another is wanted
    └── UnknownName (an AttributeError)  a method or an attribute that is not there

The language runs inside steps as well, where none of Kedge's floors is installed, so it has errors of its own.
"""

import sys
from typing import TYPE_CHECKING, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# Code knows its file by the same name as its module does.
_HERE = __file__[: -len("errors.py")]


class Place(NamedTuple):
    """A line of the user's file.

    Attributes:
        filename: As Python knows it.
        line: Counted from 1; 0 when it is not known.
    """

    filename: str
    line: int

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}" if self.line else self.filename


class DslError(ValueError):
    """A pipeline, a component or a call that cannot be right.

    Args:
        what: What was found, one sentence.
        why: The rule that it breaks; empty where `what` says it all.
        fix: What to do instead.
        where: The user's line; by default the nearest caller outside of this package.
    """

    def __init__(self, what: str, *, why: str = "", fix: str = "", where: Optional[Place] = None) -> None:
        self.what, self.why, self.fix = what, why, fix
        self.where = where or caller()
        lines = [what, f"  where: {self.where}"]
        lines += [f"  why:   {why}"] if why else []
        lines += [f"  fix:   {fix}"] if fix else []
        super().__init__("\n".join(lines))

    def __reduce__(self) -> Tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.why, self.fix, self.where)


class TypeMismatch(DslError, TypeError):
    """A value or a channel of one type was given where another is wanted."""


class UnknownName(DslError, AttributeError):
    """A method or an attribute that is not there, as by a slip of the pen."""


def nearest(name: str, known: "Iterable[str]") -> str:
    """A question that names what was meant; empty where nothing is near."""
    from difflib import get_close_matches  # noqa: PLC0415  # only for a message

    close = get_close_matches(name, list(known), 1)
    return f'Did you mean "{close[0]}"?' if close else ""


def _rebuild(cls: "type[DslError]", what: str, why: str, fix: str, where: Place) -> DslError:
    return cls(what, why=why, fix=fix, where=where)


def caller() -> Place:
    """The nearest line on the stack that is not this package's: where the user is."""
    frame = sys._getframe(1)  # noqa: SLF001  # the documented way to look up the stack without building all of it
    while frame is not None:
        filename = frame.f_code.co_filename
        if not filename.startswith(_HERE):
            return Place(filename, frame.f_lineno)
        frame = frame.f_back
    return Place("<unknown>", 0)


def names(values: "object") -> str:
    """A list of names for a message: ``"a", "b"``, or ``none``."""
    return ", ".join(f'"{name}"' for name in values) or "none"  # type: ignore[attr-defined]
