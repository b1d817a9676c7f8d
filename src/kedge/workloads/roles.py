"""ClusterRoles that are put together of others: their rules follow from those that their selectors find."""

from dataclasses import dataclass
from datetime import datetime

from kedge.client.types import Client, Reader, get_or_none, pages
from kedge.control.apply import Plan, Update
from kedge.control.controller import Controller
from kedge.control.informer import Informer
from kedge.kube import selectors
from kedge.kube.clock import Clock
from kedge.kube.kinds import Obj
from kedge.kube.metadata import labels_of
from kedge.kube.roles import CLUSTER_ROLE


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        role: The role that is put together.
        others: All that there are, by name.
    """

    role: Obj
    others: tuple[Obj, ...]


class AggregatedRoles:
    """Reconciles one ClusterRole with those that its ``aggregationRule`` selects."""

    async def observe(self, reader: Reader, key: str) -> Seen | None:
        """Read the role and all others."""
        if (role := await get_or_none(reader, CLUSTER_ROLE, key)) is None:
            return None
        if not role.get("aggregationRule"):
            return None
        others = [other async for page in pages(reader, CLUSTER_ROLE) for other in page.items]
        return Seen(role, tuple(sorted(others, key=lambda each: each["metadata"]["name"])))

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """Its rules are those of the others, each once, in the order of their names."""
        del now
        wanted = seen.role["aggregationRule"].get("clusterRoleSelectors") or ()
        rules: list[Obj] = []
        for other in seen.others:
            if other["metadata"]["name"] == seen.role["metadata"]["name"]:
                continue
            if any(_selects(each, other) for each in wanted):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
        return Plan((Update(CLUSTER_ROLE, seen.role, {**seen.role, "rules": rules}),))


def _selects(selector: Obj, role: Obj) -> bool:
    return selectors.label_predicate(selectors.from_label_selector(selector))(role)


def roles_controller(client: Client, clock: Clock) -> tuple[Informer, Controller[str]]:
    """The controller of ClusterRoles, and what it follows."""
    informer = Informer(client, CLUSTER_ROLE, clock)
    controller = Controller[str].of("roles", AggregatedRoles(), client, clock)

    def keys(old: Obj | None, new: Obj | None) -> list[str]:
        if old is not None and new is not None and labels_of(old) == labels_of(new) and old.get("rules") == new.get("rules"):
            return [new["metadata"]["name"]] if old.get("aggregationRule") != new.get("aggregationRule") else []
        return [role["metadata"]["name"] for role in informer.items() if role.get("aggregationRule")]

    controller.follow(informer, keys)
    return informer, controller
