"""Volumes that are files of this machine: those that who started Kedge allows, checked as the kubelet checks them.

Nothing that others put in its way leads out of what is allowed: the place is looked up link by link, here and again when it is
mounted.
"""

import os
import stat
from pathlib import Path

from kedge.kube.kinds import Obj
from kedge.node.env import MissingError
from kedge.node.refusals import Refusal, allowed_above
from kedge.supervisor import view

_KINDS = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "File": (lambda mode: not stat.S_ISDIR(mode), "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}
_CREATED = "OrCreate"


def found(source: Obj, allowed: tuple[str, ...]) -> tuple[Path, str]:
    """Where a volume lies, made where its type asks for that.

    Args:
        source: The volume's ``hostPath``.
        allowed: Directories of this machine that Pods may have.

    Returns:
        The place, and the directory that it must not be led out of.

    Raises:
        MissingError: It is not what its type says; the Pod waits for it.
        Refusal: It is in no directory that Pods may have.
    """
    place, kind = os.path.normpath(source["path"]), source.get("type") or ""
    above = allowed_above(place, allowed)
    if above is None:
        raise Refusal("UnsupportedField", f"hostPath {place}: Pods may not have it here. KEDGE_HOST_PATHS says what they may.")
    top = os.path.realpath(above)  # it may be a link itself: who started Kedge has said so
    inside = os.path.relpath(place, above)
    try:
        mode = _mode(top, inside, kind)
    except OSError as error:
        raise MissingError(_failed(place, f"{error.strerror}, looked for in {above}, which KEDGE_HOST_PATHS allows")) from error
    if kind:
        fits, what = _KINDS[kind.removesuffix(_CREATED)]
        if mode is None or not fits(mode):
            raise MissingError(_failed(place, f"is not {what}"))
    return Path(os.path.normpath(f"{top}/{inside}")), top


def _failed(place: str, why: str) -> str:
    return f"hostPath type check failed: {place} {why}"


def _mode(top: str, inside: str, kind: str) -> int | None:
    """What lies there, which is made where it may be; ``None`` where there is nothing."""
    try:
        return _look(top, inside)
    except FileNotFoundError:
        if kind == f"File{_CREATED}":
            _make_file(top, inside)
        elif kind in {"", f"Directory{_CREATED}"}:  # without a type, a cluster's runtime makes a directory
            _make_directory(top, inside)
        else:
            return None
    return _look(top, inside)


def _look(top: str, inside: str) -> int:
    fd = view.open_inside(top, inside)
    try:
        return os.fstat(fd).st_mode
    finally:
        os.close(fd)


def _make_directory(top: str, inside: str) -> None:
    fd = view.open_inside(top, inside, make=True)
    try:
        os.chmod(f"/proc/self/fd/{fd}", 0o755)  # noqa: S103, PTH101  # as on a cluster
    finally:
        os.close(fd)


def _make_file(top: str, inside: str) -> None:
    above = view.open_inside(top, os.path.dirname(inside))  # noqa: PTH120  # it need not be there
    try:
        name = os.path.basename(inside)  # noqa: PTH119
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=above))
    finally:
        os.close(above)
