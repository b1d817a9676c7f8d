"""Finds the interpreter of a version, or has it installed."""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from kedge.node.refusals import Refusal
from kedge.node.uv import Uv


class Interpreters:
    """Interpreters by version; each is looked for once.

    Args:
        uv: Looks where this module does not, and installs.
        environ: ``PATH``, ``PYENV_ROOT``.
    """

    def __init__(self, uv: Uv, environ: Mapping[str, str]) -> None:
        self._uv = uv
        self._environ = environ
        self._found: dict[str, str] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def known(self, version: str) -> str | None:
        """The interpreter of a version, if it has been found already."""
        if version not in self._found and _fits(version, sys.version_info[:3]):
            self._found[version] = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        return self._found.get(version)

    async def find(self, version: str) -> str:
        """The path of an interpreter.

        Args:
            version: ``3``, ``3.12`` or ``3.12.1``.

        Raises:
            Refusal: There is none, and none can be installed.
        """
        async with self._locks.setdefault(version, asyncio.Lock()):
            path = self.known(version) or next(self._of_pyenv(version), None)
            if path is None:
                path = await self._by_uv(version)
            self._found[version] = path
            return path

    def _of_pyenv(self, version: str) -> Iterator[str]:
        root = Path(self._environ.get("PYENV_ROOT") or Path(self._environ.get("HOME", "/")) / ".pyenv") / "versions"
        found: list[tuple[tuple[int, ...], str]] = []
        for directory in root.iterdir() if root.is_dir() else ():
            parts = directory.name.split(".")
            python = directory / "bin" / "python3"
            if all(part.isdecimal() for part in parts) and len(parts) == 3 and python.exists():
                numbers = tuple(map(int, parts))
                if _fits(version, numbers):
                    found.append((numbers, os.path.realpath(python)))
        return (path for _, path in sorted(found, reverse=True))

    async def _by_uv(self, version: str) -> str:
        wanted = ("python", "find", "--no-project", "--system", version)
        answer = await self._uv(*wanted, "--no-python-downloads")
        if not answer.ok:
            installed = await self._uv("python", "install", version)
            answer = await self._uv(*wanted, "--no-python-downloads") if installed.ok else installed
        if not answer.ok or not answer.out:
            reason = "EnvironmentUnavailable" if answer.is_outage else "EnvironmentFailed"
            text = f"Python {version} is not on this machine and could not be installed: {answer.err}"
            fix = f"Install it (pyenv install {version}, or your system's package), or use an image of a version that is here."
            raise Refusal(reason, f"{text}\n{fix}")
        return await asyncio.to_thread(os.path.realpath, answer.out.splitlines()[-1])


def _fits(version: str, numbers: tuple[int, ...]) -> bool:
    """Whether an interpreter is of a version.

    Examples:
        >>> _fits("3.12", (3, 12, 1)), _fits("3", (3, 12, 1)), _fits("3.12.2", (3, 12, 1)), _fits("3.1", (3, 12, 1))
        (True, True, False, False)
    """
    wanted = tuple(map(int, version.split(".")))
    return numbers[: len(wanted)] == wanted
