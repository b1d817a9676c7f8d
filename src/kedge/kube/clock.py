"""Time, randomness and ids: the only module that asks the machine for them.

Everything else takes a `Clock` and an `Ids`, so that tests decide what time it is and two runs of one test name things alike.
"""

import asyncio
import random
import time
import uuid
from datetime import UTC, datetime
from typing import Protocol

from kedge.kube.names import SUFFIX_ALPHABET


class Clock(Protocol):
    """What time it is, and waiting."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back. For durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait, letting others run."""
        ...


class Ids(Protocol):
    """Names and numbers that nobody else has."""

    def uid(self) -> str:
        """A random UUID, as Kubernetes uses for ``metadata.uid``."""
        ...

    def suffix(self, length: int = 5) -> str:
        """Random letters and digits as ``generateName`` appends them."""
        ...

    def token(self, size: int = 32) -> str:
        """A secret of ``size`` random bytes, URL-safe."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait, letting others run."""
        await asyncio.sleep(seconds)


class SystemIds:
    """Ids from the operating system's random source."""

    def uid(self) -> str:
        """A random UUID."""
        return str(uuid.uuid4())

    def suffix(self, length: int = 5) -> str:
        """Random letters and digits as ``generateName`` appends them."""
        return "".join(random.SystemRandom().choices(SUFFIX_ALPHABET, k=length))

    def token(self, size: int = 32) -> str:
        """A secret of ``size`` random bytes, URL-safe."""
        import secrets  # noqa: PLC0415  # pulls in hmac and base64, wanted only where a secret is made

        return secrets.token_urlsafe(size)


def timestamp(moment: datetime) -> str:
    """Write a time as Kubernetes' ``Time`` does: RFC 3339, UTC, whole seconds.

    Examples:
        >>> timestamp(datetime(2026, 11, 23, 9, 5, 7, 250_000, tzinfo=UTC))
        '2026-11-23T09:05:07Z'
    """
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"


def micro_timestamp(moment: datetime) -> str:
    """Write a time as Kubernetes' ``MicroTime`` does: RFC 3339, UTC, microseconds.

    Examples:
        >>> micro_timestamp(datetime(2026, 11, 23, 9, 5, 7, 250_000, tzinfo=UTC))
        '2026-11-23T09:05:07.250000Z'
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def parse_timestamp(text: str) -> datetime:
    """Read either form back.

    Raises:
        ValueError: The text is not RFC 3339.

    Examples:
        >>> parse_timestamp("2026-11-23T09:05:07Z")
        datetime.datetime(2026, 11, 23, 9, 5, 7, tzinfo=datetime.timezone.utc)
    """
    return datetime.fromisoformat(text).astimezone(UTC)
