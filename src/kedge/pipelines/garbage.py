"""No garbage collection while a large tree is built.

Compiling and writing a pipeline makes many objects and drops none of them until the end. Python's collector would walk over all
of them again and again, which makes 5,000 tasks take fifteen times as long as 1,000 instead of five.
"""

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def paused() -> Generator[None]:
    """Collect nothing in this block; what was going on before goes on afterwards.

    Examples:
        >>> with paused():
        ...     gc.isenabled()
        False
        >>> gc.isenabled()
        True
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
