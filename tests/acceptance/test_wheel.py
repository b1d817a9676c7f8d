"""What people get from `pip install kedge`: the built wheel, in an empty environment, away from the checkout."""

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
# Three are HTTP/2's (0042), one matches patterns (0045). Kedge itself is 17 megabytes, five of them the file that draws plots.
MAX_DISTRIBUTIONS, MAX_MEGABYTES = 32, 110


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True, capture_output=True
    )
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the wheel in it, as pip leaves one: with bytecode."""
    folder = tmp_path_factory.mktemp("env")
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    install = [
        UV,
        "pip",
        "install",
        "--quiet",
        "--compile-bytecode",
        "--python",
        folder,
        "--constraint",
        ROOT / "constraints/kedge.txt",
    ]
    subprocess.run([*install, wheel], check=True)
    return folder


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="kedge-") as home:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KEDGE_") or name == "KEDGE_CACHE"}  # noqa: TID251
        kept.pop("VIRTUAL_ENV", None)
        yield {**kept, "KEDGE_HOME": home}


def test_the_wheel_holds_the_example_its_data_and_their_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {
        name.removeprefix("kedge/examples/01-penguins/") for name in names if name.startswith("kedge/examples/01-penguins/")
    }
    assert {"pipeline.py", "README.md"} <= inside
    assert any(name.endswith(".csv") for name in inside)
    assert any("LICEN" in name.upper() for name in inside)
    assert {"kedge/py.typed", "kedge/launcher/warm.py", "kedge/supervisor/__main__.py"} <= names


def test_the_wheel_holds_what_draws_plots_with_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        code = files.read("kedge/dashboard/static/plotly.min.js")
        assert "MIT" in files.read("kedge/dashboard/static/plotly.LICENSE.txt").decode()
    assert code[:200].decode().splitlines()[1].startswith("* plotly.js v")
    assert "Licensed under the MIT license" in code[:200].decode()


def test_a_source_archive_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    hatchling = [sys.executable, "-m", "hatchling", "build"]
    subprocess.run([*hatchling, "-t", "sdist", "-d", tmp_path], cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        assert not [name for name in archive.getnames() if "plotly" in name], "it is Plotly's to hand out"
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("kedge-*/")
    subprocess.run([*hatchling, "-t", "wheel", "-d", tmp_path], cwd=source, check=True, capture_output=True)
    assert next(tmp_path.glob("*.whl")).read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_nothing_that_is_only_for_us(wheel: Path) -> None:
    top = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"kedge"}


def test_it_stays_small(environment: Path) -> None:
    site = next(environment.glob("lib/python*/site-packages"))
    distributions = {path.name.partition("-")[0] for path in site.glob("*.dist-info")} - {"uv"}
    assert len(distributions) <= MAX_DISTRIBUTIONS, sorted(distributions)
    files = [path for path in site.rglob("*") if path.is_file() and not path.relative_to(site).parts[0].startswith("uv")]
    assert sum(path.stat().st_size for path in files) / 1e6 <= MAX_MEGABYTES


def test_the_command_works_there(environment: Path, environ: dict[str, str], tmp_path: Path) -> None:
    shown = subprocess.run(
        [environment / "bin" / "kedge", "doctor"], env=environ, cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_runs_there(environment: Path, environ: dict[str, str], tmp_path: Path) -> None:
    shown = subprocess.run(
        [environment / "bin" / "kedge", "demo"],
        env=environ,
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=880,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "Confusion matrix" in shown.stdout
    assert "cached" in shown.stdout.splitlines()[-3]
    home = Path(environ["KEDGE_HOME"])
    assert not (home / "demo" / "host.json").exists()
    assert home.stat().st_mode & 0o077 == 0, "others may look into what the demo made"
