"""Which cluster a command means: a kubeconfig and a context, and the data directory of the hub that works against it."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from kedge.client.http import HttpClient
from kedge.client.kubeconfig import Access, absolute, current_context, in_cluster, load
from kedge.client.relay import remove
from kedge.config import Settings
from kedge.hub import Place
from kedge.kube.clock import SystemIds
from kedge.relayed import has_relay, identity, recall


@dataclass(frozen=True, slots=True)
class Chosen:
    """A cluster, as a command names it.

    Attributes:
        settings: Of the hub that works against it from here: its data directory is the cluster's own.
        kubeconfig: The file.
    """

    settings: Settings
    kubeconfig: Path

    def access(self) -> Access:
        """How the cluster is reached.

        Raises:
            StateError: The file cannot be read, or has no such context.
        """
        return load(self.kubeconfig, context=self.settings.context)

    def place(self, port: int | None) -> Place:
        """Where the hub works and listens."""
        settings = self.settings
        return Place(self.access(), self.kubeconfig, settings.listen, settings.hub_address, port, settings.context)


def choose(settings: Settings, kubeconfig: Path | None = None, context: str | None = None) -> Chosen:
    """Find the cluster that a command means.

    Args:
        settings: As the environment has them.
        kubeconfig: The file, or several with colons between; ``None`` for the one that the data directory was last used with,
            that of ``KUBECONFIG``, or ``~/.kube/config``.
        context: Its context; ``None`` for that of the settings, or the current one of the file.

    Raises:
        StateError: The file cannot be read, or has no such context.
    """
    name = context or settings.context
    given = kubeconfig or (recall(settings.of(name).home).get("kubeconfig") if name else None)
    path = absolute(Path(given or settings.environ.get("KUBECONFIG") or "~/.kube/config"))
    return Chosen(settings.of(name or current_context(path)), path)


def remove_relay(settings: Settings) -> bool:
    """Take the relay of a cluster's hub away.

    Args:
        settings: Of the hub.

    Returns:
        Whether there was one.

    Raises:
        KedgeError: The cluster cannot be reached, or does not let us.
    """
    if not has_relay(settings.home):
        return False
    return asyncio.run(_remove(choose(settings).access(), identity(settings.home, SystemIds()).name))


async def _remove(access: Access, name: str) -> bool:
    async with HttpClient(access) as client:
        return await remove(client, name)


def inside(settings: Settings, port: int) -> Place:
    """Where the hub of a cluster works and listens, in one of its Pods.

    Args:
        settings: As the environment has them.
        port: Of the HTTP listener.

    Raises:
        StateError: This process runs in no Pod.
    """
    return Place(in_cluster(settings.environ), None, settings.listen, settings.hub_address, port)
