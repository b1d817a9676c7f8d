"""Which cluster a command means: a kubeconfig and a context, and the data directory of the hub that works against it."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from kedge.client.kubeconfig import current_context, in_cluster, load
from kedge.config import Settings
from kedge.hub import Place


@dataclass(frozen=True, slots=True)
class Chosen:
    """A cluster, as a command names it.

    Attributes:
        settings: Of the hub that works against it from here: its data directory is the cluster's own.
        kubeconfig: The file.
        context: The context in it.
    """

    settings: Settings
    kubeconfig: Path
    context: str

    def place(self, port: int | None) -> Place:
        """Where the hub works and listens."""
        access = load(self.kubeconfig, context=self.context)
        return Place(access, self.kubeconfig, self.settings.listen, self.settings.hub_address, port)


def choose(settings: Settings, kubeconfig: Path | None, context: str | None) -> Chosen:
    """Find the cluster that a command means.

    Args:
        settings: As the environment has them.
        kubeconfig: The file; ``None`` for that of ``KUBECONFIG``, or ``~/.kube/config``.
        context: Its context; ``None`` for the current one.

    Raises:
        StateError: The file cannot be read, or has no such context.
    """
    path = kubeconfig or Path(settings.environ.get("KUBECONFIG") or "~/.kube/config").expanduser()
    name = context or current_context(path)
    home = settings.home / "clusters" / re.sub(r"[^A-Za-z0-9._-]+", "_", name)
    return Chosen(replace(settings, home=home), path.absolute(), name)


def inside(settings: Settings, port: int) -> Place:
    """Where the hub of a cluster works and listens, in one of its Pods.

    Args:
        settings: As the environment has them.
        port: Of the HTTP listener.

    Raises:
        StateError: This process runs in no Pod.
    """
    return Place(in_cluster(settings.environ), None, settings.listen, settings.hub_address, port)
