"""Gets a Pod ready to start: refuses what cannot be run, builds environments, makes volumes."""

import asyncio
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from kedge.kube.kinds import Obj
from kedge.node import environments, refusals, scheduling, users
from kedge.node.devices import Devices
from kedge.node.env import Environment, of_container
from kedge.node.environments import Environments
from kedge.node.images import Image, ImageTable
from kedge.node.objects import Objects
from kedge.node.refusals import Refusal
from kedge.node.specs import Machine, Prepared, Request, request_of
from kedge.node.volumes import VolumeMaker


@dataclass(frozen=True, slots=True)
class Preparation:
    """Everything that getting a Pod ready takes.

    Attributes:
        machine: What this machine is.
        images: Which images mean what.
        environments: Python environments.
        objects: ConfigMaps and Secrets.
        volumes: Makes volumes.
        devices: Hands out GPUs.
        directory: Where Pods' directories are.
    """

    machine: Machine
    images: ImageTable
    environments: Environments
    objects: Objects
    volumes: VolumeMaker
    devices: Devices
    directory: Path

    def place(self, uid: str) -> Path:
        """A Pod's own directory."""
        return self.directory / uid

    def unbuilt(self, pod: Obj, images: dict[str, Image]) -> str:
        """What has to be built before a Pod can start, in words; empty when nothing has to be."""
        for image in images.values():
            if image.python:
                spec = environments.wanted(image.python, pod)
                if self.environments.ready(spec) is None:
                    packages = f" with {', '.join(spec.packages)}" if spec.packages else ""
                    return f"the Python {spec.version} environment{packages}"
        return ""

    def check(self, pod: Obj) -> dict[str, Image]:
        """Say what the image of each container means; raises `Refusal` for what this node can never run."""
        refusals.check(pod["spec"], self.machine.host)
        return _resolve(pod, self.images)

    async def accept(self, pod: Obj) -> None:
        """Look whether the node is one that a Pod chooses, before anything of it starts, as the kubelet does.

        Raises:
            Refusal: It is not: who made the Pod named the node, or the node's labels have changed since it was scheduled.
        """
        if not scheduling.chooses(pod) or (node := await self.objects.node(pod)) is None:
            return
        for fault in scheduling.unlike(pod, node):
            raise Refusal(
                "NodeAffinity",
                f"Pod was rejected: Predicate NodeAffinity failed: {fault.reason.removeprefix('1 ')}. {fault.help}",
            )

    async def prepare(self, pod: Obj, images: dict[str, Image]) -> Prepared:
        """Get a Pod ready, with what `check` said of its images.

        Raises:
            MissingError: Something that it refers to is not there yet.
            Refusal: It cannot run here.
        """
        prepared = Prepared(self.place(pod["metadata"]["uid"]), images=images)
        for name in ("", "/tmp", "/home"):  # noqa: S108  # its own
            with contextlib.suppress(FileExistsError):
                os.mkdir(f"{prepared.directory}{name}", 0o700)  # noqa: PTH102  # a step is made of few things: paths count
        for name, image in prepared.images.items():
            if image.python:
                prepared.environments[name] = await self.environments.get(environments.wanted(image.python, pod))
        prepared.volumes = await self.volumes.make(pod, prepared.directory)
        prepared.gpus = await self.devices.give(pod)
        if users.of_pod(pod["spec"], self.machine.host) != {None}:
            await asyncio.to_thread(users.hand_over, pod["spec"], prepared.directory, prepared.volumes.paths, self.machine.host)
        return prepared

    async def request(self, pod: Obj, container: Obj, prepared: Prepared) -> tuple[Request, Environment]:
        """Make the request for one container; raises as `prepare` does."""
        environment = await of_container(pod, container, self.objects)
        return request_of(pod, container, environment, prepared, self.machine), environment


def _resolve(pod: Obj, table: ImageTable) -> dict[str, Image]:
    found: dict[str, Image] = {}
    for field in ("initContainers", "containers"):
        for index, container in enumerate(pod["spec"].get(field) or ()):
            found[container["name"]] = table.resolve(container["image"], f"spec.{field}[{index}].image")
    return found
