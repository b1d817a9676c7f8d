"""A container runtime of this machine for tests: installed if need be, with its own storage and images that tests have made."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import go_programs
import pytest
from go_programs import cache_folder, one_at_a_time
from images import Image, archived
from ordinary_user import User, ordinary_user

from kedge.config import Settings

TOOL = "podman"
PACKAGES = ("podman", "runc", "uidmap")
LOW_LEVEL = ("crun", "runc")
# What a runtime may ask of a machine where root may not raise its own limits.
BOUNDS = 'default_ulimits = ["nofile=1000:20000", "nproc=1000:30000"]'

# Registries of this machine are spoken to without TLS.
PLAIN = '[[registry]]\nprefix = "localhost"\nlocation = "localhost"\ninsecure = true\n'


@dataclass(frozen=True)
class Runtime:
    """A runtime and its storage.

    Attributes:
        program: Its command line.
        environ: What a host that uses it is started with.
        joins_networks: Whether its containers are in their Pods' own networks.
        passes_input: Whether a container reads what it is given.
        keeps_limits: Whether the kernel keeps a container's limits.
        user: Whose it is; ``None`` for root's.
    """

    program: str
    environ: dict[str, str]
    joins_networks: bool = False
    passes_input: bool = True
    keeps_limits: bool = True
    user: User | None = None

    def __call__(self, *words: str, check: bool = True) -> str:
        """Run a command of it; returns what it printed."""
        done = self.run(*words)
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of it, however it ends."""
        env = {**Settings.from_environment().environ, **self.environ}
        command = [self.program, *words] if self.user is None else self.user.command(self.program, *words)
        return subprocess.run(command, env=env, check=False, capture_output=True, text=True, cwd="/")

    def containers(self) -> list[str]:
        """Names of all containers, running or not."""
        return self("ps", "--all", "--format", "{{.Names}}").split()


def installed() -> str:
    """The runtime's program, from Debian's packages where it is not there and this is root's; skipped where neither is."""
    with one_at_a_time("container-runtime"):
        if not shutil.which(TOOL):
            if os.geteuid() != 0 or not shutil.which("apt-get"):
                pytest.skip(f"there is no {TOOL}, and only root of a Debian installs it: apt-get install {' '.join(PACKAGES)}")
            command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = shutil.which(TOOL)
    assert found
    return found


@contextlib.contextmanager
def podman(images: Sequence[Image]) -> Generator[Runtime]:
    """A runtime whose storage holds some images, removed afterwards with all its containers.

    Args:
        images: Which.
    """
    program = installed()
    place = Path(tempfile.mkdtemp(prefix="kedge-oci-"))
    conf, storage, registries = (place / f"{name}.conf" for name in ("containers", "storage", "registries"))
    registries.write_text(PLAIN)
    storage.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{place}/graph"\nrunroot = "{place}/run"\n')
    environ = {
        "CONTAINERS_CONF": str(conf),
        "CONTAINERS_STORAGE_CONF": str(storage),
        "CONTAINERS_REGISTRIES_CONF": str(registries),
        "KEDGE_RUNTIME": "auto",
    }
    found = Runtime(program, environ, joins_networks=True)
    try:
        conf.write_text("")
        for image in images:
            found("load", "--quiet", "--input", str(archived(image.layout(), place / "image.tar")))
        _choose(found, conf, images[0].names[0])
        yield found
    finally:
        found("rm", "--all", "--force", check=False)
        found("unmount", "--all", check=False)
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def rootless_podman(images: Sequence[Image]) -> Generator[Runtime]:
    """A runtime of an ordinary user's, as it finds it after ``apt-get install podman``, removed afterwards with the user.

    Args:
        images: What its storage holds.
    """
    program = installed()
    with ordinary_user() as user:
        environ = {**user.environ, "KEDGE_RUNTIME": "auto"}
        registries = user.place / "registries.conf"
        registries.write_text(PLAIN)
        conf = user.place / "containers.conf"
        conf.write_text("")
        environ |= {"CONTAINERS_REGISTRIES_CONF": str(registries), "CONTAINERS_CONF": str(conf)}
        found = Runtime(program, environ, keeps_limits=False, user=user)
        try:
            for image in images:
                found("load", "--quiet", "--input", str(archived(image.layout(), user.place / "image.tar")))
            _choose(found, conf, images[0].names[0])
            yield found
        finally:
            found("system", "reset", "--force", check=False)  # some of its files are nobody's on this machine


@contextlib.contextmanager
def docker(images: Sequence[Image]) -> Generator[Runtime]:
    """Docker with a daemon and storage of its own, from Debian's packages; only root has one.

    Args:
        images: What its storage holds: of each, its files, and what it says of itself is left out.
    """
    programs = _programs_of_daemons()
    place = Path(tempfile.mkdtemp(prefix="kedge-oci-"))
    socket = f"unix://{place}/sock"
    own = [f"--data-root={place}/data", f"--exec-root={place}/exec", f"--pidfile={place}/pid", f"--host={socket}"]
    nothing = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false"]
    environ = {"DOCKER_HOST": socket, "KEDGE_RUNTIME": "docker", "PATH": _path(programs)}
    found = Runtime(str(programs / "bin/docker"), environ)
    command = [str(programs / "sbin/dockerd"), *own, *nothing]
    with _daemon(command, place, found, "version", "--format", "{{.Server.Version}}"):
        for image in images:
            found("import", str(_layer(image.layout())), image.names[0])
        yield found


CONTAINERD = """version = 2
root = "{place}/root"
state = "{place}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{place}/sock"
"""
NERDCTL = """address = "{place}/sock"
data_root = "{place}/data"
cni_netconfpath = "{place}/cni"
cgroup_manager = "cgroupfs"
"""


@contextlib.contextmanager
def nerdctl(images: Sequence[Image]) -> Generator[Runtime]:
    """A containerd with a daemon and storage of its own, from Debian's packages, and its command line, built of its module.

    Args:
        images: What its storage holds.
    """
    programs = _programs_of_daemons()
    try:
        program = go_programs.nerdctl()
    except go_programs.NoGo as why:
        go_programs.do_without(why)
    place = Path(tempfile.mkdtemp(prefix="kedge-oci-"))
    for name, text in {"containerd": CONTAINERD, "nerdctl": NERDCTL}.items():
        (place / f"{name}.toml").write_text(text.format(place=place))
    environ = {"NERDCTL_TOML": f"{place}/nerdctl.toml", "KEDGE_RUNTIME": "nerdctl", "PATH": f"{program.parent}:{_path(programs)}"}
    found = Runtime(str(program), environ, passes_input=False)
    command = [str(programs / "bin/containerd"), "--config", f"{place}/containerd.toml"]
    with _daemon(command, place, found, "info", "--format", "{{.ServerVersion}}"):
        for image in images:
            found("load", "--quiet", "--input", str(archived(image.layout(), place / "image.tar")))
        yield found


def _programs_of_daemons() -> Path:
    """The folder of docker's and containerd's programs, of Debian's packages; the test is skipped where nobody may run them."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.skip("a daemon of docker or containerd is root's, and its packages are Debian's")
    return _unpacked("docker.io", "containerd", "runc") / "usr"


def _path(programs: Path) -> str:
    return f"{programs}/bin:{programs}/sbin:{Settings.from_environment().environ.get('PATH', os.defpath)}"


@contextlib.contextmanager
def _daemon(command: Sequence[str], place: Path, found: Runtime, *asked: str) -> Generator[None]:
    """A runtime's daemon, removed afterwards with its containers.

    Args:
        command: Starts it.
        place: The folder of all that it keeps.
        found: Its runtime.
        asked: Words that the runtime answers once its daemon does.
    """
    with (place / "log").open("w") as log:
        environ = {**Settings.from_environment().environ, **found.environ}
        daemon = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        while not found(*asked, check=False).strip():
            assert daemon.poll() is None, (place / "log").read_text()[-2000:]
        yield
    finally:
        for name in found.containers():
            found("rm", "--force", name, check=False)
        daemon.terminate()
        daemon.wait(60)
        left = place / "exec/netns/default"  # docker's own
        subprocess.run(["umount", str(left)], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(place, ignore_errors=True)


def _layer(layout: Path) -> Path:
    """The files of a layout's first image, which has one layer."""
    blobs = layout / "blobs"
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads((blobs / index["manifests"][0]["digest"].replace(":", "/")).read_text())
    return blobs / manifest["layers"][0]["digest"].replace(":", "/")


def _unpacked(*packages: str) -> Path:
    """A folder with what is in some packages of Debian's, which are not installed."""
    target = cache_folder() / f"packages-{'-'.join(packages)}"
    with one_at_a_time(target.name):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
                subprocess.run(["apt-get", "download", "-qq", *packages], cwd=scratch, check=True, stderr=subprocess.DEVNULL)
                for file in Path(scratch).glob("*.deb"):
                    subprocess.run(["dpkg-deb", "--extract", str(file), f"{scratch}/root"], check=True)
                Path(scratch, "root").rename(target)
    return target


def _choose(found: Runtime, conf: Path, image: str) -> None:
    """Have containers run by the first low-level runtime that can."""
    faults = [_without(found, conf, low, image) for low in LOW_LEVEL if shutil.which(low)]
    assert "" in faults, f"no low-level runtime runs a container here: {faults}"


def _without(found: Runtime, conf: Path, low: str, image: str) -> str:
    """Have containers run by a low-level runtime; says why it cannot, and nothing is changed where another one can."""
    before = conf.read_text()
    if before:
        return "another one is used"
    bounds = "" if found.user else f"[containers]\n{BOUNDS}\n"
    conf.write_text(f'[engine]\nruntime = "{low}"\n{bounds}')
    done = found.run("run", "--rm", "--network", "host" if found.user else "none", image, "true")
    conf.write_text(f'[engine]\nruntime = "{low}"\n' if done.returncode == 0 else "")
    return "" if done.returncode == 0 else done.stderr


def make_python(root: Path) -> None:
    """This machine's own interpreter with what it loads, and no more."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(sys.base_prefix)
    library = base / "lib" / version
    unread = shutil.ignore_patterns(
        "test", "tests", "site-packages", "idlelib", "__pycache__", "*.a", "config-*", "ensurepip", "turtledemo"
    )
    shutil.copytree(library, root / library.relative_to("/"), ignore=unread, symlinks=True)
    for name in (version, "python3", "python"):
        (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
        (root / "usr/local/bin" / name).symlink_to(base / "bin" / version)
    loaded = [base / "bin" / version, *library.glob("lib-dynload/*.so")]
    found = subprocess.run(["ldd", *map(str, loaded)], check=False, capture_output=True, text=True).stdout
    needed = {word for word in found.split() if word.startswith("/") and not word.endswith(":")}
    for path in [str(base / "bin" / version), *needed]:
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    for folder in ("etc", "tmp"):
        (root / folder).mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/of-the-image").touch()


PYTHON = Image(("kedge.test/python:1",), make_python, f"2 {sys.version} {sys.base_prefix}", {"Cmd": ["python3"]})
