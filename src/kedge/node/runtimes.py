"""What runs a container: a process of this machine, or a container of podman, docker or containerd. One interface, both of it.

Which of the two is each container's own, so that the containers that Kedge adds to a step start as processes in milliseconds
beside an image that nobody but a runtime can run: they share the Pod's volumes, and all have this machine's network.
"""

from dataclasses import dataclass
from typing import Protocol

from kedge import __version__
from kedge.config import Settings
from kedge.kube.kinds import Obj
from kedge.kube.service_accounts import without_access
from kedge.node import oci_specs, specs
from kedge.node.env import Environment
from kedge.node.oci import Cli, Found
from kedge.node.specs import Machine, Prepared, Request


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is an attempt's own.

    Attributes:
        number: Of the attempt, from 0.
        log_limit: Bytes of log to keep.
        masks: What must not appear in it.
    """

    number: int
    log_limit: int
    masks: list[str]


class Runtime(Protocol):
    """Makes of a container what the supervisor starts."""

    def request(self, pod: Obj, container: Obj, environment: Environment, prepared: Prepared, found: Found | None) -> Request:
        """What every attempt has in common.

        Args:
            pod: The Pod.
            container: One of its containers.
            environment: Its variables.
            prepared: The Pod's volumes, images and environments.
            found: The image, where the runtime has images.

        Raises:
            Refusal: It needs something that cannot be had here.
        """
        ...

    def attempt(self, request: Request, pod: Obj, container: Obj, prepared: Prepared, attempt: Attempt) -> Obj:
        """A request with an attempt's own files, as the supervisor takes it."""
        ...


@dataclass(frozen=True, slots=True)
class Processes:
    """Runs containers as processes.

    Attributes:
        machine: Where.
    """

    machine: Machine

    def request(self, pod: Obj, container: Obj, environment: Environment, prepared: Prepared, found: Found | None) -> Request:
        """See `Runtime`."""
        del found
        if self.machine.view_refusal:
            container = without_access(container)  # nothing can be put at that place: the Pod runs without it
        return specs.request_of(pod, container, environment, prepared, self.machine)

    def attempt(self, request: Request, pod: Obj, container: Obj, prepared: Prepared, attempt: Attempt) -> Obj:
        """See `Runtime`."""
        del pod
        return specs.with_files(
            request, container, prepared, attempt=attempt.number, limit=attempt.log_limit, masks=attempt.masks
        )


@dataclass(frozen=True, slots=True)
class Containers:
    """Runs images as containers.

    Attributes:
        machine: Where.
        cli: The runtime's command line.
    """

    machine: Machine
    cli: Cli

    def request(self, pod: Obj, container: Obj, environment: Environment, prepared: Prepared, found: Found | None) -> Request:
        """See `Runtime`."""
        assert found is not None  # noqa: S101  # nobody asks before the image is here
        return oci_specs.request_of(pod, container, environment, oci_specs.Place(prepared, self.machine, self.cli), found)

    def attempt(self, request: Request, pod: Obj, container: Obj, prepared: Prepared, attempt: Attempt) -> Obj:
        """See `Runtime`."""
        logged = specs.with_log(
            request, container, prepared, attempt=attempt.number, limit=attempt.log_limit, masks=attempt.masks
        )
        return oci_specs.with_files(logged, pod, container, self.cli, directory=prepared.directory, attempt=attempt.number)


def version(settings: Settings, cli: Cli | None) -> str:
    """What a node says of its runtime: ``status.nodeInfo.containerRuntimeVersion``.

    Args:
        settings: How Kedge was started.
        cli: The container runtime; ``None`` where there is none.
    """
    if cli is None:
        return f"kedge://{__version__}"
    if settings.runtime == "auto":
        return f"kedge://{__version__}+{cli.tool}.{cli.version}"
    return f"{'containerd' if cli.tool == 'nerdctl' else cli.tool}://{cli.version}"
