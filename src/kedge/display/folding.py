"""What of a run is folded: groups, loops and bundles that people have opened or closed, as an address says it."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Folding:
    """What somebody has opened or closed, against what a view does by itself.

    Attributes:
        opened: Paths, in the order in which they were opened; of a loop with ``:`` and the number of a page, from 1, where it is
            not the first.
        closed: Paths.

    Examples:
        >>> folding = Folding.read("a,b.2", "c")
        >>> folding.is_open("a", default=False), folding.is_open("c", default=True), folding.is_open("d", default=True)
        (True, False, True)
        >>> folding.toggled("a", is_open=True).query()
        {'open': 'b.2', 'fold': 'c,a'}
        >>> folding.turned("a:3").page("a"), folding.page("a")
        (3, 1)
    """

    opened: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()

    @classmethod
    def read(cls, opened: str, closed: str) -> "Folding":
        """Of two texts, paths joined by commas."""
        return cls(_unique(opened.split(",")), _unique(closed.split(",")))

    def is_open(self, path: str, *, default: bool) -> bool:
        """Whether the insides of something are shown."""
        return any(_path(each) == path for each in self.opened) or (default and path not in self.closed)

    def asks(self, path: str) -> bool:
        """Whether something, or what is in it, was opened."""
        return any(_path(each) == path or each.startswith(f"{path}.") for each in self.opened)

    def page(self, path: str) -> int:
        """Which page of a loop is shown."""
        found = next((each for each in self.opened if _path(each) == path), path)
        number = found[len(path) + 1 :]
        return max(1, int(number)) if number.isascii() and number.isdigit() and len(number) < 9 else 1

    def toggled(self, path: str, *, is_open: bool) -> "Folding":
        """With one of them the other way round."""
        opened = tuple(each for each in self.opened if _path(each) != path)
        closed = tuple(each for each in self.closed if each != path)
        return Folding(opened, (*closed, path)) if is_open else Folding((*opened, path), closed)

    def turned(self, place: str) -> "Folding":
        """With a loop open at a page: its path, ``:`` and the number."""
        return Folding((*(each for each in self.opened if _path(each) != _path(place)), place), self.closed)

    def query(self) -> dict[str, str]:
        """As an address says it."""
        return {"open": ",".join(self.opened), "fold": ",".join(self.closed)}


def _unique(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path in paths if path))


def _path(opened: str) -> str:
    return opened.partition(":")[0]
