"""The ConfigMaps that a run's Pods read: the launcher, one for each version and namespace, and the run's own source code.

Source code is stored by content: a component used a thousand times is one entry. What does not fit into one ConfigMap (a real API
server takes 1 MiB) is spread over several, and each Pod mounts only its own entry.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from kedge.kube.kinds import Obj
from kedge.pipelines import templates
from kedge.pipelines.records import RunRecord
from kedge.pipelines.spec import Pipeline
from kedge.pipelines.steps import code_document, code_key, owner

SHARD_LIMIT = 900_000
"""Bytes of source in one ConfigMap."""


@dataclass(frozen=True, slots=True)
class Launcher:
    """The launcher, as namespaces hold it.

    Attributes:
        name: The ConfigMap's name: a digest, so that two versions of the hub do not overwrite each other's.
        content: The zipapp.
    """

    name: str
    content: bytes

    @classmethod
    def of(cls, content: bytes) -> "Launcher":
        """Name a zipapp by its content."""
        return cls(f"kedge-launcher-{hashlib.sha256(content).hexdigest()[:10]}", content)

    def config_map(self, namespace: str) -> Obj:
        """The ConfigMap for a namespace."""
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self.name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "kedge"}},
            "immutable": True,
            "binaryData": {"launcher.pyz": base64.b64encode(self.content).decode()},
        }


def documents(pipeline: Pipeline, project: Mapping[str, str] | None, kfp_runtime: str = "") -> dict[str, str]:
    """The source of every Python component of a pipeline, by key."""
    found = dict[str, str]()
    for executor in pipeline.executors.values():
        python = templates.recognise(executor.container, kfp_runtime) if executor.container is not None else None
        if python is not None and not python.literal and (key := code_key(python)) not in found:
            found[key] = code_document(python, project)
    return found


def config_maps(run: RunRecord, sources: Mapping[str, str], *, another: bool = False) -> tuple[list[Obj], dict[str, str]]:
    """Spread the source over ConfigMaps.

    Args:
        run: Whose code it is; it will own them.
        sources: What `documents` gave.
        another: The run has ConfigMaps with other code already (it was resumed with another pipeline): these get other names.

    Returns:
        The ConfigMaps, and for each key the name of the one it lies in.
    """
    shards: list[dict[str, str]] = []
    room = 0
    for key, text in sorted(sources.items()):
        size = len(text.encode()) + len(key) + 5
        if not shards or size > room:
            shards.append({})
            room = SHARD_LIMIT
        room -= size
        shards[-1][f"{key}.json"] = text
    made: list[Obj] = []
    places = dict[str, str]()
    every = json.dumps(sources, sort_keys=True)
    base = f"{run.name}-code-{hashlib.sha256(every.encode()).hexdigest()[:10]}" if another else f"{run.name}-code"
    for number, data in enumerate(shards):
        name = base if number == 0 else f"{base}-{number}"
        metadata = {"name": name, "namespace": run.namespace, "ownerReferences": [owner(run)]}
        made.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "immutable": True, "data": data})
        places.update({key.removesuffix(".json"): name for key in data})
    return made, places
