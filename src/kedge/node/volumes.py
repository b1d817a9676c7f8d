"""A Pod's volumes as directories, and its ``volumeMounts`` as mounts of them.

Files of ConfigMaps and Secrets are each Pod's own and follow their objects while it runs. Data of a ConfigMap that stays as it
is, for it is immutable or a step reads it, is written once for each version and shared by all Pods that mount it the same way.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from kedge.client.types import Client
from kedge.kube.clock import parse_timestamp
from kedge.kube.core import SERVICE_ACCOUNT
from kedge.kube.kinds import Obj
from kedge.node import downward, env, host_paths, volume_files
from kedge.node.claims import Claims, claim_name
from kedge.node.network import is_step
from kedge.node.objects import Objects
from kedge.node.refusals import Refusal
from kedge.supervisor import view

# Shared directories kept for Pods to come; those in use are never removed.
_MOST_SHARED = 128
_LEAST_TOKEN_SECONDS = 600
# What every namespace has and the host keeps as it is: to look at it again for each Pod would be for nothing.
_LASTING = "kube-root-ca.crt"


@dataclass(slots=True)
class TokenFile:
    """A token that must be renewed while its Pod runs.

    Attributes:
        volume: The directory of its volume.
        source: The ``serviceAccountToken`` projection, whose ``path`` is its name.
        renew_at: When to fetch the next one.
    """

    volume: Path
    source: Obj
    renew_at: datetime


@dataclass(slots=True)
class ToldFile:
    """A file of the downward API.

    Attributes:
        volume: The directory of its volume.
        source: What it tells, a ``fieldRef`` or ``resourceFieldRef``; its ``path`` is its name.
        data: What it holds.
    """

    volume: Path
    source: Obj
    data: bytes


@dataclass(slots=True)
class LiveFiles:
    """The files of a volume that follow ConfigMaps and Secrets.

    Attributes:
        volume: The directory of the volume.
        sources: What they are of: ``configMap`` or ``secret``, its source with its ``name``, and the mode of its files.
        files: What they hold, by name.
    """

    volume: Path
    sources: list[tuple[str, Obj, int]]
    files: dict[str, bytes]


@dataclass(slots=True)
class Volumes:
    """A Pod's volumes.

    Attributes:
        paths: Directory of each volume by name.
        readonly: Names of those that no container may write.
        beneath: The directory that no link on the way to a volume leads out of, by the name of volumes that have one.
        tokens: What must be renewed.
        told: Files of the downward API.
        live: Files that follow ConfigMaps and Secrets.
        look_at: When to look at these again; ``None`` until that is known.
        shared: Shared directories in use.
        secrets: Values to mask in logs.
    """

    paths: dict[str, Path] = field(default_factory=dict[str, Path])
    readonly: set[str] = field(default_factory=set[str])
    beneath: dict[str, str] = field(default_factory=dict[str, str])
    tokens: list[TokenFile] = field(default_factory=list[TokenFile])
    told: list[ToldFile] = field(default_factory=list[ToldFile])
    live: list[LiveFiles] = field(default_factory=list[LiveFiles])
    look_at: datetime | None = None
    shared: list[Path] = field(default_factory=list[Path])
    secrets: list[str] = field(default_factory=list[str])


class VolumeMaker:
    """Makes volumes.

    Args:
        client: Issues tokens.
        objects: Reads ConfigMaps and Secrets.
        claims: Finds the folders of claims.
        directory: Where shared data lies.
        host_paths: Directories of this machine that Pods may have.
    """

    def __init__(
        self, client: Client, objects: Objects, claims: Claims, directory: Path, host_paths: tuple[str, ...] = ()
    ) -> None:
        self._client = client
        self._objects = objects
        self._claims = claims
        self._directory = directory
        self._host_paths = host_paths
        self._users: dict[Path, int] = {}

    async def make(self, pod: Obj, directory: Path) -> Volumes:
        """Make all volumes of a Pod.

        Args:
            pod: The Pod.
            directory: Its own directory; volumes that are not shared are made in it.

        Raises:
            MissingError: A ConfigMap, Secret, key or claim is not there.
            Refusal: The name of a file leads out of its volume.
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
            try:
                if source := volume.get("hostPath"):
                    made.paths[name], made.beneath[name] = host_paths.found(source, self._host_paths)
                    continue
                made.readonly.add(name)
                made.paths[name] = await self._filled(pod, volume, own, made)
            except env.MissingError as error:
                raise env.MissingError(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error  # a kubelet's words
        return made

    async def _filled(self, pod: Obj, volume: Obj, own: Path, made: Volumes) -> Path:
        """The place of a volume whose content is the API server's."""
        if (config := volume.get("configMap")) and await self._stays(pod, config):
            return await self._shared(pod, config, made)
        files: dict[str, tuple[bytes, int]] = {}
        if volume.get("configMap") or volume.get("secret"):
            files = await self._current(pod, _sources(volume), made)
        elif told := volume.get("downwardAPI"):
            files |= await self._downward(pod, told, own, made)
        elif projected := volume.get("projected"):
            await self._project(pod, projected, own, files, made)
        _write(own, files)
        if (sources := _changing(volume)) and not is_step(pod):
            others = _of_others(volume)
            made.live.append(LiveFiles(own, sources, {name: data for name, (data, _) in files.items() if name not in others}))
        return own

    async def _stays(self, pod: Obj, config: Obj) -> bool:
        """Whether what a Pod reads of a ConfigMap stays as it is for as long as it runs."""
        if is_step(pod):
            return True
        obj = await self._objects.config_map(pod["metadata"]["namespace"], config["name"])
        return obj is not None and bool(obj.get("immutable"))

    async def _current(self, pod: Obj, sources: list[tuple[str, Obj, int]], made: Volumes) -> dict[str, tuple[bytes, int]]:
        """The files that ConfigMaps and Secrets stand for, as these are now."""
        files: dict[str, tuple[bytes, int]] = {}
        for kind, source, mode in sources:
            if kind == "secret":
                await self._secret(pod, source, mode, files, made)
            else:
                await self._config(pod, source, mode, files)
        return files

    async def follow(self, pod: Obj, volumes: Volumes) -> None:
        """Write files again whose ConfigMap or Secret has changed; where that is gone, they stay, as on a cluster."""
        for live in volumes.live:
            read = Volumes()
            try:
                files = await self._current(pod, live.sources, read)
            except env.MissingError:
                continue
            for name, (data, mode) in files.items():
                if live.files.get(name) != data:
                    volume_files.put(live.volume, name, data, mode)
            for name in live.files.keys() - files.keys():
                volume_files.remove(live.volume, name)
            live.files = {name: data for name, (data, _) in files.items()}
            volumes.secrets += [value for value in read.secrets if value not in volumes.secrets]

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
                volume_files.replace(token.volume, token.source["path"], text.encode())

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

    async def _config(self, pod: Obj, source: Obj, mode: int, files: dict[str, tuple[bytes, int]]) -> None:
        name = source["name"]
        obj = await self._objects.config_map(pod["metadata"]["namespace"], name)
        if obj is not None:
            files |= _chosen(env.content(obj), source, f"configmap {name}", mode)
        elif not source.get("optional"):
            raise env.MissingError(f'configmap "{name}" not found')

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
                made.tokens.append(TokenFile(own, account, renew_at))
                made.secrets.append(text)
            elif config := source.get("configMap"):
                await self._config(pod, config, mode, files)
            elif secret := source.get("secret"):
                await self._secret(pod, secret, mode, files, made)
            elif told := source.get("downwardAPI"):
                files |= await self._downward(pod, {**told, "defaultMode": mode}, own, made)

    async def _downward(self, pod: Obj, source: Obj, own: Path, made: Volumes) -> dict[str, tuple[bytes, int]]:
        files: dict[str, tuple[bytes, int]] = {}
        for item in source.get("items") or ():
            data = (await downward.text_of(pod, item, self._objects)).encode()
            files[item["path"]] = (data, item.get("mode") or source.get("defaultMode", 0o644))
            if downward.changes(item):
                made.told.append(ToldFile(own, item, data))
        return files

    async def tell(self, pod: Obj, volumes: Volumes) -> None:
        """Write files of the downward API again whose content has changed: labels and annotations do while a Pod runs."""
        for file in volumes.told:
            data = (await downward.text_of(pod, file.source, self._objects)).encode()
            if data != file.data:
                volume_files.replace(file.volume, file.source["path"], data)
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


def made_before(pod: Obj, directory: Path, now: datetime) -> Volumes:
    """What has to be kept up to date of the volumes of a Pod that runs already: when its files were written is not known.

    Args:
        pod: The Pod.
        directory: Its own directory.
        now: When its tokens are renewed, then: at once.
    """
    made = Volumes()
    for volume in pod["spec"].get("volumes") or ():
        own = own_place(directory, volume["name"])
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            account, told = source.get("serviceAccountToken"), source.get("downwardAPI") or {}
            if account and (own / account["path"]).is_file():
                made.tokens.append(TokenFile(own, account, now))
            changing = [item for item in told.get("items") or () if downward.changes(item) and (own / item["path"]).is_file()]
            made.told += [ToldFile(own, item, b"") for item in changing]
        if (sources := _changing(volume)) and own.is_dir() and not is_step(pod):
            made.live.append(LiveFiles(own, sources, dict.fromkeys(volume_files.names(own) - _of_others(volume), b"")))
    return made


def _sources(volume: Obj) -> list[tuple[str, Obj, int]]:
    """The ConfigMaps and Secrets of a volume, each with the mode of its files."""
    if config := volume.get("configMap"):
        return [("configMap", config, config.get("defaultMode", 0o644))]
    if secret := volume.get("secret"):
        return [("secret", secret | {"name": secret.get("secretName")}, secret.get("defaultMode", 0o644))]
    projected = volume.get("projected") or {}
    mode = projected.get("defaultMode", 0o644)
    kinds = ("configMap", "secret")
    return [(kind, each[kind], mode) for each in projected.get("sources") or () for kind in kinds if each.get(kind)]


def _changing(volume: Obj) -> list[tuple[str, Obj, int]]:
    """`_sources`, where any of them may change while a Pod runs."""
    found = _sources(volume)
    return found if any(source["name"] != _LASTING for _, source, _ in found) else []


def _of_others(volume: Obj) -> set[str]:
    """The files of a projected volume that are of neither ConfigMaps nor Secrets."""
    sources = (volume.get("projected") or {}).get("sources") or ()
    told = {item["path"] for each in sources for item in (each.get("downwardAPI") or {}).get("items") or ()}
    return told | {each["serviceAccountToken"]["path"] for each in sources if each.get("serviceAccountToken")}


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
        MissingError: So does a ``subPathExpr`` as its variables are now, or one of these is not there.
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
        if name in volumes.beneath:
            entry["beneath"] = volumes.beneath[name]
        expression = mount.get("subPathExpr") or ""
        if absent := env.unknown(expression, values):
            raise env.MissingError(f'volumeMounts {mount["mountPath"]}: subPathExpr: missing value for "{absent}"')
        inner = mount.get("subPath") or env.expand(expression, values)
        if inner:
            if expression and (inner.startswith("/") or ".." in inner.split("/")):  # what it is made of may be another one yet
                raise env.MissingError(f"volumeMounts {mount['mountPath']}: subPathExpr: {inner!r} must stay inside its volume.")
            if inner.startswith("/") or ".." in inner.split("/"):
                raise Refusal(
                    "UnsupportedField", f"volumeMounts {mount['mountPath']}: subPath {inner!r} must stay inside its volume."
                )
            if name not in volumes.readonly:
                with contextlib.suppress(OSError, view.ViewError), view.source_of(entry) as source:
                    os.close(view.open_inside(source, inner, make=True))  # what is in the way is told when it is mounted
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
        volume_files.write(directory, name, data, mode)
