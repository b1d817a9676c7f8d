"""What of a run is folded: groups, loops and bundles that people have opened or closed, as an address says it."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Folding:
    """What somebody has opened or closed, against what a view does by itself.

    Attributes:
        opened: Paths, in the order in which they were opened.
        closed: Paths.

    Examples:
        >>> folding = Folding.read("a,b.2", "c")
        >>> folding.is_open("a", default=False), folding.is_open("c", default=True), folding.is_open("d", default=True)
        (True, False, True)
        >>> folding.toggled("a", is_open=True).query()
        {'open': 'b.2', 'fold': 'c,a'}
    """

    opened: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()

    @classmethod
    def read(cls, opened: str, closed: str) -> "Folding":
        """Of two texts, paths joined by commas."""
        return cls(_unique(opened.split(",")), _unique(closed.split(",")))

    def is_open(self, path: str, *, default: bool) -> bool:
        """Whether the insides of something are shown."""
        return path in self.opened or (default and path not in self.closed)

    def toggled(self, path: str, *, is_open: bool) -> "Folding":
        """With one of them the other way round."""
        opened = tuple(each for each in self.opened if each != path)
        closed = tuple(each for each in self.closed if each != path)
        return Folding(opened, (*closed, path)) if is_open else Folding((*opened, path), closed)

    def query(self) -> dict[str, str]:
        """As an address says it."""
        return {"open": ",".join(self.opened), "fold": ",".join(self.closed)}


def _unique(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path in paths if path))
