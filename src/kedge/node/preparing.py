"""Gets a Pod ready to start: refuses what cannot be run, builds environments, makes volumes."""

import asyncio
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from kedge.kube.kinds import Obj
from kedge.kube.service_accounts import has_access
from kedge.node import environments, launchers, names, network, oci_specs, refusals, scheduling, service_links, users
from kedge.node.devices import Devices
from kedge.node.env import Environment, of_container
from kedge.node.environments import Environments
from kedge.node.images import Image, ImageTable
from kedge.node.network import PodNetwork
from kedge.node.objects import Objects
from kedge.node.oci import Found
from kedge.node.pulling import Puller
from kedge.node.refusals import PROCESS, Refusal
from kedge.node.runtimes import Containers, Processes, Runtime
from kedge.node.services import ServiceTable
from kedge.node.shared_network import Ports
from kedge.node.specs import Machine, Prepared, Request
from kedge.node.volumes import VolumeMaker, Volumes


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
        network: Gives Pods a network of their own.
        services: The Services that Pods there are told of.
        ports: Who has which port where Pods share the machine's network.
        puller: Gets images for a container runtime; ``None`` where there is none.
    """

    machine: Machine
    images: ImageTable
    environments: Environments
    objects: Objects
    volumes: VolumeMaker
    devices: Devices
    directory: Path
    network: PodNetwork
    services: ServiceTable
    ports: Ports
    puller: Puller | None = None

    def runtime(self, image: Image) -> Runtime:
        """What runs the containers of an image."""
        if image.contained and self.puller is not None:
            return Containers(self.machine, self.puller.cli)
        return Processes(self.machine)

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
        if self.machine.host.joined and network.RUN in (pod["metadata"].get("labels") or {}):
            raise Refusal(
                "UnsupportedField",
                f"metadata.labels[{network.RUN}]: a step of a run needs its hub and the artifacts, which a machine that has "
                "joined does not reach. Keep the run's steps away from such nodes: leave out what tolerates or selects them.",
            )
        found = _resolve(pod, self.images)
        refusals.check(pod["spec"], self.machine.host, [name for name, image in found.items() if image.contained])
        return found

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
        await self._connect(pod, prepared)
        prepared.volumes = await self.volumes.make(pod, prepared.directory)
        if contained := [name for name, image in images.items() if image.contained]:
            _open_to_images(pod, prepared.volumes)
            self._warn(pod, contained)
        prepared.gpus = await self.devices.give(pod)
        if users.of_pod(pod["spec"], self.machine.host) != {None}:
            await asyncio.to_thread(users.hand_over, pod["spec"], prepared.directory, prepared.volumes.paths, self.machine.host)
        return prepared

    def _warn(self, pod: Obj, contained: list[str]) -> None:
        if self.puller is not None:
            for reason, text in oci_specs.warnings(pod, contained, self.puller.cli):
                self.puller.events.emit(pod, reason, text, warning=True)

    async def change_image(self, pod: Obj, container: str, prepared: Prepared) -> None:
        """Get a Pod ready for another image of one of its containers; raises as `prepare` does."""
        image = self.check(pod)[container]
        if image.contained and prepared.network is not None and self.puller is not None and self.puller.cli.shares:
            text = f"container {container}: its new image runs in the machine's network ({self.puller.cli.shares})"
            raise Refusal("UnsupportedField", f"{text}, and this Pod has one of its own. Make the Pod anew with that image.")
        prepared.images[container] = image
        prepared.environments.pop(container, None)
        if image.python:
            prepared.environments[container] = await self.environments.get(environments.wanted(image.python, pod))

    async def _connect(self, pod: Obj, prepared: Prepared) -> None:
        """Give a Pod its network: another one where that has died since."""
        if prepared.network is not None and self.network.has(pod["metadata"]["uid"]):
            return
        why = ""
        if self.puller is not None and any(image.contained for image in prepared.images.values()):
            why = self.puller.cli.shares
        if not why:
            prepared.network = await self.network.give(pod)
        prepared.shared = why or self.network.refusal if network.wants_own(pod) and prepared.network is None else ""
        if prepared.shared:
            self.ports.take(pod, prepared.shared)
        _write_names(pod, prepared)

    async def request(self, pod: Obj, container: Obj, prepared: Prepared, found: Found | None) -> tuple[Request, Environment]:
        """Make the request for one container, with its image where a runtime has it; raises as `prepare` does."""
        await self._connect(pod, prepared)
        pod = addressed(pod, prepared)
        environment = await of_container(pod, container, self.objects, await self._services_of(pod, container, prepared))
        runtime = self.runtime(prepared.images[container["name"]])
        return runtime.request(pod, container, environment, prepared, found), environment

    async def _services_of(self, pod: Obj, container: Obj, prepared: Prepared) -> dict[str, str]:
        """The variables that tell a container of Services; in the machine's network of the API alone, where it has access."""
        if prepared.network is not None:
            return service_links.variables(await self.services.all(), pod)
        finds = has_access(container) and (prepared.images[container["name"]].contained or not self.machine.view_refusal)
        return service_links.of_api(self.machine.api) if finds and self.machine.api else {}


def _open_to_images(pod: Obj, volumes: Volumes) -> None:
    """Let whoever an image says that its processes are use the Pod's volumes, as a cluster does: others cannot get to them."""
    for volume in pod["spec"].get("volumes") or ():
        if "emptyDir" in volume:
            volumes.paths[volume["name"]].chmod(0o777)
    for token in volumes.tokens:
        (token.volume / token.source["path"]).chmod(0o644)


def addressed(pod: Obj, prepared: Prepared | None) -> Obj:
    """A Pod that knows its address, whether or not that is written yet."""
    if prepared is None or prepared.network is None:
        return pod
    return {**pod, "status": {**(pod.get("status") or {}), "podIP": prepared.network.address}}


def _write_names(pod: Obj, prepared: Prepared) -> None:
    """Write what a Pod finds as ``/etc/hosts`` and ``/etc/resolv.conf``; anyone may read it, as there."""
    own = prepared.network
    files = names.files(pod, own.address, own.no_udp) if own is not None else names.files(pod, "")
    prepared.names = tuple(files)
    for name, text in files.items():
        place = prepared.directory / name
        place.write_text(text, encoding="utf-8")
        place.chmod(0o644)


def _resolve(pod: Obj, table: ImageTable) -> dict[str, Image]:
    found: dict[str, Image] = {}
    for field in ("initContainers", "containers"):
        for index, container in enumerate(pod["spec"].get(field) or ()):
            path = f"spec.{field}[{index}].image"
            # What Kedge adds to a step needs no image: pulled, it would take minutes, and the internet.
            wanted = PROCESS if launchers.stages(pod, container) else pod["spec"].get("runtimeClassName") or ""
            found[container["name"]] = table.resolve(container["image"], path, wanted)
    return found
