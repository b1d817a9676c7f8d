"""``pip`` and ``uv`` inside a command line that is run to the letter: they leave out ``kfp`` and install the rest for real.

The runtime of ``kfp`` is the launcher's own there, so a shell line that installs it needs no network for that.
"""

import os
import re
import sys
from typing import List, Optional

_HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_KFP = re.compile(r"kfp(?![\w.-])|.*(subdirectory=sdk/python\b|(^|/)kfp-[\w.]+(\.tar\.gz|-py3-none-any\.whl)$)", re.IGNORECASE)
# What kfp's own line has beside it: empty on every Python but 3.8, where the launcher does without.
_BACKPORT = 'typing-extensions>=3.7.4,<5; python_version<"3.9"'
_WITH_VALUE = {
    "-i", "--index-url", "--extra-index-url", "--trusted-host", "-f", "--find-links", "-t", "--target", "--prefix", "--root",
    "--python", "-p", "--cache-dir", "--timeout", "--retries", "--proxy", "--cert", "--client-cert", "--log", "--progress-bar",
    "--root-user-action", "--platform", "--python-version", "--implementation", "--abi", "--src", "--upgrade-strategy",
    "--no-binary", "--only-binary", "--index", "--default-index", "--index-strategy",
}  # fmt: skip
_FILES = ("-r", "--requirement", "-e", "--editable", "-c", "--constraint")


def pip(argv: Optional[List[str]] = None) -> int:
    """``pip``; returns the exit code, if there is nothing to be done."""
    words = without_kfp(sys.argv[1:] if argv is None else argv)
    if words is None:
        return 0
    _leave()
    import runpy

    sys.argv[1:] = words
    try:
        runpy.run_module("pip", run_name="__main__", alter_sys=True)
    except ImportError as error:
        print(f"kedge: this step's Python has no pip: {error}. Name the packages in packages_to_install.", file=sys.stderr)
        return 1
    return 0


def uv() -> int:
    """``uv``; returns only when there is nothing to be done, or no such program."""
    words = without_kfp(sys.argv[1:])
    if words is None:
        return 0
    _leave()
    import shutil

    program = shutil.which("uv") or os.environ.get("KEDGE_UV")
    if program is None:
        print("kedge: uv: not found on this machine. Call pip, or name the packages in packages_to_install.", file=sys.stderr)
        return 127
    os.execv(program, ["uv", *words])  # noqa: S606  # the user's own call
    return 0


def venv() -> int:
    """``python3 -m venv``: with the packages of the system, those of the step's own environment are meant."""
    import sysconfig
    from venv import main

    words = [word for word in sys.argv[1:] if word != "--system-site-packages"]
    main(words)
    if len(words) < len(sys.argv) - 1:
        for place in words:
            packages = sysconfig.get_path("purelib", vars={"base": os.path.abspath(place)})
            if not place.startswith("-") and os.path.isdir(packages):
                with open(os.path.join(packages, "step.pth"), "w", encoding="utf-8") as file:
                    file.write(sysconfig.get_path("purelib") + "\n")
    return 0


def without_kfp(words: List[str]) -> Optional[List[str]]:
    """The words of a call without ``kfp``; None when nothing is left to install.

    Examples:
        >>> without_kfp(["install", "--quiet", "kfp==2.9.0", "--no-deps"]) is None
        True
        >>> without_kfp(["install", "-i", "https://i", "kfp", "pandas"])
        ['install', '-i', 'https://i', 'pandas']
        >>> without_kfp(["--version"])
        ['--version']
    """
    if "install" not in words or os.environ.get("KEDGE_KFP_RUNTIME") == "installed":
        return words
    kept: List[str] = []
    wanted, dropped, is_value = 0, 0, False
    for word in words:
        is_requirement = not is_value and not word.startswith("-") and word not in ("install", "pip")
        is_value = not is_value and word in _WITH_VALUE
        if is_requirement and (_KFP.match(word) or (dropped and word == _BACKPORT)):
            dropped += 1
            continue
        wanted += is_requirement or word.startswith(_FILES)
        kept.append(word)
    return kept if wanted or not dropped else None


def _leave() -> None:
    """Let the real programs be found, by this process and by those that it starts."""
    own = (_HERE, os.path.join(_HERE, "shell"), os.path.join(_HERE, "shell", "bin"))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") not in own]
    for variable in ("PYTHONPATH", "PATH"):
        kept = [path for path in os.environ.get(variable, "").split(os.pathsep) if path and path not in own]
        os.environ.pop(variable, None)
        if kept:
            os.environ[variable] = os.pathsep.join(kept)
    for name in [name for name in sys.modules if name == "pip" or name.startswith("pip.")]:
        del sys.modules[name]
