"""Whose processes a container's are: what ``securityContext`` says of users and groups, and what this host makes of it.

Where Kedge was started by root, a container may be anybody's. What the node makes for such a Pod is handed over to its user:
the places that are its own, the tokens, and what lies behind directories of root's that the user could not pass through.
"""

import os
import pwd
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kedge.kube.kinds import Obj
from kedge.node.refusals import Host, Refusal
from kedge.supervisor.view import closed_to, may_pass

HOME = "/kedge/home"
"""The home of containers of another user than Kedge's, where they have a view of their own."""
_ABOUT_USERS = ("runAsUser", "runAsGroup", "fsGroup", "supplementalGroups")
# Volumes whose files belong to the Pod's group; others are shared, or nobody's to write.
_GROUPED = ("emptyDir", "persistentVolumeClaim", "ephemeral")
_SET_GROUP_ID = 0o2000


@dataclass(frozen=True, slots=True)
class User:
    """Whom a container's processes become.

    Attributes:
        uid: The user.
        gid: Its group.
        groups: Further groups.
    """

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    def as_spec(self) -> Obj:
        """As the supervisor takes it."""
        return {**asdict(self), "groups": list(self.groups)}


def of_container(spec: Obj, container: Obj, host: Host) -> User | None:
    """Whom a container's processes become; ``None`` where that is who started Kedge, with the same groups."""
    pod, own = spec.get("securityContext") or {}, container.get("securityContext") or {}
    said = {name: value for name in _ABOUT_USERS if (value := own.get(name, pod.get(name))) is not None}
    if host.user != 0 or not said:
        return None  # who is not root changes nothing: `refusals` has seen to it that nothing has to be changed
    uid = said.get("runAsUser", host.user)
    gid, member_of = (host.groups[0], host.groups) if uid == host.user else _of_machine(uid)
    gid = said.get("runAsGroup", gid)
    further = {*said.get("supplementalGroups", ()), *([said["fsGroup"]] if "fsGroup" in said else ())}
    if pod.get("supplementalGroupsPolicy") != "Strict":
        further |= set(member_of)
    return User(uid, gid, tuple(sorted(further - {gid})))


def _of_machine(uid: int) -> tuple[int, tuple[int, ...]]:
    """Group and groups of a user of this machine; one that it does not know has a group of its own number."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return uid, ()
    return entry.pw_gid, tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))


def of_pod(spec: Obj, host: Host) -> set[User | None]:
    """Whom the processes of a Pod's containers become."""
    return {of_container(spec, each, host) for field in ("initContainers", "containers") for each in spec.get(field) or ()}


def hand_over(spec: Obj, directory: Path, volumes: dict[str, Path], host: Host) -> None:
    """Give a Pod's users what was made for it: its ``/tmp``, its volumes, its tokens.

    Args:
        spec: The Pod's spec.
        directory: The Pod's own directory.
        volumes: Its volumes' directories, by name.
        host: Where it runs.
    """
    users = of_pod(spec, host)
    if users == {None}:
        return
    directory.chmod(0o711)  # without views, its user finds its places in it by their names
    (directory / "tmp").chmod(0o1777)
    owners = {user.uid if user else host.user for user in users}
    owner = owners.pop() if len(owners) == 1 else host.user
    group = (spec.get("securityContext") or {}).get("fsGroup")
    on_mismatch = (spec.get("securityContext") or {}).get("fsGroupChangePolicy") == "OnRootMismatch"
    for volume in spec.get("volumes") or ():
        path = volumes[volume["name"]]
        if "emptyDir" in volume:
            os.chown(path, owner, -1)
            path.chmod(0o777)
        elif path.parent == directory:  # a Secret, a token, fields of the Pod: this Pod's alone
            _open_files(path, owner, group)
        elif "configMap" in volume:
            path.chmod(path.stat().st_mode | 0o055)
        readonly = (volume.get("persistentVolumeClaim") or {}).get("readOnly")
        if group is not None and not readonly and any(kind in volume for kind in _GROUPED):
            _give_group(path, group, on_mismatch=on_mismatch)


def _open_files(top: Path, owner: int, group: int | None) -> None:
    """Let a Pod's users read files that nobody else can see; what they may not read by their modes stays so."""
    for place, _, names in os.walk(top):
        os.chown(place, owner, -1 if group is None else group)
        Path(place).chmod(0o755)
        for name in names:
            file = Path(place) / name
            os.chown(file, owner, -1 if group is None else group)
            if group is not None:
                file.chmod(stat.S_IMODE(file.stat().st_mode) | 0o040)


def _give_group(top: Path, group: int, *, on_mismatch: bool) -> None:
    """Make a volume and everything in it the group's, what will be made in it included."""
    found = top.stat()
    if on_mismatch and found.st_gid == group and found.st_mode & _SET_GROUP_ID and found.st_mode & 0o070 == 0o070:
        return
    for _, _, names, place in os.fwalk(top):
        os.fchown(place, -1, group)
        os.fchmod(place, stat.S_IMODE(os.fstat(place).st_mode) | _SET_GROUP_ID | 0o070)
        for name in names:
            try:  # by descriptors: a volume's other users may put links to files of root's in its place at any moment
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
            except OSError:
                continue  # a link, or a socket
            mode = os.fstat(fd).st_mode
            if stat.S_ISREG(mode):
                os.fchown(fd, -1, group)
                os.fchmod(fd, stat.S_IMODE(mode) | 0o060)
            os.close(fd)


def home_of(user: User, directory: Path) -> Path:
    """A home in a Pod's directory that belongs to a user."""
    home = directory / f"home-{user.uid}"
    home.mkdir(mode=0o700, exist_ok=True)
    os.chown(home, user.uid, user.gid)
    return home


def ways_of(python: Path) -> list[str]:
    """What a process of an environment must find: the environment, and the interpreter that it was made from."""
    return [str(python), str((python / "bin" / "python").resolve().parent.parent)]


def check_ways(paths: list[str], user: User, *, private: bool) -> None:
    """Make sure that a user can read what its program is made of.

    Args:
        paths: Files and directories.
        user: Who.
        private: Whether closed directories around them are no obstacle.

    Raises:
        Refusal: One is closed to it.
    """
    who: dict[str, Any] = user.as_spec()
    for path in paths:
        real = Path(path).resolve()
        closed = "" if private else closed_to(str(real), who)
        if not closed and real.is_dir() and not may_pass(str(real), who):
            closed = str(real)
        if closed:
            why = f"securityContext.runAsUser: user {user.uid} may not pass through {closed}, so it cannot reach {path}"
            raise Refusal("ClosedToUser", f"{why}. Open it (chmod o+x {closed}), or remove runAsUser.")
