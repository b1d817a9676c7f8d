"""From which checkout a pipeline was submitted: commit, remote, and whether the folder had changes that no commit holds.

Asked of ``git`` when a pipeline is submitted, never when it is only compiled: a compiled file is the same for everyone.
"""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from kedge.pipelines.documents import Document

_SECONDS = 3.0  # for each question; a large checkout on a slow disk is submitted without an answer


def describe(file: Path) -> dict[str, Any]:
    """What is known of the checkout that a pipeline's file, or folder, lies in; empty where there is none.

    Returns:
        ``commit``, ``path`` (of the file, from the top), and where they are known ``remote`` (without credentials), ``branch``
        and ``dirty`` (whether the file's folder has changes that are not committed).
    """
    git, folder = shutil.which("git"), file if file.is_dir() else file.parent
    if git is None or not any((above / ".git").exists() for above in (folder.absolute(), *folder.absolute().parents)):
        return {}

    def ask(*words: str) -> str | None:
        # Without locks and helpers: looking must change nothing, and must not start what the checkout configures.
        command = [git, "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder), *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False, errors="replace")
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.rstrip("\n") if done.returncode == 0 else None

    told = (ask("rev-parse", "--show-prefix", "HEAD") or "").split("\n")
    if len(told) != 2 or not told[1]:
        return {}  # no commit yet, or not a checkout that this user may read
    found: dict[str, Any] = {"commit": told[1], "path": told[0] + ("" if file.is_dir() else file.name)}
    if branch := ask("symbolic-ref", "--quiet", "--short", "HEAD"):
        found["branch"] = branch
    if remote := ask("config", "--get", "remote.origin.url"):
        found["remote"] = without_credentials(remote)
    if (changes := ask("status", "--porcelain", "--", ".")) is not None:
        found["dirty"] = bool(changes)
    return found


def noted(document: Document, file: Path) -> Document:
    """The document with what is known of the checkout that it comes from, for the run that is started of it."""
    found = describe(file)
    if not found:
        return document
    kedge: dict[str, Any] = document.platforms.get("kedge") or {}
    config = {**(kedge.get("config") or {}), "checkout": found}
    return replace(document, platforms={**document.platforms, "kedge": {**kedge, "config": config}})


def is_noted(document: Document) -> bool:
    """Whether a document says what checkout it comes from."""
    return "checkout" in ((document.platforms.get("kedge") or {}).get("config") or {})


def without_credentials(url: str) -> str:
    """An address without user, password, query and fragment, which may be secrets.

    Examples:
        >>> without_credentials("https://me:secret@example.org/team/code.git")
        'https://example.org/team/code.git'
        >>> without_credentials("git@example.org:team/code.git")
        'git@example.org:team/code.git'
    """
    if "://" not in url:  # git's own short form: a user's name is no secret, and there is no password
        return url
    try:
        split = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((split.scheme, split.netloc.rpartition("@")[2], split.path, "", ""))
