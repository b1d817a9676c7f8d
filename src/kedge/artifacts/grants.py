"""Grants: how one Pod may move the artifacts of its own task, and no others.

For a folder store a grant is the path itself: the step reads and writes the artifact in place. For an object store it is an
address signed for one object and one hour, so that no credential ever enters a Pod.
"""

from collections.abc import Mapping
from typing import Any

from kedge.artifacts import remote
from kedge.artifacts.projects import Projects
from kedge.artifacts.uris import REMOTE_SCHEMES, local_path, scheme

Grant = dict[str, str]


async def grants(executor_input: Mapping[str, Any], project: str, projects: Projects) -> dict[str, Any]:
    """Make the grants of an executor input.

    Args:
        executor_input: Kubeflow's, with the address of every artifact.
        project: Digest of the project code, or ``""``.
        projects: Where project code lies.

    Returns:
        ``{"inputs": {name: [grant]}, "outputs": …, "project": grant or None}``.

    Raises:
        Invalid: An address leaves its folder, or cannot be granted.
    """
    return {
        "inputs": await _side(executor_input, "inputs", "GET"),
        "outputs": await _side(executor_input, "outputs", "PUT"),
        "project": {"path": str(projects.path(project))} if project else None,
    }


async def _side(executor_input: Mapping[str, Any], side: str, method: str) -> dict[str, list[Grant]]:
    listed: Mapping[str, Any] = (executor_input.get(side) or {}).get("artifacts") or {}
    return {name: [await _grant(one["uri"], method) for one in value.get("artifacts") or []] for name, value in listed.items()}


async def _grant(uri: str, method: str) -> Grant:
    if _bare(uri):
        return {"uri": uri}
    path = local_path(uri)
    if path is not None:
        return {"uri": uri, "path": str(path)}
    if scheme(uri) in REMOTE_SCHEMES:
        return {"uri": uri, "url": await remote.signed(uri, method)}
    return {"uri": uri}  # https://…, hf://…: the step's own library fetches it


def _bare(uri: str) -> bool:
    """An address that names no place: of an artifact that was never written, or one that only the user's code understands."""
    return not uri.startswith("/") and "://" not in uri
