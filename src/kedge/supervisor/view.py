"""A container's own view of the file system: what happens between fork and the user's first instruction.

The supervisor keeps a *template*: a mount namespace whose root is a small tmpfs with the machine's top-level directories bound
into it (`templates.py`). A container enters a copy of it and adds its own few mounts, so nothing is written to the machine's
root and a ``mountPath`` may lie where the machine has no such directory. That costs about 0.3 ms.

This file also runs inside warm interpreters, under the step's own Python: syntax and library of Python 3.8, nothing of Kedge
imported.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
CLONE_NEWUTS = 0x04000000
_KINDS = {CLONE_NEWNS: "mount", CLONE_NEWUSER: "user", CLONE_NEWNET: "network"}
MS_RDONLY = 1
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
_NO_DEVICES = 2 | 4  # nor programs that give rights
# Flags that a mount may carry and that a change of it must repeat (statvfs's bits are mount's, but for the last).
_KEPT_FLAGS = 2 | 4 | 8 | 1024 | 2048
_ST_RELATIME, _MS_RELATIME = 4096, 1 << 21
OWN_ROOT = "/.own"
"""In a template: where a container that needs places in a root of its own mounts that."""
# Where our own places are, in every step alike: these need no root of their own.
_OURS = "kedge"
# Where programs look for what a Pod is given, and take a directory that is there for a sign: what one container has here, no
# other sees, our own place apart.
_GIVEN, _GIVEN_BY_US = "/run/secrets/", "/run/secrets/kedge.dev"
# pivot_root has no wrapper in libc; the numbers are each architecture's own.
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217, "armv7l": 218, "i686": 217}
# Opened as a place to mount, whatever it is, a link itself included; absent on systems without views.
_PLACE = getattr(os, "O_PATH", 0) | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40  # on one way, as the kernel has it
# A directory with more entries than this is not copied entry by entry to add one name to it.
_MOST_ENTRIES = 4096

_libc = ctypes.CDLL(None, use_errno=True)


class ViewError(Exception):
    """The view that a container asks for cannot be made; says which mount and why."""


def check(result: int, what: str) -> None:
    """Raise `OSError` for a failed C call.

    Args:
        result: What the call returned.
        what: What was attempted, for the message.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str | None, target: str, *, flags: int, kind: str | None = None, data: str | None = None) -> None:
    """Make a mount with the system call of that name; raises `OSError` with both paths in its message."""
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    result = _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    check(result, f"mount {source} on {target}")


def unshare(flags: int) -> None:
    """Leave the namespaces shared with the parent."""
    check(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    """Enter the namespace that a descriptor stands for, which is of a kind."""
    check(_libc.setns(fd, kind), f"enter the {_KINDS[kind]} namespace")


def unmount(target: str) -> None:
    """Detach a mount, whoever still uses it."""
    check(_libc.umount2(os.fsencode(target), 2), f"unmount {target}")


def enter(fds: tuple[int, int, int], spec: dict[str, Any]) -> None:
    """Move this process, which has one thread, into its own view.

    Args:
        fds: The template's mount and user namespaces, and the Pod's network; the second is -1 where root needs none, the third
            where the machine's network is the Pod's.
        spec: The container's spec: reads ``mounts``, ``tmp``, ``keep``, ``readonly``, ``hidden``, ``user``, ``reach`` and
            ``network``.

    Raises:
        ViewError: A mount cannot be made.
    """
    try:
        _enter_namespaces(fds, spec)
        unshare(CLONE_NEWNS)
    except OSError as error:
        raise ViewError(f"the private view of the file system: {error.strerror}") from error
    mounts = sorted(spec.get("mounts") or (), key=lambda entry: entry["target"].count("/"))
    if any(_is_new(entry["target"].split("/")[1]) for entry in mounts):
        _own_root()
    writable = bool(spec.get("readonly"))  # under a read-only root, what is meant to be writable must be made so
    placed: list[str] = []
    user = spec.get("user")
    tmp = spec.get("tmp")
    if tmp:
        with origin(tmp if isinstance(tmp, dict) else {"source": tmp, "target": "/tmp"}) as source:  # noqa: S108
            _own_tmp(source, spec.get("keep") or (), writable=writable)
        placed.append("/tmp")  # noqa: S108
    for entry in mounts:
        target = entry["target"]
        placed.append(target)
        if entry.get("upper") and _overlay(entry):
            if user:
                _give(entry.get("give") or (), user)
            continue
        with origin(entry) as source:
            _bind(source, target, placed=placed[:-1], readonly=bool(entry.get("readonly")), writable=writable)
        if entry.get("tmpfs"):
            _hold_in_memory(target, entry["tmpfs"])
    for entry in spec.get("hidden") or ():
        _hide(entry["path"], [*entry["but"], *placed])
    if user and user["uid"] != 0:
        _open_ways([*(spec.get("reach") or ()), *placed], user)
    mount(None, "/", flags=MS_BIND | MS_REMOUNT | MS_RDONLY)


def join(fds: tuple[int, int, int], spec: dict[str, Any]) -> None:
    """Move this process, which has one thread, into the view that a container has already.

    Args:
        fds: The container's mount, user and network namespaces; the second and the third are -1 where it has none of its own.
        spec: The container's: reads ``network``.

    Raises:
        ViewError: It cannot be entered.
    """
    try:
        _enter_namespaces(fds, spec)
    except OSError as error:
        raise ViewError(f"the container's view of the file system: {error.strerror}") from error


def _enter_namespaces(fds: tuple[int, int, int], spec: dict[str, Any]) -> None:
    mounts, users, network = fds
    if users >= 0:
        setns(users, CLONE_NEWUSER)
    if network >= 0:
        setns(network, CLONE_NEWNET)
        unshare(CLONE_NEWUTS)
        socket.sethostname(spec["network"]["hostname"])
    setns(mounts, CLONE_NEWNS)


def _is_new(name: str) -> bool:
    """Whether the root has no such entry, and other containers shall not find one that was made for this."""
    return name not in ("", _OURS) and not os.path.lexists("/" + name)


def _own_root() -> None:
    """Have a root that is not shared with the template, to make places in that are seen in this container alone."""
    try:
        mount("kedge", OWN_ROOT, kind="tmpfs", flags=0, data="mode=755,size=16m")
        for name in os.listdir("/"):
            if "/" + name != OWN_ROOT:
                expose("/" + name, f"{OWN_ROOT}/{name}")
        pivot(OWN_ROOT)
    except OSError as error:
        raise ViewError(f"a root of its own: {error.strerror}") from error


def pivot(root: str) -> None:
    """Make a mounted directory the root, and let go of the old one."""
    machine = os.uname().machine
    number = _PIVOT_ROOT.get(machine)
    if number is None:
        raise ViewError(f"the number of pivot_root on {machine} is not known here")
    os.chdir(root)
    os.mkdir(".old", 0o700)
    check(_libc.syscall(number, b".", b".old"), "pivot_root")
    os.chroot(".")
    unmount("/.old")
    os.rmdir("/.old")


@contextlib.contextmanager
def origin(entry: dict[str, Any]) -> Generator[str]:
    """What a mount shows: its source, or what lies inside that, held so that nobody can put something else in its place."""
    with source_of(entry) as source:
        if not entry.get("inside"):
            yield source
            return
        try:
            fd = open_inside(source, entry["inside"])
        except OSError as error:
            raise ViewError(f"mountPath {entry['target']}: subPath {entry['inside']!r}: {error.strerror}") from error
        try:
            yield f"/proc/self/fd/{fd}"
        finally:
            os.close(fd)


@contextlib.contextmanager
def source_of(entry: dict[str, Any]) -> Generator[str]:
    """The source of a mount, to which no link leads out of what it must lie beneath."""
    if not entry.get("beneath"):
        yield entry["source"]
        return
    try:
        fd = open_inside(entry["beneath"], os.path.relpath(entry["source"], entry["beneath"]))
    except OSError as error:
        raise ViewError(f"mountPath {entry['target']}: {entry['source']}: {error.strerror}") from error
    try:
        # With a dot behind it a directory's name is no link, and may be the beginning of another way.
        yield f"/proc/self/fd/{fd}/." if stat.S_ISDIR(os.fstat(fd).st_mode) else f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def open_inside(top: str, inside: str, *, make: bool = False) -> int:
    """Open a path in a directory to which others may write at the same time: nothing that they put in its way leads outside.

    Links are followed as long as they stay inside, as on a cluster.

    Args:
        top: The directory.
        inside: The path in it.
        make: Make directories that are missing, with the mode of the one around them.

    Returns:
        A descriptor of the place (``O_PATH``).

    Raises:
        OSError: There is nothing, or a link leads outside.
    """
    way = [os.open(top, _PLACE | os.O_DIRECTORY)]  # held one by one: ``..`` goes back on the way, wherever a place was moved to
    due, links = inside.split("/")[::-1], 0
    try:
        while due:
            name = due.pop()
            if name == ".." and len(way) > 1:
                os.close(way.pop())
            elif name == "..":
                raise OSError(errno.EXDEV, "a link in it leads out of the volume")
            elif name not in ("", "."):
                way.append(_open_one(way[-1], name, make=make))
                if stat.S_ISLNK(os.fstat(way[-1]).st_mode):
                    link, links = way.pop(), links + 1
                    words = os.readlink("", dir_fd=link)
                    os.close(link)
                    if words.startswith("/") or links > _MOST_LINKS:
                        raise OSError(errno.EXDEV, "a link in it leads out of the volume")
                    due += words.split("/")[::-1]
        return way.pop()
    finally:
        for fd in way:
            os.close(fd)


def _open_one(directory: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _PLACE, dir_fd=directory)
    except FileNotFoundError:
        if not make:
            raise
    mode = stat.S_IMODE(os.fstat(directory).st_mode)
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=directory)
        made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.fchmod(made, mode)  # whatever the umask is
        finally:
            os.close(made)
    return os.open(name, _PLACE, dir_fd=directory)


def _own_tmp(source: str, keep: Iterable[str], *, writable: bool) -> None:
    """Cover ``/tmp``, and show in it what must stay visible of the machine's: the data directory of a test lies there."""
    kept = [path for path in keep if path.startswith("/tmp/")]  # noqa: S108
    behind = [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in kept]
    try:
        _bind(source, "/tmp", placed=[], writable=writable)  # noqa: S108
        for fd, path in zip(behind, kept):  # noqa: B905  # strict is newer than Python 3.8
            _bind(f"/proc/self/fd/{fd}", path, placed=["/tmp"])  # noqa: S108
    finally:
        for fd in behind:
            os.close(fd)


def _overlay(entry: dict[str, Any]) -> bool:
    """Show a directory so that what is written to it goes elsewhere; False where overlays cannot be mounted."""
    options = ",".join(
        f"{name}={_escaped(entry[key])}" for name, key in (("lowerdir", "source"), ("upperdir", "upper"), ("workdir", "work"))
    )
    for extra in ("", ",userxattr"):  # the second is what a user namespace is allowed
        try:
            mount("kedge", entry["target"], kind="overlay", flags=0, data=options + extra)
        except OSError:
            continue
        return True
    return False


def _escaped(path: str) -> str:
    """A path as an overlay's options take it, where commas and colons separate."""
    for separator in "\\,:":
        path = path.replace(separator, "\\" + separator)
    return path


def _hold_in_memory(target: str, options: str) -> None:
    try:
        mount("kedge", target, kind="tmpfs", flags=_NO_DEVICES, data=options)
    except OSError as error:
        raise ViewError(f"mountPath {target}: {error.strerror}") from error


def _give(paths: Iterable[str], user: dict[str, Any]) -> None:
    """Let the user add files to directories of an overlay."""
    for path in paths:
        if os.path.isdir(path):
            os.chown(path, user["uid"], user["gid"])


def _open_ways(paths: Iterable[str], user: dict[str, Any]) -> None:
    """Let the user reach paths that lie behind directories closed to it, such as root's home, and see nothing else of these."""
    wanted = sorted({os.path.realpath(path) for path in paths if os.path.exists(path)})
    while True:
        behind: dict[str, list[str]] = {}
        for path in wanted:
            closed = closed_to(path, user)
            if closed and not any(path.startswith(other + "/") for other in behind.get(closed, ())):
                behind.setdefault(closed, []).append(path)
        if not behind:
            return
        for closed, inside in behind.items():
            _cover(closed, inside)


def _hide(path: str, but: Iterable[str]) -> None:
    """Cover a directory, and what was mounted in it by another name, so that nothing of it is seen but some of its paths."""
    directory = os.path.realpath(path)
    if not os.path.isdir(directory):
        return
    found = sorted({os.path.realpath(each) for each in but if os.path.exists(each)})
    inside = [each for each in found if each.startswith(directory + "/")]
    outermost = [each for each in inside if not any(each.startswith(other + "/") for other in inside)]
    try:
        _cover(directory, outermost)
        mount(None, directory, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)
    except OSError as error:
        raise ViewError(f"cover {directory}: {error.strerror}") from error


def _cover(directory: str, inside: list[str]) -> None:
    """Cover a directory with one that holds nothing but some of its paths, and that everybody may pass through."""
    held = [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in inside]
    try:
        mount("kedge", directory, kind="tmpfs", flags=0, data="mode=755,size=1m")
        for fd, path in zip(held, inside):  # noqa: B905  # strict is newer than Python 3.8
            _bind(f"/proc/self/fd/{fd}", path, placed=[directory])
    finally:
        for fd in held:
            os.close(fd)


def closed_to(path: str, user: dict[str, Any]) -> str:
    """The first directory on the way to a path that a user may not pass through; empty when it may pass through all.

    Args:
        path: An absolute path without links.
        user: ``uid``, ``gid`` and ``groups``.
    """
    way = "/"
    for name in path.split("/")[1:]:
        if not may_pass(way, user):
            return way
        way = os.path.join(way, name)
    return ""


def may_pass(directory: str, user: dict[str, Any]) -> bool:
    """Whether a user may pass through a directory, as far as its mode says.

    Args:
        directory: Its path.
        user: ``uid``, ``gid`` and ``groups``.
    """
    found = os.stat(directory)
    may = 0o001
    if found.st_uid == user["uid"]:
        may = 0o100
    elif found.st_gid == user["gid"] or found.st_gid in user["groups"]:
        may = 0o010
    return bool(found.st_mode & may)


def _bind(source: str, target: str, *, placed: list[str], readonly: bool = False, writable: bool = False) -> None:
    try:
        try:
            mount(source, target, flags=MS_BIND | MS_REC)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
            _make_target(target, placed, directory=os.path.isdir(source))
            mount(source, target, flags=MS_BIND | MS_REC)
        if readonly or writable:
            have = os.statvfs(target).f_flag
            flags = MS_BIND | MS_REMOUNT | (have & _KEPT_FLAGS) | (_MS_RELATIME if have & _ST_RELATIME else 0)
            mount(None, target, flags=flags | (MS_RDONLY if readonly else 0))
    except OSError as error:
        raise ViewError(f"mountPath {target}: {error.strerror}") from error


def _make_target(target: str, placed: list[str], *, directory: bool) -> None:
    """Make the place to mount on, without writing to the machine's own directories."""
    path = os.path.realpath(target)
    ancestor = os.path.dirname(path)
    while not os.path.isdir(ancestor):
        if os.path.lexists(ancestor) and not os.path.isdir(ancestor):  # another step of this template may just have made it
            raise OSError(errno.ENOTDIR, f"{ancestor} is not a directory")
        ancestor = os.path.dirname(ancestor)
    ours = os.stat(ancestor).st_dev == os.stat("/").st_dev or any(
        ancestor == root or ancestor.startswith(root + "/") for root in (os.path.realpath(name) for name in placed)
    )
    if not ours or (path.startswith(_GIVEN) and path != _GIVEN_BY_US and ancestor.startswith(_GIVEN[:-1])):
        _shadow(ancestor)
    if directory:
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o644))


def _shadow(directory: str) -> None:
    """Cover a directory of the machine with a tmpfs that has the same entries, so that names can be added."""
    names = os.listdir(directory)
    if len(names) > _MOST_ENTRIES:
        raise OSError(errno.E2BIG, f"{directory} has {len(names)} entries; mount inside a directory of its own")
    behind = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mode = stat.S_IMODE(os.fstat(behind).st_mode)
        mount("kedge", directory, kind="tmpfs", flags=0, data=f"mode={mode:o},size=1m")
        for name in names:
            expose(f"/proc/self/fd/{behind}/{name}", os.path.join(directory, name))
    finally:
        os.close(behind)


def expose(source: str, target: str) -> None:
    """Make ``target``, which is not there yet, show what ``source`` shows."""
    try:
        mode = os.lstat(source).st_mode
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(source), target)
            return
        if stat.S_ISDIR(mode):
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_CLOEXEC, 0o600))
        mount(source, target, flags=MS_BIND | MS_REC)
    except PermissionError:
        return  # what this user may not look at is not shown
    except FileNotFoundError:
        return  # gone meanwhile
