"""Sees to it that an image is here before its container starts, by its pull policy and in the kubelet's words.

One task for each container that waits for its image; a Pod's worker only asks whether it may start, and is woken when that may
have changed. What cannot be had is tried again after 10 seconds, then after twice as long each time, to five minutes.
"""

import asyncio
import binascii
import contextlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from kedge.kube.clock import Clock
from kedge.kube.kinds import Obj
from kedge.node import oci
from kedge.node.env import content
from kedge.node.events import Events
from kedge.node.objects import Objects
from kedge.node.oci import Cli, Found

_FIRST_DELAY, _LONGEST_DELAY = 10.0, 300.0
# How long a failure is told by its own name before it is said to be waited after.
_TELL_SECONDS = 1.0
_LOGINS = ((".dockerconfigjson", "auths"), (".dockercfg", ""))
_REGISTRY, _LIBRARY = "docker.io", "library"


@dataclass(slots=True)
class _Wait:
    """A container's way to its image.

    Attributes:
        attempt: Which attempt of the container it is for.
        task: What is done at the moment.
        found: The image, once it is here.
        why: Reason and message while it is not.
        failed: When it could not be had last.
        delay: Seconds from then to the next try.
        told: Whether the wait has been told.
    """

    attempt: int
    task: asyncio.Task[None] | None = None
    found: Found | None = None
    why: tuple[str, str] = ("", "")
    failed: datetime | None = None
    delay: float = _FIRST_DELAY
    told: bool = False


class _Fault(Exception):
    """Why a container cannot have its image now: reason, message and whether trying again helps."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


@dataclass(frozen=True, slots=True)
class Puller:
    """What the Pods of a node share.

    Attributes:
        cli: The container runtime.
        objects: Reads Secrets.
        events: Tells people.
        clock: The time.
    """

    cli: Cli
    objects: Objects
    events: Events
    clock: Clock


class Pulls:
    """The images of one Pod's containers.

    Args:
        puller: What it shares with others.
        directory: The Pod's own; logins lie there while they are used.
        wake: Called when `ready` may answer otherwise.
    """

    def __init__(self, puller: Puller, directory: Path, wake: Callable[[], None]) -> None:
        self._puller = puller
        self._directory = directory
        self._wake = wake
        self._waits: dict[str, _Wait] = {}

    def ready(self, pod: Obj, container: Obj, attempt: int) -> Found | None:
        """The image of an attempt of a container, if that may start; otherwise it is being seen to."""
        name = container["name"]
        wait = self._waits.get(name)
        if wait is None or (wait.attempt != attempt and wait.task is None):
            wait = self._waits[name] = _Wait(attempt)
        if wait.found is not None or wait.task is not None:
            return wait.found
        now = self._puller.clock.now()
        if wait.failed is None or now >= wait.failed + timedelta(seconds=wait.delay):
            wait.task = asyncio.create_task(self._see_to(pod, container, wait))
        elif wait.why[0] == "ErrImagePull" and now >= wait.failed + timedelta(seconds=_TELL_SECONDS):
            text = f"Back-off pulling image {_said(container['image'])}"
            self._puller.events.emit(pod, "BackOff", text)
            self._puller.events.emit(pod, "Failed", "Error: ImagePullBackOff", warning=True)
            wait.why = ("ImagePullBackOff", f"{text}: ErrImagePull: {wait.why[1]}")
        return None

    def waiting(self) -> dict[str, tuple[str, str]]:
        """Reason and message of each container that waits for its image, and why."""
        return {name: wait.why for name, wait in self._waits.items() if wait.found is None and wait.why[0]}

    def ids(self) -> dict[str, str]:
        """What each image turned out to be, by container."""
        return {name: wait.found.repository or wait.found.id for name, wait in self._waits.items() if wait.found}

    def look_at(self) -> datetime | None:
        """When `ready` is to be asked again though nothing has happened."""
        moments: list[datetime] = []
        for wait in self._waits.values():
            if wait.failed is not None and wait.found is None and wait.task is None:
                soon = _TELL_SECONDS if wait.why[0] == "ErrImagePull" else wait.delay
                moments.append(wait.failed + timedelta(seconds=soon))
        return min(moments, default=None)

    async def close(self) -> None:
        """Stop what is being done."""
        tasks = [wait.task for wait in self._waits.values() if wait.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _see_to(self, pod: Obj, container: Obj, wait: _Wait) -> None:
        try:
            found = await self._get(pod, container)
            _check_user(pod, container, found)
            wait.found = found
        except _Fault as fault:
            if wait.failed is not None:
                wait.delay = min(2 * wait.delay, _LONGEST_DELAY)
            wait.failed, wait.why = self._puller.clock.now(), (fault.reason, fault.message)
            self._puller.events.emit(pod, "Failed", f"Error: {self._short(fault)}", warning=True)
        finally:
            wait.task = None
            self._wake()

    @staticmethod
    def _short(fault: _Fault) -> str:
        return fault.message if fault.reason == "CreateContainerConfigError" else fault.reason

    async def _get(self, pod: Obj, container: Obj) -> Found:
        """The image, pulled where the policy says so."""
        puller, image = self._puller, container["image"]
        if not oci.is_reference(image):
            text = f"couldn't parse image name {_said(image)}: invalid reference format"
            text = f"Failed to apply default image tag {_said(image)}: {text}"
            puller.events.emit(pod, "InspectFailed", text, warning=True)
            raise _Fault("InvalidImageName", text)
        policy = container.get("imagePullPolicy", "IfNotPresent")
        found = await self._here(image)
        if found is not None and policy != "Always":
            text = f"Container image {_said(image)} already present on machine and can be accessed by the pod"
            puller.events.emit(pod, "Pulled", text)
            return found
        if policy == "Never":
            text = f"Container image {_said(image)} is not present with pull policy of Never"
            puller.events.emit(pod, "ErrImageNeverPull", text, warning=True)
            raise _Fault("ErrImageNeverPull", text)
        return await self._pull(pod, container)

    async def _here(self, image: str) -> Found | None:
        return await self._puller.cli.image(full_name(image)) or await self._puller.cli.image(image)

    async def _pull(self, pod: Obj, container: Obj) -> Found:
        puller, image = self._puller, container["image"]
        puller.events.emit(pod, "Pulling", f"Pulling image {_said(image)}")
        began = puller.clock.monotonic()
        place = self._directory / f"{container['name']}.logins"
        try:
            logins = await self._logins(pod, place)
            await puller.cli.pull(full_name(image), logins)
        except oci.RuntimeFault as error:
            puller.events.emit(pod, "Failed", f"Failed to pull image {_said(image)}: {error}", warning=True)
            raise _Fault("ErrImagePull", str(error)) from error
        finally:
            shutil.rmtree(place, ignore_errors=True)
        found = await self._here(image)
        if found is None:
            raise _Fault("ErrImagePull", f"{image} was pulled, and somebody has removed it since")
        took = f"{(puller.clock.monotonic() - began) * 1000:.0f}ms"
        text = f"Successfully pulled image {_said(image)} in {took} ({took} including waiting). Image size: {found.size} bytes."
        puller.events.emit(pod, "Pulled", text)
        return found

    async def _logins(self, pod: Obj, place: Path) -> Path | None:
        """A folder with the Pod's logins for registries; ``None`` where it brings none."""
        found: list[dict[str, object]] = []
        missing: list[str] = []
        for reference in pod["spec"].get("imagePullSecrets") or ():
            secret = await self._puller.objects.secret(pod["metadata"]["namespace"], reference.get("name") or "")
            if secret is None:
                missing.append(reference.get("name") or "")
                continue
            found += _logins_of(secret)
        if missing:
            text = f"Unable to retrieve some image pull secrets ({', '.join(missing)})"
            text = f"{text}; attempting to pull the image may not succeed."
            self._puller.events.emit(pod, "FailedToRetrieveImagePullSecret", text, warning=True)
        if not found:
            return None
        await asyncio.to_thread(_write_logins, place, found)
        return place


def full_name(image: str) -> str:
    """An image's name with the registry that is meant where it names none, as Kubernetes takes it.

    Examples:
        >>> [full_name(name) for name in ("python:3.12", "team/app", "localhost/app", "localhost:5000/app@sha256:00")]
        ['docker.io/library/python:3.12', 'docker.io/team/app:latest', 'localhost/app:latest', 'localhost:5000/app@sha256:00']
    """
    first, slash, _ = image.partition("/")
    if not slash:
        image = f"{_REGISTRY}/{_LIBRARY}/{image}"
    elif not ("." in first or ":" in first or first == "localhost"):
        image = f"{_REGISTRY}/{image}"
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"


def _said(image: str) -> str:
    """A name in quotation marks, as Kubernetes writes it."""
    return json.dumps(image, ensure_ascii=False)


def _write_logins(place: Path, found: list[dict[str, object]]) -> None:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = place / "config.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(oci.logins(found)), encoding="utf-8")


def _logins_of(secret: Obj) -> list[dict[str, object]]:
    """The logins that a Secret holds, by registry; one that cannot be read holds none."""
    with contextlib.suppress(ValueError, AttributeError, binascii.Error):
        data = content({**secret, "kind": "Secret"})
        for key, inner in _LOGINS:
            if key in data:
                read = json.loads(data[key])
                return [dict((read.get(inner) or {}) if inner else read)]
    return []


def _check_user(pod: Obj, container: Obj, found: Found) -> None:
    """Keep a container from being root's that must not be, though its image says nothing else."""
    shared, own = pod["spec"].get("securityContext") or {}, container.get("securityContext") or {}
    if not own.get("runAsNonRoot", shared.get("runAsNonRoot")):
        return
    meta = pod["metadata"]
    about = f'(pod: "{meta["name"]}_{meta["namespace"]}({meta["uid"]})", container: {container["name"]})'
    user = own.get("runAsUser", shared.get("runAsUser"))
    if user == 0:
        raise _Fault("CreateContainerConfigError", f"container's runAsUser breaks non-root policy {about}")
    if user is not None:
        return
    name = found.user.partition(":")[0]
    if name in {"", "0"}:
        raise _Fault("CreateContainerConfigError", f"container has runAsNonRoot and image will run as root {about}")
    if not name.isdecimal():
        why = f"container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root"
        raise _Fault("CreateContainerConfigError", f"{why} {about}")
