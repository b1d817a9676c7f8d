"""What an operation of the REST API asks of its caller: rights to its subjects, in Kubeflow Pipelines' own verbs and resources.

The table of operations names them. They are checked before anything is done, and the namespace that was checked is the one that
is used. Somebody who may not even read what an id names gets the answer of an id that names nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kedge.errors import Forbidden, NotFound
from kedge.server.callers import Callers

if TYPE_CHECKING:
    from kedge.pipelines.operations import Call


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request is about.

    Attributes:
        namespace: Where it lies; ``""`` for what all namespaces share, ``None`` for all of them at once, where there is one user.
        name: Of the object, where there is one.
        missing: What is answered where there is no such thing; ``None`` where the request names the namespace itself.
    """

    namespace: str | None
    name: str = ""
    missing: NotFound | None = None


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that a caller must be allowed to do.

    Attributes:
        verb: Kubernetes' or Kubeflow Pipelines'.
        resource: Of the group ``pipelines.kubeflow.org``.
        of: Finds what a request is about; raises `errors.KedgeError` where that cannot be.
    """

    verb: str
    resource: str
    of: "Callable[[Call], Iterable[Subject]]"


NOTHING: tuple[Right, ...] = ()
"""Of operations that do nothing: it is enough to be known."""


async def permit(rights: Sequence[Right], call: "Call", callers: Callers) -> tuple[str | None, ...]:
    """Let pass who has all rights of an operation.

    Returns:
        The namespaces that the first of them is about.

    Raises:
        Forbidden: The caller lacks one.
        NotFound: What it is about is not there, or not for the caller to know of.
        Unavailable: It cannot be found out now.
    """
    found: list[str | None] = []
    for number, right in enumerate(rights):
        for subject in right.of(call):
            await _let_pass(right, subject, call, callers)
            if number == 0:
                found.append(subject.namespace)
    return tuple(found)


async def _let_pass(right: Right, subject: Subject, call: "Call", callers: Callers) -> None:
    where = subject.namespace or "", subject.name
    try:
        await callers.check(call.user, right.verb, right.resource, *where)
    except Forbidden:
        if subject.missing is None:
            raise
        if right.verb == "get":
            raise subject.missing from None
        try:
            await callers.check(call.user, "get", right.resource, *where)
        except Forbidden:
            raise subject.missing from None
        raise


def may(what: str, of: "Callable[[Call], Iterable[Subject]]") -> tuple[Right, ...]:
    """One right, as the table writes it: ``may("get runs", subjects.run)``; more are added to it."""
    verb, resource = what.split(" ")
    return (Right(verb, resource, of),)
