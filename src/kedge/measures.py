"""Counters and histograms, and how Prometheus reads them.

Each part of the host owns what it counts, as an attribute; `kedge.exposition` gives it a name. Counting is an addition, because a
step takes a few milliseconds in all. There are no threads in it, no registry, and nothing happens at import.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds for what takes milliseconds."""
LONG_SECONDS = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    900.0,
    3600.0,
    14_400.0,
    86_400.0,
)
"""Bounds for what takes milliseconds or days."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[str, ...]
Sample = tuple[str, Mapping[str, str], float]
"""What its name ends in, labels, value."""


class Counter:
    """Numbers that only grow, by the values of their labels."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[Labels, float] = {}

    def add(self, *labels: str, by: float = 1.0) -> None:
        """Count one, or more."""
        self.values[labels] = self.values.get(labels, 0.0) + by


class Histogram:
    """How often something took how long, by the values of its labels.

    Args:
        bounds: Upper bounds in rising order, in seconds.
    """

    __slots__ = ("bounds", "counts", "sums")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = tuple(bounds)
        self.counts: dict[Labels, list[int]] = {}
        self.sums: dict[Labels, float] = {}

    def observe(self, seconds: float, *labels: str) -> None:
        """Count one that took so long."""
        counts = self.counts.get(labels)
        if counts is None:
            counts = self.counts[labels] = [0] * (len(self.bounds) + 1)
            self.sums[labels] = 0.0
        counts[bisect_left(self.bounds, seconds)] += 1
        self.sums[labels] += seconds

    def named(self, *labels: str) -> "Histogram":
        """The same, with labels where it has none."""
        made = Histogram(self.bounds)
        if () in self.counts:
            made.counts[labels], made.sums[labels] = self.counts[()], self.sums[()]
        return made

    def take(self, other: "Histogram") -> None:
        """Add the labels of another, of the same bounds."""
        self.counts |= other.counts
        self.sums |= other.sums


@dataclass(frozen=True, slots=True)
class Family:
    """A metric of a name.

    Attributes:
        name: Without the ending of its samples.
        kind: Prometheus' type.
        text: What it says, in a line.
        samples: Its values.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    samples: Sequence[Sample]


def gauge(name: str, text: str, values: Sequence[tuple[Mapping[str, str], float]]) -> Family:
    """Numbers that rise and fall, each with its labels."""
    return Family(name, "gauge", text, [("", labels, value) for labels, value in values])


def counted(name: str, text: str, counter: Counter, *labels: str) -> Family:
    """A counter under a name that ends in ``_total``, and the names of its labels."""
    values = counter.values if counter.values or labels else {(): 0.0}
    return Family(name, "counter", text, [("", _labelled(labels, found), value) for found, value in values.items()])


def timed(name: str, text: str, histogram: Histogram, *labels: str) -> Family:
    """A histogram under a name that ends in its unit, and the names of its labels."""
    samples: list[Sample] = []
    for found, counts in histogram.counts.items():
        of, total = _labelled(labels, found), 0
        for bound, count in zip((*histogram.bounds, math.inf), counts, strict=True):
            total += count
            samples.append(("_bucket", {**of, "le": _number(bound)}, total))
        samples += [("_sum", of, histogram.sums[found]), ("_count", of, total)]
    return Family(name, "histogram", text, samples)


def _labelled(names: Sequence[str], values: Labels) -> dict[str, str]:
    return dict(zip(names, values, strict=True))


def text(families: Iterable[Family]) -> str:
    r"""Write families in Prometheus' text format.

    Examples:
        >>> print(text([gauge("pods", "Pods by state.", [({"state": "a\"b"}, 2)])]), end="")
        # HELP pods Pods by state.
        # TYPE pods gauge
        pods{state="a\"b"} 2
    """
    lines: list[str] = []
    for family in families:
        lines += [f"# HELP {family.name} {_escaped(family.text)}", f"# TYPE {family.name} {family.kind}"]
        for ending, labels, value in family.samples:
            said = ",".join(f'{name}="{_escaped(of, quoted=True)}"' for name, of in labels.items())
            lines.append(
                f"{family.name}{ending}{{{said}}} {_number(value)}" if said else f"{family.name}{ending} {_number(value)}"
            )
    return "".join(line + "\n" for line in lines)


def _escaped(given: str, *, quoted: bool = False) -> str:
    made = given.replace("\\", r"\\").replace("\n", r"\n")
    return made.replace('"', r"\"") if quoted else made


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1 << 53 else repr(value)
