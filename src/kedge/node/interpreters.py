"""Finds the interpreter of a version, or has it installed.

An exact version is kept exactly, as in a container: another patch release of it is never taken in silence.
"""

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
            path = await self._here(version)
            if path is None:
                path = await self._installed(version)
            self._found[version] = path
            return path

    async def _here(self, version: str) -> str | None:
        """An interpreter of this machine."""
        if (path := self.known(version) or next(self._of_pyenv(version), None)) is not None:
            return path
        answer = await self._uv("python", "find", "--no-project", "--system", version, "--no-python-downloads")
        if not answer.ok or not answer.out:
            return None
        return await asyncio.to_thread(os.path.realpath, answer.out.splitlines()[-1])

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

    async def _installed(self, version: str) -> str:
        """Have it installed.

        Raises:
            Refusal: It cannot be.
        """
        answer = await self._uv("python", "install", version)
        if answer.ok and (path := await self._here(version)) is not None:
            return path
        reason = "EnvironmentUnavailable" if answer.is_outage else "EnvironmentFailed"
        text = f"Python {version} is not on this machine and could not be installed: {answer.err}"
        fix = f"Install it (pyenv install {version}, or your system's package), or use an image of a version that is here."
        minor, _, _ = version.rpartition(".")
        if "." in minor and (other := await self._here(minor)) is not None:
            fix += (
                f"\nAnother Python {minor} is here ({other}): python:{minor} runs under it. So does python:{version}, "
                f'if you write {{"python": {{"python:{version}": "{minor}"}}}} to images.json in the data '
                "directory and start the host again."
            )
        raise Refusal(reason, f"{text}\n{fix}")


def _fits(version: str, numbers: tuple[int, ...]) -> bool:
    """Whether an interpreter is of a version.

    Examples:
        >>> _fits("3.12", (3, 12, 1)), _fits("3", (3, 12, 1)), _fits("3.12.2", (3, 12, 1)), _fits("3.1", (3, 12, 1))
        (True, True, False, False)
    """
    wanted = tuple(map(int, version.split(".")))
    return numbers[: len(wanted)] == wanted
