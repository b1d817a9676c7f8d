"""Quantities: ``500m`` processors, ``2Gi`` of memory, as Kubernetes writes them.

Arithmetic is exact (`decimal`), because comparing requests with what a machine has must not depend on floating point.
"""

import re
from decimal import Decimal

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
    if not isinstance(text, str | int | float):
        return f"must be a quantity such as 500m, 2 or 1.5Gi, got {text!r}"
    try:
        value = parse(text)
    except ValueError as error:
        return str(error)
    return "" if value >= 0 else f"must not be negative, got {text!r}"


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
