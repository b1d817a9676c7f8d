"""axe-core, the accessibility checker, on pages of the dashboard. It comes from npm, once, by its pinned content."""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from go_programs import cache_folder, one_at_a_time
from playwright.sync_api import Page

VERSION = "4.14.1"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
MEMBER = "package/axe.min.js"
GRAVE = frozenset({"serious", "critical"})
_CHECK = """async () => (await axe.run(document, {iframes: false, resultTypes: ['violations']})).violations.map(
    (each) => ({rule: each.id, impact: each.impact, help: each.help, places: each.nodes.map((node) => node.target.join(' '))}))"""


def missing() -> str:
    """Why it cannot be had here; ``""`` where it can."""
    if _kept().exists() or shutil.which("npm"):
        return ""
    return "there is no npm, from which axe-core comes, the checker of accessibility (Debian: apt-get install npm)"


def grave_faults(page: Page) -> list[str]:
    """What is serious or critical on a page, each with its places.

    Args:
        page: As it is now: its theme, its width, what is unfolded.
    """
    session = page.context.new_cdp_session(page)  # past the page's own policy, which allows no script of ours
    session.send("Runtime.evaluate", {"expression": _source()})
    session.detach()
    found: list[dict[str, Any]] = page.evaluate(_CHECK)
    return [
        f"{each['impact']}, {each['rule']}: {each['help']}: {'; '.join(each['places'])}"
        for each in found
        if each["impact"] in GRAVE
    ]


def _kept() -> Path:
    return cache_folder() / f"axe-core-{VERSION}-{SHA256[:12]}" / "axe.min.js"


def _source() -> str:
    found = _kept()
    with one_at_a_time(found.parent.name):
        if not found.exists():
            with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
                made = Path(scratch, "made")
                made.mkdir()
                (made / found.name).write_bytes(_fetched(Path(scratch)))
                made.rename(found.parent)
    return found.read_text()


def _fetched(scratch: Path) -> bytes:
    done = subprocess.run(
        ["npm", "pack", "--json", f"axe-core@{VERSION}"], cwd=scratch, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    archive = scratch / json.loads(done.stdout)[0]["filename"]
    with tarfile.open(archive) as files:
        member = files.extractfile(MEMBER)
        assert member is not None
        content = member.read()
    found = hashlib.sha256(content).hexdigest()
    assert found == SHA256, f"axe-core {VERSION} has another content than it had: {found}"
    return content
