"""How verbs wait for others: a verb that asks webhooks lets the host go on meanwhile, and begins anew where somebody wrote first.

Verbs are coroutines. One that asks nobody never waits, so that it is one step of the event loop, and `at_once` has its result.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from kedge.errors import Conflict
from kedge.kube.kinds import Obj
from kedge.server.accepting import accept
from kedge.server.core import Core, Operation, Target, Write, WriteOptions, changed, key
from kedge.store.types import Record

_TRIES = 5  # as on a real API server
T = TypeVar("T")


class Overtaken(Conflict):
    """Somebody has written while webhooks were asked: what they have said was about another object."""


def at_once(verb: Coroutine[Any, Any, T]) -> T:
    """The result of a verb that asks nobody."""
    try:
        verb.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    verb.close()
    raise RuntimeError("a verb has waited that was to ask nobody")


async def retried(attempt: Callable[[], Awaitable[T]], warnings: list[str]) -> T:
    """Do something again while somebody else writes first.

    Args:
        attempt: It; reads what it changes each time.
        warnings: Those of the attempts that did not count are taken out.

    Raises:
        Overtaken: Every time.
    """
    told = len(warnings)
    for _ in range(_TRIES - 1):
        try:
            return await attempt()
        except Overtaken:
            del warnings[told:]
    return await attempt()


def require_current(core: Core, target: Target, record: Record) -> None:
    """Refuse to go on from a record that is not the newest any more.

    Raises:
        Overtaken: It is not.
    """
    now = core.store.get(key(target))
    if now is None or now.revision != record.revision:
        raise Overtaken(changed(target).message)


def write_of(
    operation: Operation, target: Target, objects: tuple[Obj | None, Obj | None], options: WriteOptions, **more: Any
) -> Write:
    """What webhooks are told of a write; ``objects`` are the new one and the old one."""
    assert options.caller is not None  # noqa: S101  # only who is known asks
    new, old = objects
    return Write(operation, target, new, old, options.caller, options.sent, options.dry_run, **more)


async def mutated(core: Core, write: Write, options: WriteOptions) -> Obj:
    """An object of the resource as webhooks change it, with its defaults; ``write.new`` is the caller's own."""
    kind = write.target.kind
    quiet = replace(options, validation="Ignore", warnings=[])

    def settle(obj: Obj) -> Obj:
        new = accept(write.target, obj, quiet)
        if kind.default is not None:
            kind.default(new)
        return new

    if kind.default is not None and write.new is not None:
        kind.default(write.new)
    found = await core.webhooks.mutate(write, settle, options.warnings) if core.webhooks is not None else write.new
    assert found is not None  # noqa: S101  # only what goes has no new self
    return found


async def posted(core: Core, target: Target, obj: Any, options: WriteOptions) -> Any:
    """What is posted to a subresource, as webhooks change it; such an object is of a kind of its own and is not stored."""
    if not core.asks(options.caller) or core.webhooks is None or not isinstance(obj, dict):
        return obj
    form = (str(obj.get("apiVersion") or ""), str(obj.get("kind") or ""))
    write = write_of("CREATE", target, (obj, None), options, form=form)
    new = await core.webhooks.mutate(write, lambda changed: changed, options.warnings)
    await core.webhooks.validate(replace(write, new=new), options.warnings)
    return new


async def judged(core: Core, write: Write, options: WriteOptions) -> None:
    """Raise an `ApiError` where a webhook refuses a write."""
    if core.webhooks is not None:
        await core.webhooks.validate(write, options.warnings)
