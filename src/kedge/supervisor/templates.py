"""The mount namespaces that containers' views are copied from, kept alive by nothing but a file descriptor each.

A template's root is a tmpfs into which the machine's top-level directories are bound; `/dev` and `/run` get a directory of
their own, with links to the machine's entries, so that `/dev/termination-log` and `/var/run/secrets` can be mounted where the
machine has neither. Two kinds: one as the machine is, and one that is read-only throughout, for Pods of plain Linux images.

The template is made again when the machine's root or `/run` has got or lost an entry.
"""

import contextlib
import ctypes
import os
import platform
import sys

from kedge.supervisor import view

_MS_UNBINDABLE, _MS_PRIVATE, _MS_SLAVE = 1 << 17, 1 << 18, 1 << 19
_MOUNT_SETATTR = 442  # the same everywhere
_AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 0x8000, 1
_HOST = "/.host"  # where the machine's /dev and /run are, for the links
_WATCHED = ("/", "/run")


class Templates:
    """Makes and keeps templates.

    Args:
        directory: An empty directory to build in; nothing is ever written to it.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._kept: dict[bool, tuple[tuple[int, ...], tuple[int, int]]] = {}
        self._users = -1
        self.refusal = "" if sys.platform.startswith("linux") else f"{platform.system()} has no mount namespaces"

    @property
    def users(self) -> str:
        """Path of the user namespace that all templates share; empty where root needs none, and before the first is made."""
        return f"/proc/{os.getpid()}/fd/{self._users}" if self._users >= 0 else ""

    def get(self, *, readonly: bool) -> tuple[int, int]:
        """File descriptors of the mount and user namespace (-1 as root); raises `view.ViewError`."""
        if self.refusal:
            raise view.ViewError(self.refusal)
        version = tuple(os.stat(path).st_mtime_ns for path in _WATCHED if os.path.isdir(path))
        kept = self._kept.get(readonly)
        if kept and kept[0] == version:
            return kept[1]
        made = self._make(readonly)
        if kept:
            os.close(kept[1][0])
        self._kept[readonly] = (version, made)
        return made

    def probe(self) -> str:
        """Why this machine cannot give containers their own view; empty when it can."""
        try:
            self.get(readonly=False)
        except view.ViewError as error:
            self.refusal = str(error)
        return self.refusal

    def _make(self, readonly: bool) -> tuple[int, int]:  # noqa: FBT001  # private
        """Build the template in a child process, which ends as soon as its namespaces are held here."""
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        ready, tell = os.pipe()
        wait, go = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                _build(self._directory, self._users, readonly=readonly)
                os.write(tell, b"+")
                os.close(go)
                os.read(wait, 1)
            except BaseException as error:  # noqa: BLE001  # nothing may leave this process but its message
                os.write(tell, str(error).encode())
            finally:
                os._exit(0)
        os.close(tell)
        os.close(wait)
        try:
            answer = os.read(ready, 4096).decode()
            if answer != "+":
                raise view.ViewError(answer or "the process that was to make it died")
            mounts = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            if self._users < 0 and os.geteuid():
                self._users = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(ready)
            os.close(go)
            os.waitpid(pid, 0)
        return mounts, self._users


def _build(root: str, users: int, *, readonly: bool) -> None:
    os.umask(0o022)
    user, group = os.geteuid(), os.getegid()
    if users >= 0:
        view.setns(users, view.CLONE_NEWUSER)
        view.unshare(view.CLONE_NEWNS)
    elif user:
        view.unshare(view.CLONE_NEWUSER | view.CLONE_NEWNS)
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    else:
        view.unshare(view.CLONE_NEWNS)
    view.mount(None, "/", flags=view.MS_REC | _MS_SLAVE)
    view.mount("kedge", root, kind="tmpfs", flags=0, data="mode=755,size=16m")
    view.mount(None, root, flags=_MS_UNBINDABLE)  # so that binding the directory that it lies in does not bind it into itself
    for name in os.listdir("/"):
        if name not in {"dev", "run"}:
            view.expose("/" + name, f"{root}/{name}")
    view.mount(None, root, flags=_MS_PRIVATE)
    _linked(root, "dev", ("termination-log",))
    _linked(root, "run", ())
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        os.mkdir(f"{root}/run/secrets")
    if readonly:
        _make_readonly(root)
        shared_memory = f"{root}{_HOST}/dev/shm"  # noqa: S108  # which is covered by one of its own
        if os.path.isdir(shared_memory):
            view.mount("kedge", shared_memory, kind="tmpfs", flags=0, data="mode=1777")
    os.mkdir(root + view.OWN_ROOT)
    view.pivot(root)


def _linked(root: str, name: str, extra: tuple[str, ...]) -> None:
    """Show a directory of the machine as links to its entries, in a directory that can take further names."""
    if not os.path.isdir("/" + name):
        return
    behind = f"{root}{_HOST}/{name}"
    os.makedirs(behind)
    view.mount("/" + name, behind, flags=view.MS_BIND | view.MS_REC)
    os.mkdir(f"{root}/{name}")
    for entry in os.listdir("/" + name):
        os.symlink(f"{_HOST}/{name}/{entry}", f"{root}/{name}/{entry}")
    for entry in extra:
        path = f"{root}/{name}/{entry}"
        if os.path.lexists(path):
            os.unlink(path)
        os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o666))


def _make_readonly(root: str) -> None:
    """Make every mount under ``root`` read-only, the root itself excepted: mount points are still made in it."""
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY, 0, 0, 0)
    for name in [*os.listdir(root), _HOST[1:] + "/dev", _HOST[1:] + "/run"]:
        path = f"{root}/{name}"
        if not os.path.ismount(path) or os.path.islink(path):
            continue
        arguments = (-100, os.fsencode(path), _AT_RECURSIVE, ctypes.byref(attributes), ctypes.sizeof(attributes))
        view.check(libc.syscall(_MOUNT_SETATTR, *arguments), f"make {path} read-only (Linux 5.12 or newer can)")
