"""How a Pod reaches the API as its service account: the volume that it is given for it, and whether it is given one.

Clients look for it at one place, whatever cluster they are in (``load_incluster_config()``, ``rest.InClusterConfig()``): a token,
the API's authority and the Pod's namespace. Names and rules are Kubernetes' own, of its admission plugin ServiceAccount.
"""

from collections.abc import Iterator

from kedge.kube.kinds import Obj

DEFAULT = "default"
"""The account of Pods that name none; every namespace has it."""
ROOT_CA, CA_KEY = "kube-root-ca.crt", "ca.crt"
"""The ConfigMap that every namespace has, and its key: the authority by which the API is known."""
PLACE = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where clients look."""
PREFIX = "kube-api-access-"
"""How the names of such volumes begin."""
_SECONDS = 3607  # by which a token is known as one that nobody asked for
_MODE = 0o644


def asked_for(account: Obj, pod: Obj) -> bool | None:
    """What a Pod or else its account says about access; ``None`` where neither does, and access is given.

    Examples:
        >>> asked_for({"automountServiceAccountToken": False}, {"spec": {"automountServiceAccountToken": True}})
        True
    """
    own = pod["spec"].get("automountServiceAccountToken")
    return account.get("automountServiceAccountToken") if own is None else own


def mount(pod: Obj, suffix: str) -> None:
    """Give each container of a Pod access, unless it has something else at that place; in place.

    Args:
        pod: The Pod.
        suffix: The end of the volume's name, where the Pod has none yet.
    """
    spec = pod["spec"]
    volumes: list[Obj] = spec.get("volumes") or []
    name = next((each["name"] for each in volumes if each["name"].startswith(PREFIX)), "")
    lacking = [each for each in _containers(spec) if all(there["mountPath"] != PLACE for there in each.get("volumeMounts") or ())]
    for container in lacking:
        made = {"name": name or PREFIX + suffix, "readOnly": True, "mountPath": PLACE}
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), made]
    if lacking and not name:
        spec["volumes"] = [*volumes, {"name": PREFIX + suffix, "projected": _sources()}]


def has_access(container: Obj) -> bool:
    """Whether a container finds access at its place."""
    return any(_is_access(each) for each in container.get("volumeMounts") or ())


def without_access(container: Obj) -> Obj:
    """A container without it, for machines where nothing can be put at that place."""
    if not has_access(container):
        return container
    return {**container, "volumeMounts": [each for each in container["volumeMounts"] if not _is_access(each)]}


def _is_access(made: Obj) -> bool:
    return made["mountPath"] == PLACE and made["name"].startswith(PREFIX)


def _containers(spec: Obj) -> Iterator[Obj]:
    yield from spec.get("initContainers") or ()
    yield from spec["containers"]


def _sources() -> Obj:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": _SECONDS, "path": "token"}},
            {"configMap": {"name": ROOT_CA, "items": [{"key": CA_KEY, "path": CA_KEY}]}},
            {"downwardAPI": {"items": [namespace]}},
        ],
        "defaultMode": _MODE,
    }
