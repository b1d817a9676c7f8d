"""Ids that follow from what they name, so that a restart gives the same ones."""

import uuid

# The namespace of all ids that are functions of what they name.
_IDS = uuid.UUID("5f0c7d4e-95a2-4b43-9c3e-6b1f0f6b6c5a")


def derived_id(*parts: str | int) -> str:
    """An id that is a function of its parts.

    Examples:
        >>> derived_id("run", "task", 0) == derived_id("run", "task", 0)
        True
    """
    return str(uuid.uuid5(_IDS, "\0".join(map(str, parts))))
