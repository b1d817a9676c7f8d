"""The images of the cluster tests: made of Debian's packages and of Go programs, kept in the cache by what they are made from."""

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from go_programs import HERE, built, cache_folder, compiled, one_at_a_time
from mirror import NAME

SUITE = "bookworm"
LAYOUT = 2  # another number makes all images anew
MEDIA = "application"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PAUSE_SOURCE = """
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void bye(int s) { _exit(0); }
static void reap(int s) { while (waitpid(-1, 0, WNOHANG) > 0); }
int main(void) { signal(SIGTERM, bye); signal(SIGINT, bye); signal(SIGCHLD, reap); for (;;) pause(); }
"""
# What no step reads, out of an image that is loaded many times.
UNREAD = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "var/lib/apt/lists", "var/cache/apt", "var/log")


@dataclass(frozen=True)
class Image:
    """An image and how it is made.

    Attributes:
        names: What Pods call it.
        make: Fills a folder with its files.
        recipe: What `make` makes; another text makes the image anew.
        config: Of the image: ``Entrypoint``, ``Cmd``, ``User``…
    """

    names: tuple[str, ...]
    make: Callable[[Path], None]
    recipe: str
    config: Mapping[str, object] = field(default_factory=dict[str, object])

    def layout(self) -> Path:
        """The OCI image layout, made if it is not in the cache."""
        content = repr((self.names, self.recipe, dict(self.config), SUITE, platform.machine(), LAYOUT))
        name = f"image-{self.names[0].rpartition('/')[2].replace(':', '-')}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
        found = cache_folder() / name
        with one_at_a_time(name):
            if not found.exists():
                with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
                    root = Path(scratch, "root")
                    root.mkdir()
                    self.make(root)
                    folder_layout(self.names, root, Path(scratch, "layout"), config=self.config).rename(found)
        return found


def folder_layout(names: Sequence[str], root: Path, target: Path, *, config: Mapping[str, object]) -> Path:
    """Write an OCI image layout of one layer.

    Args:
        names: What it is called.
        root: The folder that it holds.
        target: The layout.
        config: Of the image: ``Entrypoint``, ``Cmd``, ``User``…

    Returns:
        The layout.
    """
    (target / "blobs" / "sha256").mkdir(parents=True)
    with tarfile.open(target / "layer", "w") as tar:
        for path in sorted(root.rglob("*")):
            tar.add(path, arcname=str(path.relative_to(root)), recursive=False)
    layer = _blob(target, "vnd.oci.image.layer.v1.tar", target / "layer")
    described = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Env": [f"PATH={PATH}"], **config},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "tests/cluster"}],  # nerdctl wants a time
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{MEDIA}/vnd.oci.image.manifest.v1+json",
        "config": _blob(target, "vnd.oci.image.config.v1+json", described),
        "layers": [layer],
    }
    entry = _blob(target, "vnd.oci.image.manifest.v1+json", manifest)
    # containerd's own annotation is for `ctr import`
    named = [{**entry, "annotations": {NAME: name, "io.containerd.image.name": name}} for name in names]
    (target / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": named}))
    (target / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return target


def _blob(layout: Path, kind: str, content: Path | Mapping[str, object]) -> dict[str, object]:
    path = content if isinstance(content, Path) else layout / "document"
    if not isinstance(content, Path):
        path.write_text(json.dumps(content))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    found = path.rename(layout / "blobs" / "sha256" / digest)
    return {"mediaType": f"{MEDIA}/{kind}", "digest": f"sha256:{digest}", "size": found.stat().st_size}


def archived(layout: Path, target: Path) -> Path:
    """Put a layout into one file, which `ctr`, `kind` and others import.

    Args:
        layout: The folder.
        target: The file.

    Returns:
        The file.
    """
    with tarfile.open(target, "w") as tar:
        for path in sorted(layout.rglob("*")):
            tar.add(path, arcname=str(path.relative_to(layout)), recursive=False)
    return target


def _make_pause(root: Path) -> None:
    source = root.parent / "pause.c"
    source.write_text(PAUSE_SOURCE)
    subprocess.run(["gcc", "-static", "-Os", "-o", str(root / "pause"), str(source)], check=True)


def _make_python(root: Path) -> None:
    packages = "--include=python3,python3-pip"
    command = ["debootstrap", "--variant=minbase", packages, SUITE, str(root), *_mirror()]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    for folder in UNREAD:
        shutil.rmtree(root / folder)
        (root / folder).mkdir()
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()  # in the images of Python's own makers, pip installs where it is told
    for name in ("python", "pip"):
        (root / "usr/local/bin" / name).symlink_to(f"/usr/bin/{name}3")


def _mirror() -> list[str]:
    # apt's own: where that is reached, so is everything that debootstrap wants
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"], check=False, capture_output=True, text=True
    )
    return listed.stdout.split()[:1]


def _make_shell(root: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["apt-get", "download", "-qq", "busybox-static"], cwd=scratch, check=True, stdout=sys.stderr)
        (package,) = Path(scratch).glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", str(package), scratch], check=True)
        (root / "bin").mkdir()
        shutil.copy(next(Path(scratch).glob("**/bin/busybox")), root / "bin")
    applets = subprocess.run([str(root / "bin/busybox"), "--list"], check=True, capture_output=True, text=True).stdout.split()
    for name in applets:
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    for folder in ("etc", "root", "tmp", "var"):
        (root / folder).mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")


def _make_static(root: Path) -> None:
    shutil.copy(compiled("static"), root / "static")


def _make_s3(root: Path) -> None:
    shutil.copy(built("versitygw", *VERSITYGW), root / "versitygw")
    (root / "objects" / BUCKET).mkdir(parents=True)  # a bucket is a folder
    (root / "metadata").mkdir()


BUCKET = "bucket"
VERSITYGW = ("github.com/versity/versitygw/cmd/versitygw", "v1.8.0")
HUB = "docker.io/library"
PAUSE = Image(("kedge.test/pause:1",), _make_pause, PAUSE_SOURCE, {"Entrypoint": ["/pause"]})
PYTHON = Image(
    tuple(f"{HUB}/python:{tag}" for tag in ("3", "3.11", "3.11-slim", "3.9", "3.12", "3.13", "latest")),
    _make_python,
    f"2 {UNREAD}",
    {"Cmd": ["python3"]},
)
SHELL = Image(
    tuple(f"{HUB}/{name}" for name in ("busybox:latest", "busybox:1", "alpine:latest", "alpine:3.20", "debian:latest")),
    _make_shell,
    "1",
    {"Cmd": ["sh"]},
)
STATIC = Image(("kedge.test/static:2",), _make_static, (HERE / "static" / "main.go").read_text(), {"Entrypoint": ["/static"]})
S3 = Image(("kedge.test/s3:1",), _make_s3, f"static {VERSITYGW} {BUCKET}", {"Entrypoint": ["/versitygw"]})
ALL = (PAUSE, PYTHON, SHELL, STATIC, S3)
