"""The blocks of code of the documentation, and how those of a page are run: in order, in one process, in one folder.

Run as a program, it reads what `Page` has as JSON from standard input, and runs it.
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
    def commands(self) -> list[str]:
        """Of a console: what was typed. `kubectl` has a test of its own (test_documented_kubectl.py)."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        typed = [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]
        return [line for line in typed if not line.startswith("kubectl ")]


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
        input=json.dumps([asdict(block) for block in to_run(page)]),
        cwd=folder,
        env={**environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )


def _main() -> None:
    there: dict[str, Any] = {"__name__": "__main__"}
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  # as `python FILE` there has it
    for number, block in enumerate(Block(**each) for each in json.load(sys.stdin)):
        print(f"--- {block.page}:{block.line}", flush=True)  # noqa: T201  # for who reads a failure
        if block.language == "console":
            script = "\n".join(block.commands)
            for word, asked in _NAMES.items():
                script = re.sub(rf"\b{word}\b", lambda _, asked=asked: asked, script)
            subprocess.run(["bash", "-xeuo", "pipefail", "-c", script], check=True, stdin=subprocess.DEVNULL)
            continue
        named = _FILE.match(block.text)
        # A component's source is read from its file, as on a user's machine.
        file = Path(named[1] if named else f"block{number}.py").resolve()
        file.write_text(block.text)
        exec(compile(block.text, str(file), "exec"), there)  # noqa: S102  # what the documentation says
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
