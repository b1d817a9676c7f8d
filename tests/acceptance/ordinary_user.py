"""An ordinary user for tests that root runs: known in a mount namespace alone, so that nothing of it is left on the machine.

In that namespace ``/etc/passwd`` and its like say who it is and which further ids it may hand out, and what root's closed home
holds of what these tests run lies in a home that is open.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import kedge
from kedge import host as hosts
from kedge.config import Settings
from kedge.errors import StateError
from kedge.testing.host import RunningHost, settings_of

NAME = "ordinary"
UID = 2_000_000 + os.getpid()
"""This test session's alone, so that whatever has it may be ended."""
FIRST, MANY = 1_000_000_000, 65536
"""Further ids, which containers of its podman have."""
NEEDED = ("unshare", "setpriv", "mount", "newuidmap", "newgidmap")
ENTER = """#!/bin/sh -e
test -n "$INSIDE" || exec env INSIDE=1 unshare --mount --propagation private "$0" "$@"
mount --make-rshared /
for name in passwd group subuid subgid; do mount --bind {place}/etc/$name /etc/$name; done
{homes}
exec env -u INSIDE setpriv --reuid {uid} --regid {uid} --clear-groups --inh-caps=-all -- "$@"
"""


@dataclass
class User:
    """The user.

    Attributes:
        place: A folder of its own, which goes with it.
        environ: Its variables.
    """

    place: Path
    environ: Mapping[str, str]

    def command(self, *words: str) -> list[str]:
        """A command of root's that runs another one as this user."""
        return [str(self.place / "enter"), *words]

    @contextlib.contextmanager
    def host(self, environ: Mapping[str, str]) -> Generator[RunningHost]:
        """A whole host that this user has started, ended afterwards with everything that it started.

        Args:
            environ: Variables on top of the user's own.
        """
        home = Path(tempfile.mkdtemp(prefix="k-", dir=self.place))
        os.chown(home, UID, UID)
        settings = settings_of(home, {**self.environ, **environ, "KEDGE_CACHE": str(self.place / "cache")})
        host = UsersHost(settings, user=self)
        try:
            host.start()
            yield host
        finally:
            host.end()
            hosts.stop_supervisor(home)


@dataclass
class UsersHost(RunningHost):
    """A host of a user.

    Attributes:
        user: Whose.
    """

    user: User = field(kw_only=True)

    def start(self) -> None:
        """See `RunningHost`."""
        told = self.cli("up", "--detach", *self.options)
        found = hosts.find(self.settings)
        if found is None:
            raise StateError(f"{told.stdout}{told.stderr}")
        self.host = found

    def cli(self, *arguments: str, timeout: float = 120, check: bool = False) -> "subprocess.CompletedProcess[str]":
        """See `RunningHost`."""
        command = self.user.command(sys.executable, "-P", "-m", "kedge.cli.main", *arguments)
        return subprocess.run(
            command,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            timeout=timeout,
            check=check,
        )


@contextlib.contextmanager
def ordinary_user() -> Generator[User]:
    """A user without rights, and without a session of systemd; the test is skipped, with the reason, where nobody can be made."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"only root makes an ordinary user, with {', '.join(missing or NEEDED)}")
    place = Path(tempfile.mkdtemp(prefix="kedge-user-"))
    try:
        place.chmod(0o755)
        _write(place)
        inherited = Settings.from_environment().environ
        environ = {"PATH": inherited.get("PATH", os.defpath), "HOME": f"{place}/home", "USER": NAME, "LOGNAME": NAME}
        user = User(place, {**environ, "XDG_RUNTIME_DIR": f"{place}/run"})
        done = subprocess.run(user.command("id", "-un"), env=user.environ, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a mount namespace, in which an ordinary user is known, cannot be made here: {done.stderr.strip()}")
        assert done.stdout.strip() == NAME
        yield user
    finally:
        _end_all()
        shutil.rmtree(place, ignore_errors=True)


def _end_all() -> None:
    """End what the user has left running, such as the process that keeps podman's namespaces."""
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if f"\nUid:\t{UID}\t" in status.read_text():
                os.kill(int(status.parent.name), signal.SIGKILL)


def _write(place: Path) -> None:
    for name in ("home", "run", "cache"):
        (place / name).mkdir(mode=0o700)
        os.chown(place / name, UID, UID)
    (place / "etc").mkdir()
    for name, line in (("passwd", f"{NAME}:x:{UID}:{UID}::{place}/home:/bin/sh"), ("group", f"{NAME}:x:{UID}:")):
        (place / "etc" / name).write_text(Path("/etc", name).read_text() + line + "\n")
    for name in ("subuid", "subgid"):
        (place / "etc" / name).write_text(f"{NAME}:{FIRST}:{MANY}\n")
    enter = place / "enter"
    enter.write_text(ENTER.format(place=place, uid=UID, homes="\n".join(_opened(place))))
    enter.chmod(0o755)


def _opened(place: Path) -> Iterator[str]:
    """Commands that show a closed home open, and in it what these tests run of alone: the interpreter, its packages, Kedge."""
    wanted = {Path(each).resolve() for each in (sys.base_prefix, sys.prefix, Path(kedge.__file__).parents[1])}
    closed: dict[Path, list[Path]] = {}
    for each in sorted(wanted):
        for above in [above for above in reversed(each.parents) if not above.stat().st_mode & 0o001][:1]:
            closed.setdefault(above, []).append(each)
    for count, (home, inside) in enumerate(closed.items()):
        kept = {each: place / f"kept-{count}-{number}" for number, each in enumerate(inside)}
        for each, aside in kept.items():
            aside.mkdir()
            yield f"mount --bind {shlex.quote(str(each))} {aside}"
        yield f"mount -t tmpfs -o mode=755 none {shlex.quote(str(home))}"
        for each, aside in kept.items():
            yield f"mkdir -p {shlex.quote(str(each))}"
            yield f"mount --bind {aside} {shlex.quote(str(each))}"
