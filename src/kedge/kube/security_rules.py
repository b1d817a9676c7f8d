"""The rules of security contexts: those of Pods and those of containers."""

import re
from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.kinds import Obj

_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = re.compile(rf"({_SEGMENT}[\./])*{_SEGMENT}")
_SYSCTL_RULE = rf"must have at most 253 characters and match regex ^({_SEGMENT}[\./])*{_SEGMENT}$"
_PROC_MOUNTS = ("Default", "Unmasked")
# A container's context, as messages show it whole.
_FIELDS = (
    "capabilities",
    "privileged",
    "seLinuxOptions",
    "windowsOptions",
    "runAsUser",
    "runAsGroup",
    "runAsNonRoot",
    "readOnlyRootFilesystem",
    "allowPrivilegeEscalation",
    "procMount",
    "seccompProfile",
    "appArmorProfile",
)


def pod_faults(spec: Obj, path: str) -> Iterator[Cause]:
    """What is wrong with the security context of a Pod.

    Args:
        spec: The Pod's spec.
        path: Where that stands.
    """
    context, at = spec.get("securityContext") or {}, f"{path}.securityContext"
    for key in ("fsGroup", "runAsUser", "runAsGroup"):
        yield from faults.between(f"{at}.{key}", context.get(key), 0)
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        yield from faults.between(f"{at}.supplementalGroups[{index}]", group, 0)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield faults.invalid(f"{at}.shareProcessNamespace", True, why)  # it is the value shown
    yield from _sysctl_faults(context, f"{at}.sysctls")
    yield from faults.one_of(context, "fsGroupChangePolicy", at, ("Always", "OnRootMismatch"))
    yield from _profile_faults(context, at)
    yield from faults.one_of(context, "supplementalGroupsPolicy", at, ("Merge", "Strict"))
    yield from faults.one_of(context, "seLinuxChangePolicy", at, ("MountOption", "Recursive"))


def _sysctl_faults(context: Obj, at: str) -> Iterator[Cause]:
    seen = set[str]()
    for index, each in faults.objects(context.get("sysctls")):
        name = each.get("name") or ""
        if not name:
            yield faults.required(f"{at}[{index}].name")
        elif len(name) > 253 or not _SYSCTL.fullmatch(name):
            yield faults.invalid(f"{at}[{index}].name", name, _SYSCTL_RULE)
        elif name in seen:
            yield faults.duplicate(f"{at}[{index}].name", name)
        seen.add(name)


def _profile_faults(context: Obj, at: str) -> Iterator[Cause]:
    for key, word in (("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor")):
        profile = context.get(key)
        if profile is None:
            continue
        kind, local = profile.get("type") or "", profile.get("localhostProfile")
        if not kind:
            yield faults.required(f"{at}.{key}.type", f"type is required when {key} is set")
        elif kind not in _PROFILES:
            yield faults.unsupported(f"{at}.{key}.type", kind, _PROFILES)
        if kind == "Localhost" and not local:
            yield faults.required(f"{at}.{key}.localhostProfile", f"must be set when {word} type is Localhost")
        elif kind == "Localhost" and key == "seccompProfile":
            yield from faults.descending(f"{at}.{key}.localhostProfile", local)
        elif kind in _PROFILES and kind != "Localhost" and local is not None:
            value: Any = {"Type": kind, "LocalhostProfile": local} if key == "seccompProfile" else local
            yield faults.invalid(f"{at}.{key}.localhostProfile", value, f"can only be set when {word} type is Localhost")


def container_faults(context: Obj | None, at: str, *, own_users: bool = False) -> Iterator[Cause]:
    """What is wrong with the security context of a container.

    Args:
        context: The context.
        at: Where it stands.
        own_users: Whether the Pod has users of its own (``hostUsers`` is false).
    """
    if not context:
        return
    for key in ("runAsUser", "runAsGroup"):
        yield from faults.between(f"{at}.{key}", context.get(key), 0)
    mount = context.get("procMount")
    if mount is not None and mount not in _PROC_MOUNTS:
        yield faults.unsupported(f"{at}.procMount", mount, _PROC_MOUNTS)
    elif mount == "Unmasked" and not own_users:
        yield faults.invalid(f"{at}.procMount", mount, "`hostUsers` must be false to use `Unmasked`")
    yield from _profile_faults(context, at)
    if context.get("allowPrivilegeEscalation") is False:
        shown = {name[0].upper() + name[1:]: context.get(name) for name in _FIELDS}
        refused = "cannot set `allowPrivilegeEscalation` to false and"
        if context.get("privileged"):
            yield faults.invalid(at, shown, f"{refused} `privileged` to true")
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            yield faults.invalid(at, shown, f"{refused} `capabilities.Add` CAP_SYS_ADMIN")
