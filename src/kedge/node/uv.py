"""Calls ``uv``, which finds and installs interpreters and builds environments."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import uv

from kedge.node import programs
from kedge.node.refusals import Refusal

# What a person has set for pip is meant for any installer.
_FROM_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_NO_INDEX": "UV_NO_INDEX",
    "PIP_CERT": "SSL_CERT_FILE",
}
_UNREACHABLE = re.compile(
    r"error sending request|dns error|timed out|Could not connect|Connection (refused|reset)|Request failed after|No space left",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call went.

    Attributes:
        ok: Whether it succeeded.
        out: Standard output.
        err: Standard error, without progress.
    """

    ok: bool
    out: str
    err: str

    @property
    def is_outage(self) -> bool:
        """Whether it failed for want of a network or a disk, not because what was asked for does not exist."""
        return not self.ok and bool(_UNREACHABLE.search(self.err)) and "no solution" not in self.err.lower()


@cache  # it looks at a few places, for every step
def find() -> str:
    """The path of the program.

    Raises:
        Refusal: It is not installed.
    """
    try:
        return uv.find_uv_bin()
    except FileNotFoundError as error:
        text = "uv is not there: the environments of Python steps cannot be made. Install it beside Kedge: pip install uv."
        raise Refusal("EnvironmentFailed", text) from error


class Uv:
    """The program.

    Args:
        environ: The environment that Kedge was started with: proxies, indexes, certificates.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {
            name: value for name, value in environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "CONDA"))
        }
        for theirs, ours in _FROM_PIP.items():
            if theirs in environ:
                self._environ.setdefault(ours, environ[theirs])
        self._environ |= {"UV_NO_PROGRESS": "1", "UV_NO_CONFIG": "1", "NO_COLOR": "1"}

    async def __call__(self, *arguments: str) -> Answer:
        """Run one command to its end."""
        ended = await programs.run(find(), *arguments, environ=self._environ)
        return Answer(ended.code == 0, ended.out.strip(), ended.err.strip())
