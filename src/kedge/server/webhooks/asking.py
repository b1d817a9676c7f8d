"""Asks the webhooks of the host's configurations: those that change an object one after the other, those that judge it together.

Nothing is asked of writes to the configurations themselves, so that one that refuses everything can be taken away.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from kedge.errors import ApiError, BadRequest, Cause, Invalid, ServerError
from kedge.kube import json_patch
from kedge.kube.admission import GROUP, MUTATING, VALIDATING
from kedge.kube.faults import shown as written
from kedge.kube.kinds import Kind, Obj
from kedge.server.core import Core, Target, Write, copy, prefix
from kedge.server.webhooks import reviews
from kedge.server.webhooks.calling import Caller, CallFailed
from kedge.server.webhooks.matching import matched
from kedge.store.types import Record

_log = logging.getLogger(__name__)
_WITHOUT = frozenset({"None", "NoneOnDryRun"})  # what a webhook may have as side effects of a dry run


@dataclass(frozen=True, slots=True)
class _Hook:
    """An entry of a configuration, and what it is known by."""

    id: str
    spec: Obj

    @property
    def name(self) -> str:
        return str(self.spec["name"])


class Webhooks:
    """Follows the configurations, and asks what they name.

    Args:
        core: The server; its store may hold configurations already.

    Attributes:
        active: Whether there is any webhook.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._caller = Caller(core)
        self._hooks: dict[Kind, dict[str, list[_Hook]]] = {MUTATING: {}, VALIDATING: {}}
        self.active = False
        for kind in self._hooks:
            root = prefix(Target(kind))
            for record in core.store.list(root).records:
                self._follow(kind, record)
            core.store.subscribe(root, lambda record, kind=kind: self._follow(kind, record))

    def _follow(self, kind: Kind, record: Record) -> None:
        name, known = record.key.rpartition("/")[2], dict(self._hooks[kind])
        known.pop(name, None)
        if not record.deleted:
            hooks: list[Obj] = copy(record).get("webhooks") or []
            known[name] = [_Hook(f"{name}/{index}/{hook['name']}", hook) for index, hook in enumerate(hooks)]
        self._hooks[kind] = dict(sorted(known.items()))
        self.active = any(hooks for known in self._hooks.values() for hooks in known.values())

    def _all(self, kind: Kind, write: Write) -> Iterator[_Hook]:
        if write.target.kind.group != GROUP:
            for hooks in list(self._hooks[kind].values()):
                yield from hooks

    async def mutate(self, write: Write, settle: Callable[[Obj], Obj], warnings: list[str]) -> Obj | None:
        """Have an object changed.

        Args:
            write: What is about to happen.
            settle: Makes of what a webhook has changed an object of the kind again, with its defaults.
            warnings: Is added to.

        Returns:
            The object as it then is; ``write.new`` where nobody changes it.

        Raises:
            ApiError: A webhook refuses, or does not answer as it has to.
        """
        hooks, again, previous = list(self._all(MUTATING, write)), set[str](), set[str]()
        for first in (True, False):
            for hook in hooks:
                if not first and hook.id not in again:
                    continue
                kind = matched(self._core, hook.spec, write)
                if kind is None:
                    continue
                again.discard(hook.id)
                new = await self._changed(hook, kind, write, settle, warnings)
                if new is not None and new != write.new:
                    again |= previous
                    previous.clear()
                    write = replace(write, new=new)
                if hook.spec.get("reinvocationPolicy") == "IfNeeded":
                    previous.add(hook.id)
        return write.new

    async def _changed(
        self, hook: _Hook, kind: Kind, write: Write, settle: Callable[[Obj], Obj], warnings: list[str]
    ) -> Obj | None:
        answer = await self._asked(hook, kind, write, warnings, mutating=True)
        if answer is None or not answer.patch:
            return None
        if write.new is None:
            why = "attempted to modify the object, which is not supported for this operation"
            raise internal(f"admission webhook {written(hook.name)} {why}")
        before = reviews.shown(write.new, write, kind)
        try:
            patched = json_patch.apply(before, answer.patch)
        except (BadRequest, Invalid) as error:
            raise internal(error.message) from error
        if not isinstance(patched, dict):
            raise internal(f"admission webhook {written(hook.name)} made no object of the object")
        if kind != write.target.kind and write.form is None:
            patched["apiVersion"] = write.target.kind.api_version
        return settle(patched)

    async def validate(self, write: Write, warnings: list[str]) -> None:
        """Have an object judged; all webhooks are asked at once.

        Raises:
            ApiError: A webhook refuses, or does not answer as it has to.
        """
        found = [(hook, matched(self._core, hook.spec, write)) for hook in self._all(VALIDATING, write)]
        asked = [self._asked(hook, kind, write, warnings, mutating=False) for hook, kind in found if kind is not None]
        if wrong := [each for each in await asyncio.gather(*asked, return_exceptions=True) if isinstance(each, BaseException)]:
            raise wrong[0]

    async def _asked(
        self, hook: _Hook, kind: Kind, write: Write, warnings: list[str], *, mutating: bool
    ) -> reviews.Answer | None:
        """What a webhook says; ``None`` where it says nothing, and is not needed."""
        if write.dry_run and hook.spec.get("sideEffects") not in _WITHOUT:
            raise BadRequest(f"admission webhook {written(hook.name)} does not support dry run")
        versions: Sequence[str] = hook.spec.get("admissionReviewVersions") or ()
        version = next((each for each in versions if each in reviews.VERSIONS), reviews.VERSIONS[0])
        uid = self._core.ids.uid()
        asked = reviews.request(write, kind)
        objects = [reviews.shown(obj, write, kind) for obj in (write.new, write.old)]
        body = reviews.review(uid, version, asked, objects[0], objects[1])
        try:
            try:
                said = await self._caller.post(hook.spec["clientConfig"], body, hook.spec.get("timeoutSeconds") or 10)
            except CallFailed as error:
                raise reviews.Unusable(f"failed to call webhook: {error}") from error
            answer = reviews.read(said, version, uid, mutating=mutating)
        except reviews.Unusable as error:
            why = f"failed calling webhook {written(hook.name)}: {error}"
            if hook.spec.get("failurePolicy") == "Ignore":
                _log.warning(
                    "a webhook failed; the write goes on, as its failurePolicy says", extra={"webhook": hook.name, "reason": why}
                )
                return None
            raise internal(why) from error
        warnings += answer.warnings
        if not answer.allowed:
            raise reviews.denied(hook.name, answer.result)
        return answer

    async def close(self) -> None:
        """Give connections up."""
        await self._caller.close()


def internal(why: str) -> ApiError:
    """The error of something beyond the request that went wrong."""
    error = ServerError(f"Internal error occurred: {why}", causes=[Cause("", why, "")])
    status: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": error.message}
    error.status = {**status, "reason": error.reason, "details": {"causes": [{"message": why}]}, "code": error.code}
    return error
