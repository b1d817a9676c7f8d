"""Project code: what steps import from beside the pipeline file, packed once, by content."""

# ruff: noqa: E501  # a message is compared as it is read

import base64
import hashlib
import io
import os
import zipfile
from pathlib import Path

import pytest

from kedge.errors import PipelineError
from kedge.pipelines.project import imported, neighbours, pack


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


FILES = {
    "features.py": "import numpy\nfrom shared.clean import tidy\n",
    "shared/__init__.py": "",
    "shared/clean.py": "from . import words\nfrom .deep import more\ndef tidy(): import lazily\n",
    "shared/words.txt": "a\nb\n",
    "shared/deep/more.py": "import json\n",
    "shared/__pycache__/clean.pyc": "x",
    "shared/.hidden/secret.py": "x",
    "lazily.py": "",
    "plain/module.py": "",
    "numbers_only/data.csv": "1\n",
    "unrelated.py": "",
    "pipeline.py": "import features\n",
}

SHARED = ["lazily.py", "shared/__init__.py", "shared/clean.py", "shared/deep/more.py", "shared/words.txt"]

IMPORTS: dict[str, tuple[str, list[str]]] = {
    "nothing": ("x = 1", []),
    "a module, and all that it imports in turn": (
        "import features",
        ["features.py", *SHARED],
    ),
    "a package of a package": (
        "def f():\n    from shared.deep import more",
        SHARED,
    ),
    "a package without init": ("import plain.module", ["plain/module.py"]),
    "a folder that is no package": ("import numbers_only", []),
    "by name, at run time": ("importlib.import_module('lazily')", ["lazily.py"]),
    "the pipeline file itself": (
        "import pipeline, unrelated",
        ["features.py", "lazily.py", "pipeline.py", *SHARED[1:], "unrelated.py"],
    ),
    "the standard library": ("import os, json.decoder", []),
}


@pytest.mark.parametrize("case", IMPORTS)
def test_what_steps_import_is_found_and_nothing_else(case: str, tmp_path: Path) -> None:
    source, expected = IMPORTS[case]
    assert list(neighbours(write(tmp_path, FILES), [source])) == expected


def test_the_archive_holds_the_files_and_is_named_by_its_content(tmp_path: Path) -> None:
    project = pack(write(tmp_path, FILES), ["import features"])
    assert project is not None
    with zipfile.ZipFile(io.BytesIO(project.archive)) as archive:
        assert archive.namelist() == list(project.files)
        assert archive.read("shared/words.txt") == b"a\nb\n"
    options = project.options()
    assert base64.b64decode(options["archive"]) == project.archive
    assert options["digest"] == project.digest == hashlib.sha256(project.archive).hexdigest()


def test_the_same_files_give_the_same_archive_wherever_and_whenever_they_were_written(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", FILES), write(tmp_path / "two", FILES)
    os.utime(two / "features.py", (1, 1_500_000_000))
    (two / "features.py").chmod(0o755)
    write(two, {"unrelated.py": "changed"})
    assert pack(one, ["import features"]) == pack(two, ["import features"])
    write(two, {"lazily.py": "changed"})
    assert pack(one, ["import features"]) != pack(two, ["import features"])


def test_without_neighbours_there_is_no_project(tmp_path: Path) -> None:
    assert pack(write(tmp_path, FILES), ["import os"]) is None


def test_a_project_that_is_too_large_is_refused_with_its_largest_files(tmp_path: Path) -> None:
    write(tmp_path, {"big/__init__.py": "", "big/code.py": "x = 1\n"})
    (tmp_path / "big" / "table.bin").write_bytes(os.urandom(300_000))
    with pytest.raises(PipelineError) as caught:
        pack(tmp_path, ["import big"], limit=100_000)
    assert str(caught.value) == (
        f"The code that steps import from {tmp_path} is 0.3 MB when packed, more than the 0.1 MB that a pipeline may carry. The largest "
        "files are big/table.bin (0.3 MB), big/code.py (0.0 MB), big/__init__.py (0.0 MB). Move data out of the packages and hand it to "
        "steps as an artifact (dsl.importer), or install the code as a package (packages_to_install)."
    )


def test_a_module_that_is_no_python_is_told_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, {"broken.py": "import os\nx = = 1\n"})
    with pytest.raises(PipelineError) as caught:
        pack(tmp_path, ["import broken"])
    assert str(caught.value) == (
        f"{tmp_path / 'broken.py'}:2: invalid syntax. A step imports this module, so it must be Python that can be read. Correct that line."
    )


def test_a_module_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(b"# \xe9 import\n")
    with pytest.raises(
        PipelineError, match=r"latin\.py: a step imports this module, but it cannot be read: .* Save it as UTF-8 text\."
    ):
        pack(tmp_path, ["import latin"])


def test_every_form_of_import_is_read() -> None:
    source = "import a, b.c as d\nfrom e.f import g\nfrom . import h\nclass K:\n  def m(self):\n    from n import o\n"
    assert imported(source, "x") == ["a", "b", "e", "n"]
