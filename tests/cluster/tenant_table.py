"""The table of roles and operations in the documentation, and a request for each operation; for any hub that knows tenants."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

Json = dict[str, Any]
DOCUMENT = Path(__file__).parents[2] / "docs" / "tenants.md"
VIEW, EDIT = "kubeflow-pipelines-view", "kubeflow-pipelines-edit"
KINDS = ("pipelines", "pipelineversions", "experiments", "jobs", "runs")
RULES: dict[str, dict[str, list[str]]] = {
    VIEW: {kind: ["get", "list"] for kind in KINDS} | {"runs": ["get", "list", "readArtifact"]},
    EDIT: {
        "pipelines": ["create", "delete", "update"],
        "pipelineversions": ["create", "delete", "update"],
        "experiments": ["archive", "create", "delete", "unarchive"],
        "runs": ["archive", "create", "delete", "retry", "terminate", "unarchive", "reportMetrics", "readArtifact"],
        "jobs": ["create", "delete", "disable", "enable"],
    },
}
"""What Kubeflow Pipelines' roles allow, by resource. Whoever has the second has the first: it is aggregated to it."""
BAD = {"displayName": "no such field"}


class Row(NamedTuple):
    """One operation: its rights, and whether each role has them."""

    operation: str
    rights: list[str]
    view: bool
    edit: bool


def table() -> list[Row]:
    """The documentation's table."""
    text = DOCUMENT.read_text().partition("## Operations")[2]
    found = re.findall(r"^\| `(\w+ [^`]+)` \| ([^|]+) \| (yes|no) \| (yes|no) \|$", text, re.MULTILINE)
    return [Row(name, re.findall(r"`([^`]+)`", rights), view == "yes", edit == "yes") for name, rights, view, edit in found]


def allows(role: str, right: str) -> bool:
    """Whether one of the two roles has a right, such as ``get runs``."""
    verb, kind = right.split(" ")
    return verb in RULES[VIEW].get(kind, ()) or (role == EDIT and verb in RULES[EDIT].get(kind, ()))


def roles() -> list[Json]:
    """The ClusterRoles, as Kubeflow has them in effect."""
    made: list[Json] = []
    for name in (VIEW, EDIT):
        rules = [RULES[VIEW]] if name == VIEW else [RULES[VIEW], RULES[EDIT]]
        listed = [
            {"apiGroups": ["pipelines.kubeflow.org"], "resources": [kind], "verbs": verbs}
            for each in rules
            for kind, verbs in each.items()
        ]
        made.append(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": name},
                "rules": listed,
            }
        )
    return made


@dataclass(frozen=True)
class Things:
    """What there is of a namespace, by the names that addresses have for it."""

    namespace: str
    run_id: str
    task_id: str
    node_id: str
    artifact_name: str
    artifact_id: str
    pipeline_id: str
    pipeline_version_id: str
    experiment_id: str
    recurring_run_id: str
    cache_fingerprint: str
    name: str

    def request(self, operation: str) -> tuple[str, str, Json]:
        """An operation as a request about these things: method, path, and what else `httpx` takes.

        What would change them is asked for in a way that passes the caller's rights and is then refused, so that all can be tried
        one after another: with a field that a thing of the name has already, or one that cannot be.
        """
        method, _, path = operation.partition(" ")
        filled = re.sub(r"{(\w+)}", lambda found: getattr(self, found[1]), path)
        whole = filled if filled.startswith("/apis/") else f"/apis/v2beta1{filled}"
        return method, whole, self._more(operation)

    def _more(self, operation: str) -> Json:
        here = {"namespace": self.namespace}
        stored = {"pipeline_id": self.pipeline_id}
        more: dict[str, Json] = {
            "POST /runs": {"json": {**here, "pipeline_version_reference": stored, "runtime_config": {"parameters": BAD}}},
            "POST /runs:validate": {
                "json": {**here, "pipeline_version_reference": stored, "runtime_config": {"parameters": BAD}}
            },
            "GET /runs": {"params": here},
            "POST /runs/{run_id}:tag": {"json": {"tags": {"kedge.dev/mine": ""}}},
            "POST /runs/{run_id}:resume": {"json": {"pipeline_version_reference": stored}},
            "POST /pipelines": {"json": {**here, "name": self.name}},
            "POST /pipelines/create": {"json": {"pipeline": here, "pipeline_version": {}}},
            "POST /pipelines/upload": {"params": here},
            "GET /pipelines": {"params": here},
            "GET /pipelines/names/{name}": {"params": here},
            "PATCH /pipelines/{pipeline_id}": {"json": {"name": ""}},
            "POST /pipelines/upload_version": {"params": {"pipelineid": self.pipeline_id}},
            "POST /pipelines/{pipeline_id}/versions": {"json": {}},
            "DELETE /pipelines/{pipeline_id}": {"params": {"cascade": "false"}},
            "PATCH /pipelines/{pipeline_id}/versions/{pipeline_version_id}": {"json": {"name": ""}},
            "POST /experiments": {"json": {**here, "display_name": "Default"}},
            "GET /experiments": {"params": here},
            "POST /recurringruns": {"json": {**here, "display_name": "x", "pipeline_version_reference": stored}},
            "GET /recurringruns": {"params": here},
            "GET /recurringruns:preview": {"params": {**here, "cron": "@daily"}},
            "PATCH /recurringruns/{recurring_run_id}": {"json": {"display_name": ""}},
            "GET /artifacts": {"params": here},
            "GET /artifact_tasks": {"params": {"run_ids": self.run_id}},
            "POST /runs:import": {"params": here, "content": b"no exported run"},
            "GET /cache_entries": {"params": here},
            "GET /cache_entries/{cache_fingerprint}": {"params": here},
            "DELETE /cache_entries": {"params": {**here, "component": "none-of-this-name"}},
        }
        return more.get(operation, {})


LAST = (
    "DELETE /pipelines/{pipeline_id}/versions/{pipeline_version_id}",
    "DELETE /recurringruns/{recurring_run_id}",
    "DELETE /experiments/{experiment_id}",
    "DELETE /runs/{run_id}",
)
"""Operations after which a thing is gone: whoever may, tries them last."""


def in_order(rows: list[Row]) -> list[Row]:
    """The table in an order in which everything can be tried."""
    return sorted(rows, key=lambda row: row.operation in LAST)
