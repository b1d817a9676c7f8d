"""The language works under every Python that a step may have, from 3.8 on, with the standard library alone."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "src" / "kedge"

PROGRAM = '''
import json, sys, types
package = types.ModuleType("kedge")
package.__path__ = [sys.argv[1]]
sys.modules["kedge"] = package
import linecache
code = """
from typing import List, NamedTuple, Optional
from kedge import dsl

@dsl.component
def make(n: int, maybe: Optional[dsl.Input[dsl.Dataset]] = None) -> NamedTuple("Out", [("a", int), ("b", dsl.Model)]):
    return n, dsl.Model(uri=dsl.get_uri())

@dsl.component
def use(models: dsl.Input[List[dsl.Model]], path: dsl.InputPath("Model")) -> str:
    return path

@dsl.pipeline
def pipeline(items: List[int]) -> str:
    with dsl.ParallelFor(items) as item:
        with dsl.If(item == 1):
            make(n=item)
        made = make(n=item)
    one = make(n=1)
    return use(models=dsl.Collected(made.outputs["b"]), path=one.outputs["b"]).output
"""
linecache.cache["pipeline.py"] = (len(code), None, code.splitlines(True), "pipeline.py")
namespace = {"__name__": "pipeline"}
import kedge.dsl
package.dsl = kedge.dsl
exec(compile(code, "pipeline.py", "exec"), namespace)
from kedge.dsl import compiling
outside = sorted(name for name, found in sys.modules.items() if "site-packages" in (getattr(found, "__file__", None) or ""))
json.dump({"ir": compiling.compile(namespace["pipeline"]).pipeline, "outside": outside}, sys.stdout)
'''


def pythons() -> dict[str, str]:
    """Interpreters of this machine by version, as far as they are on the path or in the usual places."""
    found = {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    for minor in range(8, 16):
        places = sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python"))
        places += sorted((Path.home() / ".local" / "share" / "uv" / "python").glob(f"cpython-3.{minor}.*/bin/python3"))
        candidates = [str(place) for place in places] + [shutil.which(f"python3.{minor}") or ""]
        working = [path for path in candidates if path and _works(path, minor)]
        if working:
            found[f"3.{minor}"] = working[-1]
    return found


def _works(path: str, minor: int) -> bool:
    # A shim of a version manager may be on the path without the version behind it.
    done = subprocess.run(
        [path, "-I", "-c", "import sys; print(sys.version_info[1])"], check=False, capture_output=True, text=True
    )
    return done.stdout.strip() == str(minor)


PYTHONS = pythons()


def answer(python: str) -> dict[str, object]:
    done = subprocess.run([python, "-I", "-S", "-c", PROGRAM, str(SOURCE)], check=False, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_a_pipeline_compiles_to_the_same_under(version: str) -> None:
    if version not in PYTHONS:
        pytest.skip(f"Python {version} is not on this machine")
    found = answer(PYTHONS[version])
    assert found == answer(sys.executable)
    assert found["outside"] == []
