"""Programs that are Go modules: built when something first needs one, and kept in the cache by what they are built from."""

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import pytest

from kedge.config import Settings

HERE = Path(__file__).resolve().parent
HELM = ("helm", "helm.sh/helm/v3/cmd/helm", "v3.21.4")
NERDCTL = "github.com/containerd/nerdctl/v2@v2.2.2"
STATIC = {"CGO_ENABLED": "0"}


class NoGo(Exception):
    """There is no Go to build a program with."""


def do_without(why: NoGo) -> NoReturn:
    """Skip the test that needs the program; with ``CI=true`` it fails."""
    if Settings.from_environment().environ.get("CI", "") not in {"", "0", "false"}:
        pytest.fail(str(why))
    pytest.skip(str(why))


def built(name: str, module: str, version: str) -> str:
    """The path of a program; the test is skipped, or fails with ``CI=true``, where there is no Go to build it with.

    Args:
        name: The program's.
        module: What to build.
        version: Which.
    """
    try:
        return str(installed(name, module, version))
    except NoGo as why:
        do_without(why)


def installed(name: str, module: str, version: str) -> Path:
    """The program of a published module.

    Args:
        name: The program's.
        module: What to build.
        version: Which.

    Raises:
        NoGo: It is not there yet, and cannot be built.
    """
    found = cache_folder() / f"{name}-{version}-static" / name
    with one_at_a_time(found.parent.name):
        if not found.exists():
            _go(name, ["install", "-trimpath", "-buildvcs=false", f"{module}@{version}"], {**STATIC, "GOBIN": str(found.parent)})
    return found


def compiled(name: str, flags: Iterator[str] | tuple[str, ...] = ()) -> Path:
    """The program of a folder beside this file, static.

    Args:
        name: The folder's, and the program's.
        flags: For ``go build``.

    Raises:
        NoGo: It is not there yet, and cannot be built.
    """
    source, flags = HERE / name, tuple(flags)
    content = hashlib.sha256(repr(flags).encode())
    for path in sorted(source.iterdir()):
        content.update(path.name.encode() + b"\0" + path.read_bytes())
    folder = cache_folder() / f"{name}-{content.hexdigest()[:12]}"
    found = folder / name
    with one_at_a_time(folder.name):
        if not found.exists():
            partial = found.with_suffix(".partial")
            _go(name, ["build", "-C", str(source), "-trimpath", "-buildvcs=false", *flags, "-o", str(partial), "."], STATIC)
            partial.rename(found)
    return found


def nerdctl() -> Path:
    """The command line of containerd. `installed` cannot build it: helpers of its tests, which are not published, lie beside it.

    Raises:
        NoGo: It is not there yet, and cannot be built.
    """
    folder = cache_folder() / f"nerdctl-{NERDCTL.rpartition('@')[2]}-static"
    found = folder / "nerdctl"
    with one_at_a_time(folder.name), tempfile.TemporaryDirectory() as scratch:
        if not found.exists():
            told = json.loads(_go("nerdctl", ["mod", "download", "-json", NERDCTL]))
            with zipfile.ZipFile(told["Zip"]) as archive:
                archive.extractall(scratch)
            source = Path(scratch, NERDCTL)
            for helper in (source / "cmd/nerdctl/helpers").glob("testing*.go"):
                helper.unlink()
            partial = found.with_suffix(".partial")
            built = ["build", "-C", str(source), "-trimpath", "-buildvcs=false", "-o", str(partial), "./cmd/nerdctl"]
            _go("nerdctl", built, STATIC)
            partial.rename(found)
    return found


def kubernetes() -> Path:
    """Kubernetes as one program, which is the component whose name it is called by. Takes minutes the first time."""
    version = required("k8s.io/kubernetes")
    major, minor, _ = version.lstrip("v").split(".")
    stamp = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    stamps = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamp.items())
    return compiled("kubernetes", ("-ldflags", f"-s -w {stamps}"))


def kubectl() -> Path:
    """Kubernetes' own `kubectl`: that program, by its name."""
    program, link = kubernetes(), cache_folder() / "kubectl"
    with one_at_a_time("kubectl"):
        link.unlink(missing_ok=True)
        link.symlink_to(program)
    return link


def required(module: str) -> str:
    """The version of a module that Kubernetes' ``go.mod`` asks for."""
    found = re.search(rf"^\s*{re.escape(module)} (\S+)$", (HERE / "kubernetes" / "go.mod").read_text(), re.MULTILINE)
    assert found, f"go.mod does not ask for {module}"
    return found[1]


def cache_folder() -> Path:
    """Where tests keep what is made once for a machine."""
    return Settings.from_environment().cache / "tests"


@contextmanager
def one_at_a_time(name: str) -> Generator[None]:
    """Make something in the cache while nobody else does."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _go(name: str, arguments: list[str], environ: Mapping[str, str] = MappingProxyType({})) -> str:
    go = shutil.which("go")
    if go is None:
        raise NoGo(f"there is no Go to build {name} with")
    env = {**Settings.from_environment().environ, **environ}
    return subprocess.run([go, *arguments], env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
