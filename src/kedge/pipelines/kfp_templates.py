"""Recognising what the ``kfp`` package compiles a Python component to, in any of its versions from 2.9 on.

    sh -c INSTALL  sh -ec PROGRAM SOURCE  --executor_input {{$}} --function_to_execute NAME

INSTALL calls pip, for the runtime of ``kfp`` and for what the user wants; it is absent when neither is wanted. It is taken apart
here and written again: what differs by one character was edited by somebody, who meant something by it, and is no such component.
Also not recognised is what means more than its parts say: options of pip, paths in an image, variables of the shell.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from kedge.dsl.template import ARGUMENTS

# The gap in it is the source code's indentation: its lines are continued inside a text.
PROGRAM = (
    "program_path=$(mktemp -d)\n\n"
    'printf "%s" "$0" > "$program_path/ephemeral_component.py"\n'
    "_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main"
    f'{" " * 25}--component_module_path{" " * 25}"$program_path/ephemeral_component.py"{" " * 25}"$@"\n'
)
_BEFORE = (
    '\nif ! [ -x "$(command -v pip)" ]; then\n'
    "    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip\n"
    "fi\n\n"
    "PIP_DISABLE_PIP_VERSION_CHECK=1 "
)
_AFTER = ' && "$0" "$@"\n'
# From 2.10 on, with ``use_venv``.
_VENV = (
    "\nexport PIP_DISABLE_PIP_VERSION_CHECK=1\n"
    "tmp=$(mktemp -d)\n"
    'python3 -m venv "$tmp/venv" --system-site-packages\n'
    '. "$tmp/venv/bin/activate"\n'
)
_PIP = "python3 -m pip install --quiet --no-warn-script-location "
_BACKPORT = 'typing-extensions>=3.7.4,<5; python_version<"3.9"'

_LITERAL = r"""(?:'[^'\\]*'|"[^"\\$`]*")"""
_CALL = re.compile(
    re.escape(_PIP) + rf"(?P<options>(?:--(?:index-url|extra-index-url|trusted-host) \S+ )*)(?P<parts>{_LITERAL}(?: {_LITERAL})*)"
)
# What a shell leaves as it is outside of quotes.
_PLAIN_URL = re.compile(r"[\w.~:/?@%+,=#-]+")
_KFP_NAME = re.compile(r"kfp(?![\w.-])", re.IGNORECASE)
_KFP_PLACE = re.compile(r"subdirectory=sdk/python\b|/kfp-[\w.]+(?:\.tar\.gz|-py3-none-any\.whl)|^kfp-[\w.]+\.(?:tar\.gz|whl)")


class KfpTemplate(NamedTuple):
    """A Python component of ``kfp``, read back from its container.

    Attributes:
        packages: Requirements of the user.
        index_urls: Package indexes; the first replaces the default one.
        trusted_hosts: Hosts whose certificates pip does not check.
        kfp: The requirement under which its runtime would be installed; empty when it would not be.
        function: The name of the function to call.
        source: Python that defines it.
    """

    packages: tuple[str, ...]
    index_urls: tuple[str, ...]
    trusted_hosts: tuple[str, ...]
    kfp: str
    function: str
    source: str


class _Install(NamedTuple):
    """INSTALL, taken apart: calls of pip in their order, each a list of words."""

    calls: tuple[tuple[str, ...], ...]
    options: str
    venv: bool


def parse(command: Sequence[str], args: Sequence[str]) -> KfpTemplate | None:
    """Take a component of ``kfp`` apart; ``None`` when it is none."""
    if len(args) != 4 or tuple(args[:3]) != ARGUMENTS:
        return None
    *before, shell, flags, program, source = command if len(command) in {4, 7} else ("",) * 4
    if (shell, flags, program) != ("sh", "-ec", PROGRAM):
        return None
    if not before:
        return KfpTemplate((), (), (), "", args[3], source)
    install = _take_apart(before[2]) if before[:2] == ["sh", "-c"] else None
    if install is None or _render(install) != before[2]:
        return None
    split, sources = _who_is_who(install.calls), _sources(install.options)
    if split is None or sources is None or not all(map(_is_requirement, split[0])):
        return None
    return KfpTemplate(tuple(split[0]), *sources, split[1], args[3], source)


def _take_apart(text: str) -> _Install | None:
    body = text.removeprefix(_BEFORE).removesuffix(_AFTER)
    found = list(_CALL.finditer(body))
    if not 1 <= len(found) <= 2 or len({call["options"] for call in found}) != 1:
        return None
    calls = tuple(tuple(part[1:-1] for part in re.findall(_LITERAL, call["parts"])) for call in found)
    return _Install(calls, found[0]["options"], _VENV in body)


def _render(install: _Install) -> str:
    """Write INSTALL as ``kfp`` does, the virtual environment right before its own requirement."""
    parts: list[str] = []
    for number, call in enumerate(install.calls):
        if number:
            parts.append(" && ")
        if install.venv and _is_kfp(call):
            parts.append(_VENV)
        parts.append(_PIP + install.options + " ".join(map(repr, call)))
    return _BEFORE + " ".join(parts) + _AFTER


def _is_kfp(call: Sequence[str]) -> bool:
    """Whether a call of pip installs the runtime: from the index, or from ``kfp_package_path``."""
    if len(call) == 3 and call[1:] == ("--no-deps", _BACKPORT):
        return call[0].startswith("kfp==")
    return (len(call) == 1 or (len(call) == 2 and call[1] == "--no-deps")) and is_kfp(call[0])


def is_kfp(requirement: str) -> bool:
    """Whether a requirement is the package ``kfp`` itself, from wherever.

    Examples:
        >>> [is_kfp(text) for text in ("kfp==2.9.0", "kfp[kubernetes]", "kfp", "kfp-kubernetes==1.4.0", "pandas")]
        [True, True, True, False, False]
    """
    return bool(_KFP_NAME.match(requirement) or _KFP_PLACE.search(requirement))


def _who_is_who(calls: tuple[tuple[str, ...], ...]) -> tuple[list[str], str] | None:
    """The user's packages and the runtime's requirement; ``None`` when it cannot be told."""
    runtime = [call for call in calls if _is_kfp(call)]
    others = [call for call in calls if not _is_kfp(call)]
    if len(others) > 1 or len(runtime) > 1:
        return None
    packages = [part for call in others for part in call]
    # Where the user names kfp among the packages, it installs no other one.
    mine = [part for part in packages if is_kfp(part)]
    return [part for part in packages if part not in mine], (runtime[0][0] if runtime else mine[0] if mine else "")


def _sources(options: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Indexes and trusted hosts of the options, which kfp writes without quotes."""
    words = options.split()
    pairs = list(zip(words[::2], words[1::2], strict=True))
    if not all(_PLAIN_URL.fullmatch(value) for _, value in pairs):
        return None
    names = [name for name, _ in pairs]
    if names != sorted(names, key=["--index-url", "--extra-index-url", "--trusted-host"].index) or names.count("--index-url") > 1:
        return None
    urls = tuple(value for name, value in pairs if name != "--trusted-host")
    # By default kfp writes the whole address of the index where pip wants a host.
    hosts = dict.fromkeys(urlsplit(value).netloc or value for name, value in pairs if name == "--trusted-host")
    return urls, tuple(hosts)


def _is_requirement(text: str) -> bool:
    """Whether it names a package: not an option of pip, and no file that only an image has."""
    is_file = "://" not in text and text.endswith((".whl", ".tar.gz", ".zip"))
    return not is_file and not text.startswith(("-", ".", "/")) and "{{$" not in text
