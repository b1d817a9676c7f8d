"""A plot with parallel coordinates as shapes: one axis a quantity, one line a run. Templates draw it as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from kedge.display.results import number

_APART = 150.0  # between axes
_LEFT, _TOP, _HIGH = 90.0, 46.0, 210.0
_TICKS = 4


@dataclass(frozen=True, slots=True)
class Axis:
    """A quantity.

    Attributes:
        name: Its own.
        of: Where it is from.
        values: Of each run; ``None`` for one that has none.
    """

    name: str
    of: str
    values: tuple[float | None, ...]

    def place(self, value: float) -> float:
        """How high a value stands."""
        there = [each for each in self.values if each is not None]
        low, high = min(there), max(there)
        share = (value - low) / (high - low) if high > low else 0.5
        return _TOP + _HIGH * (1 - share)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Heights, and what stands there."""
        there = [each for each in self.values if each is not None]
        low, high = min(there), max(there)
        marks = [low + (high - low) * step / _TICKS for step in range(_TICKS + 1)]
        return [(self.place(mark), number(float(f"{mark:.4g}"))) for mark in marks]


@dataclass(frozen=True, slots=True)
class Drawn:
    """The plot.

    Attributes:
        width: Of all of it.
        height: Likewise.
        axes: Each with its place from the left.
        lines: Of each run its name and the points of its pieces: a line is broken where a run has no value.
    """

    width: float
    height: float
    axes: list[tuple[float, Axis]]
    lines: list[tuple[str, list[str]]]


def drawn(axes: Sequence[Axis], runs: Sequence[str]) -> Drawn | None:
    """Place everything; nothing where there are not two axes.

    Args:
        axes: From the left.
        runs: Their names, in the order of the axes' values.
    """
    if len(axes) < 2:
        return None
    places = [_LEFT + _APART * number for number in range(len(axes))]
    lines: list[tuple[str, list[str]]] = []
    for number_of, name in enumerate(runs):
        pieces: list[list[str]] = [[]]
        for x, axis in zip(places, axes, strict=True):
            value = axis.values[number_of]
            if value is None:
                pieces.append([])
            else:
                pieces[-1].append(f"{x:.1f},{axis.place(value):.1f}")
        lines.append((name, [" ".join(piece) for piece in pieces if len(piece) > 1]))
    return Drawn(places[-1] + _LEFT, _TOP + _HIGH + 16, list(zip(places, axes, strict=True)), lines)
