"""Quantities: ``500m`` processors, ``2Gi`` of memory, as Kubernetes writes them.

Arithmetic is exact (`decimal`), because comparing requests with what a machine has must not depend on floating point.
"""

import re
from decimal import Decimal
from typing import NamedTuple

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,2})|([KMGTPE]i|[numkMGTPE]))?", re.ASCII)
_BINARY = {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(1000)} | {
    letter: Decimal(1000) ** power for power, letter in enumerate("MGTPE", start=2)
}
_SCALE = _BINARY | _DECIMAL
_MAX_LENGTH = 64  # no number that means something is longer; a million digits would only be slow


def parse(text: str | float) -> Decimal:
    """Read a quantity.

    Args:
        text: As in ``resources.requests``; YAML may also have made it a number.

    Returns:
        Processors, bytes or pieces.

    Raises:
        ValueError: It is no quantity; the message says what one looks like.

    Examples:
        >>> parse("500m")
        Decimal('0.500')
        >>> parse("2Ki")
        Decimal('2048')
    """
    plain = str(text).strip()
    match = _QUANTITY.fullmatch(plain) if len(plain) <= _MAX_LENGTH else None
    if match is None or isinstance(text, bool):
        raise ValueError(f"must be a quantity such as 500m, 2 or 1.5Gi, got {text!r}")
    number, exponent, suffix = match.groups()
    value = Decimal(number + (exponent or ""))
    return value * _SCALE[suffix] if suffix else value


def fault(text: object) -> str:
    """Say why a value is no quantity for a resource, or ``""`` when it is one.

    Examples:
        >>> fault("lots")
        "must be a quantity such as 500m, 2 or 1.5Gi, got 'lots'"
    """
    return unreadable(text) or ("" if parse(text) >= 0 else f"must not be negative, got {text!r}")  # pyright: ignore[reportArgumentType]  # it was read


def unreadable(text: object) -> str:
    """Say why a value is no quantity at all, or ``""`` when it is one.

    Args:
        text: As it stands in JSON.
    """
    if not isinstance(text, str | int | float):
        return f"must be a quantity such as 500m, 2 or 1.5Gi, got {text!r}"
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return ""


def cpu(text: str | float) -> float:
    """Processors as a number.

    Examples:
        >>> cpu("250m")
        0.25
    """
    return float(parse(text))


def memory(text: str | float) -> int:
    """Bytes, rounded up.

    Examples:
        >>> memory("1.5Ki")
        1536
    """
    return -int(-parse(text) // 1)


def render_cpu(processors: float) -> str:
    """Write processors in their usual form.

    Examples:
        >>> render_cpu(0.25), render_cpu(2.0)
        ('250m', '2')
    """
    thousandths = round(processors * 1000)
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def render_memory(size: int) -> str:
    """Write bytes in the largest binary unit that divides them.

    Examples:
        >>> render_memory(64 << 20), render_memory(1000)
        ('64Mi', '1000')
    """
    for suffix, scale in reversed(_BINARY.items()):
        if size and size % int(scale) == 0:
            return f"{size // int(scale)}{suffix}"
    return str(size)


def render(value: Decimal, *, binary: bool = False) -> str:
    """Write any amount in its shortest usual form.

    Args:
        value: The amount.
        binary: Whether it is counted in powers of 1,024, as memory is.

    Examples:
        >>> render(Decimal("0.5")), render(Decimal(2)), render(Decimal(2 << 20), binary=True)
        ('500m', '2', '2Mi')
    """
    if value != value.to_integral_value():
        return f"{int((value * 1000).to_integral_value('ROUND_CEILING'))}m"
    return render_memory(int(value)) if binary else str(int(value))


_STEPS = {3 * power: letter for power, letter in enumerate(("n", "u", "m", "", "k", *"MGTPE"), start=-3)}


class Amount(NamedTuple):
    """An amount, and how it is written.

    Attributes:
        value: The number.
        binary: Whether in powers of 1,024, as somebody has written it.

    Examples:
        >>> str(Amount.of("1536Mi")), str(Amount.of("0.25")), str(Amount.of("2000M"))
        ('1536Mi', '250m', '2G')
        >>> str(Amount.of(0) + Amount.of("1Gi") + Amount.of("512Mi"))
        '1536Mi'
    """

    value: Decimal
    binary: bool = False

    @classmethod
    def of(cls, text: str | float) -> "Amount":
        """Read a quantity; raises as `parse`."""
        return cls(parse(text), binary=str(text).strip().endswith("i"))

    def __add__(self, other: "Amount") -> "Amount":  # pyright: ignore[reportIncompatibleMethodOverride]  # amounts add up
        """The sum, written as the first of the two that is anything."""
        return Amount(self.value + other.value, (self if self.value else other).binary)

    def __neg__(self) -> "Amount":
        """What undoes an addition."""
        return Amount(-self.value, self.binary)

    def __str__(self) -> str:
        """As Kubernetes writes it: the largest unit that leaves a whole number."""
        value = self.value
        if self.binary and abs(value) >= 1024:
            return render_memory(int(value.to_integral_value("ROUND_CEILING")))
        if not value:
            return "0"
        for power in sorted(_STEPS, reverse=True):
            scaled = value.scaleb(-power)
            if scaled == scaled.to_integral_value():
                return f"{int(scaled)}{_STEPS[power]}"
        return f"{int(value.scaleb(9).to_integral_value('ROUND_CEILING'))}n"


def canonical(text: str | float) -> str:
    """A quantity as Kubernetes writes it, whoever has written it how.

    Raises:
        ValueError: As of `parse`.

    Examples:
        >>> [canonical(text) for text in (0.5, "1024Mi", "1000m", "0.5Ki", 4000, "1.5e3", "12E6")]
        ['500m', '1Gi', '1', '512', '4k', '1500', '12e6']
    """
    amount = Amount.of(text)
    match = _QUANTITY.fullmatch(text.strip()) if isinstance(text, str) else None
    written = str(amount)
    if match is None or not match[2] or not written[-1].isalpha():
        return written
    power = next(power for power, letter in _STEPS.items() if letter == written[-1])
    return f"{written[:-1]}e{power}"  # in powers of ten, as somebody has written it
