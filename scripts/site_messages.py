"""Every message that Kedge may show, read from the code when the site is built: a search finds what was pasted into it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from kedge import errors

SOURCE = Path(__file__).resolve().parents[1] / "src" / "kedge"
# Whose messages they are -> the packages and modules that say them.
SPEAKERS = {
    "Commands": ("cli", "notebook", "host", "home", "config", "running", "app"),
    "A pipeline, when it is defined, compiled or read": ("dsl", "components", "compiler", "pipelines/ir"),
    "Runs, pipelines, artifacts: the REST API": ("pipelines", "artifacts", "db", "store", "measures"),
    "Steps": ("launcher", "supervisor", "node", "workloads"),
    "The Kubernetes API": ("server", "kube", "client", "control"),
    "Clusters": ("clusters", "installation", "manifests", "relay", "relayed", "hub", "leading"),
    "The dashboard": ("dashboard", "display"),
}
# Python's own errors are between parts of Kedge; who uses it sees the others.
_INTERNAL = re.compile(r"^(Assertion|Attribute|Key|Index|Type|Value|OS|Runtime|NotImplemented|Import|Connection|Stop)|^_")
# What is shown without being raised where it is made.
_TOLD = {"Failure", "Refusal", "Cause", *(name for name in vars(errors) if name[0].isupper())}
_NAMES = {"text", "why", "message", "hint", "detail", "reason"}


def page() -> str:
    """The page of the site."""
    lines = ["# Messages", "", "Every message of Kedge, by who says it; `…` stands for what is filled in. Most say what to do."]
    lines += ["Where more is to be said, it is in [Troubleshooting](../troubleshooting.md), as are the codes of failures.", ""]
    for speaker, parts in SPEAKERS.items():
        found = sorted({message for part in parts for file in _files(part) for message in messages(file)}, key=str.casefold)
        lines += [f"## {speaker}", "", *(f"- {_code(message)}" for message in found), ""]
    return "\n".join(lines)


def messages(file: Path) -> Iterator[str]:
    """What a module's errors say."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and not _INTERNAL.match(_name(node.exc)):
            yield from _sentences(node.exc.args)
        elif isinstance(node, ast.Call) and _name(node) in _TOLD:
            yield from _sentences([*node.args, *(word.value for word in node.keywords)])
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in _NAMES:
            yield from _sentences([node.value])


def _files(part: str) -> list[Path]:
    place = SOURCE / part
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _sentences(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        for text in _texts(node):
            told = re.sub(r"\s+", " ", re.sub(r"…+", "…", text)).strip()
            if len(re.findall(r"[A-Za-z]{2,}", told)) > 2:  # fewer words are no message
                yield told


def _texts(node: ast.expr) -> Iterator[str]:
    """What an expression may say, with `…` for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    elif isinstance(node, ast.BinOp):
        yield from (f"{left}{right}" for left in _texts(node.left) or ["…"] for right in _texts(node.right) or ["…"])
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.Call) and _name(node) in {"format", "join", "_sentence", "dedent"}:
        for each in node.args:
            yield from _texts(each)


def _code(text: str) -> str:
    """A message as code, which itself may have backticks."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"
