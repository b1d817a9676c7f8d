"""Ports for servers of other programs, which take theirs as a number."""

from kedge.server.listen import Listeners


def free_port(address: str = "127.0.0.1") -> int:
    """One that nobody has, nor gets by chance until the server has it, or while it is down: no connection comes from there."""
    found = Listeners(https=None, address=address)
    try:
        return found.open().http
    finally:
        found.close()
