"""The workspace of a run: one volume that all its steps may share, for files that are no artifacts."""

import re
from typing import Any, Dict, Optional

from .errors import DslError
from .tasks import is_text
from .values import shown

_SIZE = re.compile(r"\d+(\.\d+)?([KMGTPE]i?|k|m)?")


class KubernetesWorkspaceConfig:
    """What the workspace's claim says beyond its size.

    Args:
        pvcSpecPatch: ``accessModes`` and ``storageClassName`` of the claim.

    Examples:
        >>> KubernetesWorkspaceConfig({"storageClassName": "fast"}).pvcSpecPatch
        {'storageClassName': 'fast'}
    """

    def __init__(self, pvcSpecPatch: Optional[Dict[str, Any]] = None) -> None:  # noqa: N803  # upstream's
        self.pvcSpecPatch = dict(pvcSpecPatch or {})

    def set_pvcSpecPatch(self, patch: Dict[str, Any]) -> None:  # noqa: N802  # upstream's
        """Take another patch."""
        self.pvcSpecPatch = dict(patch)


class WorkspaceConfig:
    """A volume for the run, at ``dsl.WORKSPACE_PATH_PLACEHOLDER`` of each step that uses it.

    Args:
        size: Such as ``"10Gi"``.
        kubernetes: What its claim says beyond that.

    Examples:
        >>> from kedge import dsl
        >>> @dsl.component
        ... def write(folder: str):
        ...     open(folder + "/notes", "w").close()
        >>> @dsl.pipeline(pipeline_config=dsl.PipelineConfig(workspace=WorkspaceConfig(size="1Gi")))
        ... def notes():
        ...     write(folder=dsl.WORKSPACE_PATH_PLACEHOLDER)
    """

    def __init__(self, size: str, kubernetes: Optional[KubernetesWorkspaceConfig] = None) -> None:
        self.size = ""
        self.kubernetes = kubernetes or KubernetesWorkspaceConfig()
        self.set_size(size)

    def set_size(self, size: str) -> None:
        """Take another size."""
        text = size.strip() if is_text(size) else ""
        if not _SIZE.fullmatch(text):
            raise DslError(
                f"dsl.WorkspaceConfig is given the size {shown(size)}.", why="It is a quantity of Kubernetes.",
                fix='Write it like "10Gi" or "500M".',
            )  # fmt: skip
        self.size = text

    def set_kubernetes_config(self, kubernetes_config: KubernetesWorkspaceConfig) -> None:
        """Take another description of the claim."""
        self.kubernetes = kubernetes_config

    def get_workspace(self) -> Dict[str, Any]:
        """As the IR's options for Kubernetes have it."""
        return {"size": self.size, "kubernetes": {"pvcSpecPatch": self.kubernetes.pvcSpecPatch}}
