"""``python -m kedge.supervisor --dir DIR``: start the supervisor of a node directory, and return once it listens."""

import sys

from kedge.supervisor.server import serve


def main(argv: list[str]) -> int:
    """Run the command line; returns the exit code."""
    if len(argv) != 2 or argv[0] != "--dir":
        sys.stderr.write("usage: python -m kedge.supervisor --dir DIR\n")
        return 2
    return serve(argv[1])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
