"""How a Python function travels in the IR: a shell line that any Kubeflow can run, and the function's source.

    command: ["sh", "-ec", SCRIPT, SOURCE]
    args:    ["--executor_input", "{{$}}", "--function_to_execute", NAME]

On Kedge the shell text is never run: `parse` recognises it and the launcher runs SOURCE. On other backends it installs what the
step needs and hands SOURCE to the runtime of the ``kfp`` package. The options stand in SCRIPT as one line of JSON, and `parse`
accepts only what `render` makes of exactly these options: a text that was edited by hand is run as it is, by the shell.

SOURCE is made of blocks, each behind a comment that says where it stands in the user's files, so that tracebacks can say so too::

    # kedge: file=pipeline.py line=12
    def train(...):
"""

from __future__ import annotations

import json
import re
from shlex import quote
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

# The runtime that other backends install. Its source is not ours; steps on Kedge never load it.
KFP_PACKAGE = "kfp==2.17.0"

HEADER = "from kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n"
ARGUMENTS = ("--executor_input", "{{$}}", "--function_to_execute")

_OPTIONS = "# kedge-step: "
_POSITION = "# kedge: "
_POSITION_LINE = re.compile(r"# kedge: file=(?P<file>.+) line=(?P<line>\d+)$")


class PythonTemplate(NamedTuple):
    """A Python step, read back from its container.

    Attributes:
        packages: Requirements to install, as pip takes them.
        index_urls: Package indexes; the first replaces the default one.
        trusted_hosts: Hosts whose certificates pip does not check.
        kfp_package: The requirement under which other backends install the ``kfp`` runtime; None to install none.
        use_venv: Whether other backends put the packages into a virtual environment of the step's own.
        function: The name of the function to call.
        source: Python, to be split with `blocks`.
    """

    packages: Tuple[str, ...]
    index_urls: Tuple[str, ...]
    trusted_hosts: Tuple[str, ...]
    kfp_package: Optional[str]
    use_venv: bool
    function: str
    source: str

    @property
    def position(self) -> Tuple[str, int]:
        """The user's file and the line of the function in it; ``("component.py", 1)`` if the source does not say."""
        found = _POSITION_LINE.match(self.source.partition("\n")[0])
        return (found.group("file"), int(found.group("line"))) if found else ("component.py", 1)


class Block(NamedTuple):
    """A piece of a step's source.

    Attributes:
        filename: The user's file, for tracebacks.
        line: The line in that file at which `text` begins, counted from 1.
        text: Python.
    """

    filename: str
    line: int
    text: str


def render(
    packages: Sequence[str] = (),
    index_urls: Sequence[str] = (),
    trusted_hosts: Sequence[str] = (),
    *,
    kfp_package: Optional[str] = KFP_PACKAGE,
    use_venv: bool = False,
) -> str:
    """The shell text that runs a Python step on any backend.

    Args:
        packages: Requirements, as pip takes them.
        index_urls: Package indexes; the first replaces the default one.
        trusted_hosts: Hosts whose certificates pip does not check.
        kfp_package: The requirement of the ``kfp`` runtime; None to install none.
        use_venv: Put the packages into a virtual environment of the step's own.
    """
    options: Dict[str, Any] = {"packages": list(packages)}
    options.update({key: list(value) for key, value in (("indexUrls", index_urls), ("trustedHosts", trusted_hosts)) if value})
    if kfp_package != KFP_PACKAGE:
        options["kfp"] = kfp_package
    if use_venv:
        options["venv"] = True
    # A JSON text has no line breaks, so that the comment cannot end early.
    lines = ["# A Python step written with Kedge, in a form that every Kubeflow backend can run.", _OPTIONS + json.dumps(options)]
    lines += ["step=$(mktemp -d)", "python=python3"]
    if use_venv:
        lines += ['python3 -m venv --system-site-packages "$step/venv"', 'python="$step/venv/bin/python3"']
    if packages or kfp_package:
        lines += ['"$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null']
        pip = '"$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore'
        pip += "".join(
            f" {'--extra-index-url' if number else '--index-url'} {quote(url)}" for number, url in enumerate(index_urls)
        )
        pip += "".join(f" --trusted-host {quote(host)}" for host in trusted_hosts)
        # The runtime alone: the rest of kfp's requirements is for clients.
        lines += [f"{pip} --no-deps {quote(kfp_package)}"] if kfp_package else []
        lines += [f"{pip} {' '.join(quote(package) for package in packages)}"] if packages else []
    lines += ['printf "%s" "$0" > "$step/component.py"']
    lines += ['_KFP_RUNTIME=true exec "$python" -m kfp.dsl.executor_main --component_module_path "$step/component.py" "$@"']
    return "\n".join(lines) + "\n"


def command(script: str, source: str) -> List[str]:
    """The container's command."""
    return ["sh", "-ec", script, source]


def arguments(function: str) -> List[str]:
    """The container's arguments."""
    return [*ARGUMENTS, function]


def parse(argv: Sequence[str], args: Sequence[str]) -> Optional[PythonTemplate]:
    """Read a Python step back from its container, or None when it is not one that `render` made.

    Examples:
        >>> step = parse(command(render(["pandas==2.2"]), "def f(): pass"), arguments("f"))
        >>> step.packages, step.function
        (('pandas==2.2',), 'f')
        >>> parse(["echo"], ["hello"]) is None
        True
    """
    if len(argv) != 4 or list(argv[:2]) != ["sh", "-ec"] or len(args) != 4 or tuple(args[:3]) != ARGUMENTS:
        return None
    script, source = argv[2:]
    line = next((line for line in script.split("\n", 3)[:2] if line.startswith(_OPTIONS)), None)
    if line is None:
        return None
    try:
        options = json.loads(line[len(_OPTIONS) :])
        template = PythonTemplate(
            tuple(options["packages"]), tuple(options.get("indexUrls", ())), tuple(options.get("trustedHosts", ())),
            options.get("kfp", KFP_PACKAGE), bool(options.get("venv", False)), args[3], source,
        )  # fmt: skip
        again = render(*template[:3], kfp_package=template.kfp_package, use_venv=template.use_venv)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return template if again == script else None


def position(filename: str, line: int) -> str:
    """The comment that says where the next line of SOURCE stands in the user's files."""
    # A file name may hold a line break; a comment may not.
    return f"{_POSITION}file={' '.join(filename.split())} line={line}\n"


def blocks(source: str) -> List[Block]:
    r"""Split a step's source at its position comments.

    Examples:
        >>> blocks("import os\n# kedge: file=pipeline.py line=7\ndef f():\n    pass\n")[1]
        Block(filename='pipeline.py', line=7, text='def f():\n    pass\n')
    """
    found: List[Block] = []
    lines: List[str] = []
    filename, first = "<step>", 1
    for number, text in enumerate(source.splitlines(keepends=True), 1):
        match = _POSITION_LINE.match(text) if text.startswith(_POSITION) else None
        if match is None:
            lines.append(text)
            continue
        if "".join(lines).strip():
            found.append(Block(filename, first, "".join(lines)))
        # The comment at the very top names the function's place for people; what follows it is the header.
        top = number == 1 and source.count("\n" + _POSITION) > 0
        filename, first, lines = ("<step>", 2, []) if top else (match.group("file"), int(match.group("line")), [])
    if "".join(lines).strip():
        found.append(Block(filename, first, "".join(lines)))
    return found


def without_positions(source: str) -> str:
    """The source without position comments: equal for a function that only moved within its file."""
    return "".join(line for line in source.splitlines(keepends=True) if not _POSITION_LINE.match(line))
