"""A Pod's volumes as directories, and its ``volumeMounts`` as mounts of them.

Data of a ConfigMap is written once for each of its versions and shared by all Pods that mount it the same way, read-only.
Secrets and tokens are each Pod's own and go with it.
"""

import contextlib
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from kedge.client.types import Client
from kedge.kube.clock import parse_timestamp
from kedge.kube.core import SERVICE_ACCOUNT
from kedge.kube.kinds import Obj
from kedge.node import downward, env
from kedge.node.claims import Claims, claim_name
from kedge.node.objects import Objects
from kedge.node.refusals import Refusal
from kedge.supervisor import view

# Shared directories kept for Pods to come; those in use are never removed.
_MOST_SHARED = 128
_LEAST_TOKEN_SECONDS = 600


@dataclass(slots=True)
class TokenFile:
    """A token that must be renewed while its Pod runs.

    Attributes:
        path: Where it lies.
        source: The ``serviceAccountToken`` projection.
        renew_at: When to fetch the next one.
    """

    path: Path
    source: Obj
    renew_at: datetime


@dataclass(slots=True)
class ToldFile:
    """A file of the downward API.

    Attributes:
        path: Where it lies.
        source: What it tells, a ``fieldRef`` or ``resourceFieldRef``.
        data: What it holds.
    """

    path: Path
    source: Obj
    data: bytes


@dataclass(slots=True)
class Volumes:
    """A Pod's volumes.

    Attributes:
        paths: Directory of each volume by name.
        readonly: Names of those that no container may write.
        tokens: What must be renewed.
        told: Files of the downward API.
        shared: Shared directories in use.
        secrets: Values to mask in logs.
    """

    paths: dict[str, Path] = field(default_factory=dict[str, Path])
    readonly: set[str] = field(default_factory=set[str])
    tokens: list[TokenFile] = field(default_factory=list[TokenFile])
    told: list[ToldFile] = field(default_factory=list[ToldFile])
    shared: list[Path] = field(default_factory=list[Path])
    secrets: list[str] = field(default_factory=list[str])


class VolumeMaker:
    """Makes volumes.

    Args:
        client: Issues tokens.
        objects: Reads ConfigMaps and Secrets.
        claims: Finds the folders of claims.
        directory: Where shared data lies.
    """

    def __init__(self, client: Client, objects: Objects, claims: Claims, directory: Path) -> None:
        self._client = client
        self._objects = objects
        self._claims = claims
        self._directory = directory
        self._users: dict[Path, int] = {}

    async def make(self, pod: Obj, directory: Path) -> Volumes:
        """Make all volumes of a Pod.

        Args:
            pod: The Pod.
            directory: Its own directory; volumes that are not shared are made in it.

        Raises:
            MissingError: A ConfigMap, Secret, key or claim is not there.
            Refusal: A projection is of a kind that is not carried out here.
        """
        made = Volumes()
        for volume in pod["spec"].get("volumes") or ():
            name = volume["name"]
            own = own_place(directory, name)
            if "emptyDir" in volume:
                own.mkdir(parents=True, exist_ok=True)
                made.paths[name] = own
                continue
            if claim_name(pod, volume):
                made.paths[name] = await self._claims.folder(pod, volume)
                if (volume.get("persistentVolumeClaim") or {}).get("readOnly"):
                    made.readonly.add(name)
                continue
            made.readonly.add(name)
            try:
                made.paths[name] = await self._filled(pod, volume, own, made)
            except env.MissingError as error:
                raise env.MissingError(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error  # a kubelet's words
        return made

    async def _filled(self, pod: Obj, volume: Obj, own: Path, made: Volumes) -> Path:
        """The place of a volume whose content is the API server's."""
        if config := volume.get("configMap"):
            return await self._shared(pod, config, made)
        files: dict[str, tuple[bytes, int]] = {}
        mode = 0o644
        if secret := volume.get("secret"):
            mode = secret.get("defaultMode", mode)
            await self._secret(pod, secret | {"name": secret.get("secretName")}, mode, files, made)
        elif told := volume.get("downwardAPI"):
            files |= await self._downward(pod, told, own, made)
        elif projected := volume.get("projected"):
            await self._project(pod, projected, own, files, made)
        _write(own, files)
        return own

    def release(self, volumes: Volumes) -> None:
        """Let go of shared data; what nobody uses stays for a while."""
        for path in volumes.shared:
            self._users[path] = self._users.get(path, 1) - 1
        volumes.shared.clear()
        unused = [path for path, users in self._users.items() if users <= 0]
        for path in unused[: max(0, len(self._users) - _MOST_SHARED)]:
            del self._users[path]
            shutil.rmtree(path, ignore_errors=True)

    async def renew(self, pod: Obj, volumes: Volumes, now: datetime) -> None:
        """Replace tokens that are close to their end."""
        for token in volumes.tokens:
            if token.renew_at <= now:
                text, token.renew_at = await self._token(pod, token.source)
                _replace(token.path, text.encode())

    async def _shared(self, pod: Obj, config: Obj, made: Volumes) -> Path:
        name = config["name"]
        obj = await self._objects.config_map(pod["metadata"]["namespace"], name)
        if obj is None:
            if not config.get("optional"):
                raise env.MissingError(f'configmap "{name}" not found')
            key = "empty"
            data: Mapping[str, bytes] = {}
        else:
            meta = obj["metadata"]
            key = f"{meta['uid']}-{meta['resourceVersion']}-{config.get('defaultMode', 0o644):o}"
            if config.get("items"):
                key += hashlib.sha256(json.dumps(config["items"]).encode()).hexdigest()[:12]
            data = {}
        path = self._directory / key
        if path not in self._users and not path.exists():
            data = env.content(obj) if obj is not None else {}
            files = _chosen(data, config, f"configmap {name}", config.get("defaultMode", 0o644))
            aside = self._directory / f"{key}.new"
            shutil.rmtree(aside, ignore_errors=True)
            _write(aside, files)
            aside.rename(path)
        self._users[path] = self._users.get(path, 0) + 1
        made.shared.append(path)
        return path

    async def _secret(self, pod: Obj, source: Obj, mode: int, files: dict[str, tuple[bytes, int]], made: Volumes) -> None:
        name = source["name"]
        obj = await self._objects.secret(pod["metadata"]["namespace"], name)
        if obj is None:
            if source.get("optional"):
                return
            raise env.MissingError(f'secret "{name}" not found')
        data = env.content(obj)
        files |= _chosen(data, source, f"secret {name}", mode)
        for value in data.values():
            with contextlib.suppress(UnicodeDecodeError):
                made.secrets.append(value.decode())

    async def _project(self, pod: Obj, projected: Obj, own: Path, files: dict[str, tuple[bytes, int]], made: Volumes) -> None:
        mode = projected.get("defaultMode", 0o644)
        for source in projected.get("sources") or ():
            if account := source.get("serviceAccountToken"):
                text, renew_at = await self._token(pod, account)
                files[account["path"]] = (text.encode(), 0o600)
                made.tokens.append(TokenFile(own / account["path"], account, renew_at))
                made.secrets.append(text)
            elif config := source.get("configMap"):
                obj = await self._objects.config_map(pod["metadata"]["namespace"], config["name"])
                if obj is None and not config.get("optional"):
                    raise env.MissingError(f'configmap "{config["name"]}" not found')
                if obj is not None:
                    files |= _chosen(env.content(obj), config, f"configmap {config['name']}", mode)
            elif secret := source.get("secret"):
                await self._secret(pod, secret, mode, files, made)
            elif told := source.get("downwardAPI"):
                files |= await self._downward(pod, {**told, "defaultMode": mode}, own, made)

    async def _downward(self, pod: Obj, source: Obj, own: Path, made: Volumes) -> dict[str, tuple[bytes, int]]:
        files: dict[str, tuple[bytes, int]] = {}
        for item in source.get("items") or ():
            data = (await downward.text_of(pod, item, self._objects)).encode()
            files[item["path"]] = (data, item.get("mode") or source.get("defaultMode", 0o644))
            made.told.append(ToldFile(own / item["path"], item, data))
        return files

    async def tell(self, pod: Obj, volumes: Volumes) -> None:
        """Write files of the downward API again whose content has changed: labels and annotations do while a Pod runs."""
        for file in volumes.told:
            data = (await downward.text_of(pod, file.source, self._objects)).encode()
            if data != file.data:
                _replace(file.path, data)
                file.data = data

    async def _token(self, pod: Obj, source: Obj) -> tuple[str, datetime]:
        meta = pod["metadata"]
        seconds = max(int(source.get("expirationSeconds") or 3600), _LEAST_TOKEN_SECONDS)
        bound = {"kind": "Pod", "apiVersion": "v1", "name": meta["name"], "uid": meta["uid"]}
        audiences = [source["audience"]] if source.get("audience") else []
        request: Obj = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"namespace": meta["namespace"]},
            "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": bound},
        }
        account = pod["spec"].get("serviceAccountName") or "default"
        answer = await self._client.create(SERVICE_ACCOUNT, request, name=account, subresource="token")
        end = parse_timestamp(answer["status"]["expirationTimestamp"])
        # As the kubelet: when a fifth of its life is left.
        return answer["status"]["token"], end - timedelta(seconds=seconds * 0.2)


def own_place(directory: Path, volume: str) -> Path:
    """Where a volume lies that is its Pod's alone, in the Pod's directory."""
    return directory / f"{volume}.volume"


def mounts_of(container: Obj, volumes: Volumes, values: Mapping[str, str]) -> list[Obj]:
    """A container's mounts, as the supervisor takes them.

    Args:
        container: The container.
        volumes: The Pod's volumes.
        values: The container's variables, for ``subPathExpr``.

    Raises:
        Refusal: A ``subPath`` leaves its volume.
    """
    made: list[Obj] = []
    for mount in container.get("volumeMounts") or ():
        name = mount["name"]
        readonly = bool(mount.get("readOnly")) or name in volumes.readonly
        entry: Obj = {
            "source": str(volumes.paths[name]),
            "target": os.path.normpath(mount["mountPath"]),
            "readonly": readonly,
        }
        inner = mount.get("subPath") or env.expand(mount.get("subPathExpr") or "", values)
        if inner:
            if inner.startswith("/") or ".." in inner.split("/"):
                raise Refusal(
                    "UnsupportedField", f"volumeMounts {mount['mountPath']}: subPath {inner!r} must stay inside its volume."
                )
            if name not in volumes.readonly:
                with contextlib.suppress(OSError):  # what is in the way is told when it is mounted
                    os.close(view.open_inside(entry["source"], inner, make=True))
            # Looked up when it is mounted: until then other users of the volume can change what lies there.
            entry["inside"] = inner
        made.append(entry)
    return made


def _chosen(data: Mapping[str, bytes], source: Obj, what: str, mode: int) -> dict[str, tuple[bytes, int]]:
    """The files of a volume's ``items``, or of all keys."""
    items = source.get("items")
    if not items:
        return {key: (value, mode) for key, value in data.items()}
    files: dict[str, tuple[bytes, int]] = {}
    for item in items:
        if item["key"] not in data:
            if source.get("optional"):
                continue
            raise env.MissingError(f"references non-existent key {item['key']} of {what}")
        files[item["path"]] = (data[item["key"]], item.get("mode", mode))
    return files


def _write(directory: Path, files: Mapping[str, tuple[bytes, int]]) -> None:
    """Fill a directory that nobody reads yet."""
    directory.mkdir(exist_ok=True, parents=True)
    for name, (data, mode) in files.items():
        if "/" in name:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
        _fill(f"{directory}/{name}", data, mode)


def _replace(path: Path, data: bytes) -> None:
    """Write a file at once: a reader sees the old one or the new one, whose owner and mode are the same."""
    aside, now = f"{path}.new", path.stat()
    _fill(aside, data, stat.S_IMODE(now.st_mode))
    if (now.st_uid, now.st_gid) != (os.geteuid(), os.getegid()):  # it was handed over to a Pod's user
        os.chown(aside, now.st_uid, now.st_gid)
    Path(aside).rename(path)


def _fill(path: str, data: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
    finally:
        os.close(fd)
