"""Streams of lines, cut where the sender ends them: at line feeds alone.

Text has more line ends than that. JSON leaves U+2028, U+0085 and their like as they are within strings, where a reader of lines
of text would cut a value in two; and progress bars are full of carriage returns.
"""


class Lines:
    """Gives whole lines of what arrives in pieces."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next piece.

        Returns:
            The lines that it completes, without their ends.
        """
        first, *others = data.split(b"\n")
        self._parts.append(first)
        lines: list[bytes] = []
        for other in others:
            lines.append(b"".join(self._parts))
            self._parts = [other]
        return lines

    @property
    def rest(self) -> bytes:
        """What came after the last line's end: nothing, unless the stream was cut off."""
        return b"".join(self._parts)
