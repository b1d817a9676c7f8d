"""ResourceQuotas: their status tells what is used."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from kedge.client.types import Client, Reader, get_or_none
from kedge.control.apply import Plan, set_status
from kedge.control.controller import Controller
from kedge.control.informer import Informer
from kedge.kube import quotas
from kedge.kube.clock import Clock
from kedge.kube.kinds import Obj
from kedge.kube.metadata import Key, key_of
from kedge.kube.requests import Amounts
from kedge.kube.resource_quotas import RESOURCE_QUOTA


class Usage(Protocol):
    """Who counts."""

    def used(self, key: Key) -> Amounts | None:
        """What is used of a quota; ``None`` where there is none."""
        ...

    def on_change(self, listener: Callable[[Key], None]) -> None:
        """Call with the key of a quota of which more or less is used than before."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        quota: The quota.
        used: What is used of it.
    """

    quota: Obj
    used: Amounts


class QuotaStatuses:
    """Reconciles the status of one ResourceQuota.

    Args:
        usage: Who counts.
    """

    def __init__(self, usage: Usage) -> None:
        self._usage = usage

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look at a quota, and what is used of it."""
        quota, used = await get_or_none(reader, RESOURCE_QUOTA, key.name, key.namespace), self._usage.used(key)
        return Seen(quota, used) if quota is not None and used is not None else None

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """The status tells it."""
        del now
        return Plan((set_status(RESOURCE_QUOTA, seen.quota, quotas.counted(seen.quota, seen.used)),))


def quotas_controller(usage: Usage, client: Client, clock: Clock) -> tuple[Informer, Controller[Key]]:
    """The controller of ResourceQuotas, and what it follows."""
    informer = Informer(client, RESOURCE_QUOTA, clock)
    controller = Controller[Key].of("quotas", QuotaStatuses(usage), client, clock)

    def keys(old: Obj | None, new: Obj | None) -> Iterable[Key]:
        del old
        return [key_of(new)] if new is not None else []

    controller.follow(informer, keys)
    usage.on_change(controller.queue.add)
    return informer, controller
