"""The blocks of code of the documentation, and how those of a page are run: in order, in one process, in one folder.

Run as a program, it reads the blocks and the data directory as JSON from standard input, and runs them.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "docs" / "not_run.toml"
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w-]+\.py)\b")
# Words of the documentation that stand for a name -> how a shell asks for it.
_FIRST = "import json, sys; print(json.load(sys.stdin)[0]['artifact_id'])"
_NAMES = {"ARTIFACT": f'$(kedge artifacts list --limit 1 --output json | python3 -c "{_FIRST}")'}


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        page: Its page's path in the repository.
        line: Where it begins.
        language: What it says that it is.
        text: What it has.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def typed(self) -> list[tuple[str, str]]:
        """Of a console: what was typed, each with what it is said to print (``""`` where nothing is said)."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        parts = re.split(r"^\$ ", joined, flags=re.MULTILINE)[1:]
        return [(command, output.strip("\n")) for command, _, output in (part.partition("\n") for part in parts)]

    @property
    def commands(self) -> list[str]:
        """Of a console: what is run. `kubectl` has a test of its own (test_documented_kubectl.py)."""
        return [command for command, _ in self.typed if not command.startswith("kubectl ")]


@dataclass(frozen=True)
class NotRun:
    """An entry of the list of blocks that are not run.

    Attributes:
        page: Its page's path in the repository.
        starts: How its text begins.
        why: The reason, which readers see.
    """

    page: str
    starts: str
    why: str


def pages() -> list[str]:
    """The pages for users, by their path in the repository."""
    return ["README.md", *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md")))]


def more_pages() -> list[str]:
    """Pages for those who work on Kedge, and of examples. Their code is read, and its commands are held against the real ones."""
    folders = ROOT.glob("docs/decisions/*.md"), ROOT.glob("examples/*/README.md")
    found = sorted(path.relative_to(ROOT).as_posix() for paths in folders for path in paths)
    return ["ARCHITECTURE.md", "CONTRIBUTING.md", *found]


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    text = (ROOT / page).read_text("utf-8")
    return [Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2]) for found in _FENCE.finditer(text)]


def not_run() -> list[NotRun]:
    """The list."""
    return [NotRun(**entry) for entry in tomllib.loads(LIST.read_text("utf-8"))["block"]]


def to_run(page: str) -> list[Block]:
    """The blocks of a page that are run."""
    left = tuple(entry.starts for entry in not_run() if entry.page == page)
    code = [block for block in blocks(page) if block.language == "python" or (block.language == "console" and block.commands)]
    return [block for block in code if not block.text.startswith(left)]


def run(page: str, folder: Path, environ: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run the blocks of a page that are run.

    Args:
        page: Its path in the repository.
        folder: Where; it may be empty.
        environ: The process's environment.
    """
    return subprocess.run(
        [sys.executable, __file__],
        input=json.dumps({"home": environ["KEDGE_HOME"], "blocks": [asdict(block) for block in to_run(page)]}),
        cwd=folder,
        env={**environ, "BROWSER": "true", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )


# What differs from one time to the next -> what stands for it when two outputs are compared.
_PASSING = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z|\b\d\d:\d\d:\d\d\b", "TIME"),
    (r"\b\d+(\.\d+)? (ms|s|min|h)\b( \d+ (s|min)\b)?", "TOOK"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"/sign-in/[\w-]+", "/sign-in/ONCE"),
    (r"process \d+", "process PID"),
    (r"(?<=[a-z])-[a-z0-9]{5}(?=\s|$)", "-SUFFIX"),
    (r"[ \t]+", " "),
]
_PROGRESS = re.compile(r"TIME ([A-Z]+) ")
_OVER = {"SUCCEEDED", "CACHED", "SKIPPED", "FAILED", "CANCELED"}


def said(text: str, home: str = "") -> str:
    """What an output says whenever it is printed: without times and ids, and of steps only how they ended, in the order of names.

    Args:
        text: The output.
        home: The data directory, for which the documentation has ``~/.local/share/kedge``.
    """
    text = text.replace(home, "~/.local/share/kedge") if home else text
    for pattern, stands in _PASSING:
        text = re.sub(pattern, stands, text)
    lines: list[str] = []
    steps: list[str] = []
    for line in [*text.strip().splitlines(), ""]:
        if found := _PROGRESS.match(line):
            steps += [line.rstrip()] * (found[1] in _OVER)
        else:
            lines += [*sorted(steps), line.rstrip()]
            steps = []
    return "\n".join(lines).strip()


def fits(shown: str, printed: str, home: str = "") -> bool:
    """Whether what the documentation shows is what is printed; ``…`` stands for anything, alone on a line for any lines."""
    pattern = "(?s:.*)".join(
        ".*".join(re.escape(part) for part in piece.split("…")) for piece in re.split(r"^…$", said(shown), flags=re.MULTILINE)
    )
    return re.fullmatch(pattern, said(printed, home)) is not None


def console(block: Block, home: str) -> None:
    """Type a console's commands into one shell, and compare what they print with what is shown."""
    typed = [each for each in block.typed if each[0] in block.commands]
    script = "\n".join(f"printf '\\036\\n'\n{command}" for command, _ in typed)
    for word, asked in _NAMES.items():
        script = re.sub(rf"\b{word}\b", lambda _, asked=asked: asked, script)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    outputs = done.stdout.split("\x1e\n")[1:]
    for (command, shown), printed in zip(typed, outputs, strict=False):
        print(f"$ {command}\n{printed}", flush=True)  # noqa: T201  # for who reads a failure
        if shown and not fits(shown, printed, home):
            raise SystemExit(f"{block.page}:{block.line} shows:\n{said(shown)}\n\nPrinted is:\n{said(printed, home)}")
    if done.returncode:
        raise SystemExit(f"{block.page}:{block.line}: the last command ended with {done.returncode}")


def _main() -> None:
    there: dict[str, Any] = {"__name__": "__main__"}
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  # as `python FILE` there has it
    given = json.load(sys.stdin)
    for number, block in enumerate(Block(**each) for each in given["blocks"]):
        print(f"--- {block.page}:{block.line}", flush=True)  # noqa: T201  # for who reads a failure
        if block.language == "console":
            console(block, given["home"])
            continue
        named = _FILE.match(block.text)
        # A component's source is read from its file, as on a user's machine.
        file = Path(named[1] if named else f"block{number}.py").resolve()
        file.write_text(block.text)
        exec(compile(block.text, str(file), "exec"), there)  # noqa: S102  # what the documentation says
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
