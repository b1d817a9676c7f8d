"""Serves what CustomResourceDefinitions say: the table of kinds follows them as they are written."""

from kedge.kube.crds import CRD
from kedge.kube.faults import forbidden
from kedge.kube.kinds import Kind, Obj
from kedge.kube.structural.kinds import kinds_of
from kedge.server import metadata
from kedge.server.core import Core, Target, Verb, copy, prefix
from kedge.store.types import Record


class Definitions:
    """Keeps the registry of a server as its definitions are.

    Args:
        core: The server; its store may hold definitions already.
    """

    def __init__(self, core: Core) -> None:
        self._registry = core.registry
        root = prefix(Target(CRD))
        for record in core.store.list(root).records:
            self._follow(record)
        core.store.subscribe(root, self._follow)

    def _follow(self, record: Record) -> None:
        name = record.key.rpartition("/")[2]
        self._registry.define(name, () if record.deleted else kinds_of(copy(record)))

    def admit(self, verb: Verb, kind: Kind, new: Obj, old: Obj | None) -> None:
        """An admission hook: a group of the host's own is not defined anew.

        Raises:
            Invalid: It would be.
        """
        del old
        if kind.resource != CRD.resource or verb != "create":
            return
        group = new["spec"]["group"]
        own = [each.kind for each in self._registry.built_in if each.group == group]
        if own:
            why = f"this host has the group {group} built in ({', '.join(own)}). It needs no definition: remove it"
            raise metadata.invalid(kind, new["metadata"]["name"], [forbidden("spec.group", why)])
