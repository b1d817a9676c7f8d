"""Applies the objects of an installation, and deletes what it has no more."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kedge.client.definitions import established
from kedge.client.http import HttpClient
from kedge.client.types import pages
from kedge.errors import AlreadyExists, Forbidden, KedgeError, NotFound, StateError
from kedge.kube.core import NAMESPACE
from kedge.kube.crds import CRD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import INSTALLED_LABEL
from kedge.kube.reviews import SELF_SUBJECT_ACCESS_REVIEW
from kedge.manifests import kinds
from kedge.manifests.hub import NAME
from kedge.manifests.kinds import kind_of

MANAGER = "kedge"
"""Whose fields they are, for server-side apply."""
Say = Callable[[str], None]
"""Tells the user of progress."""


@dataclass(frozen=True, slots=True)
class Right:
    """Something that somebody must be allowed to do.

    Attributes:
        verb: Kubernetes'.
        kind: With what.
        namespace: Where; ``""`` for the whole cluster.
    """

    verb: str
    kind: Kind
    namespace: str = ""

    def __str__(self) -> str:
        """In words."""
        return f"{self.verb} {self.kind.resource} {f'in namespace {self.namespace}' if self.namespace else 'in the cluster'}"


def place(obj: Obj) -> str:
    """What an object is called in messages."""
    meta = obj["metadata"]
    return f"{obj['kind']} {meta['namespace']}/{meta['name']}" if meta.get("namespace") else f"{obj['kind']} {meta['name']}"


async def check_rights(client: HttpClient, wanted: Iterable[Right], command: str) -> None:
    """See that we may do all of it, before anything is done.

    Raises:
        Forbidden: Names every right that is missing.
    """
    asked = list(dict.fromkeys(wanted))
    missing = [
        right
        for right, allowed in zip(asked, await asyncio.gather(*(_may(client, one) for one in asked)), strict=True)
        if not allowed
    ]
    if missing:
        raise Forbidden(
            f"{command}: these rights are missing: {'; '.join(map(str, missing))}. Ask an administrator of the cluster for them"
            ", or to run this command; kedge install --dry-run --output yaml writes the objects for somebody else to apply."
        )


async def _may(client: HttpClient, right: Right) -> bool:
    attributes = {"verb": right.verb, "group": right.kind.group, "resource": right.kind.plural}
    if right.namespace:
        attributes["namespace"] = right.namespace
    review = {"metadata": {}, "spec": {"resourceAttributes": attributes}}
    answer = await client.create(SELF_SUBJECT_ACCESS_REVIEW, review)
    return (answer.get("status") or {}).get("allowed") is True


def rights_to_apply(objects: Iterable[Obj]) -> list[Right]:
    """What must be allowed to apply objects."""
    return [
        Right(verb, kind_of(obj), obj["metadata"].get("namespace", "")) for obj in objects for verb in ("get", "create", "patch")
    ]


async def apply(client: HttpClient, objects: Sequence[Obj], say: Say) -> None:
    """Apply objects in their order; says which are new or changed.

    Raises:
        StateError: One is there already and none of ours; nothing was written.
        KedgeError: What the API server said, of which object.
    """
    before = [await _found(client, obj) for obj in objects]
    for obj, found in zip(objects, before, strict=True):
        _refuse_foreign(obj, found)
    for obj, found in zip(objects, before, strict=True):
        try:
            made = await client.apply(kind_of(obj), obj, manager=MANAGER)
        except Forbidden as error:
            raise Forbidden(f"{place(obj)}: {error.message}{_escalation(error)}") from error
        except KedgeError as error:
            raise StateError(f"{place(obj)}: cannot be applied: {error}") from error
        if obj["kind"] == CRD.kind:
            await established(client, made)
        if found is None:
            say(f"{place(obj)} created")
        elif found["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]:
            say(f"{place(obj)} changed")


def _escalation(error: Forbidden) -> str:
    if "escalat" not in error.message and "not currently held" not in error.message:
        return ""
    return " Who grants rights must have them: run this as an administrator of the cluster."


def _refuse_foreign(obj: Obj, found: Obj | None) -> None:
    if found is None or obj["kind"] == CRD.kind:
        return
    labels = found["metadata"].get("labels") or {}
    wanted = obj["metadata"]["labels"]
    if labels.get(INSTALLED_LABEL) != wanted[INSTALLED_LABEL]:
        whose = (
            f"belongs to the Kedge of namespace {labels[INSTALLED_LABEL]}" if INSTALLED_LABEL in labels else "is none of Kedge's"
        )
        more = ", or leave the alias out with --no-alias" if obj["kind"] == "Service" and obj["metadata"]["name"] != NAME else ""
        raise StateError(f"{place(obj)} is there already and {whose}. Install into another namespace{more}.")
    manager = labels.get("app.kubernetes.io/managed-by")
    if manager != NAME:
        raise StateError(f"{place(obj)} is managed by {manager}. Change it by that, or uninstall it there first.")


async def _found(client: HttpClient, obj: Obj) -> Obj | None:
    try:
        return await client.get(kind_of(obj), obj["metadata"]["name"], obj["metadata"].get("namespace"))
    except NotFound:
        return None


async def ensure_namespaces(client: HttpClient, names: Iterable[str], *, create: bool, say: Say) -> None:
    """See that namespaces are there.

    Args:
        client: Speaks to the cluster.
        names: Theirs.
        create: Make what is missing.
        say: Tells of it.

    Raises:
        StateError: One is missing.
    """
    for name in names:
        try:
            await client.get(NAMESPACE, name)
        except Forbidden:
            continue  # an administrator of namespaces alone: what is applied there will tell
        except NotFound:
            if not create:
                raise StateError(
                    f"namespace {name!r} is not there. Make it (kubectl create namespace {name}), or give --create-namespace."
                ) from None
            try:
                await client.create(NAMESPACE, {"metadata": {"name": name}})
                say(f"Namespace {name} created")
            except AlreadyExists:
                pass


async def owned(client: HttpClient, namespace: str, places: Sequence[str]) -> list[tuple[Kind, Obj]]:
    """What there is of an installation, but for what holds data.

    Args:
        client: Speaks to the cluster.
        namespace: The hub's.
        places: Namespaces where it may have something.
    """
    found: list[tuple[Kind, Obj]] = []
    label = f"{INSTALLED_LABEL}={namespace}"
    for kind in kinds.PRUNED:
        for where in places if kind.namespaced else (None,):
            try:
                async for page in pages(client, kind, where, labels=label):
                    found += [(kind, obj) for obj in page.items]
            except Forbidden:
                if kind.namespaced:
                    raise
                # Who may not look at the cluster's roles has made none.
    return found


async def prune(client: HttpClient, wanted: Sequence[Obj], there: Iterable[tuple[Kind, Obj]], say: Say) -> None:
    """Delete what an installation has no more."""
    kept = {place(obj) for obj in wanted}
    for kind, obj in there:
        if place(obj) not in kept:
            await delete(client, kind, obj, say)


async def delete(client: HttpClient, kind: Kind, obj: Obj, say: Say) -> None:
    """Delete an object, this very one; that it is gone already is right too."""
    meta = obj["metadata"]
    try:
        await client.delete(kind, meta["name"], meta.get("namespace"), uid=meta["uid"])
    except NotFound:
        return
    say(f"{place(obj)} deleted")
