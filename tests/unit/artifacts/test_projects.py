"""Project archives: unpacked by content, and nothing of them lands elsewhere."""

import base64
import hashlib
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from kedge.artifacts import projects
from kedge.artifacts.projects import Projects
from kedge.errors import PipelineError


def packed(write: Callable[[zipfile.ZipFile], None]) -> tuple[str, str]:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        write(archive)
    return hashlib.sha256(out.getvalue()).hexdigest(), base64.b64encode(out.getvalue()).decode()


def one(name: str, text: str = "x = 1\n") -> tuple[str, str]:
    return packed(lambda archive: archive.writestr(name, text))


def test_a_project_is_unpacked_once(tmp_path: Path) -> None:
    kept = Projects(tmp_path / "projects")
    digest, archive = packed(lambda made: (made.writestr("a.py", "x = 1\n"), made.writestr("pkg/__init__.py", ""))[0])
    path = kept.keep(digest, archive)
    assert path == tmp_path / "projects" / digest
    assert (path / "a.py").read_text() == "x = 1\n"
    assert (path / "pkg" / "__init__.py").exists()
    assert kept.keep(digest, "not even read") == path
    assert [entry.name for entry in (tmp_path / "projects").iterdir()] == [digest]


@pytest.mark.parametrize("name", ["../a.py", "/etc/a.py", "a/../../b.py", "a\\..\\b.py"])
def test_a_member_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PipelineError, match="leaves its folder"):
        Projects(tmp_path / "projects").keep(*one(name))
    assert list(tmp_path.rglob("*.py")) == []


def test_a_link_is_refused(tmp_path: Path) -> None:
    def write(archive: zipfile.ZipFile) -> None:
        entry = zipfile.ZipInfo("a.py")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")

    with pytest.raises(PipelineError, match="is a link"):
        Projects(tmp_path / "projects").keep(*packed(write))


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projects, "MAX_UNPACKED", 1000)
    with pytest.raises(PipelineError, match="unpacks to more than"):
        Projects(tmp_path / "projects").keep(*one("a.py", "#" * 5000))
    assert list((tmp_path / "projects").glob("*")) == []


def test_an_archive_is_what_its_digest_says(tmp_path: Path) -> None:
    kept = Projects(tmp_path / "projects")
    digest, archive = one("a.py")
    with pytest.raises(PipelineError, match="is not the one that its digest names"):
        kept.keep("0" * 64, archive)
    with pytest.raises(PipelineError, match="is not base64"):
        kept.keep(digest, "***")
    with pytest.raises(PipelineError, match="must be a SHA-256 in hex"):
        kept.keep("../../etc", archive)
    garbage = b"no zip"
    with pytest.raises(PipelineError, match="no zip that can be read"):
        kept.keep(hashlib.sha256(garbage).hexdigest(), base64.b64encode(garbage).decode())
