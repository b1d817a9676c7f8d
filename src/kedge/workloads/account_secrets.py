"""Secrets of type ``kubernetes.io/service-account-token``: each gets a token of its account, and goes with the account.

They are for clients that cannot renew a token. It is bound to its Secret: deleting that takes it back.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from kedge.client.types import Client, Reader, get_or_none
from kedge.control.apply import Delete, Plan, Update
from kedge.control.controller import Controller
from kedge.control.informer import Informer
from kedge.kube.clock import Clock
from kedge.kube.configuration import ACCOUNT, ACCOUNT_UID, SERVICE_ACCOUNT_TOKEN
from kedge.kube.core import SECRET, SERVICE_ACCOUNT
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import Key, is_deleting, key_of, uid_of
from kedge.kube.service_accounts import CA_KEY
from kedge.workloads.graph import Graph

_BY_ACCOUNT = "account"


class Access(Protocol):
    """What is needed to reach the API."""

    authority: str
    """By which its certificate is known, PEM."""

    def lasting(self, account: Obj, secret: Obj, token: str) -> str:
        """The token of an account in a Secret: the one that is in it, where that is its own and still good."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision needs.

    Attributes:
        secret: The Secret.
        account: Its account; ``None`` where there is none, or another one of that name.
        token: The token that it shall have.
    """

    secret: Obj
    account: Obj | None
    token: str = ""


class AccountSecrets:
    """Reconciles one Secret of an account.

    Args:
        access: Signs.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    async def observe(self, reader: Reader, key: Key) -> Seen | None:
        """Look at a Secret and its account."""
        secret = await get_or_none(reader, SECRET, key.name, key.namespace)
        if secret is None or secret.get("type") != SERVICE_ACCOUNT_TOKEN:
            return None
        noted = secret["metadata"].get("annotations") or {}
        account = await get_or_none(reader, SERVICE_ACCOUNT, noted.get(ACCOUNT) or "", key.namespace)
        if account is None or noted.get(ACCOUNT_UID, uid_of(account)) != uid_of(account):
            return Seen(secret, None)
        token = base64.b64decode((secret.get("data") or {}).get("token") or "").decode(errors="replace")
        return Seen(secret, account, self._access.lasting(account, secret, token))

    def desire(self, seen: Seen, now: datetime) -> Plan:
        """It has what its account's clients need; without the account it goes."""
        del now
        secret, meta = seen.secret, seen.secret["metadata"]
        if is_deleting(secret):
            return Plan()
        if seen.account is None:
            return Plan((Delete(SECRET, secret),))
        wanted = {"token": seen.token, CA_KEY: self._access.authority, "namespace": meta["namespace"]}
        data = {name: base64.b64encode(text.encode()).decode() for name, text in wanted.items()}
        noted = {**(meta.get("annotations") or {}), ACCOUNT_UID: uid_of(seen.account)}
        after = {**secret, "metadata": {**meta, "annotations": noted}, "data": {**(secret.get("data") or {}), **data}}
        return Plan((Update(SECRET, secret, after),))


def account_secrets_controller(graph: Graph, client: Client, clock: Clock, access: Access) -> tuple[Informer, Controller[Key]]:
    """The controller of all such Secrets, and what it follows; run both beside the graph."""
    controller = Controller[Key].of("account secrets", AccountSecrets(access), client, clock)
    informer = Informer(client, SECRET, clock, fields=f"type={SERVICE_ACCOUNT_TOKEN}")
    informer.index(_BY_ACCOUNT, lambda secret: [_account_of(secret)])

    def keys(old: Obj | None, new: Obj | None) -> Iterable[Key]:
        del old
        return [key_of(new)] if new is not None else []

    def of_account(kind: Kind, old: Obj | None, new: Obj | None) -> None:
        account = new or old
        if account is not None and kind.resource == SERVICE_ACCOUNT.resource and (old is None or new is None):
            for secret in informer.find(_BY_ACCOUNT, key_of(account)):
                controller.queue.add(key_of(secret))

    controller.follow(informer, keys)
    graph.on_change(of_account)
    return informer, controller


def _account_of(secret: Obj) -> Key:
    noted = secret["metadata"].get("annotations") or {}
    return Key(secret["metadata"]["namespace"], noted.get(ACCOUNT) or "")
