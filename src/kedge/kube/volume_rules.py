"""The rules of a Pod's volumes: each has one source, and that says what it needs."""

from collections.abc import Callable, Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import downward, faults, quantities
from kedge.kube.claims import spec_faults as claim_faults
from kedge.kube.kinds import Obj
from kedge.kube.volume_paths import path_faults

# In the order in which a real API server looks at them: of two sources the later is refused.
_KINDS = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi", "glusterfs",
    "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc", "flexVolume", "configMap",
    "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk", "storageos", "projected", "scaleIO",
    "csi", "ephemeral", "image",
)  # fmt: skip
# What messages call some of them, where that is not their name.
_CALLED = {"downwardAPI": "downwarAPI", "cephfs": "cephFS"}
_HOST_PATHS = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"
)  # fmt: skip
_MODE_RULE = "must be a number between 0 and 0777 (octal), both inclusive"
_SHORTEST, _LONGEST = 600, 1 << 32


def faults_of(volumes: Any, path: str) -> tuple[dict[str, Obj], list[Cause]]:
    """The volumes that are right, by name; and what is wrong with the others.

    Args:
        volumes: Those of a Pod.
        path: Where they stand.
    """
    right: dict[str, Obj] = {}
    found: list[Cause] = []
    for index, volume in faults.objects(volumes):
        at, name = f"{path}[{index}]", volume.get("name") or ""
        wrong = list(_source_faults(volume, at))
        wrong += faults.label(f"{at}.name", name) if name else [faults.required(f"{at}.name")]
        if name in right:
            wrong.append(faults.duplicate(f"{at}.name", name))
        found += wrong
        if not wrong:
            right[name] = volume
    return right, found


def _source_faults(volume: Obj, at: str) -> Iterator[Cause]:
    first = True
    for kind in _KINDS:
        if (source := volume.get(kind)) is None:
            continue
        if first:
            yield from _RULES.get(kind, _nothing)(source, f"{at}.{kind}")
        else:
            yield faults.forbidden(f"{at}.{_CALLED.get(kind, kind)}", "may not specify more than 1 volume type")
        first = False
    if first:
        yield faults.required(at, "must specify a volume type")


def _nothing(source: Obj, at: str) -> Iterator[Cause]:
    del source, at
    yield from ()


def _empty_dir(source: Obj, at: str) -> Iterator[Cause]:
    size = source.get("sizeLimit")
    if size is not None and quantities.fault(size):
        yield faults.forbidden(f"{at}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def _host_path(source: Obj, at: str) -> Iterator[Cause]:
    if not (place := source.get("path")):
        yield faults.required(f"{at}.path")
        return
    yield from faults.no_backsteps(f"{at}.path", place)
    yield from faults.one_of(source, "type", at, _HOST_PATHS)


def _nfs(source: Obj, at: str) -> Iterator[Cause]:
    place = source.get("path") or ""
    if not source.get("server"):
        yield faults.required(f"{at}.server")
    if not place:
        yield faults.required(f"{at}.path")
    if not place.startswith("/"):
        yield faults.invalid(f"{at}.path", place, "must be an absolute path")


def _named(key: str) -> Callable[[Obj, str], Iterator[Cause]]:
    """The rules of a ConfigMap's or a Secret's volume, whose name stands in a field of its own."""

    def rules(source: Obj, at: str) -> Iterator[Cause]:
        if not source.get(key):
            yield faults.required(f"{at}.{key}")
        yield from _mode(source, "defaultMode", at)
        yield from _item_faults(source, at)

    return rules


def _item_faults(source: Obj, at: str) -> Iterator[Cause]:
    for index, item in faults.objects(source.get("items")):
        place = f"{at}.items[{index}]"
        if not item.get("key"):
            yield faults.required(f"{place}.key")
        yield from path_faults(f"{place}.path", item.get("path"))
        yield from _mode(item, "mode", place)


def _mode(owner: Obj, key: str, at: str) -> Iterator[Cause]:
    value = owner.get(key)
    if isinstance(value, int) and not 0 <= value <= 0o777:
        yield faults.invalid(f"{at}.{key}", value, _MODE_RULE)


def _claim(source: Obj, at: str) -> Iterator[Cause]:
    if not source.get("claimName"):
        yield faults.required(f"{at}.claimName")


def _ephemeral(source: Obj, at: str) -> Iterator[Cause]:
    template = source.get("volumeClaimTemplate")
    if template is None:
        yield faults.required(f"{at}.volumeClaimTemplate")
    else:
        yield from claim_faults(template.get("spec") or {}, f"{at}.volumeClaimTemplate.spec")


def _csi(source: Obj, at: str) -> Iterator[Cause]:
    if not source.get("driver"):
        yield faults.required(f"{at}.driver")


def _downward(source: Obj, at: str) -> Iterator[Cause]:
    yield from _mode(source, "defaultMode", at)
    yield from _told_faults(source, at)


def _told_faults(source: Obj, at: str) -> Iterator[Cause]:
    for _, item in faults.objects(source.get("items")):
        yield from downward.file_faults(item, at)
        yield from _mode(item, "mode", at)


def _projected(source: Obj, at: str) -> Iterator[Cause]:
    yield from _mode(source, "defaultMode", at)
    taken = set[str]()
    for index, part in faults.objects(source.get("sources")):
        place = f"{at}.sources[{index}]"
        for kind in ("secret", "configMap"):
            if (held := part.get(kind)) is not None:
                if not held.get("name"):
                    yield faults.required(f"{place}.{kind}.name")
                yield from _item_faults(held, f"{place}.{kind}")
                yield from _twice(held, at, held.get("name") or "", taken)
        if (told := part.get("downwardAPI")) is not None:
            yield from _told_faults(told, f"{place}.downwardAPI")
            yield from _twice(told, at, "", taken)
        if (token := part.get("serviceAccountToken")) is not None:
            yield from _token_faults(token, at, f"{place}.serviceAccountToken")
        if sum(each is not None for each in part.values()) > 1:
            yield faults.forbidden(place, "may not specify more than 1 volume type per source")


def _twice(source: Obj, at: str, name: str, taken: set[str]) -> Iterator[Cause]:
    for _, item in faults.objects(source.get("items")):
        if (place := item.get("path")) and place in taken:
            yield faults.invalid(at, name or place, "conflicting duplicate paths")
        taken.add(place or "")


def _token_faults(token: Obj, at: str, place: str) -> Iterator[Cause]:
    seconds = token.get("expirationSeconds")
    if isinstance(seconds, int) and seconds < _SHORTEST:
        yield faults.invalid(f"{place}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    if isinstance(seconds, int) and seconds > _LONGEST:
        yield faults.invalid(f"{place}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    yield from path_faults(f"{at}.path", token.get("path"))


_RULES: dict[str, Callable[[Obj, str], Iterator[Cause]]] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "nfs": _nfs,
    "secret": _named("secretName"),
    "configMap": _named("name"),
    "persistentVolumeClaim": _claim,
    "downwardAPI": _downward,
    "projected": _projected,
    "csi": _csi,
    "ephemeral": _ephemeral,
}
