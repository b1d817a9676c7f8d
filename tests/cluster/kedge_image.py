"""The image of the Containerfile, built with Debian's buildah on the base of the test images: no registry is asked."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from go_programs import cache_folder, one_at_a_time
from images import PYTHON
from mirror import NAME

ROOT = Path(__file__).resolve().parents[2]
KEDGE = "localhost/kedge:test"
PYTHON_VERSION = "3.11"  # the base's
KEPT_SECONDS = 3600.0


def kedge_image() -> Path:
    """The OCI image layout of `KEDGE`, built if it is not in the cache."""
    name = f"image-kedge-named-{_content()[:12]}"
    found = cache_folder() / name
    with one_at_a_time(name):
        if not found.exists():
            with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
                build(Path(scratch, "layout"), Path(scratch, "work")).rename(found)
            for older in cache_folder().glob("image-kedge-*/"):  # each change of the source makes another
                if found.stat().st_mtime - older.stat().st_mtime > KEPT_SECONDS:
                    shutil.rmtree(older)
    return found


def own_name() -> str:
    """A name of the image that no other code's has: on a node that several share, `KEDGE` may be any's."""
    return f"{KEDGE}-{_content()[:12]}"


def build(target: Path, scratch: Path) -> Path:
    """Build the image, whatever is in the cache.

    Args:
        target: The layout.
        scratch: A folder to work in; made here, and deleted.

    Returns:
        The layout.
    """
    context = scratch / "context"
    context.mkdir(parents=True)
    shutil.copy(ROOT / "Containerfile", context)
    shutil.copytree(ROOT / "constraints", context / "constraints")
    shutil.copytree(_wheels(), context / "dist")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(context / "dist"), cwd=ROOT)
    buildah = ["buildah", "--root", str(scratch / "storage"), "--runroot", str(scratch / "run"), "--storage-driver", "overlay"]
    (scratch / "base").symlink_to(PYTHON.layout())  # buildah calls it by its path, as far as that could be a name
    base = _run(*buildah, "pull", "--quiet", f"oci:base:{PYTHON.names[0]}", cwd=scratch).strip()
    options = ["--isolation", "chroot", "--timestamp", "0", "--pull-never", "--layers=false"]
    arguments = [f"BASE={base}", "PIP_OPTIONS=--no-index --find-links /dist"]
    _run(*buildah, "bud", *options, *(f"--build-arg={each}" for each in arguments), "--tag", KEDGE, str(context))
    _run(*buildah, "push", "--quiet", KEDGE, f"oci:{target}")
    _run(*buildah, "rmi", "--all", "--force")
    subprocess.run(["umount", str(scratch / "storage" / "overlay")], check=False, capture_output=True)
    shutil.rmtree(scratch)
    index = json.loads((target / "index.json").read_text())
    entry = index["manifests"][0]
    names = (KEDGE, own_name())
    index["manifests"] = [{**entry, "annotations": {NAME: name, "io.containerd.image.name": name}} for name in names]
    (target / "index.json").write_text(json.dumps(index))
    return target


def _wheels() -> Path:
    """What Kedge needs, as wheels for the base's Python; by the pinned versions, so they are fetched once."""
    constraints = ROOT / "constraints" / "kedge.txt"
    content = hashlib.sha256(constraints.read_bytes() + (ROOT / "pyproject.toml").read_bytes() + PYTHON_VERSION.encode())
    name = f"wheels-{content.hexdigest()[:12]}"
    found = cache_folder() / name
    with one_at_a_time(name):
        if not found.exists():
            with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
                wheels = Path(scratch, "wheels")
                for_base = ["--only-binary", ":all:", "--python-version", PYTHON_VERSION, "--implementation", "cp"]
                pip = [sys.executable, "-m", "pip", "download", "--quiet", *for_base, "--dest", str(wheels)]
                _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", scratch, cwd=ROOT)
                (kedge,) = Path(scratch).glob("kedge-*.whl")
                _run(*pip, "--constraint", str(constraints), f"{kedge}[cluster,parquet,postgres]")
                (wheels / kedge.name).unlink()
                wheels.rename(found)
    return found


def _content() -> str:
    """Of all that the image is made from."""
    content = hashlib.sha256(PYTHON.layout().name.encode())
    listed = [path for folder in ("src", "examples") for path in (ROOT / folder).rglob("*") if path.suffix != ".pyc"]
    single = [ROOT / name for name in ("Containerfile", "pyproject.toml", "hatch_build.py", "README.md", "constraints/kedge.txt")]
    for path in sorted([*listed, *single]):
        if path.is_file():
            content.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return content.hexdigest()


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout
