"""Pods of steps where a namespace enforces the *restricted* Pod Security Standard.

Nobody asks the namespace for its label: a cluster may enforce the standard without one, and a hub may have no right to read
namespaces. The API server refuses the first Pod and says why; that Pod is changed and made again, and later ones are made so at
once. Where nothing is enforced, Pods stay as they are: many images need to be root's.
"""

from kedge.kube.clock import Clock
from kedge.kube.kinds import Obj

USER = 65_532
"""Whose the processes of images are that name no user: nobody's in particular, as in images that are called *nonroot*."""
REMEMBERED = 600.0
"""Seconds for which a namespace counts as one that enforces the standard; it may stop to."""
_REFUSED = "violates PodSecurity "
_TMP = {"name": "kedge-tmp", "mountPath": "/tmp"}  # noqa: S108  # the container's own


class Restricted:
    """Which namespaces enforce the standard, as far as they have said.

    Args:
        clock: For how long that counts.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def __contains__(self, namespace: str) -> bool:
        return self._until.get(namespace, 0.0) > self._clock.monotonic()

    def learn(self, namespace: str, error: Exception) -> bool:
        """Take in why a Pod was refused; returns whether a Pod that keeps to the standard may be taken instead."""
        if namespace in self or _REFUSED not in str(error):
            return False
        self._until[namespace] = self._clock.monotonic() + REMEMBERED
        return True


def restrict(pod: Obj) -> None:
    """Change a Pod so that it keeps to the standard; what its author has said of users stays.

    All containers run as one user, so that each can read what another wrote. Python packages that a step installs, and its home,
    are in ``/tmp``, a volume: the image's own may be root's.

    Args:
        pod: Lists and mappings that it shares with other Pods are replaced, not changed.
    """
    spec = pod["spec"]
    (main,) = spec["containers"]
    said = main.get("securityContext") or {}
    user = said.get("runAsUser", USER)
    spec["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": user,
        "fsGroup": said.get("runAsGroup", user),
        "seccompProfile": {"type": "RuntimeDefault"},
        **(spec.get("securityContext") or {}),
    }
    spec["volumes"] = [*spec.get("volumes", ()), {"name": _TMP["name"], "emptyDir": {}}]
    spec["containers"] = [_restricted(main)]
    if before := spec.get("initContainers"):
        spec["initContainers"] = [_restricted(each) for each in before]


def _restricted(container: Obj) -> Obj:
    env, mounts = container.get("env", []), container.get("volumeMounts", [])
    locked = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    made = {**container, "securityContext": {**locked, **(container.get("securityContext") or {})}}
    if all(variable["name"] != "HOME" for variable in env):
        made["env"] = [*env, {"name": "HOME", "value": _TMP["mountPath"]}]
    if all(mount["mountPath"].rstrip("/") != _TMP["mountPath"] for mount in mounts):
        made["volumeMounts"] = [*mounts, _TMP]
    return made
