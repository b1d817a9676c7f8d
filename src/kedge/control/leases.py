"""Leader election by a Lease, as ``client-go`` does it: of several processes one works, and the others wait for it to stop.

The times are Kubernetes' own. Who leads renews every 2 seconds, and stops when it has not been able to for 10; who waits takes
over when the Lease has not changed for 15 seconds of its own clock, so clocks need not agree. `Fenced` is the client that a
leader works with: it writes nothing after those 10 seconds, however the process was held up in between.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from kedge.client.forwarding import ForwardingClient
from kedge.client.types import Client
from kedge.errors import AlreadyExists, ApiError, Conflict, NotFound, StateError, Unavailable
from kedge.kube.clock import Clock, micro_timestamp
from kedge.kube.core import LEASE
from kedge.kube.kinds import Obj

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """How long what takes, in seconds.

    Attributes:
        duration: After which an unchanged Lease is free.
        deadline: After which a leader that could not renew stops; shorter than `duration`.
        retry: Between tries.
    """

    duration: float = 15.0
    deadline: float = 10.0
    retry: float = 2.0


class Election:
    """One process's part in an election.

    Args:
        client: Reads and writes the Lease.
        clock: For waiting.
        name: The Lease's.
        namespace: Its namespace.
        identity: Ours; another one for each process.
        terms: The times.
    """

    def __init__(self, client: Client, clock: Clock, name: tuple[str, str], identity: str, terms: Terms | None = None) -> None:
        self._client = client
        self._clock = clock
        self._namespace, self._name = name
        self._identity = identity
        self._terms = terms or Terms()
        self._seen: tuple[str, float] | None = None
        self._until = float("-inf")
        self._holder = ""

    @property
    def holder(self) -> str:
        """Who led when we last looked; ``""`` for nobody."""
        return self._holder

    def leads(self) -> bool:
        """Whether we may write: the Lease is ours, and nobody can have taken it yet."""
        return self._clock.monotonic() < self._until

    async def acquire(self) -> None:
        """Wait until we lead."""
        while not await self._try():
            await self._clock.sleep(self._terms.retry)
        _log.info("leads", extra={"lease": f"{self._namespace}/{self._name}", "identity": self._identity})

    async def keep(self) -> NoReturn:
        """Go on leading, until that is not possible any more.

        Raises:
            StateError: We do not lead any more: end, so that nothing of before is left.
        """
        while True:
            await self._clock.sleep(self._terms.retry)
            left = self._until - self._clock.monotonic()
            kept = False
            if left > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        kept = await self._try()
            if not kept and (not self.leads() or self._holder != self._identity):
                self._until = float("-inf")
                why = "could not be renewed" if self._holder == self._identity else f"is held by {self._holder or 'nobody'}"
                raise StateError(
                    f"Lease {self._namespace}/{self._name}: {why}: this hub ({self._identity}) works no more. It begins anew, "
                    "and waits for its turn."
                )

    async def release(self) -> None:
        """Let somebody else lead at once; harmless when we do not."""
        if not self.leads():
            return
        self._until = float("-inf")
        with suppress(ApiError):
            lease = await self._client.get(LEASE, self._name, self._namespace)
            if lease["spec"].get("holderIdentity") == self._identity:
                spec = lease["spec"] | {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._now()}
                await self._client.update(LEASE, lease | {"spec": spec})

    async def _try(self) -> bool:
        """Take the Lease, or renew it."""
        asked = self._clock.monotonic()
        try:
            await self._write()
        except ApiError as error:
            if not isinstance(error, Conflict):
                _log.warning("the Lease cannot be read or written", extra={"why": str(error)})
            return False
        if self._holder != self._identity:
            return False
        self._until = asked + self._terms.deadline
        return True

    async def _write(self) -> None:
        try:
            lease = await self._client.get(LEASE, self._name, self._namespace)
        except NotFound:
            metadata = {"name": self._name, "namespace": self._namespace}
            with suppress(AlreadyExists):
                await self._client.create(LEASE, {"metadata": metadata, "spec": self._spec(0) | {"acquireTime": self._now()}})
                self._holder = self._identity
            return
        spec: Obj = lease.get("spec") or {}
        self._holder = spec.get("holderIdentity") or ""
        version = lease["metadata"]["resourceVersion"]
        now = self._clock.monotonic()
        if self._seen is None or self._seen[0] != version:
            self._seen = version, now
        if self._holder not in {"", self._identity} and now < self._seen[1] + self._terms.duration:
            return
        ours: Obj = self._spec(int(spec.get("leaseTransitions") or 0))
        if self._holder == self._identity:
            ours["acquireTime"] = spec.get("acquireTime") or self._now()
        else:
            ours |= {"acquireTime": self._now(), "leaseTransitions": ours["leaseTransitions"] + 1}
        await self._client.update(LEASE, lease | {"spec": ours})
        self._holder = self._identity

    def _spec(self, transitions: int) -> Obj:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._terms.duration),
            "renewTime": self._now(),
            "leaseTransitions": transitions,
        }

    def _now(self) -> str:
        return micro_timestamp(self._clock.now())


class Fenced(ForwardingClient):
    """`kedge.client.types.Client` that writes only while we lead.

    Args:
        client: Does the work.
        election: Says whether we do.
    """

    def __init__(self, client: Client, election: Election) -> None:
        super().__init__(client)
        self._election = election

    def before_write(self) -> None:
        """Raise `errors.Unavailable` where another one may lead already."""
        if not self._election.leads():
            raise Unavailable("this hub does not lead any more, and writes nothing: another one may work already.")
