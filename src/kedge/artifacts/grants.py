"""Grants: how one Pod may move the artifacts of its own task, and no others.

For a folder store a grant is the path itself: the step reads and writes the artifact in place. For an object store it is an
address signed for one object and one hour, so that no credential ever enters a Pod; for more files, or larger ones, the step asks
again (`kedge.artifacts.transfers`), and is answered only for what `side` says is its own.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from kedge.artifacts.projects import Projects
from kedge.artifacts.transfers import File, Transfers
from kedge.artifacts.uris import REMOTE_SCHEMES, local_path, scheme
from kedge.errors import Forbidden, Invalid

Grant = dict[str, Any]
Side = Literal["inputs", "outputs"]


class Grants:
    """Makes the grants.

    Args:
        projects: Where project code lies on this machine.
        transfers: Makes addresses in object stores.
        unseen: Whether something lies at a place of this machine that steps do not see.
        archives: Where project code lies in an object store, by its digest and namespace; ``None`` where steps run on this
            machine.
    """

    def __init__(
        self,
        projects: Projects,
        transfers: Transfers,
        unseen: Callable[[Path], bool],
        archives: Callable[[str, str], str] | None = None,
    ) -> None:
        self._projects = projects
        self._archives = archives
        self._transfers = transfers
        self._unseen = unseen

    async def of(
        self, executor_input: Mapping[str, Any], project: str, digests: Mapping[str, str], namespace: str
    ) -> dict[str, Any]:
        """Make the grants of an executor input.

        Args:
            executor_input: Kubeflow's, with the address of every artifact.
            project: Digest of the project code, or ``""``.
            digests: What is known to lie at inputs' addresses; empty for what may never have been written.
            namespace: Of the step.

        Returns:
            ``{"inputs": {name: [grant]}, "outputs": …, "project": grant or None}``.

        Raises:
            Invalid: An address leaves its folder, or cannot be granted.
        """
        return {
            "inputs": await self._side(executor_input, "inputs", digests),
            "outputs": await self._side(executor_input, "outputs", {}),
            "project": await self._project(project, namespace) if project else None,
        }

    def in_place(self, executor_input: Mapping[str, Any], project: str) -> dict[str, Any] | None:
        """The same grants, with the ``user`` that they are good for, where nothing must be signed: known before anybody asks.

        Returns:
            ``None`` where an artifact lies in an object store, or cannot be granted: who asks is told why.
        """
        if self._archives is not None:
            return None
        made: dict[str, Any] = {"project": self._unpacked(project) if project else None, "user": os.geteuid()}
        for side in ("inputs", "outputs"):
            artifacts = _artifacts(executor_input, side)
            try:
                made[side] = {name: [self._in_place(one["uri"], side) for one in listed] for name, listed in artifacts.items()}
            except Invalid:
                return None
            if any(None in grants for grants in made[side].values()):
                return None
        return made

    async def _project(self, digest: str, namespace: str) -> Grant:
        if self._archives is None:
            return self._unpacked(digest)
        return await self._transfers.read(self._archives(digest, namespace), File())

    def _unpacked(self, digest: str) -> Grant:
        return {"path": str(self._projects.path(digest))}

    async def _side(self, executor_input: Mapping[str, Any], side: Side, digests: Mapping[str, str]) -> dict[str, list[Grant]]:
        made: dict[str, list[Grant]] = {}
        for name, listed in _artifacts(executor_input, side).items():
            made[name] = [await self._grant(one["uri"], side, digests) for one in listed]
        return made

    async def _grant(self, uri: str, side: Side, digests: Mapping[str, str]) -> Grant:
        if (grant := self._in_place(uri, side)) is not None:
            return grant
        if side == "outputs":
            return {"uri": uri, **await self._transfers.write(uri, File())}
        grant = {"uri": uri, **await self._transfers.read(uri, File())}
        if uri in digests:
            grant.update({"digest": digests[uri]} if digests[uri] else {"optional": True})
        return grant

    def _in_place(self, uri: str, side: Side) -> Grant | None:
        """The grant of an address that is none of an object store's.

        Raises:
            Invalid: The step would not find what lies there.
        """
        if _bare(uri):
            return {"uri": uri}
        if (path := local_path(uri)) is None:
            return None if scheme(uri) in REMOTE_SCHEMES else {"uri": uri}  # https://…, hf://…: the step's own library fetches it
        if self._archives is not None:
            raise not_here(uri)
        if side == "inputs" and self._unseen(path):
            raise Invalid(
                f"input {uri!r}: steps have a /tmp of their own and do not see the machine's. Move the file elsewhere and import "
                "it from there, or put it into the object store."
            )
        return {"uri": uri, "path": str(path)}


def not_here(uri: str) -> Invalid:
    """What to say of a file of this machine where steps run on others."""
    return Invalid(f"{uri}: is a file of one machine, which the Pods of a cluster do not see. Put it into the object store.")


def give_outputs(grants: Mapping[str, Any], user: int) -> None:
    """Make the folders of a step's outputs, in a store that is a folder, that user's: a step need not be who started Kedge.

    Nothing of another attempt lies in them, and only root can give anything away.

    Args:
        grants: What `Grants.of` made.
        user: Id of the user that the step runs as.
    """
    if os.geteuid() != 0:
        return
    for folder in {Path(one["path"]).parent for listed in grants["outputs"].values() for one in listed if "path" in one}:
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, user, -1)


def own(executor_input: Mapping[str, Any], side: Side, uri: str) -> None:
    """Check that an address is a task's own.

    Outputs that a step names itself (``get_uri``) are its own below the address at which its outputs lie.

    Raises:
        Forbidden: It is none of the task's.
    """
    known = [one["uri"] for listed in _artifacts(executor_input, side).values() for one in listed]
    if uri in known:
        return
    if side == "outputs" and ".." not in uri.split("/"):
        below = [address.rpartition("/")[0] + "/" for address in known if "://" in address]
        if any(uri.startswith(prefix) for prefix in below):
            return
    raise Forbidden(f"{uri} is none of this step's {side}. A Pod moves only its own files.")


def addresses(executor_input: Mapping[str, Any]) -> Iterator[str]:
    """The address of every artifact that a step reads or makes."""
    sides: tuple[Side, Side] = ("inputs", "outputs")
    for side in sides:
        for listed in _artifacts(executor_input, side).values():
            yield from (one["uri"] for one in listed)


def _artifacts(executor_input: Mapping[str, Any], side: Side) -> dict[str, list[Mapping[str, Any]]]:
    listed: Mapping[str, Any] = (executor_input.get(side) or {}).get("artifacts") or {}
    return {name: list(_given(value)) for name, value in listed.items()}


def _given(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from value.get("artifacts") or []


def _bare(uri: str) -> bool:
    """An address that names no place: of an artifact that was never written, or one that only the user's code understands."""
    return not uri.startswith("/") and "://" not in uri
