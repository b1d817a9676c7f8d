"""What the rules of a definition may cost, each and all together, in kube-apiserver's words."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from kedge.errors import Cause
from kedge.kube.cel.costs import UNKNOWN
from kedge.kube.cel.types import REQUEST, Kind
from kedge.kube.faults import forbidden
from kedge.kube.structural.values import Schema

PER_RULE = 10_000_000
PER_DEFINITION = 100_000_000
_NAMED = 4  # how many of the most expensive rules are named
_ADVICE = (
    "try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared"
)


@dataclass(slots=True)
class Tally:
    """What the rules of one version cost together.

    Attributes:
        kept: Whether the schema is as it was, so that no rule of it is refused for itself.
    """

    kept: bool = False
    _total: int = 0
    _dearest: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def add(self, place: str, cost: int, what: str) -> Iterator[Cause]:
        """Count an expression; refuses it where it alone costs too much.

        Args:
            place: Where it stands.
            cost: What it costs for one object.
            what: What it is called.
        """
        if cost > PER_RULE and not self.kept:
            yield forbidden(place, _told(what, cost, PER_RULE))
        self._total = min(UNKNOWN, self._total + cost)
        if cost >= PER_DEFINITION // 100:
            self._dearest = sorted([*self._dearest, (cost, place)], key=lambda each: -each[0])[:_NAMED]

    def all(self, path: str) -> Iterator[Cause]:
        """Refuse all together where they cost too much; ``path`` is that of the schema."""
        if self._total > PER_DEFINITION:
            for _, place in self._dearest:
                yield forbidden(
                    place, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
                )
            what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
            yield forbidden(path, _told(what, self._total, PER_DEFINITION))


def _told(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} ({_ADVICE})"


def repeated(cost: int, count: int | None, kind: Kind) -> int:
    """What an expression costs for one object, which may have many of its parts.

    Args:
        cost: For one part.
        count: How many there may be; ``None`` where nothing in the schema says.
        kind: The part's: no request holds more than fit into it.
    """
    return min(UNKNOWN, cost * (REQUEST // (kind.least + 1) if count is None else count))


def below(schema: Schema, count: int | None) -> int | None:
    """How often what stands in a part may be there, of which there may be ``count``."""
    most: int | None = 1
    if schema.get("type") == "array":
        most = schema.get("maxItems")
    elif schema.get("type") == "object" and "additionalProperties" in schema:
        most = schema.get("maxProperties")
    return None if count is None or most is None else min(UNKNOWN, count * max(0, int(most)))
