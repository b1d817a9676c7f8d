"""What this machine must have for a cluster of our own, and what is missing; on Debian, root gets it installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from go_programs import one_at_a_time

from kedge.config import Settings

# A file that says that a package is there: its package, in Debian's words.
PACKAGES = {
    "/usr/bin/containerd": "containerd",
    "/usr/sbin/runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/sbin/iptables": "iptables",
    "/usr/sbin/ip": "iproute2",
    "/usr/sbin/debootstrap": "debootstrap",
    "/usr/bin/gcc": "gcc",
    "/usr/bin/openssl": "openssl",
    "/usr/bin/buildah": "buildah",
}


def missing() -> str:
    """Why there can be no cluster of our own here, in one line; empty if there can. Installs Debian's packages where it may."""
    if sys.platform != "linux":
        return f"a cluster of our own needs Linux, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "a cluster of our own needs root"
    if shutil.which("go") is None:
        return "a cluster of our own needs Go, to build Kubernetes with"
    if wanted := _absent():
        if shutil.which("apt-get") is None:
            return f"a cluster of our own needs {', '.join(wanted)}"
        _install(wanted)
    return f"these could not be installed: {', '.join(left)}" if (left := _absent()) else ""


def _absent() -> list[str]:
    return [package for path, package in PACKAGES.items() if not Path(path).exists()]


def _install(packages: list[str]) -> None:
    with one_at_a_time("debian-packages"):
        environ = {**Settings.from_environment().environ, "DEBIAN_FRONTEND": "noninteractive"}
        options = ["-qq", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]
        subprocess.run(["apt-get", "update", "-qq"], check=False, env=environ, stdout=sys.stderr)
        subprocess.run(["apt-get", "install", *options, *packages], check=False, env=environ, stdout=sys.stderr)
