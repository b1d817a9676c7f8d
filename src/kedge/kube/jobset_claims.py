"""The claims that a JobSet has made for its Pods: their rules, in the words of the JobSet project, and who mounts them."""

from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import names
from kedge.kube.faults import invalid, subdomain, unsupported
from kedge.kube.kinds import Obj

DELETE, RETAIN = "Delete", "Retain"


def claim_name(jobset: str, template: str) -> str:
    """The name of a claim.

    Examples:
        >>> claim_name("train", "models")
        'models-train'
    """
    return f"{template}-{jobset}"


def is_mounted(pod: Obj, name: str) -> bool:
    """Whether a container of a Pod's spec mounts a volume."""
    containers = (*(pod.get("containers") or ()), *(pod.get("initContainers") or ()))
    return any(mount.get("name") == name for each in containers for mount in each.get("volumeMounts") or ())


def templates(spec: Obj) -> Iterator[tuple[Obj, Obj]]:
    """Each policy of a JobSet's spec, with each of its templates."""
    for policy in spec.get("volumeClaimPolicies") or ():
        for template in policy.get("templates") or ():
            yield policy, template


def claim_faults(jobset: str, spec: Obj) -> Iterator[Cause]:
    """What is wrong with the policies for claims.

    Args:
        jobset: The name of the JobSet.
        spec: Its spec.
    """
    taken = set[str]()
    for position, policy in enumerate(spec.get("volumeClaimPolicies") or ()):
        at = f"spec.volumeClaimPolicies[{position}]"
        when = (policy.get("retentionPolicy") or {}).get("whenDeleted", DELETE)
        if when not in {DELETE, RETAIN}:
            yield unsupported(f"{at}.retentionPolicy.whenDeleted", when, (DELETE, RETAIN))
        for index, template in enumerate(policy.get("templates") or ()):
            meta: Obj = template.get("metadata") or {}
            if meta.get("namespace"):
                yield invalid(at, meta["namespace"], "namespace cannot be set for VolumeClaimPolicies templates")
            name, path = meta.get("name") or "", f"{at}.template[{index}].name"
            if name in taken:
                yield invalid(path, name, "names must be unique for VolumeClaimPolicies template")
            taken.add(name)
            yield from subdomain(path, name)
            if len(claim_name(jobset, name)) > names.LABEL_LIMIT:
                yield invalid(path, name, "VolumeClaimPolicies template name is too long")
            yield from _mount_faults(name, spec)


def _mount_faults(name: str, spec: Obj) -> Iterator[Cause]:
    jobs: list[Obj] = spec.get("replicatedJobs") or []
    mounted = False
    for position, each in enumerate(jobs):
        pod: Any = (((each.get("template") or {}).get("spec") or {}).get("template") or {}).get("spec") or {}
        mounted = mounted or is_mounted(pod, name)
        for index, volume in enumerate(pod.get("volumes") or ()):
            if volume.get("name") == name:
                path = f"spec.replicatedJobs[{position}].template.spec.template.spec.volumes[{index}].name"
                yield invalid(path, name, f"volume name conflicts with VolumeClaimPolicy template name: {name}")
    if not mounted:
        why = f"replicatedJob containers don't have a matching volumeMount: {name} from VolumeClaimPolicies"
        yield invalid("spec.replicatedJobs", [each.get("name") for each in jobs], why)
