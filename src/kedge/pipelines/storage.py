"""What runs have stored, by namespace: the sizes that steps committed, added up piece by piece so that nothing waits for it."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from kedge.control.figures import Counted, Figure
from kedge.db.database import Database
from kedge.db.tables import artifacts
from kedge.kube.clock import Clock

_PIECE = 1000  # rows; one or two milliseconds
_SECONDS = 5.0
_piece = (
    select(artifacts.c.artifact_id, artifacts.c.namespace, artifacts.c.size)
    .where(artifacts.c.artifact_id > bindparam("after"))
    .order_by(artifacts.c.artifact_id)
    .limit(_PIECE)
)


@dataclass(frozen=True, slots=True)
class Held:
    """How much there is.

    Attributes:
        number: Of artifacts; those that were imported lie elsewhere and do not count.
        size: Bytes.
    """

    number: int = 0
    size: int = 0


class Storage:
    """Counts what runs have stored.

    Args:
        database: The history.
        clock: The time.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._figure: Figure[Mapping[str, Held]] = Figure("artifacts that are stored", self._count, clock, seconds=_SECONDS)

    async def held(self, namespace: str | None) -> Counted[Held] | None:
        """What a namespace holds, or all of them; ``None`` where that is not counted yet."""
        found = await self._figure.known()
        if found is None:
            return None
        chosen = [held for name, held in found.value.items() if namespace is None or name == namespace]
        return Counted(Held(sum(each.number for each in chosen), sum(each.size for each in chosen)), found.at)

    async def stop(self) -> None:
        """Count no more."""
        await self._figure.stop()

    async def _count(self) -> dict[str, Held]:
        found: dict[str, Held] = {}
        after = ""
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(_piece, {"after": after}).all()
            for _, namespace, size in rows:
                if size is not None:
                    held = found.get(namespace, Held())
                    found[namespace] = Held(held.number + 1, held.size + size)
            if len(rows) < _PIECE:
                return found
            after = rows[-1][0]
            await self._clock.sleep(0)  # others come first
